"""Which rows of a table are for training, validation and test, where a column says it: by name, by group or by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from dlcli.data.columns import as_texts
from dlcli.data.dataset import Dataset
from dlcli.data.splits import TEST_DRAW, VALIDATION_DRAW, Indices, Split, Splits, split_dataset, split_seed
from dlcli.data.table_rows import TableRows
from dlcli.data.times import times_of
from dlcli.errors import DataError, Problem
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_files import Csv

HoldOut: TypeAlias = Callable[[Indices, float, int], tuple[Indices, Indices]]
"""parts rows in two: those that stay, and a share of them that is held out; both ascending"""
_NAMES = {
    "train": ("train", "training"), "validation": ("validation", "val", "valid", "dev"), "test": ("test", "testing")
}  # fmt: skip


def divide(loaded: LoadedSpec, source: Csv, dataset: Dataset, rows: TableRows, where: str) -> Splits:
    """The rows of each split.

    Args:
        loaded: the spec.
        source: its source.
        dataset: the examples, of which only the targets are looked at.
        rows: the rows of the table that they are.
        where: names the table for messages.

    Raises:
        DataError: a split would have no rows, or a column that says what is for what says something else.
        SpecError: the source says that in two ways.
    """
    ways = [key for key in ("split", "group", "time") if getattr(source, key) is not None]
    if len(ways) > 1:
        message = f"`{ways[0]}` and `{ways[1]}` both say which rows are held out."
        raise loaded.error(Problem(message, ("dataset", "source", "csv", ways[1]), "Leave one of them out."))
    spec = loaded.spec.dataset
    if source.split is not None:
        return _by_name(loaded, dataset, as_texts(rows.whole(source.split)), source.split, where)
    if source.group is not None:
        hold_out = _by_group(as_texts(rows.whole(source.group)), source.group, where)
    elif source.time is not None:
        hold_out = _by_time(rows.whole(source.time), source.time, where)
    else:
        return split_dataset(dataset, validation=spec.validation, test=spec.test, seed=loaded.spec.seed)
    kept, test = np.arange(len(rows), dtype=np.int64), None
    if dataset.test is None and spec.test:
        kept, held_out = hold_out(kept, spec.test, split_seed(loaded.spec.seed, TEST_DRAW))
        test = Split(dataset.train, held_out)
    elif dataset.test is not None:
        test = Split(dataset.test, np.arange(len(dataset.test), dtype=np.int64))
    validation = test if spec.validation == "test" else None
    if isinstance(spec.validation, float):
        kept, held_out = hold_out(kept, spec.validation, split_seed(loaded.spec.seed, VALIDATION_DRAW))
        validation = Split(dataset.train, held_out)
    return Splits(Split(dataset.train, kept), validation, test)


def split_of(text: str) -> str | None:
    """The split that a word in a table means; None if it means none."""
    return next((name for name, words in _NAMES.items() if text.lower() in words), None)


def _by_name(loaded: LoadedSpec, dataset: Dataset, texts: npt.NDArray[np.object_], column: str, where: str) -> Splits:
    names = np.asarray([split_of(text) or "" for text in texts])
    if (names == "").any():
        row = int(np.flatnonzero(names == "")[0])
        found = f"`{texts[row]}`" if texts[row] else "no value"
        message = f"{where}: `{column}` says which split a row is for, but row {row + 1} has {found}."
        raise DataError(message, "Write `train`, `validation` or `test`.")
    each = {name: Split(dataset.train, np.flatnonzero(names == name)) for name in _NAMES}
    if not len(each["train"]):
        raise DataError(f"{where}: `{column}` has no row for training.")
    spec = loaded.spec.dataset
    if len(each["validation"]) and spec.validation is not None:
        message = f"`{column}` says which rows are for validation, and so does `validation: {spec.validation}`."
        raise loaded.error(Problem(message, ("dataset", "validation"), "Leave it out."))
    test = each["test"] if len(each["test"]) else None
    if dataset.test is not None:
        test = Split(dataset.test, np.arange(len(dataset.test), dtype=np.int64))
    validation = each["validation"] if len(each["validation"]) else test if spec.validation == "test" else None
    return Splits(each["train"], validation, test)


def _by_group(texts: npt.NDArray[np.object_], column: str, where: str) -> HoldOut:
    def hold_out(rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        from sklearn.model_selection import GroupShuffleSplit

        groups = texts[rows]
        if len(set(groups.tolist())) < 2:
            message = f"{where}: the rows to hold some out of all have the same `{column}`, {groups[0]}."
            raise DataError(message, "A group is never divided: more groups are needed.")
        drawn = GroupShuffleSplit(1, test_size=share, random_state=seed)
        kept, held_out = next(drawn.split(rows, groups=groups))
        return np.sort(rows[kept]), np.sort(rows[held_out])

    return hold_out


def _by_time(values: pd.Series, column: str, where: str) -> HoldOut:
    times, _ = times_of(column, values, where)

    def hold_out(rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        in_order = rows[np.argsort(times[rows], kind="stable")]
        first = times[in_order[len(rows) - round(share * len(rows))]] if round(share * len(rows)) else None
        is_late = times[rows] >= first if first is not None else np.zeros(len(rows), bool)
        if is_late.all() or not is_late.any():
            side = "training" if is_late.all() else "the later part"
            raise DataError(f"{where}: {share:g} of {len(rows)} rows, by `{column}`, leaves none for {side}.")
        return rows[~is_late], rows[is_late]

    return hold_out
