"""How targets are encoded for the loss: integers, one-hot, one number. Decided from loss, classes and output units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.data.dataset import OneOrNamed, Shape
from dlcli.errors import Problem
from dlcli.spec.heads import Head, heads_of
from dlcli.spec.loading import LoadedSpec

_FOR_CLASSES = ("crossentropy", "cross_entropy", "hinge", "dice", "tversky", "circle_loss", "kl_divergence")


@dataclass(frozen=True)
class Encoding:
    """How targets reach the loss.

    Attributes:
        kind: "integer": class numbers, shape (n, 1); "one_hot": shape (n, classes); "binary": 0.0 or 1.0, shape (n, 1);
            "number": the value of a regression, shape (n, 1); "standardized": (value - mean) / deviation of such, shape
            (n, 1); "input": the prepared input itself.
        classes: how many; None for a regression.
        mean: of the training examples' values, where they are standardized.
        deviation: of the same.
    """

    kind: str
    classes: int | None
    mean: float = 0.0
    deviation: float = 1.0

    def apply(self, targets: Any) -> Any:
        """Encode a batch of raw targets, shape (n,), inside a TensorFlow graph or outside."""
        import tensorflow as tf

        if self.kind == "one_hot":
            return tf.one_hot(targets, self.classes, dtype=tf.float32)
        column = tf.expand_dims(targets, -1)
        if self.kind == "integer":
            return column
        numbers = tf.cast(column, tf.float32)
        return (numbers - self.mean) / self.deviation if self.kind == "standardized" else numbers

    def restore(self, values: Any) -> Any:
        """Encoded targets, or outputs, in the targets' own units: a tensor or an array; others stay as they are."""
        return values * self.deviation + self.mean if self.kind == "standardized" else values

    def stand_ins(self, count: int) -> Any:
        """So many raw targets of zeros."""
        import tensorflow as tf

        return tf.zeros((count,), tf.int32 if self.classes else tf.float32)

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        state: dict[str, Any] = {"kind": self.kind, "classes": self.classes}
        return {**state, "mean": self.mean, "deviation": self.deviation} if self.kind == "standardized" else state


@dataclass(frozen=True)
class Encodings:
    """An encoding for each of several targets, by name."""

    each: Mapping[str, Encoding]

    def apply(self, targets: Mapping[str, Any]) -> dict[str, Any]:
        """Encode a batch of raw targets."""
        return {name: one.apply(targets[name]) for name, one in self.each.items()}

    def restore(self, values: Any) -> dict[str, Any]:
        """Encoded targets, or outputs, in the targets' own units; see `Encoding.restore`."""
        return {name: one.restore(values[name]) for name, one in self.each.items()}

    def stand_ins(self, count: int) -> dict[str, Any]:
        """So many raw targets of zeros."""
        return {name: one.stand_ins(count) for name, one in self.each.items()}

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return {"outputs": {name: one.state() for name, one in self.each.items()}}


AnyEncoding = Encoding | Encodings


def restore_encoding(state: Mapping[str, Any]) -> AnyEncoding:
    """The encoding that `state` described."""
    if "outputs" in state:
        return Encodings({name: Encoding(**one) for name, one in state["outputs"].items()})
    return Encoding(**state)


def choose_encoding(
    loaded: LoadedSpec, input_shape: OneOrNamed[Shape], output_shape: OneOrNamed[Shape], classes: OneOrNamed[int | None]
) -> AnyEncoding:
    """The encoding that fits the spec's losses and the model's outputs.

    Args:
        loaded: the spec.
        input_shape: of a prepared example, without the batch axis; of each of several inputs, by name.
        output_shape: of the model, with the batch axis; of each of several outputs, by name.
        classes: how many the data has, None for a number; of each of several targets, by name.

    Raises:
        SpecError: no encoding does; the message says which of the three to change.
    """
    heads = heads_of(loaded.spec)
    if loaded.spec.dataset.labels == "input":
        return _for_input(loaded, input_shape, output_shape)
    known = {name: classes[name] if isinstance(classes, Mapping) else classes for name in heads}
    if loaded.spec.dataset.labels == "standardized" and None not in known.values():
        message = "`labels: standardized` is for numbers, but what this dataset asks for are classes."
        raise loaded.error(Problem(message, ("dataset", "labels"), "Leave `labels` out."))
    if not isinstance(output_shape, Mapping):
        [head] = heads.values()
        return _encoding_of(loaded, head, tuple(output_shape), known[head.name])
    return Encodings(
        {name: _encoding_of(loaded, head, tuple(output_shape[name]), known[name]) for name, head in heads.items()}
    )


def _for_input(loaded: LoadedSpec, input_shape: OneOrNamed[Shape], output_shape: OneOrNamed[Shape]) -> Encoding:
    if isinstance(input_shape, Mapping) or isinstance(output_shape, Mapping):
        message = "`labels: input` is for models with one input and one output."
        raise loaded.error(Problem(message, ("dataset", "labels")))
    if tuple(output_shape[1:]) != tuple(input_shape):
        given, wanted = ("×".join(map(str, shape)) for shape in (output_shape[1:], input_shape))
        [head] = heads_of(loaded.spec).values()
        message = f"The model is to give what it gets, of shape {wanted}, but it gives {given}."
        raise loaded.error(Problem(message, head.layer_path, "End with a layer of that shape."))
    [head] = heads_of(loaded.spec).values()
    if re.match("sparse_|categorical_", snake_case(head.loss.name)):
        message = f"`{head.loss.name}` compares classes, but the model is to give what it gets."
        hint = "Use `mean_squared_error`; or `binary_crossentropy`, where all is from 0 to 1."
        raise loaded.error(Problem(message, head.loss_path, hint))
    return Encoding("input", None)


