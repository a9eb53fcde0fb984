"""Which examples are for training, validation and test where they come one after the other: the last are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, Examples
from dlcli.data.splits import Split, Splits, held_out_count, validation_named
from dlcli.errors import DataError
from dlcli.spec.held_out import Fold


@dataclass(frozen=True)
class Cuts:
    """The times at which splits begin; None where there is no such split. What is before them is for training.

    Validation ends where the test set begins; or before that, at `ends`, if it is a fold that others come after.
    """

    validation: Any
    test: Any
    ends: Any = None

    @property
    def first(self) -> Any:
        """The time from which on nothing is for training; None if all is."""
        return self.validation if self.validation is not None else self.test

    def is_training(self, times: Array) -> Array:
        """Which of these times are for training, as booleans."""
        return np.ones(len(times), bool) if self.first is None else times < self.first


def cut(times: Array, *, source: str, validation: float | str | None, test: float, fold: Fold | None = None) -> Cuts:
    """Where splits begin, so that each has its share of all these times.

    What has the same time is in the same split. The numbers of rows are those of `split_dataset`.

    Args:
        times: of all rows, in any order.
        source: names the data for messages.
        validation: a fraction of what remains for training; "test" for the test split itself; or None for none.
        test: a fraction, at least 0 and below 1.
        fold: the fold that is held out for validation, instead of what `validation` says; None for no folds.

    Raises:
        DataError: a fraction is out of range, or leaves a split without rows.
    """
    times = np.sort(times)
    test_begins = validation_begins = validation_ends = None
    if test != 0.0:
        times, test_begins = _cut_off(times, test, source, "test")
    if fold is not None:
        validation_begins, validation_ends = fold_in_time(times, fold, source)
    elif validation is not None and not isinstance(validation, str):
        _, validation_begins = _cut_off(times, validation, source, "validation")
    return Cuts(validation_begins, test_begins, validation_ends)


def fold_in_time(times: Array, fold: Fold, source: str) -> tuple[Any, Any]:
    """When the rows begin that a fold holds out, and when they end; None for the last fold, after which there are none.

    There is one part more than there are folds, about as large: a fold is trained on all the parts before its own, so
    that the first part is never held out, and the later folds have more to train on. The positions are those of
    scikit-learn's TimeSeriesSplit; what has the same time is in the same part.

    Raises:
        DataError: there are too few rows, or too few times.
    """
    size, times = len(times) // (fold.of + 1), np.sort(times)
    begins = times[len(times) - size * np.arange(fold.of, 0, -1)] if size else times[:0]
    if not size or len(np.unique(np.append(begins, times[0]))) <= fold.of:
        what = f"{len(times)} rows of {source} with {len(np.unique(times))} different times"
        message = f"{what} cannot be divided into {fold.of} folds, and a part before them."
        raise DataError(message, "Use fewer `folds`, or more data.")
    return begins[fold.number - 1], begins[fold.number] if fold.number < fold.of else None


def _cut_off(times: Array, fraction: float, source: str, name: str) -> tuple[Array, Any]:
    """The times before the last `fraction` of them, and when that begins."""
    count = held_out_count(fraction, len(times), source=source, name=name)
    begins = times[len(times) - count]
    before = times[times < begins]
    if not len(before):
        message = f"`{name}: {fraction}` leaves no time for training: so many rows of {source} have the first time."
        raise DataError(message, f"Use another fraction for `{name}`, or more times.")
    return before, begins


def split_in_time(examples: Examples, times: Array, cuts: Cuts, *, validation: float | str | None) -> Splits:
    """Divide examples at `cuts` by their times, which need not be in order. A split may come out empty.

    Raises:
        DataError: validation is "test" and there is no test split.
    """

    def between(begin: Any, end: Any) -> Split:
        chosen = np.ones(len(times), bool)
        if begin is not None:
            chosen &= times >= begin
        if end is not None:
            chosen &= times < end
        return Split(examples, np.flatnonzero(chosen).astype(np.int64))

    test = between(cuts.test, None) if cuts.test is not None else None
    if isinstance(validation, str):
        held_out: Split | None = validation_named(validation, test)
    else:
        ends = cuts.test if cuts.ends is None else cuts.ends
        held_out = between(cuts.validation, ends) if cuts.validation is not None else None
    return Splits(between(None, cuts.first), held_out, test)
