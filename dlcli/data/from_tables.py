"""The examples of a `csv` source: its columns are fitted to the training rows, or encoded as a checkpoint says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from dlcli.data.columns import Fitted, parsed_numbers
from dlcli.data.dataset import Array, Dataset, Examples, named, one_or_named
from dlcli.data.dividing import divide
from dlcli.data.finding import find_all, refuse_twice
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.fitting import Fitting
from dlcli.data.inferring import Kind
from dlcli.data.skipping import Checks
from dlcli.data.splits import Splits
from dlcli.data.spool import folder as spool_folder
from dlcli.data.streaming import fits_into_memory, too_large, windows_of
from dlcli.data.table_reader import TableReader, TargetColumn, check_columns
from dlcli.data.table_reading import Reading, held_bytes, layout_of
from dlcli.data.table_rows import TableRows
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT
from dlcli.spec.sources_files import Csv

Rows = TypeVar("Rows", bound=TableRows)
_BESIDES = ("split", "group", "time", "weight")


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
    refuse_twice(paths, test_paths)
    fitting, name = _Fitting(loaded, source, str(paths[0])), str(paths[0])
    stays = _stays_on_disk(source, reader, [*paths, *test_paths], where)
    reading = Reading(layout_of(source), source.corrupt == "skip", stays, where)

    def read() -> tuple[TableRows, dict[str, str]]:
        if reader is None:
            needed = partial(fitting.needed, path=paths[0])
            rows, checked = reading.rows(paths, fitting.texts, needed, fitting.checks())
        else:
            rows, checked = reading.again(paths, reader, fitting.besides), {}
        return with_targets(rows, [each.column for each in _named_targets(fitting, reader)], paths[0], where), checked

    rows, checked = loaded.once(("table", reader and reader.texts), read)
    asked = {column: rows.different(column) for column in source.target or ()} if reader is None else {}
    _refuse_names_again(rows, asked, paths[0])
    targets = reader.targets if reader else fitting.targets(asked)
    table = TableReader(layout_of(source), {}, targets, rows.names, checked=checked)
    raw = Examples(np.empty((len(rows), 0), np.float32), rows.targets(table, name))
    class_names = one_or_named((name, one.classes) for name, one in targets.items()) if targets else None
    dataset = Dataset(source.name, "features", raw, None, class_names, None, origin(paths), "")
    test = None
    if test_paths:
        # Whatever is in it, so that the training rows are split without it.
        dataset = replace(dataset, test=Examples(np.empty((0, 0), np.float32), raw.targets))
    splits = divide(loaded, source, dataset, rows, name)
    if reader is None:
        reader = replace(table, inputs=fitting.inputs(rows, splits.train.indices, where))
    inputs: Any = rows.inputs(reader, name)
    if stays and reader.windows is None:
        reader = replace(reader, windows=windows_of(list(named(inputs).values())))
    weights = _weights(source.weight, rows.whole(source.weight), name) if source.weight is not None else None
    train = Examples(inputs, raw.targets, reader.windows, weights)
    del rows
    if test_paths:
        known = reader

        def read_test() -> TableRows:
            rows = reading.again(test_paths, known, ())
            return with_targets(rows, [each.column for each in known.targets.values()], test_paths[0], where)

        tested = loaded.once(("test table", known.texts), read_test)
        name = str(test_paths[0])
        test = Examples(tested.inputs(reader, name), tested.targets(reader, name), reader.windows)
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


def _stays_on_disk(source: Csv, reader: TableReader | None, paths: Sequence[Path], where: Where) -> bool:
    """Whether what goes in is not held in memory: as in training, as the spec says, or if it would take half of it."""
    stays = source.stream
    if reader is not None:
        stays = reader.windows is not None
    elif stays is None and not fits_into_memory(held_bytes(paths)):
        where.notify(too_large("In memory the table would take", held_bytes(paths), "the numbers made of it"))
        stays = True
    if stays:
        where.notify(f"What goes in stays in temporary files in {spool_folder()}, which are gone at the end.")
    return bool(stays)


def _refuse_names_again(rows: TableRows, asked: Mapping[str, pd.Series], path: Path) -> None:
    """See that no row has the names of the columns, as where files were put together; `asked` has different values."""
    for column, values in asked.items():
        for row in values.index[(values.astype("str") == column).to_numpy()]:
            [found] = (part.loc[row] for part in rows.parts(rows.kept_names) if row in part.index)
            if all(str(found[name]) == name for name in rows.kept_names):
                message = f"{path}: row {row + 1} has the names of the columns again."
                raise DataError(message, "Files that were put together are often so: take that line out.")


def _weights(column: str, values: pd.Series, where: str) -> Array:
    """How much each row counts. Raises DataError for a row that does not say so."""
    numbers, is_wrong = parsed_numbers(values)
    wrong = np.flatnonzero(is_wrong | ~(numbers >= 0))
    if len(wrong):
        row = int(wrong[0])
        message = f"{where}, column `{column}`: row {row + 1} has `{values.iloc[row]}`, which is no weight."
        raise DataError(message, "A weight is a finite number from 0 on.")
    if not numbers.any():
        raise DataError(f"{where}: all weights in `{column}` are 0, so that nothing would be learned.")
    return numbers.astype(np.float32)


def origin(paths: Sequence[Path]) -> str:
    """Where the examples came from, for a person."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _named_targets(fitting: _Fitting, reader: TableReader | None) -> Sequence[TargetColumn]:
    if reader is not None:
        return list(reader.targets.values())
    return [TargetColumn(column, None, False) for column in fitting.source.target or ()]


