"""Examples such as a model takes, drawn at random, for models whose data cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd

from dlcli.data.columns import Category, Date, Fitted, Index, Number, Text
from dlcli.data.dataset import Array, OneOrNamed, one_or_named
from dlcli.data.image_decoding import form_pixels
from dlcli.data.preparation import AnyPreparation, Preparation, Preparations
from dlcli.exporting.parts import Columns, Numbers, Part, Picture, raw_name
from dlcli.spec.source import INPUT, InputFacts

_SIZES = ((1.0, 1.0), (1.5, 2.2), (2.7, 1.3), (0.7, 0.8))
"""of pictures, as parts of what is wanted"""


def made_up(
    parts: Mapping[str, Part], preparation: AnyPreparation, facts: Mapping[str, InputFacts], count: int
) -> tuple[dict[str, Any], OneOrNamed[Array]]:
    """Raw values by the names of columns or inputs, and the raw examples that dlcli makes of them."""
    random = np.random.default_rng(0)
    raw: dict[str, Any] = {}
    inputs: dict[str, Array] = {}
    each = preparation.each if isinstance(preparation, Preparations) else {INPUT: preparation}
    for name, part in parts.items():
        if isinstance(part, Columns):
            for column in part.columns:
                if raw_name(column) not in raw:
                    raw[raw_name(column)] = _values(column, (count, *part.axes), random)
            inputs[name] = _encoded(part, raw)
        elif isinstance(part, Picture):
            raw[name] = _pictures(part, count, random)
            pixels = [one if one.ndim == 2 or one.shape[2] == 3 else one[..., 0] for one in raw[name]]
            inputs[name] = np.stack([form_pixels(one, part.form) for one in pixels]).reshape(-1, *part.shape)
        else:
            raw[name] = inputs[name] = _numbers(part, each[name], facts.get(name), count, random)
    return raw, one_or_named(inputs.items())


def _values(column: Fitted, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    if isinstance(column, Number):
        numbers = column.mean + (column.deviation or 1.0) * random.normal(size=shape)
        return np.where(random.random(shape) < 0.1, np.nan, numbers) if column.has_missing else numbers
    if isinstance(column, (Category, Index)):
        return np.asarray(random.choice([*column.values, "no such value", ""], size=shape), dtype=str)
    if isinstance(column, Date):
        start = np.datetime64(f"{int(column.means[0]):04d}-01-01", "m")
        moments = start + random.integers(0, 3 * 365 * 24 * 60, shape).astype("timedelta64[m]")
        return np.char.replace(np.datetime_as_string(moments), "T", " ")
    assert isinstance(column, Text)  # noqa: S101 - there are no others
    words = np.asarray([*column.words[:500], "nosuchword"], dtype=object)
    count = int(np.prod(shape))
    texts = [" ".join(random.choice(words, int(random.integers(0, 2 * column.length + 1)))) for _ in range(count)]
    return np.asarray(texts, dtype=str).reshape(shape)


def _encoded(part: Columns, raw: Mapping[str, Array]) -> Array:
    """As a reader encodes a table with these values."""
    parts = []
    for column in part.columns:
        values = raw[raw_name(column)]
        flat = pd.Series(values.ravel().astype(object)).replace({"": None})
        parts.append(column.encode(flat, "").reshape(*values.shape, *_more(column)))
    if isinstance(part.columns[0], (Text, Index)):
        return parts[0]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _more(column: Fitted) -> tuple[int, ...]:
    if isinstance(column, Index):
        return ()
    return (column.length,) if isinstance(column, Text) else (len(column.names),)


def _pictures(part: Picture, count: int, random: np.random.Generator) -> list[Array]:
    found = []
    for number in range(count):
        factors = _SIZES[number % len(_SIZES)]
        size = [max(1, round(side * factor)) for side, factor in zip(part.form.size, factors, strict=True)]
        found.append(random.integers(0, 256, (*size, *part.shape[2:]), np.uint8))
    return found


def _numbers(
    part: Numbers, preparation: Preparation, facts: InputFacts | None, count: int, random: np.random.Generator
) -> Array:
    shape = (count, *part.shape)
    if part.dtype == "uint8":
        return random.integers(0, 256, shape, np.uint8)
    if part.dtype.startswith("int"):
        return random.integers(0, (facts.numbers if facts is not None else None) or 2, shape).astype(part.dtype)
    numbers = random.normal(size=shape)
    for layer in preparation.layers[:1]:
        if isinstance(layer, keras.layers.Normalization):
            numbers = numbers * np.sqrt(np.asarray(layer.variance)) + np.asarray(layer.mean)
    return numbers.astype(part.dtype)
