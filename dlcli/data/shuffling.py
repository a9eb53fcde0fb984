"""The order of the training examples: a pure function of seed and epoch, so that a resumed run can go on exactly."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array


def epoch_order(indices: Array, *, seed: int, epoch: int) -> Array:
    """`indices`, shape (n,), in the order of this epoch (counted from 0); another order in every epoch."""
    return np.random.default_rng([seed, epoch]).permutation(indices)