def with_targets(rows: Rows, columns: Sequence[str], path: Path, where: Where) -> Rows:
    """The rows that say what is asked for."""
    if not columns:
        return rows
    known = np.concatenate([part.notna().all(axis=1).to_numpy() for part in rows.parts(list(columns))])
    lacking = int((~known).sum())
    if lacking == len(known):
        raise DataError(f"{path}: no row has a value of `{columns[0]}`, which is what is asked for.")
    if lacking:
        each = " or ".join(f"`{column}`" for column in columns)
        where.notify(f"{path.name}: {lacking:,} of {len(known):,} rows have no {each}, and are left out.")
        return rows.only(known)
    return rows


class _Fitting(Fitting):
    """What becomes of the columns of a table that is read for the first time."""

    source: Csv

    def __init__(self, loaded: LoadedSpec, source: Csv, where: str) -> None:
        super().__init__(loaded, source, where)
        if source.target is None and loaded.spec.dataset.labels != "input":
            message = "`csv` needs `target`: the column of what the model is to tell."
            hint = "Only an autoencoder needs none, with `labels: input` in `dataset`."
            raise loaded.error(Problem(message, ("dataset", "source", "csv"), hint))

    def needed(self, frame: pd.DataFrame, path: Path) -> list[str]:
        """The columns that are needed. Raises DataError if one is not there that the spec names."""
        source = self.source
        routed = [column for columns in source.inputs.values() for column in columns]
        by = {key: [name] for key in _BESIDES if (name := getattr(source, key)) is not None}
        said = {**by, "target": source.target, "features": source.features, "columns": source.columns, "inputs": routed}
        for key, names in said.items():
            check_columns(frame, names or (), path, key)
        for name in source.target or ():
            if name in (source.features or ()) or name in routed:
                message = f"`{name}` is what is asked for, and goes in as well: the model would only copy it."
                raise self.loaded.error(Problem(message, ("dataset", "source", "csv", "features")))
        return [*(source.target or ()), *self.besides, *(routed or source.features or frame.columns)]

    @property
    def besides(self) -> list[str]:
        """The columns that are needed besides what goes in and what is asked for."""
        return [name for key in _BESIDES if (name := getattr(self.source, key)) is not None]

    def checks(self) -> Checks:
        """What the values of columns must be."""
        source = self.source
        used = [name for columns in source.inputs.values() for name in columns] or [*(source.features or ())]
        if used:
            used += [name for name in (source.weight, source.time, *(source.target or ())) if name is not None]
        return self.checked(used, (source.split, source.group))

    def inputs(self, rows: TableRows, training: Array, where: Where) -> dict[str, tuple[Fitted, ...]]:
        """The columns of each input, fitted to the training rows; a person is told which are left out, and why."""
        source = self.source
        if source.inputs:
            routed = source.inputs.items()
            return {name: self._input(columns, rows, training, where, is_said=True) for name, columns in routed}
        others = (*(source.target or ()), source.split, source.group, source.time, source.weight)
        left = source.features or [name for name in rows.names if name not in others]
        return {INPUT: self._input(left, rows, training, where, is_said=source.features is not None)}

    def _input(
        self, names: Sequence[str], rows: TableRows, training: Array, where: Where, *, is_said: bool
    ) -> tuple[Fitted, ...]:
        values = {name: rows.column(name, training) for name in names}
        kinds = {name: self.kind(name, values[name], is_said=is_said) for name in names}
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
        return tuple(self.fitted(name, kind.kind, values[name]) for name, kind in usable.items())
