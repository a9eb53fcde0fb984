"""What training tells whoever listens. Training itself shows nothing: a display is handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol


@dataclass(frozen=True)
class Start:
    """What is known when the first step is about to run.

    Attributes:
        examples_per_epoch: how many are trained on, each as often as it comes.
        epochs_done: by processes before this one.
        steps_done: of the epoch that follows, by processes before this one.
        is_resumed: whether there were any.
        scales: `mean` and `deviation` of each target that is standardized for the loss, by its name.
    """

    name: str
    run: Path
    device: str
    data: str
    split_sizes: Mapping[str, int]
    examples_per_epoch: int
    parameters: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    monitor: str
    larger_is_better: bool
    epochs_done: int
    steps_done: int
    is_resumed: bool
    scales: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochEnd:
    """What an epoch came to.

    Attributes:
        epoch: counted from 1.
        row: the row of history.csv: the figures by name.
        seconds: of the whole epoch, with validation and checkpoint.
        is_best: whether the monitored figure is the best so far.
    """

    epoch: int
    row: Mapping[str, Any]
    seconds: float
    is_best: bool


@dataclass(frozen=True)
class End:
    """What the run came to.

    Attributes:
        metrics: those of the best epoch on each split.
        trivial: those of them that are known of always giving the same answer, on the split `trivial_on`.
        gain: how much better the best epoch is there than the better one of these; less than 0 if worse.
        last_value: those of saying that a series stays as the last row of each window has it; empty if it is none.
    """

    run: Path
    metrics: Mapping[str, Mapping[str, float]]
    trivial: Mapping[str, float]
    trivial_on: str
    gain: Mapping[str, float]
    best_epoch: int
    monitor: str
    best_value: float
    epochs_done: int
    seconds: float
    is_smoke: bool
    last_value: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldEnd:
    """What a fold came to.

    Attributes:
        number: of the fold, counted from 1.
        run: its folder.
        best_epoch: None if it is not done.
        metrics: those of the best epoch on each split; None if it is not done.
        error: why it is not done; None if it is.
        without_model: the split that these are of, and figures that can be had without a model, by what is done for
            them: "trivial", "last value"; empty if none are known.
    """

    number: int
    run: Path
    best_epoch: int | None
    metrics: Mapping[str, Mapping[str, float]] | None
    error: str | None
    without_model: Mapping[str, Any] = field(default_factory=dict)


def without_model(every: Sequence[FoldEnd]) -> tuple[str, Mapping[str, Mapping[str, float]]]:
    """The split, and the mean over folds of what can be had on it without a model, by what is done for it."""
    known = [one.without_model for one in every if one.without_model]
    if not known:
        return "", {}
    kinds = [what for what in known[0] if what != "split"]
    return str(known[0]["split"]), {
        what: {name: fmean(one[what][name] for one in known) for name in known[0][what]} for what in kinds
    }


@dataclass(frozen=True)
class FoldsEnd:
    """What all folds came to: each of them, and the mean and the standard deviation of those that are done."""

    run: Path
    folds: Sequence[FoldEnd]
    mean: Mapping[str, Mapping[str, float]]
    deviation: Mapping[str, Mapping[str, float]]
    is_smoke: bool = False

    def to_json(self) -> dict[str, Any]:
        """For metrics.json."""
        folds = [
            {
                "fold": one.number,
                "run": one.run.name,
                "epoch": one.best_epoch,
                "error": one.error,
                **(one.metrics or {}),
            }
            for one in self.folds
        ]
        return {"folds": folds, "mean": self.mean, "standard_deviation": self.deviation}


class Listener(Protocol):
    """Is told how training goes. Called from the training loop, up to some ten times a second: be quick."""

    def phase(self, text: str) -> None:
        """Something that takes a moment begins, such as loading the data."""

    def notice(self, title: str, lines: Sequence[str]) -> None:
        """Something that must not be overlooked; of several workers, all of them see it."""

    def notice_here(self, title: str, lines: Sequence[str]) -> None:
        """As `notice`, of what another worker may see otherwise."""

    def started(self, start: Start) -> None:
        """The first step is about to run."""

    def epoch_started(self, epoch: int) -> None:
        """An epoch, counted from 1, begins."""

    def progressed(self, steps: int, logs: Mapping[str, float]) -> None:
        """So many steps of the epoch are done, and these are the figures so far."""

    def validating(self, share: float) -> None:
        """Validation has got so far, 0 to 1."""

    def epoch_ended(self, end: EpochEnd) -> None:
        """An epoch is done and its checkpoint written."""

    def ended(self, end: End) -> None:
        """The run is done and everything written."""

    def fold_started(self, number: int, folds: int) -> None:
        """What follows is about the fold of this number, from 1 on."""

    def folds_ended(self, end: FoldsEnd) -> None:
        """All folds are done, or have failed, and everything is written."""
