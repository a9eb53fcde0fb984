"""How many examples each split has and how many steps a run takes, told from the spec alone.

The arithmetic is that of `dlcli.data.splits` and `dlcli.training.engine.steps_of`; a test holds them together.
"""

from __future__ import annotations

from typing import NamedTuple

from dlcli.spec.grammar import DatasetSpec, TrainSpec
from dlcli.spec.sources_images import VALIDATION_FOLDER


class SplitSizes(NamedTuple):
    """How many examples are for training, validation and test; 0 where there is no such split."""

    train: int
    validation: int
    test: int


def split_sizes(dataset: DatasetSpec) -> SplitSizes | None:
    """The sizes of the splits; None if the source's number of examples is known only with the data."""
    known = dataset.source.examples
    if known is None:
        return None
    train, test = known
    if test == 0:
        test = round(dataset.test * train)
        train -= test
    if isinstance(dataset.validation, float):
        validation = round(dataset.validation * train)
        return SplitSizes(train - validation, validation, test)
    held_out = {"test": test, VALIDATION_FOLDER: dataset.source.held_out}
    return SplitSizes(train, held_out.get(dataset.validation or "", 0), test)


def training_examples(dataset: DatasetSpec) -> int | None:
    """How many examples are trained on, after what is held out; None if that is known only with the data."""
    sizes = split_sizes(dataset)
    return None if sizes is None else sizes.train


def steps_per_epoch(dataset: DatasetSpec) -> int | None:
    """How many batches an epoch has, the last of which may be smaller; None if that is known only with the data."""
    examples = training_examples(dataset)
    return None if examples is None else -(-examples // dataset.batch_size)


def steps_of_run(dataset: DatasetSpec, train: TrainSpec) -> int | None:
    """How many steps the whole run takes; None if that is known only with the data."""
    steps = steps_per_epoch(dataset)
    return None if steps is None else steps * train.epochs
