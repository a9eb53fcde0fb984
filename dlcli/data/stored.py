"""Arrays that stay in their files: what is known of them, and ways to read consecutive rows. Which files, and what
their rows become, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array
from dlcli.errors import DataError

Read: TypeAlias = Callable[[int, int], Array]
"""reads rows: the first one, and how many"""
_BYTES_AT_ONCE = 16 * 2**20
_BYTES_WORTH_READING = 16 * 2**10  # as many are read about as fast as a few


@dataclass(frozen=True)
class Stored:
    """An array in a file.

    Attributes:
        path: the file.
        name: of the array.
        shape: with the rows' axis.
        dtype: of its numbers; that of texts has the kind "U".
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"`{self.name}` in {self.path}"

    def __len__(self) -> int:
        return self.shape[0]

    def place(self, number: int) -> str:
        """Which row that is, for a message."""
        return f"row {number}, counted from 0"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files whose change changes it."""
        return (self.path,)

    @property
    def is_sampled(self) -> bool:
        """Whether reading some rows is little work, and tells whether they have changed."""
        return True

    @property
    def row_bytes(self) -> int:
        """How many bytes are read for a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def obstacle(self) -> str | None:
        """Why it can only be read as a whole; None if any rows can be read where they are."""
        return None

    @property
    def digest(self) -> str | None:
        """A digest of all bytes, where they were all seen; else None."""
        return None

    @property
    def remedy(self) -> str:
        """How it is to be written, so that any rows can be read where they are."""
        return "Write it with `numpy.savez`, which does not compress, or row by row into an .h5 file."

    @property
    def rows_together(self) -> int:
        """How many rows the file keeps together, so that they are read as fast as one."""
        return 1

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """Yield what reads consecutive rows. Raises DataError if the file has become another one."""
        raise NotImplementedError

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """All rows in order, some megabytes at a time, each time with the number of the first one."""
        size = max(1, _BYTES_AT_ONCE // max(1, self.row_bytes))
        size = -(-size // self.rows_together) * self.rows_together
        with self.opened() as read:
            for first in range(0, len(self), size):
                yield first, read(first, min(size, len(self) - first))

    def blocks_with(self, others: Sequence[Stored]) -> Iterator[tuple[int, list[Array]]] | None:
        """As `blocks`, the rows of this and of others, read in one pass; None where that is no less work."""
        return None


@dataclass(frozen=True)
class Region(Stored):
    """Numbers that stand one behind the other in a file.

    Attributes:
        offset: where they begin.
        load: reads all of them, and sees that they are undamaged, if there is a way to.
    """

    offset: int
    load: Callable[[], Array] | None = None

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        try:
            with self.path.open("rb", buffering=0) as file:
                yield lambda first, count: self._read(file, first, count)
        except OSError as error:
            raise DataError(f"{self.path} can no longer be read: {error.strerror or error}.") from error

    def _read(self, file: BinaryIO, first: int, count: int) -> Array:
        # Not mapped into memory: mapped pages count as the process's own, and a file that is cut off ends the process.
        rows = np.empty((count, *self.shape[1:]), self.dtype)
        left = memoryview(rows.reshape(-1).view(np.uint8).data) if rows.size else memoryview(b"")
        file.seek(self.offset + first * self.row_bytes)
        while len(left):
            done = file.readinto(left)  # type: ignore[attr-defined]
            if not done:
                raise DataError(f"{self.path} has become shorter while it was read.")
            left = left[done:]
        return rows

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """See `Stored.blocks`."""
        if self.load is None:
            yield from super().blocks()
        else:
            yield 0, self.load()


@dataclass(frozen=True)
class Chunked(Stored):
    """A data set of an HDF5 file whose numbers stand in pieces, perhaps compressed.

    Attributes:
        chunk: how many rows a piece has.
    """

    chunk: int

    @property
    def rows_together(self) -> int:
        """See `Stored.rows_together`."""
        return self.chunk

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        try:
            import h5py  # not for those who only ask whether an array is one of these

            with h5py.File(self.path, "r") as file:
                found = file[self.name]
                yield lambda first, count: self._rows(found, first, count)
        except (OSError, KeyError, RuntimeError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise DataError(f"{self} cannot be read: {lines[0].rstrip('.')}.", "The file may be damaged.") from error

    def _rows(self, found: Any, first: int, count: int) -> Array:
        if self.dtype.kind == "U":
            found = found.asstr()
        rows = found[first : first + count] if self.shape else found[()]
        return np.asarray(rows, str) if self.dtype.kind == "U" else np.asarray(rows)


@dataclass(frozen=True)
class Packed(Stored):
    """An array that can only be read as a whole.

    Attributes:
        why: in a word.
        load: reads it.
    """

    why: str
    load: Callable[[], Array]

    @property
    def obstacle(self) -> str | None:
        """See `Stored.obstacle`."""
        return self.why

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        rows = self.load()
        yield lambda first, count: rows[first : first + count]

    def blocks(self) -> Iterator[tuple[int, Array]]:
        """See `Stored.blocks`."""
        yield 0, self.load()


@dataclass(frozen=True)
class Lost(Stored):
    """An array that a file names, but does not hold: whoever asks for it is told why.

    Attributes:
        error: what to tell.
    """

    error: DataError

    @classmethod
    def of(cls, path: Path, name: str, why: str, hint: str) -> Lost:
        """`why` says what it is instead."""
        return cls(path, name, (), np.dtype("V"), DataError(f"`{name}` in {path} is {why}.", hint))


class InFile:
    """Rows of an array as raw examples, read from its file whenever they are asked for.

    It is like an array, as far as `shape`, `dtype`, `len` and `rows = some[numbers]` go.

    Args:
        stored: the array.
        shape: of all its rows as raw examples.
        dtype: of raw examples.
        convert: makes raw examples of rows, whose numbers it gets, too.
    """

    def __init__(
        self, stored: Stored, shape: tuple[int, ...], dtype: str, convert: Callable[[Array, Array], Array]
    ) -> None:
        self.stored = stored
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._convert = convert

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def row_bytes(self) -> int:
        """How many bytes a raw example takes in memory."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """How many bytes all of it would take in memory."""
        return len(self) * self.row_bytes

    def whole(self) -> Array:
        """All raw examples, in memory. Raises DataError."""
        found = empty(self.shape, self.dtype)
        for first, rows in self.stored.blocks():
            self.put(found, first, rows)
        return found

    def put(self, found: Array, first: int, rows: Array) -> None:
        """Make raw examples of rows, the first of which has this number, at their place among all. Raises DataError."""
        found[first : first + len(rows)] = self._convert(rows, np.arange(first, first + len(rows)))

    def __getitem__(self, chosen: Any) -> Array:
        """The raw examples with these numbers, an array or a slice, in that order. Raises DataError.

        The file is read from front to back, neighbours at once, whatever their order.
        """
        numbers = np.arange(*chosen.indices(len(self))) if isinstance(chosen, slice) else np.asarray(chosen)
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        places = np.argsort(numbers, kind="stable")
        ascending = numbers[places]
        with self.stored.opened() as read:
            for begin, end in self._together(ascending):
                first = int(ascending[begin])
                rows = read(first, int(ascending[end - 1]) + 1 - first)
                wanted = ascending[begin:end]
                is_all = len(rows) == end - begin and bool((np.diff(wanted) == 1).all())
                rows = rows if is_all else rows[wanted - first]
                found[places[begin:end]] = self._convert(rows, wanted)
        return found

    def _together(self, ascending: Array) -> Iterator[tuple[int, int]]:
        """Which of ascending numbers are read at once: those whose pieces of the file follow one another."""
        near = max(self.stored.rows_together, _BYTES_WORTH_READING // max(1, self.stored.row_bytes), 1)
        most = max(near, _BYTES_AT_ONCE // max(1, self.stored.row_bytes))
        pieces = ascending // near
        ends = [*(np.flatnonzero(np.diff(pieces) > 1) + 1).tolist(), len(ascending)]
        begin = 0
        for end in ends:
            while begin < end:
                until = (int(pieces[begin]) + max(1, most // near)) * near
                stop = begin + int(np.searchsorted(ascending[begin:end], until))
                yield begin, stop
                begin = stop
