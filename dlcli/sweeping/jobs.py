"""Several processes on one sweep: started here, watched through the journal, and stopped with this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dlcli.errors import Interrupted, ProcessError, RunError
from dlcli.sweeping.journal import Journal
from dlcli.sweeping.listening import SweepListener
from dlcli.sweeping.reading import is_whole, make_result
from dlcli.sweeping.result import RUNNING, WAITING, SweepResult, Trial
from dlcli.sweeping.running import SweepRequest
from dlcli.training.choices import core_shares
from dlcli.training.stopping import StopRequest

_LOOK_SECONDS = 0.3
_LONGEST_TOLD = 2000  # characters of what a process says that fails


def run_jobs(request: SweepRequest, jobs: int, arguments: Sequence[str], listener: SweepListener) -> SweepResult:
    """Let several processes run the trials of a sweep, each taking the next one, and tell how it goes.

    Args:
        request: the sweep.
        jobs: how many processes.
        arguments: of `dlcli` for each of them.
        listener: is told what the journal says.

    Raises:
        DlcliError: all processes have failed.
        Interrupted: a signal came; all of them have saved their work.
    """
    folder = request.folder
    journal = Journal(folder, request.direction)
    watched = _Watched(listener)
    stop = StopRequest(lambda: None)

    def result() -> SweepResult:
        return make_result(folder, journal, request.metric, request.plan.parameters)

    listener.begun(folder.path, result())
    with stop, _started(jobs, arguments, folder.path) as workers:
        told = False
        while any(worker.poll() is None for worker in workers):
            if stop.is_asked and not told:
                told = True
                _signal(workers, stop.signal_number)
            watched.look(result())
            time.sleep(_LOOK_SECONDS)
        found = result()
        watched.look(found)
        if stop.is_asked:
            done = sum(trial.state not in (RUNNING, WAITING) for trial in found.trials)
            raise Interrupted(
                f"Stopped with {done} of {request.plan.planned} trials done; all is saved in {folder.path}.",
                signal_number=stop.signal_number, hint=f"`dlcli sweep --resume {folder.path}` goes on from there.",
            )  # fmt: skip
        _see_failures(workers, folder.path, found, listener)
    return found


@contextmanager
def _started(jobs: int, arguments: Sequence[str], folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes; none of them is left when this is, or long when this process is killed: their input ends then."""
    workers = []
    shares = core_shares(jobs)
    try:
        for number in range(jobs):
            with log_of(folder, number).open("wb") as log:
                command = [sys.executable, "-m", "dlcli", *arguments]
                workers.append(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log,
                        start_new_session=True,
                    )
                )  # fmt: skip
            if shares is not None:
                with suppress(OSError):  # it may have ended
                    os.sched_setaffinity(workers[-1].pid, shares[number])
        yield workers
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
                worker.wait()


def log_of(folder: Path, number: int) -> Path:
    """What a process had to say."""
    return folder / f"process-{number}.log"


def _signal(workers: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for worker in workers:
        if worker.poll() is None:
            with suppress(ProcessLookupError):
                worker.send_signal(signal.Signals(number))


def _see_failures(
    workers: Sequence[subprocess.Popen[bytes]], folder: Path, result: SweepResult, listener: SweepListener
) -> None:
    """Tell of the processes that failed. Raises DlcliError if trials are left, so that nobody runs them."""
    failed = {number: worker.returncode for number, worker in enumerate(workers) if worker.returncode}
    if not failed:
        return
    number, code = next(iter(failed.items()))
    why = f"was ended by signal {-code}" if code < 0 else _said(log_of(folder, number))
    hint = f"`dlcli sweep --resume {folder}` goes on with the trials that are left."
    if is_whole(result) or len(failed) < len(workers):
        listener.notice(f"{len(failed)} of {len(workers)} processes failed", [why])
    if not is_whole(result) and len(failed) == len(workers):
        if code < 0:
            raise RunError(f"Every process has failed; the first {why}.", hint)
        raise ProcessError(why, code, hint)


def _said(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    return text.removeprefix("error: ")[:_LONGEST_TOLD] or "It said nothing."


class _Watched:
    """Tells a listener what has changed in the journal since the last look."""

    def __init__(self, listener: SweepListener) -> None:
        self._listener = listener
        self._states: dict[int, str] | None = None
        self._epochs: dict[int, int] = {}

    def look(self, result: SweepResult) -> None:
        """Tell what is new; of trials that had ended at the first look, nothing."""
        if self._states is None:
            self._states = {
                trial.number: trial.state for trial in result.trials if trial.state not in (RUNNING, WAITING)
            }
        for trial in result.trials:
            self._see(trial, result, self._states)

    def _see(self, trial: Trial, result: SweepResult, states: dict[int, str]) -> None:
        before = states.get(trial.number)
        if before is None and trial.values:
            self._listener.trial_started(trial, result)
            before = states[trial.number] = RUNNING
        if before == RUNNING:
            for epoch, value in trial.reported.items():
                if epoch > self._epochs.get(trial.number, 0):
                    self._epochs[trial.number] = epoch
                    self._listener.epoch_ended(trial, epoch, None, value)
            if trial.state not in (RUNNING, WAITING):
                states[trial.number] = trial.state
                self._listener.trial_ended(trial, result)
