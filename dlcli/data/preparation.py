"""What turns raw examples into model inputs: Keras layers, fitted on training rows only, kept with the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array, Dataset, for_each
from dlcli.data.hdf5_lock import give_up_hdf5
from dlcli.data.splits import Split
from dlcli.errors import CheckpointError, DataError

MakeLayers = Callable[[], Sequence[Any]]
_FIT_ROWS = 4096  # rows at a time while fitting: bounds the memory, not the result
_FIT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Preparation:
    """Keras layers that are applied to raw examples, in training and ever after.

    Attributes:
        raw_shape: of one raw example.
        raw_dtype: of the raw examples, as NumPy names it.
        layers: applied in order.
    """

    raw_shape: tuple[int, ...]
    raw_dtype: str
    layers: tuple[Any, ...]

    def apply(self, inputs: Any) -> Any:
        """Prepare a batch of raw inputs, shape (n, *raw_shape); float32 (n, *output_shape). Graph-safe; for Keras."""
        tensor = keras.ops.cast(inputs, "float32")
        for layer in self.layers:
            tensor = layer(tensor, training=False) if _has_training(layer) else layer(tensor)
        return tensor

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of one prepared example."""
        shape: tuple[int | None, ...] = (None, *self.raw_shape)
        for layer in self.layers:
            shape = tuple(layer.compute_output_shape(shape))
        return shape[1:]

    def stand_ins(self, count: int) -> Any:
        """So many raw examples of zeros."""
        return tf.zeros((count, *self.raw_shape), self.raw_dtype)

    def state(self) -> dict[str, Any]:
        """Everything needed to make it again, as data for JSON, which keeps the fitted float32 numbers exactly."""
        layers = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self.layers]
        return {"raw_shape": list(self.raw_shape), "raw_dtype": self.raw_dtype, "layers": layers}


@dataclass(frozen=True)
class Preparations:
    """A preparation for each of several inputs, by name."""

    each: Mapping[str, Preparation]

    def apply(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Prepare a batch of raw inputs. Graph-safe."""
        return {name: one.apply(inputs[name]) for name, one in self.each.items()}

    @property
    def raw_shape(self) -> dict[str, tuple[int, ...]]:
        """Of one raw example."""
        return {name: one.raw_shape for name, one in self.each.items()}

    @property
    def output_shape(self) -> dict[str, tuple[int | None, ...]]:
        """The shapes of one prepared example."""
        return {name: one.output_shape for name, one in self.each.items()}

    def stand_ins(self, count: int) -> dict[str, Any]:
        """So many raw examples of zeros."""
        return {name: one.stand_ins(count) for name, one in self.each.items()}

    def state(self) -> dict[str, Any]:
        """See `Preparation.state`."""
        return {"inputs": {name: one.state() for name, one in self.each.items()}}


AnyPreparation = Preparation | Preparations


def restore_preparation(state: dict[str, Any]) -> AnyPreparation:
    """The preparation that `Preparation.state` described. No code in it is run.

    Raises:
        CheckpointError: it describes no layers of Keras's, or ones that would run code.
    """
    if "inputs" in state:
        return Preparations({name: _restored(one) for name, one in state["inputs"].items()})
    return _restored(state)


def _restored(state: dict[str, Any]) -> Preparation:
    layers = []
    for item in state["layers"]:
        # With its own module, and in safe mode, so that nothing but a layer of Keras's can be named: some versions of
        # Keras run the bytecode of a Lambda whose `from_config` is called outside safe mode (CVE-2025-9905).
        described = {"module": "keras.layers", "class_name": item["class_name"], "config": item["config"]}
        try:
            layers.append(keras.saving.deserialize_keras_object(described, safe_mode=True))
        except Exception as error:
            message = f"The checkpoint's preparation cannot be restored: {str(error).splitlines()[0]}"
            raise CheckpointError(message) from error
    return Preparation(tuple(state["raw_shape"]), state["raw_dtype"], tuple(layers))


def _has_training(layer: Any) -> bool:
    return bool(getattr(layer, "_call_has_training_arg", False))


def fit_preparation(dataset: Dataset, train: Split, make: MakeLayers | None) -> AnyPreparation:
    """The preparation for this data: the spec's own layers, or the usual ones for the kind of data.

    Images (bytes) are scaled to 0..1 and grey ones get a channel axis; the columns of a table are standardized; points
    and indices stay as they are. `Normalization` layers learn mean and variance from the rows of `train` only.

    Args:
        dataset: the data.
        train: its rows to learn from.
        make: makes the spec's own layers, for each of several inputs anew; None if it has none.
    """

    def fitted_to(inputs: Array, kind: str) -> Preparation:
        return _fitted_to(inputs, kind, train.indices, make)

    fitted = for_each(fitted_to, dataset.train.inputs, dataset.kind)
    return Preparations(fitted) if isinstance(fitted, Mapping) else fitted


def _fitted_to(inputs: Array, kind: str, rows: Array, make: MakeLayers | None) -> Preparation:
    shape = tuple(inputs.shape[1:])
    fitted: list[Any] = []
    for layer in usual_layers(kind, shape) if make is None else make():
        learns = isinstance(layer, keras.layers.Normalization) and layer.input_mean is None
        fitted.append(_fitted(layer, inputs, rows, Preparation(shape, "", tuple(fitted))) if learns else layer)
    return Preparation(shape, str(inputs.dtype), tuple(fitted))


def usual_layers(kind: str, example_shape: tuple[int, ...]) -> list[Any]:
    """The layers that a kind of data gets where the spec names none."""
    if kind in ("images", "video"):
        layers: list[Any] = [keras.layers.Rescaling(scale=1.0 / 255.0)]
        if len(example_shape) == 2:
            layers.append(keras.layers.Reshape((*example_shape, 1)))
        return layers
    return [keras.layers.Normalization(axis=-1)] if kind == "table" else []


def _fitted(layer: Any, inputs: Array, rows: Array, earlier: Preparation) -> Any:
    """A `Normalization` whose mean and variance, over `rows`, are arguments: so its config is all of it."""
    size = max(1, min(_FIT_ROWS, _FIT_BYTES // (4 * math.prod(inputs.shape[1:]))))
    unfit: list[DataError] = []

    def batches() -> Iterator[Any]:
        for start in range(0, len(rows), size):
            try:
                found = inputs[rows[start : start + size]]
            except DataError as error:  # which TensorFlow would make an error of its own
                unfit.append(error)
                return
            yield earlier.apply(found)

    # Not the generator itself: Keras 3.12.4, the newest for Python 3.10, adapts to a tf.data.Dataset only.
    signature = tf.TensorSpec((None, *earlier.output_shape), tf.float32)
    give_up_hdf5()  # TensorFlow runs the generator in a thread of its own
    layer.adapt(tf.data.Dataset.from_generator(batches, output_signature=signature))
    if unfit:
        raise unfit[0]
    config = {**layer.get_config(), "mean": _numbers(layer.adapt_mean), "variance": _numbers(layer.adapt_variance)}
    return keras.layers.Normalization.from_config(config)


def _numbers(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32).tolist()
