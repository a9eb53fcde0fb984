"""Models of tables, texts and series: rows of JSON become what the same rows in a file would be read as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from dlcli.data.columns import Category, Date, Fitted, Index, Number, Text, shown_number
from dlcli.data.dataset import Array, OneOrNamed
from dlcli.data.series_reader import SeriesReader
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.errors import DataError
from dlcli.serving.content import spoken
from dlcli.serving.intake import ROWS, Intake, Taken, row_names
from dlcli.serving.refusals import Limits
from dlcli.spec.likeness import suggestion
from dlcli.training.checkpoint import Checkpoint

_TRUTHS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
"""what pandas (3.1.1) reads as true and false, and how those are shown"""
_MOST_VALUES = 200
_NULL = "Send null for a value that is missing."


class TableIntake(Intake):
    """Rows of a table, as objects by the names of its columns.

    Args:
        checkpoint: of the model.
        limits: of one request.
        reader: what encodes the columns as in training.
    """

    kind = "table"
    suffixes = (".csv", ".tsv", ".tab")

    def __init__(self, checkpoint: Checkpoint, limits: Limits, reader: TableReader) -> None:
        super().__init__(checkpoint, limits)
        self._reader = reader

    def describe(self) -> dict[str, Any]:
        """See `Intake.describe`."""
        columns = described(self._reader)
        example = {column["name"]: column["example"] for column in columns}
        return {"kind": self.kind, "columns": columns, "files": list(self.suffixes), "example": {"rows": [example]}}

    def of_rows(self, rows: Sequence[Any]) -> Taken:
        """See `Intake.of_rows`: pandas needs as long for one row as for many, so they are encoded together later."""
        check_rows(rows, self._reader.columns)
        return Taken(rows, row_names(rows))

    def together(self, values: Sequence[Any]) -> OneOrNamed[Array]:
        """See `Intake.together`."""
        rows = [one for one in values if isinstance(one, list)]
        arrays = [one for one in values if not isinstance(one, list)]
        if not rows:
            return super().together(arrays)
        if not arrays:
            return self._encoded(list(chain.from_iterable(rows)))
        return super().together([one if not isinstance(one, list) else self._encoded(one) for one in values])

    def _encoded(self, rows: Sequence[Mapping[str, Any]]) -> OneOrNamed[Array]:
        try:
            return self._reader.encode(frame_of(rows, self._reader, self._reader.columns), str(ROWS))
        except DataError as error:
            raise DataError(error.message, _NULL) from error


class SeriesIntake(Intake):
    """Rows of series: all windows that are in those of one request, as in a file.

    Args:
        checkpoint: of the model.
        limits: of one request.
        reader: what makes windows as in training.
    """

    kind = "series"
    suffixes = TableIntake.suffixes

    def __init__(self, checkpoint: Checkpoint, limits: Limits, reader: SeriesReader) -> None:
        super().__init__(checkpoint, limits)
        self._reader = reader

    def describe(self) -> dict[str, Any]:
        """See `Intake.describe`."""
        columns = described(self._reader.table)
        row = {column["name"]: column["example"] for column in columns}
        placed = [{"name": name, "kind": "time" if name == self._reader.time else "group", "example": None}
                  for name in self._reader.placed]  # fmt: skip
        rows = [dict(row, **self._place(number)) for number in range(self._reader.length)]
        return {
            "kind": self.kind, "columns": [*placed, *columns], "files": list(self.suffixes),
            "length": self._reader.length, "horizon": self._reader.horizon, "example": {"rows": rows},
        }  # fmt: skip

    def _place(self, number: int) -> dict[str, Any]:
        day = str(pd.Timestamp(2024, 1, 1) + pd.Timedelta(days=number))[:10]
        time = {self._reader.time: day if self._reader.is_dated else number} if self._reader.time else {}
        return {**time, **({self._reader.group: "a"} if self._reader.group else {})}

    def of_rows(self, rows: Sequence[Any]) -> Taken:
        """See `Intake.of_rows`."""
        names = list(dict.fromkeys([*self._reader.placed, *self._reader.table.columns]))
        check_rows(rows, names)
        values, labels = self._reader.windows(frame_of(rows, self._reader.table, names), ROWS)
        return Taken(values, [f"rows[{label}]" for label in labels])


class TextIntake(Intake):
    """Texts: as JSON, or as files.

    Args:
        checkpoint: of the model.
        limits: of one request.
        reader: what makes numbers of words as in training.
    """

    kind = "text"
    suffixes = (".txt",)

    def __init__(self, checkpoint: Checkpoint, limits: Limits, reader: TextReader) -> None:
        super().__init__(checkpoint, limits)
        self._reader = reader

    def describe(self) -> dict[str, Any]:
        """See `Intake.describe`."""
        example = {"rows": ["Any text."]}
        return {"kind": self.kind, "words": self._reader.column.length, "files": [".txt"], "example": example}

    def of_rows(self, rows: Sequence[Any]) -> Taken:
        """See `Intake.of_rows`."""
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, str):
                raise DataError(f"{ROWS}, row {number}, is {spoken(row)}, not a text.")
        return Taken(self._reader.encode(list(rows)), row_names(rows))


def check_rows(rows: Sequence[Any], names: Sequence[str]) -> None:
    """See that rows are objects with these columns. Raises DataError."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            known = ", ".join(f"`{name}`" for name in names[:10]) + (" …" if len(names) > 10 else "")
            raise DataError(f"{ROWS}, row {number}, is {spoken(row)}, not an object with the columns {known}.")
        missing = [name for name in names if name not in row]
        if missing:
            shown = " and ".join(f"`{name}`" for name in missing[:5])
            hint = suggestion(missing[0], list(row)) or _NULL
            raise DataError(f"{ROWS}, row {number}, has no column {shown}.", hint)
        for name in names:
            if isinstance(row[name], (list, dict)):
                message = f"{ROWS}, row {number}, column `{name}`, has {spoken(row[name])}, not a single value."
                raise DataError(message)


