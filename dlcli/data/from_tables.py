"""The examples of a `csv` source: its columns are fitted to the training rows, or encoded as a checkpoint says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dlcli.data.columns import Category, Date, Fitted, Index, Number, Plain, Text, as_numbers, as_texts, sorted_values
from dlcli.data.dataset import Dataset, Examples, one_or_named
from dlcli.data.encoding import snake_case
from dlcli.data.finding import find_all
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.inferring import Kind, kind_of
from dlcli.data.splits import Splits, split_dataset
from dlcli.data.table_reader import TableReader, TargetColumn, check_columns
from dlcli.data.tables import Layout, read_tables
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT
from dlcli.spec.sources_files import Column, Csv, Table

_FOR_CLASSES = ("crossentropy", "cross_entropy", "hinge", "dice", "tversky", "circle_loss", "kl_divergence")


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
    frame = reader.read(paths, with_targets=True) if reader else fitting.read(paths)
    frame = with_targets(frame, [each.column for each in _named_targets(fitting, reader)], paths[0], where)
    targets = reader.targets if reader else fitting.targets(frame)
    table = TableReader(layout_of(source), {}, targets)
    raw = Examples(np.empty((len(frame), 0), np.float32), table.encode_targets(frame, str(paths[0])))
    class_names = one_or_named((name, one.classes) for name, one in targets.items()) if targets else None
    dataset = Dataset(source.name, "features", raw, None, class_names, None, _origin(paths), "")
    test = None
    if test_paths:
        # Whatever is in it, so that the training rows are split without it.
        dataset = replace(dataset, test=Examples(np.empty((0, 0), np.float32), raw.targets))
    spec = loaded.spec.dataset
    splits = split_dataset(dataset, validation=spec.validation, test=spec.test, seed=loaded.spec.seed)
    if reader is None:
        reader = replace(table, inputs=fitting.inputs(frame.iloc[splits.train.indices], where))
    train = Examples(reader.encode(frame, str(paths[0])), raw.targets)
    del frame
    if test_paths:
        rows = reader.read(test_paths, with_targets=True)
        rows = with_targets(rows, [each.column for each in targets.values()], test_paths[0], where)
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


def layout_of(source: Table) -> Layout:
    """How a source's tables are written."""
    return Layout(source.header, source.separator, source.quotes, source.decimal, source.encoding, source.missing)


def _origin(paths: Sequence[Path]) -> str:
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


def fitted_target(column: str, values: pd.Series, *, kind: str | None, loss: str, where: str) -> TargetColumn:
    """A column of what is asked for.

    Args:
        column: its name.
        values: in all rows.
        kind: "number" or "category", if the spec says so; otherwise the loss and the values tell.
        loss: its name, with underscores.
        where: names the table for messages.

    Raises:
        DataError: it cannot be what the loss compares, or is the same in all rows.
    """
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    compares_classes = any(part in loss for part in _FOR_CLASSES)
    meant = kind if kind is not None else "category" if compares_classes or not is_number else "number"
    if meant == "number":
        numbers = as_numbers(column, values, where)
        if len(numbers) > 1 and (numbers == numbers[0]).all():
            raise DataError(f"{where}: `{column}` is {numbers[0]:g} in every row: there is nothing to learn.")
        return TargetColumn(column, None, False)
    texts = as_texts(values)
    classes = sorted_values(texts)
    if kind is None and is_number and (values % 1 != 0).any():
        hint = "Use a loss for numbers, such as `mean_squared_error`."
        message = f"{where}: `{column}` has numbers with a fraction, but `{loss}` compares classes."
        raise DataError(message, hint)
    if len(classes) == 1:
        message = f"{where}: every row has the same `{column}`, {classes[0]}: there is nothing to learn."
        raise DataError(message)
    return TargetColumn(column, classes, not is_number and not pd.api.types.is_bool_dtype(values))


