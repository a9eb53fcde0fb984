"""What kind a column of a table is, by its values in the training rows, where the spec does not say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from dlcli.data.columns import DATE, as_texts
from dlcli.errors import DataError

"""how dates and times are written"""
_FEW = 20  # so many different values are categories, whatever the number of rows
_SHARE = 0.05  # and beyond, where there are 20 rows for each
_MOST = 1000
_WORDS = 3.0  # texts of so many words are sentences
_MOSTLY = 0.5  # more of a column than this that are numbers make it one of numbers, with mistakes


class Kind(NamedTuple):
    """A kind of `dlcli.spec.sources_files.KINDS`; and for "skip" why."""

    kind: str
    reason: str = ""


def kind_of(name: str, values: pd.Series, where: str) -> Kind:
    """The kind of a column.

    Args:
        name: of the column.
        values: those of the training rows.
        where: names the table for messages.

    Raises:
        DataError: it is a column of numbers, but for some values.
    """
    known = values.dropna()
    if known.empty:
        return Kind("skip", "it has no values")
    different = known.nunique()
    if different == 1 and len(known) == len(values):
        return Kind("skip", f"all its values are {_shown(known.iloc[0])}")
    if pd.api.types.is_datetime64_any_dtype(known):
        return Kind("date")
    if pd.api.types.is_numeric_dtype(known):
        return Kind("skip", "it numbers the rows") if _numbers_rows(values) else Kind("number")
    texts = known.astype("str")
    if texts.head(100).str.fullmatch(DATE).all():
        return Kind("date")
    _refuse_nearly_numbers(name, texts, where)
    if different <= max(_FEW, min(_MOST, _SHARE * len(known))):
        return Kind("category")
    if texts.head(1000).str.count(r"\S+").mean() >= _WORDS:
        return Kind("text")
    return Kind("skip", f"{different:,} different texts in {len(known):,} rows tell hardly anything")


def _numbers_rows(values: pd.Series) -> bool:
    """Whether the values are whole numbers, each larger than the one before: what a database calls the rows by."""
    if len(values) < 3 or not pd.api.types.is_integer_dtype(values):
        return False
    steps = np.diff(values.to_numpy())
    # The training rows are some of all rows, so that numbers are left out between them.
    return bool((steps > 0).all() and steps.mean() < 3)


def _refuse_nearly_numbers(name: str, texts: pd.Series, where: str) -> None:
    numbers = pd.to_numeric(texts, errors="coerce")
    wrong = texts[numbers.isna()]
    if len(wrong) and len(wrong) < _MOSTLY * len(texts):
        few = ", ".join(f"`{value}`" for value in dict.fromkeys(as_texts(wrong).tolist()[:50]))[:80]
        raise DataError(
            f"{where}: the column `{name}` has numbers, but for {len(wrong)} of {len(texts)} values: {few}.",
            "If they stand for a missing value, name them in `missing`; if the column has categories, write "
            f"`columns: {{{name}: category}}`; or correct them.",
        )


def _shown(value: object) -> str:
    text = str(value)
    return f"`{text[:40]}`"
