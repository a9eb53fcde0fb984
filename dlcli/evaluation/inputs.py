"""Reads what a person wants predictions for, images, arrays, .csv tables, as raw examples of training's kind."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from dlcli.data.dataset import Array, OneOrNamed, named
from dlcli.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Inputs:
    """Raw examples, shape (n, *raw_shape), by name where there are several inputs; and a name for each."""

    values: OneOrNamed[Array]
    names: list[str]


@dataclass(frozen=True)
class Expected:
    """What the model was trained on: shape and type of one raw example, and a table's columns where they have names."""

    shape: tuple[int, ...]
    dtype: str
    columns: tuple[str, ...] | None


def read_inputs(paths: Sequence[Path], expected: OneOrNamed[Expected]) -> Inputs:
    """All examples in `paths`, in order.

    Raises:
        DataError: a file is missing, damaged, of another kind, or does not fit what the model was trained on.
    """
    parts = [_read(path, expected) for path in paths]
    names = [name for part in parts for name in part.names]
    if isinstance(expected, Mapping):
        return Inputs({name: np.concatenate([named(part.values)[name] for part in parts]) for name in expected}, names)
    return Inputs(np.concatenate([part.values for part in parts]), names)


def _read(path: Path, expected: OneOrNamed[Expected]) -> Inputs:
    if path.is_dir():
        raise DataError(f"{path} is a folder.", f"Name the files in it, as in {path}/*.")
    if not path.exists():
        raise DataError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if isinstance(expected, Mapping):
        return _several(path, suffix, expected)
    if suffix in IMAGE_SUFFIXES:
        return Inputs(_image(path, expected)[None], [path.name])
    if suffix == ".npy":
        values = _array(path, expected)
    elif suffix == ".csv":
        values = _table(path, expected)
    else:
        kinds = ", ".join((".npy", ".csv", *IMAGE_SUFFIXES))
        raise DataError(f"{path}: files of the kind `{suffix}` are not read.", f"These are: {kinds}.")
    return Inputs(values, [f"{path.name}[{row}]" for row in range(len(values))])


def _several(path: Path, suffix: str, expected: Mapping[str, Expected]) -> Inputs:
    """Several inputs: the arrays of an .npz by name, or the columns of a table."""
    if suffix == ".npz":
        values = _arrays(path, expected)
    elif suffix == ".csv" and all(one.shape == () for one in expected.values()):
        table = _table(path, Expected((len(expected),), "float32", tuple(expected)))
        values = {name: fitting(table[:, at], path, expected[name]) for at, name in enumerate(expected)}
    else:
        what = f"The model takes {', '.join(f'`{name}`' for name in expected)} of each example"
        hint = "Give an .npz with an array for each." if suffix != ".npz" else None
        raise DataError(f"{path}: {what}, which a file of the kind `{suffix}` does not have.", hint)
    lengths = {len(array) for array in values.values()}
    if len(lengths) > 1:
        each = ", ".join(f"{len(array)} of `{name}`" for name, array in values.items())
        raise DataError(f"{path} has arrays of different lengths: {each}.")
    return Inputs(values, [f"{path.name}[{row}]" for row in range(lengths.pop())])


def _arrays(path: Path, expected: Mapping[str, Expected]) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in expected if name not in archive.files]
            if missing:
                raise DataError(f"{path} has no array {', '.join(missing)}.", f"It has: {', '.join(archive.files)}.")
            return {name: fitting(archive[name], f"`{name}` in {path}", one) for name, one in expected.items()}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an archive of arrays: {error}.") from error


def _image(path: Path, expected: Expected) -> Array:
    return read_image(path, str(path), expected)


def read_image(source: Path | BinaryIO, path: str, expected: Expected) -> Array:
    """A picture in a file, which messages call `path`, as a raw example. Raises DataError."""
    if expected.dtype != "uint8" or len(expected.shape) not in (2, 3):
        raise DataError(
            f"{path} is an image, but the model takes {int(np.prod(expected.shape))} numbers an example.",
            "Give a .csv or .npy file.",
        )
    height, width = expected.shape[:2]
    mode = "L" if len(expected.shape) == 2 or expected.shape[2] == 1 else "RGB"
    try:
        with Image.open(source) as image:
            pixels = np.asarray(image.convert(mode).resize((width, height), Image.Resampling.BILINEAR), np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is not an image that can be read: {error}.") from error
    return pixels.reshape(expected.shape)


def _array(path: Path, expected: Expected) -> Array:
    try:
        # Mapped, so that a header that claims more than the file has is told before memory is taken.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not an array of numbers: {error}.") from error
    return fitting(values, path, expected)


def _table(path: Path, expected: Expected) -> Array:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a table of comma-separated values: {error}.") from error
    if not rows:
        raise DataError(f"{path} is empty.")
    first = 0
    chosen = list(range(len(rows[0])))
    if not all(map(_is_number, rows[0])):
        first = 1
        chosen = _columns(rows[0], expected, path) or chosen
    values = np.empty((len(rows) - first, len(chosen)), np.float32)
    for number, row in enumerate(rows[first:], start=first):
        try:
            values[number - first] = [float(row[column]) for column in chosen]
        except (ValueError, IndexError) as error:
            line = f"{path}, row {number + 1}"
            raise DataError(f"{line}: {len(chosen)} numbers are needed; received {','.join(row)[:80]}.") from error
    return fitting(values, path, expected)


def _columns(header: list[str], expected: Expected, path: Path) -> list[int] | None:
    """Which columns hold the model's features, by their names; None where the model knows no names."""
    if expected.columns is None:
        return None
    names = [name.strip() for name in header]
    missing = [column for column in expected.columns if column not in names]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}.", "Name the columns as in training, or leave names out."
        )
    return [names.index(column) for column in expected.columns]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def fitting(values: Array, path: Path | str, expected: Expected) -> Array:
    """`values` as raw examples, of shape (n, *shape) and the type of training. Raises DataError, which names `path`."""
    if values.dtype.kind not in "uifb":
        raise DataError(f"{path} holds {values.dtype}, not numbers.")
    if values.size == 0 and values.ndim:
        raise DataError(f"{path} holds no examples.")
    size = int(np.prod(expected.shape))
    if values.shape == expected.shape:
        values = values[None]
    if values.ndim == 0 or values[0:1].size not in (size, 0) or values.size == 0:
        wanted = "×".join(map(str, expected.shape))
        received = "×".join(map(str, values.shape))
        raise DataError(f"{path} has the shape {received}; the model takes examples of {wanted}.")
    values = values.reshape(-1, *expected.shape)
    if expected.dtype == "uint8":
        is_scaled = values.dtype.kind == "f" and 0 < values.max() <= 1
        if is_scaled or values.min() < 0 or values.max() > 255 or (values != np.round(values)).any():
            raise DataError(
                f"{path} has values from {values.min():g} to {values.max():g}; the model takes whole numbers 0 to 255.",
                "Give the pixels as they are stored: dlcli scales them as in training.",
            )
        return values.astype(np.uint8)
    if not np.isfinite(values).all():
        raise DataError(f"{path} has values that are missing or not finite.")
    if expected.dtype.startswith("int") and ((values != np.round(values)).any() or values.min() < 0):
        raise DataError(f"{path} has values that are negative or have a fraction; the model takes whole numbers.")
    return values.astype(expected.dtype)
