"""The charts of a report on several folds: a curve of each in one chart, and what each has come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from dlcli.report.drawing import COLORS, Chart, chart_of, epoch_axis, finite_only, new_figure, widen_range

_PLACES = {"train": "train", "validation": "held", "test": "good"}  # and colours
_BESIDE = 0.12  # of the place between two folds


def fold_curves(
    name: str, train: Sequence[Sequence[float]], held_out: Sequence[Sequence[float]], best: Sequence[int | None]
) -> Chart:
    """A figure of each epoch and fold, in training and validation, and the best epochs.

    Args:
        name: of the figure.
        train: the curve of each fold.
        held_out: the same of validation; empty curves where nothing is held out.
        best: the best epoch of each fold, counted from 1; None where it is not known.
    """
    figure, axis = new_figure()
    epochs = max(map(len, train))
    for curves, color, label in ((train, "train", "training"), (held_out, "held", "validation")):
        marker = "o" if epochs == 1 else None
        for curve in curves:
            axis.plot(
                range(1, len(curve) + 1), finite_only(curve), color=COLORS[color], alpha=0.55, linewidth=1.2,
                marker=marker, markersize=4, label=label if curve is curves[0] else None,
            )  # fmt: skip
    for curve, at in zip(held_out if any(held_out) else train, best, strict=True):
        if at is not None and at <= len(curve):
            axis.plot([at], finite_only(curve)[[at - 1]], "o", color=COLORS["good"], markersize=4.5)
    every = [value for curves in (train, held_out) for curve in curves for value in curve]
    widen_range(axis, every)
    epoch_axis(axis, epochs)
    if any(held_out):
        axis.legend(loc="best")
    lost = sum(not np.isfinite(value) for value in every)
    note = "A line for each fold. Points: the best epochs."
    note = f"{note} {lost} of the values are no numbers and not drawn." if lost else note
    return chart_of(figure, name, name.replace("_", " "), f"{name} by epoch, a line for each of the folds", note)


def by_fold(name: str, each: Mapping[str, Mapping[int, float]], means: Mapping[str, float]) -> Chart:
    """A figure of the best epoch of each fold, on each split; lines are the means.

    Args:
        name: of the figure.
        each: by split, then by the number of the fold.
        means: by split.
    """
    figure, axis = new_figure()
    for at, (split, values) in enumerate(each.items()):
        color = COLORS[_PLACES.get(split, "other")]
        places = np.array(list(values)) + _BESIDE * (at - (len(each) - 1) / 2)
        axis.plot(places, finite_only(list(values.values())), "o", color=color, markersize=5.5, label=split)
        if np.isfinite(means.get(split, np.nan)):
            axis.axhline(means[split], color=color, linewidth=0.9, linestyle=(0, (3, 3)))
    folds = {number for values in each.values() for number in values}
    axis.set_xlim(min(folds) - 0.5, max(folds) + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(min(10, len(folds)), integer=True))
    axis.set_xlabel("fold")
    axis.margins(y=0.22)  # with room for the legend above all points
    axis.legend(loc="upper center", ncols=max(1, len(each)))
    title = f"{name.replace('_', ' ')} by fold"
    return chart_of(figure, f"{name}_by_fold", title, f"{name} of each fold and split", "Dashed: the means.")
