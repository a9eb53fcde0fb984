"""The examples of a `series` source: windows over rows in the order of time, of which the last are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from dlcli.data.columns import Fitted
from dlcli.data.dataset import Array, Dataset, Examples, one_or_named
from dlcli.data.finding import find_all, refuse_twice
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.fitting import Fitting
from dlcli.data.from_tables import origin
from dlcli.data.inferring import Kind
from dlcli.data.series_reader import SeriesReader, too_short
from dlcli.data.skipping import Checks
from dlcli.data.splits import Splits
from dlcli.data.splits_in_time import Cuts, cut, split_in_time
from dlcli.data.table_reader import TableReader, TargetColumn, check_columns
from dlcli.data.table_reading import Reading, layout_of
from dlcli.data.times import Timeline, gaps_told, refuse_disorder
from dlcli.data.where import Where
from dlcli.data.windows import Windows, windows_of
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT
from dlcli.spec.sources_series import Series


def load_series(
    loaded: LoadedSpec, source: Series, where: Where, folders: Sequence[Path], reader: SeriesReader | None
) -> tuple[Dataset, Splits]:
    """The examples of a table in the order of time, split: the last are held out.

    A row that is held out, and whatever comes after it, is no target in training, and no column is fitted to it.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what the columns became in training; None to fit them to the training rows.

    Raises:
        DataError: a file cannot be read, or its rows are not what they should be.
    """
    spec = loaded.spec.dataset
    paths = find_all(source.path, folders)
    refuse_twice(paths, ())
    fitting = _Fitting(loaded, source, str(paths[0]))
    reading = Reading(layout_of(source), source.corrupt == "skip", False, where)

    def read() -> tuple[pd.DataFrame, dict[str, str]]:
        if reader is None:
            rows, checked = reading.rows(paths, (), lambda frame: fitting.needed(frame, paths[0]), fitting.checks())
        else:
            rows, checked = reading.again(paths, reader.table, reader.placed), {}
        if rows.skipped is not None and rows.skipped.count and source.time is None:
            where.notify("To a window the rows before and after one that is left out are neighbours.")
        return pd.DataFrame({name: rows.whole(name) for name in rows.names}), checked

    frame, checked = loaded.once(("table", reader and reader.table.texts), read)
    table = TableReader(layout_of(source), {}, {}, (), checked=checked)
    unfitted = reader or SeriesReader(table, source.time, source.group, source.length, source.horizon, is_dated=False)
    found = unfitted.in_order(frame, fitting.where)
    windows = _whole_windows(unfitted, source.stride, frame, found, (paths[0], where))
    cuts = cut(found.keys, source=source.name, validation=spec.validation, test=spec.test, fold=spec.held_out_fold)
    if reader is None:
        fitting.check_order(frame, found)
        is_training = cuts.is_training(found.keys)
        reader = fitting.reader(unfitted, frame, frame.iloc[found.order[is_training]], where)
        reader = replace(reader, is_dated=found.is_date)
    windows = windows.only(_told(frame, found, windows, reader.table.targets, where))
    inputs = reader.inputs(frame, found, windows, fitting.where)
    targets = reader.table.encode_targets(frame.iloc[found.order[windows.targets]], fitting.where)
    examples = Examples(inputs, targets)
    splits = split_in_time(examples, found.keys[windows.targets], cuts, validation=spec.validation)
    _refuse_empty(splits, cuts, found, source, fitting.where)
    dataset = Dataset(
        source=source.name,
        kind="features",
        train=examples,
        test=None,
        class_names=one_or_named((name, one.classes) for name, one in reader.table.targets.items()),
        feature_names=reader.table.feature_names,
        origin=origin(paths),
        fingerprint=fingerprint_of(examples, None),
        reader=reader,
    )
    return dataset, splits


def _whole_windows(
    reader: SeriesReader, stride: int, frame: pd.DataFrame, found: Timeline, told: tuple[Path, Where]
) -> Windows:
    """All windows whose target is a row of the table; a person is told of gaps, and of series without a window."""
    path, where = told
    windows = windows_of(found, length=reader.length, horizon=reader.horizon, stride=stride)
    if not len(windows):
        raise too_short(path, found, reader.length, reader.horizon)
    if gaps := gaps_told(found, reader.time):
        where.notify(gaps)
    if windows.short:
        needed = f"{reader.length + reader.horizon:,} rows, which a window and its target need"
        where.notify(f"{windows.short:,} of {len(found.names):,} series have less than {needed}, and are left out.")
    return windows


def _told(
    frame: pd.DataFrame, found: Timeline, windows: Windows, targets: Mapping[str, TargetColumn], where: Where
) -> Array:
    """Which windows have a target that is not missing; a person is told how many others there are."""
    columns = [target.column for target in targets.values()]
    known: Array = frame[columns].notna().all(axis=1).to_numpy()[found.order[windows.targets]]
    lacking = int((~known).sum())
    if lacking:
        each = " or ".join(f"`{column}`" for column in columns)
        where.notify(f"The row to be told has no {each} for {lacking:,} of {len(known):,} windows: they are left out.")
    return known


def _refuse_empty(splits: Splits, cuts: Cuts, found: Timeline, source: Series, where: str) -> None:
    for name in splits.names:
        if len(splits.named(name)):
            continue
        if name == "train":
            rows = int(cuts.is_training(found.keys).sum())
            window = f"a window of {source.length:,} rows with its target {source.horizon:,} later"
            message = f"{where}: no series has {window} among the {rows:,} rows to train on."
            raise DataError(message, "Use shorter windows, hold out less, or use a longer table.")
        message = f"{where}: no window has its target among the rows of the {name} split."
        raise DataError(message, f"Use a larger fraction for `{name}`, or a smaller `stride`.")


class _Fitting(Fitting):
    """What becomes of the columns of series that are read for the first time."""

    source: Series

    def needed(self, frame: pd.DataFrame, path: Path) -> list[str]:
        """All columns. Raises DataError if one is not there that the spec names."""
        source = self.source
        said = {"target": source.target, "features": source.features, "columns": source.columns}
        placed = {"time": source.time, "group": source.group}
        for key, names in {**said, **{key: [name] for key, name in placed.items() if name is not None}}.items():
            check_columns(frame, names or (), path, key)
        for column in source.target:
            if frame[column].isna().all():
                message = f"{self.where}: no row has a value of `{column}`, which is what is asked for."
                raise DataError(message, place=("target",))
        return list(frame.columns)

    def checks(self) -> Checks:
        """What the values of columns must be."""
        source = self.source
        used = [*source.features, *source.target, *([source.time] if source.time else [])] if source.features else []
        return self.checked(used, (source.group,))

    def check_order(self, frame: pd.DataFrame, found: Timeline) -> None:
        """Raises DataError where no column of times is named, and one of dates shows that the rows are in disorder."""
        if self.source.time is None:
            names = [name for name in frame.columns if name not in self.source.columns and name != self.source.group]
            refuse_disorder(frame, names, found, self.where)

    def reader(self, unfitted: SeriesReader, frame: pd.DataFrame, rows: pd.DataFrame, where: Where) -> SeriesReader:
        """What reads such tables: the columns fitted to the rows to train on; a person is told which are left out."""
        targets = self.targets({column: frame[column].dropna() for column in self.source.target})
        for target in targets.values():
            values = rows[target.column].dropna()
            if values.nunique() < 2:
                message = f"{self.where}: `{target.column}` is the same in all {len(rows):,} rows to train on"
                raise DataError(f"{message}: there is nothing to learn.", "Hold out less, or use a longer table.")
        inputs = {INPUT: self._input(rows, where)}
        return replace(
            unfitted, table=replace(unfitted.table, inputs=inputs, targets=targets, names=tuple(rows.columns))
        )

    def _input(self, rows: pd.DataFrame, where: Where) -> tuple[Fitted, ...]:
        source = self.source
        left = [name for name in rows.columns if name not in (source.time, source.group)]
        kinds = {name: self._usable(name, rows[name]) for name in source.features or left}
        usable = {name: kind.kind for name, kind in kinds.items() if kind.kind != "skip"}
        if not usable:
            raise self.nothing_left(kinds)
        for name, kind in kinds.items():
            if name not in usable and kind.reason:
                where.notify(f"The column `{name}` is left out: {kind.reason}.")
        return tuple(self.fitted(name, kind, rows[name]) for name, kind in usable.items())

    def _usable(self, name: str, values: pd.Series) -> Kind:
        """The kind of a column, which must be numbers for each row; "skip" where it is not. Raises DataError."""
        is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if name in self.source.target and name not in self.source.columns and is_number:
            return Kind("number")  # also where it grows from row to row, as what numbers the rows does
        kind = self.kind(name, values)
        if kind.kind not in ("text", "index"):
            return kind
        if name in self.source.columns or name in (self.source.features or ()):
            hint = f"Take it out of `features`, or write `columns: {{{name}: category}}`."
            raise DataError(f"{self.where}: `{name}` ({kind.kind}) cannot be a part of a window.", hint)
        return Kind("skip", "it is free text")
