"""What a model's layers are and cost, as plain data: taken from a keras.Model once, then readable from JSON alone.

Neither Keras, TensorFlow nor NumPy is imported, so that a checkpoint's summary shows at once. Rendering is elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby
from typing import Any

from dlcli.model.arithmetic import Call, Shape, graph_calls, multiply_adds, values_per_example, with_free_batch

_MOST_TERMS = 12
_COUNTS = ("parameters", "trainable_parameters", "non_trainable_parameters")
_TOTALS = (*_COUNTS, "weight_bytes", "activation_values", "multiply_adds", "unknown_multiply_adds")


@dataclass(frozen=True)
class WeightSummary:
    """One array of weights.

    Attributes:
        name: its path within the layer, e.g. "kernel" or "lstm_cell/bias".
        shape: its shape; () for a single number.
        trainable: whether training changes it.
        dtype: the Keras name of its number type, e.g. "float32".
        shared: whether an earlier layer of the model has this same array; totals then leave it out.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool
    dtype: str = "float32"
    shared: bool = False

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The memory it takes, in bytes; a type whose name tells no width counts one byte a number."""
        width = re.match(r"[a-z]+(\d+)", self.dtype)
        return math.ceil(self.size * int(width.group(1)) / 8) if width else self.size


class _ParameterCounts:
    """What a layer and a model count alike."""

    def _counted_weights(self) -> Iterable[WeightSummary]:
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """How many numbers the weights hold."""
        return sum(weight.size for weight in self._counted_weights())

    @property
    def trainable_parameters(self) -> int:
        """How many of them training changes."""
        return sum(weight.size for weight in self._counted_weights() if weight.trainable)

    @property
    def non_trainable_parameters(self) -> int:
        """How many of them training leaves alone: frozen ones, and moving averages."""
        return self.parameters - self.trainable_parameters


@dataclass(frozen=True)
class LayerSummary(_ParameterCounts):
    """One layer, however often the model calls it.

    Attributes:
        name: the layer's name in the model.
        class_name: its Keras class, e.g. "Conv2D".
        output_shapes: the shape of each output of each call; the first axis, the batch, is None, as is a free length.
        weights: its arrays, in the order of Keras.
        multiply_adds: of all its calls for one example; None where not known (see `dlcli.model.arithmetic`).
        activation: the name of its activation; None if it has none or a linear one.
        reads: the names of the layers and inputs that it reads.
        inner: what it is made of, if it is a model.
    """

    name: str
    class_name: str
    output_shapes: tuple[Shape, ...]
    weights: tuple[WeightSummary, ...] = ()
    multiply_adds: int | None = None
    activation: str | None = None
    reads: tuple[str, ...] = ()
    inner: ModelSummary | None = None

    @property
    def values(self) -> int | None:
        """How many numbers it puts out for one example, in all calls, or its layers do; None if a length is open."""
        if self.inner is not None:
            inner = self.inner.activation_values
            return inner * len(self.output_shapes) if inner is not None else None
        counts = [values_per_example(shape) for shape in self.output_shapes]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def output_shape(self) -> Shape | list[Shape]:
        """The shape of the output; a list of shapes if there are several outputs or calls."""
        return self.output_shapes[0] if len(self.output_shapes) == 1 else list(self.output_shapes)

    @property
    def unshared_parameters(self) -> int:
        """How many numbers its weights hold that no earlier layer has; over all layers these add up to the total."""
        return sum(weight.size for weight in self.weights if not weight.shared)

    def _counted_weights(self) -> Iterable[WeightSummary]:
        return self.weights


@dataclass(frozen=True)
class ModelSummary(_ParameterCounts):
    """A whole model; every total counts weights that several layers share once.

    Attributes:
        name: the model's name.
        input_shapes: the shape of each input by its name; the first axis, the batch, is None.
        layers: its layers in the order of Keras, without the inputs; a nested model is one layer.
    """

    name: str
    input_shapes: Mapping[str, Shape]
    layers: tuple[LayerSummary, ...]

    @property
    def weight_bytes(self) -> int:
        """The memory of all weights, in bytes."""
        return sum(weight.bytes for weight in self._counted_weights())

    @property
    def activation_values(self) -> int | None:
        """How many numbers all layers put out for one example; None if a length is known only with the data."""
        counts = [layer.values for layer in self.layers]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    @property
    def leaves(self) -> tuple[LayerSummary, ...]:
        """The layers that are no models, at any depth."""
        found = ((layer,) if layer.inner is None else layer.inner.leaves for layer in self.layers)
        return tuple(chain.from_iterable(found))

    @property
    def multiply_adds(self) -> int:
        """The multiply-adds of one example through all layers for which they are known."""
        return sum(layer.multiply_adds or 0 for layer in self.layers)

    @property
    def unknown_multiply_adds(self) -> int:
        """How many layers are left out of `multiply_adds`, since theirs are not known."""
        return sum(layer.multiply_adds is None for layer in self.layers)

    @property
    def is_stack(self) -> bool:
        """Whether each layer reads only the one before it, and the first one the only input."""
        before = [*self.input_shapes, *(layer.name for layer in self.layers)]
        return len(self.input_shapes) == 1 and all(
            layer.reads == (name,) and len(layer.output_shapes) == 1
            for layer, name in zip(self.layers, before, strict=False)
        )

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON values, with counts, explanations and totals for whoever reads the file."""
        return {
            "name": self.name,
            "input_shapes": {name: list(shape) for name, shape in self.input_shapes.items()},
            "layers": [_layer_to_json(layer) for layer in self.layers],
            "totals": {total: getattr(self, total) for total in _TOTALS},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelSummary:
        """Read what `to_json` gave; what can be derived is derived anew.

        Raises:
            ValueError: the document is not a model's summary.
        """
        try:
            return cls(
                name=document["name"],
                input_shapes={name: tuple(shape) for name, shape in document["input_shapes"].items()},
                layers=tuple(_layer_from_json(layer) for layer in document["layers"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not the summary of a model: {type(error).__name__}: {error}") from error

    def _counted_weights(self) -> Iterable[WeightSummary]:
        return (weight for layer in self.layers for weight in layer.weights if not weight.shared)


def summarize(model: Any) -> ModelSummary:
    """Summarize a built keras.Model, Sequential or Functional.

    Raises:
        ValueError: the model has no graph of layers: it is not built, or is a subclass with a `call` of its own.
    """
    return _summarize(model, {id(variable) for variable in model.trainable_weights}, set())


def _summarize(model: Any, trainable: set[int], seen: set[int]) -> ModelSummary:
    calls = graph_calls(model)
    calls_by_layer = (tuple(group) for _, group in groupby(calls, key=lambda call: id(call.operation)))
    layers = tuple(_summarize_layer(layer_calls, trainable, seen) for layer_calls in calls_by_layer)
    inputs = {tensor._keras_history.operation.name: with_free_batch(tensor.shape) for tensor in model.inputs}
    return ModelSummary(name=model.name, input_shapes=inputs, layers=layers)


def explain(layer: LayerSummary) -> str:
    """Tell how a layer's count of parameters comes about, e.g. "784 × 512 + 512 = 401,920"."""
    if not layer.weights:
        return "no weights"
    if len(layer.weights) > _MOST_TERMS:
        return f"{len(layer.weights):,} arrays of weights = {layer.parameters:,}"
    terms = [" × ".join(f"{size:,}" for size in weight.shape or (1,)) for weight in layer.weights]
    result = f"{layer.parameters:,}"
    formula = _collapse(terms)
    return formula if formula == result else f"{formula} = {result}"


def _collapse(terms: Sequence[str]) -> str:
    """Write a sum shorter: a block that repeats is written once, as in "4 × 64" or "2 × (28 × 64 + 64)"."""
    parts = []
    start = 0
    while start < len(terms):
        length, times = _longest_repetition(terms, start)
        block = " + ".join(terms[start : start + length])
        if times > 1:
            block = f"{times} × ({block})" if " " in block else f"{times} × {block}"
        parts.append(block)
        start += length * times
    return " + ".join(parts)


def _longest_repetition(terms: Sequence[str], start: int) -> tuple[int, int]:
    """Find the block from `start` that, repeated, covers most terms; give its length and how often it comes."""
    best = (1, 1)
    for length in range(1, (len(terms) - start) // 2 + 1):
        block, times = terms[start : start + length], 1
        while terms[start + times * length : start + (times + 1) * length] == block:
            times += 1
        if times > 1 and length * times > math.prod(best):
            best = (length, times)
    return best


def _summarize_layer(calls: Sequence[Call], trainable: set[int], seen: set[int]) -> LayerSummary:
    layer = calls[0].operation
    variables = tuple(getattr(layer, "weights", ()))
    counts = [multiply_adds(layer, call.input_shapes, call.output_shapes) for call in calls]
    known = [count for count in counts if count is not None]
    weights = tuple(
        WeightSummary(
            name=_name_within(layer.name, variable.path),
            shape=tuple(variable.shape),
            trainable=id(variable) in trainable,
            dtype=str(variable.dtype),
            shared=id(variable) in seen,
        )
        for variable in variables
    )
    inner = _summarize_within(layer, trainable, set(seen))
    seen.update(map(id, variables))
    return LayerSummary(
        name=layer.name,
        inner=inner,
        class_name=type(layer).__name__,
        output_shapes=tuple(shape for call in calls for shape in call.output_shapes),
        weights=weights,
        multiply_adds=sum(known) if len(known) == len(counts) else None,
        activation=_activation_name(layer),
        reads=tuple(dict.fromkeys(name for call in calls for name in call.reads)),
    )


def _summarize_within(layer: Any, trainable: set[int], seen: set[int]) -> ModelSummary | None:
    """The summary of a layer that is a model with a graph of layers; None for others."""
    if not hasattr(layer, "layers") or not hasattr(layer, "inputs"):
        return None
    try:
        return _summarize(layer, trainable, seen)
    except ValueError:
        return None


def _name_within(layer_name: str, path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[parts.index(layer_name) + 1 :]) if layer_name in parts[:-1] else path


def _activation_name(layer: Any) -> str | None:
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None) or getattr(activation, "name", None)
    return None if name in (None, "linear") else str(name)


def _layer_to_json(layer: LayerSummary) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class_name": layer.class_name,
        "output_shapes": [list(shape) for shape in layer.output_shapes],
        **{count: getattr(layer, count) for count in _COUNTS},
        "explanation": explain(layer),
        "multiply_adds": layer.multiply_adds,
        "activation": layer.activation,
        "reads": list(layer.reads),
        "weights": [{**asdict(weight), "shape": list(weight.shape)} for weight in layer.weights],
        **({"inner": layer.inner.to_json()} if layer.inner is not None else {}),
    }


def _layer_from_json(document: Mapping[str, Any]) -> LayerSummary:
    return LayerSummary(
        name=document["name"],
        class_name=document["class_name"],
        output_shapes=tuple(tuple(shape) for shape in document["output_shapes"]),
        weights=tuple(WeightSummary(**{**weight, "shape": tuple(weight["shape"])}) for weight in document["weights"]),
        multiply_adds=document["multiply_adds"],
        activation=document["activation"],
        reads=tuple(document["reads"]),
        inner=ModelSummary.from_json(document["inner"]) if "inner" in document else None,
    )
