"""What the bytes of a table tell that its values do not: bytes that are no text, and rows that are too short.

They are looked at by what is as fast as memory, in all processors, and only where that can tell something: parsing
numbers takes no more than twenty times as long. To look meanwhile takes longer: it hinders the threads that parse.
"""

from __future__ import annotations

import codecs
import gzip
import mmap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.memory import cores
from dlcli.errors import DataError

_BLOCK = 2**18  # bytes that are looked at at once, so that they are still near when they are looked at again
_MAPPED = 2**22  # bytes of a file that is not copied into memory: pandas maps such files, too
_QUOTE = ord('"')


@dataclass(frozen=True)
class Separator:
    """What stands between values: one character of ASCII; and whether it means nothing between two quotes."""

    character: str
    has_quotes: bool


@dataclass
class _Seen:
    """What is in some bytes of a file.

    Attributes:
        outside: how many separators count, if the bytes do not begin between two quotes.
        inside: how many count if they do.
        is_odd: whether they end between quotes if they do not begin so.
        of_0: where the first byte of 0 is; None if there is none.
    """

    outside: int = 0
    inside: int = 0
    is_odd: bool = False
    of_0: int | None = None


def counts_separators(encoding: str, separator: str) -> bool:
    """Whether bytes tell where separators are. Raises LookupError for an encoding that is not known."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii") and separator.isascii()


def open_bytes(path: Path) -> IO[bytes]:
    """A file, unpacked if it is a .gz. Raises OSError."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb", buffering=0)  # type: ignore[return-value]


def scan(path: Path, separator: Separator | None, *, only_counts: bool = False) -> int | None:
    """Look at all bytes of a file in whose encoding lines end as in ASCII.

    Args:
        path: the file.
        separator: what is counted; None for nothing.
        only_counts: whether it is known that no byte is 0.

    Returns:
        How many separators there are that are not between two quotes; None if they were not counted.

    Raises:
        DataError: it has a byte of 0.
        OSError: it cannot be read.
    """
    total, at, is_inside = 0, 0, False
    for size, seen in _each_seen(path, separator, only_counts=only_counts):
        if seen.of_0 is not None:
            raise byte_of_0(path, _line_of(path, at + seen.of_0))
        total += seen.inside if is_inside else seen.outside
        is_inside ^= seen.is_odd
        at += size
    return None if separator is None else total


def _each_seen(path: Path, separator: Separator | None, *, only_counts: bool) -> Iterator[tuple[int, _Seen]]:
    """What is in each part of a file, in their order, and of how many bytes that is."""

    def look(part: Array) -> _Seen:
        return _seen_in(part, separator, only_counts=only_counts)

    with open_bytes(path) as file:
        if path.suffix.lower() != ".gz" and path.stat().st_size > _MAPPED:
            mapped = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
            parts = np.array_split(mapped, cores())
            with ThreadPoolExecutor(len(parts), "dlcli-scan") as pool:
                yield from zip(map(len, parts), pool.map(look, parts), strict=True)
            return
        while read := file.read(_MAPPED):
            yield len(read), look(np.frombuffer(read, np.uint8))


def _seen_in(values: Array, separator: Separator | None, *, only_counts: bool) -> _Seen:
    seen = _Seen()
    # The same memory again: asking for it anew takes twice as long as comparing.
    memory = np.empty(min(_BLOCK, len(values)), np.bool_)
    for begin in range(0, len(values), _BLOCK):
        block = values[begin : begin + _BLOCK]
        if not only_counts and not block.min():
            seen.of_0 = begin + int(block.argmin())
            return seen
        if separator is not None:
            _count(seen, block, separator, memory[: len(block)])
    return seen


def _count(seen: _Seen, block: Array, separator: Separator, found: Array) -> None:
    """Add the separators of a block to what was seen before it; `found`, as long as the block, is written on."""
    within = None
    if separator.has_quotes and np.equal(block, _QUOTE, out=found).any():
        within = np.bitwise_xor.accumulate(found.view(np.uint8)) ^ np.uint8(seen.is_odd)
    every = int(np.count_nonzero(np.equal(block, ord(separator.character), out=found)))
    between = every * seen.is_odd if within is None else int(np.count_nonzero(found & (within != 0)))
    seen.inside += between
    seen.outside += every - between
    seen.is_odd = seen.is_odd if within is None else bool(within[-1])


def _line_of(path: Path, place: int) -> int:
    with open_bytes(path) as file:
        return 1 + file.read(place).count(b"\n")


def byte_of_0(path: Path, line: int) -> DataError:
    """The error that a line has such a byte."""
    hint = "It may be written in `encoding: utf-16`; or it is damaged. `corrupt: skip` in a spec leaves such rows out."
    return DataError(f"{path}, line {line}, has a byte of 0, which is no text.", hint)
