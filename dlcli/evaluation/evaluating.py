"""Evaluation of a trained model on a split: the metrics of training, and figures for each class."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.encoding import choose_encoding
from dlcli.data.loading import load_data
from dlcli.data.preparation import Preparation, fit_preparation
from dlcli.data.where import Where
from dlcli.errors import DataError, UsageError
from dlcli.evaluation.outputs import Outcome, outcome_of
from dlcli.model.building import compile_model, make_layers
from dlcli.spec.loading import LoadedSpec, restore_spec
from dlcli.training.checkpoint import Checkpoint, Contents
from dlcli.training.choices import Choices
from dlcli.training.job import Job, join, reassemble


@dataclass(frozen=True)
class Evaluation:
    """What a model does on one split.

    Attributes:
        split: its name.
        metrics: loss and metrics, as in training.
        classes: for each class its name, precision, recall, F1 and number of examples; empty for a regression.
        confusion: a row a true class, a column a predicted one; empty for a regression.
    """

    split: str
    metrics: dict[str, float]
    classes: list[dict[str, Any]]
    confusion: list[list[int]]


def job_of(checkpoint: Checkpoint, data_spec: LoadedSpec | None, where: Where, choices: Choices) -> Job:
    """A job for a model in a checkpoint of dlcli's, or in a file of plain Keras's, with `data_spec` naming its data.

    Raises:
        CheckpointError: Keras cannot make the model, or must not.
        UsageError: plain Keras saved it, and no data is named.
        DataError: the data cannot be had, or does not fit the model.
    """
    contents = checkpoint.contents
    if contents is None and data_spec is None:
        raise UsageError(
            f"{checkpoint.path} was saved by plain Keras: it does not say which data the model is for.",
            "Name a spec whose `dataset`, `loss` and `metrics` are to be used: --data SPEC.yaml.",
        )
    model = checkpoint.model()
    loaded = data_spec or restore_spec(contents.spec if contents else {})
    compile_model(loaded, model)
    if contents is not None and data_spec is None:
        return _warn_if_changed(reassemble(loaded, checkpoint, contents, model, where, choices), contents, where.notify)
    return _on_other_data(loaded, model, checkpoint, where, choices)


def _warn_if_changed(job: Job, contents: Contents, notify: Callable[[str], None]) -> Job:
    if job.facts.fingerprint != contents.data["fingerprint"]:
        notify(f"The data is not what the model was trained on: {job.facts.origin} has changed since.")
    return job


def _on_other_data(
    loaded: LoadedSpec, model: keras.Model, checkpoint: Checkpoint, where: Where, choices: Choices
) -> Job:
    dataset, splits = load_data(loaded, where)
    if checkpoint.contents is not None:
        preparation = checkpoint.preparation()
        if preparation.raw_shape != dataset.example_shape:
            shapes = f"{list(dataset.example_shape)}, the model's are {list(preparation.raw_shape)}"
            raise DataError(f"The data does not fit the model: its examples have the shape {shapes}.")
    else:
        written = (
            make_layers(loaded, ("dataset", "preparation")) if loaded.spec.dataset.preparation is not None else None
        )
        preparation = _reshaped(fit_preparation(dataset, splits.train, written), model)
    encoding = choose_encoding(loaded, model.output_shape, dataset.classes)
    return join(loaded, dataset, splits, model, preparation, encoding, choices)


def _reshaped(preparation: Preparation, model: keras.Model) -> Preparation:
    """The preparation, ending in the shape that a foreign model takes: 784 numbers, say, for an image of 28×28."""
    wanted, given = tuple(model.input_shape[1:]), preparation.output_shape
    if len(wanted) == len(given) and all(size in (None, other) for size, other in zip(wanted, given, strict=True)):
        return preparation
    sizes = [math.prod(size or 0 for size in shape) for shape in (wanted, given)]
    if sizes[0] != sizes[1] or sizes[0] == 0:
        shapes = f"the shape {list(given)}, the model takes {list(wanted)}"
        raise DataError(f"The data does not fit the model: prepared examples have {shapes}.")
    layers = (*preparation.layers, keras.layers.Reshape(wanted))
    return Preparation(preparation.raw_shape, preparation.raw_dtype, layers)


def evaluate(job: Job, split: str) -> Evaluation:
    """Loss, metrics, and figures for each class, in one pass over the split.

    Raises:
        DataError: the data has no such split.
    """
    rows = job.rows.get(split)
    if rows is None:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    parts: list[Array] = []
    metrics: dict[str, float] = {}
    for progress in job.engine.evaluate(rows, parts.append):
        metrics = progress.logs
    if job.facts.class_names is None:
        return Evaluation(split, metrics, [], [])
    outcome = outcome_of(np.concatenate(parts), job.encoding, from_logits=from_logits(job.loaded))
    truth = np.asarray(rows.data.targets)[rows.order]
    classes, confusion = _by_class(truth, outcome, job.facts.class_names)
    return Evaluation(split, metrics, classes, confusion)


def from_logits(loaded: LoadedSpec) -> bool:
    """Whether the spec's loss takes the model's outputs before softmax or sigmoid."""
    return bool(loaded.spec.loss.arguments.get("from_logits", False))


def _by_class(truth: Array, outcome: Outcome, names: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[list[int]]]:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    labels = list(range(len(names)))
    predicted = outcome.classes
    precision, recall, f1, counts = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0.0)
    rows = [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "examples": int(n)}
        for name, p, r, f, n in zip(names, precision, recall, f1, counts, strict=True)
    ]
    return rows, confusion_matrix(truth, predicted, labels=labels).tolist()
