"""Whether arrays are held in memory or stay in their files, and how they are read there."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from dlcli.data.shuffling import Windows
from dlcli.data.stored import InFile
from dlcli.errors import DataError

# Held twice at times, while TensorFlow copies them.
_SHARE = 0.5
RUN_BYTES = 256 * 2**10
WINDOW_BYTES = 256 * 2**20
_GIGABYTE = 10**9


def available_memory() -> int | None:
    """How many bytes a process may still take without others having to give some up; None where no one says."""
    known = [size for size in (_of_machine(), _of_group()) if size is not None]
    return min(known, default=None)


def _of_machine() -> int | None:
    """What the system says is available; where it does not, all memory."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _of_group() -> int | None:
    """What is left of the limit of this process's control group, as containers have one (Linux, version 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))  # `max` is no number
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = next(int(line.split()[1]) for line in statistics if line.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):
        return None
    return max(0, limit - used + cached)


def fit_into_memory(rows: Collection[InFile]) -> bool:
    """Whether all these rows take less than half of the memory that is available."""
    available = available_memory()
    return available is None or sum(one.nbytes for one in rows) <= _SHARE * available


def windows_of(rows: Collection[InFile]) -> Windows:
    """How these rows, those of one example in each, are shuffled where they are."""
    together = max(one.stored.rows_together for one in rows)
    stored = sum(one.stored.row_bytes for one in rows)
    run = -(-max(1, RUN_BYTES // max(1, stored)) // together) * together
    return Windows(run, max(run, WINDOW_BYTES // max(1, sum(one.row_bytes for one in rows))))


def check_in_place(rows: Collection[InFile]) -> None:
    """See that any rows can be read. Raises DataError."""
    for one in rows:
        if one.stored.obstacle is not None:
            raise DataError(
                f"{one.stored} is {one.stored.obstacle}, so that it can only be read as a whole: "
                f"{one.nbytes / _GIGABYTE:.3g} GB, of {(available_memory() or 0) / _GIGABYTE:.3g} GB that are free.",
                one.stored.remedy,
            )


def told_of(rows: Collection[InFile]) -> str:
    """For a person: that rows stay in their file."""
    size, available = sum(one.nbytes for one in rows) / _GIGABYTE, (available_memory() or 0) / _GIGABYTE
    return (
        f"The inputs take {size:.3g} GB, more than half of the {available:.3g} GB of memory that are free: they stay "
        "in their file, and are read again in each epoch. `stream: false` holds them in memory."
    )
