"""The live display of a training, and the lines that it shares with the plain one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dlcli.cli.folds import show_folds
from dlcli.cli.result import fold_line, scaled_lines, show_end, show_report
from dlcli.figures import number
from dlcli.training.listening import End, EpochEnd, FoldsEnd, Start

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.report.writing import Report

_BLOCKS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 40
# Seconds: how often epochs are printed at most; over how long steps are counted.
_MOMENT = 0.1
_COUNTED = 0.5
_HIDDEN = ("epoch", "seconds", "learning_rate")


def start_lines(start: Start) -> list[str]:
    """What is trained, on what, where."""
    sizes = ", ".join(f"{size:,} {name}" for name, size in start.split_sizes.items())
    return [
        f"{start.name}: {start.parameters:,} parameters on {start.device}",
        f"data: {start.data}; {sizes}{_repeated(start)}",
        *scaled_lines(start.scales),
        f"run: {start.run}",
        *([f"resumed: {_place(start)}"] if start.is_resumed else []),
    ]


def _repeated(start: Start) -> str:
    if start.examples_per_epoch == start.split_sizes["train"]:
        return ""
    return f"; {start.examples_per_epoch:,} in an epoch, those of some classes more often"


def _place(start: Start) -> str:
    if start.epochs_done >= start.epochs:
        return f"all {start.epochs} epochs are done"
    step = f", step {start.steps_done:,}" if start.steps_done else ""
    return f"from epoch {start.epochs_done + 1} of {start.epochs}{step}"


def epoch_columns(row: Mapping[str, Any], width: int | None = None, monitor: str = "", epochs: int = 0) -> list[str]:
    """The figures of an epoch that have room in a line of this width: at least the losses, and the one monitored.

    Those of each output's loss go first, then those of training that validation has, too; history.csv has them all.
    """
    names = [name for name in row if name not in _HIDDEN]
    kept = {"loss", "val_loss", monitor}

    def goes(name: str) -> tuple[int, int]:
        is_second = not name.startswith("val_") and f"val_{name}" in row
        return 0 if name.endswith("_loss") else 1 if is_second else 2, -names.index(name)

    spare = sorted((name for name in names if name not in kept), key=goes, reverse=True)
    while width is not None and spare and len(_header(names, epochs)) + len("  best") > width:
        names.remove(spare.pop())
    return names


def _header(names: Sequence[str], epochs: int) -> str:
    epoch = f"{'epoch':>{2 * _digits(epochs) + 1}}"
    return "  ".join([epoch, *(f"{name:>{_width(name)}}" for name in names), "   time"])


def _digits(epochs: int) -> int:
    return max(3, len(str(epochs)))


def epoch_header(end: EpochEnd, names: Sequence[str], epochs: int = 0) -> str:
    """The names over the columns of `epoch_line`; with a sign if not all figures have one."""
    return _header(names, epochs) + ("  …" if len(names) < len(epoch_columns(end.row)) else "")


def epoch_line(end: EpochEnd, epochs: int, names: Sequence[str]) -> str:
    """One epoch's figures in columns."""
    figures = [f"{number(end.row[name]):>{_width(name)}}" for name in names]
    best = "  best" if end.is_best else ""
    digits = _digits(epochs)
    return "  ".join([f"{end.epoch:>{digits}}/{epochs:<{digits}}", *figures, f"{end.seconds:>5.1f} s"]) + best


def _width(name: str) -> int:
    return max(len(name), 8)


def curve(values: Sequence[float]) -> str:
    """A curve of one character a value, lowest to highest."""
    shown = [value for value in values if value == value]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in shown)


