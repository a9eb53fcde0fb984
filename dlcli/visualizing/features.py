"""What the layers of a model make of one picture; and the pictures that most excite the filters of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dlcli.data.dataset import Array
from dlcli.errors import UsageError
from dlcli.figures import number
from dlcli.visualizing.sheet import Row, Tile, by_size, limited, sentences, sheet, spread, wrapped
from dlcli.visualizing.subject import Subject, chosen_layer, last_convolution, layers_of
from dlcli.visualizing.watching import outputs_and_seen

_MAPS, _LAYERS, _MAPS_OF_ONE = 10, 20, 64
_STRIP = 16  # numbers in a row of a tile that shows a vector
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
    [picture] = subject.pictures()
    model = subject.model
    layers = dict([chosen_layer(model, asked)]) if asked is not None else layers_of(model)
    found = layer_outputs(model, subject.prepared(), layers)
    title = f"{subject.name}: what its layers make of {subject.names[0]}"
    if asked is not None:
        [(path, output)] = found.items()
        tiles = [Tile(picture, "picture"), *_tiles(output[0], _MAPS_OF_ONE)]
        note = sentences([_limited(output, _MAPS_OF_ONE), f"{path}: {_shape(output)}, {_range(output)}."])
        return sheet(title, wrapped(tiles, 9), note)
    shown = [path for path, layer in layers.items() if path in found and type(layer).__name__ not in _UNCHANGED]
    chosen = [shown[at] for at in spread(len(shown), _LAYERS)]
    rows = [Row([Tile(picture)], subject.names[0], "×".join(map(str, picture.shape)))]
    rows += [Row(list(_tiles(found[path][0], _MAPS)), path, f"{_shape(found[path])}, {_range(found[path])}")
             for path in chosen]  # fmt: skip
    fewer = f"{len(chosen)} of {len(shown)} layers, at equal distances." if len(chosen) < len(shown) else ""
    what = f"The first {_MAPS} maps of each layer, each from its least number, dark, to its largest; numbers without a "
    what += "place row by row. --layer NAME shows more of one."
    return sheet(title, rows, sentences([fewer, what]))


def layer_outputs(model: Any, inputs: Any, layers: dict[str, Any]) -> dict[str, Array]:
    """What these layers give for prepared inputs, by their paths; that of the last call, where there are several.

    Layers that give several tensors are left out.
    """
    _, seen = outputs_and_seen(model, inputs, layers)
    return {
        path: np.asarray(one.outputs[-1])
        for path, one in seen.items()
        if one.outputs and hasattr(one.outputs[-1], "shape")
    }


def _tiles(values: Array, most: int) -> list[Tile]:
    """Maps of shape (height, width, channels), one by one; other numbers as one block."""
    if values.ndim == 3:
        return [Tile(_stretched(values[..., at])) for at in range(min(most, values.shape[-1]))]
    if values.ndim == 2:
        return [Tile(_stretched(values))]
    flat = values.reshape(-1)[: _STRIP * _STRIP]
    rows = -(-len(flat) // _STRIP)
    padded = np.pad(flat.astype(np.float64), (0, rows * _STRIP - len(flat)), constant_values=np.nan)
    pixels = _stretched(padded)
    pixels[np.isnan(padded)] = 244
    return [Tile(pixels.reshape(rows, _STRIP, 3) if len(flat) > _STRIP else pixels[: len(flat)][None])]


def _stretched(values: Array) -> Array:
    low = float(np.nanmin(values))
    return by_size(np.nan_to_num(values - low), float(np.nanmax(values)) - low)


def _shape(output: Array) -> str:
    return "×".join(map(str, output.shape[1:])) or "one number"


def _range(output: Array) -> str:
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
        CheckpointError: the model has no convolution, or takes no pictures.
        UsageError: there is no such layer or filter.
    """
    pictures = subject.pictures()
    path, layer = last_convolution(subject.model, asked)
    strongest = strongest_answers(subject, path, layer)
    count = strongest.shape[1]
    if filters is not None and filters > count:
        raise UsageError(f"--filter {filters}: {path} has {count} filters.")
    chosen = range(min(count, _FILTERS)) if filters is None else [filters - 1]
    best = _BEST if filters is None else 4 * _BEST
    rows = []
    for at in chosen:
        order = np.argsort(-strongest[:, at], kind="stable")[:best]
        tiles = [Tile(pictures[row], f"{number(float(strongest[row, at]))}") for row in order]
        never = "never above 0" if strongest[:, at].max() <= 0 else ""
        parts = wrapped(tiles, _BEST)
        rows += [Row(parts[0].tiles, f"filter {at + 1}", never), *parts[1:]]
    title = f"{subject.name} · {path}: what most excites its filters"
    limit = limited(count, _FILTERS, "filters; --filter NUMBER shows another") if filters is None else ""
    what = f"Of {len(pictures):,} pictures, those where a filter answers most anywhere; the number is that answer."
    return sheet(title, rows, sentences([limit, what]))


def strongest_answers(subject: Subject, path: str, layer: Any) -> Array:
    """The largest number of each map of a layer, for each example: shape (n, filters)."""
    parts = []
    for batch in subject.batches():
        _, seen = outputs_and_seen(subject.model, batch, {path: layer})
        parts.append(np.asarray(seen[path].outputs[-1]).max(axis=(1, 2)))
    return np.concatenate(parts)
