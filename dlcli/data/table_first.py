"""What the first rows of a table tell of all others, so that they are read with less ado and come out the same."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dlcli.data.table_layout import Layout, open_text
from dlcli.data.table_way import Way, is_number

_FIRST = 20  # rows
_TRUTHS = ("true", "false")  # however they are written (pandas 3.1.1)


@dataclass(frozen=True)
class FirstRows:
    """What the first rows of a file tell.

    Attributes:
        texts: the columns with a value that is no number: all values of such a column are texts.
        are_numbers: whether all values are numbers, or missing.
        lack_last: whether the last value of a row is missing.
    """

    texts: frozenset[str]
    are_numbers: bool
    lack_last: bool


def first_rows(path: Path, layout: Layout, way: Way) -> FirstRows:
    """What the first rows of a file tell. Raises what `open` does."""
    with open_text(path, layout, errors="replace") as file:
        lines = list(islice(file, way.skipped, way.skipped + _FIRST))
    try:
        records = [record for record in csv.reader(lines, delimiter=way.separator, quoting=way.quoting) if record]
    except csv.Error:  # a text that is too long for that, or has a byte of 0 (Python 3.10)
        return FirstRows(frozenset(), are_numbers=False, lack_last=False)
    texts, are_numbers = set(), True
    for record in records:
        for name, value in zip(way.names, record, strict=False):
            if value in layout.missing or is_number(value.replace(layout.decimal, ".")):
                continue
            are_numbers = False
            if value.strip().lower() not in _TRUTHS:
                texts.add(name)
    return FirstRows(frozenset(texts), are_numbers, any(record[-1] in layout.missing for record in records))
