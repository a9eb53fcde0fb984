"""Models of arrays and pictures: rows of JSON are nested lists of numbers, or objects by names; pictures are files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.array_reader import ArrayReader
from dlcli.data.dataset import Array, OneOrNamed, named
from dlcli.data.image_decoding import SUFFIXES, Form
from dlcli.data.stored import Packed
from dlcli.errors import DataError
from dlcli.evaluation.inputs import Expected, fitting
from dlcli.serving.content import File, spoken
from dlcli.serving.intake import ROWS, Intake, Taken, pixels_of, row_names
from dlcli.serving.refusals import Limits
from dlcli.spec.likeness import suggestion
from dlcli.training.checkpoint import Checkpoint

_REQUEST = Path("the request")
_MOST_SHOWN = 1_000  # numbers of an example


class NumbersIntake(Intake):
    """Arrays of numbers; or pictures, if `form` says what becomes of one.

    Args:
        checkpoint: of the model.
        limits: of one request.
        expected: what raw examples are like; of several inputs, by name.
        reader: what reads arrays as in training, if they were of a person's files.
        form: what becomes of a picture, if the model takes pictures.
        kind: see `Intake`; left out: `image` if there is a form, else `numbers`.
        suffixes: of the files that the reader takes, besides pictures.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        limits: Limits,
        expected: OneOrNamed[Expected],
        *,
        reader: ArrayReader | None = None,
        form: Form | Expected | None = None,
        kind: str | None = None,
        suffixes: tuple[str, ...] = (".npy", ".csv"),
    ) -> None:
        super().__init__(checkpoint, limits)
        self.expected = expected
        self.form = form
        self._reader = reader
        self.kind = kind or ("image" if form is not None else "numbers")
        if isinstance(expected, Mapping):  # a file of one array does not have them, and a table has single numbers
            others = (".npy",) if all(one.shape == () for one in expected.values()) else (".npy", ".csv")
            suffixes = tuple(suffix for suffix in suffixes if suffix not in others)
        self.suffixes = (*suffixes, *(SUFFIXES if form is not None else ()))

    def describe(self) -> dict[str, Any]:
        """See `Intake.describe`."""
        inputs = [_described(name, one) for name, one in named(self.expected).items()]
        described: dict[str, Any] = {"kind": self.kind, "inputs": inputs, "files": list(self.suffixes)}
        if self.form is not None:
            height, width = _size(self.form)
            described |= {"height": height, "width": width, "colors": 1 if _is_grey(self.form) else 3}
        numbers = sum(int(np.prod(one.shape)) for one in named(self.expected).values())
        return {**described, "example": {"rows": [self._example()]} if numbers <= _MOST_SHOWN else None}

    def _example(self) -> Any:
        if isinstance(self.expected, Mapping):
            return {name: np.zeros(one.shape, one.dtype).tolist() for name, one in self.expected.items()}
        if self.expected.columns:
            return dict.fromkeys(self.expected.columns, 0.0)
        return np.zeros(self.expected.shape, self.expected.dtype).tolist()

    def of_rows(self, rows: Sequence[Any]) -> Taken:
        """See `Intake.of_rows`."""
        return Taken(self._values(rows), row_names(rows))

    def _values(self, rows: Sequence[Any]) -> OneOrNamed[Array]:
        expected = self.expected
        if isinstance(expected, Mapping):
            arrays = {name: as_array(_column(rows, name, list(expected)), f", `{name}`") for name in expected}
        elif expected.columns and isinstance(rows[0], Mapping):
            columns = expected.columns
            array = as_array([[_value(row, name, at, columns) for name in columns] for at, row in enumerate(rows)])
            return fitting(array, ROWS, expected)
        else:
            [name] = self._reader.inputs if self._reader is not None else [""]
            arrays = {name: as_array(rows)}
        if self._reader is None:
            found = {name: _fitted(arrays[name], one) for name, one in named(expected).items()}
            return found if isinstance(expected, Mapping) else found[""]
        stored = {
            name: Packed(_REQUEST, "rows" if len(arrays) == 1 else name, array.shape, array.dtype, "sent", array.view)
            for name, array in arrays.items()
        }
        return self._reader.rows_of([stored])

    def of_picture(self, file: File) -> OneOrNamed[Array]:
        """See `Intake.of_picture`."""
        return super().of_picture(file) if self.form is None else pixels_of(file, self.form, self.limits)


def as_array(values: Sequence[Any], which: str = "") -> Array:
    """Lists within lists as an array of numbers. Raises DataError."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        message = f"{ROWS}{which}: the rows are not alike: their lists have different lengths, or are too deep."
        raise DataError(message, "Each example has as many numbers as every other.") from error
    if array.dtype.kind not in "uifb":
        wrong = next(((at, one) for at, one in _leaves(values) if not isinstance(one, (int, float))), None)
        if wrong is None:
            raise DataError(f"{ROWS}{which} has a whole number of more than 64 bits.")
        raise DataError(f"{ROWS}{which}, row {wrong[0] + 1}, has {spoken(wrong[1])} where a number is needed.")
    return array


def _leaves(values: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """All that is no list, in order, each with the number of its row."""
    for at, row in enumerate(values):
        left = [row]
        while left:
            one = left.pop()
            if isinstance(one, list):
                left.extend(reversed(one))
            else:
                yield at, one


def _fitted(array: Array, expected: Expected) -> Array:
    if array.shape == expected.shape and array.ndim:
        wanted = "×".join(map(str, expected.shape))
        raise DataError(f"{ROWS}: the rows are a single example of {wanted}.", "Send a list of examples: [[...]].")
    return fitting(array, ROWS, expected)


def _column(rows: Sequence[Any], name: str, names: Sequence[str]) -> list[Any]:
    return [_value(row, name, at, names) for at, row in enumerate(rows)]


def _value(row: Any, name: str, at: int, names: Sequence[str]) -> Any:
    if not isinstance(row, Mapping):
        known = ", ".join(f"`{one}`" for one in names[:10]) + (" …" if len(names) > 10 else "")
        raise DataError(f"{ROWS}, row {at + 1}, is {spoken(row)}, not an object with {known}.")
    if name not in row:
        raise DataError(f"{ROWS}, row {at + 1}, has no `{name}`.", suggestion(name, list(row)))
    return row[name]


def _described(name: str, expected: Expected) -> dict[str, Any]:
    columns = {"columns": [{"name": one, "kind": "number"} for one in expected.columns]} if expected.columns else {}
    return {"name": name or "input", "shape": list(expected.shape), "dtype": expected.dtype, **columns}


def _size(form: Form | Expected) -> tuple[int, int]:
    return form.size if isinstance(form, Form) else (form.shape[0], form.shape[1])


def _is_grey(form: Form | Expected) -> bool:
    if isinstance(form, Form):
        return form.color == "grayscale"
    return len(form.shape) == 2 or form.shape[2] == 1
