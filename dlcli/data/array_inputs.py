"""What rows of an array become as a model's input: their kind, and their numbers as raw examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.stored import InFile, Stored
from dlcli.errors import DataError
from dlcli.spec.source import InputFacts

_NUMBERS = "uifb"
_WHOLE = "uib"
HOLDS = {
    "O": "Python objects, which are not read: to unpickle them could run code",
    "c": "complex numbers",
    "U": "texts", "S": "texts", "T": "texts",
    "M": "dates", "m": "spans of time",
    "V": "records with several fields, or bytes of no type",
}  # fmt: skip
_ANEW = "Write it anew as an array of numbers, with a row for each example; or name another one with `inputs`."
_LARGEST = int(np.iinfo(np.int32).max)


@dataclass(frozen=True)
class ArrayInput:
    """One input as it was in training.

    Attributes:
        array: the name of its array.
        kind: as of a `Source`.
        shape: of a raw example.
        dtype: of raw examples: uint8 for bytes, int32 for indices, else float32.
        numbers: for indices, how many there are, counted from 0.
    """

    array: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    numbers: int | None = None

    @classmethod
    def of(cls, name: str, stored: Stored, kind: str | None) -> ArrayInput:
        """What becomes of an array's rows, by its type and shape; `kind` is what the spec says. Raises DataError."""
        check_numbers(stored)
        kind = kind or _usual_kind(stored)
        shape = stored.shape[1:]
        if kind in ("images", "video"):
            axes = ((2, 3), "height, width and perhaps colours") if kind == "images" else ((4,), "time to colours")
            if len(shape) not in axes[0]:
                raise DataError(f"{stored} has rows of shape {shown(shape)}, but {kind} have {axes[1]}.")
            return cls(name, kind, shape, "uint8" if stored.dtype.kind in _WHOLE else "float32")
        if kind == "indices":
            if stored.dtype.kind not in "ui":
                message = f"{stored} holds {stored.dtype}, but `indices` are whole numbers."
                raise DataError(message, "Write it with a whole type, such as int32; or say `kind: table`.")
            return cls(name, kind, shape, "int32")
        # A single number an example is a table of one column.
        return cls(name, kind, shape or (1,), "float32")

    @property
    def facts(self) -> InputFacts:
        """What is known of it without its rows."""
        return InputFacts(self.kind, self.shape, self.numbers)

    def on(self, stored: Stored) -> InFile:
        """The rows of an array as raw examples. Raises DataError if they have another shape or type."""
        check_numbers(stored)
        shape = stored.shape[1:]
        if shape != self.shape and not (shape == () and self.shape == (1,)):
            message = f"{stored} has rows of shape {shown(shape)}; the model takes {shown(self.shape)}."
            raise DataError(message, "Its first axis is that of the examples.")
        return InFile(stored, (len(stored), *self.shape), self.dtype, lambda rows, at: self._convert(rows, at, stored))

    def counted(self, rows: InFile | Array) -> ArrayInput:
        """The same for indices, once it is known by all raw examples how many there are. Raises DataError."""
        if self.kind != "indices":
            return self
        size = max(1, _COUNTED_AT_ONCE * len(rows) // max(1, rows.nbytes))
        most = max(int(rows[first : first + size].max(initial=0)) for first in range(0, len(rows), size))
        return replace(self, numbers=most + 1)

    def _convert(self, rows: Array, numbers: Array, stored: Stored) -> Array:
        """Raw examples of rows with these numbers. Raises DataError."""
        rows = rows.reshape(len(rows), *self.shape)
        if self.dtype == "uint8":
            return _as_bytes(rows, numbers, stored)
        if self.dtype == "int32":
            why = "the numbers of things are whole, and count from 0"
            is_bad = (rows < 0) | (rows > _LARGEST)
            is_bad = is_bad | (rows != np.round(rows)) if rows.dtype.kind == "f" else is_bad
            _refuse(rows, is_bad, numbers, stored, why)
            return rows.astype(np.int32)
        with np.errstate(over="ignore"):
            found = rows.astype(np.float32, copy=False)
        if rows.dtype.kind == "f":
            _refuse(rows, ~np.isfinite(found), numbers, stored, "a model takes finite numbers only, in float32")
        if self.kind in ("images", "video") and len(found) and 0 < found.max() <= 1:
            message = f"{stored} has values up to {found.max():g}, but {self.kind} are numbers from 0 to 255."
            raise DataError(message, "With `kind: points` they go in as they are.")
        return found

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ArrayInput:
        """The input that `state` described."""
        return cls(**{**state, "shape": tuple(state["shape"])})


_COUNTED_AT_ONCE = 16 * 2**20


def check_rows(stored: Stored) -> None:
    """See that an array has rows. Raises DataError."""
    if not stored.shape:
        raise DataError(f"{stored} is a single value; an array with a row for each example is needed.")
    if 0 in stored.shape:
        raise DataError(f"{stored} is empty: its shape is {shown(stored.shape)}.")


def check_numbers(stored: Stored) -> None:
    """See that an array has rows of numbers. Raises DataError."""
    if stored.dtype.kind not in _NUMBERS:
        held = HOLDS.get(stored.dtype.kind, str(stored.dtype))
        raise DataError(f"{stored} holds {held}; what goes into a model are numbers.", _ANEW)
    check_rows(stored)


def shown(shape: tuple[int, ...]) -> str:
    """A shape as a person writes it."""
    return "×".join(map(str, shape)) or "a single number"


def _usual_kind(stored: Stored) -> str:
    axes = len(stored.shape) - 1
    if stored.dtype == np.uint8 and axes in (2, 3):
        return "images"
    return "table" if axes < 2 else "points"


def _as_bytes(rows: Array, numbers: Array, stored: Stored) -> Array:
    if rows.dtype == np.uint8:
        return rows
    if rows.dtype.kind == "f":
        if 0 < rows.max(initial=0) <= 1:
            message = f"{stored} has values up to {rows.max():g}; the model takes whole numbers 0 to 255."
            raise DataError(message, "Give the pixels as they are stored: dlcli scales them as in training.")
        _refuse(rows, rows != np.round(rows), numbers, stored, "pixels are whole numbers 0 to 255")
    if rows.dtype.kind != "b":
        _refuse(rows, (rows < 0) | (rows > 255), numbers, stored, "pixels are whole numbers 0 to 255")
    return rows.astype(np.uint8)


def _refuse(rows: Array, is_bad: Array, numbers: Array, stored: Stored, why: str) -> None:
    """Raises DataError if a value is bad, with the row of the first one."""
    if not is_bad.any():
        return
    bad = np.flatnonzero(is_bad.reshape(len(rows), -1).any(axis=1))
    value = rows[is_bad][0]
    spoken = "NaN" if value != value else "infinite" if np.isinf(value) else f"{value:g}"
    more = f" (and {len(bad) - 1:,} more among those read with it)" if len(bad) > 1 else ""
    hint = "Leave such rows out, or put a number in their place, before the file is written."
    raise DataError(f"{stored}: {stored.place(int(numbers[bad[0]]))}{more}, has the value {spoken}; {why}.", hint)
