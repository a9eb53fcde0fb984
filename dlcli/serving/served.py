"""The model that is served: what reads requests for it, and its answers to several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.array_reader import ArrayReader
from dlcli.data.dataset import Array, OneOrNamed, for_each
from dlcli.data.image_reader import ImageReader
from dlcli.data.looking import restore_reader
from dlcli.data.record_reader import RecordReader
from dlcli.data.series_reader import SeriesReader
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.data.video_reader import VideoReader
from dlcli.evaluation.inputs import Expected
from dlcli.evaluation.predicting import Predictor, contents_for_files, expected_of
from dlcli.serving.intake import Intake, Taken
from dlcli.serving.numbers import NumbersIntake
from dlcli.serving.refusals import Limits
from dlcli.serving.tables import SeriesIntake, TableIntake, TextIntake
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.choices import EVALUATION_BATCH_SIZE, Choices
from dlcli.training.feeding import Resident, Rows


class Served:
    """A model, ready to answer.

    Args:
        checkpoint: what it is of.
        choices: how its graphs run.
        limits: of one request.

    Attributes:
        intake: makes raw examples of requests.
        together: how many examples are answered at once, if they are of several requests.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UsageError: plain Keras saved it, so nothing is known about its preparation.
    """

    def __init__(self, checkpoint: Checkpoint, choices: Choices, limits: Limits) -> None:
        self.checkpoint = checkpoint
        self.contents = contents_for_files(checkpoint)
        self.intake = intake_of(checkpoint, limits)
        self._predictor = Predictor.of(checkpoint, choices)
        self._targets: dict[int, Any] = {}
        # What a person's own layer makes of an example may depend on the others of its batch.
        layers = self._predictor.engine.model._flatten_layers(include_self=True, recursive=True)
        self._are_apart = all(type(layer).__module__.startswith("keras.") for layer in layers)
        self.together = EVALUATION_BATCH_SIZE if self._are_apart else 1
        self._outputs(for_each(lambda one: np.zeros((1, *one.shape), one.dtype), expected_by(checkpoint)), 1)

    def answers(self, asked: Sequence[Taken]) -> list[list[dict[str, Any]]]:
        """For each request a row an example, as `predict` gives it, with the probabilities of all classes.

        Raises:
            DataError: what one of them holds does not fit the model.
        """
        names = [name for one in asked for name in one.names]
        outputs = self._outputs(self.intake.together([one.values for one in asked]), len(names))
        rows = self._predictor.predictions(outputs, names).rows
        for row, probabilities in zip(rows, self._predictor.probabilities(outputs), strict=True):
            row.update(probabilities)
        ends = np.cumsum([len(one) for one in asked]).tolist()
        return [rows[end - len(one) : end] for one, end in zip(asked, ends, strict=True)]

    def _outputs(self, values: OneOrNamed[Array], count: int) -> OneOrNamed[Array]:
        """What the model gives; of few sizes of batches, so that nothing is made ready anew for each."""
        size = _padded(count) if self._are_apart else count
        if size not in self._targets:
            self._targets[size] = self._predictor.encoding.stand_ins(size)

        def filled(array: Array) -> Any:
            missing = [(0, size - count), *([(0, 0)] * (array.ndim - 1))]
            return tf.constant(np.pad(array, missing) if size > count else array)

        data = Resident(for_each(filled, values), self._targets[size])
        outputs = self._predictor.outputs(Rows(data, np.arange(size)))
        return for_each(lambda array: array[:count], outputs)


def _padded(count: int) -> int:
    """How many examples go through the model instead of so many: 1, 2, 4 … and then whole batches."""
    if count >= EVALUATION_BATCH_SIZE:
        return -(-count // EVALUATION_BATCH_SIZE) * EVALUATION_BATCH_SIZE
    return int(1 << (count - 1).bit_length())


def expected_by(checkpoint: Checkpoint) -> OneOrNamed[Expected]:
    """What raw examples of a checkpoint's model are like; of several inputs, by name."""
    contents = contents_for_files(checkpoint)
    return expected_of(checkpoint.preparation(), contents.data.get("feature_names"))


def intake_of(checkpoint: Checkpoint, limits: Limits) -> Intake:
    """What reads requests for a checkpoint's model. Raises CheckpointError, UsageError."""
    state = contents_for_files(checkpoint).data.get("reader")
    reader = restore_reader(state) if state else None
    if isinstance(reader, TableReader):
        return TableIntake(checkpoint, limits, reader)
    if isinstance(reader, SeriesReader):
        return SeriesIntake(checkpoint, limits, reader)
    if isinstance(reader, TextReader):
        return TextIntake(checkpoint, limits, reader)
    expected = expected_by(checkpoint)
    if isinstance(reader, VideoReader):
        return NumbersIntake(checkpoint, limits, expected, kind="film", suffixes=(".gif", ".npy"))
    if isinstance(reader, ImageReader):
        return NumbersIntake(checkpoint, limits, expected, form=reader.form)
    if isinstance(reader, RecordReader):
        suffixes = (".tfrecord", ".tfrecords", ".npy", ".csv")
        form = reader.pictures.form if reader.pictures is not None else None
        arrays = None if form is not None else reader.arrays
        return NumbersIntake(checkpoint, limits, expected, reader=arrays, form=form, suffixes=suffixes)
    picture = expected if isinstance(expected, Expected) and _is_picture(expected) else None
    arrays = reader if isinstance(reader, ArrayReader) else None
    return NumbersIntake(checkpoint, limits, expected, reader=arrays, form=picture)


def _is_picture(expected: Expected) -> bool:
    return expected.dtype == "uint8" and len(expected.shape) in (2, 3)
