"""How a sweep looks: a line a trial, JSON for programs, or only the result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.live import Live

from dlcli.cli.sweep_tables import (
    MOST,
    Progress,
    best_line,
    closing_lines,
    importance_line,
    live_picture,
    seed_lines,
    trial_lines,
)
from dlcli.figures import duration, number
from dlcli.files import to_json
from dlcli.runs.finding import called
from dlcli.sweeping.importance import WatchedImportance, importances
from dlcli.sweeping.listening import SweepListener
from dlcli.sweeping.naming import configuration_text
from dlcli.sweeping.result import SweepResult, Trial

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dlcli.console import Screen


class SweepDisplay(SweepListener, Protocol):
    """A listener that can be closed."""

    def close(self) -> None:
        """Give the terminal back as it was; may be called twice."""


@contextmanager
def make_sweep_display(
    screen: Screen, *, quiet: bool, json: bool, budget: float | None = None
) -> Iterator[SweepDisplay]:
    """The display that fits the options and the terminal; closed at the end, whatever happens.

    Args:
        screen: where it is shown.
        quiet: whether only the result is shown.
        json: whether a program reads it.
        budget: after so many seconds no trial begins; None for no end.
    """
    display: SweepDisplay
    if json:
        display = JsonSweepDisplay(screen)
    elif quiet:
        display = QuietSweepDisplay(screen)
    elif screen.err.is_terminal:
        display = LiveSweepDisplay(screen, budget)
    else:
        display = PlainSweepDisplay(screen)
    try:
        yield display
    finally:
        display.close()


class QuietSweepDisplay:
    """Shows the result, and what must not be overlooked."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def phase(self, text: str) -> None:
        """Not shown."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """A line each."""
        for line in lines:
            self.screen.message(f"{title}: {line}")

    def begun(self, folder: Path, result: SweepResult) -> None:
        """Not shown."""

    def trial_started(self, trial: Trial, result: SweepResult) -> None:
        """Not shown."""

    def epoch_ended(self, trial: Trial, epoch: int, epochs: int | None, value: float) -> None:
        """Not shown."""

    def trial_ended(self, trial: Trial, result: SweepResult) -> None:
        """Not shown."""

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """The best trial, and where everything is."""
        show_best(self.screen, result)
        self.screen.line(str(folder))

    def close(self) -> None:
        """Nothing to give back."""


class PlainSweepDisplay(QuietSweepDisplay):
    """A line a trial, for logs and pipes."""

    def phase(self, text: str) -> None:
        """A line."""
        self.screen.message(f"{text} …")

    def begun(self, folder: Path, result: SweepResult) -> None:
        """What is searched for, and what there is already."""
        way = "largest" if result.direction == "maximize" else "smallest"
        done = sum(trial.seconds is not None for trial in result.trials)
        there = f"; {done} are done" if done else ""
        self.screen.message(f"{result.planned} trials for the {way} {result.metric}{there}; {folder}")

    def trial_ended(self, trial: Trial, result: SweepResult) -> None:
        """A line."""
        figure = f"{result.metric} {number(trial.value)}" if trial.value is not None else ""
        took = f"; {duration(trial.seconds)}" if trial.seconds is not None else ""
        best = result.best()
        mark = "  (best)" if best is not None and best.number == trial.number else ""
        values = configuration_text(result, trial)
        self.screen.message(
            f"trial {trial.number:>3}  {trial.state:<8}  {trial.reason or figure}{mark}  {values}{took}"
        )

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """The trials, and what can be done next."""
        show_result(self.screen, result)
        self.screen.line(str(folder))
        if page is not None:
            self.screen.message(f"report: {page}")
        if result.best() is not None:
            self.screen.message(f"next: dlcli sweep best {called(folder)} --write FILE.yaml")


class LiveSweepDisplay(PlainSweepDisplay):
    """The last trials and the best one, which change in place while the sweep runs."""

    def __init__(self, screen: Screen, budget: float | None = None) -> None:
        super().__init__(screen)
        self._until = time.monotonic() + budget if budget is not None else None
        self._result: SweepResult | None = None
        self._progress: dict[int, Progress] = {}
        self._importance = WatchedImportance()
        self._shares: Mapping[str, float] = {}
        # As in the display of a training: what goes to `sys.stderr` belongs into the log.
        self._live = Live(
            console=screen.err, get_renderable=self._picture, refresh_per_second=4, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def begun(self, folder: Path, result: SweepResult) -> None:
        """A line that stays, and the picture."""
        super().begun(folder, result)
        self._see(result)
        self._live.start()

    def trial_started(self, trial: Trial, result: SweepResult) -> None:
        """In the picture."""
        self._see(result)

    def epoch_ended(self, trial: Trial, epoch: int, epochs: int | None, value: float) -> None:
        """In the picture."""
        self._progress[trial.number] = Progress(epoch, epochs)

    def trial_ended(self, trial: Trial, result: SweepResult) -> None:
        """In the picture."""
        self._progress.pop(trial.number, None)
        self._see(result)

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """The trials, and what can be done next."""
        self.close()
        super().ended(folder, result, page)

    def close(self) -> None:
        """Take the picture away and show the cursor again."""
        self._live.stop()

    def _see(self, result: SweepResult) -> None:
        self._shares = self._importance.of(result)
        self._result = result

    def _picture(self) -> RenderableType:
        if self._result is None:
            return ""
        width = self.screen.err.width
        left = max(0.0, self._until - time.monotonic()) if self._until is not None else None
        return live_picture(
            self._result, width, importance=self._shares, progress=dict(self._progress), most_seconds=left
        )


class JsonSweepDisplay(QuietSweepDisplay):
    """One JSON object a line on standard output; `event` says what it is."""

    def _write(self, event: str, content: Mapping[str, Any]) -> None:
        self.screen.out.print(to_json({"event": event, **content}), soft_wrap=True, markup=False)

    def phase(self, text: str) -> None:
        """`phase`: what takes a moment."""
        self._write("phase", {"text": text})

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """`notice`: what must not be overlooked."""
        self._write("notice", {"title": title, "lines": list(lines)})

    def begun(self, folder: Path, result: SweepResult) -> None:
        """`sweep`: what is searched for."""
        what = {"name": result.name, "metric": result.metric, "direction": result.direction, "planned": result.planned}
        self._write("sweep", {"folder": str(folder), **what})

    def trial_started(self, trial: Trial, result: SweepResult) -> None:
        """`start`: a trial's number and values."""
        self._write("start", {"trial": trial.number, "values": dict(trial.values), "seed": trial.seed})

    def epoch_ended(self, trial: Trial, epoch: int, epochs: int | None, value: float) -> None:
        """`epoch`: the figure after an epoch."""
        self._write("epoch", {"trial": trial.number, "epoch": epoch, "value": value})

    def trial_ended(self, trial: Trial, result: SweepResult) -> None:
        """`trial`: what it came to."""
        self._write("trial", trial_json(trial))

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """`end`: all trials, and the best of them."""
        self._write("end", {"page": str(page) if page is not None else None, **result_json(folder, result)})