class LiveDisplay:
    """Bars for epochs and steps, time left, steps a second, each figure now and at its best, and a small curve."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._fold: int | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing has been trained yet."""
        self._start: Start | None = None
        self._header = ""
        self._now: dict[str, float] = {}
        self._epochs_done = 0
        self._last: Mapping[str, Any] = {}
        self._monitored: deque[float] = deque(maxlen=_CURVE_WIDTH)
        self._waiting: list[Text] = []
        self._printed = 0.0
        self._best: Mapping[str, Any] = {}
        self._rate = ""
        self._counted = (0.0, 0)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            expand=True,
        )
        # Left alone, Live would bring what goes to `sys.stderr` to the screen; it belongs into the log.
        # The picture is made when the screen is painted, ten times a second, however often figures come.
        self._live = Live(
            get_renderable=self._picture,
            console=self.screen.err,
            refresh_per_second=10,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._phase_task = self._bars.add_task("", total=None, note="")
        self._live.start()

    def phase(self, text: str) -> None:
        """A bar that moves without an end."""
        self._bars.update(self._phase_task, description=text, visible=True)

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """A panel."""
        self._print_lines(at_once=True)
        self.screen.panel(title, lines)

    def notice_here(self, title: str, lines: Sequence[str]) -> None:
        """A panel."""
        self.notice(title, lines)

    def started(self, start: Start) -> None:
        """What is trained, then the bars."""
        self._start, self._epochs_done = start, start.epochs_done
        for line in start_lines(start):
            self.screen.message(line)
        self._bars.update(self._phase_task, visible=False)
        self._epoch_task = self._bars.add_task("epoch", total=start.epochs * start.steps_per_epoch, note="")
        self._step_task = self._bars.add_task("step", total=start.steps_per_epoch, note="")
        self._live.refresh()  # before the first step is traced, which takes a moment

    def epoch_started(self, epoch: int) -> None:
        """The step bar begins again."""
        epochs = self._start.epochs if self._start else epoch
        self._bars.update(self._epoch_task, description=f"epoch {epoch}/{epochs}")
        self._bars.reset(self._step_task, description="step")
        if time.monotonic() - self._counted[0] > _COUNTED:  # or else several epochs are counted together
            self._counted = (time.monotonic(), self._steps_before)

    def progressed(self, steps: int, logs: Mapping[str, float]) -> None:
        """Bars, speed and figures move."""
        start = self._start
        if start is None:
            return
        self._print_lines()
        done = self._steps_before + steps
        seconds, counted = self._counted
        now = time.monotonic()
        if now - seconds > _COUNTED:
            self._rate = f"{(done - counted) / (now - seconds):,.0f} steps/s"
            self._counted = (now, done)
        self._now = dict(logs)
        self._bars.update(self._epoch_task, completed=done)
        description = f"step {steps:,}/{start.steps_per_epoch:,}"
        self._bars.update(self._step_task, completed=steps, description=description, note=self._rate)

    def validating(self, share: float) -> None:
        """The step bar tells."""
        self._bars.update(self._step_task, description=f"validating {share:.0%}")

    def epoch_ended(self, end: EpochEnd) -> None:
        """A line that stays."""
        monitor, epochs = (self._start.monitor, self._start.epochs) if self._start else ("", end.epoch)
        names = epoch_columns(end.row, self.screen.err.width, monitor, epochs)
        header = epoch_header(end, names, epochs)
        if header != self._header:
            self._waiting.append(Text(header, style="dim"))
            self._header = header
        self._waiting.append(Text(epoch_line(end, epochs, names)))
        self._print_lines()
        self._epochs_done += 1
        self._last, self._now = end.row, {}
        if self._start:
            self._monitored.append(float(end.row[self._start.monitor]))
        if end.is_best:
            self._best = end.row

    @property
    def _steps_before(self) -> int:
        """The steps of all epochs that are done."""
        return self._epochs_done * self._start.steps_per_epoch if self._start else 0

    def _print_lines(self, *, at_once: bool = False) -> None:
        """Print what waits, if the last time was a moment ago: a line takes as long as a small network's epoch."""
        if self._waiting and (at_once or time.monotonic() - self._printed > _MOMENT):
            self.screen.err.print(Text("\n").join(self._waiting))
            self._waiting.clear()
            self._printed = time.monotonic()

    def ended(self, end: End) -> None:
        """The figures of the best epoch; a line for a fold."""
        self.close()
        if self._fold is None:
            self.screen.message("")
            show_end(self.screen, end)
        else:
            self.screen.message(fold_line(self._fold, end))

    def fold_started(self, number: int, folds: int) -> None:
        """A line, and bars of its own."""
        self.close()
        self._fold = number
        self.screen.message(f"\nfold {number} of {folds}")
        self._begin()

    def folds_ended(self, end: FoldsEnd) -> None:
        """The figures of each fold, and of all."""
        self.close()
        show_folds(self.screen, end)

    def reported(self, report: Report) -> None:
        """A word on the fit, and where the page is."""
        show_report(self.screen, report)

    def closing(self, line: str) -> None:
        """The line."""
        self.screen.message(line)

    def close(self) -> None:
        """Take the bars away and show the cursor again."""
        self._print_lines(at_once=True)
        self._live.stop()

    def _picture(self) -> RenderableType:
        last = {name: value for name, value in self._last.items() if name not in _HIDDEN}
        names = list(last or self._now)
        if not names:
            return self._bars
        table = Table.grid(padding=(0, 2))
        for column in ("", "now", "last", "best"):
            table.add_column(column, justify="left" if not column else "right")
        table.add_row("", *(Text(word, style="dim") for word in ("now", "last epoch", f"best ({self._best_epoch})")))
        for name in names:
            figures = (self._now.get(name), last.get(name), self._best.get(name))
            style = "bold" if self._start and name == self._start.monitor else ""
            table.add_row(Text(name, style=style), *("" if value is None else number(value) for value in figures))
        parts: list[RenderableType] = [table, self._bars]
        monitor = self._start.monitor if self._start else ""
        values = list(self._monitored)
        if len(values) > 1:
            parts.insert(1, Text.assemble((f"{monitor} ", "dim"), (curve(values), "deep_sky_blue3")))
        return Group(*parts)

    @property
    def _best_epoch(self) -> str:
        return f"epoch {self._best['epoch']}" if self._best else "–"
