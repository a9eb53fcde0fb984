"""The digest that tells whether data changed between two runs; comparing it is up to the run and the checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from dlcli.data.dataset import Array, Examples, named
from dlcli.data.stored import InFile

SAMPLED = "sampled-"
_DIGITS = 32
_ROWS_OF_SAMPLE = 1024
_BYTES_OF_SAMPLE = 16 * 2**20


def fingerprint_of(train: Examples, *others: Examples | None) -> str:
    """The SHA-256 digest (FIPS 180-4; its first 32 hexadecimal digits) of the raw bytes of all inputs and targets.

    The order is: training inputs, training targets, then the test set's where there is one
    (and those of a validation set of its own). Contiguous arrays, which
    is what every source here makes, are read in place and not copied. Shapes and types are not part of it.

    Of arrays that stay in files, which may have many gigabytes, it has the shape and type, the file's size and time of
    change, and the bytes of about a thousand rows; of pictures the sizes and times of all files. It then begins with
    "sampled-". Of rows that dlcli itself has written into a temporary file it has the digest of that.
    """
    digest = hashlib.sha256()  # processors have instructions for it: two to three times as fast as BLAKE2b
    is_sampled = False
    for examples in (train, *others):
        if examples is not None:
            weights = () if examples.weights is None else (examples.weights,)
            for array in (*named(examples.inputs).values(), *named(examples.targets).values(), *weights):
                if isinstance(array, InFile) and array.stored.digest is not None:
                    digest.update(array.stored.digest.encode())
                    continue
                if isinstance(array, InFile):
                    array, is_sampled = _sample(array, digest.update), True
                digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return f"{SAMPLED if is_sampled else ''}{digest.hexdigest()[:_DIGITS]}"


def have_changed(then: str, now: str) -> bool:
    """Whether two fingerprints are of different data; one that is sampled tells nothing of one that is not."""
    return then != now and then.startswith(SAMPLED) == now.startswith(SAMPLED)


def _sample(rows: InFile, update: Callable[[bytes], object]) -> Array:
    """Rows from all over an array in a file, once what is known without reading is part of the digest."""
    for path in rows.stored.paths:
        status = path.stat()
        update(repr((rows.shape, rows.dtype.str, rows.stored.dtype.str, status.st_size, status.st_mtime_ns)).encode())
    if not rows.stored.is_sampled:
        return rows[:0]
    count = max(1, min(_ROWS_OF_SAMPLE, _BYTES_OF_SAMPLE // max(1, rows.row_bytes), len(rows)))
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
