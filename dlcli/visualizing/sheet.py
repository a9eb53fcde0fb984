"""A sheet of small pictures in rows, with words beside and below them; and numbers as colours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from dlcli.data.dataset import Array
from dlcli.describing.drawing import DOTS_AN_INCH
from dlcli.report.charts import squared
from dlcli.report.drawing import COLORS, plain

SIDE = 88
"""pixels of a tile, unless it is said otherwise"""
_GAP, _MARGIN, _CAPTION, _LINE = 8, 26, 22, 24
_LONGEST_TITLE = 30
_LETTER = 9.6  # pixels that one takes on average, at the size of captions
_LETTER_OF_TITLE = 15.5
_LONGEST_SHEET_TITLE = 90
_LEAST_WIDTH = 640

_SIGNED = LinearSegmentedColormap.from_list("signed", [COLORS["train"], "#fffffe", COLORS["held"]])
_BY_SIZE = colormaps["magma"]


@dataclass(frozen=True)
class Tile:
    """A small picture.

    Attributes:
        pixels: uint8 of shape (height, width) or (height, width, 3).
        caption: below it; empty for none.
        color: of the caption, as in `drawing.COLORS`.
    """

    pixels: Array
    caption: str = ""
    color: str = "ink"


@dataclass(frozen=True)
class Row:
    """Tiles beside each other; `title` and, in smaller letters, `under` stand left of them."""

    tiles: Sequence[Tile]
    title: str = ""
    under: str = ""


@dataclass(frozen=True)
class _Layout:
    """Where things are, in pixels from the upper left corner."""

    left: int
    top: int
    pitch: int
    height: int  # of a row
    side: int
    width: int
    whole: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Top and left of a tile."""
        return self.top + row * self.height, self.left + column * self.pitch


def wrapped(tiles: Sequence[Tile], columns: int) -> list[Row]:
    """Rows of so many tiles."""
    return [Row(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]


def sheet(title: str, rows: Sequence[Row], note: str = "", side: int = SIDE) -> Figure:
    """A picture of all rows, under a title and over a note; to be made where `drawing()` is entered."""
    title = plain(title, _LONGEST_SHEET_TITLE)
    lines, layout = _laid_out(title, rows, note, side)
    canvas = np.full((layout.whole, layout.width, 3), 255, np.uint8)
    figure = Figure(figsize=(layout.width / DOTS_AN_INCH, layout.whole / DOTS_AN_INCH), dpi=DOTS_AN_INCH)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.text(_MARGIN, _MARGIN, title, ha="left", va="top", fontsize=10.5, fontweight="bold")
    for number, row in enumerate(rows):
        top, left = layout.corner(number, 0)
        middle = top + side / 2
        axis.text(_MARGIN, middle - 1, plain(row.title, _LONGEST_TITLE), va="bottom" if row.under else "center", size=8)
        axis.text(_MARGIN, middle + 1, plain(row.under, 40), va="top", fontsize=6.5, color=COLORS["muted"])
        for column, tile in enumerate(row.tiles):
            top, left = layout.corner(number, column)
            canvas[top - 1 : top + side + 1, left - 1 : left + side + 1] = 208
            canvas[top : top + side, left : left + side] = squared(tile.pixels, side, 244)
            words = plain(tile.caption, max(6, int(1.25 * side / _LETTER)))
            below = top + side + 3
            axis.text(left + side / 2, below, words, ha="center", va="top", fontsize=6.5, color=COLORS[tile.color])
    bottom = layout.whole - _MARGIN - _LINE * len(lines)
    for number, line in enumerate(lines):
        axis.text(_MARGIN, bottom + number * _LINE, plain(line, 200), va="top", fontsize=7, color=COLORS["muted"])
    axis.imshow(canvas, interpolation="nearest", aspect="auto")
    return figure


def _laid_out(title: str, rows: Sequence[Row], note: str, side: int) -> tuple[list[str], _Layout]:
    longest = max(min(len(row.title), _LONGEST_TITLE) for row in rows)
    small = max(min(len(row.under), 40) for row in rows)
    words = max(_LETTER * longest * 1.15, _LETTER * small * 0.95)
    left = _MARGIN + (int(words) + 20 if words else 0)
    has_captions = any(tile.caption for row in rows for tile in row.tiles)
    pitch, height = side + _GAP, side + _GAP + (_CAPTION if has_captions else 0)
    least = max(_LEAST_WIDTH, 2 * _MARGIN + int(_LETTER_OF_TITLE * len(title)))
    width = max(least, left + pitch * max(len(row.tiles) for row in rows) - _GAP + _MARGIN)
    lines = textwrap.wrap(note, max(40, int((width - 2 * _MARGIN) / (_LETTER * 0.92))))
    top = _MARGIN + 44
    whole = top + height * len(rows) + _MARGIN + (_LINE * len(lines) + 8 if lines else 0)
    return lines, _Layout(left, top, pitch, height, side, width, whole)


def signed(values: Array, largest: float | None = None) -> Array:
    """Numbers as pixels: blue below 0, orange above it, white at 0; uint8 of shape (height, width, 3)."""
    most = largest if largest is not None else float(np.max(np.abs(values), initial=0.0))
    return _pixels(_SIGNED, 0.5 + values.astype(np.float64) / (2 * most or 1.0))


def by_size(values: Array, most: float | None = None) -> Array:
    """Numbers as pixels, from dark at 0 or below to light at `most`; uint8 of shape (height, width, 3)."""
    low = min(0.0, float(values.min()))
    high = most if most is not None else float(values.max())
    return _pixels(_BY_SIZE, (values.astype(np.float64) - low) / ((high - low) or 1.0))


def _pixels(colors: Any, shares: Array) -> Array:
    return np.asarray(colors(np.clip(np.nan_to_num(shares), 0.0, 1.0), bytes=True)[..., :3])


def sentences(parts: Sequence[str]) -> str:
    """Those that are not empty, as one note."""
    return " ".join(part for part in parts if part)


def in_legend(name: object) -> str:
    """A name as a legend has it: a long one on several lines."""
    return "\n".join(textwrap.wrap(plain(str(name), 60), 17)) or "–"


def limited(count: int, most: int, what: str) -> str:
    """The sentence that tells that only the first of so many are shown; empty if all are."""
    return f"The first {most} of {count:,} {what}." if count > most else ""


def spread(count: int, most: int) -> Iterator[int]:
    """At most so many of the numbers up to `count`, at equal distances, the first and the last among them."""
    yield from (range(count) if count <= most else sorted({round(at) for at in np.linspace(0, count - 1, most)}))
