"""Examples that are there twice: within a split, or in the training set and in what it is judged by."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.data.splits import Split, Splits

_MOST_ROWS, _MOST_BYTES = 4096, 64 * 2**20  # at a time


@dataclass(frozen=True)
class Shared:
    """Two splits, and how many examples of the second have inputs that are in the first as well, bit for bit."""

    first: str
    second: str
    count: int


@dataclass(frozen=True)
class Repeats:
    """What is there more than once.

    Attributes:
        within: for each split, how many examples repeat the inputs of an earlier one of it.
        shared: for each two splits of different examples, what they share.
    """

    within: dict[str, int]
    shared: tuple[Shared, ...]


def find_repeats(splits: Splits) -> Repeats:
    """Compare the inputs of all examples, by a digest of their bytes (BLAKE2b, 16 bytes)."""
    digests = {name: _digests(splits.named(name)) for name in splits.names}
    within = {name: len(some) - len(set(some)) for name, some in digests.items()}
    shared = []
    for first, second in combinations(splits.names, 2):
        if splits.named(first) is splits.named(second):
            continue  # `validation: test`
        known = set(digests[first])
        count = sum(number for digest, number in Counter(digests[second]).items() if digest in known)
        shared.append(Shared(first, second, count))
    return Repeats(within, tuple(shared))


def rows_at_a_time(*arrays: Array) -> int:
    """How many rows are looked at together: those of arrays in files are read for that."""
    row_bytes = sum(math.prod(array.shape[1:]) * array.dtype.itemsize for array in arrays)
    return max(1, min(_MOST_ROWS, _MOST_BYTES // max(1, row_bytes)))


def _digests(split: Split) -> list[bytes]:
    arrays = list(named(split.examples.inputs).values())
    made: list[bytes] = []
    size = rows_at_a_time(*arrays)
    for start in range(0, len(split), size):
        rows = split.indices[start : start + size]
        parts = [np.ascontiguousarray(array[rows]).reshape(len(rows), -1).view(np.uint8) for array in arrays]
        block = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        made += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block]
    return made
