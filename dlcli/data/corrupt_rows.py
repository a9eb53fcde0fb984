"""Rows with a value that is no number, or no date, where all others are such: they are left out, and told."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from dlcli.data.columns import DATE, Values, in_parts, parsed_numbers, parsed_times
from dlcli.data.inferring import is_mostly_numbers, is_wrong_number
from dlcli.data.skipping import MOST_TOLD, Checks
from dlcli.data.table_rows import TableRows
from dlcli.errors import DataError

_FIRST = 1000  # so many values are looked at for dates
_CHECKED = ("number", "plain", "date")


def without_corrupt(rows: TableRows, checks: Checks, where: str) -> tuple[TableRows, dict[str, str]]:
    """The rows that are sound; and the kinds of the columns by which that was told, "number" or "date".

    Args:
        rows: of a table whose other corrupt rows are left out already.
        checks: what is known of its columns.
        where: names the table for messages.

    Raises:
        DataError: no row is left.
    """
    skipped = rows.skipped
    if skipped is None:
        return rows, {}
    names = [name for name in (checks.used or rows.names) if name in rows.names]
    kinds = {name: checks.known.get(name) or _guessed(rows.column(name)) for name in names}
    checked = {name: "date" if kind == "date" else "number" for name, kind in kinds.items() if kind in _CHECKED}
    wrong = _Wrong(np.zeros(len(rows), bool))
    for name, kind in checked.items():
        for part in rows.column(name):
            wrong.look(name, part, kind)
    skipped.add_rows(wrong.first, int(wrong.rows.sum()))
    if wrong.rows.all():
        raise DataError(f"{where}: no row is sound. {skipped.told(0)}")
    if wrong.rows.any():
        rows = rows.only(~wrong.rows, [name for name in wrong.columns if checked[name] == "number"])
    return rows, checked


@dataclass
class _Wrong:
    """Which rows have a wrong value, which columns such are in, and the first rows with what is wrong."""

    rows: npt.NDArray[np.bool_]
    columns: set[str] = field(default_factory=set)
    first: dict[int, str] = field(default_factory=dict)

    def look(self, name: str, values: pd.Series, kind: str) -> None:
        """Look at some values of a column, whose index has their rows."""
        _, is_wrong = parsed_times(values) if kind == "date" else parsed_numbers(values)
        found = values[is_wrong]
        if not len(found):
            return
        self.rows[found.index] = True
        self.columns.add(name)
        what = "date" if kind == "date" else "finite number"
        for row, value in found.head(MOST_TOLD).items():
            self.first.setdefault(row, f"has `{str(value)[:40]}` for `{name}`, which is no {what}")


def _guessed(values: Values) -> str | None:
    """What values are, but for mistakes among them; None if they may be anything."""
    known = wrong = 0
    is_number = True
    first: list[str] = []
    for part in in_parts(values):
        part = part.dropna()
        if not len(part):
            continue
        known += len(part)
        if not pd.api.types.is_numeric_dtype(part):
            is_number = False
            wrong += int(is_wrong_number(part).sum())
            first += part.head(_FIRST - len(first)).astype("str").tolist()
    if not known or is_number or is_mostly_numbers(wrong, known):
        return "number" if known else None
    return "date" if sum(DATE.fullmatch(text.strip()) is not None for text in first) > len(first) / 2 else None
