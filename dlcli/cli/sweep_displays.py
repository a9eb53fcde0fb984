"""How a sweep looks: a line a trial, JSON for programs, or only the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dlcli.figures import duration, number
from dlcli.files import to_json
from dlcli.sweeping.listening import SweepListener
from dlcli.sweeping.result import SweepResult, Trial

if TYPE_CHECKING:
    from dlcli.console import Screen


class SweepDisplay(SweepListener, Protocol):
    """A listener that can be closed."""

    def close(self) -> None:
        """Give the terminal back as it was; may be called twice."""


@contextmanager
def make_sweep_display(screen: Screen, *, quiet: bool, json: bool) -> Iterator[SweepDisplay]:
    """The display that fits the options; closed at the end, whatever happens."""
    display: SweepDisplay
    if json:
        display = JsonSweepDisplay(screen)
    elif quiet:
        display = QuietSweepDisplay(screen)
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
        best = result.best()
        if best is not None:
            self.screen.line(
                f"best trial {best.number}: {result.metric} {number(best.value or 0.0)}; {values_text(best)}"
            )
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
        what = (
            trial.reason
            if trial.reason
            else f"{result.metric} {number(trial.value)}"
            if trial.value is not None
            else ""
        )
        took = f"; {duration(trial.seconds)}" if trial.seconds is not None else ""
        best = result.best()
        is_best = best is not None and best.number == trial.number
        mark = "  (best)" if is_best else ""
        self.screen.message(f"trial {trial.number:>3}  {trial.state:<8}  {what}{mark}  {values_text(trial)}{took}")

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """The result, and what can be done next."""
        super().ended(folder, result, page)
        if page is not None:
            self.screen.message(f"report: {page}")
        if result.best() is not None:
            self.screen.message(f"next: dlcli sweep best {folder} --write FILE.yaml")


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
    """The best trial, on a line; nothing if there is none."""
    best = result.best()
    if best is not None:
        screen.line(f"best trial {best.number}: {result.metric} {number(best.value or 0.0)}; {values_text(best)}")


def show_result(screen: Screen, result: SweepResult) -> None:
    """A line a trial, the best first, and then those that did not come to their end."""
    ranked = result.ranked()
    for trial in (*ranked, *(one for one in result.trials if one not in ranked)):
        value = number(trial.value) if trial.value is not None else "–"
        reason = f"  {trial.reason}" if trial.reason else ""
        screen.line(f"trial {trial.number:>3}  {trial.state:<8}  {result.metric} {value}  {values_text(trial)}{reason}")


def values_text(trial: Trial) -> str:
    """The values of a trial on one line, each with the last words of its path."""
    from dlcli.spec.sweep import label_of

    seed = [f"seed {trial.seed}"] if trial.seed is not None else []
    return ", ".join([*(f"{path}={_short(value, label_of)}" for path, value in trial.values.items()), *seed])


def _short(value: Any, label_of: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(label_of(value))


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
