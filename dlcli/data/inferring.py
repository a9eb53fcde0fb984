"""What kind a column of a table is, by its values in the training rows, where the spec does not say."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dlcli.data.columns import DATE, Values, as_texts, in_parts
from dlcli.errors import DataError

_FEW = 20  # so many different values are categories, whatever the number of rows
_SHARE = 0.05  # and beyond, where there are 20 rows for each
_MOST = 1000
_WORDS = 3.0  # texts of so many words are sentences
_FIRST = 1000  # so many texts are looked at for words,
_FIRST_DATES = 100  # and for dates
_FEW_SHOWN = 50
_COMMAS = re.compile(r"\s*[-+]?\d+(,\d+)+(\.\d+)?\s*")
_NUMBER = re.compile(r"\s*[-+]?\d+(\.\d+)?\s*")
_OTHER_DATE = re.compile(r"\s*\d{1,2}[./-]\d{1,2}[./-]\d{4}.*")
_COUNTED = 10_000  # of more different values it is not counted how many they are
_MOSTLY = 0.5  # more of a column than this that are numbers make it one of numbers, with mistakes


class Kind(NamedTuple):
    """A kind of `dlcli.spec.sources_files.KINDS`; and for "skip" why."""

    kind: str
    reason: str = ""


def kind_of(name: str, values: Values, where: str, *, is_said: bool = False) -> Kind:
    """The kind of a column.

    Args:
        name: of the column.
        values: those of the training rows.
        where: names the table for messages.
        is_said: whether the spec says that it goes in, also if it seems to number the rows.

    Raises:
        DataError: it is a column of numbers, but for some values.
    """
    seen = _Seen()
    for part in in_parts(values):
        seen.add(part)
    if not seen.known:
        return Kind("skip", "it has no values")
    if len(seen.different) == 1 and seen.known == seen.rows:
        return Kind("skip", f"all its values are {_shown(next(iter(seen.different)))}")
    if seen.is_date:
        return Kind("date")
    if seen.is_number:
        return Kind("skip", "it numbers the rows") if seen.numbers_rows and not is_said else Kind("number")
    return _kind_of_texts(name, seen, where)


def _kind_of_texts(name: str, seen: _Seen, where: str) -> Kind:
    if all(DATE.fullmatch(text) for text in seen.first[:_FIRST_DATES]):
        return Kind("date")
    _refuse_nearly_numbers(name, seen, where)
    _refuse_commas(name, seen, where)
    if all(_OTHER_DATE.fullmatch(text) for text in seen.first):
        shown = _shown(seen.first[0])
        return Kind("skip", f"dates such as {shown} can be read in two ways; written as 2024-12-31 they go in")
    if len(seen.different) <= max(_FEW, min(_MOST, _SHARE * seen.known)):
        return Kind("category")
    if sum(len(text.split()) for text in seen.first) >= _WORDS * len(seen.first):
        return Kind("text")
    count = f"{len(seen.different):,}" if len(seen.different) <= _COUNTED else f"more than {_COUNTED:,}"
    return Kind("skip", f"{count} different texts in {seen.known:,} rows tell hardly anything")


def is_wrong_number(values: pd.Series) -> npt.NDArray[np.bool_]:
    """Where there is a value that is no number."""
    return np.asarray(pd.to_numeric(values, errors="coerce").isna() & values.notna())


def is_mostly_numbers(wrong: int, known: int) -> bool:
    """Whether so many values that are no numbers, of all that are known, are mistakes in a column of numbers."""
    return wrong < _MOSTLY * known


class _Seen:
    """What the values of a column have told, part for part."""

    def __init__(self) -> None:
        self.rows = self.known = self.wrong = 0
        self.different: set[object] = set()
        self.first: list[str] = []
        self.few: dict[str, None] = {}
        self.is_number = self.is_date = True
        self._rises, self._least = True, 0
        self._last: int | None = None

    def add(self, values: pd.Series) -> None:
        """Look at some more values."""
        known = values.dropna()
        self.rows += len(values)
        self.known += len(known)
        self._see_rise(values)
        if known.empty:
            return
        if len(self.different) <= _COUNTED:
            self.different.update(known.unique().tolist())
        self.is_date = self.is_date and pd.api.types.is_datetime64_any_dtype(known)
        self.is_number = self.is_number and pd.api.types.is_numeric_dtype(known)
        if not pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_datetime64_any_dtype(known):
            self._see_texts(known.astype("str"))

    def _see_texts(self, texts: pd.Series) -> None:
        self.first += texts.head(_FIRST - len(self.first)).tolist()
        wrong = texts[is_wrong_number(texts)]
        self.wrong += len(wrong)
        if len(self.few) < _FEW_SHOWN:
            self.few.update(dict.fromkeys(as_texts(wrong.head(_FIRST)).tolist()))

    def _see_rise(self, values: pd.Series) -> None:
        if not self._rises or not len(values):
            return
        if not pd.api.types.is_integer_dtype(values):
            self._rises = False
            return
        numbers = values.to_numpy()
        self._least = int(numbers[0]) if self._last is None else self._least
        is_higher = self._last is None or int(numbers[0]) > self._last
        self._last = int(numbers[-1])
        self._rises = is_higher and bool((numbers[1:] > numbers[:-1]).all())

    @property
    def numbers_rows(self) -> bool:
        """Whether they are whole numbers, each larger than the one before: what a database calls the rows by."""
        if self.rows < 3 or not self._rises or self._last is None:
            return False
        # The training rows are some of all rows, so that numbers are left out between them.
        return (self._last - self._least) / (self.rows - 1) < 3


def _refuse_commas(name: str, seen: _Seen, where: str) -> None:
    """Raises DataError for numbers with commas, which are no numbers as the table is read."""
    commas = [text for text in seen.first if _COMMAS.fullmatch(text)]
    if commas and all(_COMMAS.fullmatch(text) or _NUMBER.fullmatch(text) for text in seen.first):
        raise DataError(
            f"{where}: the column `{name}` has numbers with commas, such as `{commas[0]}`.",
            'If they are decimal points, write `decimal: ","`; if they part thousands, take them out; '
            f"if the column has categories, write `columns: {{{name}: category}}`.",
        )


def _refuse_nearly_numbers(name: str, seen: _Seen, where: str) -> None:
    if seen.wrong and is_mostly_numbers(seen.wrong, seen.known):
        few = ", ".join(f"`{value}`" for value in list(seen.few)[:_FEW_SHOWN])[:80]
        raise DataError(
            f"{where}: the column `{name}` has numbers, but for {seen.wrong} of {seen.known} values: {few}.",
            "If they stand for a missing value, name them in `missing`; if the column has categories, write "
            f"`columns: {{{name}: category}}`; or correct them, or leave such rows out with `corrupt: skip`.",
        )


def _shown(value: object) -> str:
    text = str(value)
    return f"`{text[:40]}`"
