"""One trial of a sweep: an ordinary training, whose figure is reported after each epoch, and may end it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dlcli.errors import Interrupted, RunError
from dlcli.runs import RunFolder
from dlcli.runs.entries import read_history
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.loading import LoadedSpec
from dlcli.sweeping.journal import Journal, Taken, report
from dlcli.sweeping.listening import SweepListener
from dlcli.sweeping.result import Trial
from dlcli.training.listening import End, EpochEnd, FoldsEnd, Start
from dlcli.training.resuming import find_point
from dlcli.training.session import Hooks, TrainRequest, run_training


class _Pruned(Interrupted):
    """The trial is worse than others were at this epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"Ended after epoch {epoch}: other trials were better there.", signal_number=signal.SIGTERM)


@dataclass(frozen=True)
class Ended:
    """What a trial came to: its value; None if it was ended early."""

    value: float | None
    seconds: float


def run_trial(
    request: TrainRequest, taken: Taken, metric: str, journal: Journal, listener: SweepListener, hooks: Hooks
) -> Ended:
    """Train as requested, or go on with it.

    Args:
        request: for the trial; it begins anew unless its folder is there.
        taken: the trial.
        metric: the figure that is reported.
        journal: where it is reported.
        listener: is told of each epoch.
        hooks: see `run_training`.

    Raises:
        DlcliError: as `run_training` does.
    """
    run = RunFolder(journal.folder.run(taken.number).path)
    began = time.monotonic()
    if run.path.exists():
        point = find_point(run.path, request.where.notify)
        request = replace(request, point=point)
        began -= point.going_on.seconds if point.going_on is not None else 0.0
        if point.is_at_end(request.loaded.spec.train.epochs):
            return Ended(_value(run, metric), time.monotonic() - began)
    try:
        run_training(request, _Reporter(taken, metric, request.loaded, journal.folder, listener), hooks)
    except _Pruned:
        return Ended(None, time.monotonic() - began)
    return Ended(_value(run, metric), time.monotonic() - began)


def _value(run: RunFolder, metric: str) -> float:
    """The figure of the epoch that best.h5 is of. Raises RunError."""
    try:
        epoch = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))["epoch"]
        return next(row[metric] for row in read_history(run) if row["epoch"] == epoch)
    except (OSError, ValueError, LookupError, StopIteration, TypeError) as error:
        raise RunError(f"{run.path} does not say what `{metric}` was at its best epoch.") from error


class _Reporter:
    """Hears of a training, and passes on what a sweep is about."""

    def __init__(
        self, taken: Taken, metric: str, loaded: LoadedSpec, folder: SweepFolder, listener: SweepListener
    ) -> None:
        self._taken, self._metric, self._folder, self._listener = taken, metric, folder, listener
        self._epochs = loaded.spec.train.epochs
        self._trial = Trial(taken.number, "running", taken.values)

    def phase(self, text: str) -> None:
        """Not told."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """Passed on."""
        self._listener.notice(f"trial {self._taken.number}: {title}", lines)

    def notice_here(self, title: str, lines: Sequence[str]) -> None:
        """Passed on."""
        self.notice(title, lines)

    def started(self, start: Start) -> None:
        """Not told."""

    def epoch_started(self, epoch: int) -> None:
        """Not told."""

    def progressed(self, steps: int, logs: Mapping[str, float]) -> None:
        """Not told, but the time is counted."""
        self._folder.count_time()

    def validating(self, share: float) -> None:
        """Not told."""

    def epoch_ended(self, end: EpochEnd) -> None:
        """Reported; raises _Pruned if the trial is to end here, unless it is at its end."""
        value = float(end.row[self._metric])
        is_worse = report(self._taken.trial, end.epoch, value)
        self._listener.epoch_ended(self._trial, end.epoch, self._epochs, value)
        if is_worse and end.epoch < self._epochs:
            raise _Pruned(end.epoch)

    def ended(self, end: End) -> None:
        """Not told."""

    def fold_started(self, number: int, folds: int) -> None:
        """Not told: a sweep has no folds."""

    def folds_ended(self, end: FoldsEnd) -> None:
        """Not told: a sweep has no folds."""


def reason_of(error: BaseException) -> str:
    """Why a trial failed, in one line."""
    text = str(error).split("\n")[0].strip()
    return text if isinstance(error, RunError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
