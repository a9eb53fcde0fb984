"""Exports a trained model: writes it, loads it by the format's own runtime, and compares its answers with dlcli's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, OneOrNamed, for_each, named
from dlcli.data.where import Where
from dlcli.errors import DlcliError, RunError
from dlcli.evaluation.evaluating import job_of
from dlcli.exporting.checking import Score, Takes, answers, largest_difference, own_answers, scores
from dlcli.exporting.formats import PRECISIONS, Format, Run, Tensors
from dlcli.exporting.parts import steps_needed
from dlcli.exporting.places import SIGNATURE, new_folder
from dlcli.exporting.samples import Samples, chosen, rows_of, samples_of
from dlcli.exporting.subject import Subject
from dlcli.exporting.tracing import not_held
from dlcli.exporting.writing import size_of, write_around
from dlcli.files import write_json
from dlcli.spec.source import INPUT
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.choices import Choices
from dlcli.training.job import Job

_CALIBRATED, _SCORED = 256, 1000
_OTHERS = "Another format may hold the model; `keras` and `savedmodel` hold most."


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        form: the format.
        precision: "float32", "float16" or "int8".
        folder: the one to write.
        overwrite: whether a model that was exported there before may go.
    """

    form: Format
    precision: str
    folder: Path
    overwrite: bool


@dataclass(frozen=True)
class Compared:
    """How far an exported model's answers are from dlcli's, on some examples."""

    what: str
    examples: int
    origin: str
    largest_difference: float
    tolerance: float


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: where.
        size: of the model, in bytes.
        compared: how it answers.
        scores: what float16 or int8 cost; empty for float32.
    """

    folder: Path
    size: int
    compared: list[Compared]
    scores: list[Score] = field(default_factory=list)


def export(checkpoint: Checkpoint, request: Request, where: Where, choices: Choices) -> Exported:
    """Write a model in another format.

    Args:
        checkpoint: the trained model.
        request: what is asked for.
        where: where its data may be.
        choices: how dlcli's own graphs run.

    Raises:
        UsageError: the format cannot hold the model.
        DataError: int8 or float16 is asked for, and the data cannot be reached.
        RunError: the folder cannot be written, or the exported model answers otherwise than dlcli.
    """
    with new_folder(request.folder, overwrite=request.overwrite) as folder:
        subject = Subject.of(checkpoint)
        trained_in = subject.loaded.spec.precision
        if trained_in != "float32":
            where.notify(f"It was trained in {trained_in}: what is exported computes in float32, and so is compared.")

        @cache
        def load() -> Job:
            return job_of(checkpoint, None, where, choices)

        exported = _Exporting(subject, request, folder, choices).run(where, load)
    return replace(exported, folder=request.folder)


@dataclass(frozen=True)
class _Exporting:
    """One export, into a folder that is not in its place yet."""

    subject: Subject
    request: Request
    folder: Path
    choices: Choices

    @property
    def path(self) -> Path:
        """Of the model."""
        return self.folder / self.request.form.file

    def run(self, where: Where, load: Callable[[], Job]) -> Exported:
        """Write, load and compare."""
        form, precision = self.request.form, self.request.precision
        writer = form.writer
        taken = [one for each in writer.taken(self.subject.parts).values() for one in each]
        takes = Takes(list({one.name: one for one in taken}.values()), steps_needed(taken), form.batch_size)
        job = None if precision == "float32" else load()
        calibration = self._calibration(takes, job)
        try:
            writer.write(self.subject, self.path, precision, calibration)
        except (DlcliError, OSError):
            raise
        except Exception as error:  # whatever a converter raises
            raise not_held(self.subject.model, error, form.name) from error
        samples = samples_of(self.subject, where, load)
        signature = write_around(self.folder, form, precision, self.subject, takes, samples[0].first())
        found = [self._compare(takes, one) for one in samples if not one.is_files or form.name == "savedmodel"]
        run = writer.load(self.path, files=False)
        worth = [] if job is None else self._scores(takes, run, job)
        measured = {"compared": [vars(one) for one in found], "scores": [vars(one) for one in worth]}
        write_json(self.folder / SIGNATURE, {**signature, **measured})
        return Exported(self.request.folder, size_of(self.path), found, worth)

    def _compare(self, takes: Takes, samples: Samples) -> Compared:
        """Raises RunError if the answers are too far from dlcli's."""
        tolerance = PRECISIONS[self.request.precision]
        wanted = own_answers(self.subject, samples.inputs, self.choices)
        try:
            run = self.request.form.writer.load(self.path, files=samples.is_files)
            found = answers(run, takes.batches(samples.raw))
            difference = largest_difference(found, wanted, is_coarse=self.request.precision == "int8")
        except Exception as error:  # whatever a runtime raises
            first = next(iter(str(error).splitlines()), type(error).__name__)
            message = f"The exported {self.request.form.name} model does not run: {first[:300]} Nothing was written."
            raise RunError(message, _OTHERS) from error
        what = "files" if samples.is_files else "examples"
        if not difference <= tolerance:
            message = (
                f"The exported model answers otherwise than dlcli: by {difference:.3g} on {len(samples)} {what} "
                f"({samples.origin}), where {tolerance:g} is tolerated. Nothing was written."
            )
            raise RunError(message, _OTHERS)
        return Compared(what, len(samples), samples.origin, difference, tolerance)

    def _calibration(self, takes: Takes, job: Job | None) -> list[Tensors]:
        """Examples to train on, one at a time, for int8."""
        if self.request.precision != "int8" or job is None:
            return []
        return list(_one_by_one(takes, rows_of(job.rows["train"], _CALIBRATED)))

    def _scores(self, takes: Takes, run: Run, job: Job) -> list[Score]:
        """What the model is worth on examples that were held out."""
        split = next((name for name in ("test", "validation") if name in job.rows), "train")
        rows = job.rows[split]
        inputs = rows_of(rows, _SCORED)
        wanted = rows.order[chosen(len(rows), _SCORED)]
        targets: OneOrNamed[Array] = for_each(lambda values: np.asarray(values)[wanted], rows.data.targets)
        exported = answers(run, _one_by_one(takes, inputs))
        found = scores(self.subject, own_answers(self.subject, inputs, self.choices), exported, targets)
        return [replace(one, name=f"{one.name} on {split}") for one in found]


def _one_by_one(takes: Takes, inputs: OneOrNamed[Array]) -> Iterator[dict[str, Any]]:
    """Raw examples, which a model takes that holds no columns, one at a time."""
    every: Mapping[str, Array] = named(inputs, INPUT)
    names = dict(zip(every, (one.name for one in takes.tensors), strict=True))
    for row in range(len(next(iter(every.values())))):
        yield {names[name]: values[row : row + 1] for name, values in every.items()}
