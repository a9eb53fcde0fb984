"""How large a network to begin with, how long to train it, and what to hold out: rules of thumb, by rows and columns.

They aim at a result that is not far from the best one, for any table, rather than at the best for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.dataset import Dataset, Examples
from dlcli.data.splits import Splits, split_dataset
from dlcli.errors import DataError
from dlcli.spec.sources_folders import VALIDATION_FOLDER

SEED = 0
TEST = 0.2
_VALIDATIONS = (0.15, 0.2, 0.25)
_FEWEST_HELD_OUT = 10  # as the lint `tiny-split` has it
_FEWEST_OF_A_CLASS = 2
_FEW = 2_000  # rows to train on
_STEPS = 12_000  # of a training that is not stopped early


@dataclass(frozen=True)
class Holding:
    """What is held out of a data set.

    Attributes:
        test: the share of the test set; 0 for none.
        validation: that of the validation examples, of the rest; "folder" where they are in one; None for none.
        train: the numbers of the examples that are trained on.
        is_tiny: whether so few are held out that their score says little.
        reason: why nothing is held out, where that is so.
    """

    test: float
    validation: float | str | None
    train: np.ndarray[tuple[int], np.dtype[np.int64]]
    is_tiny: bool
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """The sizes that a first network and its training have.

    Attributes:
        layers: how many hidden layers.
        units: of each of them.
        dropout: the share of their outputs that is dropped in training.
        batch_size: examples a step.
        learning_rate: of the optimizer.
        weight_decay: what each step takes off the weights, times the learning rate; 0 for none.
        epochs: at most.
        patience: epochs without improvement before training stops.
        noise: the deviation of the noise on what goes in, which is standardized; 0 for none.
        is_annealed: whether the learning rate falls to 0 at the end of all epochs, instead of stopping early.
    """

    layers: int
    units: int
    dropout: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int
    patience: int
    noise: float = 0.0
    is_annealed: bool = False


def hold_out(
    labels: np.ndarray[Any, Any],
    classes: tuple[str, ...] | None,
    *,
    has_test_set: bool = False,
    has_validation_set: bool = False,
) -> Holding:
    """What can be held out of so many examples, with at least one of each class on each side.

    If the data `has_test_set` of its own, these are the others, and none need be held out for testing; nor for
    validation, if it `has_validation_set`.
    """
    count, floor = len(labels), max(_FEWEST_HELD_OUT, _FEWEST_OF_A_CLASS * len(classes or ()))
    share_of_test = 0.0 if has_test_set else TEST
    rest = count - round(share_of_test * count)
    validation = next((share for share in _VALIDATIONS if round(share * rest) >= floor), _VALIDATIONS[-1])
    reason = ""
    shares = (None,) if has_validation_set else (validation, None)
    for test, share in (*((share_of_test, share) for share in shares), (0.0, None)):
        try:
            splits = _splits(labels, classes, test, share)
        except DataError as error:
            reason = reason or error.message
            continue
        held_out = [round(test * count)] * bool(test) + [round((share or 0.0) * rest)] * bool(share)
        own = VALIDATION_FOLDER if has_validation_set else share
        return Holding(test, own, splits.train.indices, min(held_out, default=floor) < floor, reason)
    raise AssertionError("Without anything held out there is nothing to fail.")


def _splits(
    labels: np.ndarray[Any, Any], classes: tuple[str, ...] | None, test: float, validation: float | None
) -> Splits:
    targets = labels.astype(np.float32) if classes is None else labels
    examples = Examples(np.empty((len(labels), 0), np.float32), targets)
    dataset = Dataset("csv", "features", examples, None, classes, None, "", "")
    return split_dataset(dataset, validation=validation, test=test, seed=SEED)


def plan_for_numbers(examples: int, width: int, *, is_regression: bool) -> Plan:
    """For `examples` rows to train on, each of `width` numbers."""
    batch_size = _batch_size(examples)
    units = _power_of_two(max(16, min(256, 4 * examples**0.35)))
    few = examples / max(1, width)  # rows for each number that goes in
    dropout = 0.5 if few < 5 else 0.3 if few < 20 else 0.2 if few < 100 else 0.1
    if is_regression and few >= 20:
        dropout = 0.0  # it blurs the size of a number
    epochs = _epochs(examples, batch_size)
    if is_regression and few >= 20 and examples < _FEW:
        # A wide network that noise makes smooth differs less from seed to seed than one that is stopped by few rows.
        return Plan(2, 64, dropout, batch_size, 0.003, 0.4, epochs, _patience(epochs), noise=0.2, is_annealed=True)
    # Few rows that are easily told apart make weights, and probabilities, too large before training stops.
    rate, decay = (0.003, 0.2) if examples < _FEW else (0.003, 0.02) if examples < 20_000 else (0.001, 0.004)
    return Plan(2, units, dropout, batch_size, rate, decay, epochs, _patience(epochs))


def plan_for_texts(examples: int) -> Plan:
    """For `examples` texts to train on."""
    batch_size = min(32, _batch_size(examples))
    epochs = max(5, min(40, _epochs(examples, batch_size) // 4))
    units = 16 if examples < 10_000 else 32
    rate = 0.003 if examples < 10_000 else 0.001
    return Plan(1, units, 0.3, batch_size, rate, 0.0, epochs, max(3, epochs // 5))


def _batch_size(examples: int) -> int:
    """A power of two: small where there are few examples, so that an epoch has some steps."""
    return min(256, max(1, _power_of_two(examples / 14)), max(16, _power_of_two(examples / 100)))


def _epochs(examples: int, batch_size: int) -> int:
    steps = max(1, -(-examples // batch_size))
    rounded = round(max(10, min(200, _STEPS / steps)), -1)
    return int(rounded)


def _patience(epochs: int) -> int:
    return max(3, epochs // 8)


def _power_of_two(number: float) -> int:
    """The nearest one that is not greater, at least 1."""
    return 1 << max(0, int(number).bit_length() - 1) if number >= 1 else 1
