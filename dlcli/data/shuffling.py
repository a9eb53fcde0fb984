"""The order of the training examples: a pure function of seed and epoch, so that a resumed run can go on exactly."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """How rows that stay in a file are shuffled: runs of neighbours change places, then rows within windows of runs.

    An epoch reads each run once, as fast as the disk gives neighbours, and holds a window in memory. A batch is drawn
    from one window, which has runs from all over the file: as evenly as if it were drawn from all rows, but for the
    scatter of so many runs. With rows of 784 bytes a window has 342,000 rows in 1,000 runs: if the file is sorted by
    ten classes, the share of a class in a window is 0.10 ± 0.01. What fits into one window is shuffled as a whole.

    Attributes:
        run: how many neighbours stay together, by their places in the file.
        window: how many rows are shuffled among each other.
    """

    run: int
    window: int

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)


def epoch_order(indices: Array, *, seed: int, epoch: int, windows: Windows | None = None) -> Array:
    """`indices`, shape (n,), in the order of this epoch (counted from 0); another order in every epoch.

    With `windows`, they must ascend. What is in them several times comes several times.
    """
    random = np.random.default_rng([seed, epoch])
    if windows is None:
        return random.permutation(indices)
    starts = np.flatnonzero(np.diff(indices // windows.run, prepend=-1))
    lengths = np.diff(starts, append=len(indices))
    shuffled = random.permutation(len(starts))
    starts, lengths = starts[shuffled], lengths[shuffled]
    # The positions of each run after those of the one before, without a loop over runs.
    begins = np.cumsum(lengths) - lengths
    order: Array = indices[np.arange(len(indices)) + np.repeat(starts - begins, lengths)]
    for first in range(0, len(order), windows.window):
        random.shuffle(order[first : first + windows.window])
    return order
