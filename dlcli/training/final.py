"""What the final evaluation of the best epoch leaves to whoever looks closer at it, such as a report."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from dlcli.training.job import Job

_MOST_BYTES = 256 * 2**20  # of outputs


@dataclass(frozen=True)
class Final:
    """A job at its end, with the weights of the best epoch.

    Attributes:
        job: the job.
        outputs: what the model put out for the shown split when it was evaluated, block by block; empty if no pass was
            needed then, or if they were too many to keep.
    """

    job: Job
    outputs: list[Any]


def shown_split(names: Collection[str]) -> str:
    """The split whose predictions are looked at: the one that training has seen least of."""
    return next(name for name in ("test", "validation", "train") if name in names)


def are_kept(job: Job, split: str) -> bool:
    """Whether the outputs for a split are those to keep, and few enough."""
    numbers = sum(math.prod(size or 1 for size in output.shape[1:]) for output in job.model.outputs)
    return split == shown_split(job.rows) and 4 * numbers * len(job.rows[split]) <= _MOST_BYTES
