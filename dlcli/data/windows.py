"""Windows over rows in the order of time: where each begins, which row it is to tell, and the numbers in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array
from dlcli.data.times import Timeline
from dlcli.errors import DataError
from dlcli.machine import machine_memory

_SHARE = 0.5  # of the machine's memory: there must be some to train with


@dataclass(frozen=True, eq=False)
class Windows:
    """Some windows, by positions in a `Timeline`.

    Attributes:
        firsts: where each begins; int64 of shape (n,).
        targets: what each is to tell; int64 of shape (n,). It may lie behind the end of the window's series.
        series: of which series each is; int64 of shape (n,).
        short: how many series are too short for a window.
    """

    firsts: Array
    targets: Array
    series: Array
    short: int

    def __len__(self) -> int:
        return len(self.firsts)

    def only(self, chosen: Array) -> Windows:
        """Those of them that are chosen, by booleans."""
        return Windows(self.firsts[chosen], self.targets[chosen], self.series[chosen], self.short)


def windows_of(found: Timeline, *, length: int, horizon: int, stride: int = 1, beyond: bool = False) -> Windows:
    """The windows of each series, in order.

    Args:
        found: the rows.
        length: of a window, in rows.
        horizon: how many rows behind the last one of its window a target is.
        stride: how many rows behind the beginning of a window the next one begins.
        beyond: whether the target may be a row that is not there yet.
    """
    firsts, series, short = [], [], 0
    needed = length if beyond else length + horizon
    for number, (begin, end) in enumerate(zip(found.bounds, found.bounds[1:], strict=False)):
        starts = np.arange(begin, end - needed + 1, stride, dtype=np.int64)
        short += not len(starts)
        firsts.append(starts)
        series.append(np.full(len(starts), number, np.int64))
    every = np.concatenate(firsts)
    return Windows(every, every + length - 1 + horizon, np.concatenate(series), short)


def gathered(rows: Array, windows: Windows, length: int, where: str) -> Array:
    """The rows of each window: shape (n, length, numbers) of rows of shape (m, numbers) in the order of a `Timeline`.

    Raises:
        DataError: they are larger than the machine's memory allows.
    """
    size = len(windows) * length * rows.shape[1] * rows.itemsize
    memory = machine_memory()
    if memory is not None and size > _SHARE * memory:
        message = (
            f"{where}: {len(windows):,} windows of {length:,} rows with {rows.shape[1]:,} numbers each take "
            f"{size / 2**30:.1f} GiB; this machine has {memory / 2**30:.1f} GiB."
        )
        raise DataError(message, "Use shorter windows, fewer `features`, or fewer windows: `stride: 10`, for example.")
    found = empty((len(windows), length, rows.shape[1]), rows.dtype)
    for step in range(length):  # with an index of each window alone, not of each of its rows
        found[:, step] = rows[windows.firsts + step]
    return found