def frame_of(rows: Sequence[Mapping[str, Any]], reader: TableReader, names: Sequence[str]) -> pd.DataFrame:
    """These columns of rows, as the same values in a file would be read.

    Args:
        rows: objects that have all columns.
        reader: says how values are written, and which are texts whatever they look like.
        names: of the columns.
    """
    texts = reader.texts
    columns = {}
    for name in names:
        convert = _as_text if name in texts else _as_read
        values = [convert(row[name], reader) for row in rows]
        if all(value is None or isinstance(value, float) for value in values) and name not in texts:
            columns[name] = pd.Series(values, dtype="float64")
        else:  # beside texts, numbers are as they are shown
            shown = [shown_number(value) if isinstance(value, float) else value for value in values]
            columns[name] = pd.Series(shown, dtype="object")
    return pd.DataFrame(columns)


def _as_text(value: Any, reader: TableReader) -> str | None:
    text = value if isinstance(value, str) else None if value is None else str(value)
    return None if text in reader.layout.missing else text


def _as_read(value: Any, reader: TableReader) -> float | str | None:
    """A value as pandas takes it where texts and numbers are told apart by how they look."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        return _as_float(value)
    text = _as_text(value, reader)
    if text is None:
        return None
    try:
        return float(text.replace(reader.layout.decimal, ".")) if "_" not in text else text
    except ValueError:
        return _TRUTHS.get(text, text)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number that is larger than any float
        return float("inf") if value > 0 else float("-inf")


def described(reader: TableReader) -> list[dict[str, Any]]:
    """The columns that go in, as data for JSON: name, kind, an example, and what is known of their values."""
    columns = {column.name: column for each in reader.inputs.values() for column in each}
    return [{"name": name, **_described(column)} for name, column in columns.items()]


def _described(column: Fitted) -> dict[str, Any]:
    if isinstance(column, Number):
        example = float(f"{column.mean:.3g}")
        return {"kind": "number", "mean": column.mean, "deviation": column.deviation, "example": example}
    if isinstance(column, (Category, Index)):
        values = list(column.values)
        found = {"kind": "category", "values": values[:_MOST_VALUES], "example": values[0] if values else None}
        return {**found, "more": len(values) - _MOST_VALUES} if len(values) > _MOST_VALUES else found
    if isinstance(column, Date):
        return {"kind": "date", "example": "2024-12-31"}
    if isinstance(column, Text):
        return {"kind": "text", "words": column.length, "example": "Any text."}
    return {"kind": column.kind, "example": None}