def _encoding_of(loaded: LoadedSpec, head: Head, output_shape: Shape, classes: int | None) -> Encoding:
    labels = loaded.spec.dataset.labels
    loss = snake_case(head.loss.name)
    layer = head.layer_path
    if len(output_shape) != 2 or output_shape[1] is None:
        shape = "×".join("?" if size is None else str(size) for size in output_shape[1:])
        message = f"The model ends with an output of shape {shape}, but the data has one label for each example."
        raise loaded.error(Problem(message, layer, _one_output(head, len(output_shape) - 1)))
    units = output_shape[1]
    if classes is None:
        return _for_numbers(loaded, head, loss, units)
    problem = _mismatch(loss, units, classes, labels)
    if problem is not None:
        message, where, hint = problem
        path = {"loss": head.loss_path, "units": layer, "labels": ("dataset", "labels")}[where]
        raise loaded.error(Problem(message, path, hint))
    _check_metrics(loaded, head, loss == "sparse_categorical_crossentropy")
    if loss == "sparse_categorical_crossentropy":
        return Encoding("integer", classes)
    if classes == 2 and units == 1:
        return Encoding("binary", classes)
    return Encoding("integer" if labels == "integer" else "one_hot", classes)


def _one_output(head: Head, axes: int) -> str:
    """How to come to one row of outputs for each example."""
    layers = head.beside
    if layers[int(head.layer_path[-1])].layer.name != "Dense":
        return "End with `Flatten` (or a global pooling layer) and `Dense`."
    kept = [entry.layer.name for entry in layers if entry.layer.arguments.get("return_sequences") is True]
    if axes == 2 and kept:
        return f"Leave `return_sequences` out of the last `{kept[-1]}`: it keeps every step."
    return "Put `Flatten`, or a global pooling layer, before this `Dense`."


def _check_metrics(loaded: LoadedSpec, head: Head, integers: bool) -> None:
    """A metric for class numbers counts nonsense on one-hot labels, and the reverse; Keras says nothing."""
    problems = []
    for metric, path in head.metrics:
        name = snake_case(metric.name)
        is_for_integers = name.startswith("sparse_")
        if (is_for_integers and not integers) or (integers and name.startswith(("categorical_", "top_k_categorical"))):
            needs, gets = (
                ("class numbers", "one-hot labels") if is_for_integers else ("one-hot labels", "class numbers")
            )
            message = f"The metric `{metric.name}` needs {needs}, but the loss has {gets}."
            problems.append(Problem(message, path, "`accuracy` fits either."))
    if problems:
        raise loaded.error(*problems)


def _for_numbers(loaded: LoadedSpec, head: Head, loss: str, units: int) -> Encoding:
    if "crossentropy" in loss or "cross_entropy" in loss or "hinge" in loss:
        message = f"`{head.loss.name}` compares classes, but the target of this dataset is a number."
        hint = "Use a loss for numbers, such as `mean_squared_error`."
        raise loaded.error(Problem(message, head.loss_path, hint))
    if units != 1:
        message = f"The model gives {units} numbers, but the target of this dataset is one number."
        raise loaded.error(Problem(message, head.layer_path, "End with `Dense: {units: 1}`."))
    return Encoding("standardized" if loaded.spec.dataset.labels == "standardized" else "number", None)


def _mismatch(loss: str, units: int, classes: int, labels: str) -> tuple[str, str, str] | None:
    """What is wrong, where ("loss", "units" or "labels"), and what to do; None if all fits."""
    wants_integers = loss == "sparse_categorical_crossentropy"
    if wants_integers and labels == "one_hot":
        return (
            "`sparse_categorical_crossentropy` needs class numbers, but `dataset.labels` is `one_hot`.", "labels",
            "Leave `labels` out, or use `categorical_crossentropy`.",
        )  # fmt: skip
    if labels == "integer" and units > 1 and not wants_integers:
        return (
            f"`{loss}` needs one-hot labels, but `dataset.labels` is `integer`.", "labels",
            "Leave `labels` out, or use `sparse_categorical_crossentropy`.",
        )  # fmt: skip
    if units == classes:
        return None
    if units == 1 and classes == 2:
        if wants_integers or loss.startswith("categorical"):
            return (
                f"`{loss}` compares one output for each class, but the model has a single output.", "loss",
                "Use `binary_crossentropy`, or end with `Dense: {units: 2, activation: softmax}`.",
            )  # fmt: skip
        return None
    hint = f"Give the last layer `units: {classes}`."
    if units == 1:
        hint = f"End with `Dense: {{units: {classes}, activation: softmax}}`, and use `categorical_crossentropy`."
    message = f"The data has {classes} classes, but the model has {units} output{'s' if units > 1 else ''}."
    return message, "units", hint


def snake_case(name: str) -> str:
    """`SparseCategoricalCrossentropy` as `sparse_categorical_crossentropy`; lower-case names stay as they are."""
    if name.islower():
        return name
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z])", r"\1_\2", name)).lower()


def compares_classes(loss: str) -> bool:
    """Whether a loss, by its name in small letters, is for classes: whole numbers are then their names."""
    return any(part in loss for part in _FOR_CLASSES)
