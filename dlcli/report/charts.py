"""The charts of a report on one run. Nothing here knows of runs or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.data.dataset import Array
from dlcli.report.drawing import (
    COLORS,
    DOTS_AN_INCH,
    Chart,
    chart_of,
    epoch_axis,
    finite_only,
    new_figure,
    plain,
    png_of,
    rgb,
    thinned,
    widen_range,
)

_FEW = 2  # epochs that are drawn as points, too
_WRITTEN_CLASSES, _NAMED_CLASSES, _LONGEST_NAME = 12, 30, 14
_MOST_POINTS = 2_000
_SIDE, _CAPTION = 112, 28  # pixels of a picture in a grid, and between two
_BINS = 10


def curves(name: str, train: Sequence[float], held_out: Sequence[float], best_epoch: int | None) -> Chart:
    """A figure of each epoch, in training and validation; the best epoch is marked."""
    figure, axis = new_figure()
    epochs = range(1, len(train) + 1)
    marker = "o" if len(train) <= _FEW else None
    axis.plot(epochs, finite_only(train), color=COLORS["train"], label="training", marker=marker, markersize=4)
    if len(held_out):
        axis.plot(epochs, finite_only(held_out), color=COLORS["held"], label="validation", marker=marker, markersize=4)
    watched = held_out if len(held_out) else train
    if best_epoch is not None and best_epoch <= len(watched):
        axis.axvline(best_epoch, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
        best = [best_epoch], [finite_only(watched)[best_epoch - 1]]
        look = {"markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1.6} if marker else {"markersize": 5.5}
        axis.plot(*best, "o", color=COLORS["good"], **look)
    widen_range(axis, [*train, *held_out])
    epoch_axis(axis, len(train))
    lost = sum(not np.isfinite(value) for value in [*train, *held_out])
    if len(held_out):
        axis.legend(loc="best")
    note = f"Best epoch: {best_epoch}." if best_epoch is not None else ""
    if lost:
        which = f"{lost} of the values are no numbers and" if lost > 1 else "One of the values is no number and"
        note = f"{note} {which} not drawn.".strip()
    shown = "training and validation" if len(held_out) else "training"
    return chart_of(figure, name, name.replace("_", " "), f"{name} of {shown} by epoch", note)


def rates(values: Sequence[float]) -> Chart:
    """The learning rate of each epoch."""
    figure, axis = new_figure()
    axis.plot(range(1, len(values) + 1), finite_only(values), color=COLORS["other"])
    finite = [value for value in values if np.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > 50 * min(finite):
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda value, place: f"{value:.3g}")
    epoch_axis(axis, len(values))
    return chart_of(figure, "learning_rate", "learning rate", "The learning rate by epoch")


def confusion(names: Sequence[str], matrix: Sequence[Sequence[int]], prefix: str = "") -> Chart:
    """The confusion matrix: a row a true class, a column a predicted one; coloured by the share of the row."""
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    are_written, are_named = len(names) <= _WRITTEN_CLASSES, len(names) <= _NAMED_CLASSES
    with_numbers = are_named and (len(names) > _WRITTEN_CLASSES or max(map(len, names)) > _LONGEST_NAME)
    figure = Figure(figsize=(4.7, 4.3))
    labels = [f"{at}" for at in range(len(names))] if with_numbers else [plain(name) for name in names]
    left = 0.13 if not are_named or with_numbers else 0.11 + 0.016 * max(map(len, names))
    is_slanted = not with_numbers and sum(map(len, names)) > 40
    bottom = 0.12 if not is_slanted else 0.11 + 0.013 * max(map(len, names))
    axis = figure.add_axes((left, bottom, 0.98 - left, 0.98 - bottom))
    pixels = np.zeros((*counts.shape, 4))
    on, off = np.eye(len(names), dtype=bool), ~np.eye(len(names), dtype=bool)
    for where, color in ((on, "good"), (off, "bad")):
        pixels[where, :3] = rgb(color)
    strength = np.where(shares > 0, 0.12 + 0.83 * np.sqrt(shares), 0.0)
    pixels[..., 3] = np.where(on, 0.12 + 0.83 * shares, strength) * (shares > 0)
    axis.imshow(pixels, aspect="auto", interpolation="nearest")
    axis.grid(visible=False)
    if are_named:
        axis.set_xticks(
            range(len(names)), labels, rotation=40 if is_slanted else 0, ha="right" if is_slanted else "center"
        )
        axis.set_yticks(range(len(names)), labels)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    if len(names) > _WRITTEN_CLASSES:
        axis.tick_params(labelsize=7)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    if are_written:
        size = 9 if len(names) <= 8 and counts.max() < 10_000 else 7.5
        for row, column in np.ndindex(counts.shape):
            count, alpha = int(counts[row, column]), pixels[row, column, 3]
            color = COLORS["paper"] if alpha > 0.55 else COLORS["ink"] if count else COLORS["muted"]
            axis.text(column, row, f"{count}" if count else "·", ha="center", va="center", fontsize=size, color=color)
    note = "Numbers stand for the classes in the order of the table." if with_numbers or not are_named else ""
    alt = f"Confusion matrix of {len(names)} classes: {int(counts.diagonal().sum())} of {int(counts.sum())} right"
    return chart_of(figure, f"{prefix}confusion", "confusion matrix", alt, note)


def line(
    name: str, title: str, points: tuple[Array, Array], labels: tuple[str, str], *, chance: bool = False,
    mark: tuple[float, float] | None = None, note: str = "", floor: float | None = None,
) -> Chart:  # fmt: skip
    """A curve from 0 to 1 in both directions, with the line that chance would give, if asked for."""
    figure, axis = new_figure()
    axis.plot(*thinned(*points), color=COLORS["train"])
    if chance:
        axis.plot([0, 1], [0, 1], color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    if floor is not None:
        axis.axhline(floor, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    if mark is not None:
        axis.plot([mark[0]], [mark[1]], "o", color=COLORS["good"], markersize=5.5)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.04)
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    return chart_of(figure, name, title, f"{title}: {labels[1]} by {labels[0]}", note)


def lines(
    name: str, title: str, x: Array, each: Mapping[str, Array], label: str, mark: float | None = None, note: str = ""
) -> Chart:
    """Several curves from 0 to 1 over the same axis, a value of which is marked."""
    figure, axis = new_figure()
    for (what, values), color in zip(each.items(), ("train", "held", "good"), strict=False):
        axis.plot(*thinned(x, values), color=COLORS[color], label=what)
    if mark is not None:
        axis.axvline(mark, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.2)  # with room for the legend above all curves
    axis.set_yticks(np.linspace(0, 1, 6))
    axis.set_xlabel(label)
    axis.legend(loc="upper center", ncols=3)
    return chart_of(figure, name, title, f"{', '.join(each)} by {label}", note)


def calibration(sureness: Array, is_right: Array, prefix: str = "") -> Chart:
    """How often answers of some sureness are right; and how many there are of each."""
    bins = np.minimum((sureness * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    right = np.bincount(bins, weights=is_right, minlength=_BINS)
    sums = np.bincount(bins, weights=sureness, minlength=_BINS)
    there = counts > 0
    shares, means = right[there] / counts[there], sums[there] / counts[there]
    error = float((counts[there] * abs(shares - means)).sum() / max(1, counts.sum()))
    figure, axis = new_figure()
    axis.plot([0, 1], [0, 1], color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    middles = (np.arange(_BINS) + 0.5) / _BINS
    axis.bar(middles, counts / max(1, counts.max()) * 0.3, width=0.085, color=COLORS["faint"])
    axis.plot(means, shares, color=COLORS["train"], marker="o", markersize=4)
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.02, 1.04)
    axis.set_xlabel("probability of the answer")
    axis.set_ylabel("share that is right")
    note = f"On the dashed line probabilities mean what they say. Mean distance from it: {error:.3f}. Bars: how many."
    return chart_of(
        figure, f"{prefix}calibration", "calibration", "How often answers are right, by their probability", note
    )


def predicted_true(truth: Array, predicted: Array, prefix: str = "") -> Chart:
    """Predicted against true numbers, and the line where they are equal."""
    figure, axis = new_figure(height=3.6)
    chosen = _chosen(len(truth))
    axis.scatter(truth[chosen], predicted[chosen], s=9, color=COLORS["train"], alpha=0.7, linewidths=0)
    both = np.concatenate([truth, predicted])
    both = both[np.isfinite(both)]
    if len(both):
        ends = [float(both.min()), float(both.max())]
        axis.plot(ends, ends, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    axis.set_xlabel("true")
    axis.set_ylabel("predicted")
    return chart_of(
        figure, f"{prefix}predicted", "predicted against true", "Predicted against true numbers", _fewer(truth)
    )


def residuals(errors: Array, prefix: str = "") -> Chart:
    """How far predictions are off: a histogram."""
    figure, axis = new_figure(height=3.6)
    finite = errors[np.isfinite(errors)]
    axis.hist(finite, bins=min(40, max(5, int(np.sqrt(len(finite))))), color=COLORS["train"], alpha=0.85)
    axis.axvline(0, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (3, 3)))
    axis.set_xlabel("predicted less true")
    axis.set_ylabel("examples")
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    mean, spread = (float(finite.mean()), float(finite.std())) if len(finite) else (np.nan, np.nan)
    note = f"Mean {mean:.3g}, standard deviation {spread:.3g}."
    return chart_of(figure, f"{prefix}residuals", "residuals", "How far predictions are off", note)


def points(places: Array, colors: Sequence[str], regions: Any = None, note: str = "", prefix: str = "") -> Chart:
    """Examples of two numbers in the plane, over what the model says everywhere around them."""
    figure, axis = new_figure(height=4.0)
    if regions is not None:
        pixels, extent = regions
        axis.imshow(pixels, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    chosen = _chosen(len(places))
    shown = [COLORS.get(colors[at], colors[at]) for at in chosen]
    size = 12 if len(places) > 100 else 45
    axis.scatter(places[chosen, 0], places[chosen, 1], s=size, c=shown, linewidths=0.5, edgecolors=COLORS["paper"])
    axis.grid(visible=False)
    return chart_of(figure, f"{prefix}plane", "the plane", "Examples in the plane, and what the model says there", note)


def grid(pictures: Sequence[tuple[Array, str, bool | None]]) -> bytes:
    """A PNG file of pictures with captions: right in green, wrong in red, neither in ink.

    They are put together as one picture: an axis for each would take seconds.
    """
    columns = min(6, len(pictures))
    rows = -(-len(pictures) // columns)
    pitch = _SIDE + _CAPTION
    canvas = np.full((rows * pitch, columns * pitch, 3), 255, np.uint8)
    figure = Figure(figsize=(columns * pitch / DOTS_AN_INCH, rows * pitch / DOTS_AN_INCH))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    for at, (pixels, caption, is_right) in enumerate(pictures):
        row, column = divmod(at, columns)
        top, left = row * pitch + _CAPTION - 4, column * pitch + _CAPTION // 2
        color = COLORS["ink" if is_right is None else "good" if is_right else "bad"]
        canvas[top - 2 : top + _SIDE + 2, left - 2 : left + _SIDE + 2] = np.array(to_rgba(color)[:3]) * 255
        canvas[top : top + _SIDE, left : left + _SIDE] = squared(pixels)
        axis.text(left + _SIDE / 2, top - 6, plain(caption, 16), ha="center", va="bottom", fontsize=7, color=color)
    axis.imshow(canvas, interpolation="nearest")
    return png_of(figure)


def squared(pixels: Array, side: int = _SIDE, beside: int = 128) -> Array:
    """A picture in colour, `side` pixels high and wide; the nearest of its pixels, and grey (`beside`) next to it."""
    height, width = pixels.shape[:2]
    scale = max(height, width) / side
    down, across = (
        np.minimum((np.arange(max(1, round(size / scale))) * scale).astype(int), size - 1) for size in (height, width)
    )
    shown = pixels[down][:, across]
    square = np.full((side, side, 3), beside, np.uint8)
    top, left = (side - len(down)) // 2, (side - len(across)) // 2
    square[top : top + len(down), left : left + len(across)] = shown if shown.ndim == 3 else shown[..., None]
    return square


def _chosen(count: int) -> Array:
    if count <= _MOST_POINTS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, _MOST_POINTS, replace=False))


def _fewer(values: Array) -> str:
    return f"{_MOST_POINTS:,} of {len(values):,} examples, drawn by chance." if len(values) > _MOST_POINTS else ""
