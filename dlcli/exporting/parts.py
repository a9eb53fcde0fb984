"""What a model's inputs are made of: columns of a table, pictures, texts or plain numbers; and how they are made.

Nothing here builds a network: see `dlcli.exporting.network`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dlcli.data.columns import Category, Date, Fitted, Index, Text
from dlcli.data.dataset import Reader
from dlcli.data.image_decoding import Form, form_pixels
from dlcli.data.image_reader import ImageReader
from dlcli.data.preparation import AnyPreparation, Preparation, Preparations
from dlcli.data.record_reader import RecordReader
from dlcli.data.series_reader import SeriesReader
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.spec.source import INPUT

Step: TypeAlias = dict[str, Any]
TEXT = "text"
"""the name of the raw value where a file of text is all that goes in"""


@dataclass(frozen=True)
class Columns:
    """An input made of a table's columns, or of a text.

    Attributes:
        columns: what they became in training.
        length: of a window of rows; None where a row is an example.
    """

    columns: tuple[Fitted, ...]
    length: int | None = None

    @property
    def axes(self) -> tuple[int, ...]:
        """Of the values of one column in one example."""
        return () if self.length is None else (self.length,)


@dataclass(frozen=True)
class Picture:
    """An input that is a picture: bytes of any size, brought to a form.

    Attributes:
        name: of the input.
        form: what every picture becomes.
        shape: of the bytes that the model is given.
        is_upright: whether files are turned as their EXIF data says, and their transparent parts are white.
    """

    name: str
    form: Form
    shape: tuple[int, ...]
    is_upright: bool

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.form.color == "grayscale" else 3

    @property
    def step(self) -> Step:
        """How `prepare.py` makes it."""
        form = {"size": list(self.form.size), "color": self.form.color, "fit": self.form.fit}
        step = {"kind": "picture", "name": self.name, **form, "shape": list(self.shape)}
        return {**step, "columns_first": resizes_columns_first()}


@dataclass(frozen=True)
class Numbers:
    """An input that is an array of numbers, as the source has it."""

    name: str
    shape: tuple[int, ...]
    dtype: str


Part: TypeAlias = Columns | Picture | Numbers


def parts_of(reader: Reader | None, preparation: AnyPreparation) -> dict[str, Part]:
    """What each input of a model is made of, by its name; the only one's is `input`.

    Args:
        reader: what made numbers of files in training; None where there were none.
        preparation: of the raw examples.
    """
    each = preparation.each if isinstance(preparation, Preparations) else {INPUT: preparation}
    if isinstance(reader, TableReader):
        return {name: Columns(columns) for name, columns in reader.inputs.items()}
    if isinstance(reader, SeriesReader):
        return {name: Columns(columns, reader.length) for name, columns in reader.table.inputs.items()}
    if isinstance(reader, TextReader):
        return {INPUT: Columns((reader.column,))}
    return {name: _part(name, one, reader) for name, one in each.items()}


def _part(name: str, one: Preparation, reader: Reader | None) -> Part:
    if isinstance(reader, RecordReader):
        reader = reader.pictures
    if isinstance(reader, ImageReader):
        return Picture(name, reader.form, one.raw_shape, True)
    is_picture = len(one.raw_shape) == 2 or (len(one.raw_shape) == 3 and one.raw_shape[2] in (1, 3))
    if one.raw_dtype == "uint8" and is_picture:
        color = "rgb" if one.raw_shape[2:] == (3,) else "grayscale"
        return Picture(name, Form((one.raw_shape[0], one.raw_shape[1]), color, "resize"), one.raw_shape, False)
    return Numbers(name, one.raw_shape, one.raw_dtype)


@dataclass(frozen=True)
class Taken:
    """One tensor that an exported model takes.

    Attributes:
        name: of the tensor: letters, digits and `_`.
        dtype: as NumPy names it, or "string".
        shape: of one example; None for a size that is free.
        raw: the columns, or the input, that it is made of.
        says: what it is, for a person.
        steps: how `prepare.py` makes it of raw values.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    raw: tuple[str, ...]
    says: str
    steps: tuple[Step, ...]

    @property
    def is_as_raw(self) -> bool:
        """Whether it is a raw value, unchanged."""
        return all(step["kind"] == "as it is" for step in self.steps)


