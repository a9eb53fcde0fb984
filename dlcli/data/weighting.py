"""How much each training example counts: by the data, and by its class, where the spec gives that a weight."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array, Dataset
from dlcli.data.oversampling import by_class, only_classes, oversampling_of
from dlcli.data.splits import Splits
from dlcli.spec.loading import LoadedSpec


def example_weights(loaded: LoadedSpec, dataset: Dataset, splits: Splits) -> Array | None:
    """The weight of every example, float32 of shape (n,): its own times that of its class; None if all count alike.

    `balanced` gives a class the weight rows / (classes × rows of the class), as scikit-learn does, of the training
    rows as they come in an epoch: those of an oversampled class as often as they do.

    Raises:
        SpecError: there are no classes, or others than the spec names.
    """
    written, own = loaded.spec.train.class_weight, dataset.train.weights
    if written is None:
        return own
    path = ("train", "class_weight")
    names = only_classes(loaded, dataset, path, "weighs")
    labels = np.asarray(dataset.train.targets)
    if isinstance(written, str):
        oversampling = oversampling_of(loaded, dataset)
        rows = splits.train.indices
        counts = oversampling.counts(rows) if oversampling is not None else np.bincount(labels[rows])
        counts = np.pad(counts, (0, len(names) - len(counts)))
        weights = counts.sum() / (len(names) * np.maximum(counts, 1))
    else:
        weights = by_class(loaded, written, names, path)
    of_each: Array = weights.astype(np.float32)[labels]
    return of_each if own is None else of_each * own
