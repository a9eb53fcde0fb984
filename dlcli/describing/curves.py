"""The curves of several trainings in one picture: a row a figure, training at the left, validation at the right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dlcli.describing.drawing import FAINT, INK, plain, save
from dlcli.errors import UsageError

# From dark to light, so that neighbours differ on a grey print as well; then those between.
_COLORS = ("#1d3461", "#c8443c", "#35a595", "#f0ad35", "#7b4fa3", "#6fa8dc", "#6b4a2b", "#9a9a9a")
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 1.6), (1.6, 1.3), (7, 1.6, 1.6, 1.6))
_LOGARITHMIC_FROM = 20.0  # how many times the least value the largest one is
_LEGEND_WIDTH = 108  # characters in a line of it
_NO_FIGURES = ("epoch", "learning_rate", "seconds")


@dataclass(frozen=True)
class Curves:
    """One training.

    Attributes:
        label: what it is called in the legend.
        rows: its epochs, as history.csv has them.
        best_epoch: which one is the best, counted from 1; None if that is not known.
        main: the figure that tells most of it, beside the loss.
    """

    label: str
    rows: Sequence[Mapping[str, float]]
    best_epoch: int | None
    main: str | None


def draw_curves(curves: Sequence[Curves], path: Path, figures: Sequence[str] = ()) -> None:
    """Draw trainings into a file.

    Args:
        curves: the trainings, of whatever lengths and figures.
        path: of a .png, .svg or .pdf file.
        figures: what to draw, such as `accuracy`; the loss and the main figure of each if left out.

    Raises:
        UsageError: there is nothing to draw.
        RunError: the file cannot be written.
    """
    known = list(dict.fromkeys(name.removeprefix("val_") for one in curves for row in one.rows[:1] for name in row))
    known = [name for name in known if name not in _NO_FIGURES]
    mains = dict.fromkeys(["loss", *(one.main for one in curves if one.main)])
    rows = [name for name in figures or mains if name in known]
    if not rows:
        wanted = f" of {' or '.join(figures)}" if figures else ""
        raise UsageError(f"There are no curves{wanted} to draw.", f"The runs have {', '.join(known) or 'no epochs'}.")
    sides = ["", "val_"] if any(f"val_{name}" in row for one in curves for row in one.rows for name in rows) else [""]
    size = (4.6 * len(sides) + (1.4 if len(sides) == 1 else 0.0), 2.7 * len(rows) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(sides), squeeze=False, sharex=True, sharey="row")
    for line, name in zip(axes, rows, strict=True):
        for axis, side in zip(line, sides, strict=True):
            _panel(axis, curves, f"{side}{name}")
            axis.set_title(f"{name}, {'validation' if side else 'training'}", fontsize=10, color=INK, loc="left")
        if name == "loss" or name.endswith("_loss"):
            _scale(line[0], curves, [f"{side}{name}" for side in sides])
    for axis in axes[-1]:
        axis.set_xlabel("epoch", fontsize=9, color=INK)
    _legend(figure, curves)
    save(figure, path)


def _panel(axis: Axes, curves: Sequence[Curves], name: str) -> None:
    plain(axis)
    axis.grid(visible=True, axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    longest = max((row["epoch"] for one in curves for row in one.rows), default=1.0)
    axis.set_xlim(1 - max(0.4, 0.02 * longest), longest + max(0.4, 0.02 * longest))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    for number, one in enumerate(curves):
        points = [(row["epoch"], row.get(name, math.nan)) for row in one.rows]
        if not points:
            continue
        color, dashes = _look(number)
        axis.plot(*zip(*points, strict=True), color=color, linewidth=1.9, dashes=dashes or (None, None), zorder=3)
        best = [point for point in points if point[0] == one.best_epoch]
        axis.plot(*([x for x, _ in best], [y for _, y in best]), "o", color=color, markersize=5, zorder=4,
                  markeredgecolor="white", markeredgewidth=0.8)  # fmt: skip


def _look(number: int) -> tuple[str, tuple[float, ...]]:
    """A colour and dashes; another pair for each of the first 32."""
    return _COLORS[number % len(_COLORS)], _DASHES[(number + number // len(_COLORS)) % len(_DASHES)]


def _scale(axis: Axes, curves: Sequence[Curves], names: Sequence[str]) -> None:
    """A logarithmic axis for what falls by far; its neighbours share it."""
    values = [row[name] for one in curves for row in one.rows for name in names if name in row]
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > _LOGARITHMIC_FROM * min(finite):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, curves: Sequence[Curves]) -> None:
    lines = []
    for number, one in enumerate(curves):
        color, dashes = _look(number)
        lines.append(Line2D([], [], color=color, linewidth=1.9, dashes=dashes or (None, None), label=one.label))
    if any(one.best_epoch for one in curves):
        lines.append(Line2D([], [], color=INK, marker="o", markersize=5, linestyle="none", label="best epoch"))
    longest = max(len(str(line.get_label())) for line in lines) + 6
    columns = max(1, min(len(lines), int(_LEGEND_WIDTH * figure.get_figwidth() / 9.2) // longest))
    by_row = [line for column in range(columns) for line in lines[column::columns]]  # it fills column by column
    figure.legend(handles=by_row, loc="outside upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=INK,
                  handlelength=3.2)  # fmt: skip
