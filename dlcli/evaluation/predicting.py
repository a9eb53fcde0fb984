"""Predictions of a trained model for new files, or for examples of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.encoding import Encoding
from dlcli.errors import DataError, UsageError
from dlcli.evaluation.evaluating import from_logits
from dlcli.evaluation.inputs import Expected, read_inputs
from dlcli.evaluation.outputs import outcome_of
from dlcli.spec.loading import restore_spec
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.choices import Choices
from dlcli.training.engine import Engine
from dlcli.training.feeding import Feed, Rows, Streamed
from dlcli.training.job import Job


@dataclass(frozen=True)
class Predictions:
    """One row an example.

    Attributes:
        rows: `input`; then `class` and `probability`, or `prediction`; then `true` where it is known.
    """

    rows: list[dict[str, Any]]


def predict_files(checkpoint: Checkpoint, paths: Sequence[Path], choices: Choices) -> Predictions:
    """Predictions for images, arrays and tables.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UsageError: plain Keras saved it, so nothing is known about its preparation.
        DataError: a file does not fit.
    """
    contents = checkpoint.contents
    if contents is None:
        raise UsageError(
            f"{checkpoint.path} was saved by plain Keras: it does not say how its inputs are prepared.",
            "Name a spec whose data and preparation are to be used, and a split: --data SPEC.yaml --split test.",
        )
    preparation = checkpoint.preparation()
    columns = contents.data.get("feature_names")
    inputs = read_inputs(paths, Expected(preparation.raw_shape, preparation.raw_dtype, columns and tuple(columns)))
    model = checkpoint.model()
    encoding = Encoding(**contents.encoding)
    engine = Engine(model, Feed(preparation, encoding), choices=choices)
    unknown = np.zeros(len(inputs.values), np.int32 if encoding.classes else np.float32)
    outputs = _outputs(engine, Rows(Streamed(inputs.values, unknown), np.arange(len(inputs.values))))
    logits = from_logits(restore_spec(contents.spec))
    return _predictions(outputs, encoding, contents.class_names, inputs.names, logits)


def predict_split(job: Job, split: str, first: int | None) -> Predictions:
    """Predictions for the first examples of a split, with what is true of them.

    Raises:
        DataError: the data has no such split.
    """
    if split not in job.rows:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    rows = job.rows[split]
    rows = Rows(rows.data, rows.order[:first])
    outputs = _outputs(job.engine, rows)
    names = [f"{split}[{number}]" for number in range(len(rows))]
    classes = job.facts.class_names
    predictions = _predictions(outputs, job.encoding, classes, names, from_logits(job.loaded))
    truth = np.asarray(rows.data.targets)[rows.order]
    for row, true in zip(predictions.rows, truth, strict=True):
        row["true"] = float(true) if classes is None else classes[int(true)]
    return predictions


def _outputs(engine: Engine, rows: Rows) -> Array:
    parts: list[Array] = []
    for _ in engine.predict(rows, parts.append):
        pass
    return np.concatenate(parts)


def _predictions(
    outputs: Array, encoding: Encoding, class_names: Sequence[str] | None, names: Sequence[str], logits: bool
) -> Predictions:
    if encoding.classes is None:
        rows = [{"input": name, "prediction": float(value)} for name, value in zip(names, outputs[:, 0], strict=True)]
        return Predictions(rows)
    outcome = outcome_of(outputs, encoding, from_logits=logits)
    labels = class_names or [str(number) for number in range(encoding.classes)]
    answers = zip(names, outcome.classes, outcome.probabilities, strict=True)
    rows = [{"input": name, "class": labels[int(c)], "probability": float(p)} for name, c, p in answers]
    return Predictions(rows)