def taken_whole(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """The tensors of each input where a format holds no columns: one an input, as the preparation takes it."""
    names = unique(parts)
    return {name: [_whole(names[name], part)] for name, part in parts.items()}


def _whole(name: str, part: Part) -> Taken:
    if isinstance(part, Numbers):
        return _as_it_is(name, part.dtype, part.shape, part.name, "numbers, as the data has them")
    if isinstance(part, Picture):
        says = f"pixels from 0 to 255, {part.form.color}, brought to this size"
        return Taken(name, "uint8", part.shape, (part.name,), says, (part.step,))
    [first, *_] = part.columns
    steps = tuple(column.state() for column in part.columns)
    raw = tuple(raw_name(column) for column in part.columns)
    steps = tuple({**step, "name": one} for step, one in zip(steps, raw, strict=True))
    if isinstance(first, Text):
        return Taken(name, "int32", (*part.axes, first.length), raw, "the numbers of the words of a text", steps)
    if isinstance(first, Index):
        return Taken(name, "int32", part.axes, raw, "the number of the value", steps)
    width = sum(len(column.names) for column in part.columns)
    says = f"columns as numbers: {', '.join(one for column in part.columns for one in column.names)}"
    return Taken(name, "float32", (*part.axes, width), raw, says, steps)


def taken_apart(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """The tensors of each input where a format holds columns and words: one a column, but for dates their parts."""
    names = _tensor_names(parts)
    found: dict[str, list[Taken]] = {}
    for name, part in parts.items():
        if isinstance(part, Columns):
            found[name] = [_column(names[_key(column)], column, part.axes) for column in part.columns]
        else:
            found[name] = [_whole(names[part.name, ""], part)]
    return found


def _column(name: str, column: Fitted, axes: tuple[int, ...]) -> Taken:
    raw = raw_name(column)
    if isinstance(column, Date):
        says = "a date as numbers: " + ", ".join(column.names)
        return Taken(name, "float32", (*axes, len(column.names)), (raw,), says, ({**column.state(), "name": raw},))
    if isinstance(column, Text):
        return Taken(name, "string", axes, (raw,), "a text in small letters", ({"kind": "small letters", "name": raw},))
    if isinstance(column, (Category, Index)):
        says = 'a value as text, without blanks around it; "" where it is missing'
        step = {"kind": "stripped", "name": raw, "is_text": column.is_text}
        return Taken(name, "string", axes, (raw,), says, (step,))
    return _as_it_is(name, "float64", axes, raw, "a number; NaN where it is missing")


def taken_raw(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """The tensors of each input where a format holds everything: one a column or picture, as it is in files."""
    names = _tensor_names(parts)
    found: dict[str, list[Taken]] = {}
    for name, part in parts.items():
        if isinstance(part, Columns):
            found[name] = [_raw_column(names[_key(column)], column, part.axes) for column in part.columns]
        elif isinstance(part, Picture):
            says = f"pixels from 0 to 255, {part.form.color}, of any size; in the signature `files`, JPEG or PNG"
            colors = part.shape[2:]
            found[name] = [_as_it_is(names[part.name, ""], "uint8", (None, None, *colors), part.name, says)]
        else:
            found[name] = [_whole(names[part.name, ""], part)]
    return found


def _raw_column(name: str, column: Fitted, axes: tuple[int, ...]) -> Taken:
    raw = raw_name(column)
    if isinstance(column, Date):
        says = 'a date such as 2024-12-31 or 2024-12-31 18:30; "" where it is missing'
    elif isinstance(column, Text):
        says = "a text"
    elif isinstance(column, (Category, Index)):
        says = 'a value as text; "" where it is missing'
    else:
        return _as_it_is(name, "float64", axes, raw, "a number; NaN where it is missing")
    return _as_it_is(name, "string", axes, raw, says)


def _as_it_is(name: str, dtype: str, shape: tuple[int | None, ...], raw: str, says: str) -> Taken:
    return Taken(name, dtype, shape, (raw,), says, ({"kind": "as it is", "name": raw},))


def raw_name(column: Fitted) -> str:
    """The name of a column; a text that is all there is has none of its own."""
    return column.name or TEXT


def _key(column: Fitted) -> tuple[str, str]:
    """What tells a column's tensor from others: a column may go into two inputs, and as other things."""
    kinds = {Date: "date", Text: "words", Category: "value", Index: "value"}
    return raw_name(column), kinds.get(type(column), "")


def _tensor_names(parts: Mapping[str, Part]) -> dict[tuple[str, str], str]:
    """The names of tensors by the name of what they are made of, and what is made of it."""
    keys: list[tuple[str, str]] = []
    for part in parts.values():
        keys += map(_key, part.columns) if isinstance(part, Columns) else [(part.name, "")]
    once = {raw: key for key in reversed(keys) for raw in key[:1]}
    written = {key: key[0] if once[key[0]] == key else " ".join(key) for key in keys}
    names = unique(written.values())
    return {key: names[one] for key, one in written.items()}


def unique(names: Iterable[str]) -> dict[str, str]:
    """A name for a tensor for each: letters, digits and `_`, not two alike."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = made = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_") or "column"
        made = plain = f"column_{plain}" if plain[0].isdigit() else plain
        number = 1
        while made in found.values():
            number += 1
            made = f"{plain}_{number}"
        found[name] = made
    return found


def resizes_columns_first() -> bool:
    """Whether the installed Pillow shortens some pictures before it narrows them: 13 does, 12 does not."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    wanted = form_pixels(pixels, Form((16, 48), "grayscale", "resize"))
    return bool((_resized(pixels, columns_first=True) == wanted).all())


def _resized(pixels: Any, *, columns_first: bool) -> Any:
    from dlcli.exporting.prepare import STEPS

    step = {"size": (16, 48), "color": "grayscale", "fit": "resize", "shape": (16, 48), "columns_first": columns_first}
    return STEPS["picture"](pixels[None], step)[0]


def steps_needed(taken: Sequence[Taken]) -> dict[str, list[Step]] | None:
    """What `prepare.py` is to do for each tensor; None where all are raw values already."""
    if all(one.is_as_raw for one in taken):
        return None
    return {one.name: list(one.steps) for one in taken}
