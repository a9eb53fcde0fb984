"""How much each training example counts: by the data, and by its class, where the spec gives that a weight."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlcli.data.dataset import Array, Dataset
from dlcli.data.splits import Splits
from dlcli.errors import Problem
from dlcli.spec.likeness import suggestion
from dlcli.spec.loading import LoadedSpec


def example_weights(loaded: LoadedSpec, dataset: Dataset, splits: Splits) -> Array | None:
    """The weight of every example, float32 of shape (n,): its own times that of its class; None if all count alike.

    `balanced` gives a class the weight rows / (classes × rows of the class), as scikit-learn does, of training rows.

    Raises:
        SpecError: there are no classes, or others than the spec names.
    """
    written, own = loaded.spec.train.class_weight, dataset.train.weights
    if written is None:
        return own
    path = ("train", "class_weight")
    names = dataset.class_names
    if names is None or isinstance(names, Mapping) or loaded.spec.dataset.labels == "input":
        what = "several targets" if isinstance(names, Mapping) else "no classes"
        message = f"`class_weight` weighs the classes of one target, but this data has {what}."
        raise loaded.error(Problem(message, path, "Leave it out."))
    labels = np.asarray(dataset.train.targets)
    if isinstance(written, str):
        counts = np.bincount(labels[splits.train.indices], minlength=len(names))
        weights = len(splits.train) / (len(names) * np.maximum(counts, 1))
    else:
        unknown = [name for name in written if name not in names]
        if unknown:
            message = f"There is no class `{unknown[0]}` in this data."
            raise loaded.error(Problem(message, (*path, unknown[0]), suggestion(unknown[0], names), at_key=True))
        weights = np.asarray([written.get(name, 1.0) for name in names])
    of_each: Array = weights.astype(np.float32)[labels]
    return of_each if own is None else of_each * own
