"""A model, and examples to show it: from files, or from a split of its data; and which of its layers are meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.encoding import AnyEncoding, Encoding, restore_encoding
from dlcli.data.pixels import pixels_of
from dlcli.data.preparation import AnyPreparation, Preparation
from dlcli.errors import CheckpointError, DataError, UsageError
from dlcli.evaluation.evaluating import from_logits
from dlcli.evaluation.outputs import scores_of
from dlcli.evaluation.predicting import contents_for_files, raw_inputs
from dlcli.report.looks import taken
from dlcli.spec.loading import restore_spec
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.job import Job
from dlcli.visualizing.stored_weights import chosen_path

_CARRIED_ON = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "Activation", "Add", "ReLU", "LeakyReLU", "PReLU",
    "ELU",
)  # fmt: skip
"""layers whose maps are still those of the convolution before them"""
AT_ONCE = 64  # examples that go through the model together


@dataclass(frozen=True)
class Subject:
    """A model and examples.

    Attributes:
        name: of the model, for titles.
        model: the model.
        preparation: of the raw examples.
        encoding: of what it answers.
        classes: their names; None if it gives no classes.
        logits: whether its outputs are those before softmax or sigmoid.
        raw: the examples, shape (n, ...).
        names: one for each.
        truth: what is true of each, shape (n,); None where it is not known.
    """

    name: str
    model: Any
    preparation: Preparation
    encoding: AnyEncoding
    classes: Sequence[str] | None
    logits: bool
    raw: Array
    names: Sequence[str]
    truth: Array | None = None

    def only(self, number: int) -> Subject:
        """The same with one example alone, counted from 0. Raises DataError if there are not so many."""
        if number >= len(self.names):
            raise DataError(f"There is no example {number}: there are {len(self.names)}, counted from 0.")
        return self._part(slice(number, number + 1))

    def first(self, count: int) -> Subject:
        """The same with the first examples alone."""
        return self._part(slice(count))

    def _part(self, rows: slice) -> Subject:
        truth = None if self.truth is None else self.truth[rows]
        return replace(self, raw=self.raw[rows], names=self.names[rows], truth=truth)

    def batches(self) -> Iterator[Any]:
        """The prepared examples, some at a time."""
        for start in range(0, len(self.names), AT_ONCE):
            yield self.preparation.apply(self.raw[start : start + AT_ONCE])

    def prepared(self) -> Any:
        """All examples, prepared."""
        return self.preparation.apply(self.raw)

    def pictures(self) -> list[Array]:
        """The examples as pixels. Raises CheckpointError if they are no pictures."""
        shape = self.raw.shape[1:]
        is_picture = len(self.preparation.output_shape) == 3 and len(shape) in (2, 3) and min(shape[:2]) > 1
        if not is_picture:
            size = "×".join(map(str, shape)) or "one number"
            raise CheckpointError(f"This model takes no pictures: an example is {size}, {self.raw.dtype}.",
                                  "`weights` and `embedding` show any model.")  # fmt: skip
        return [pixels_of(one) for one in self.raw]

    def scores(self, outputs: Array) -> Array:
        """What each class gets, shape (n, classes), of outputs of shape (n, units)."""
        assert isinstance(self.encoding, Encoding)  # noqa: S101 - `single` has seen to it
        return scores_of(outputs, self.encoding, from_logits=self.logits)


def of_files(checkpoint: Checkpoint, paths: Sequence[Path]) -> Subject:
    """Files, prepared as in training.

    Raises:
        UsageError: plain Keras saved the checkpoint, so nothing is known about its preparation.
        DataError: a file does not fit.
        CheckpointError: the model cannot be made, or has several inputs or outputs.
    """
    contents = contents_for_files(checkpoint)
    inputs = raw_inputs(checkpoint, paths)
    model = checkpoint.model()
    encoding = restore_encoding(contents.encoding)
    preparation = _single(model, checkpoint.preparation())
    logits: Any = from_logits(restore_spec(contents.spec), None)
    name = str(contents.spec.get("name", checkpoint.path.stem))
    return Subject(
        name, model, preparation, encoding, contents.class_names, logits, _whole(inputs.values), inputs.names
    )  # fmt: skip


def of_split(job: Job, split: str, first: int | None) -> Subject:
    """The first examples of a split.

    Raises:
        DataError: there is no such split, or it can no longer be read.
        CheckpointError: the model has several inputs or outputs.
    """
    if split not in job.rows:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    rows = job.rows[split]
    preparation = _single(job.model, job.preparation)
    order = np.asarray(rows.order[:first])
    names = [f"{split}[{number}]" for number in range(len(order))]
    logits: Any = from_logits(job.loaded, None)
    classes: Any = job.facts.class_names
    is_copy = isinstance(job.encoding, Encoding) and job.encoding.kind == "input"
    truth = None if is_copy else np.asarray(rows.data.targets)[order]
    return Subject(
        job.loaded.spec.name, job.model, preparation, job.encoding, classes, logits, taken(rows.data.inputs, order),
        names, truth,
    )  # fmt: skip


def _single(model: Any, preparation: AnyPreparation) -> Preparation:
    if not isinstance(preparation, Preparation) or len(model.inputs) > 1:
        raise CheckpointError("The model has several inputs: such a picture shows a model with one.")
    if len(model.outputs) > 1:
        raise CheckpointError("The model has several outputs: such a picture shows a model with one.")
    return preparation


def _whole(values: Any) -> Array:
    """Examples that may have stayed in their files."""
    return np.asarray(values[:])


def layers_of(model: Any, above: str = "") -> dict[str, Any]:
    """The layers by their paths, those of nested models behind the model's: `encoder/conv2d`; without inputs."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, keras.Model) and layer.layers:
            found |= layers_of(layer, f"{above}{layer.name}/")
        else:
            found[above + layer.name] = layer
    return found


def chosen_layer(model: Any, asked: str) -> tuple[str, Any]:
    """The layer that a person means: its path or the end of one. Raises UsageError, with names that are like it."""
    layers = layers_of(model)
    path = chosen_path(asked, list(layers), "layer")
    return path, layers[path]


def last_convolution(model: Any, asked: str | None) -> tuple[str, Any]:
    """The layer whose maps are looked at: the one asked for, or the last convolution with what is done to its maps.

    Raises:
        UsageError: the layer that is asked for is not there, or gives no maps.
        CheckpointError: there is no convolution.
    """
    layers = layers_of(model)
    mapped = [path for path, layer in layers.items() if gives_maps(layer)]
    if asked is not None:
        path, layer = chosen_layer(model, asked)
        if path not in mapped:
            hint = f"These do: {', '.join(mapped)}." if mapped else None
            raise UsageError(f"--layer {asked} is a {type(layer).__name__} that gives no maps of the picture.", hint)
        return path, layer
    found = [path for path in mapped if "Conv" in type(layers[path]).__name__]
    if not found:
        hint = f"Name a layer that gives maps: --layer {mapped[-1]}." if mapped else None
        raise CheckpointError("The model has no two-dimensional convolution.", hint)
    path = found[-1]
    for after in list(layers)[list(layers).index(path) + 1 :]:
        is_same = type(layers[after]).__name__ in _CARRIED_ON and after in mapped
        if not is_same or layers[after].output.shape != layers[path].output.shape:
            break
        path = after
    return path, layers[path]


def gives_maps(layer: Any) -> bool:
    """Whether its output has the shape (n, height, width, channels)."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # it is called several times, or gives several things
        return False
    return len(shape) == 4
