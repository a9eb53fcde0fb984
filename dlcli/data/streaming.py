"""Whether arrays are held in memory or stay in their files, and how they are read there."""

from __future__ import annotations

from collections.abc import Collection

from dlcli.data.memory import available_memory
from dlcli.data.shuffling import Windows
from dlcli.data.stored import InFile
from dlcli.errors import DataError

# Held twice at times, while TensorFlow copies them.
_SHARE = 0.5
RUN_BYTES = 256 * 2**10
WINDOW_BYTES = 256 * 2**20
_GIGABYTE = 10**9


def fit_into_memory(rows: Collection[InFile]) -> bool:
    """Whether all these rows take less than half of the memory that is available."""
    return fits_into_memory(sum(one.nbytes for one in rows))


def fits_into_memory(size: int) -> bool:
    """Whether so many bytes are less than half of the memory that is available."""
    available = available_memory()
    return available is None or size <= _SHARE * available


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
    return too_large("The inputs take", sum(one.nbytes for one in rows), "they stay in their file, and")


def too_large(what: str, size: int, consequence: str) -> str:
    """For a person: that so many bytes of something are not held in memory, and what follows."""
    available = (available_memory() or 0) / _GIGABYTE
    return (
        f"{what} {size / _GIGABYTE:.3g} GB, more than half of the {available:.3g} GB of memory that are free: "
        f"{consequence} are read again in each epoch. `stream: false` holds them in memory."
    )
