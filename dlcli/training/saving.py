"""When a run's checkpoints are written: at the ends of epochs, and as rarely as keeps their cost small."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from dlcli.files import replacing
from dlcli.runs import RunFolder
from dlcli.training.checkpoint import Contents, save_checkpoint

# Writing takes at most this share of the time: a run of five-millisecond epochs is not spent on 50-millisecond files.
_SHARE = 0.02


@dataclass(frozen=True)
class Position:
    """Where in a run the weights are from: epochs that are done, and steps in all."""

    epoch: int
    step: int


@dataclass
class Saver:
    """Keeps last.h5 and best.h5 of a run.

    After an epoch they are written, unless the last writing was so short ago that it would take more than its share of
    the time; the best weights are then kept in memory. So a run that is killed loses little, and one that ends or is
    interrupted loses nothing.

    Attributes:
        contents: what a checkpoint says beside the weights, for a position.
        saved: the position that last.h5 holds; None before there is one.
    """

    run: RunFolder
    model: keras.Model
    contents: Callable[[Position], Contents]
    saved: Position | None = None
    _best: tuple[Position, list[Any]] | None = None
    _seconds: float = 0.0
    _wrote: float = field(default_factory=time.monotonic)

    def epoch_ended(self, position: Position, *, is_best: bool) -> None:
        """Write the checkpoints, or remember what must not be lost. Raises RunError."""
        if self.saved is None or time.monotonic() - self._wrote >= self._seconds / _SHARE:
            self.write(position, is_best=is_best)
        elif is_best:
            with averaged(self.model):
                self._best = position, self.model.get_weights()

    def write(self, position: Position, *, is_best: bool = False) -> None:
        """Write both now, wherever the training is. Raises RunError."""
        began = time.monotonic()
        with averaged(self.model):
            save_checkpoint(self.run.last, self.model, self.contents(position))
        self.saved = position
        if is_best or (self._best is None and not self.run.best.exists()):
            self._best = None
            with replacing(self.run.best) as beside:
                shutil.copyfile(self.run.last, beside)
        else:
            self.write_best()
        self._wrote = time.monotonic()
        self._seconds = self._wrote - began

    def write_best(self) -> None:
        """Write best.h5, if the best weights are only in memory. Raises RunError."""
        if self._best is None:
            return
        position, best = self._best
        weights = self.model.get_weights()
        self.model.set_weights(best)
        try:
            save_checkpoint(self.run.best, self.model, self.contents(position))
        finally:
            self.model.set_weights(weights)
        self._best = None


def has_averages(model: keras.Model) -> bool:
    """Whether what is saved are averages of the weights, and not the weights that are validated."""
    return bool(getattr(model.optimizer, "use_ema", False))


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """While entered, the weights are those that `fit` would leave: averages, if the optimizer has `use_ema`."""
    if not has_averages(model):
        yield
        return
    weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        model.set_weights(weights)
