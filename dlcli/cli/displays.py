"""How training looks: live in a terminal, plain lines elsewhere, JSON for programs, or only the result."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from dlcli.cli.folds import show_folds
from dlcli.cli.live import LiveDisplay, epoch_columns, epoch_header, epoch_line, start_lines
from dlcli.cli.result import fold_line, show_end, show_report
from dlcli.files import to_json
from dlcli.training.listening import End, EpochEnd, FoldsEnd, Listener, Start

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.report.writing import Report


_MOST_LINES = 200  # for the epochs of a training
_LONG_AGO = 5.0  # seconds


class Display(Listener, Protocol):
    """A listener that can be closed."""

    def reported(self, report: Report) -> None:
        """The page on the run is written."""

    def closing(self, line: str) -> None:
        """All is done; the line says what can be done next."""

    def close(self) -> None:
        """Give the terminal back as it was; may be called twice."""


@contextmanager
def make_display(
    screen: Screen, *, quiet: bool, json: bool, silent: bool = False, is_told: bool = False
) -> Iterator[Display]:
    """The display that fits the options and the terminal; closed at the end, whatever happens.

    If it `is_told` by another worker, only what that one cannot know is shown.
    """
    display: Display
    if is_told:
        display = WorkerDisplay(screen)
    elif silent:
        display = SilentDisplay(screen)
    elif json:
        display = JsonDisplay(screen)
    elif quiet:
        display = QuietDisplay(screen)
    elif screen.can_redraw:
        display = LiveDisplay(screen)
    else:
        display = PlainDisplay(screen)
    try:
        yield display
    finally:
        display.close()


class QuietDisplay:
    """Shows the result, and what must not be overlooked."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.fold: int | None = None

    def phase(self, text: str) -> None:
        """Not shown."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """A line each."""
        for line in lines:
            self.screen.message(f"{title}: {line}")

    def notice_here(self, title: str, lines: Sequence[str]) -> None:
        """As `notice`."""
        self.notice(title, lines)

    def started(self, start: Start) -> None:
        """Not shown."""

    def epoch_started(self, epoch: int) -> None:
        """Not shown."""

    def progressed(self, steps: int, logs: Mapping[str, float]) -> None:
        """Not shown."""

    def validating(self, share: float) -> None:
        """Not shown."""

    def epoch_ended(self, end: EpochEnd) -> None:
        """Not shown."""

    def ended(self, end: End) -> None:
        """The figures of the best epoch; of a fold, they are shown with those of the others."""
        if self.fold is None:
            show_end(self.screen, end)

    def fold_started(self, number: int, folds: int) -> None:
        """Not shown."""
        self.fold = number

    def folds_ended(self, end: FoldsEnd) -> None:
        """The figures of each fold, and of all."""
        show_folds(self.screen, end)

    def reported(self, report: Report) -> None:
        """Not shown."""

    def closing(self, line: str) -> None:
        """Not shown."""

    def close(self) -> None:
        """Nothing to give back."""


class SilentDisplay(QuietDisplay):
    """Shows only what must not be overlooked: the result is someone else's."""

    def ended(self, end: End) -> None:
        """Not shown."""

    def folds_ended(self, end: FoldsEnd) -> None:
        """Not shown."""


