"""A batch as the model gets it. Imports TensorFlow, unlike its neighbours."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array, Dataset, for_each, named
from dlcli.data.splits import Splits
from dlcli.spec.loading import LoadedSpec
from dlcli.training.job import fitted_preparation


def first_batch(loaded: LoadedSpec, dataset: Dataset, splits: Splits) -> dict[str, Array]:
    """The first training examples, prepared but not augmented, by input. Raises SpecError if they cannot be."""
    preparation, _ = fitted_preparation(loaded, dataset, splits)
    rows = splits.train.indices[: loaded.spec.dataset.batch_size]
    inputs = for_each(lambda array: array[rows], splits.train.examples.inputs)
    return {name: np.asarray(tensor) for name, tensor in named(preparation.apply(inputs)).items()}
