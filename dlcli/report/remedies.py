"""What a spec has already of what could be advised: nobody is told to add what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcli.model.summary import LayerSummary
from dlcli.report.story import Story

STOPS, SCHEDULE, DROPOUT, PENALTY, AUGMENTS, CLIPS = "stops", "schedule", "dropout", "penalty", "augments", "clips"
GOES_BACK, SMOOTHS, BALANCES, PICTURES, ONE_BATCH = "goes back", "smooths", "balances", "pictures", "one batch"
STANDARDIZED, PENALIZED = "standardized", "penalized loss"
LINEAR, NARROW, RELUS, SQUASHED, FIXED = "linear", "narrow", "relus", "squashed", "fixed beginning"

_STOPPING = {"EarlyStopping"}
_SCHEDULING = {"ReduceLROnPlateau", "LearningRateScheduler"}
_CLIPPING = {"clipnorm", "clipvalue", "global_clipnorm"}
_BALANCING = {"class_weight", "oversample"}
_OF_UNITS = {"Dense", "LSTM", "GRU", "SimpleRNN"}
_STRAIGHT = {"Dense", "Flatten", "Reshape", "Dropout", "Normalization", "Rescaling", "BatchNormalization"}
_SQUASHING, _MANY = {"sigmoid", "tanh", "hard_sigmoid"}, 3  # layers through which next to no gradient comes back
_FIXED = {"zeros", "ones", "constant"}
_NARROW = 4  # so few units, through which all must go, tell little apart


def had_by(story: Story) -> frozenset[str]:
    """Which of the words above hold for a run."""
    spec, summary = story.spec, story.summary
    dataset, train = spec.get("dataset") or {}, spec.get("train") or {}
    arguments = _arguments(spec.get("optimizer"))
    made = summary.layers if summary is not None else ()
    layers = {*names_in(spec.get("model"))} | {layer.class_name for layer in made}
    callbacks = {*names_in(train.get("callbacks"))}
    shapes = summary.input_shapes.values() if summary is not None else ()
    examples = int((story.data.get("examples") or {}).get("train") or 0)
    found = {
        STOPS: callbacks & _STOPPING,
        SCHEDULE: isinstance(arguments.get("learning_rate"), Mapping) or callbacks & _SCHEDULING,
        DROPOUT: any("dropout" in name.lower() for name in layers),
        PENALIZED: any(name.endswith("_regularizer") for name in layers),
        PENALTY: any(name.endswith("_regularizer") for name in layers) or arguments.get("weight_decay"),
        AUGMENTS: dataset.get("augment"),
        CLIPS: any(arguments.get(name) for name in _CLIPPING),
        GOES_BACK: train.get("divergence"),
        SMOOTHS: "label_smoothing" in names_in(spec.get("loss")),
        BALANCES: any(train.get(name) for name in _BALANCING),
        PICTURES: any(len(shape) == 4 for shape in shapes),
        STANDARDIZED: dataset.get("labels") == "standardized",
        ONE_BATCH: 0 < examples <= int(dataset.get("batch_size") or 0),
        LINEAR: _is_linear(made),
        NARROW: _is_narrow(made),
        RELUS: any(layer.activation == "relu" or layer.class_name == "ReLU" for layer in made),
        SQUASHED: sum(map(_is_squashing, made[:-1])) >= _MANY,
        FIXED: _begins_fixed(spec.get("model")),
    }
    return frozenset(word for word, value in found.items() if value)


def _is_linear(layers: Sequence[LayerSummary]) -> bool:
    """Whether what goes into the last layer's activation is linear in the inputs."""
    straight = all(layer.class_name in _STRAIGHT and not layer.activation for layer in layers[:-1])
    return bool(layers) and straight and layers[-1].class_name == "Dense"


def _is_narrow(layers: Sequence[LayerSummary]) -> bool:
    """Whether a hidden layer has very few units; an output may have as few."""
    read = {name for layer in layers for name in layer.reads}
    return any(
        layer.class_name in _OF_UNITS and bool(layer.activation) and layer.name in read
        and any(0 < (shape[-1] or 0) <= _NARROW for shape in layer.output_shapes)
        for layer in layers
    )  # fmt: skip


def _is_squashing(layer: LayerSummary) -> bool:
    return layer.activation in _SQUASHING and layer.class_name in ("Dense", "Conv1D", "Conv2D", "Activation")


def _begins_fixed(value: Any) -> bool:
    """Whether weights begin alike, or biases with a number: units that are all the same, or that never fire."""
    if isinstance(value, Mapping):
        return any(_is_fixed(str(name), inner) or _begins_fixed(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(_begins_fixed, value))


def _is_fixed(name: str, initializer: Any) -> bool:
    kind = str(next(iter(initializer), "") if isinstance(initializer, Mapping) else initializer).lower()
    return (name == "kernel_initializer" and kind in _FIXED) or (name == "bias_initializer" and kind == "constant")


def names_in(value: Any) -> Iterator[str]:
    """The names of objects and arguments within a part of a spec; not of arguments that say that there is nothing."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if inner or inner == {}:
                yield str(name)
                yield from names_in(inner)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Sequence):
        for one in value:
            yield from names_in(one)


def _arguments(written: Any) -> Mapping[str, Any]:
    """Those of an object, such as the optimizer."""
    if isinstance(written, Mapping) and len(written) == 1:
        [arguments] = written.values()
        return arguments if isinstance(arguments, Mapping) else {}
    return {}


def smoothed(loss: Any) -> str:
    """The crossentropy of a spec with smoothed labels, as it would be written; empty for several losses, or others."""
    [name, *others] = loss if isinstance(loss, Mapping) else [loss]
    kind = "" if others else str(name).replace("_", "").lower()
    if kind == "binarycrossentropy":
        return "BinaryCrossentropy: {label_smoothing: 0.1}"
    return "CategoricalCrossentropy: {label_smoothing: 0.1}" if kind.endswith("categoricalcrossentropy") else ""
