"""Which rows are for training, validation and test: index arrays beside the examples, which are never copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from dlcli.data.dataset import Dataset, Examples
from dlcli.errors import DataError
from dlcli.spec.held_out import Fold
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_folders import VALIDATION_FOLDER

Indices = npt.NDArray[np.int64]
_MOST_SHOWN = 5
TEST_DRAW, VALIDATION_DRAW, FOLDS_DRAW = 0, 1, 2  # which of the seed's random states belongs to which split


@dataclass(frozen=True, eq=False)
class Split:
    """Some rows of some examples.

    Attributes:
        examples: all examples of which these are a part; shared between splits.
        indices: the rows of `examples` that belong to this split; int64 of shape (n,), ascending.
    """

    examples: Examples
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of one data set; `validation` and `test` may be one and the same object."""

    train: Split
    validation: Split | None
    test: Split | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the splits that are there."""
        return tuple(name for name in ("train", "validation", "test") if getattr(self, name) is not None)

    def on(self, train: Examples, test: Examples | None) -> Splits:
        """The same rows of other examples; all of `test`, if that is given."""

        def moved(split: Split | None) -> Split | None:
            return None if split is None else Split(train, split.indices)

        if test is None:
            return Splits(Split(train, self.train.indices), moved(self.validation), moved(self.test))
        whole = Split(test, np.arange(len(test), dtype=np.int64))
        validation = whole if self.validation is self.test else moved(self.validation)
        return Splits(Split(train, self.train.indices), validation, whole)

    def named(self, name: str) -> Split:
        """The split called `name`.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.names:
            raise DataError(
                f"There is no split {name!r}; this data set has {', '.join(self.names)}.",
                "Set `validation` or `test` under `dataset`, or name one of those splits.",
            )
        split: Split = getattr(self, name)
        return split


def split_dataset(
    dataset: Dataset, *, validation: float | str | None, test: float, seed: int, fold: Fold | None = None
) -> Splits:
    """Divide `dataset` into training, validation and test rows, the same way each time for the same seed.

    The source's own test set is used where it has one. Otherwise `test`, a fraction of `dataset.train`, is held out
    (0.0: none), and it is drawn first, so that it does not depend on `validation`. Classes are stratified: each has
    about the same share of every split; of several targets, the first that has classes. How many rows a fraction means
    is rounded to the nearest number.

    The random states are `numpy.random.SeedSequence(seed, spawn_key=(k,)).generate_state(1)[0]`, where k is 0 for
    the test rows, 1 for the validation rows and 2 for folds, which scikit-learn's StratifiedKFold and KFold draw: each
    training row is held out by one of them.

    Args:
        dataset: the examples.
        validation: a fraction of what remains for training; "test" for the test split itself; "folder" for the
            source's own validation set; or None for none.
        test: a fraction, at least 0 and below 1; without effect where the source has a test set.
        seed: what the choice of rows depends on; not negative.
        fold: the fold that is held out for validation, instead of what `validation` says; None for no folds.

    Raises:
        DataError: a fraction is out of range or leaves a split without rows; a class has too few examples to be in
            two splits, or in each fold; or validation names a split that there is not.
    """
    rows = np.arange(len(dataset.train), dtype=np.int64)
    test_split: Split | None = None
    if dataset.test is not None:
        test_split = Split(dataset.test, np.arange(len(dataset.test), dtype=np.int64))
    elif test != 0.0:
        rows, held_out = hold_out(dataset, rows, test, name="test", random_state=split_seed(seed, TEST_DRAW))
        test_split = Split(dataset.train, held_out)
    validation_split: Split | None = None
    if fold is not None:
        rows, held_out = hold_out_fold(dataset, rows, fold, random_state=split_seed(seed, FOLDS_DRAW))
        validation_split = Split(dataset.train, held_out)
    elif isinstance(validation, str):
        is_own = validation == VALIDATION_FOLDER
        validation_split = _own_validation(dataset) if is_own else validation_named(validation, test_split)
    elif validation is not None:
        random_state = split_seed(seed, VALIDATION_DRAW)
        rows, held_out = hold_out(dataset, rows, validation, name="validation", random_state=random_state)
        validation_split = Split(dataset.train, held_out)
    return Splits(Split(dataset.train, rows), validation_split, test_split)


def split_as_written(loaded: LoadedSpec, dataset: Dataset) -> Splits:
    """The splits that a spec asks for, where the data does not tell them. Raises DataError; see `split_dataset`."""
    spec = loaded.spec.dataset
    return split_dataset(
        dataset, validation=spec.validation, test=spec.test, seed=loaded.spec.seed, fold=spec.held_out_fold
    )


def split_seed(seed: int, draw: int) -> int:
    """The random state of a split: `draw` is TEST_DRAW, VALIDATION_DRAW or FOLDS_DRAW."""
    return int(np.random.SeedSequence(seed, spawn_key=(draw,)).generate_state(1)[0])


def _own_validation(dataset: Dataset) -> Split:
    if dataset.validation is None:
        raise DataError(
            f"`validation: folder` needs a folder `validation` beside `train`, but {dataset.origin} has none.",
            "Write a fraction such as `validation: 0.1`, or `validation: test`.",
        )
    return Split(dataset.validation, np.arange(len(dataset.validation), dtype=np.int64))


