"""The digest that tells whether data changed between two runs; comparing it is up to the run and the checkpoint."""

from __future__ import annotations

import hashlib

import numpy as np

from dlcli.data.dataset import Examples, named


def fingerprint_of(train: Examples, *others: Examples | None) -> str:
    """The BLAKE2b digest (RFC 7693; 16 bytes, as 32 hexadecimal digits) of the raw bytes of all inputs and targets.

    The order is: training inputs, training targets, then the test set's where there is one
    (and those of a validation set of its own). Contiguous arrays, which
    is what every source here makes, are read in place and not copied. Shapes and types are not part of it.
    """
    digest = hashlib.blake2b(digest_size=16)
    for examples in (train, *others):
        if examples is not None:
            for array in (*named(examples.inputs).values(), *named(examples.targets).values()):
                digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
