"""How one file of a table is read, as its first lines tell: what its columns are called, and what is between them."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from dlcli.data.skipping import has_wrong_bytes, open_quote
from dlcli.data.table_layout import Layout, open_text, separation
from dlcli.data.table_scan import byte_of_0
from dlcli.data.table_told import not_written, told
from dlcli.errors import DataError

_MOST_SHOWN = 60


@dataclass(frozen=True)
class Way:
    """How one file is read.

    Attributes:
        names: of its columns.
        above: how many lines stand above the names of the columns, if it has them.
        skipped: how many lines stand above the first row.
        separator: what stands between columns.
        quoting: csv.QUOTE_MINIMAL or csv.QUOTE_NONE.
    """

    names: list[str]
    above: int
    skipped: int
    separator: str
    quoting: Literal[0, 3]


def way_of(path: Path, layout: Layout) -> Way:
    """How a file is read, by its first lines.

    Raises:
        DataError: it has no names of columns, or is no text.
    """
    separator, quoting = separation(path, layout)
    with open_text(path, layout, errors="surrogateescape") as file:
        records = csv.reader(file, delimiter=separator, quoting=quoting, strict=False)
        above = lines = 0
        for record in records:
            above, lines = lines, records.line_num
            if any(map(str.strip, record)):
                break
        if any("\n" in name for name in record) and next(records, None) is None:
            raise open_quote(path, 1)
    if any(map(has_wrong_bytes, record)):
        raise not_written(path, layout, f", line {lines}", "a name of a column has bytes that are no characters")
    if layout.header is True:
        if any("\0" in name for name in record):
            raise byte_of_0(path, lines)
        names = [name.strip() for name in record]
        _refuse_numbers(path, names)
        return Way(_checked_names(path, names), above, lines, separator, quoting)
    names = list(layout.header or ()) or [str(number) for number in range(1, len(record) + 1)]
    if len(names) != len(record):
        raise DataError(f"{path} has {len(record)} columns, but `header` names {len(names)}: {', '.join(names)}.")
    return Way(_checked_names(path, names), 0, 0, separator, quoting)


def columns_of(path: Path, layout: Layout) -> int:
    """How many columns a file has that does not name them. Raises DataError."""
    with told(path, layout):
        return len(way_of(path, replace(layout, header=False)).names)


def separator_of(path: Path, layout: Layout) -> str:
    """What stands between the columns of a file. Raises DataError."""
    with told(path, layout):
        return separation(path, layout)[0]


def first_records(path: Path, layout: Layout, count: int) -> list[list[str]]:
    """The first so many records as they are written, names of columns among them. Raises DataError."""
    with told(path, layout):
        separator, quoting = separation(path, layout)
        with open_text(path, layout) as file:
            records = csv.reader(file, delimiter=separator, quoting=quoting, strict=False)
            return list(islice((record for record in records if any(map(str.strip, record))), count))


def _refuse_numbers(path: Path, names: list[str]) -> None:
    """Tell of a first line that is a row already."""
    if all(is_number(name) for name in names):
        shown = ", ".join(names)[:_MOST_SHOWN]
        raise DataError(
            f"{path} begins with numbers ({shown}), where the names of the columns are expected.",
            "Write `header: false` if it has no names; the columns are then called 1, 2, 3 …",
        )


def _checked_names(path: Path, names: list[str]) -> list[str]:
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if twice:
        raise DataError(f"{path} has two columns with the name `{twice[0]}`.", "Give each a name of its own.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def is_number(text: str) -> bool:
    """Whether a text is a number, as Python writes them."""
    try:
        float(text)
    except ValueError:
        return False
    return True
