"""Which examples of a batch each of several replicas takes: neighbours, as evenly as can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.training.feeding import Block, Data, Pace


def share(total: Any, number: Any, replicas: int) -> tuple[Any, Any]:
    """Where the share of a replica begins in `total` examples, and how many it has; of integers, or of tensors."""
    base, rest = total // replicas, total % replicas
    # By arithmetic alone, so that it serves tensors as well: min(number, rest), and 1 where number < rest.
    before = (number + rest - abs(number - rest)) // 2
    after = (number + 1 + rest - abs(number + 1 - rest)) // 2
    return number * base + before, base + after - before


@dataclass(frozen=True)
class Shared:
    """The examples of a worker: of each batch its share, and of a batch that has none for it, one that is not heeded.

    Attributes:
        data: all examples.
        number: of the worker.
        workers: how many there are.
    """

    data: Data
    number: int
    workers: int

    @property
    def inputs(self) -> Any:
        """See `Data`."""
        return self.data.inputs

    @property
    def targets(self) -> Any:
        """See `Data`."""
        return self.data.targets

    def own(self, batch_size: int) -> int:
        """How many rows of a whole batch are read here."""
        return int(max(1, share(batch_size, self.number, self.workers)[1]))

    def blocks(self, order: Array, batch_size: int, pace: Pace, first: int = 0) -> Iterator[Block]:
        """As `Data` has it, for the order and the batches of all workers; of the blocks, each has what is read here."""
        own = self.own(batch_size)
        rows = self._own_rows(order[first:], batch_size)
        steps = -(-(len(order) - first) // batch_size)
        last = len(order) - first - (steps - 1) * batch_size
        done = 0
        for block in self.data.blocks(rows, own, pace):
            done += -(-block.examples // own)
            yield replace(block, last=last if done == steps else batch_size)

    def _own_rows(self, order: Array, batch_size: int) -> Array:
        own = self.own(batch_size)
        whole = len(order) // batch_size
        start, _ = share(batch_size, self.number, self.workers)
        start = min(start, batch_size - 1)
        rows = order[: whole * batch_size].reshape(whole, batch_size)[:, start : start + own].reshape(-1)
        rest = order[whole * batch_size :]
        if len(rest):
            start, count = share(len(rest), self.number, self.workers)
            start = min(start, len(rest) - 1)
            rows = np.concatenate([rows, rest[start : start + max(1, count)]])
        return rows
