"""Figures for each class, from true and predicted class numbers. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.dataset import Array


@dataclass(frozen=True)
class ByClass:
    """Figures for each class of one output.

    Attributes:
        classes: for each class its name, precision, recall, F1 and number of examples; empty for a regression.
        confusion: a row a true class, a column a predicted one; empty for a regression.
    """

    classes: list[dict[str, Any]]
    confusion: list[list[int]]


def by_class(truth: Array, predicted: Array, names: Sequence[str]) -> ByClass:
    """Figures for each class, from class numbers of shape (n,); what would be divided by nothing is 0.

    By hand: scikit-learn, which gives the same, takes seconds to be imported.
    """
    count = len(names)
    flat = np.bincount(truth.astype(np.int64) * count + predicted.astype(np.int64), minlength=count * count)
    confusion = flat.reshape(count, count)
    right, true, told = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall, f1 = _share(right, told), _share(right, true), _share(2 * right, true + told)
    rows = [
        {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "examples": int(n)}
        for name, p, r, f, n in zip(names, precision, recall, f1, true, strict=True)
    ]
    return ByClass(rows, confusion.tolist())


def _share(part: Array, whole: Array) -> Array:
    shares: Array = part / np.maximum(whole, 1)
    return shares
