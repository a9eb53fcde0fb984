"""Many pictures at a time: looked at, decoded, or only seen to be whole, in threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array
from dlcli.data.image_decoding import Form, OtherSizeError, UnreadableError, appearance, read_picture, set_up
from dlcli.data.memory import cores
from dlcli.errors import DataError

_MOST_OF_A_PART = 64  # pictures that a thread reads before it asks for more
_PART = 0.005  # seconds for that, so that no thread is done long before the others
_PARTS = 32  # at least
_TRIED = 8  # pictures that are read to see how long one takes
_TINY = 3e-4  # seconds for one that is best read in one thread
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

    def read(path: Path, into: Array) -> None:
        read_picture(path, form, into=into, is_exact=is_exact)

    return read_each(paths, form.shape, read, form, progressed)


def read_each(
    paths: Sequence[Path],
    shape: tuple[int, ...],
    read_into: Callable[[Path, Array], object],
    form: Form,
    progressed: Callable[[str], None] = lambda text: None,
    one: str = "image",
) -> Read:
    """The pixels of many pictures or films, each decoded into its place in one array.

    Args:
        paths: the files.
        shape: of what comes of each.
        read_into: reads one into its place; raises UnreadableError or OtherSizeError.
        form: what each picture becomes.
        progressed: is told how far it is.
        one: what one of them is called.

    Raises:
        DataError: there is no permission to read a file; or one has another size.
    """
    images = empty((len(paths), *shape), np.uint8)
    unreadable = _for_each(paths, form, lambda row: read_into(paths[row], images[row]), progressed, one)
    return _without(images, unreadable)


def verify_pictures(
    paths: Sequence[Path], form: Form, progressed: Callable[[str], None], *, is_exact: bool
) -> dict[int, str]:
    """Why some pictures cannot be read, by their numbers: each is decoded, and none is kept. See `read_pictures`."""
    return _for_each(paths, form, lambda row: read_picture(paths[row], form, is_exact=is_exact), progressed)


def look_at_pictures(
    paths: Sequence[Path], form: Form, progressed: Callable[[str], None] = lambda text: None, *, is_exact: bool
) -> dict[int, str]:
    """Why some pictures cannot be read, by their numbers, as far as the headers tell. See `read_pictures`."""

    def look(row: int) -> None:
        size = appearance(paths[row]).size
        if is_exact and size != form.size:
            raise OtherSizeError(size)

    return _for_each(paths, form, look, progressed)


def _for_each(
    paths: Sequence[Path],
    form: Form,
    do: Callable[[int], object],
    progressed: Callable[[str], None],
    one: str = "image",
) -> dict[int, str]:
    """Calls `do` for the number of each; why some could not be read, by their numbers."""
    set_up()
    unreadable: dict[int, str] = {}
    others: dict[int, tuple[int, int]] = {}

    def do_part(start: int, end: int) -> None:
        for row in range(start, end):
            try:
                do(row)
            except UnreadableError as error:
                unreadable[row] = str(error)
            except OtherSizeError as error:
                others[row] = error.size

    told = time.monotonic()
    for done in in_parts(len(paths), do_part):
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            progressed(f"{done:,} of {len(paths):,} {one}s read")
    if others:
        raise _sizes_error(paths, form, others, one)
    return dict(sorted(unreadable.items()))


def in_parts(count: int, do: Callable[[int, int], object]) -> Iterator[int]:
    """Calls `do` for the pictures from one number up to another until all are done, in threads unless they are tiny.

    Gives up to which one they are begun. Five thousand of 32×32 take 0.25 s in one thread, and 0.67 s in two, which are
    busy with handing Python's lock to each other (CPython 3.11, two processors).
    """
    quickest, done = float("inf"), 0
    while done < min(count, _TRIED) and (done < 2 or quickest < _TINY):
        began = time.perf_counter()
        do(done, done + 1)
        quickest = min(quickest, time.perf_counter() - began)
        done += 1
        yield done
    part = max(1, min(_MOST_OF_A_PART, (count - done) // _PARTS, int(_PART / quickest)))
    # Six threads on two processors take a fifth longer: all wait for one that has Python's lock and no processor.
    helpers = 0 if quickest < _TINY else max(2, cores()) - 1
    work = _Work(iter(range(done, count, part)), lambda start: do(start, min(start + part, count)))
    threads = [threading.Thread(target=work.help_on, name="dlcli-images", daemon=True) for _ in range(helpers)]
    try:
        for thread in threads:
            thread.start()
        # A thread that only waited for what others have done would take a twelfth of their time: each part wakes it.
        yield from work.done()
    finally:
        work.begin_no_more()
        for thread in threads:
            thread.join()
    work.raise_first()


class _Work:
    """Parts that several threads do, each the next one that nobody has begun."""

    def __init__(self, left: Iterator[int], do: Callable[[int], object]) -> None:
        self._left, self._do = left, do
        self._errors: dict[int, Exception] = {}

    def done(self) -> Iterator[int]:
        """Do parts until none is left; gives each that this thread has done."""
        for part in self._left:
            try:
                self._do(part)
            except Exception as error:  # noqa: BLE001 - raised once all threads have ended
                self._errors[part] = error
                self.begin_no_more()
            yield part

    def help_on(self) -> None:
        """Do parts until none is left."""
        deque(self.done(), maxlen=0)

    def begin_no_more(self) -> None:
        """Let every thread end after the part that it does."""
        deque(self._left, maxlen=0)

    def raise_first(self) -> None:
        """Raise the error of the first part that has one."""
        if self._errors:
            raise self._errors[min(self._errors)]


def _without(images: Array, unreadable: dict[int, str]) -> Read:
    """The others, moved together within the array: there may be no memory for a second one."""
    rows = rows_left(len(images), unreadable)
    for place, row in enumerate(rows[min(unreadable, default=len(rows)) :], start=min(unreadable, default=0)):
        images[place] = images[row]
    return Read(images[: len(rows)], rows, unreadable)


def rows_left(count: int, unreadable: Mapping[int, str]) -> Array:
    """Which of so many pictures can be read."""
    return np.setdiff1d(np.arange(count), list(unreadable))


def _sizes_error(paths: Sequence[Path], form: Form, others: Mapping[int, tuple[int, int]], one: str) -> DataError:
    row = min(others)
    sizes = [f"{height}×{width}" for height, width in (others[row], form.size)]
    message = (
        f"The {one}s differ in size: {paths[row]} is {sizes[0]} pixels (height and width), where {sizes[1]} is that of "
        f"the first; {len(others):,} of {len(paths):,} have another."
    )
    return DataError(message, f"Say to which size all are brought, as in `size: {list(form.size)}`; `fit` says how.")


def skip_hint(source: str) -> str:
    """What a person can do about a file of a source that cannot be read."""
    return f"Replace or remove it; or write `corrupt: skip` in `{source}`, and such files are left out."


def unreadable_error(
    paths: Sequence[Path], unreadable: Mapping[int, str], hint: str | None = None, one: str = "image"
) -> DataError:
    """What is told of files that cannot be read as pictures, or films."""
    [(row, reason), *others] = unreadable.items()
    message = f"{paths[row]} is not {'an image' if one == 'image' else f'a {one}'} that can be read: {reason}."
    if others:
        told = "; ".join(f"{paths[other]}: {why}" for other, why in others[: _FEW - 1])
        more = f"; and {len(others) - _FEW + 1:,} more" if len(others) >= _FEW else ""
        message += f" Nor are {len(others):,} others: {told}{more}."
    return DataError(message, hint)