class _Fitting:
    """What becomes of the columns of a table that is read for the first time."""

    def __init__(self, loaded: LoadedSpec, source: Csv, where: str) -> None:
        self.source = source
        self._loaded = loaded
        self._where = where
        if source.target is None and loaded.spec.dataset.labels != "input":
            message = "`csv` needs `target`: the column of what the model is to tell."
            hint = "Only an autoencoder needs none, with `labels: input` in `dataset`."
            raise loaded.error(Problem(message, ("dataset", "source", "csv"), hint))

    def read(self, paths: Sequence[Path]) -> pd.DataFrame:
        """The whole table. Raises DataError if a column that the spec names is not there."""
        source = self.source
        frame = read_tables(paths, layout_of(source))
        routed = [column for columns in source.inputs.values() for column in columns]
        check_columns(frame, [*(source.target or ()), *(source.features or ()), *source.columns, *routed], paths[0])
        for name in source.target or ():
            if name in (source.features or ()) or name in routed:
                message = f"`{name}` is what is asked for, and goes in as well: the model would only copy it."
                raise self._loaded.error(Problem(message, ("dataset", "source", "csv", "features")))
        return frame

    def targets(self, frame: pd.DataFrame) -> dict[str, TargetColumn]:
        """The columns of what is asked for, with their classes."""
        names = self.source.target_names if self.source.target else ()
        heads = heads_of(self._loaded.spec)
        made = {}
        for name, column in zip(names, self.source.target or (), strict=True):
            loss = snake_case(heads[name].loss.name) if name in heads else ""
            said = self.source.columns.get(column)
            kind = said.kind if said is not None else None
            made[name] = fitted_target(column, frame[column], kind=kind, loss=loss, where=self._where)
        return made

    def inputs(self, rows: pd.DataFrame, where: Where) -> dict[str, tuple[Fitted, ...]]:
        """The columns of each input, fitted to the training rows; a person is told which are left out, and why."""
        source = self.source
        if source.inputs:
            routed = source.inputs.items()
            return {name: self._input(list(columns), rows, where, is_said=True) for name, columns in routed}
        left = [name for name in rows.columns if name not in (source.target or ())]
        return {INPUT: self._input(list(source.features or left), rows, where, is_said=source.features is not None)}

    def _input(self, names: Sequence[str], rows: pd.DataFrame, where: Where, *, is_said: bool) -> tuple[Fitted, ...]:
        kinds = {name: self._kind(name, rows[name]) for name in names}
        usable = {name: kind for name, kind in kinds.items() if kind.kind != "skip"}
        if len(usable) > 1:
            alone = {name: kind for name, kind in usable.items() if kind.kind in ("text", "index")}
            for name, kind in alone.items():
                if is_said or name in self.source.columns:
                    hint = f"As in `inputs: {{{name}: {name}, others: [...]}}`: then the model has several inputs."
                    raise DataError(f"{self._where}: `{name}` ({kind.kind}) needs an input of its own.", hint)
                kinds[name] = Kind("skip", "it is free text; `inputs` can give it an input of its own")
            usable = {name: kind for name, kind in usable.items() if name not in alone} or usable
        if not usable:
            reasons = "; ".join(f"`{name}`: {kind.reason or 'the spec says so'}" for name, kind in kinds.items())
            raise DataError(f"{self._where}: no column is left to go in. {reasons}.")
        for name, kind in kinds.items():
            if name not in usable and kind.reason:
                where.notify(f"The column `{name}` is left out: {kind.reason}.")
        return tuple(self._fitted(name, kind.kind, rows[name]) for name, kind in usable.items())

    def _kind(self, name: str, values: pd.Series) -> Kind:
        said = self.source.columns.get(name)
        return Kind(said.kind) if said is not None else kind_of(name, values, self._where)

    def _fitted(self, name: str, kind: str, values: pd.Series) -> Fitted:
        said = self.source.columns.get(name) or Column.model_validate(kind)
        is_scaled = self._loaded.spec.dataset.preparation is None
        if kind == "number":
            return (Number if is_scaled else Plain).fit(name, values, is_scaled=is_scaled)
        if kind == "category":
            return Category.fit(name, values)
        if kind == "index":
            return Index.fit(name, values, said.vocabulary)
        if kind == "date":
            return Date.fit(name, values)
        return Text.fit(name, values, said.length, said.vocabulary)
