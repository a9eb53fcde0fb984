"""The small data sets that come inside scikit-learn: digits, iris, wine, breast_cancer, diabetes. They need no file."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.data.dataset import Dataset, Examples
from dlcli.data.fingerprint import fingerprint_of
from dlcli.errors import DlcliError
from dlcli.spec.source import Source
from dlcli.spec.sources import Diabetes, Digits

ORIGIN = "embedded in scikit-learn"


def load_embedded(source: Source) -> Dataset:
    """Load one of the embedded sets; they have no test set of their own.

    Returns:
        Inputs of shape (1797, 8, 8), bytes, for digits; of shape (rows, columns), float32, for the tables. Targets
        are int32 class numbers, for diabetes float32 (the progression of the disease, 25 to 346).

    Raises:
        DlcliError: `source` is not an embedded set.
    """
    from sklearn import datasets

    match source.name:
        case "digits":
            bunch = datasets.load_digits()
        case "iris":
            bunch = datasets.load_iris()
        case "wine":
            bunch = datasets.load_wine()
        case "breast_cancer":
            bunch = datasets.load_breast_cancer()
        case "diabetes":
            bunch = datasets.load_diabetes(scaled=False)
        case _:
            raise DlcliError(f"{source.name} is not a data set that is embedded in scikit-learn.")
    return _dataset(source, bunch)


def _dataset(source: Source, bunch: Any) -> Dataset:
    """What scikit-learn's `bunch` holds, in dlcli's types."""
    if isinstance(source, Digits):
        inputs = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    else:
        inputs = np.ascontiguousarray(bunch.data, dtype=np.float32)
    regression = isinstance(source, Diabetes)
    train = Examples(inputs, bunch.target.astype(np.float32 if regression else np.int32))
    return Dataset(
        source=source.name,
        kind=source.kind,
        train=train,
        test=None,
        class_names=None if regression else tuple(str(name) for name in bunch.target_names),
        feature_names=tuple(str(name) for name in bunch.feature_names) if source.kind == "table" else None,
        origin=ORIGIN,
        fingerprint=fingerprint_of(train, None),
    )
