"""Trial after trial of a sweep, in one process, which may be one of several."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlcli.data.looking import look
from dlcli.data.where import Where
from dlcli.errors import DataError, DeviceError, DlcliError, Interrupted, RunError
from dlcli.runs.sweeps import SweepFolder, now, running_processes, seconds_used, this_process, time_used
from dlcli.spec.loading import LoadedSpec
from dlcli.sweeping.journal import Journal, Taken
from dlcli.sweeping.keeping import Kept
from dlcli.sweeping.listening import SweepListener
from dlcli.sweeping.one_trial import Ended, reason_of, run_trial
from dlcli.sweeping.plan import Plan
from dlcli.sweeping.reading import make_result
from dlcli.sweeping.result import COMPLETE, FAILED, PRUNED, SweepResult, Trial
from dlcli.training.devices import DeviceChoice
from dlcli.training.record import RunRecord
from dlcli.training.session import Hooks, TrainRequest
from dlcli.training.stopping import StopRequest


@dataclass(frozen=True)
class SweepRequest:
    """A sweep whose folder is there, and how its trials are trained.

    Attributes:
        folder: its folder.
        plan: what is tried.
        metric: the figure of an epoch that is to be the best.
        direction: "minimize" or "maximize".
        where: where data may come from.
        device: "auto", "cpu", "gpu", or some GPUs, as in "gpu:0,1".
        is_plain: whether the steps run as in Keras's own `fit`.
        command: the command line, for the trials' run.json.
        spec_folder: where the spec's file is.
        budget: for how many seconds processes may have run the sweep, all in all, when a trial begins; None for any.
        kept: what was read already.
    """

    folder: SweepFolder
    plan: Plan
    metric: str
    direction: str
    where: Where
    device: DeviceChoice
    is_plain: bool
    command: Sequence[str]
    spec_folder: Path
    budget: float | None = None
    kept: Kept = field(default_factory=Kept)


def run_sweep(request: SweepRequest, listener: SweepListener, hooks: Hooks) -> SweepResult:
    """Run the trials that no other process runs, until there are as many as planned.

    A trial that fails is recorded with its reason, and the next one begins.

    Raises:
        DataError, DeviceError, RunError: of what would end each trial.
        Interrupted: a signal came; whoever resumes the sweep goes on with the trial that ran.
    """
    return _Running(request, listener, hooks).run()


class _Running:
    """A sweep while this process runs trials of it; each trial's run is in it, as a fold's is in that of all folds."""

    def __init__(self, request: SweepRequest, listener: SweepListener, hooks: Hooks) -> None:
        self._request, self._listener = request, listener
        self._hooks = hooks
        self._stop = StopRequest(self._leave_at_once)
        self._journal = Journal(request.folder, request.direction)
        self._journal.use_pruner(request.plan.pruner())
        self._record: RunRecord | None = None
        told: set[str] = set()

        def notify(text: str) -> None:
            if text not in told:
                told.add(text)
                request.where.notify(text)

        beside = (*request.where.beside, request.spec_folder)
        self._where = replace(request.where, notify=notify, beside=beside)

    @property
    def has_begun(self) -> bool:
        """See `Together`."""
        return self._record is not None

    @property
    def stop(self) -> StopRequest:
        """See `Together`."""
        return self._stop

    def begin(self, record: RunRecord) -> Path:
        """See `Together`."""
        self._record = record
        return self._request.folder.trials

    def run(self) -> SweepResult:
        """See `run_sweep`."""
        request, folder, is_warm = self._request, self._request.folder, False
        with self._stop, self._registered():
            self._listener.begun(folder.path, self._result())
            while request.budget is None or seconds_used(folder) < request.budget:
                if self._stop.is_asked:
                    raise self._interrupted()
                taken = self._journal.take(request.plan)
                if taken is None:
                    break
                self._run(taken)
                gc.collect()  # a model and its graphs are a circle
                if not is_warm:
                    is_warm = True
                    gc.freeze()  # what the first trial has made ready, each later collection need not look through
        return self._result()

    def _run(self, taken: Taken) -> None:
        """Run a trial to its end, whichever that is."""
        trial = Trial(taken.number, "running", taken.values, seed=taken.seed)
        self._listener.trial_started(trial, self._result())
        began = time.monotonic()
        try:
            if taken.given_up is not None:
                self._journal.fail(taken, taken.given_up, None)
            else:
                ended = self._train(taken)
                self._note(taken, ended)
        except (Interrupted, DeviceError) as error:
            self._journal.let_go(taken)
            raise self._interrupted() if isinstance(error, Interrupted) else error from None
        except Exception as error:
            if isinstance(error, DataError) and not self._request.plan.changes_data:
                self._journal.let_go(taken)
                raise
            if not isinstance(error, DlcliError):
                traceback.print_exception(error, file=sys.stderr)  # for the log
            self._journal.fail(taken, reason_of(error), time.monotonic() - began)
        self._tell(taken.number)

    def _train(self, taken: Taken) -> Ended:
        request = self._request
        loaded = self._loaded(taken)
        one = TrainRequest(
            loaded, request.plan.written(taken.values, taken.seed), request.spec_folder, self._where, request.device,
            request.folder.trials, str(taken.number), False, request.is_plain, request.command, whole=self,
        )  # fmt: skip
        return run_trial(one, taken, request.metric, self._journal, self._listener, self._hooks)

    def _loaded(self, taken: Taken) -> LoadedSpec:
        def look_into(found: LoadedSpec) -> LoadedSpec:
            return look(self._request.kept.with_kept(found), self._where)

        return self._request.kept.with_kept(self._request.plan.loaded(taken.values, taken.seed, look_into))

    def _note(self, taken: Taken, ended: Ended) -> None:
        if ended.value is None:
            self._journal.prune(taken, ended.seconds)
        elif ended.value != ended.value:
            self._journal.fail(taken, f"`{self._request.metric}` is not a number.", ended.seconds)
        else:
            self._journal.complete(taken, ended.value, ended.seconds)

    def _tell(self, number: int) -> None:
        """A trial has ended: sweep.json says how it stands now."""
        result = self._result()
        with self._request.folder.locked():
            self._request.folder.update_record(**standing(result), **time_used(self._request.folder.read_record()))
        self._listener.trial_ended(result.trials[number], result)

    def _result(self) -> SweepResult:
        request = self._request
        return make_result(request.folder, self._journal, request.metric, request.plan.parameters)

    def _interrupted(self) -> Interrupted:
        folder = self._request.folder.path
        done = sum(trial.state in (COMPLETE, PRUNED, FAILED) for trial in self._journal.trials())
        message = f"Stopped with {done} of {self._request.plan.planned} trials done; all is saved in {folder}."
        hint = f"`dlcli sweep --resume {folder}` goes on from there."
        return Interrupted(message, signal_number=self._stop.signal_number, hint=hint)

    @contextmanager
    def _registered(self) -> Iterator[None]:
        """sweep.json names this process while it runs trials, and how it ended."""
        folder, own = self._request.folder, this_process()
        with folder.locked():
            record = folder.read_record()
            processes = [*running_processes(record), own]
            folder.update_record(processes=processes, state="running", error=None, ended=None, **time_used(record))
        state, error = "done", None
        try:
            yield
        except Interrupted:
            state = "interrupted"
            raise
        except BaseException as failed:
            state, error = "failed", str(failed) or type(failed).__name__
            raise
        finally:
            with suppress(RunError), folder.locked():
                leave(folder, own, state, error)

    def _leave_at_once(self) -> None:
        record = self._record
        with suppress(OSError, RunError):
            if record is not None and record.state == "running":
                record.finish("interrupted")
                record.run.remove_parts()
            leave(self._request.folder, this_process(), "interrupted", None)
        self._hooks.before_leaving()


def leave(folder: SweepFolder, own: Mapping[str, Any], state: str, error: str | None) -> None:
    """Take this process out of sweep.json; the last one says how the sweep ended. Raises RunError."""
    record = folder.read_record()
    others = [one for one in running_processes(record) if one != own]
    ending = {} if others else {"state": state, "error": error, "ended": now()}
    folder.update_record(processes=others, **ending, **time_used(record))


def standing(result: SweepResult) -> dict[str, Any]:
    """How far a sweep is, for sweep.json."""
    best, configurations = result.best(), result.configurations()
    mean = {"mean": configurations[0].mean, "seeds": len(configurations[0].figures)} if configurations else {}
    counts = {state: len(result.in_state(state)) for state in (COMPLETE, PRUNED, FAILED)}
    return {
        "trials": {"planned": result.planned, **counts},
        "best": {"trial": best.number, "value": best.value, "values": dict(best.values), **mean} if best else None,
    }
