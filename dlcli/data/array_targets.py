"""What is asked for of the rows of an array: class numbers, or numbers; told by the loss and by the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlcli.data.array_inputs import HOLDS, check_rows, shown
from dlcli.data.dataset import Array, ClassNames
from dlcli.data.stored import Stored
from dlcli.errors import DataError

_MOST_SHOWN = 5
_LEAVE_OUT = "What is asked for must be known: leave such rows out, here and in the inputs, before the file is written."
_SMALLER = "Divide all of them by a number, so that they fit, before the file is written."
_ANOTHER = "Name the array that differs from row to row with `target`; or see how this one came to be so."


@dataclass(frozen=True)
class ArrayTarget:
    """Something that is asked for, as it was in training.

    Attributes:
        array: the name of its array.
        classes: the names of the classes, in order; None for a number.
        labels: how each class is written, in the order of the classes; None where its rows are one-hot.
    """

    array: str
    classes: ClassNames = None
    labels: tuple[Any, ...] | None = None

    def encode(self, stored: Stored) -> Array:
        """Class numbers, int32, or float32 numbers, shape (n,). Raises DataError for what is no class."""
        return self._encode(read_labels(stored, is_one_hot=self.is_one_hot), stored)

    @property
    def is_one_hot(self) -> bool:
        """Whether a row has a number for each class."""
        return self.classes is not None and self.labels is None

    def _encode(self, values: Array, stored: Stored) -> Array:
        if self.classes is None:
            return values.astype(np.float32)
        if self.labels is None:
            return values.astype(np.int32)
        different, inverse = np.unique(values, return_inverse=True)
        positions = {label: number for number, label in enumerate(self.labels)}
        known = np.asarray([positions.get(value, -1) for value in different.tolist()], np.int32)
        if (known < 0).any():
            few = ", ".join(f"`{value}`" for value in different[known < 0][:_MOST_SHOWN].tolist())
            names = ", ".join(map(str, self.labels[:10])) + (" …" if len(self.labels) > 10 else "")
            raise DataError(f"{stored} has {few}, which is none of the classes. They are: {names}.")
        return known[inverse]

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ArrayTarget:
        """The target that `state` described."""
        classes, labels = (None if state[key] is None else tuple(state[key]) for key in ("classes", "labels"))
        return cls(state["array"], classes, labels)


def fit_target(
    stored: Stored, loss: str, *, compares_classes: bool, names: Sequence[str] | None
) -> tuple[ArrayTarget, Array]:
    """What is asked for, and its values in training: class numbers, int32, or float32 numbers, shape (n,).

    Args:
        stored: the array.
        loss: its name, for messages.
        compares_classes: whether the loss does.
        names: of the classes, as the spec gives them.

    Raises:
        DataError: the array cannot be that, or there is nothing to learn in it.
    """
    _check_target(stored)
    is_number = stored.dtype.kind in "uif"
    columns = int(np.prod(stored.shape[1:], dtype=np.int64))
    if is_number and not compares_classes and names is None:
        if columns > 1:
            message = f"{stored} has {columns} numbers an example; one number, or a class, can be asked for."
            raise DataError(message, "Give each number an array, or name one-hot columns with `class_names`.")
        return ArrayTarget(stored.name), _numbers(stored)
    target = (_one_hot if columns > 1 else _of_values)(stored, loss, names)
    values = target.encode(stored)
    _check_classes(stored, values, target.classes or ())
    return target, values


def read_labels(stored: Stored, *, is_one_hot: bool) -> Array:
    """The values, shape (n,), numbers or texts; of one-hot rows, where the one is. Raises DataError."""
    _check_target(stored)
    columns = int(np.prod(stored.shape[1:], dtype=np.int64))
    if is_one_hot != (columns > 1):
        raise DataError(f"{stored} has rows of shape {shown(stored.shape[1:])}, unlike those of training.")
    parts = [_checked(rows, first, stored) for first, rows in stored.blocks()]
    return np.concatenate(parts)


def _checked(rows: Array, first: int, stored: Stored) -> Array:
    """A block of labels, shape (n,)."""
    rows = rows.reshape(len(rows), -1)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1)) if rows.dtype.kind == "f" else np.empty(0, np.int64)
    if len(bad):
        value = rows[bad[0]][~np.isfinite(rows[bad[0]])][0]
        spoken = "NaN" if np.isnan(value) else "infinite"
        more = f" (and {len(bad) - 1:,} more among those read with it)" if len(bad) > 1 else ""
        raise DataError(f"{stored}: {stored.place(first + int(bad[0]))}{more}, has the value {spoken}.", _LEAVE_OUT)
    if rows.shape[1] == 1:
        return np.char.decode(rows[:, 0], "utf-8") if rows.dtype.kind == "S" else rows[:, 0]
    wrong = np.flatnonzero(((rows != 0) & (rows != 1)).any(axis=1) | (rows.sum(axis=1) != 1))
    if len(wrong):
        place = stored.place(first + int(wrong[0]))
        message = f"{stored} is to be one-hot, but {place}, does not have one 1 and else 0."
        raise DataError(message, "Write class numbers, one for each example, or a 1 in the column of the class.")
    return np.asarray(rows.argmax(axis=1))


def _check_target(stored: Stored) -> None:
    if stored.dtype.kind not in "uifbUS":
        held = HOLDS.get(stored.dtype.kind, str(stored.dtype))
        hint = "Write it anew with a type of numbers or texts, as `y.astype(int)` or `y.astype(str)` gives it."
        raise DataError(f"{stored} holds {held}; it cannot be asked for.", hint)
    check_rows(stored)


def _numbers(stored: Stored) -> Array:
    with np.errstate(over="ignore"):
        values = read_labels(stored, is_one_hot=False).astype(np.float32)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"{stored}: {stored.place(row)}, has a value that is too large for float32.", _SMALLER)
    if len(values) > 1 and (values == values[0]).all():
        raise DataError(f"{stored} is {values[0]:g} in every row: there is nothing to learn.", _ANOTHER)
    return values


def _one_hot(stored: Stored, loss: str, names: Sequence[str] | None) -> ArrayTarget:
    if len(stored.shape) != 2:
        message = f"{stored} has rows of shape {shown(stored.shape[1:])}, but `{loss}` compares one class an example."
        raise DataError(message)
    width = stored.shape[1]
    if names is not None and len(names) != width:
        raise DataError(f"{stored} has {width} columns, but `class_names` has {len(names)} names.")
    return ArrayTarget(stored.name, tuple(names or map(str, range(width))), None)


def _of_values(stored: Stored, loss: str, names: Sequence[str] | None) -> ArrayTarget:
    values = read_labels(stored, is_one_hot=False)
    if values.dtype.kind == "f" and (values % 1 != 0).any():
        hint = "Use a loss for numbers, such as `mean_squared_error`."
        raise DataError(f"{stored} has numbers with a fraction, but `{loss}` compares classes.", hint)
    labels = np.unique(values).tolist()
    if names is None:
        shown_labels = (int(label) if isinstance(label, float) else label for label in labels)
        return ArrayTarget(stored.name, tuple(map(str, shown_labels)), tuple(labels))
    is_from_0 = values.dtype.kind in "uif" and labels[0] >= 0
    if is_from_0 and labels[-1] < len(names):
        return ArrayTarget(stored.name, tuple(names), tuple(range(len(names))))
    if len(labels) == len(names):
        return ArrayTarget(stored.name, tuple(names), tuple(labels))
    if is_from_0:
        message = f"{stored} has the label {labels[-1]:g}, but `class_names` names the classes 0 to {len(names) - 1}."
        raise DataError(message)
    raise DataError(f"{stored} has {len(labels)} different values, but `class_names` has {len(names)} names.")


def _check_classes(stored: Stored, values: Array, classes: Sequence[str]) -> None:
    if len(values) < len(classes):
        raise DataError(f"{stored} has {len(values)} rows for {len(classes)} classes: too few to learn from.")
    if (values == values[0]).all():
        message = f"{stored}: every row has the same class, {classes[int(values[0])]}: there is nothing to learn."
        raise DataError(message, _ANOTHER)
