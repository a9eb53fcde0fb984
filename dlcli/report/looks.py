"""How single examples look on a page: as pictures, words, columns or a small curve. Read from the prepared data."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from dlcli.data.columns import PADDING, Category, Date, Fitted, Index, Number, Text
from dlcli.data.dataset import Array, Reader, named
from dlcli.data.pixels import pixels_of
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.spec.source import INPUT

_SIDE = 112  # pixels: larger pictures are made smaller
_SHARP = 64  # up to here a picture is kept as it is, to the pixel
_MOST_WORDS, _MOST_CELLS, _MOST_POINTS = 60, 12, 200


@dataclass(frozen=True)
class Look:
    """How an example looks.

    Attributes:
        name: such as "test[17]".
        pixels: of a picture, uint8 of shape (height, width) or (height, width, 3); None if it is none.
        text: words; empty if there are none.
        cells: names and values of columns.
        curve: the numbers of a series, float of shape (n,); None if it is none.
    """

    name: str
    pixels: Array | None = None
    text: str = ""
    cells: tuple[tuple[str, str], ...] = ()
    curve: Array | None = None

    @property
    def source(self) -> str:
        """The picture as a `data:` address."""
        return picture_address(self.pixels) if self.pixels is not None else ""

    @property
    def is_sharp(self) -> bool:
        """Whether it is so small that its pixels are to be seen as they are."""
        return self.pixels is not None and max(self.pixels.shape[:2]) <= _SHARP

    @property
    def points(self) -> str:
        """The curve, for an SVG of 120 by 32."""
        if self.curve is None or len(self.curve) < 2:
            return ""
        low, high = float(np.nanmin(self.curve)), float(np.nanmax(self.curve))
        heights = 30 - 28 * (self.curve - low) / ((high - low) or 1.0)
        steps = np.linspace(1, 119, len(self.curve))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(steps, heights, strict=True) if np.isfinite(y))


def looks_of(job: Any, split: str, rows: Array) -> list[Look]:
    """How some examples of a split look.

    Args:
        job: `dlcli.training.job.Job`.
        split: its name.
        rows: the numbers of the examples in its data.

    Raises:
        DataError: they can no longer be read.
    """
    inputs = named(job.rows[split].data.inputs)
    places = {int(row): at for at, row in enumerate(np.asarray(job.rows[split].order))}
    order = np.argsort(rows, kind="stable")  # files are read from front to back
    found = {name: taken(array, rows[order]) for name, array in inputs.items()}
    looks: list[Look | None] = [None] * len(rows)
    for position, place in enumerate(order):
        parts = {name: array[position] for name, array in found.items()}
        looks[place] = _look(f"{split}[{places[int(rows[place])]}]", parts, job)
    return [look for look in looks if look is not None]


def taken(array: Any, rows: Array) -> Array:
    """Some rows of raw examples, which TensorFlow holds, or an array, or a file."""
    if isinstance(array, np.ndarray):
        return array[rows]
    import tensorflow as tf

    return np.asarray(tf.gather(array, rows)) if tf.is_tensor(array) else np.asarray(array[rows])


def _look(name: str, parts: Mapping[str, Array], job: Any) -> Look:
    kinds = named(job.facts.kind)
    pictures, texts, cells = [], [], []
    curve: Array | None = None
    for one, values in parts.items():
        kind = kinds.get(one) or next(iter(kinds.values()))
        columns = _columns(job.facts.reader, one)
        if (kind in ("images", "video") or values.dtype == np.uint8) and values.ndim >= 2:
            pictures.append(pixels_of(values[len(values) // 2] if kind == "video" or values.ndim == 4 else values))
        elif columns and values.ndim < 2:
            found = list(_decoded(columns, np.atleast_1d(values)))
            texts += [value for key, value in found if not key]
            cells += [(key, value) for key, value in found if key]
        elif values.ndim == 2 and len(values) > 1:
            curve = values[-_MOST_POINTS:, 0].astype(np.float64)
        elif values.ndim < 2:
            cells += _plain_cells(one, np.atleast_1d(values), job.facts.feature_names)
        else:
            cells.append((one or "input", "×".join(map(str, values.shape)) + " numbers"))
    return Look(name, _beside(pictures), " · ".join(texts), tuple(cells[:_MOST_CELLS]), curve)


def known_columns(reader: Reader | None) -> Mapping[str, tuple[Fitted, ...]]:
    """What became the numbers of each input, by its name: columns of a table, or texts; nothing for other inputs."""
    if isinstance(reader, TextReader):
        return {INPUT: (reader.column,)}
    return reader.inputs if isinstance(reader, TableReader) else {}


def _columns(reader: Reader | None, name: str) -> tuple[Fitted, ...]:
    inputs = known_columns(reader)
    return inputs.get(name) or next(iter(inputs.values()), ())


def _plain_cells(name: str, values: Array, features: Sequence[str] | None) -> list[tuple[str, str]]:
    if features and len(features) == len(values):
        names: Sequence[str] = features
    elif len(values) == 1:
        names = (name or "input",)
    elif len(values) == 2:
        names = ("x", "y")
    else:
        names = [f"{at}" for at in range(1, len(values) + 1)]
    return [(key, _number(float(value))) for key, value in zip(names, values, strict=True)]


def _decoded(columns: Sequence[Fitted], values: Array) -> Iterator[tuple[str, str]]:
    """Names and values as they were in the table, as far as the numbers tell; a text has no name."""
    [first, *_] = columns
    if isinstance(first, Text):
        known = [first.words[number - 2] if number >= 2 else "▢" for number in values if number != PADDING]
        more = " …" if len(known) > _MOST_WORDS else ""
        yield "", " ".join(known[:_MOST_WORDS]) + more
        return
    if isinstance(first, Index):
        number = int(values[0])
        yield first.name, first.values[number - 1] if number > 0 else "not known"
        return
    at = 0
    for column in columns:
        part = values[at : at + len(column.names)].astype(np.float64)
        yield column.name, _as_written(column, part)
        at += len(column.names)


def _as_written(column: Fitted, part: Array) -> str:
    if isinstance(column, Category):
        chosen = np.flatnonzero(part > 0.5)
        if not len(chosen):
            return "not known"
        return column.values[chosen[0]] if chosen[0] < len(column.values) else "missing"
    if isinstance(column, Date):
        numbers = part[: len(column.means)] * column.deviations + column.means
        if column.has_missing and part[-1] > 0.5:
            return "missing"
        year, month, day = (round(float(number)) for number in numbers[:3])
        return f"{year:04}-{month:02}-{day:02}"
    if isinstance(column, Number):
        if column.has_missing and part[-1] > 0.5:
            return "missing"
        return _number(float(column.restore(part[:1])[0]))
    return _number(float(part[0]))


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _beside(pictures: Sequence[Array]) -> Array | None:
    """Several pictures of an example as one."""
    if len(pictures) < 2:
        return pictures[0] if pictures else None
    height = max(len(one) for one in pictures)
    colour = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in pictures]
    padded = [np.pad(one, ((0, height - len(one)), (0, 2), (0, 0)), constant_values=255) for one in colour]
    return np.concatenate(padded, axis=1)


def picture_address(pixels: Array) -> str:
    """Pixels as a `data:` address: small ones exactly, as PNG, others smaller, as JPEG."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    held = BytesIO()
    if max(image.size) <= _SHARP:
        image.save(held, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
    image.thumbnail((_SIDE, _SIDE))
    image.save(held, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"
