"""Features of all records as arrays in their files; several of them are read in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.example_proto import Feature, MalformedError, parse_example
from dlcli.data.image_reading import in_parts
from dlcli.data.record_files import SKIP, DamagedError, Records, capital
from dlcli.data.record_layout import Layout, UnfitError
from dlcli.data.stored import Read, Stored
from dlcli.errors import DataError

_MOST_NAMED = 20


@dataclass(frozen=True)
class Column(Stored):
    """One feature of all records, as an array in their files.

    Attributes:
        records: where they are.
        layout: what a row is.
    """

    records: Records
    layout: Layout

    @classmethod
    def of(cls, records: Records, layout: Layout) -> Column:
        """The feature that a layout is for."""
        dtype = np.dtype(layout.dtype)
        return cls(records.paths[0], layout.feature, (len(records), *layout.shape), dtype, records, layout)

    def __str__(self) -> str:
        return f"`{self.name}` in {self.records}"

    def place(self, number: int) -> str:
        """See `Stored.place`."""
        return self.records.place(number)

    @property
    def paths(self) -> tuple[Path, ...]:
        """See `Stored.paths`."""
        return self.records.paths

    @property
    def row_bytes(self) -> int:
        """See `Stored.row_bytes`."""
        return self.records.mean_bytes

    @property
    def obstacle(self) -> str | None:
        """See `Stored.obstacle`."""
        return "in compressed files" if self.records.is_held else None

    @property
    def remedy(self) -> str:
        """See `Stored.remedy`."""
        return "Write the records anew without compression."

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        with self.records.opened() as read:

            def rows(first: int, count: int) -> Array:
                parts = [rows_of([self], messages, at)[0] for at, messages in read(first, count)]
                return parts[0] if len(parts) == 1 else np.concatenate(parts)

            yield rows

    def blocks_with(self, others: Sequence[Stored]) -> Iterator[tuple[int, list[Array]]] | None:
        """See `Stored.blocks_with`."""
        columns = [self, *(one for one in others if isinstance(one, Column) and one.records is self.records)]
        return _blocks_of(columns) if len(columns) == len(others) + 1 else None

    def row(self, features: Mapping[str, Feature], message: bytes) -> Any:
        """What a record has for it. Raises DamagedError, or UnfitError."""
        feature = features.get(self.name)
        if feature is None or not feature.kind:
            raise UnfitError("is not in it", "Leave such records out, or give them a value, when the file is written.")
        try:
            values = feature.values(message)
        except MalformedError as error:
            raise _no_example(error) from error
        return self.layout.row(values)

    def empty(self, count: int) -> Any:
        """So many rows to fill."""
        return np.empty((count, *self.shape[1:]), object if self.layout.dtype == "str" else self.dtype)


def _blocks_of(columns: Sequence[Column]) -> Iterator[tuple[int, list[Array]]]:
    records = columns[0].records
    with records.opened() as read:
        for first, messages in read(0, len(records)):
            yield first, rows_of(columns, messages, first)


def rows_of(columns: Sequence[Column], messages: Sequence[bytes], first: int) -> list[Array]:
    """The rows of each column that records make, the first of which has this number. Raises DataError."""
    found = [column.empty(len(messages)) for column in columns]
    names = frozenset(column.name.encode() for column in columns)

    def decode(start: int, end: int) -> None:
        for row in range(start, end):
            for rows, value in zip(found, _values(columns, names, messages[row], first + row), strict=True):
                rows[row] = value

    if all(column.layout.form is None for column in columns):
        decode(0, len(messages))
    else:  # Pillow lets other threads work meanwhile
        for _ in in_parts(len(messages), decode):
            pass
    return [rows.astype(str) if rows.dtype == object else rows for rows in found]


def _values(columns: Sequence[Column], names: frozenset[bytes], message: bytes, number: int) -> Iterator[Any]:
    """What the record of this number has for each column. Raises DataError."""
    column = columns[0]
    try:
        features = _parsed(message, names)
        for column in columns:
            yield column.row(features, message)
    except (DamagedError, UnfitError) as error:
        hint = error.hint if isinstance(error, UnfitError) else SKIP
        raise DataError(f"{capital(column.place(number))}: `{column.name}` {error}.", hint) from error


def _parsed(message: bytes, names: frozenset[bytes]) -> dict[str, Feature]:
    try:
        return parse_example(message, names)
    except MalformedError as error:
        raise _no_example(error) from error


def _no_example(error: MalformedError) -> DamagedError:
    return DamagedError(f"cannot be read, since the record is no tf.train.Example: {error}")


def _damage(columns: Sequence[Column], message: bytes) -> str | None:
    """Why a record is damaged; None if it is not, or only something else than it should be."""
    column = columns[0]
    try:
        features = _parsed(message, frozenset(one.name.encode() for one in columns))
        for column in columns:
            with suppress(UnfitError):
                column.row(features, message)
    except DamagedError as error:
        return f"`{column.name}` {error}"
    return None


def without_damaged(columns: Sequence[Column], notify: Callable[[str], None]) -> list[Column]:
    """The columns of some records without those that are damaged, once a person has been told of these."""
    records = columns[0].records
    is_bad, reasons = np.zeros(len(records), bool), {}
    for first, messages, wrong in records.parts(0, len(records)):
        for row, message in enumerate(messages):
            reason = "its checksum is another one" if wrong[row] else _damage(columns, message)
            if reason is not None:
                is_bad[first + row] = True
                reasons[first + row] = reason
    if not reasons:
        return list(columns)
    if is_bad.all():
        all_of_them = f"All records of {records} are damaged. {capital(records.place(0))}: {reasons[0]}."
        raise DataError(all_of_them, "Copy or write the file again.")
    told = "; ".join(f"{records.place(row)} ({reason})" for row, reason in list(reasons.items())[:_MOST_NAMED])
    more = "; …" if len(reasons) > _MOST_NAMED else ""
    notify(f"{len(reasons):,} of {len(records):,} records are damaged, and are left out: {told}{more}.")
    left = records.without(is_bad)
    return [replace(column, records=left, shape=(len(left), *column.shape[1:])) for column in columns]
