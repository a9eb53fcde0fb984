"""What the bytes of a table tell that its values do not: bytes that are no text, and rows that are too short.

A file is looked at in a thread of its own while it is parsed, which takes thirty times as long.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import IO, TypeAlias

import numpy as np

from dlcli.errors import DataError

_BLOCK = 2**18
_QUOTE = ord('"')
Look: TypeAlias = "Future[int | None]"
"""gives how many separators there are, as `SeparatorCount`, or None if they were not counted; raises DataError"""


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


@contextmanager
def looked_at(path: Path, count: SeparatorCount | None) -> Iterator[Look]:
    """Look meanwhile at all bytes of a file in whose encoding lines end as in ASCII.

    Args:
        path: the file.
        count: counts, if the first rows make that necessary; None where bytes do not tell.

    Raises:
        DataError: it has a byte of 0, which also explains whatever error is raised meanwhile.
        OSError: it cannot be read.
    """
    over = Event()
    with ThreadPoolExecutor(1, "dlcli-look") as pool:
        look = pool.submit(_look, path, count, over)
        try:
            yield look
            look.result()
        except Exception:
            look.result()
            raise
        finally:
            over.set()


def _look(path: Path, count: SeparatorCount | None, over: Event) -> int | None:
    at = 0
    for block, size in _blocks(path):
        place = block.find(0, 0, size)
        if place >= 0:
            raise _byte_of_0(path, at + place)
        count = None if count is None or not (at or count.is_wanted(block, size)) else count
        if count is not None:
            count.add(block, size)
        if over.is_set():
            return None
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


def _byte_of_0(path: Path, place: int) -> DataError:
    with open_bytes(path) as file:
        line = 1 + file.read(place).count(b"\n")
    hint = "It may be written in `encoding: utf-16`; or it is damaged. `corrupt: skip` in a spec leaves such rows out."
    return DataError(f"{path}, line {line}, has a byte of 0, which is no text.", hint)
