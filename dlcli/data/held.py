"""Arrays of files that come into memory: those that are in the same file in one pass over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array
from dlcli.data.stored import InFile, Stored
from dlcli.errors import DataError


@dataclass(frozen=True)
class Held(Stored):
    """An array of a file whose rows are in memory.

    Attributes:
        of: the array.
        rows: all of it.
    """

    of: Stored
    rows: Array

    @classmethod
    def once(cls, of: Stored, rows: Array) -> Held:
        """`rows` are those of an array, which are not to be read again."""
        return cls(of.path, of.name, of.shape, of.dtype, of, rows)

    def __str__(self) -> str:
        return str(self.of)

    def place(self, number: int) -> str:
        """See `Stored.place`."""
        return self.of.place(number)

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """See `Stored.blocks`."""
        yield 0, self.rows


def read_together(
    rows: Mapping[str, InFile], targets: Mapping[str, Stored], *, is_held: bool
) -> tuple[dict[str, Any], dict[str, Stored]]:
    """The inputs, in memory if they are to be held there; and the targets, which are then read only once.

    Args:
        rows: the inputs, by name.
        targets: the targets, by name.
        is_held: whether the inputs are to be in memory.

    Raises:
        DataError: one cannot be read, or is not what it is to be; or there is not enough memory.
    """
    held = dict(rows) if is_held else {}
    every = [*(one.stored for one in held.values()), *targets.values()]
    blocks = every[0].blocks_with(every[1:]) if every else None
    try:
        if blocks is None:
            return {name: one.whole() if is_held else one for name, one in rows.items()}, dict(targets)
        inputs = {name: empty(one.shape, one.dtype) for name, one in held.items()}
        values: dict[str, list[Array]] = {name: [] for name in targets}
        for first, found in blocks:
            for (name, one), part in zip(held.items(), found, strict=False):
                one.put(inputs[name], first, part)
            for name, part in zip(targets, found[len(held) :], strict=True):
                values[name].append(part)
    except MemoryError as error:
        names = " and ".join(str(one.stored) for one in rows.values())
        raise DataError(f"There is not enough memory for {names}.", "With `stream: true` it stays there.") from error
    return {**rows, **inputs}, {name: Held.once(one, np.concatenate(values[name])) for name, one in targets.items()}
