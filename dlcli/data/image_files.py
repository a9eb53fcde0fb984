"""Pictures that stay in their files, each decoded whenever it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.image_decoding import Form
from dlcli.data.image_reading import read_pictures, skip_hint, unreadable_error
from dlcli.data.memory import available_memory, readable_bytes
from dlcli.data.stored import InFile, Read, Stored
from dlcli.errors import DataError

# TensorFlow takes the bytes as they are (on a GPU it copies them), and there must be some to train with.
_SHARE = 0.5


@dataclass(frozen=True)
class PictureFiles(Stored):
    """Pictures as an array of bytes that nobody has written.

    Attributes:
        files: that of each row.
        form: what each becomes.
    """

    files: tuple[Path, ...]
    form: Form

    @property
    def paths(self) -> tuple[Path, ...]:
        """See `Stored.paths`."""
        return self.files

    @property
    def is_sampled(self) -> bool:
        """See `Stored.is_sampled`."""
        return False

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        yield lambda first, count: self.decoded(range(first, first + count))

    def decoded(self, numbers: Sequence[int]) -> Array:
        """The rows with these numbers, in threads. Raises DataError."""
        files = [self.files[number] for number in numbers]
        read = read_pictures(files, self.form)
        if read.unreadable:
            raise unreadable_error(files, read.unreadable, skip_hint("images"))
        return read.images


class Pictures(InFile):
    """Pictures in their files as raw examples.

    Args:
        origin: the folder or the table that they are of, for messages.
        files: that of each.
        form: what each becomes.
    """

    def __init__(self, origin: Path, files: Sequence[Path], form: Form) -> None:
        shape = (len(files), *form.shape)
        self._files = PictureFiles(origin, "images", shape, np.dtype(np.uint8), tuple(files), form)
        super().__init__(self._files, shape, "uint8", lambda rows, at: rows)

    def __getitem__(self, chosen: Any) -> Array:
        """Those with these numbers, an array or a slice, in that order. Raises DataError."""
        numbers = range(*chosen.indices(len(self))) if isinstance(chosen, slice) else np.asarray(chosen).tolist()
        return self._files.decoded(numbers)


def fit_into_memory(count: int, form: Form, frames: int = 1) -> bool:
    """Whether so many pictures, or films of so many frames, take less than half of the memory that is free."""
    available = available_memory()
    return available is None or _bytes(count, form, frames) <= _SHARE * available


def _bytes(count: int, form: Form, frames: int = 1) -> int:
    return count * frames * int(np.prod(form.shape))


def told_of(count: int, form: Form) -> str:
    """For a person: that pictures stay in their files."""
    height, width = form.size
    return (
        f"{count:,} images of {height}×{width} pixels are {readable_bytes(_bytes(count, form))}, more than half of the "
        f"{readable_bytes(available_memory() or 0)} of memory that are free: they stay in their files, and are decoded "
        "again in each epoch. `cache: true` decodes them once, and keeps that on the disk; `stream: false` holds them "
        "in memory."
    )


def check_memory(count: int, form: Form, frames: int | None = None) -> None:
    """Raises DataError if so many pictures, or films of so many frames, do not fit into memory."""
    if fit_into_memory(count, form, frames or 1):
        return
    needed, available = _bytes(count, form, frames or 1), available_memory() or 0
    height, width = form.size
    factor = (_SHARE * available / needed) ** 0.5
    fitting = [max(1, int(side * factor)) for side in (height, width)]
    what, other = "images", "Leave out `stream: false`; or bring them"
    if frames is not None:
        what, other = f"films of {frames} frames", "Bring them"
    raise DataError(
        f"{count:,} {what} of {height}×{width} pixels are {readable_bytes(needed)} ({needed:,} bytes), but of the "
        f"{readable_bytes(available)} of memory that are free no more than {_SHARE:.0%} can be used for them.",
        f"{other} to a smaller size, as in `size: {fitting}`"
        + (", or to `color: grayscale`." if form.color == "rgb" else "."),
    )
