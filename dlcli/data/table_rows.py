"""The rows of a table, in memory or on the disk: who splits, fits and encodes them sees no difference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from typing_extensions import Self

from dlcli.data.columns import Values
from dlcli.data.dataset import Array, OneOrNamed, for_each
from dlcli.data.skipping import Skipped
from dlcli.data.table_reader import TableReader


class TableRows(ABC):
    """The rows of a table.

    Attributes:
        names: of its columns.
        skipped: what was left out when they were read, as corrupt; None where that is an error.
    """

    names: tuple[str, ...]
    skipped: Skipped | None

    @property
    def kept_names(self) -> tuple[str, ...]:
        """Of the columns that can be asked for."""
        return self.names

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def parts(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """These columns of all rows, some megabytes at a time or at once; the index counts the rows from 0."""

    @abstractmethod
    def whole(self, name: str) -> pd.Series:
        """A column in memory."""

    @abstractmethod
    def only(self, kept: Array, numbers: Collection[str] = ()) -> Self:
        """The rows where `kept`, bool of shape (n,), is true; with these columns, texts until then, as numbers."""

    @abstractmethod
    def inputs(self, reader: TableReader, where: str) -> OneOrNamed[Array]:
        """What goes in, as raw examples: arrays, or what is like them. `where` names the table. Raises DataError."""

    def column(self, name: str, rows: Array | None = None) -> Values:
        """A column in parts; of `rows`, which ascend, if they are given."""
        return _InParts(self, name, rows)

    def different(self, name: str) -> pd.Series:
        """The different values of a column, in the order in which they come; the index has their first rows."""
        return pd.concat([part.drop_duplicates() for part in self.column(name)]).drop_duplicates()

    def targets(self, reader: TableReader, where: str) -> OneOrNamed[Array]:
        """What is asked for; `where` names the table for messages. Raises DataError."""
        if not reader.targets:
            return np.zeros(len(self), np.float32)
        columns = list(dict.fromkeys(target.column for target in reader.targets.values()))
        parts = [reader.encode_targets(part, where) for part in self.parts(columns)]
        return for_each(lambda *each: np.concatenate(each), *parts)


@dataclass(frozen=True)
class _InParts:
    """The values of a column, some rows of it; to go through more than once."""

    table: TableRows
    name: str
    rows: Array | None

    def __iter__(self) -> Iterator[pd.Series]:
        for part in self.table.parts([self.name]):
            values = part[self.name]
            if self.rows is None:
                yield values
                continue
            first = int(values.index[0])
            begin, end = np.searchsorted(self.rows, (first, first + len(values)))
            yield values.iloc[self.rows[begin:end] - first]


@dataclass(frozen=True)
class HeldRows(TableRows):
    """Rows in memory; their index counts from 0."""

    frame: pd.DataFrame
    skipped: Skipped | None = None

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        """See `TableRows`."""
        return tuple(self.frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    def parts(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """See `TableRows.parts`."""
        yield self.frame[list(names)]

    def whole(self, name: str) -> pd.Series:
        """See `TableRows.whole`."""
        return self.frame[name]

    def only(self, kept: Array, numbers: Collection[str] = ()) -> Self:
        """See `TableRows.only`."""
        frame = self.frame[kept].reset_index(drop=True)
        return replace(self, frame=frame.assign(**{name: pd.to_numeric(frame[name]) for name in numbers}))

    def inputs(self, reader: TableReader, where: str) -> OneOrNamed[Array]:
        """See `TableRows.inputs`."""
        return reader.encode(self.frame, where)
