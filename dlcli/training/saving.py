"""When a run's checkpoints are written: at the ends of epochs, and as rarely as keeps their cost small.

What is written is a `Moment`, handed in; how it is written is in `dlcli.training.checkpoint`.
"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import keras

from dlcli.data.hdf5_lock import give_up_hdf5
from dlcli.files import replacing
from dlcli.runs import RunFolder
from dlcli.spec.grammar import CheckpointSpec
from dlcli.training.checkpoint import LARGE, Contents, save_checkpoint

if TYPE_CHECKING:
    from dlcli.training.state import Snapshot

# Writing takes at most this share of the time: a run of five-millisecond epochs is not spent on 50-millisecond files.
_SHARE = 0.02


class Position(NamedTuple):
    """Where in a run the weights are from: epochs that are done, and steps in all."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Moment:
    """Everything of a training at one moment."""

    position: Position
    contents: Contents
    snapshot: Snapshot


class TakeMoment(Protocol):
    """Gives the moment that a training is at."""

    def __call__(self, *, copied: bool) -> Moment:
        """The moment; with `copied`, numbers that stay as they are while training goes on."""


@dataclass
class Saver:
    """Keeps last.h5 and best.h5 of a run, and as many earlier ones as the spec asks for.

    After an epoch they are written, unless the last writing was so short ago that it would take more than its share of
    the time; the best moment is then kept in memory. So a run that is killed loses little, and one that ends or is
    interrupted loses nothing. best.h5 is written before a last.h5 that is later than it, so that a run that is resumed
    from its last.h5 finds the best epoch that this speaks of, or comes to it again.

    Attributes:
        take: gives the moment that the training is at.
        size: of its numbers, in bytes.
        spec: when else to write, and what to keep.
        saved: the position that last.h5 holds; None before there is one.
    """

    run: RunFolder
    model: keras.Model
    take: TakeMoment
    size: int
    spec: CheckpointSpec
    saved: Position | None = None
    _best: Moment | None = None
    _seconds: float = 0.0
    _wrote: float = field(default_factory=time.monotonic)
    _writer: ThreadPoolExecutor | None = None
    _writing: Future[None] | None = None

    @property
    def is_large(self) -> bool:
        """Whether checkpoints are written beside the training, from a copy."""
        return self.size >= LARGE

    def epoch_ended(self, *, is_best: bool) -> None:
        """Write the checkpoints, or remember what must not be lost. Raises RunError."""
        if self._is_free() and (self.saved is None or self._since() >= self._seconds / _SHARE):
            self._write(is_best=is_best)
        elif is_best:
            self._best = self.take(copied=True)

    def progressed(self, position: Position) -> None:
        """In the middle of an epoch: write, if the spec asks for it now. Raises RunError."""
        minutes, steps = self.spec.every_minutes, self.spec.every_steps
        done = position.step - (self.saved.step if self.saved else 0)
        is_due = (minutes is not None and self._since() >= 60 * minutes) or (steps is not None and done >= steps)
        if is_due and self._is_free():
            self._write()

    def write(self, *, is_best: bool = False) -> None:
        """Write now, wherever the training is, and wait for it. Raises RunError."""
        self.finish()
        self._write(is_best=is_best)
        self.finish()

    def write_best(self) -> None:
        """Write best.h5, if the best moment is only in memory. Raises RunError."""
        self.finish()
        if self._best is not None:
            self._save_best(self._best)
            self._best = None

    def forget_best(self) -> None:
        """Let go of a best moment that is only in memory: the training has gone back to one before it."""
        self._best = None

    def finish(self) -> None:
        """Wait for what is being written. Raises RunError if it could not be."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Let go of the thread; what it writes is written to its end."""
        if self._writer is not None:
            self._writer.shutdown()

    def _since(self) -> float:
        return time.monotonic() - self._wrote

    def _is_free(self) -> bool:
        if self._writing is not None and not self._writing.done():
            return False
        self.finish()
        return True

    def _write(self, *, is_best: bool = False) -> None:
        began = time.monotonic()
        moment = self.take(copied=self.is_large)
        best, self._best = (None if is_best else self._best), None
        if not self.is_large:
            self._save(moment, best, is_best, began)
            return
        give_up_hdf5()
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "dlcli-checkpoint")
        self._writing = self._writer.submit(self._save, moment, best, is_best, began)

    def _save(self, moment: Moment, best: Moment | None, is_best: bool, began: float) -> None:
        if best is not None:
            self._save_best(best)
        save_checkpoint(self.run.last, self.model, moment.contents, moment.snapshot, self.size)
        self.saved = moment.position
        if is_best or not self.run.best.exists():
            with replacing(self.run.best) as beside:
                shutil.copyfile(self.run.last, beside)
        self._keep(moment.position)
        self._wrote = time.monotonic()
        self._seconds = self._wrote - began

    def _save_best(self, best: Moment) -> None:
        save_checkpoint(self.run.best, self.model, best.contents, best.snapshot, self.size)

    def _keep(self, position: Position) -> None:
        if self.spec.keep == 0:
            return
        with replacing(self.run.kept_at(position.step)) as beside:
            try:
                os.link(self.run.last, beside)
            except OSError:  # a file system without links
                shutil.copyfile(self.run.last, beside)
        for old in self.run.kept[self.spec.keep :]:
            old.unlink(missing_ok=True)
