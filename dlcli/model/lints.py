"""The lints that take the built model to tell: its memory, its weights. What the spec alone tells is in `spec.lints`.

Nothing here imports Keras or TensorFlow: a model's summary, which is plain data, says all that is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from dlcli.errors import Path, Problem
from dlcli.machine import processor_instructions
from dlcli.model.summary import LayerSummary, ModelSummary
from dlcli.model.units import readable_bytes
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.parts import Parts

_ACTIVATION_BYTES = {"float32": 4}  # and 2 in mixed precision
_SHORT_ON_CPU = {
    "mixed_float16": frozenset[str](),
    "mixed_bfloat16": frozenset({"avx512_bf16", "amx_bf16"}),
}
"""for a precision, the instructions one of which a CPU needs for it not to be slow; none: none help"""
_MANY = 10_000_000
_NEARLY_ALL = 0.9
# These hand their input on without a copy of it.
_WITHOUT_COPY = frozenset({"Flatten", "Reshape", "Identity", "ActivityRegularization"})
_BETWEEN = frozenset({"Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "BatchNormalization"})


def _given(argument: str) -> Callable[[KerasObject], int]:
    return lambda optimizer: 1 if optimizer.arguments.get(argument) not in (None, False, 0, 0.0) else 0


# How many numbers an optimizer keeps for each weight that is trained, as its `build` in Keras 3.15.1 makes them. Of one
# that is not here nothing is counted: better too little than a false alarm.
_SLOTS: Mapping[str, Callable[[KerasObject], int]] = {
    "sgd": _given("momentum"),
    "rmsprop": lambda optimizer: 1 + _given("momentum")(optimizer) + _given("centered")(optimizer),
    "adam": lambda optimizer: 2 + _given("amsgrad")(optimizer),
    "adamw": lambda optimizer: 2 + _given("amsgrad")(optimizer),
    **dict.fromkeys(("adamax", "nadam", "adadelta", "ftrl", "lamb", "schedulefreeadamw"), lambda _: 2),
    **dict.fromkeys(("adagrad", "lion", "muon", "adafactor"), lambda _: 1),
}


def lint_model(
    summary: ModelSummary, parts: Parts, memory_bytes: int | None, device: str | None = None
) -> Iterator[Problem]:
    """The warnings about a model that has been built for a spec with these sections.

    Args:
        summary: of the model.
        parts: the sections of the spec that have no mistake.
        memory_bytes: what the machine has; None if that is not known, and nothing is said of memory then.
        device: "cpu" or "gpu"; None if it is not known what is going to train the model.
    """
    places = _places(summary, parts)
    found: tuple[tuple[str, Iterator[Problem]], ...] = (
        ("out-of-memory", _out_of_memory(summary, parts, memory_bytes, places)),
        ("slow-precision", _slow_precision(parts, device)),
        ("nothing-to-train", _nothing_to_train(summary)),
        ("dense-after-flatten", _dense_after_flatten(summary, places)),
    )
    for code, problems in found:
        yield from (replace(problem, code=code) for problem in problems)


def _places(summary: ModelSummary, parts: Parts) -> Mapping[str, Path]:
    """Where the layers are written, by name; nothing if they do not stand in the model as in the spec."""
    if parts.model is None:
        return {}
    written = [
        ("model", "layers", number)
        for number, entry in enumerate(parts.model.layers)
        for _ in range(entry.repeat)
        if entry.layer.name not in ("Input", "InputLayer")
    ]
    layers = summary.layers
    if len(written) != len(layers) or not summary.is_stack:
        named = {entry.name: number for number, entry in enumerate(parts.model.layers) if entry.name is not None}
        return {layer.name: ("model", "layers", named[layer.name]) for layer in layers if layer.name in named}
    return {layer.name: path for layer, path in zip(layers, written, strict=True)}


@dataclass(frozen=True)
class _Need:
    """What training takes at once, in bytes: a lower bound, without what TensorFlow itself needs."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


def _need(summary: ModelSummary, parts: Parts) -> _Need:
    weights = [weight for layer in summary.layers for weight in layer.weights if not weight.shared]
    trained = sum(weight.bytes for weight in weights if weight.trainable)
    batch_size = parts.dataset.batch_size if parts.dataset is not None else 1
    values = _with_copies(summary).activation_values
    return _Need(
        weights=summary.weight_bytes,
        gradients=trained,
        optimizer=trained * (_slots(parts.optimizer) if parts.optimizer is not None else 0),
        activations=(values or 0) * batch_size * _ACTIVATION_BYTES.get(parts.precision or "float32", 2),
    )


def _with_copies(summary: ModelSummary) -> ModelSummary:
    """Without the layers that hand their input on as it is."""
    layers = (
        replace(layer, inner=_with_copies(layer.inner)) if layer.inner is not None else layer
        for layer in summary.layers
        if layer.class_name not in _WITHOUT_COPY
    )
    return replace(summary, layers=tuple(layers))