class WorkerDisplay(SilentDisplay):
    """Shows only what nobody else sees: the rest is told by worker 0."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """Not shown."""

    def notice_here(self, title: str, lines: Sequence[str]) -> None:
        """A line each."""
        super().notice(title, lines)


class PlainDisplay(QuietDisplay):
    """A line an epoch, for logs and pipes; of many short epochs, every so many, and the last."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self.start: Start | None = None
        self.header = ""
        self._left_out: EpochEnd | None = None
        self._shown = 0.0

    def phase(self, text: str) -> None:
        """A line."""
        self._show_left_out()
        self.screen.message(f"{text} …")

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """A line each."""
        self._show_left_out()
        super().notice(title, lines)

    def close(self) -> None:
        """The last epoch is told, however a training ends."""
        self._show_left_out()

    def started(self, start: Start) -> None:
        """What is trained, on what."""
        self.start = start
        for line in start_lines(start):
            self.screen.message(line)

    def epoch_ended(self, end: EpochEnd) -> None:
        """The epoch's figures, unless it is one of many, and the last line is not old."""
        every = -(-(self.start.epochs if self.start else 1) // _MOST_LINES)
        is_due = (end.epoch - 1) % every == 0 or time.monotonic() - self._shown > _LONG_AGO
        self._left_out = None if is_due else end
        if is_due:
            self._show_epoch(end)

    def _show_epoch(self, end: EpochEnd) -> None:
        """A line, under a header that is printed when it changes."""
        monitor, epochs = (self.start.monitor, self.start.epochs) if self.start else ("", end.epoch)
        names = epoch_columns(end.row, self.screen.wrap_width, monitor, epochs)  # a notebook's lines wrap
        header = epoch_header(end, names, epochs)
        if header != self.header:
            self.screen.message(header)
            self.header = header
        self.screen.message(epoch_line(end, epochs, names))
        self._shown = time.monotonic()

    def _show_left_out(self) -> None:
        if self._left_out is not None:
            self._show_epoch(self._left_out)
            self._left_out = None

    def reported(self, report: Report) -> None:
        """A word on the fit, and where the page is."""
        show_report(self.screen, report)

    def closing(self, line: str) -> None:
        """The line."""
        self.screen.message(line)

    def ended(self, end: End) -> None:
        """The figures of the best epoch; a line for a fold."""
        super().ended(end)
        if self.fold is not None:
            self.screen.message(fold_line(self.fold, end))

    def fold_started(self, number: int, folds: int) -> None:
        """A line."""
        super().fold_started(number, folds)
        self.header = ""
        self.screen.message(f"\nfold {number} of {folds}")


class JsonDisplay(QuietDisplay):
    """One JSON object a line on standard output; `event` says what it is."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._epoch = 0
        self._last_step = 0.0

    def _write(self, event: str, content: Mapping[str, Any]) -> None:
        of = {"fold": self.fold} if self.fold is not None else {}
        self.screen.out.print(to_json({"event": event, **of, **content}), soft_wrap=True, markup=False)

    def phase(self, text: str) -> None:
        """`phase`: what takes a moment."""
        self._write("phase", {"text": text})

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """`notice`: what must not be overlooked."""
        self._write("notice", {"title": title, "lines": list(lines)})

    def started(self, start: Start) -> None:
        """`start`: the fields of Start."""
        self._write("start", {**asdict(start), "run": str(start.run)})

    def epoch_started(self, epoch: int) -> None:
        """Remembered for `step`."""
        self._epoch = epoch

    def progressed(self, steps: int, logs: Mapping[str, float]) -> None:
        """`step`: at most one a second."""
        if time.monotonic() - self._last_step >= 1.0:
            self._last_step = time.monotonic()
            self._write("step", {"epoch": self._epoch, "step": steps, **logs})

    def epoch_ended(self, end: EpochEnd) -> None:
        """`epoch`: the row of history.csv."""
        self._write("epoch", {**end.row, "best": end.is_best})

    def ended(self, end: End) -> None:
        """`end`: the fields of End."""
        self._write("end", {**asdict(end), "run": str(end.run)})

    def reported(self, report: Report) -> None:
        """`report`: the path of the page, and the findings on the fit."""
        self._write("report", {"page": str(report.page), "findings": [asdict(one) for one in report.findings]})

    def fold_started(self, number: int, folds: int) -> None:
        """`fold`; what follows has its number."""
        super().fold_started(number, folds)
        self._write("fold", {"folds": folds})

    def folds_ended(self, end: FoldsEnd) -> None:
        """`folds`: what metrics.json has."""
        self.fold = None
        self._write("folds", {"run": str(end.run), **end.to_json()})
