"""Decoded pictures in a file of dlcli's own: made once, and read from then on instead of decoding them again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import simplejpeg
from filelock import FileLock

from dlcli.data.array_files import open_arrays
from dlcli.data.image_cache_age import described, hold, remove_outdated
from dlcli.data.image_decoding import Form
from dlcli.data.image_reading import look_at_pictures, read_pictures, skip_hint, unreadable_error
from dlcli.data.memory import readable_bytes
from dlcli.data.stored import InFile, Region
from dlcli.data.where import Where
from dlcli.errors import DataError, DlcliError
from dlcli.files import replacing, write_json
from dlcli.spec.catalogue import cache_folder

_FORMAT = 1
_BYTES_AT_ONCE = 32 * 2**20
_LEAST_AT_ONCE = 64
_ELSEWHERE = "`XDG_CACHE_HOME` in the environment names another place; without `cache: true` none is needed."


@dataclass(frozen=True)
class KeptPictures(Region):
    """Decoded pictures one behind the other in a file.

    Attributes:
        files: what they were decoded from.
    """

    files: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """See `Stored.paths`."""
        return self.files

    @property
    def is_sampled(self) -> bool:
        """See `Stored.is_sampled`."""
        return False


def kept_pictures(
    files: Sequence[Path], form: Form, where: Where, *, is_exact: bool, skips: bool
) -> tuple[InFile, dict[int, str]]:
    """Pictures that were decoded before, or now: those that can be read, and why others could not be.

    Args:
        files: those of the pictures.
        form: what each becomes.
        where: who is told what a person must know.
        is_exact: whether each must have the form's size by itself.
        skips: whether there may be some that cannot be read.

    Raises:
        DataError: a picture cannot be read; or the file cannot be written.
    """
    path = cache_folder() / f"images-{_key(files, form)}.npy"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent} cannot be made: {error.strerror}.", _ELSEWHERE) from error
    # Whoever else is about to make the same waits, and has it then.
    with FileLock(path.with_suffix(".lock")):
        unreadable = _known(path, len(files), form)
        if unreadable is None:
            unreadable = _make(path, files, form, where, is_exact=is_exact, skips=skips)
            remove_outdated(path, where)
        hold(path)
    if unreadable and not skips:
        raise unreadable_error(files, unreadable, skip_hint("images"))
    left = tuple(file for row, file in enumerate(files) if row not in unreadable)
    [found] = open_arrays([path]).values()
    stored = KeptPictures(path, "images", found.shape, found.dtype, found.offset, files=left)  # type: ignore[attr-defined]
    return InFile(stored, stored.shape, "uint8", lambda rows, at: rows), unreadable


def _key(files: Sequence[Path], form: Form) -> str:
    """What the bytes depend on: the files by their places, sizes and times, the form, and what decodes them."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((_FORMAT, form, PIL.__version__, simplejpeg.__version__)).encode())
    for file in files:
        try:
            status = file.stat()
            digest.update(repr((str(file.absolute()), status.st_size, status.st_mtime_ns)).encode())
        except OSError:
            digest.update(f"{file} is not there".encode())  # told of when it is read
    return digest.hexdigest()


def _known(path: Path, count: int, form: Form) -> dict[int, str] | None:
    """Why pictures that are in no such file cannot be read, by their numbers; None if there is no whole file."""
    try:
        recorded = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["unreadable"]
        unreadable = {int(row): str(reason) for row, reason in recorded.items()}
        [stored] = open_arrays([path]).values()
    except (OSError, ValueError, KeyError, AttributeError, DataError):
        return None
    is_whole = stored.shape == (count - len(unreadable), *form.shape) and stored.dtype == np.uint8
    return unreadable if is_whole and isinstance(stored, Region) else None


def _make(
    path: Path, files: Sequence[Path], form: Form, where: Where, *, is_exact: bool, skips: bool
) -> dict[int, str]:
    """Write the file; why pictures that are not in it cannot be read. Raises DataError."""
    for left in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):
        with suppress(OSError):
            left.unlink()  # of one who was killed: nobody else is here
    if is_exact:
        look_at_pictures(files, form, is_exact=True)
    row_bytes = int(np.prod(form.shape))
    size, free = len(files) * row_bytes, shutil.disk_usage(path.parent).free
    if size > free:
        message = f"The decoded images take {readable_bytes(size)}, but {path.parent} has {readable_bytes(free)} free."
        raise DataError(message, _ELSEWHERE)
    unreadable: dict[int, str] = {}
    at_once = max(_LEAST_AT_ONCE, _BYTES_AT_ONCE // row_bytes)
    try:
        with replacing(path) as beside, beside.open("wb") as file:
            _write_header(file, len(files), form)
            for first in range(0, len(files), at_once):
                read = read_pictures(files[first : first + at_once], form)
                file.write(read.images.data)
                unreadable.update({first + row: reason for row, reason in read.unreadable.items()})
                where.progressed(f"{min(first + at_once, len(files)):,} of {len(files):,} images decoded")
            if unreadable and (not skips or len(unreadable) == len(files)):
                raise unreadable_error(files, unreadable, skip_hint("images") if not skips else "No image is left.")
            file.seek(0)
            _write_header(file, len(files) - len(unreadable), form)  # as long as before: NumPy leaves room in it
            file.flush()
            write_json(path.with_suffix(".json"), _record(files, form, unreadable))
    except DataError:
        raise
    except DlcliError as error:
        raise DataError(error.message, _ELSEWHERE) from error
    where.notify(
        f"The decoded images are kept in {path} ({readable_bytes(path.stat().st_size)}), and read from there from now "
        "on. When no training needs it, it can be removed."
    )
    return unreadable


def _write_header(file: Any, count: int, form: Form) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *form.shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _record(files: Sequence[Path], form: Form, unreadable: Mapping[int, str]) -> dict[str, Any]:
    """For a person who finds the file: what it is of; and for the next time: what could not be read, or has changed."""
    return {
        "first": str(files[0].absolute()),
        **described(files),
        "images": len(files),
        "size": list(form.size),
        "color": form.color,
        "fit": form.fit,
        "unreadable": {str(row): reason for row, reason in unreadable.items()},
    }
