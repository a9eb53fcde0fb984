"""Splitting: proportions, determinism, no copies, and what cannot be split."""

from __future__ import annotations

import numpy as np
import pytest

from dlcli.data.dataset import Dataset, Examples
from dlcli.data.sources import load_dataset
from dlcli.data.splits import split_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar


def dataset_of(counts: list[int], *, test: Examples | None = None, regression: bool = False) -> Dataset:
    """A table whose classes have these many members, in mixed order; each row holds its own number."""
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    inputs = np.arange(len(targets), dtype=np.float32)[:, None]
    return Dataset(
        source="table",
        kind="table",
        train=Examples(inputs, targets.astype(np.float32) if regression else targets),
        test=test,
        class_names=None if regression else tuple("abcdefghij"[: len(counts)]),
        feature_names=("x",),
        origin="made for a test",
        fingerprint="",
    )


def test_every_row_is_in_exactly_one_split() -> None:
    splits = split_dataset(dataset_of([60, 40]), validation=0.2, test=0.1, seed=3)
    assert splits.validation is not None
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (72, 18, 10)
    parts = [splits.train.indices, splits.validation.indices, splits.test.indices]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


def test_classes_keep_their_proportions() -> None:
    dataset = dataset_of([700, 200, 100])
    splits = split_dataset(dataset, validation=0.25, test=0.2, seed=0)
    for name in splits.names:
        targets = dataset.train.targets[splits.named(name).indices]
        np.testing.assert_allclose(np.bincount(targets) / len(targets), [0.7, 0.2, 0.1], atol=0.005)


def test_regression_is_split_at_random() -> None:
    dataset = dataset_of([1] * 10 * 5, regression=True)
    splits = split_dataset(dataset, validation=0.2, test=0.2, seed=0)
    assert splits.test is not None
    assert len(splits.test) == 10
    assert splits.test.indices.tolist() != list(range(10))


def test_same_seed_same_rows() -> None:
    dataset = dataset_of([60, 40])
    one, same, other = (split_dataset(dataset, validation=0.2, test=0.2, seed=seed) for seed in (5, 5, 6))
    for name in one.names:
        np.testing.assert_array_equal(one.named(name).indices, same.named(name).indices)
        assert not np.array_equal(one.named(name).indices, other.named(name).indices)


def test_test_rows_do_not_depend_on_validation() -> None:
    dataset = dataset_of([60, 40])
    tests = [split_dataset(dataset, validation=part, test=0.2, seed=0).named("test") for part in (None, 0.1, 0.5)]
    for test in tests[1:]:
        np.testing.assert_array_equal(test.indices, tests[0].indices)


def test_examples_are_never_copied() -> None:
    dataset = dataset_of([60, 40])
    splits = split_dataset(dataset, validation=0.2, test=0.2, seed=0)
    for name in splits.names:
        assert np.shares_memory(splits.named(name).examples.inputs, dataset.train.inputs)
        assert splits.named(name).examples is dataset.train


def test_own_test_set_is_used_whole() -> None:
    own = Examples(np.zeros((7, 1), np.float32), np.zeros(7, np.int32))
    splits = split_dataset(dataset_of([60, 40], test=own), validation=None, test=0.5, seed=0)
    assert splits.test is not None
    assert splits.test.examples is own
    assert splits.test.indices.tolist() == list(range(7))
    assert len(splits.train) == 100
    assert splits.names == ("train", "test")


def test_validation_may_be_the_test_split() -> None:
    splits = split_dataset(dataset_of([60, 40]), validation="test", test=0.2, seed=0)
    assert splits.validation is splits.test
    assert len(splits.train) == 80


def test_four_points_of_xor() -> None:
    xor = load_dataset(grammar.Xor())
    splits = split_dataset(xor, validation=None, test=0.2, seed=0)
    assert len(splits.train) == len(splits.named("test")) == 4
    with pytest.raises(DataError, match=r"No validation split of 1 of 4 examples .* 1 for 2 classes"):
        split_dataset(xor, validation=0.25, test=0.2, seed=0)


def test_missing_split_is_named_with_those_that_are_there() -> None:
    splits = split_dataset(dataset_of([60, 40]), validation=0.1, test=0.0, seed=0)
    with pytest.raises(DataError, match="no split 'test'; this data set has train, validation"):
        splits.named("test")
    with pytest.raises(DataError, match="no split 'names'"):
        splits.named("names")


@pytest.mark.parametrize(
    ("counts", "validation", "test", "message"),
    [
        ([60, 40], "test", 0.0, "there is none"),
        ([60, 40], "train", 0.2, "cannot be 'train'"),
        ([60, 40], 1.0, 0.2, "between 0 and 1 .* received 1.0"),
        ([60, 40], 0.0, 0.2, "between 0 and 1 .* received 0.0"),
        ([60, 40], None, -0.1, "received -0.1"),
        ([60, 40], None, float("nan"), "received nan"),
        ([60, 40], 0.001, 0.0, "leaves none for validation"),
        ([60, 40], 0.999, 0.0, "leaves none for training"),
        ([60, 1, 40], 0.1, 0.0, "at least 2 examples for that, but b has 1"),
        ([20, 20, 20], 0.02, 0.0, "1 for 3 classes"),
    ],
)
def test_what_cannot_be_split(counts: list[int], validation: float | str | None, test: float, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        split_dataset(dataset_of(counts), validation=validation, test=test, seed=0)
    assert caught.value.hint
