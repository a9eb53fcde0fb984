"""What reaches a model's steps: examples, resident with TensorFlow or streamed, and how a batch is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array
from dlcli.data.encoding import AnyEncoding, Encoding
from dlcli.data.preparation import AnyPreparation
from dlcli.training.augmenting import augmented

_SECONDS_A_CALL = 0.1
_BYTES_A_BLOCK = 64 * 2**20


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
    """

    tensors: Any
    order: Any
    first: int
    examples: int


class Data(Protocol):
    """Examples: inputs of shape (n, ...), targets of shape (n, ...), and perhaps a weight for each."""

    @property
    def targets(self) -> Any:
        """What is true of each example, as it is stored."""

    def blocks(self, order: Array, batch_size: int, pace: Pace) -> Iterator[Block]:
        """The rows of `order`, in blocks of `pace.steps` batches; the last batch may be smaller."""

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

    def blocks(self, order: Array, batch_size: int, pace: Pace) -> Iterator[Block]:
        """See `Data`."""
        tensors, rows = _present(self), tf.constant(order, tf.int64)
        first = 0
        while first < len(order):
            examples = min(pace.steps * batch_size, len(order) - first)
            yield Block(tensors, rows, first, examples)
            first += examples


@dataclass(frozen=True)
class Streamed:
    """Examples that stay in NumPy arrays, or in files mapped into memory: read block by block, one block ahead."""

    inputs: Any
    targets: Any
    weights: Any = None

    def weighing(self, weights: Any) -> Data:
        """See `Data`."""
        return replace(self, weights=weights)

    def blocks(self, order: Array, batch_size: int, pace: Pace) -> Iterator[Block]:
        """See `Data`."""
        row_bytes = sum(part[:1].nbytes for part in tf.nest.flatten(_present(self)))
        most = max(1, _BYTES_A_BLOCK // max(1, row_bytes * batch_size))
        with ThreadPoolExecutor(1, "dlcli-reader") as reader:
            first, following = 0, self._read(reader, order[: min(pace.steps, most) * batch_size])
            while first < len(order):
                tensors, examples = following.result()
                rest = first + examples
                following = self._read(reader, order[rest : rest + min(pace.steps, most) * batch_size])
                yield Block(tensors, tf.range(examples, dtype=tf.int64), 0, examples)
                first = rest

    def _read(self, reader: ThreadPoolExecutor, rows: Array) -> Future[tuple[Any, int]]:
        return reader.submit(lambda: (tf.nest.map_structure(lambda part: part[rows], _present(self)), len(rows)))


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
