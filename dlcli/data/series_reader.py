"""What a table of series became in training, kept with the model: it makes windows of any such table alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dlcli.data.columns import Number
from dlcli.data.dataset import Array, OneOrNamed
from dlcli.data.table_reader import TableReader, check_columns
from dlcli.data.tables import read_tables
from dlcli.data.times import Timeline, timeline
from dlcli.data.windows import Windows, gathered, windows_of
from dlcli.errors import DataError
from dlcli.spec.source import INPUT, InputFacts

_KEPT = ("time", "group", "length", "horizon", "is_dated")


@dataclass(frozen=True)
class SeriesReader:
    """Reads series as in training.

    Attributes:
        table: reads their rows.
        time: the column of times; None where the rows are in order.
        group: the column that says which series a row is of; None where there is only one.
        length: how many rows a window has.
        horizon: how many rows behind the last one of its window a target is.
        is_dated: whether the times are dates; else they are numbers.
    """

    table: TableReader
    time: str | None
    group: str | None
    length: int
    horizon: int
    is_dated: bool

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of the input: its shape is (length, numbers)."""
        return {INPUT: InputFacts("features", (self.length, *self.table.facts[INPUT].shape))}

    @property
    def placed(self) -> list[str]:
        """The columns that say where in a series a row is."""
        return [name for name in (self.time, self.group) if name is not None]

    def place_of(self, target: str) -> tuple[Number, int] | None:
        """The column that a target's numbers go in by, and where in a row they stand; None if they do not go in."""
        at = 0
        for column in self.table.inputs[INPUT]:
            if column.name == self.table.targets[target].column:
                return (column, at) if isinstance(column, Number) else None
            at += len(column.names)
        return None

    def in_order(self, frame: pd.DataFrame, where: str) -> Timeline:
        """The rows in the order of time, each series for itself. Raises DataError."""
        return timeline(frame, time=self.time, group=self.group, where=where)

    def inputs(self, frame: pd.DataFrame, found: Timeline, windows: Windows, where: str) -> Array:
        """The windows as float32, shape (n, length, numbers). Raises DataError."""
        rows: Any = self.table.encode(frame, where)  # of the one input
        return gathered(rows[found.order], windows, self.length, where)

    def reads(self, path: Path) -> bool:
        """Whatever a table is called, it is one."""
        return True

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[OneOrNamed[Array], list[str]]:
        """All windows of files, each file by itself; and the name of the row that each is to tell. Raises DataError.

        The last ones tell rows that are not there yet.
        """
        parts, names = [], []
        for path in paths:
            windows, labels = self.windows(read_tables([path], self.table.layout, self.table.texts), path)
            parts.append(windows)
            names += [f"{path.name}[{label}]" for label in labels]
        return np.concatenate(parts), names

    def windows(self, frame: pd.DataFrame, path: Path) -> tuple[Array, list[str]]:
        """All windows of rows, which messages say are of `path`; and the row that each is to tell. Raises DataError."""
        check_columns(frame, [*self.table.columns, *self.placed], path)
        found = self.in_order(frame, str(path))
        windows = windows_of(found, length=self.length, horizon=self.horizon, beyond=True)
        if not len(windows):
            raise too_short(path, found, self.length, 0)
        told = zip(windows.targets.tolist(), windows.series.tolist(), strict=True)
        labels = [found.label(target, series) for target, series in told]
        return self.inputs(frame, found, windows, str(path)), labels

    def state(self) -> dict[str, Any]:
        """As data for JSON, which keeps float64 exactly."""
        window = {name: getattr(self, name) for name in _KEPT}
        return {"kind": "series", "table": self.table.state(), **window}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> SeriesReader:
        """The reader that `state` described."""
        return cls(TableReader.restore(state["table"]), **{name: state[name] for name in _KEPT})


def too_short(path: Path, found: Timeline, length: int, horizon: int) -> DataError:
    """The error that no series has as many rows as a window and, `horizon` rows behind its last one, a target."""
    longest = int(np.diff(found.bounds).max())
    has = f"{path} has" if len(found.names) == 1 else f"{path}: the longest series has"
    needs = f"a window needs {length:,}"
    if horizon:
        needs = f"a window of {length:,} with its target {horizon:,} later needs {length + horizon:,}"
    hint = "Use shorter windows, or a longer table." if horizon else None
    rows = f"{longest:,} row" + "s" * (longest != 1)
    return DataError(f"{has} {rows}, but {needs}.", hint, ("length",))
