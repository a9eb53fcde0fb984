"""Predictions of a trained model for new files, or for examples of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array, ClassNames, OneOrNamed, for_each, named
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings, restore_encoding
from dlcli.data.looking import restore_reader
from dlcli.data.preparation import AnyPreparation, Preparations
from dlcli.errors import DataError, UsageError
from dlcli.evaluation.evaluating import from_logits, outputs_of
from dlcli.evaluation.inputs import Expected, Inputs, read_inputs
from dlcli.evaluation.outputs import outcome_of, scores_of
from dlcli.spec.loading import restore_spec
from dlcli.training.checkpoint import Checkpoint, Contents
from dlcli.training.choices import Choices
from dlcli.training.engine import Engine
from dlcli.training.failing import spoken
from dlcli.training.feeding import Feed, Rows, Streamed
from dlcli.training.job import Job


@dataclass(frozen=True)
class Predictions:
    """One row an example.

    Attributes:
        rows: `input`; then `class` and `probability`, or `prediction`; then `true` where it is known. Of several
            outputs, say `kind` and `size`: `kind`, `kind_probability` and `size`; then `true_kind` and `true_size`.
            Where a model gives more than a number, `prediction` is a list, as deep as the output has axes.
        outputs: what the model gives, shape (n, ...), by name if there are several; numbers in the targets' units.
    """

    rows: list[dict[str, Any]]
    outputs: OneOrNamed[Array]


def predict_files(checkpoint: Checkpoint, paths: Sequence[Path], choices: Choices) -> Predictions:
    """Predictions for images, arrays and tables.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UsageError: plain Keras saved it, so nothing is known about its preparation.
        DataError: a file does not fit.
    """
    inputs = raw_inputs(checkpoint, paths)
    predictor = Predictor.of(checkpoint, choices)
    outputs = outputs_for(predictor.engine, inputs.values, predictor.encoding)
    return predictor.predictions(outputs, inputs.names)


@dataclass(frozen=True)
class Predictor:
    """A model, and how raw examples become what it takes, and its outputs become answers.

    Attributes:
        engine: runs the model.
        encoding: of what it was trained to answer.
        class_names: the classes in the order of their numbers; None for a number; of several outputs, by name.
        logits: whether outputs are those before softmax or sigmoid; of several, by name.
    """

    engine: Engine
    encoding: AnyEncoding
    class_names: Any
    logits: OneOrNamed[bool]

    @classmethod
    def of(cls, checkpoint: Checkpoint, choices: Choices) -> Predictor:
        """What a checkpoint holds.

        Raises:
            CheckpointError: the checkpoint cannot be used.
            UsageError: plain Keras saved it, so nothing is known about its preparation.
        """
        contents = contents_for_files(checkpoint)
        preparation = checkpoint.preparation()
        encoding = restore_encoding(contents.encoding)
        engine = Engine(checkpoint.model(), Feed(preparation, encoding), choices=choices)
        logits = from_logits(restore_spec(contents.spec), _each(encoding))
        return cls(engine, encoding, contents.class_names, logits)

    def outputs(self, rows: Rows) -> OneOrNamed[Array]:
        """What the model gives for rows, shape (n, ...), by name if there are several; numbers in the targets' units.

        Raises:
            DataError: the model cannot be computed on them.
        """
        return _outputs(self.engine, rows, self.encoding)

    def predictions(self, outputs: OneOrNamed[Array], names: Sequence[str]) -> Predictions:
        """The answers that outputs give, for examples of these names."""
        return _predictions(outputs, self.encoding, self.class_names, names, self.logits)

    def probabilities(self, outputs: OneOrNamed[Array]) -> list[dict[str, dict[str, float]]]:
        """Of each example the probability of each class by its name, as `probabilities`; of several outputs, say
        `kind`, as `kind_probabilities`. Nothing for outputs that are numbers.
        """
        found: list[dict[str, dict[str, float]]] = [{} for _ in next(iter(named(outputs).values()))]
        each = for_each(_scores, outputs, _each(self.encoding), self.class_names, self.logits)
        for output, scores in named(each).items():
            for row, shares in zip(found, scores, strict=False):
                row[f"{output}_probabilities" if output else "probabilities"] = shares
        return found


def _each(encoding: AnyEncoding) -> OneOrNamed[Encoding]:
    return encoding.each if isinstance(encoding, Encodings) else encoding


def _labels(encoding: Encoding, classes: Sequence[str] | None) -> Sequence[str]:
    return classes or [str(number) for number in range(encoding.classes or 0)]


def _scores(outputs: Array, encoding: Encoding, classes: Sequence[str] | None, logits: bool) -> list[dict[str, float]]:
    if encoding.kind == "input" or encoding.classes is None:
        return []
    labels = _labels(encoding, classes)
    return [dict(zip(labels, map(float, row), strict=True)) for row in scores_of(outputs, encoding, from_logits=logits)]


def outputs_for(engine: Engine, inputs: OneOrNamed[Array], encoding: AnyEncoding) -> OneOrNamed[Array]:
    """What a model gives for raw examples, shape (n, ...), in the targets' units; by name if there are several.

    Raises:
        DataError: the model cannot be computed on them.
    """
    count = len(next(iter(named(inputs).values())))
    unknown = for_each(np.asarray, encoding.stand_ins(count))
    return _outputs(engine, Rows(Streamed(inputs, unknown), np.arange(count)), encoding)


def contents_for_files(checkpoint: Checkpoint) -> Contents:
    """What the checkpoint says of its inputs. Raises UsageError if plain Keras saved it."""
    if checkpoint.contents is None:
        raise UsageError(
            f"{checkpoint.path} was saved by plain Keras: it does not say how its inputs are prepared.",
            "Name a spec whose data and preparation are to be used, and a split: --data SPEC.yaml --split test.",
        )
    return checkpoint.contents


def raw_inputs(checkpoint: Checkpoint, paths: Sequence[Path]) -> Inputs:
    """Raw examples of files, made numbers as in training.

    Raises:
        UsageError: plain Keras saved the checkpoint, so nothing is known about its inputs.
        DataError: a file does not fit.
    """
    contents = contents_for_files(checkpoint)
    reader = restore_reader(contents.data["reader"]) if contents.data.get("reader") else None
    if reader is not None and all(map(reader.reads, paths)):
        return Inputs(*reader.raw_inputs(paths))
    return read_inputs(paths, expected_of(checkpoint.preparation(), contents.data.get("feature_names")))


def expected_of(preparation: AnyPreparation, columns: Sequence[str] | None) -> OneOrNamed[Expected]:
    """What raw examples are like, of a table with these columns; of several inputs, by name."""
    if isinstance(preparation, Preparations):
        return {name: Expected(one.raw_shape, one.raw_dtype, None) for name, one in preparation.each.items()}
    return Expected(preparation.raw_shape, preparation.raw_dtype, tuple(columns) if columns else None)


def predict_split(job: Job, split: str, first: int | None) -> Predictions:
    """Predictions for the first examples of a split, with what is true of them.

    Raises:
        DataError: the data has no such split.
    """
    if split not in job.rows:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    rows = job.rows[split]
    rows = Rows(rows.data, rows.order[:first])
    outputs = _outputs(job.engine, rows, job.encoding)
    names = [f"{split}[{number}]" for number in range(len(rows))]
    logits = from_logits(job.loaded, outputs)
    predictions = _predictions(outputs, job.encoding, job.facts.class_names, names, logits)

    def true(targets: Any, classes: ClassNames) -> list[Any]:
        values = np.asarray(targets)[rows.order]
        return [float(value) if classes is None else classes[int(value)] for value in values]

    if isinstance(job.encoding, Encoding) and job.encoding.kind == "input":
        return predictions
    truth = for_each(true, rows.data.targets, job.facts.class_names)
    for name, values in named(truth).items():
        for row, value in zip(predictions.rows, values, strict=True):
            row[f"true_{name}" if name else "true"] = value
    return predictions


def _outputs(engine: Engine, rows: Rows, encoding: AnyEncoding) -> OneOrNamed[Array]:
    parts: list[Any] = []
    try:
        for _ in engine.predict(rows, parts.append):
            pass
    except tf.errors.OpError as error:
        place, why = spoken(error)
        raise DataError(f"The model cannot be computed on this{place}: {why}.") from error
    outputs: OneOrNamed[Array] = encoding.restore(outputs_of(parts, encoding))
    return outputs


def _predictions(
    outputs: OneOrNamed[Array],
    encoding: AnyEncoding,
    class_names: Any,
    names: Sequence[str],
    logits: OneOrNamed[bool],
) -> Predictions:
    answers = for_each(_answers, outputs, _each(encoding), class_names, logits)
    rows: list[dict[str, Any]] = [{"input": name} for name in names]
    for output, found in named(answers).items():
        for row, answer in zip(rows, found, strict=True):
            row.update({_column(output, column): value for column, value in answer.items()})
    return Predictions(rows, outputs)


def _column(output: str, column: str) -> str:
    """`class` and `probability` of several outputs are `kind` and `kind_probability`."""
    if not output:
        return column
    return f"{output}_probability" if column == "probability" else output


def _answers(outputs: Array, encoding: Encoding, classes: Sequence[str] | None, logits: bool) -> list[dict[str, Any]]:
    if encoding.kind == "input":
        return [{"prediction": value.tolist()} for value in outputs]
    if encoding.classes is None:
        return [{"prediction": float(value)} for value in outputs[:, 0]]
    outcome = outcome_of(outputs, encoding, from_logits=logits)
    labels = _labels(encoding, classes)
    found = zip(outcome.classes, outcome.probabilities, strict=True)
    return [{"class": labels[int(number)], "probability": float(share)} for number, share in found]
