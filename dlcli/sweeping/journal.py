"""The trials of a sweep as Optuna's journal has them: which process takes which, how each ended, and what is found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dlcli.errors import RunError
from dlcli.files import writing_failed
from dlcli.runs.entries import count_epochs
from dlcli.runs.sweeps import SweepFolder
from dlcli.sweeping.plan import Plan
from dlcli.sweeping.result import COMPLETE, FAILED, MAXIMIZE, PRUNED, RUNNING, WAITING, Trial

_STUDY = "sweep"
_STATES = {
    TrialState.COMPLETE: COMPLETE, TrialState.PRUNED: PRUNED, TrialState.FAIL: FAILED, TrialState.RUNNING: RUNNING,
    TrialState.WAITING: WAITING,
}  # fmt: skip
_VALUES, _SEED, _SECONDS, _REASON, _BEGUN = "values", "seed", "seconds", "reason", "begun"
MOST_IN_VAIN = 3
"""how often a trial may end with its process, without having come further, before it is given up"""


class _Lock(BaseJournalFileLock):
    """The lock of the journal's file; unlike Optuna's own, that of a process that was killed is free at once."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


@dataclass(frozen=True)
class Taken:
    """A trial that this process runs, until it lets go of it.

    Attributes:
        trial: Optuna's.
        values: what is tried, by path.
        seed: that it has beside them; None for that of the spec.
        lock: held by this process.
        given_up: why it is not run again; None if it is to run.
    """

    trial: optuna.Trial
    values: dict[str, Any]
    seed: int | None
    lock: FileLock
    given_up: str | None = None

    @property
    def number(self) -> int:
        """Counted from 0."""
        return int(self.trial.number)


class Journal:
    """The journal of one sweep, opened.

    Args:
        folder: of the sweep.
        direction: "minimize" or "maximize".

    Raises:
        RunError: it cannot be read or written.
    """

    def __init__(self, folder: SweepFolder, direction: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder = folder
        lock = _Lock(folder.path / ".journal.lock")
        try:
            folder.trials.mkdir(exist_ok=True)
            lock.acquire()
            try:
                _mend(folder.journal)
            finally:
                lock.release()
            storage = JournalStorage(JournalFileBackend(str(folder.journal), lock_obj=lock))
            way = StudyDirection.MAXIMIZE if direction == MAXIMIZE else StudyDirection.MINIMIZE
            self._study = optuna.create_study(storage=storage, study_name=_STUDY, direction=way, load_if_exists=True)
        except OSError as error:
            raise writing_failed(folder.journal, error) from error
        except (ValueError, KeyError) as error:
            raise RunError(f"{folder.journal} cannot be read: {error}") from error

    def use_pruner(self, pruner: optuna.pruners.BasePruner) -> None:
        """From now on, this says which trials end early."""
        self._study.pruner = pruner

    def take(self, plan: Plan) -> Taken | None:
        """A trial to run: one that another process has left unfinished, or a new one; None if all are taken."""
        with self.folder.locked():
            for frozen in self._trials(TrialState.RUNNING):
                lock = self._lock_of(frozen.number)
                if lock is not None:
                    self._study.sampler = plan.sampler(frozen.number)
                    return self._taken(optuna.Trial(self._study, frozen._trial_id), plan, lock)
            number = len(self._trials())
            if number >= plan.planned:
                return None
            lock = self._lock_of(number)
            if lock is None:
                raise RunError(f"Trial {number} of {self.folder.path} is locked, though it has not begun.")
            self._study.sampler = plan.sampler(number)
            return self._taken(self._study.ask(), plan, lock)

    def _taken(self, trial: optuna.Trial, plan: Plan, lock: FileLock) -> Taken:
        values, seed = plan.suggest(trial)
        if trial.user_attrs.get(_VALUES) is None:
            trial.set_user_attr(_SEED, seed)
            trial.set_user_attr(_VALUES, values)
        begun = [*trial.user_attrs.get(_BEGUN, ()), count_epochs(self.folder.run(trial.number))]
        trial.set_user_attr(_BEGUN, begun)
        in_vain = len(begun) > MOST_IN_VAIN and begun[-1] == begun[-1 - MOST_IN_VAIN]
        why = f"Its process ended {MOST_IN_VAIN} times in the same epoch: the memory may be too small."
        return Taken(trial, values, seed, lock, why if in_vain else None)

    def _lock_of(self, number: int) -> FileLock | None:
        lock = FileLock(self.folder.trials / f".{number}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock

    def complete(self, taken: Taken, value: float, seconds: float | None) -> None:
        """The trial has come to its end, with this value."""
        self._end(taken, TrialState.COMPLETE, seconds, value=value)

    def prune(self, taken: Taken, seconds: float | None) -> None:
        """The trial was ended early."""
        self._end(taken, TrialState.PRUNED, seconds)

    def fail(self, taken: Taken, reason: str, seconds: float | None) -> None:
        """The trial failed, for this reason."""
        self._end(taken, TrialState.FAIL, seconds, reason=reason)

    def _end(
        self, taken: Taken, state: TrialState, seconds: float | None, *, value: float | None = None,
        reason: str | None = None,
    ) -> None:  # fmt: skip
        with self.folder.locked():
            if reason is not None:
                taken.trial.set_user_attr(_REASON, reason)
            if seconds is not None:
                taken.trial.set_user_attr(_SECONDS, round(seconds, 3))
            self._study.tell(taken.trial, value, state)
            taken.lock.release()
            with suppress(OSError):
                (self.folder.trials / f".{taken.number}.lock").unlink(missing_ok=True)

    def let_go(self, taken: Taken) -> None:
        """Whoever goes on with the sweep goes on with this trial."""
        taken.lock.release()

    def trials(self) -> tuple[Trial, ...]:
        """All trials, as they are now."""
        return tuple(_plain(frozen, self.folder) for frozen in self._trials())

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)


def report(trial: optuna.Trial, epoch: int, value: float) -> bool:
    """Note the figure of an epoch, counted from 1; whether the trial is to end there."""
    if epoch not in trial.storage.get_trial(trial._trial_id).intermediate_values:
        trial.report(value, epoch)
    return bool(trial.should_prune())


def _mend(path: Path) -> None:
    """Cut off the last line if its end is missing, as after a machine has lost its power."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _plain(frozen: FrozenTrial, folder: SweepFolder) -> Trial:
    run = folder.run(frozen.number)
    attributes: Mapping[str, Any] = frozen.user_attrs
    value = frozen.value if frozen.state is TrialState.COMPLETE else None
    if value is None and frozen.state is not TrialState.FAIL and frozen.last_step is not None:
        value = frozen.intermediate_values[frozen.last_step]
    return Trial(
        number=frozen.number,
        state=_STATES[frozen.state],
        values=attributes.get(_VALUES) or {},
        value=value,
        run=run.path if run.path.exists() else None,
        seconds=attributes.get(_SECONDS),
        reason=attributes.get(_REASON),
        seed=attributes.get(_SEED),
        reported=dict(frozen.intermediate_values),
    )
