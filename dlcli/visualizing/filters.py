"""The filters of a convolution as pictures, and histograms of all weights: from the numbers in a file alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.data.dataset import Array
from dlcli.errors import CheckpointError, UsageError
from dlcli.figures import number
from dlcli.report.drawing import COLORS, plain
from dlcli.visualizing.sheet import Row, Tile, limited, sentences, sheet, signed, wrapped
from dlcli.visualizing.stored_weights import LayerWeights, chosen_path

_FILTERS = ("Conv1D", "Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Conv1DTranspose")
_TRANSPOSED = ("Conv2DTranspose", "Conv1DTranspose")
_COLORED = 3
_OF_ONE_DIMENSION = 3  # axes of such a kernel
_COLORS = "Grey is 0, a bright colour a positive weight of this channel, a dark one a negative one."
_OWN_SCALE = "Each filter has a scale of its own."
_SIGNS = "Orange is above 0, blue below it, white 0."
_ROWS, _COLUMNS = 16, 16
_MOST_FILTERS, _MOST_LAYERS = 64, 36
_BINS = 60


def filters(name: str, layers: Sequence[LayerWeights], asked: str | None) -> Figure:
    """The filters of a layer: in colour where it reads three channels; a row a filter where it reads others.

    Args:
        name: of the model, for the title.
        layers: all that have weights.
        asked: the layer; the first convolution if None.

    Raises:
        UsageError: there is no such layer, or it is no convolution.
        CheckpointError: the model has no convolution.
    """
    layer = _convolution(layers, asked)
    kernel = _kernel(layer)
    *_, channels, count = kernel.shape
    size = "×".join(map(str, kernel.shape[:-1]))
    title = f"{name} · {layer.path}: {count:,} filter{'s' if count != 1 else ''} of {size}"
    is_flat = kernel.ndim == _OF_ONE_DIMENSION
    if channels not in (1, _COLORED) and not is_flat:
        return _by_channel(title, kernel)
    shown = range(min(count, _MOST_FILTERS))
    tiles = [Tile(_alone(kernel[..., at]), f"{at + 1}" if count > 1 else "") for at in shown]
    what = _SIGNS if is_flat or channels == 1 else _COLORS
    along = "A row is a channel that it reads, from left to right in time." if is_flat else ""
    note = sentences([limited(count, _MOST_FILTERS, "filters"), what, along, _OWN_SCALE])
    return sheet(title, wrapped(tiles, 8 if count > 4 else count), note)


def _by_channel(title: str, kernel: Array) -> Figure:
    """A row a filter of (height, width, channels, filters), a column a channel."""
    *_, channels, count = kernel.shape
    rows = []
    for at in range(min(count, _ROWS)):
        most = float(np.abs(kernel[..., at]).max())
        tiles = [Tile(signed(kernel[..., channel, at], most)) for channel in range(min(channels, _COLUMNS))]
        rows.append(Row(tiles, f"filter {at + 1}"))
    limits = [limited(count, _ROWS, "filters"), limited(channels, _COLUMNS, "channels that they read")]
    what = "A row a filter, a column a channel that it reads."
    return sheet(title, rows, sentences([*limits, what, _SIGNS, _OWN_SCALE]), side=56)


def _alone(kernel: Array) -> Array:
    """One filter, of shape (height, width, 1 or 3), or (length, channels), as pixels."""
    if kernel.ndim == 2:
        return signed(kernel.T)
    if kernel.shape[-1] == 1:
        return signed(kernel[..., 0])
    scaled = 0.5 + kernel.astype(np.float64) / (2 * float(np.abs(kernel).max()) or 1.0)
    return np.asarray(np.round(255 * np.clip(scaled, 0, 1))).astype(np.uint8)


def _convolution(layers: Sequence[LayerWeights], asked: str | None) -> LayerWeights:
    fitting = [layer for layer in layers if layer.class_name in _FILTERS]
    names = ", ".join(layer.path for layer in fitting)
    if asked is not None:
        path = chosen_path(asked, [layer.path for layer in layers], "layer with weights")
        layer = next(layer for layer in layers if layer.path == path)
        if layer not in fitting:
            hint = f"These are convolutions: {names}." if fitting else "`dlcli visualize weights` shows any layer."
            raise UsageError(f"--layer {asked} is a {layer.class_name}, which has no filters.", hint)
        return layer
    if not fitting:
        raise CheckpointError("The model has no convolution of one or two dimensions, so it has no filters to show.",
                              "`dlcli visualize weights` shows the weights of any model.")  # fmt: skip
    return fitting[0]


def _kernel(layer: LayerWeights) -> Array:
    """The filters, of shape (height, width, channels, filters), or (length, channels, filters)."""
    depthwise = layer.arrays.get("depthwise_kernel", layer.arrays.get("kernel"))
    if depthwise is None:
        raise CheckpointError(
            f"The weights of {layer.path} are called {', '.join(layer.arrays)}: no `kernel` is there."
        )
    kernel = np.asarray(depthwise)
    if layer.class_name in _TRANSPOSED:
        return np.swapaxes(kernel, -1, -2)
    if layer.class_name in ("DepthwiseConv2D", "SeparableConv2D"):
        return kernel.reshape(*kernel.shape[:2], 1, -1)  # each reads one channel
    return kernel


def weights(name: str, layers: Sequence[LayerWeights], asked: str | None) -> Figure:
    """Histograms of the weights, an axis for each array of each layer; of one layer, or of all.

    Raises:
        UsageError: there is no such layer.
    """
    if asked is not None:
        path = chosen_path(asked, [layer.path for layer in layers], "layer with weights")
        layers = [layer for layer in layers if layer.path == path]
    each = [(layer.path, key, array) for layer in layers for key, array in layer.arrays.items() if array.size]
    shown = each[:_MOST_LAYERS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    height = 1.75 * rows + 0.5
    figure = Figure(figsize=(max(4.4, 3.1 * columns), height))
    figure.suptitle(plain(f"{name}: weights by layer", 80), x=0.02, y=1 - 0.12 / height, ha="left", va="top",
                    fontsize=10.5, fontweight="bold")  # fmt: skip
    bottom = 0.42 / height
    for at, (path, key, array) in enumerate(shown):
        row, column = divmod(at, columns)
        place = ((column + 0.13) / columns, bottom + (rows - 1 - row) * 1.75 / height, 0.82 / columns, 1.05 / height)
        _histogram(figure.add_axes(place), path, key, array)
    note = limited(len(each), _MOST_LAYERS, "arrays of weights; --layer NAME shows others")
    figure.text(0.02, 0.08 / height, note, fontsize=7, color=COLORS["muted"])
    return figure


def _histogram(axis: Axes, path: str, key: str, array: Array) -> None:
    values = np.asarray(array, np.float64).ravel()
    finite = values[np.isfinite(values)]
    lost = f", {values.size - finite.size:,} no numbers" if finite.size < values.size else ""
    color = COLORS["train" if "kernel" in key or "embeddings" in key else "held"]
    if finite.size:
        axis.hist(finite, bins=min(_BINS, max(8, int(2 * finite.size**0.5))), color=color, alpha=0.9)
        axis.axvline(0, color=COLORS["muted"], linewidth=0.8, linestyle=(0, (3, 3)))
    axis.set_title(f"{plain(path, 26)} · {plain(key, 18)}", fontsize=8, loc="left", pad=15, color=COLORS["ink"])
    mean, deviation = (number(float(finite.mean())), number(float(finite.std()))) if finite.size else ("–", "–")
    facts = f"{'×'.join(map(str, array.shape)) or 'one number'}, mean {mean}, deviation {deviation}{lost}"
    axis.text(0, 1.03, facts, transform=axis.transAxes, fontsize=6.5, color=COLORS["muted"], va="bottom")
    axis.tick_params(labelsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.yaxis.set_major_locator(MaxNLocator(3, integer=True))
