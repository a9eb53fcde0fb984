"""What reaches a model's steps: examples, resident with TensorFlow or streamed, and how a batch is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array
from dlcli.data.encoding import AnyEncoding, Encoding
from dlcli.data.hdf5_lock import give_up_hdf5
from dlcli.data.preparation import AnyPreparation
from dlcli.data.shuffling import Windows, epoch_order
from dlcli.training.augmenting import augmented

_SECONDS_A_CALL = 0.1
_BYTES_A_BLOCK = 64 * 2**20
_BYTES_READ, _LEAST_READ = 16 * 2**20, 64


class Pace:
    """How many steps a call runs: as many as take about a tenth of a second, once that is known."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self.steps = 1

    def ran(self, steps: int, seconds: float) -> None:
        """Learn from a call. It grows fourfold at most, since a first call also traces."""
        wanted = int(steps * _SECONDS_A_CALL / max(seconds, 1e-6))
        self.steps = max(1, min(self.steps * 4, wanted, self._most or wanted))


@dataclass(frozen=True)
class Block:
    """What one call runs over: `order`, from number `first` on, says which of the tensors' rows to read.

    Attributes:
        tensors: (inputs, targets) or (inputs, targets, weights), each a tensor or a structure of tensors.
        order: row numbers, int64 of shape (n,).
        first: the position in `order` at which the block begins.
        examples: how many there are to read.
        whole: how many examples the data has.
        last: how many its last batch has in all processes together, where there are several.
    """

    tensors: Any
    order: Any
    first: int
    examples: int
    whole: int
    last: int = 0


class Data(Protocol):
    """Examples: inputs of shape (n, ...), targets of shape (n, ...), and perhaps a weight for each."""

    @property
    def inputs(self) -> Any:
        """What goes in, as it is stored."""

    @property
    def targets(self) -> Any:
        """What is true of each example, as it is stored."""

    def blocks(self, order: Array, batch_size: int, pace: Pace, first: int = 0) -> Iterator[Block]:
        """The rows of `order` from number `first` on, in blocks of `pace.steps` batches; the last may be smaller.

        Raises:
            DataError: rows that are only read now are not what they should be.
        """

    def shuffled(self, order: Array, *, seed: int, epoch: int) -> Array:
        """The rows of `order`, which ascend, in the order of an epoch of training, counted from 0."""

    def weighing(self, weights: Any) -> Data:
        """The same examples, each with a weight."""


@dataclass(frozen=True)
class Resident:
    """Examples that TensorFlow holds, as their bytes; or structures of them for several inputs and outputs."""

    inputs: Any
    targets: Any
    weights: Any = None

    def weighing(self, weights: Any) -> Data:
        """See `Data`."""
        return replace(self, weights=weights)

    def blocks(self, order: Array, batch_size: int, pace: Pace, first: int = 0) -> Iterator[Block]:
        """See `Data`."""
        tensors, rows = _present(self), tf.constant(order, tf.int64)
        whole = int(tf.nest.flatten(self.inputs)[0].shape[0])
        while first < len(order):
            examples = min(pace.steps * batch_size, len(order) - first)
            yield Block(tensors, rows, first, examples, whole)
            first += examples

    def shuffled(self, order: Array, *, seed: int, epoch: int) -> Array:
        """See `Data`."""
        return epoch_order(order, seed=seed, epoch=epoch)


