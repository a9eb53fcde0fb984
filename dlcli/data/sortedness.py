"""Whether examples are in an order of what is true of them, such as one class after the other."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array


def sortedness(targets: Array) -> float | None:
    """How much each target is like the one before it.

    Args:
        targets: class numbers, whole, of shape (n,); or numbers, of shape (n,).

    Returns:
        Of classes, how much oftener than by chance a class follows itself; of numbers, the correlation with the number
        before. About 0 by chance, and 1 where they are sorted. None where that cannot be told.
    """
    if targets.ndim != 1 or len(targets) < 3 or targets.dtype.kind not in "iuf":
        return None
    before, after = targets[:-1], targets[1:]
    if targets.dtype.kind == "f":
        if not (np.std(before) > 0 and np.std(after) > 0):
            return None
        return float(np.corrcoef(before, after)[0, 1])
    shares = np.unique(targets, return_counts=True)[1] / len(targets)
    by_chance = float(np.sum(shares**2))
    return (float(np.mean(before == after)) - by_chance) / (1 - by_chance) if by_chance < 1 else None
