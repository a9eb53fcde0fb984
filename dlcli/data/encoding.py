"""How targets are encoded for the loss: integers, one-hot, one number. Decided from loss, classes and output units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dlcli.errors import Problem
from dlcli.spec.loading import LoadedSpec


@dataclass(frozen=True)
class Encoding:
    """How targets reach the loss.

    Attributes:
        kind: "integer": class numbers, shape (n, 1); "one_hot": shape (n, classes); "binary": 0.0 or 1.0, shape (n, 1);
            "number": the value of a regression, shape (n, 1).
        classes: how many; None for a regression.
    """

    kind: str
    classes: int | None

    def apply(self, targets: Any) -> Any:
        """Encode a batch of raw targets, shape (n,), inside a TensorFlow graph or outside."""
        import tensorflow as tf

        if self.kind == "one_hot":
            return tf.one_hot(targets, self.classes, dtype=tf.float32)
        column = tf.expand_dims(targets, -1)
        return column if self.kind == "integer" else tf.cast(column, tf.float32)


def choose_encoding(loaded: LoadedSpec, output_shape: tuple[int | None, ...], classes: int | None) -> Encoding:
    """The encoding that fits the spec's loss and the model's output, of `output_shape` with the batch axis.

    Raises:
        SpecError: no encoding does; the message says which of the three to change.
    """
    spec = loaded.spec
    loss = snake_case(spec.loss.name)
    last = ("model", "layers", len(spec.model.layers) - 1)
    if len(output_shape) != 2 or output_shape[1] is None:
        shape = "×".join("?" if size is None else str(size) for size in output_shape[1:])
        message = f"The model ends with an output of shape {shape}, but the data has one label for each example."
        raise loaded.error(Problem(message, last, _one_output(loaded, len(output_shape) - 1)))
    units = output_shape[1]
    if classes is None:
        return _for_numbers(loaded, loss, units)
    problem = _mismatch(loss, units, classes, spec.dataset.labels)
    if problem is not None:
        message, where, hint = problem
        path = {"loss": ("loss",), "units": last, "labels": ("dataset", "labels")}[where]
        raise loaded.error(Problem(message, path, hint))
    _check_metrics(loaded, loss == "sparse_categorical_crossentropy")
    if loss == "sparse_categorical_crossentropy":
        return Encoding("integer", classes)
    if classes == 2 and units == 1:
        return Encoding("binary", classes)
    return Encoding("integer" if spec.dataset.labels == "integer" else "one_hot", classes)


def _one_output(loaded: LoadedSpec, axes: int) -> str:
    """How to come to one row of outputs for each example."""
    layers = loaded.spec.model.layers
    if layers[-1].layer.name != "Dense":
        return "End with `Flatten` (or a global pooling layer) and `Dense`."
    kept = [entry.layer.name for entry in layers if entry.layer.arguments.get("return_sequences") is True]
    if axes == 2 and kept:
        return f"Leave `return_sequences` out of the last `{kept[-1]}`: it keeps every step."
    return "Put `Flatten`, or a global pooling layer, before this `Dense`."


def _check_metrics(loaded: LoadedSpec, integers: bool) -> None:
    """A metric for class numbers counts nonsense on one-hot labels, and the reverse; Keras says nothing."""
    problems = []
    for number, metric in enumerate(loaded.spec.metrics):
        name = snake_case(metric.name)
        is_for_integers = name.startswith("sparse_")
        if (is_for_integers and not integers) or (integers and name.startswith(("categorical_", "top_k_categorical"))):
            needs, gets = (
                ("class numbers", "one-hot labels") if is_for_integers else ("one-hot labels", "class numbers")
            )
            message = f"The metric `{metric.name}` needs {needs}, but the loss has {gets}."
            problems.append(Problem(message, ("metrics", number), "`accuracy` fits either."))
    if problems:
        raise loaded.error(*problems)


def _for_numbers(loaded: LoadedSpec, loss: str, units: int) -> Encoding:
    if "crossentropy" in loss or "cross_entropy" in loss or "hinge" in loss:
        message = f"`{loaded.spec.loss.name}` compares classes, but the target of this dataset is a number."
        raise loaded.error(Problem(message, ("loss",), "Use a loss for numbers, such as `mean_squared_error`."))
    if units != 1:
        message = f"The model gives {units} numbers, but the target of this dataset is one number."
        last = ("model", "layers", len(loaded.spec.model.layers) - 1)
        raise loaded.error(Problem(message, last, "End with `Dense: {units: 1}`."))
    return Encoding("number", None)


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