@dataclass(frozen=True)
class Streamed:
    """Examples that stay in NumPy arrays or in files: read window by window and handed on block by block, each of
    them ahead, in threads of their own. A window is what memory has room for, a block what a call of the steps takes.
    """

    inputs: Any
    targets: Any
    weights: Any = None
    windows: Windows | None = None

    def weighing(self, weights: Any) -> Data:
        """See `Data`."""
        return replace(self, weights=weights)

    def blocks(self, order: Array, batch_size: int, pace: Pace, first: int = 0) -> Iterator[Block]:
        """See `Data`."""
        most = max(1, _BYTES_A_BLOCK // (self._row_bytes * batch_size))
        with ThreadPoolExecutor(2, "dlcli-reader") as threads:
            reading = _Reading(_present(self), order, first, self._window, threads)
            following = threads.submit(reading.take, min(pace.steps, most) * batch_size)
            while first < len(order):
                give_up_hdf5()
                tensors, examples = following.result()
                first += examples
                if first < len(order):
                    following = threads.submit(reading.take, min(pace.steps, most) * batch_size)
                yield Block(tensors, tf.range(examples, dtype=tf.int64), 0, examples, self._count)

    def shuffled(self, order: Array, *, seed: int, epoch: int) -> Array:
        """See `Data`."""
        return epoch_order(order, seed=seed, epoch=epoch, windows=self.windows)

    @property
    def _count(self) -> int:
        return len(tf.nest.flatten(self.inputs)[0])

    @property
    def _row_bytes(self) -> int:
        parts = tf.nest.flatten(_present(self))
        return max(1, sum(int(math.prod(part.shape[1:]) * part.dtype.itemsize) for part in parts))

    @property
    def _window(self) -> int:
        # Without a window to shuffle in, as many as are decoded at once: the first ones are waited for.
        return self.windows.window if self.windows is not None else max(_LEAST_READ, _BYTES_READ // self._row_bytes)


class _Reading:
    """One pass over the rows of `order`, from number `first` on: windows, the next one of which is being read.

    They begin where those of a whole pass do, so that a run of neighbours is in one window, and read once.
    """

    def __init__(self, tensors: Any, order: Array, first: int, window: int, threads: ThreadPoolExecutor) -> None:
        self._tensors, self._order, self._threads = tensors, order, threads
        bounds = [first, *range(first - first % window + window, len(order), window), len(order)]
        self._bounds = pairwise(bounds)
        self._held: Any = None
        self._at = self._end = 0
        self._following = self._submit()

    def take(self, count: int) -> tuple[Any, int]:
        """The next rows, as many as that if there are so many, with TensorFlow; and how many they are."""
        parts: list[Any] = []
        taken = 0
        while taken < count and (self._at < self._end or self._following is not None):
            if self._at == self._end:
                self._go_on()
            end = min(self._end, self._at + count - taken)
            parts.append(self._map(self._held, slice(self._at, end)))
            taken, self._at = taken + end - self._at, end
        return tf.nest.map_structure(_joined, *parts), taken

    def _go_on(self) -> None:
        """Hold the next window instead of this one, and have the one after it read."""
        self._held = None  # before another one is read
        if self._following is not None:
            self._held, self._end = self._following.result()
            self._at, self._following = 0, self._submit()

    def _submit(self) -> Future[tuple[Any, int]] | None:
        first, end = next(self._bounds, (0, 0))
        rows = self._order[first:end]
        return self._threads.submit(lambda: (self._map(self._tensors, rows), len(rows))) if len(rows) else None

    @staticmethod
    def _map(tensors: Any, rows: Any) -> Any:
        return tf.nest.map_structure(lambda part: part[rows], tensors)


def _joined(*parts: Array) -> Any:
    return tf.constant(parts[0] if len(parts) == 1 else np.concatenate(parts))


def _present(data: Resident | Streamed) -> Any:
    return (data.inputs, data.targets) if data.weights is None else (data.inputs, data.targets, data.weights)


@dataclass(frozen=True)
class Rows:
    """Some rows of the examples, in the order in which they are read."""

    data: Data
    order: Array

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Feed:
    """Makes what a model's steps take out of raw examples; inside a TensorFlow graph or outside.

    Attributes:
        preparation: applied to the inputs, in training and ever after.
        encoding: of the targets.
        augment: layers applied to prepared inputs, in training only; for each of several inputs, by name.
    """

    preparation: AnyPreparation
    encoding: AnyEncoding
    augment: Sequence[Any] | Mapping[str, Sequence[Any]] = field(default=())

    def for_training(self, raw: Any) -> Any:
        """The argument of `train_step` for a batch of raw (inputs, targets) or (inputs, targets, weights)."""
        inputs, targets, *weights = self.for_testing(raw)
        if isinstance(self.augment, Mapping):
            inputs = {name: augmented(self.augment[name], part, None)[0] for name, part in inputs.items()}
        else:
            inputs, targets = augmented(self.augment, inputs, targets)
        return (inputs, targets, *weights)

    def for_testing(self, raw: Any) -> Any:
        """The argument of `test_step`; its first part is what the model itself takes."""
        inputs, targets, *weights = raw
        prepared = self.preparation.apply(inputs)
        is_own = isinstance(self.encoding, Encoding) and self.encoding.kind == "input"
        return (prepared, prepared if is_own else self.encoding.apply(targets), *weights)

    def stand_ins(self) -> Any:
        """Two raw examples of zeros, for building the state of model and metrics."""
        return self.preparation.stand_ins(2), self.encoding.stand_ins(2)

    def augmenting_layers(self) -> list[Any]:
        """All layers that augment."""
        every = self.augment.values() if isinstance(self.augment, Mapping) else (self.augment,)
        return [layer for layers in every for layer in layers]


def as_floats(logs: dict[str, Any]) -> dict[str, float]:
    """The figures of a step as numbers; waits for the device."""
    return {name: float(np.asarray(value)) for name, value in logs.items()}
