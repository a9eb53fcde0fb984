"""Reads pictures as in training, many at a time, into one array of bytes; what that takes is kept with the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.class_folders import Sought, files_below
from dlcli.data.dataset import Array, ClassNames
from dlcli.data.image_decoding import SUFFIXES, Form, OtherSizeError, UnreadableError, read_picture, set_up
from dlcli.data.memory import available_memory, readable_bytes
from dlcli.errors import DataError
from dlcli.spec.source import INPUT, InputFacts

PICTURES = Sought(
    SUFFIXES,
    "image",
    "images",
    "; or name their classes in a table, as in `images: {path: labels.csv, target: class}`",
)
"""the files that are taken for pictures"""
_MOST_OF_A_PART = 64  # pictures that a thread reads before it asks for more
_PARTS = 32  # at least, so that no thread is done long before the others
# TensorFlow takes the bytes as they are (on a GPU it copies them), and there must be some to train with.
_SHARE = 0.5
_SECONDS = 5.0  # between two lines that say how far it is
_FEW = 10


@dataclass(frozen=True)
class Read:
    """What came of reading files.

    Attributes:
        images: those that could be read, uint8 of shape (n, height, width) or (n, height, width, 3).
        rows: which they are.
        unreadable: why others could not be, by their numbers.
    """

    images: Array
    rows: Array
    unreadable: dict[int, str]


@dataclass(frozen=True)
class ImageReader:
    """Makes bytes of pictures as in training.

    Attributes:
        form: what every picture becomes.
        classes: the classes in the order of their numbers; None for a regression.
        is_text: whether the classes in a table are texts as written.
    """

    form: Form
    classes: ClassNames
    is_text: bool

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of the input."""
        return {INPUT: InputFacts("images", self.form.shape)}

    def reads(self, path: Path) -> bool:
        """Whether this is not an array, which may hold pixels as well."""
        return path.suffix.lower() not in (".npy", ".npz")

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[Array, list[str]]:
        """The pictures, and all those in folders, with a name for each. Raises DataError."""
        files: list[Path] = []
        names: list[str] = []
        for path in paths:
            if path.is_dir():
                below = files_below(path, PICTURES)
                if not below:
                    raise DataError(f"{path} has no images.", f"These are: {', '.join(SUFFIXES)}.")
                files += below
                names += [str(each.relative_to(path)) for each in below]
            elif not path.exists():
                raise DataError(f"There is no file {path}.")
            else:
                files.append(path)
                names.append(path.name)
        check_memory(len(files), self.form)
        read = read_pictures(files, self.form)
        if read.unreadable:
            raise unreadable_error(files, read.unreadable)
        return read.images, names

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        form = {"size": list(self.form.size), "color": self.form.color, "fit": self.form.fit}
        classes = None if self.classes is None else list(self.classes)
        return {"kind": "images", **form, "classes": classes, "is_text": self.is_text}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ImageReader:
        """The reader that `state` described."""
        height, width = state["size"]
        classes = None if state["classes"] is None else tuple(state["classes"])
        return cls(Form((height, width), state["color"], state["fit"]), classes, state["is_text"])


def read_pictures(
    paths: Sequence[Path],
    form: Form,
    progressed: Callable[[str], None] = lambda text: None,
    *,
    is_exact: bool = False,
) -> Read:
    """The pixels of many pictures, each decoded into its place in one array.

    Args:
        paths: the files.
        form: what each becomes.
        progressed: is told how far it is.
        is_exact: whether each must have the form's size by itself.

    Raises:
        DataError: there is no permission to read a file; or one has another size.
    """
    set_up()
    images = empty((len(paths), *form.shape), np.uint8)
    unreadable: dict[int, str] = {}
    others: dict[int, tuple[int, int]] = {}

    def read(start: int, end: int) -> None:
        for row in range(start, end):
            try:
                images[row] = read_picture(paths[row], form, is_exact=is_exact)
            except UnreadableError as error:
                unreadable[row] = str(error)
            except OtherSizeError as error:
                others[row] = error.size

    told = time.monotonic()
    for done in in_parts(len(paths), read):
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            progressed(f"{done:,} of {len(paths):,} images read")
    if others:
        raise _sizes_error(paths, form, others)
    return _without(images, dict(sorted(unreadable.items())))


def _without(images: Array, unreadable: dict[int, str]) -> Read:
    """The others, moved together within the array: there may be no memory for a second one."""
    rows = np.setdiff1d(np.arange(len(images)), list(unreadable))
    for place, row in enumerate(rows[min(unreadable, default=len(rows)) :], start=min(unreadable, default=0)):
        images[place] = images[row]
    return Read(images[: len(rows)], rows, unreadable)


def _sizes_error(paths: Sequence[Path], form: Form, others: Mapping[int, tuple[int, int]]) -> DataError:
    row = min(others)
    sizes = [f"{height}×{width}" for height, width in (others[row], form.size)]
    message = (
        f"The images differ in size: {paths[row]} is {sizes[0]} pixels (height and width), where {sizes[1]} is that of "
        f"the first; {len(others):,} of {len(paths):,} have another."
    )
    return DataError(message, f"Say to which size all are brought, as in `size: {list(form.size)}`; `fit` says how.")


def in_parts(count: int, do: Callable[[int, int], object]) -> Iterator[int]:
    """Calls `do` for the pictures from one number up to another, in threads, until all are done; how many are."""
    pool = ThreadPoolExecutor(thread_name_prefix="dlcli-images")
    part = max(1, min(_MOST_OF_A_PART, count // _PARTS))
    try:
        ends = [min(start + part, count) for start in range(0, count, part)]
        for end, _ in zip(ends, pool.map(do, range(0, count, part), ends), strict=True):
            yield end
    finally:
        pool.shutdown(cancel_futures=True)


def check_memory(count: int, form: Form) -> None:
    """Raises DataError if so many pictures do not fit into memory."""
    needed, available = count * int(np.prod(form.shape)), available_memory()
    if available is None or needed <= _SHARE * available:
        return
    height, width = form.size
    factor = (_SHARE * available / needed) ** 0.5
    fitting = [max(1, int(side * factor)) for side in (height, width)]
    raise DataError(
        f"{count:,} images of {height}×{width} pixels are {readable_bytes(needed)} ({needed:,} bytes), but of the "
        f"{readable_bytes(available)} of memory that are free no more than {_SHARE:.0%} can be used for them.",
        f"Bring them to a smaller size, as in `size: {fitting}`"
        + (", or to `color: grayscale`." if form.color == "rgb" else "."),
    )


def unreadable_error(paths: Sequence[Path], unreadable: Mapping[int, str], hint: str | None = None) -> DataError:
    """What is told of files that cannot be read as pictures."""
    [(row, reason), *others] = unreadable.items()
    message = f"{paths[row]} is not an image that can be read: {reason}."
    if others:
        told = "; ".join(f"{paths[other]}: {why}" for other, why in others[: _FEW - 1])
        more = f"; and {len(others) - _FEW + 1:,} more" if len(others) >= _FEW else ""
        message += f" Nor are {len(others):,} others: {told}{more}."
    return DataError(message, hint)