def validation_named(name: str, test_split: Split | None) -> Split:
    """The test split, as the one to validate with. Raises DataError if that is not meant, or there is none."""
    if name != "test":
        raise DataError(
            f"The validation split cannot be {name!r}: the only split it can be named after is 'test'.",
            "Write a fraction such as `validation: 0.1`, or `validation: test`.",
        )
    if test_split is None:
        raise DataError(
            "Validation is to use the test split, but there is none: the data has no test set and `test` is 0.",
            "Write a fraction for `validation`, or hold some test rows out with `test: 0.2`.",
        )
    return test_split


def held_out_count(fraction: float, examples: int, *, source: str, name: str) -> int:
    """How many of so many examples a fraction holds out as `name`.

    Raises:
        DataError: it is out of range, or leaves one side without examples.
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(
            f"The {name} split is a fraction between 0 and 1 of the examples; received {fraction}.",
            f"Write something like `{name}: 0.1`.",
        )
    count = round(fraction * examples)
    if count == 0 or count == examples:
        side = name if count == 0 else "training"
        raise DataError(
            f"`{name}: {fraction}` of {examples} examples of {source} leaves none for {side}.",
            f"Use another fraction for `{name}`, or more examples.",
        )
    return count


def hold_out(
    dataset: Dataset, rows: Indices, fraction: float, *, name: str, random_state: int
) -> tuple[Indices, Indices]:
    """Part `rows` of `dataset.train` in two, both ascending: those that stay, and the `fraction` held out as `name`.

    Raises DataError.
    """
    from sklearn.model_selection import train_test_split

    count = held_out_count(fraction, len(rows), source=dataset.source, name=name)
    labels = None
    if dataset.labels is not None:
        every, names = dataset.labels
        labels = every[rows]
        _check_classes(dataset, labels, names, count, name=name)
    kept, held_out = train_test_split(rows, test_size=count, random_state=random_state, stratify=labels)
    return np.sort(kept), np.sort(held_out)


def hold_out_fold(dataset: Dataset, rows: Indices, fold: Fold, *, random_state: int) -> tuple[Indices, Indices]:
    """Part `rows` of `dataset.train` in two: those that stay, and those of the fold; both ascend. Raises DataError."""
    from sklearn.model_selection import KFold, StratifiedKFold

    labels, divider = None, KFold
    check_folds_of(len(rows), fold, f"examples of {dataset.source} to train on")
    if dataset.labels is not None:
        every, names = dataset.labels
        labels, divider = every[rows], StratifiedKFold
        numbers, counts = np.unique(labels, return_counts=True)
        if scarce := _scarce(names, numbers, counts, fold.of):
            raise DataError(
                f"{dataset.source} cannot be divided into {fold.of} folds: each is to hold out an example of "
                f"each class at least, but {scarce}.",
                "Use fewer `folds`; or add examples of these classes, or take the classes out.",
            )
    folds = divider(fold.of, shuffle=True, random_state=random_state).split(rows, labels)
    kept, held_out = next(islice(folds, fold.number - 1, None))
    return rows[kept], rows[held_out]


def check_folds_of(count: int, fold: Fold, what: str) -> None:
    """Raises DataError if there are fewer of these things than folds."""
    if count < fold.of:
        message = f"There are {count} {what}, and {fold.of} folds: each needs one of its own at least."
        raise DataError(message, "Use fewer `folds`, or more data.")


def _scarce(names: Sequence[str], numbers: npt.NDArray[np.int32], counts: Indices, least: int) -> str:
    """The classes that have fewer examples, for a message; nothing if there are none."""
    each = [f"{names[number]} has {size}" for number, size in zip(numbers, counts, strict=True) if size < least]
    more = f" and {len(each) - _MOST_SHOWN:,} more have as few" if len(each) > _MOST_SHOWN else ""
    return ", ".join(each[:_MOST_SHOWN]) + more


def _none_held_out(name: str) -> str:
    """How a person says that no such split is held out."""
    return "write `test: 0`, and none is" if name == "test" else f"leave `{name}` out"


def _check_classes(
    dataset: Dataset, labels: npt.NDArray[np.int32], names: Sequence[str], count: int, *, name: str
) -> None:
    """Refuse what cannot be stratified: a class of one example, or a side with fewer rows than there are classes."""
    numbers, counts = np.unique(labels, return_counts=True)
    if scarce := _scarce(names, numbers, counts, 2):
        raise DataError(
            f"No {name} split can be held out of {dataset.source}: each class needs at least 2 examples for that, "
            f"but {scarce}.",
            f"Add examples of these classes or take the classes out; or {_none_held_out(name)}."
            if counts.max() > 1
            else "No value comes twice: these are no classes. Name another target; or write numbers as numbers.",
        )
    smaller = min(count, len(labels) - count)
    if smaller < len(numbers):
        raise DataError(
            f"No {name} split of {count} of {len(labels)} examples can be held out of {dataset.source}: "
            f"one side would have {smaller} for {len(numbers)} classes, and each class needs at least one on each.",
            f"Use another fraction for `{name}`, or more examples; or {_none_held_out(name)}.",
        )
