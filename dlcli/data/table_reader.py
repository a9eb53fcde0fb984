"""What a table's columns became in training, kept with the model: it encodes any table with the same columns alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dlcli.data.aligned import empty
from dlcli.data.columns import Fitted, Index, Text, as_numbers, as_texts, numbers_of, restore_column
from dlcli.data.dataset import Array, ClassNames, OneOrNamed, one_or_named
from dlcli.data.shuffling import Windows
from dlcli.data.skipping import Checks
from dlcli.data.table_layout import Layout
from dlcli.data.table_way import columns_of
from dlcli.data.tables import read_tables
from dlcli.errors import DataError
from dlcli.spec.likeness import suggestion
from dlcli.spec.source import InputFacts


@dataclass(frozen=True)
class TargetColumn:
    """A column of what is asked for: its classes in order, None for a number; and whether they are texts as written."""

    column: str
    classes: ClassNames
    is_text: bool

    def encode(self, values: pd.Series, where: str) -> Array:
        """Class numbers, int32, or float32 numbers, shape (n,). Raises DataError for a class that is not known."""
        if self.classes is None:
            return as_numbers(self.column, values, where).astype(np.float32)
        texts = as_texts(values)
        numbers = numbers_of(texts, self.classes)
        unknown = sorted(set(texts[numbers < 0].tolist()))
        if unknown:
            few = ", ".join(f"`{value}`" for value in unknown[:5])
            known = ", ".join(self.classes[:10]) + (" …" if len(self.classes) > 10 else "")
            message = f"{where}: `{self.column}` has {few}, which no training row has. Known are: {known}."
            raise DataError(message, "A model never tells what it has not seen: leave such rows out, or train on some.")
        return numbers.astype(np.int32)


@dataclass(frozen=True)
class TableReader:
    """Reads tables as in training.

    Attributes:
        layout: how they are written.
        inputs: the columns of each input, by its name.
        targets: the columns of what is asked for, by the target's name.
        names: of all columns of the tables in training.
        windows: how the rows were shuffled, if they stayed on the disk; so they do ever after.
        checked: the columns by which it was told which rows are sound, "number" or "date", if others were left out.
    """

    layout: Layout
    inputs: Mapping[str, tuple[Fitted, ...]]
    targets: Mapping[str, TargetColumn]
    names: tuple[str, ...]
    windows: Windows | None = None
    checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that go in."""
        return tuple(dict.fromkeys(column.name for columns in self.inputs.values() for column in columns))

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of each input."""
        return {name: _facts(columns) for name, columns in self.inputs.items()}

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the numbers that go in, where there is one input of such."""
        [columns, *others] = self.inputs.values()
        is_one = not others and not isinstance(columns[0], (Text, Index))
        return tuple(name for column in columns for name in column.names) if is_one else None

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose values stay as they are written, whatever they look like."""
        texts = {column.name for columns in self.inputs.values() for column in columns if column.is_text}
        return frozenset(texts | {target.column for target in self.targets.values() if target.is_text})

    @property
    def checks(self) -> Checks:
        """What the values of columns must be so that a row is sound."""
        known = {column.name: column.kind for columns in self.inputs.values() for column in columns}
        known.update({one.column: "category" if one.classes else "number" for one in self.targets.values()})
        known.update(self.checked)
        return Checks(known, tuple(known))

    def needed(self, frame: pd.DataFrame, path: Path, besides: Sequence[str]) -> list[str]:
        """The columns that are needed of a table with targets, `besides` among them. Raises DataError."""
        names = [*self.columns, *(target.column for target in self.targets.values()), *besides]
        check_columns(frame, names, path)
        return [*names, *(name for name in self.checked if name in frame.columns)]

    def _without_targets(self, paths: Sequence[Path]) -> Layout:
        """How tables are written that may lack what is asked for, where no line of theirs names the columns."""
        header = self.layout.header
        if header is True or not self.targets or paths[0].suffix.lower() == ".parquet":
            return self.layout
        asked = {target.column for target in self.targets.values()}
        others = tuple(name for name in self.names if name not in asked)
        return replace(self.layout, header=others) if columns_of(paths[0], self.layout) == len(others) else self.layout

    def encode(self, frame: pd.DataFrame, where: str) -> OneOrNamed[Array]:
        """The inputs of rows: float32 of shape (n, numbers), or int32 for texts and indices."""
        return one_or_named((name, _encoded(columns, frame, where)) for name, columns in self.inputs.items())

    def packed_size(self, name: str) -> int:
        """How many words of 4 bytes `pack` makes of a row for an input."""
        return sum(column.packed_size for column in self.inputs[name])

    def pack(self, frame: pd.DataFrame, where: str) -> dict[str, Array]:
        """The inputs of rows as they are kept in a file: int32 of shape (n, packed_size). Raises DataError."""
        return {
            name: np.column_stack([column.pack(frame[column.name], where) for column in columns])
            for name, columns in self.inputs.items()
        }

    def unpack(self, name: str, packed: Array) -> Array:
        """What `encode` makes of rows for an input, out of what `pack` did."""
        [first, *_] = columns = self.inputs[name]
        if isinstance(first, (Text, Index)):
            return first.unpack(packed)
        parts, at = [], 0
        for column in columns:
            parts.append(column.unpack(packed[:, at : at + column.packed_size]))
            at += column.packed_size
        return np.column_stack(parts)

    def dtype_of(self, name: str) -> str:
        """The type of the numbers of an input."""
        return "int32" if isinstance(self.inputs[name][0], (Text, Index)) else "float32"

    def encode_targets(self, frame: pd.DataFrame, where: str) -> OneOrNamed[Array]:
        """What is asked for; 0 for each row where nothing is."""
        if not self.targets:
            return np.zeros(len(frame), np.float32)
        return one_or_named((name, one.encode(frame[one.column], where)) for name, one in self.targets.items())

    def reads(self, path: Path) -> bool:
        """Whatever a table is called, it is one."""
        return True

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[OneOrNamed[Array], list[str]]:
        """The inputs of all rows of files, and a name for each row. Raises DataError."""
        parts: dict[str, list[Array]] = {name: [] for name in self.inputs}
        names: list[str] = []
        for path in paths:
            frame = read_tables([path], self._without_targets([path]), self.texts)
            check_columns(frame, self.columns, path)
            for name, columns in self.inputs.items():
                parts[name].append(_encoded(columns, frame, str(path)))
            names += [f"{path.name}[{row}]" for row in range(len(frame))]
        return one_or_named((name, np.concatenate(arrays)) for name, arrays in parts.items()), names

    def state(self) -> dict[str, Any]:
        """As data for JSON, which keeps float64 exactly."""
        targets = {
            name: {"column": one.column, "classes": one.classes, "is_text": one.is_text}
            for name, one in self.targets.items()
        }
        inputs = {name: [column.state() for column in columns] for name, columns in self.inputs.items()}
        state = {"kind": "table", "layout": self.layout.state(), "inputs": inputs, "targets": targets}
        windows = self.windows.state() if self.windows is not None else None
        return {**state, "names": list(self.names), "windows": windows, "checked": dict(self.checked)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> TableReader:
        """The reader that `state` described."""
        targets = {
            name: TargetColumn(one["column"], None if one["classes"] is None else tuple(one["classes"]), one["is_text"])
            for name, one in state["targets"].items()
        }
        inputs = {name: tuple(map(restore_column, columns)) for name, columns in state["inputs"].items()}
        # What was saved before tables could be streamed has no word of that.
        windows = Windows(**state["windows"]) if state.get("windows") else None
        layout, checked = Layout.restore(state["layout"]), dict(state.get("checked", {}))
        return cls(layout, inputs, targets, tuple(state["names"]), windows, checked)


def check_columns(frame: pd.DataFrame, needed: Iterable[str], path: Path, key: str | None = None) -> None:
    """Raises DataError for a column that is not there; `key` is where in the source its name is written."""
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing[:5])
        place = (key,) if key is not None else ()
        hint = suggestion(missing[0], list(frame.columns))
        if len(frame.columns) == 1 and all(name in str(frame.columns[0]) for name in missing):
            line = str(frame.columns[0])[:60]
            hint = (
                f"The whole first line, `{line}`, is taken for one name: say what stands between names with "
                "`separator`; or take out quotes that are around whole lines."
            )
        raise DataError(f"{path} has no column {names}.", hint, place)


def _facts(columns: tuple[Fitted, ...]) -> InputFacts:
    [first, *_] = columns
    if isinstance(first, Text):
        return InputFacts("indices", (first.length,), first.vocabulary)
    if isinstance(first, Index):
        return InputFacts("indices", (), first.size)
    return InputFacts("features", (sum(len(column.names) for column in columns),))


def _encoded(columns: tuple[Fitted, ...], frame: pd.DataFrame, where: str) -> Array:
    [first, *_] = columns
    if isinstance(first, (Text, Index)):
        return first.encode(frame[first.name], where)
    width = sum(len(column.names) for column in columns)
    result, at = empty((len(frame), width), np.float32), 0
    for column in columns:
        result[:, at : at + len(column.names)] = column.encode(frame[column.name], where)
        at += len(column.names)
    return result
