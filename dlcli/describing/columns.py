"""What a column of a table is like: its kind, what is missing, and its values, in numbers and in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dlcli.data.columns import as_texts, as_times

_MOST_FREQUENT = 5
_MOST_CHARACTERS = 24
_MOST_CLASSES = 20  # beyond, a target of numbers is told as such


@dataclass(frozen=True)
class ColumnSummary:
    """A column.

    Attributes:
        name: of the column.
        kind: one of `dlcli.spec.sources_files.KINDS`, or "target".
        reason: why it is left out, where the kind is "skip".
        rows: how many values there could be.
        missing: how many of them there are not.
        distinct: how many different ones there are.
        numbers: least, mean and largest, of a column of numbers.
        dates: the first and the last, of a column of dates.
        frequent: the most frequent values, with how often each is there, of all other columns.
    """

    name: str
    kind: str
    reason: str
    rows: int
    missing: int
    distinct: int
    numbers: tuple[float, float, float] | None = None
    dates: tuple[str, str] | None = None
    frequent: tuple[tuple[str, int], ...] = ()

    @property
    def is_used(self) -> bool:
        """Whether it goes into the model."""
        return self.kind != "skip"

    def values_in_words(self, *, is_counted: bool = True) -> str:
        """Its values: `32.1 to 59.6, mean 43.9`, or `3 values: Biscoe 168, Dream 124, Torgersen 52`.

        Unless `is_counted`, it is not said how many different ones there are.
        """
        if self.numbers is not None:
            least, mean, largest = map(shown_number, self.numbers)
            return f"{least} to {largest}, mean {mean}"
        if self.dates is not None:
            return " to ".join(self.dates)
        if not self.frequent:
            return "no values"
        if self.distinct == self.rows and self.distinct > _MOST_FREQUENT:
            return f"different in each row, such as {self.frequent[0][0]}"
        more = " …" if self.distinct > len(self.frequent) else ""
        listed = ", ".join(f"{value} {count:,}" for value, count in self.frequent)
        counted = f"{self.distinct:,} value{'s' if self.distinct != 1 else ''}: " if is_counted else ""
        return f"{counted}{listed}{more}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {"name": self.name, "kind": self.kind, "missing": self.missing}
        found["distinct"] = self.distinct
        if self.reason:
            found["left_out"] = self.reason
        if self.numbers is not None:
            found.update(zip(("least", "mean", "largest"), self.numbers, strict=True))
        if self.dates is not None:
            found.update(zip(("first", "last"), self.dates, strict=True))
        if self.frequent:
            found["frequent"] = dict(self.frequent)
        return found


def summarize_column(name: str, kind: str, values: pd.Series, reason: str = "") -> ColumnSummary:
    """What a column is like; `reason` says why it is left out, if it is."""
    known = values.dropna()
    facts: Mapping[str, Any] = {}
    is_numeric = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    is_amount = kind in ("number", "skip") or (kind == "target" and known.nunique() > _MOST_CLASSES)
    if is_amount and is_numeric and len(known):
        numbers = known.to_numpy(np.float64)
        facts = {"numbers": (float(numbers.min()), float(numbers.mean()), float(numbers.max()))}
    elif kind == "date" and len(known):
        times = as_times(name, known, name)
        facts = {"dates": (_shown_time(times.min()), _shown_time(times.max()))}
    else:
        counts = pd.Series(as_texts(known), dtype=object).value_counts().head(_MOST_FREQUENT)
        facts = {"frequent": tuple((shortened(str(value)), int(count)) for value, count in counts.items())}
    missing = int(values.isna().sum())
    return ColumnSummary(name, kind, reason, len(values), missing, int(known.nunique()), **facts)


def shortened(text: str, most: int = _MOST_CHARACTERS) -> str:
    """A text on one line, of at most so many characters."""
    line = "".join(sign if sign.isprintable() else " " for sign in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_number(number: float) -> str:
    """A number with the four digits that count; whole ones whole."""
    if number.is_integer() and abs(number) < 1e7:
        return f"{int(number):,}"
    return f"{number:,.0f}" if 1e4 <= abs(number) < 1e7 else f"{number:.4g}"


def _shown_time(time: pd.Timestamp) -> str:
    return str(time.date()) if time == time.normalize() else str(time)[:16]