def show_best(screen: Screen, result: SweepResult) -> None:
    """The best trial, on a line; of a comparison of seeds, the mean and the spread of each spec."""
    if result.record.get("seeds"):
        screen.lines(seed_lines(result, screen.out.width if screen.out.is_terminal else None))
    else:
        screen.line(best_line(result))


def show_result(screen: Screen, result: SweepResult) -> None:
    """The table of trials, the best first, and what they come to."""
    width = screen.out.width if screen.out.is_terminal else None
    shares = importances(result)
    most = MOST if width is not None else None
    screen.lines(trial_lines(result, width, importance=shares, most=most))
    for line in closing_lines(result, most):
        screen.line(line)
    if len(result.parameters) > 1:
        screen.line(importance_line(result, shares).plain)
    show_best(screen, result)


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial for programs."""
    return {
        "trial": trial.number, "state": trial.state, "value": trial.value, "values": dict(trial.values),
        "seed": trial.seed, "run": str(trial.run) if trial.run is not None else None, "seconds": trial.seconds,
        "reason": trial.reason,
    }  # fmt: skip


def result_json(folder: Path, result: SweepResult) -> dict[str, Any]:
    """A sweep for programs."""
    best = result.best()
    return {
        "name": result.name, "folder": str(folder), "metric": result.metric, "direction": result.direction,
        "planned": result.planned, "state": result.record.get("state"),
        "best": trial_json(best) if best is not None else None,
        "trials": [trial_json(trial) for trial in result.trials],
    }  # fmt: skip
