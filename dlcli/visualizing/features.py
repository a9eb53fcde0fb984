"""What the layers of a model make of one picture; and the pictures that most excite the filters of a layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlcli.data.dataset import Array, OneOrNamed, named
from dlcli.errors import UsageError
from dlcli.figures import number
from dlcli.visualizing.sheet import Row, Tile, by_size, limited, sentences, sheet, spread, wrapped
from dlcli.visualizing.subject import Subject, chosen_layer, last_convolution, layers_of, pictures_read
from dlcli.visualizing.watching import inputs_read, outputs_and_seen

_MAPS, _LAYERS, _MAPS_OF_ONE = 10, 20, 64
_SIDE, _FEWEST = 16, 3  # numbers in a row of a tile that shows a vector, at most; how many it takes to be shown
_FILTERS, _BEST = 12, 8
_UNCHANGED = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Flatten", "Reshape")


def features(subject: Subject, asked: str | None) -> Figure:
    """What each layer makes of one picture, a row a layer; or of one layer all maps.

    Raises:
        CheckpointError: the model takes no pictures.
        UsageError: there is no such layer, or there are several pictures.
    """
    if len(subject.names) > 1:
        raise UsageError(f"`features` shows one picture, and {len(subject.names)} are named.", "Name one.")
    pictures = {name: one for name, [one] in subject.pictures().items()}
    model = subject.model
    layers = dict([chosen_layer(model, asked)]) if asked is not None else layers_of(model)
    given = layer_outputs(model, subject.prepared(), layers)
    title = f"{subject.name}: what its layers make of {subject.names[0]}"
    if asked is not None:
        return _of_one_layer(title, pictures, given)
    shown = [one for one in given if type(layers[one.path]).__name__ not in _UNCHANGED]
    chosen = [shown[at] for at in spread(len(shown), _LAYERS)]
    rows = [_input_row(subject, name, pictures.get(name), values[0]) for name, values in named(subject.raw).items()]
    rows += [Row(list(_tiles(one.output[0], _MAPS)), one.title, f"{_shape(one.output)}, {_range(one.output)}")
             for one in chosen]  # fmt: skip
    fewer = f"{len(chosen)} of {len(shown)} layers, at equal distances." if len(chosen) < len(shown) else ""
    what = f"The first {_MAPS} maps of each layer, each from its least number, dark, to its largest; numbers without a "
    what += "place row by row. --layer NAME shows more of one."
    return sheet(title, rows, sentences([fewer, what]))


def _of_one_layer(title: str, pictures: Mapping[str, Array], given: Sequence[Given]) -> Figure:
    rows = wrapped([Tile(picture, name or "picture") for name, picture in pictures.items()], 9)
    notes = []
    for one in given:
        parts = wrapped(list(_tiles(one.output[0], _MAPS_OF_ONE)), 9)
        rows += [Row(parts[0].tiles, one.title if len(given) > 1 else ""), *parts[1:]]
        notes.append(f"{one.title}: {_shape(one.output)}, {_range(one.output)}.")
    return sheet(title, rows, sentences([_limited(given[0].output, _MAPS_OF_ONE), *notes]))


def _input_row(subject: Subject, name: str, picture: Array | None, values: Array) -> Row:
    size = "×".join(map(str, values.shape)) or f"the number {number(float(values))}"
    return Row([Tile(picture)] if picture is not None else list(_tiles(values, 1)), name or subject.names[0], size)


@dataclass(frozen=True)
class Given:
    """What a layer gave at one of its calls.

    Attributes:
        path: of the layer.
        title: that, and which of its calls this is, if there are several.
        output: shape (n, ...).
    """

    path: str
    title: str
    output: Array


def layer_outputs(model: Any, inputs: OneOrNamed[Any], layers: Mapping[str, Any]) -> list[Given]:
    """What these layers give for prepared inputs, at each of their calls.

    Layers that give several tensors are left out.
    """
    _, seen = outputs_and_seen(model, inputs, layers)
    several = {path: layers[path] for path, one in seen.items() if len(one.outputs) > 1}
    read = inputs_read(model, inputs, several) if several else {}
    return [
        Given(path, f"{path}{word}", np.asarray(given))
        for path, one in seen.items()
        for word, given in _named_calls(one.outputs, read.get(path), list(named(inputs)))
        if hasattr(given, "shape")
    ]


def _named_calls(
    given: Sequence[Any], read: Sequence[Sequence[str]] | None, inputs: Sequence[str]
) -> Sequence[tuple[str, Any]]:
    """What a layer gave at its calls, and what tells each of them: the input that it alone reads, or its number."""
    if read is None:
        return [("", one) for one in given]
    if all(len(names) == 1 for names in read) and len({names[0] for names in read}) == len(read):
        in_order = sorted(zip(read, given, strict=True), key=lambda call: inputs.index(call[0][0]))
        return [(f", of {name}", one) for [name], one in in_order]
    return [(f", call {at}", one) for at, one in enumerate(given, 1)]


def _tiles(values: Array, most: int) -> list[Tile]:
    """Maps of shape (height, width, channels), one by one; other numbers as one block, or none for one or two."""
    if values.ndim == 3:
        return [Tile(_stretched(values[..., at])) for at in range(min(most, values.shape[-1]))]
    if values.ndim == 2:
        return [Tile(_stretched(values))]
    flat = values.reshape(-1)[: _SIDE * _SIDE].astype(np.float64)
    if len(flat) < _FEWEST:
        return []
    columns = min(len(flat), math.ceil(math.sqrt(len(flat))))
    rows = -(-len(flat) // columns)
    padded = np.pad(flat, (0, rows * columns - len(flat)), constant_values=np.nan)
    pixels = _stretched(padded)
    pixels[np.isnan(padded)] = 244
    return [Tile(pixels.reshape(rows, columns, 3))]


def _stretched(values: Array) -> Array:
    low = float(np.nanmin(values))
    return by_size(np.nan_to_num(values - low), float(np.nanmax(values)) - low)


def _shape(output: Array) -> str:
    return "×".join(map(str, output.shape[1:])) if output[0].size > 1 else "one number"


def _range(output: Array) -> str:
    if output[0].size == 1:
        return number(float(output[0].item()))
    return f"{number(float(output.min()))} to {number(float(output.max()))}"


def _limited(output: Array, most: int) -> str:
    return limited(output.shape[-1], most, "maps") if output.ndim == 4 else ""


def activations(subject: Subject, asked: str | None, filters: int | None) -> Figure:
    """The pictures that most excite each of the first filters of a layer, a row a filter.

    Args:
        subject: the model and all pictures that are looked at.
        asked: the layer; the last convolution if None.
        filters: this one alone, counted from 1; None for the first ones.

    Raises:
        CheckpointError: the model has no convolution, or takes no pictures; or the layer sees several at once.
        UsageError: there is no such layer or filter.
    """
    path, layer = last_convolution(subject.model, asked)
    pictures = subject.pictures()
    seen = [picture for name in pictures_read(subject, path, layer) for picture in pictures[name]]
    strongest = strongest_answers(subject, path, layer)
    count = strongest.shape[1]
    if filters is not None and filters > count:
        raise UsageError(f"--filter {filters}: {path} has {count} filters.")
    chosen = range(min(count, _FILTERS)) if filters is None else [filters - 1]
    best = _BEST if filters is None else 4 * _BEST
    rows = []
    for at in chosen:
        order = _distinct(np.argsort(-strongest[:, at], kind="stable"), seen, best)
        tiles = [Tile(seen[row], f"{number(float(strongest[row, at]))}") for row in order]
        never = "never above 0" if strongest[:, at].max() <= 0 else ""
        parts = wrapped(tiles, _BEST)
        rows += [Row(parts[0].tiles, f"filter {at + 1}", never), *parts[1:]]
    title = f"{subject.name} · {path}: what most excites its filters"
    limit = limited(count, _FILTERS, "filters; --filter NUMBER shows another") if filters is None else ""
    what = f"Of {len(seen):,} pictures, those where a filter answers most anywhere; the number is that answer."
    return sheet(title, rows, sentences([limit, what]))


def _distinct(order: Array, pictures: Sequence[Array], most: int) -> list[int]:
    """The first of these rows, so many, whose pictures are not the same: an example may share its with another."""
    found: dict[bytes, int] = {}
    for row in order:
        found.setdefault(pictures[row].tobytes(), int(row))
        if len(found) == most:
            break
    return list(found.values())


def strongest_answers(subject: Subject, path: str, layer: Any) -> Array:
    """The largest number of each map of a layer, for each example, call after call: shape (calls * n, filters)."""
    calls: list[list[Array]] = []
    for batch in subject.batches():
        _, seen = outputs_and_seen(subject.model, batch, {path: layer})
        calls.append([np.asarray(given).max(axis=(1, 2)) for given in seen[path].outputs])
    return np.concatenate([part for parts in zip(*calls, strict=True) for part in parts])
