"""What a sweep tells whoever listens. A sweep itself shows nothing: a display is handed in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from dlcli.sweeping.result import SweepResult, Trial


class SweepListener(Protocol):
    """Is told how a sweep goes; `result` is what is known of all trials, of those of other processes as well."""

    def phase(self, text: str) -> None:
        """Something that takes a moment begins."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """Something that must not be overlooked."""

    def begun(self, folder: Path, result: SweepResult) -> None:
        """The folder is there, and the first trial is about to be taken."""

    def trial_started(self, trial: Trial, result: SweepResult) -> None:
        """A trial begins, or goes on."""

    def epoch_ended(self, trial: Trial, epoch: int, epochs: int | None, value: float) -> None:
        """An epoch of it, counted from 1, is done, of so many if that is known; with the figure of the sweep."""

    def trial_ended(self, trial: Trial, result: SweepResult) -> None:
        """It is complete, was ended early, or has failed."""

    def ended(self, folder: Path, result: SweepResult, page: Path | None) -> None:
        """No more trials are to be run by this process; the page is there if all are done."""
