"""Rows of a table that are corrupt and are left out: which records of a file are sound, and where the others are."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from dlcli.errors import DataError

MOST_TOLD = 5
"""so many places are told to a person"""
_ESCAPED = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of bytes that are no characters (PEP 383)


def has_wrong_bytes(text: str) -> bool:
    """Whether a text that was read with `errors="surrogateescape"` has bytes that are not written in its encoding."""
    return not text.isascii() and _ESCAPED.search(text) is not None


@dataclass(frozen=True)
class Checks:
    """What the values of columns must be so that a row is sound.

    Attributes:
        known: the kinds of columns, as in a spec; those of others are told by their values.
        used: the columns that matter; None for all.
    """

    known: Mapping[str, str]
    used: tuple[str, ...] | None


@dataclass(frozen=True)
class Columns:
    """What a record must be to be a row: how many values it has, and what stands between and around them."""

    count: int
    separator: str
    quoting: Literal[0, 3]


@dataclass(frozen=True)
class _Rows:
    """The rows of a file: the line of each; None where it has no lines."""

    path: Path
    count: int
    lines: array[int] | None

    def __len__(self) -> int:
        return self.count if self.lines is None else len(self.lines)


@dataclass
class Skipped:
    """What is left out of one or several files: how many rows, where the first ones are, and why.

    Attributes:
        count: how many there are.
        places: the first ones, for a person.
    """

    count: int = 0
    places: list[str] = field(default_factory=list)
    _files: list[_Rows] = field(default_factory=list)

    def add(self, place: str, why: str) -> None:
        """Take note of a row that is left out."""
        self.count += 1
        if len(self.places) < MOST_TOLD:
            self.places.append(f"{place} {why}")

    def add_rows(self, why: Mapping[int, str], count: int) -> None:
        """Take note of so many rows that were read and are left out then; of the first ones by number, and why."""
        for row in sorted(why)[: MOST_TOLD - len(self.places)]:
            self.places.append(f"{self.place(row)} {why[row]}")
        self.count += count

    def has_rows(self, path: Path, count: int) -> None:
        """Take note of the rows of a file that has no lines."""
        self._files.append(_Rows(path, count, None))

    def has_lines(self, path: Path) -> array[int]:
        """Take note of a file of lines; the line of each row is put into what this gives."""
        lines = array("Q")
        self._files.append(_Rows(path, 0, lines))
        return lines

    def place(self, row: int) -> str:
        """Where a row is, counted from 0 over the rows of all files that were read."""
        for file in self._files:
            if row < len(file):
                return f"{file.path.name} row {row + 1}" if file.lines is None else _line(file.path, file.lines[row])
            row -= len(file)
        raise IndexError(row)

    def told(self, rows: int) -> str:
        """For a person: what is left out, besides so many rows that are not."""
        more = "; …" if self.count > len(self.places) else "."
        are = "is corrupt and is" if self.count == 1 else "are corrupt and are"
        return f"{self.count:,} of {self.count + rows:,} rows {are} left out: {'; '.join(self.places)}{more}"


def _line(path: Path, line: int) -> str:
    return f"{path.name} line {line}"


def values_in(record: list[str]) -> str:
    """How many values a record has, for a person."""
    return "1 value" if len(record) == 1 else f"{len(record)} values"


def open_quote(path: Path, line: int) -> DataError:
    """The error that all that follows a quote is inside it."""
    message = f"{path}, line {line}: a quote begins there that does not end."
    return DataError(message, "Take it out; or write `quotes: false`, if quotes mean nothing in this file.")


class SoundRecords:
    """The text of a file without those records that cannot be rows: a file to read, for pandas.

    Args:
        path: names the file.
        file: its text, opened with `errors="surrogateescape"`.
        above: how many lines are above the first record.
        columns: what a record must have.
        skipped: takes note.
    """

    def __init__(self, path: Path, file: IO[str], above: int, columns: Columns, skipped: Skipped) -> None:
        self._path, self._columns, self._skipped = path, columns, skipped
        self._file, self._line = file, 0
        self._taken: list[str] = []
        self._lines = skipped.has_lines(path)
        self._texts = self._sound(above)

    def __iter__(self) -> Iterator[str]:
        return self._texts

    def read(self, size: int = -1) -> str:
        """At least so many characters, if there are so many; all of them, if that is negative."""
        parts, count = [], 0
        for text in self._texts:
            parts.append(text)
            count += len(text)
            if 0 <= size <= count:
                break
        return "".join(parts)

    def _remembered(self) -> Iterator[str]:
        for line in self._file:
            self._line += 1
            self._taken.append(line)
            yield line

    def _sound(self, above: int) -> Iterator[str]:
        lines = self._remembered()
        for _ in range(above):
            next(lines, None)
        records = csv.reader(lines, delimiter=self._columns.separator, quoting=self._columns.quoting)
        while True:
            self._taken.clear()
            line = self._line + 1
            try:
                record = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                raise open_quote(self._path, line) from error
            text = "".join(self._taken)
            if not text.strip():
                continue
            why = self._why_corrupt(record, text)
            if why is None:
                self._lines.append(line)
                yield text
                continue
            if len(self._taken) > 1 and text.count('"') % 2 and next(lines, None) is None:
                raise open_quote(self._path, line)
            more = f" to {self._line}" if len(self._taken) > 1 else ""
            self._skipped.add(f"{_line(self._path, line)}{more}", why)

    def _why_corrupt(self, record: list[str], text: str) -> str | None:
        if len(record) != self._columns.count:
            return f"has {values_in(record)}, but there are {self._columns.count} columns"
        if has_wrong_bytes(text):
            return "has bytes that are no characters"
        return "has a byte of 0" if "\0" in text else None
