"""The examples of a `csv` source: its columns are fitted to the training rows, or encoded as a checkpoint says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dlcli.data.columns import Fitted, as_numbers
from dlcli.data.dataset import Array, Dataset, Examples, one_or_named
from dlcli.data.dividing import divide
from dlcli.data.finding import find_all
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.fitting import Fitting
from dlcli.data.inferring import Kind
from dlcli.data.splits import Splits
from dlcli.data.table_reader import TableReader, TargetColumn, check_columns
from dlcli.data.tables import Layout, read_tables
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT
from dlcli.spec.sources_files import Csv, Table


def load_table(
    loaded: LoadedSpec, source: Csv, where: Where, folders: Sequence[Path], reader: TableReader | None
) -> tuple[Dataset, Splits]:
    """The examples of a table, split; each column as numbers.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what the columns became in training; None to fit them to the training rows.

    Raises:
        DataError: a file cannot be read, or its columns are not what they should be.
        SpecError: the source says something that cannot be.
    """
    paths = find_all(source.path, folders)
    test_paths = find_all(source.test_path, folders) if source.test_path is not None else []
    fitting = _Fitting(loaded, source, str(paths[0]))
    besides = [name for name in (source.split, source.group, source.time, source.weight) if name is not None]

    def read() -> pd.DataFrame:
        frame = reader.read(paths, with_targets=True, also=besides) if reader else fitting.read(paths)
        return with_targets(frame, [each.column for each in _named_targets(fitting, reader)], paths[0], where)

    frame = loaded.once(("table", reader and reader.texts), read)
    targets = reader.targets if reader else fitting.targets(frame)
    table = TableReader(layout_of(source), {}, targets, tuple(frame.columns))
    raw = Examples(np.empty((len(frame), 0), np.float32), table.encode_targets(frame, str(paths[0])))
    class_names = one_or_named((name, one.classes) for name, one in targets.items()) if targets else None
    dataset = Dataset(source.name, "features", raw, None, class_names, None, origin(paths), "")
    test = None
    if test_paths:
        # Whatever is in it, so that the training rows are split without it.
        dataset = replace(dataset, test=Examples(np.empty((0, 0), np.float32), raw.targets))
    splits = divide(loaded, source, dataset, frame, str(paths[0]))
    if reader is None:
        reader = replace(table, inputs=fitting.inputs(frame.iloc[splits.train.indices], where))
    weights = _weights(source.weight, frame, str(paths[0])) if source.weight is not None else None
    train = Examples(reader.encode(frame, str(paths[0])), raw.targets, weights=weights)
    del frame
    if test_paths:
        known = reader

        def read_test() -> pd.DataFrame:
            rows = known.read(test_paths, with_targets=True)
            return with_targets(rows, [each.column for each in known.targets.values()], test_paths[0], where)

        rows = loaded.once(("test table", known.texts), read_test)
        test = Examples(reader.encode(rows, str(test_paths[0])), reader.encode_targets(rows, str(test_paths[0])))
    dataset = replace(
        dataset,
        kind=one_or_named((name, facts.kind) for name, facts in reader.facts.items()),
        train=train,
        test=test,
        feature_names=reader.feature_names,
        fingerprint=fingerprint_of(train, test),
        reader=reader,
    )
    return dataset, splits.on(train, test)


def _weights(column: str, frame: pd.DataFrame, where: str) -> Array:
    """How much each row counts. Raises DataError for a row that does not say so."""
    numbers = as_numbers(column, frame[column], where)
    wrong = np.flatnonzero(~(numbers >= 0))
    if len(wrong):
        row = int(wrong[0])
        message = f"{where}, column `{column}`: row {row + 1} has `{frame[column].iloc[row]}`, which is no weight."
        raise DataError(message, "A weight is a number from 0 on.")
    if not numbers.any():
        raise DataError(f"{where}: all weights in `{column}` are 0, so that nothing would be learned.")
    return numbers.astype(np.float32)


def layout_of(source: Table) -> Layout:
    """How a source's tables are written."""
    return Layout(source.header, source.separator, source.quotes, source.decimal, source.encoding, source.missing)


