"""The run of all folds: its folder and run.json, and the signals that end it. Training is elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dlcli.errors import RunError
from dlcli.runs import RunFolder, create_run
from dlcli.training.record import RunRecord, recorded
from dlcli.training.stopping import StopRequest

if TYPE_CHECKING:
    from dlcli.training.session import TrainRequest


class Together(Protocol):
    """What several runs of one process are in: the run of all folds, or a sweep."""

    @property
    def has_begun(self) -> bool:
        """Whether a run of this process has: what is the same for all of them has been told."""

    @property
    def stop(self) -> StopRequest:
        """Is asked between steps whether to stop."""

    def begin(self, record: RunRecord) -> Path:
        """A run begins, all it needs is there; gives the folder that it is to be in. Raises RunError."""


class Whole:
    """The run that those of several folds are in.

    Args:
        request: for all of them.
        stack: is left when they are done.
        until: by `time.monotonic`, when to stop; None for never.
        before_leaving: called at a second signal, just before the process ends.
    """

    def __init__(
        self, request: TrainRequest, stack: ExitStack, until: float | None, before_leaving: Callable[[], object]
    ) -> None:
        self.run = request.point.run if request.point is not None else None
        self.record: RunRecord | None = None
        self._request, self._stack = request, stack
        self._stop = StopRequest(self._leave_at_once, until)
        self._before_leaving = before_leaving
        self._of_fold: RunRecord | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a fold of this process has."""
        return self.record is not None

    @property
    def stop(self) -> StopRequest:
        """Is asked between steps whether to stop."""
        return self._stop

    def begin(self, record: RunRecord) -> Path:
        """A fold begins, all it needs is there; gives the folder of the whole, which the first one makes.

        Raises:
            RunError: it cannot be made.
        """
        self._of_fold = record
        if self.run is None or self.record is None:
            self.record = self._begun(record)
            self.run = self._filled(self.record)
            self._stack.enter_context(recorded(self.record))
            self._stack.enter_context(self._stop)
        return self.run.path

    def _begun(self, of_fold: RunRecord) -> RunRecord:
        """What run.json says of the whole."""
        point, command = self._request.point, list(self._request.command)
        then = point.record if point is not None else {}
        record = replace(
            of_fold, run=self.run or RunFolder(Path()), command=list(then.get("command") or command), seconds={},
            engine={}, resumed=[], folds=self._request.loaded.spec.dataset.folds,
            data={**of_fold.data, **dict.fromkeys(("examples", "examples_per_epoch", "sortedness"))},
        )  # fmt: skip
        if point is not None:
            record.began = then.get("began") or record.began
            record.went_on(point, command)
        return record

    def _filled(self, record: RunRecord) -> RunFolder:
        request = self._request

        def fill(run: RunFolder) -> None:
            record.run = run
            record.write()
            run.write_spec(request.written, request.loaded.spec.resolved(), request.loaded.extensions)

        if self.run is not None:
            fill(self.run)
            return self.run
        run = create_run(request.parent, request.run_name, fill)
        record.run = run
        self._stack.enter_context(run.locked())
        return run

    def _leave_at_once(self) -> None:
        for record in (self._of_fold, self.record):
            if record is not None and record.state == "running":
                with suppress(OSError, RunError):
                    record.finish("interrupted")
                    record.run.remove_parts()
        self._before_leaving()
