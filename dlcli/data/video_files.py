"""Films: folders of numbered frames, animated GIFs, and arrays; where they are, and some of their frames as bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.class_folders import Sought, entries_of, is_folder
from dlcli.data.dataset import Array
from dlcli.data.image_decoding import (
    SUFFIXES,
    Appearance,
    Form,
    UnreadableError,
    appearance,
    form_pixels,
    frame_count,
    frames_appearance,
    read_frames,
    read_picture,
)
from dlcli.errors import DataError

FILM_SUFFIXES = (".gif", ".npy")
_FRAME_SUFFIXES = tuple(suffix for suffix in SUFFIXES if suffix not in FILM_SUFFIXES)
_NO_FRAMES = f"it has no frames ({', '.join(_FRAME_SUFFIXES)})"


@dataclass(frozen=True)
class FilmForm:
    """What every film becomes: so many frames of one form."""

    frames: int
    form: Form

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its bytes: frames, height, width and colours."""
        height, width = self.form.size
        return (self.frames, height, width, 1 if self.form.color == "grayscale" else 3)


def films_below(folder: Path, left_out: list[Path] | None = None) -> list[Path]:
    """The films in a folder and the folders in it, in the order of their names; a folder that has pictures is one.

    Args:
        folder: the folder; links are followed.
        left_out: is given what is none by its name.

    Raises:
        DataError: a folder cannot be read, or is in itself.
    """
    found: list[Path] = []
    _walk(folder, found, [] if left_out is None else left_out, frozenset())
    return found


def _walk(folder: Path, found: list[Path], left_out: list[Path], above: frozenset[tuple[int, int]]) -> None:
    entries, status = entries_of(folder), folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        message = f"{folder} is a link to a folder that it is in itself: whoever follows it never comes to an end."
        raise DataError(message, "Remove the link.")
    is_film = any(_is_frame(entry) for entry in entries)
    if is_film or (above and not any(is_folder(entry) or _is_whole(entry) for entry in entries)):
        found.append(folder)  # one without frames is told when it is read
        left_out += [Path(entry.path) for entry in entries if not _is_frame(entry)]
        return
    for entry in entries:
        path = Path(entry.path)
        if is_folder(entry):
            _walk(path, found, left_out, above | {here})
        else:
            (found if path.suffix.lower() in FILM_SUFFIXES else left_out).append(path)


def _is_frame(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(_FRAME_SUFFIXES) and not is_folder(entry)


def _is_whole(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(FILM_SUFFIXES)


FILMS = Sought("film", "folders of frames, .gif, .npy", films_below)


def _in_natural_order(path: Path) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if number % 2 else (0, part) for number, part in enumerate(parts)]


def _frame_files(folder: Path) -> list[Path]:
    return sorted((Path(entry.path) for entry in entries_of(folder) if _is_frame(entry)), key=_in_natural_order)


def taken(wanted: int) -> Callable[[int], list[int]]:
    """Which frames are taken of how many there are: evenly spaced ones; or all, and the last again and again."""

    def choose(count: int) -> list[int]:
        if count < wanted:
            return [min(number, count - 1) for number in range(wanted)]
        return [int(number) for number in np.linspace(0, count - 1, wanted).round()]

    return choose


def frames_in(path: Path) -> int:
    """How many frames a film has. Raises UnreadableError, or DataError without permission."""
    if path.is_dir():
        return len(_frame_files(path))
    return len(_array(path)) if path.suffix.lower() == ".npy" else frame_count(path)


def film_appearance(path: Path, frames: int) -> Appearance:
    """The size of a film's frames, and whether those that are taken have no colours.

    Raises:
        UnreadableError: it is no film, or damaged.
        DataError: there is no permission to read it.
    """
    choose = taken(frames)
    if path.is_dir():
        files = _frame_files(path)
        if not files:
            raise UnreadableError(_NO_FRAMES)
        found = [_of_frame(files[number], appearance) for number in dict.fromkeys(choose(len(files)))]
        return Appearance(found[0].size, all(one.is_grey for one in found))
    if path.suffix.lower() == ".npy":
        array = _array(path)
        some = array[choose(len(array))]
        is_grey = some.shape[-1] == 1 or bool((some[..., :3] == some[..., :1]).all())
        return Appearance((int(array.shape[1]), int(array.shape[2])), is_grey)
    return frames_appearance(path, choose)


def read_film(path: Path, wanted: FilmForm, *, is_exact: bool = False) -> Array:
    """The frames that are taken of a film, uint8 of shape `wanted.shape`.

    Raises:
        UnreadableError: it is no film, or damaged.
        OtherSizeError: its frames have another size, and must not.
        DataError: there is no permission to read it.
    """
    choose, form = taken(wanted.frames), wanted.form
    if path.is_dir():
        files = _frame_files(path)

        def frame(file: Path) -> Array:
            return read_picture(file, form, is_exact=is_exact)

        numbers = choose(len(files)) if files else []
        pixels = [_of_frame(files[number], frame) for number in numbers]
    elif path.suffix.lower() == ".npy":
        array = _array(path)
        pixels = [form_pixels(_without_one(array[number]), form, is_exact=is_exact) for number in choose(len(array))]
    else:
        pixels = list(read_frames(path, form, choose, is_exact=is_exact))
    if not pixels:
        raise UnreadableError(_NO_FRAMES)
    return np.stack(pixels).reshape(wanted.shape)


def _of_frame(file: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(file)
    except UnreadableError as error:
        raise UnreadableError(f"its frame {file.name} is no image that can be read: {error}") from error


def _without_one(frame: Array) -> Array:
    return frame[..., 0] if frame.shape[-1] == 1 else frame


def _array(path: Path) -> Array:
    """An array of a film, uint8 of shape (frames, height, width, channels)."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableError((str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")) from error
    is_film = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3, 4))
    if not is_film or not array.size:
        shape = "×".join(map(str, array.shape)) or "a single number"
        raise UnreadableError(f"its shape is {shape}, and not frames, height, width and perhaps 1, 3 or 4 channels")
    if array.dtype != np.uint8:
        raise UnreadableError(f"it holds {array.dtype}, and not bytes (uint8) from 0 to 255")
    return array if array.ndim == 4 else array[..., None]
