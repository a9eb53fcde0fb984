"""Which rows of a table are for training, validation and test, where a column says it: by name, by group or by time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dlcli.data.columns import as_texts
from dlcli.data.dataset import Array, Dataset
from dlcli.data.splits import (
    FOLDS_DRAW,
    TEST_DRAW,
    VALIDATION_DRAW,
    Indices,
    Split,
    Splits,
    check_folds_of,
    hold_out,
    hold_out_fold,
    split_as_written,
    split_seed,
)
from dlcli.data.splits_in_time import fold_in_time
from dlcli.data.table_rows import TableRows
from dlcli.data.times import times_of
from dlcli.errors import DataError, Problem
from dlcli.spec.held_out import Fold
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_files import Csv

_NAMES = {
    "train": ("train", "training"), "validation": ("validation", "val", "valid", "dev"), "test": ("test", "testing")
}  # fmt: skip


class Way(Protocol):
    """Parts rows in two: those that stay, and those that are held out; both ascending. Raises DataError."""

    def hold_out(self, rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        """Hold out a share of the rows."""

    def hold_out_fold(self, rows: Indices, fold: Fold, seed: int) -> tuple[Indices, Indices]:
        """Hold out a fold of the rows; what stays is what is trained on then."""


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
        way: Way = _ByGroup(as_texts(rows.whole(source.group)), source.group, where)
    elif source.time is not None:
        way = _ByTime(times_of(source.time, rows.whole(source.time), where)[0], source.time, where)
    else:
        return split_as_written(loaded, dataset)
    kept, test = np.arange(len(rows), dtype=np.int64), None
    if dataset.test is None and spec.test:
        kept, held_out = way.hold_out(kept, spec.test, split_seed(loaded.spec.seed, TEST_DRAW))
        test = Split(dataset.train, held_out)
    elif dataset.test is not None:
        test = Split(dataset.test, np.arange(len(dataset.test), dtype=np.int64))
    validation = test if spec.validation == "test" else None
    if spec.held_out_fold is not None:
        kept, held_out = way.hold_out_fold(kept, spec.held_out_fold, split_seed(loaded.spec.seed, FOLDS_DRAW))
        validation = Split(dataset.train, held_out)
    elif isinstance(spec.validation, float):
        kept, held_out = way.hold_out(kept, spec.validation, split_seed(loaded.spec.seed, VALIDATION_DRAW))
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
    rows = each["train"].indices
    if len(each["validation"]) and spec.is_validated:
        key = "folds" if spec.folds is not None else "validation"
        message = f"`{column}` says which rows are for validation, and so does `{key}: {getattr(spec, key)}`."
        raise loaded.error(Problem(message, ("dataset", key), "Leave it out."))
    if spec.held_out_fold is not None:
        seed = split_seed(loaded.spec.seed, FOLDS_DRAW)
        parts = hold_out_fold(dataset, rows, spec.held_out_fold, random_state=seed)
        each["train"], each["validation"] = (Split(dataset.train, part) for part in parts)
    elif isinstance(spec.validation, float):
        seed = split_seed(loaded.spec.seed, VALIDATION_DRAW)
        parts = hold_out(dataset, rows, spec.validation, name="validation", random_state=seed)
        each["train"], each["validation"] = (Split(dataset.train, part) for part in parts)
    test = each["test"] if len(each["test"]) else None
    if dataset.test is not None:
        test = Split(dataset.test, np.arange(len(dataset.test), dtype=np.int64))
    validation = each["validation"] if len(each["validation"]) else test if spec.validation == "test" else None
    return Splits(each["train"], validation, test)


@dataclass(frozen=True, eq=False)
class _ByGroup:
    """Keeps the rows together that have the same text in a column."""

    texts: npt.NDArray[np.object_]
    column: str
    where: str

    def hold_out(self, rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        """See `Way`."""
        from sklearn.model_selection import GroupShuffleSplit

        groups = self.texts[rows]
        if len(set(groups.tolist())) < 2:
            message = f"{self.where}: the rows to hold some out of all have the same `{self.column}`, {groups[0]}."
            raise DataError(message, "A group is never divided: more groups are needed.")
        drawn = GroupShuffleSplit(1, test_size=share, random_state=seed)
        kept, held_out = next(drawn.split(rows, groups=groups))
        return np.sort(rows[kept]), np.sort(rows[held_out])

    def hold_out_fold(self, rows: Indices, fold: Fold, seed: int) -> tuple[Indices, Indices]:
        """See `Way`: folds of about as many rows, whatever the sizes of the groups."""
        from sklearn.model_selection import GroupKFold

        names, groups = np.unique(self.texts[rows], return_inverse=True)
        check_folds_of(len(names), fold, f"different values of `{self.column}` to train on in {self.where}")
        # The largest groups are dealt out first; which of those of the same size, their numbers tell.
        numbers = np.random.default_rng(seed).permutation(len(names))
        folds = GroupKFold(fold.of).split(rows, groups=numbers[groups])
        kept, held_out = next(islice(folds, fold.number - 1, None))
        return rows[kept], rows[held_out]


@dataclass(frozen=True, eq=False)
class _ByTime:
    """Holds out the rows that are the last by the times in a column."""

    times: Array
    column: str
    where: str

    def hold_out(self, rows: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        """See `Way`."""
        times = self.times
        in_order = rows[np.argsort(times[rows], kind="stable")]
        first = times[in_order[len(rows) - round(share * len(rows))]] if round(share * len(rows)) else None
        is_late = times[rows] >= first if first is not None else np.zeros(len(rows), bool)
        if is_late.all() or not is_late.any():
            side = "training" if is_late.all() else "the later part"
            message = f"{self.where}: {share:g} of {len(rows)} rows, by `{self.column}`, leaves none for {side}."
            raise DataError(message)
        return rows[~is_late], rows[is_late]

    def hold_out_fold(self, rows: Indices, fold: Fold, seed: int) -> tuple[Indices, Indices]:
        """See `Way`: the rows before those of the fold stay."""
        times = self.times[rows]
        begins, ends = fold_in_time(times, fold, f"{self.where}, by `{self.column}`,")
        is_held_out = times >= begins if ends is None else (times >= begins) & (times < ends)
        return rows[times < begins], rows[is_held_out]
