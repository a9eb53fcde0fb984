"""What the bytes of a table tell that its values do not: bytes that are no text, and rows that are too short.

Each block is looked at by what is as fast as reading itself, and only where that can tell something: parsing numbers in
all processors takes no more than ten times as long. To look in a thread meanwhile takes longer: it hinders the others.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from dlcli.errors import DataError

_BLOCK = 2**18
_QUOTE = ord('"')


class SeparatorCount:
    """Counts the separators of a file that are not between two quotes, block after block.

    Args:
        separator: what stands between values, one character of ASCII.
        has_quotes: whether quotes mean anything.
    """

    def __init__(self, separator: str, *, has_quotes: bool) -> None:
        self.total = 0
        self._separator, self._has_quotes = separator.encode(), has_quotes
        self._is_inside = False
        # The same memory again: asking for it anew takes twice as long as comparing.
        self._found = np.empty(_BLOCK, np.bool_)

    def add(self, block: bytearray, size: int) -> None:
        """Count those in the first `size` bytes of a block."""
        values = np.frombuffer(block, np.uint8, size)
        found = np.equal(values, self._separator[0], out=self._found[:size])
        if self._has_quotes and block.find(_QUOTE, 0, size) >= 0:
            inside = np.bitwise_xor.accumulate((values == _QUOTE).view(np.uint8)) ^ np.uint8(self._is_inside)
            self.total += int(np.count_nonzero(found & (inside == 0)))
            self._is_inside = bool(inside[-1])
        elif not self._is_inside:
            self.total += int(np.count_nonzero(found))

    def is_wanted(self, block: bytearray, size: int) -> bool:
        """Whether a row that begins in a block lacks its last value: then it must be seen that none is too short."""
        return any(block.find(self._separator + end, 0, size) >= 0 for end in (b"\n", b"\r"))


def counts_separators(encoding: str, separator: str) -> bool:
    """Whether bytes tell where separators are. Raises LookupError for an encoding that is not known."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii") and separator.isascii()


def open_bytes(path: Path) -> IO[bytes]:
    """A file, unpacked if it is a .gz. Raises OSError."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb", buffering=0)  # type: ignore[return-value]


def scan(path: Path, count: SeparatorCount | None) -> int | None:
    """Look at all bytes of a file in whose encoding lines end as in ASCII.

    Args:
        path: the file.
        count: counts, if the first rows make that necessary; None where bytes do not tell.

    Returns:
        How many separators there are, as `SeparatorCount`; None if they were not counted.

    Raises:
        DataError: it has a byte of 0.
        OSError: it cannot be read.
    """
    at = 0
    for block, size in _blocks(path):
        place = block.find(0, 0, size)
        if place >= 0:
            raise byte_of_0(path, _line_of(path, at + place))
        count = None if count is None or not (at or count.is_wanted(block, size)) else count
        if count is not None:
            count.add(block, size)
        at += size
    return None if count is None else count.total


def _blocks(path: Path) -> Iterator[tuple[bytearray, int]]:
    """The bytes of a file, each time in the same memory, and how many of that they are."""
    with open_bytes(path) as file:
        block = bytearray(_BLOCK)
        while size := file.readinto(block):  # type: ignore[attr-defined]
            yield block, size


def separators_in(path: Path, count: SeparatorCount) -> int:
    """How many separators a file has; `count` has not counted yet. Raises OSError."""
    for block, size in _blocks(path):
        count.add(block, size)
    return count.total


def _line_of(path: Path, place: int) -> int:
    with open_bytes(path) as file:
        return 1 + file.read(place).count(b"\n")


def byte_of_0(path: Path, line: int) -> DataError:
    """The error that a line has such a byte."""
    hint = "It may be written in `encoding: utf-16`; or it is damaged. `corrupt: skip` in a spec leaves such rows out."
    return DataError(f"{path}, line {line}, has a byte of 0, which is no text.", hint)