def _slots(optimizer: KerasObject) -> int:
    """How many numbers the optimizer keeps for each trained weight."""
    slots = _SLOTS.get(optimizer.name.lower())
    count = slots(optimizer) if slots is not None else 0
    return count + _given("use_ema")(optimizer) + _given("gradient_accumulation_steps")(optimizer)


def _out_of_memory(
    summary: ModelSummary, parts: Parts, memory_bytes: int | None, places: Mapping[str, Path]
) -> Iterator[Problem]:
    need = _need(summary, parts)
    if memory_bytes is None or need.total <= memory_bytes:
        return
    batch_size = parts.dataset.batch_size if parts.dataset is not None else 1
    fixed = need.total - need.activations
    name = parts.optimizer.name if parts.optimizer is not None else "the optimizer"
    trail = (
        f"weights: {readable_bytes(need.weights)}",
        f"their gradients: {readable_bytes(need.gradients)}",
        f"what {name} keeps: {readable_bytes(need.optimizer)}",
        f"what the layers put out, for a batch of {batch_size:,}: {readable_bytes(need.activations)}",
    )
    message = (
        f"Training needs at least {readable_bytes(need.total)} of memory, but this machine has "
        f"{readable_bytes(memory_bytes)}: it will be stopped by the system, or crawl."
    )
    fitting = (memory_bytes - fixed) * batch_size // need.activations if need.activations else 0
    if fitting >= 1:
        hint = f"Use a smaller batch: at most `batch_size: {_power_of_two(fitting)}`."
        yield Problem(message, ("dataset", "batch_size"), hint, trail=trail)
        return
    largest = max(summary.layers, key=lambda layer: layer.unshared_parameters)
    hint = f"Make `{largest.name}` smaller: it has {largest.parameters:,} of {summary.parameters:,} parameters."
    yield Problem(message, places.get(largest.name, ("model", "layers")), hint, trail=trail)


def _slow_precision(parts: Parts, device: str | None) -> Iterator[Problem]:
    if device != "cpu" or parts.precision not in _SHORT_ON_CPU:
        return
    if _SHORT_ON_CPU[parts.precision] & processor_instructions():
        return
    if parts.precision == "mixed_float16":
        message = (
            "The model computes in float16 on a CPU, for which TensorFlow has no fast ways: a step of three small "
            "networks took 16 to 200 times as long as in float32."
        )
        hint = "Use `mixed_bfloat16`, or `float32`; on a GPU, `mixed_float16` is right."
    else:
        message = (
            "The model computes in bfloat16 on a CPU that has no instructions for it (AVX512_BF16 or AMX): a step of "
            "two small networks took 2.2 and 2.4 times as long as in float32."
        )
        hint = "Use `float32` here."
    yield Problem(message, ("precision",), hint)


def _power_of_two(at_most: int) -> int:
    return 1 << (at_most.bit_length() - 1)


def _nothing_to_train(summary: ModelSummary) -> Iterator[Problem]:
    if summary.trainable_parameters == 0:
        frozen = f"all its {summary.parameters:,} weights are frozen" if summary.parameters else "it has no weights"
        yield Problem(
            f"The model has nothing to train: {frozen}, so that no epoch changes it.",
            ("model", "layers"),
            "Remove `trainable: false` somewhere." if summary.parameters else "Add a layer with weights, as `Dense`.",
        )


def _dense_after_flatten(summary: ModelSummary, places: Mapping[str, Path]) -> Iterator[Problem]:
    by_name = {layer.name: layer for layer in summary.layers}
    for layer in summary.layers:
        count = layer.unshared_parameters
        is_nearly_all = summary.parameters > _MANY and count > _NEARLY_ALL * summary.parameters
        if layer.class_name == "Dense" and is_nearly_all and _is_behind_flatten(layer, by_name):
            yield Problem(
                f"{count:,} of the model's {summary.parameters:,} parameters are in this one `Dense` layer, since "
                "`Flatten` hands it every value of every channel: slow to train, large to keep, and quick to learn "
                "the training examples by heart.",
                places.get(layer.name, ("model", "layers")),
                "Put `GlobalAveragePooling2D` in place of `Flatten`, or more pooling before it.",
            )


def _is_behind_flatten(layer: LayerSummary, by_name: Mapping[str, LayerSummary]) -> bool:
    """Whether it reads a Flatten of what layers have put out, not of the input itself, perhaps through a dropout."""
    above = by_name.get(layer.reads[0]) if len(layer.reads) == 1 else None
    while above is not None and above.class_name in _BETWEEN and len(above.reads) == 1:
        above = by_name.get(above.reads[0])
    return above is not None and above.class_name == "Flatten" and above.reads[0] in by_name