def origin(paths: Sequence[Path]) -> str:
    """Where the examples came from, for a person."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _named_targets(fitting: _Fitting, reader: TableReader | None) -> Sequence[TargetColumn]:
    if reader is not None:
        return list(reader.targets.values())
    return [TargetColumn(column, None, False) for column in fitting.source.target or ()]


def with_targets(frame: pd.DataFrame, columns: Sequence[str], path: Path, where: Where) -> pd.DataFrame:
    """The rows that say what is asked for."""
    if not columns:
        return frame
    known = frame[list(columns)].notna().all(axis=1)
    lacking = int((~known).sum())
    if lacking == len(frame):
        raise DataError(f"{path}: no row has a value of `{columns[0]}`, which is what is asked for.")
    if lacking:
        each = " or ".join(f"`{column}`" for column in columns)
        where.notify(f"{path.name}: {lacking:,} of {len(frame):,} rows have no {each}, and are left out.")
        return frame[known].reset_index(drop=True)
    return frame


class _Fitting(Fitting):
    """What becomes of the columns of a table that is read for the first time."""

    source: Csv

    def __init__(self, loaded: LoadedSpec, source: Csv, where: str) -> None:
        super().__init__(loaded, source, where)
        if source.target is None and loaded.spec.dataset.labels != "input":
            message = "`csv` needs `target`: the column of what the model is to tell."
            hint = "Only an autoencoder needs none, with `labels: input` in `dataset`."
            raise loaded.error(Problem(message, ("dataset", "source", "csv"), hint))

    def read(self, paths: Sequence[Path]) -> pd.DataFrame:
        """The whole table. Raises DataError if a column that the spec names is not there."""
        source = self.source
        frame = read_tables(paths, layout_of(source))
        routed = [column for columns in source.inputs.values() for column in columns]
        by = {key: [name] for key in ("split", "group", "time", "weight") if (name := getattr(source, key)) is not None}
        said = {**by, "target": source.target, "features": source.features, "columns": source.columns, "inputs": routed}
        for key, names in said.items():
            check_columns(frame, names or (), paths[0], key)
        for name in source.target or ():
            if name in (source.features or ()) or name in routed:
                message = f"`{name}` is what is asked for, and goes in as well: the model would only copy it."
                raise self.loaded.error(Problem(message, ("dataset", "source", "csv", "features")))
        return frame

    def inputs(self, rows: pd.DataFrame, where: Where) -> dict[str, tuple[Fitted, ...]]:
        """The columns of each input, fitted to the training rows; a person is told which are left out, and why."""
        source = self.source
        if source.inputs:
            routed = source.inputs.items()
            return {name: self._input(list(columns), rows, where, is_said=True) for name, columns in routed}
        others = (*(source.target or ()), source.split, source.group, source.time, source.weight)
        left = [name for name in rows.columns if name not in others]
        return {INPUT: self._input(list(source.features or left), rows, where, is_said=source.features is not None)}

    def _input(self, names: Sequence[str], rows: pd.DataFrame, where: Where, *, is_said: bool) -> tuple[Fitted, ...]:
        kinds = {name: self.kind(name, rows[name]) for name in names}
        usable = {name: kind for name, kind in kinds.items() if kind.kind != "skip"}
        if len(usable) > 1:
            alone = {name: kind for name, kind in usable.items() if kind.kind in ("text", "index")}
            for name, kind in alone.items():
                if is_said or name in self.source.columns:
                    hint = f"As in `inputs: {{{name}: {name}, others: [...]}}`: then the model has several inputs."
                    raise DataError(f"{self.where}: `{name}` ({kind.kind}) needs an input of its own.", hint)
                kinds[name] = Kind("skip", "it is free text; `inputs` can give it an input of its own")
            usable = {name: kind for name, kind in usable.items() if name not in alone} or usable
        if not usable:
            raise self.nothing_left(kinds)
        for name, kind in kinds.items():
            if name not in usable and kind.reason:
                where.notify(f"The column `{name}` is left out: {kind.reason}.")
        return tuple(self.fitted(name, kind.kind, rows[name]) for name, kind in usable.items())
