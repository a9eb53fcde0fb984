"""How many examples each split has and how many steps a run takes, told from the spec alone.

The arithmetic is that of `dlcli.data.splits` and `dlcli.training.engine.steps_of`; a test holds them together.
"""

from __future__ import annotations

from typing import NamedTuple

from dlcli.spec.grammar import DatasetSpec, TrainSpec
from dlcli.spec.held_out import Fold


class SplitSizes(NamedTuple):
    """How many examples are for training, validation and test; 0 where there is no such split."""

    train: int
    validation: int
    test: int


def split_sizes(dataset: DatasetSpec) -> SplitSizes | None:
    """The sizes of the splits; None if the source's number of examples is known only with the data."""
    if dataset.source.split_sizes is not None:
        return SplitSizes(*dataset.source.split_sizes)
    known = dataset.source.examples
    if known is None:
        return None
    train, test = known
    if test == 0:
        test = round(dataset.test * train)
        train -= test
    if dataset.held_out_fold is not None:
        validation = held_out_size(train, dataset.held_out_fold)
        return SplitSizes(train - validation, validation, test)
    if isinstance(dataset.validation, float):
        validation = round(dataset.validation * train)
        return SplitSizes(train - validation, validation, test)
    return SplitSizes(train, test if dataset.validation == "test" else 0, test)


def held_out_size(examples: int, fold: Fold) -> int:
    """How many of so many training examples a fold holds out, where they are drawn: the first folds have one more."""
    return examples // fold.of + (fold.number <= examples % fold.of)


def training_examples(dataset: DatasetSpec) -> int | None:
    """How many examples are trained on, after what is held out; None if that is known only with the data."""
    sizes = split_sizes(dataset)
    return None if sizes is None else sizes.train


def steps_per_epoch(dataset: DatasetSpec, train: TrainSpec) -> int | None:
    """How many batches an epoch has, the last of which may be smaller; None if that is known only with the data."""
    examples = training_examples(dataset) if train.oversample is None else None
    return None if examples is None else -(-examples // dataset.batch_size)


def steps_of_run(dataset: DatasetSpec, train: TrainSpec) -> int | None:
    """How many steps the whole run takes; None if that is known only with the data."""
    steps = steps_per_epoch(dataset, train)
    return None if steps is None else steps * train.epochs
