"""What the bytes of a table tell before it is parsed: bytes that are no text, how many separators, which characters.

Each block is looked at by what is as fast as reading itself; parsing takes about thirty times as long.
"""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from dlcli.errors import DataError

_BLOCK = 2**18
_QUOTE = ord('"')


@dataclass(frozen=True)
class Scan:
    """What was seen in a file.

    Attributes:
        separators: how many separators it has, also inside quotes; None where bytes do not tell.
        has_quotes: whether there is a quote anywhere.
        absent: those of the characters looked for that are nowhere in the rows.
    """

    separators: int | None
    has_quotes: bool
    absent: frozenset[str]


NOTHING_SEEN = Scan(None, True, frozenset())
"""of a file whose bytes are not looked at"""


def open_bytes(path: Path) -> IO[bytes]:
    """A file, unpacked if it is a .gz. Raises OSError."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def scan(path: Path, encoding: str, separator: str, sought: Collection[str], *, is_headed: bool) -> Scan:
    """Look at all bytes of a file in whose encoding lines end as in ASCII.

    Args:
        path: the file.
        encoding: how its characters are written.
        separator: what stands between its columns, one character.
        sought: characters of ASCII, for `Scan.absent`.
        is_headed: whether the first line does not count for that.

    Raises:
        DataError: it has a byte of 0.
        OSError: it cannot be read.
    """
    is_counted = _is_utf8(encoding) and separator.isascii()
    absent = {*sought, '"'}
    with open_bytes(path) as file:
        at, separators, block = 0, 0, bytearray(_BLOCK)
        values, found = np.frombuffer(block, np.uint8), np.empty(_BLOCK, np.bool_)
        while size := file.readinto(block):  # type: ignore[attr-defined]
            place = block.find(0, 0, size)
            if place >= 0:
                raise _byte_of_0(path, at + place)
            if is_counted:
                # Into the same memory again: asking for it anew takes twice as long as comparing.
                separators += int(np.count_nonzero(np.equal(values[:size], ord(separator), out=found[:size])))
            begin = block.find(b"\n", 0, size) + 1 if is_headed and not at else 0
            absent = {one for one in absent if block.find(one.encode(), 0 if one == '"' else begin, size) < 0}
            at += size
    return Scan(separators if is_counted else None, '"' not in absent, frozenset(absent.intersection(sought)))


def separators_outside_quotes(path: Path, separator: str) -> int:
    """How many separators of a file in UTF-8 are not between two quotes. Raises OSError."""
    count = inside = 0
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            values = np.frombuffer(block, np.uint8)
            is_inside = np.bitwise_xor.accumulate((values == _QUOTE).view(np.uint8)) ^ np.uint8(inside)
            count += int(np.count_nonzero((values == ord(separator)) & (is_inside == 0)))
            inside = int(is_inside[-1])
    return count


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def _byte_of_0(path: Path, place: int) -> DataError:
    with open_bytes(path) as file:
        line = 1 + file.read(place).count(b"\n")
    hint = "It may be written in `encoding: utf-16`; or it is damaged. `corrupt: skip` in a spec leaves such rows out."
    return DataError(f"{path}, line {line}, has a byte of 0, which is no text.", hint)
