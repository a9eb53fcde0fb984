"""The charts of a sweep as a whole: how its best value came, how each trial went, what each parameter matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from dlcli.data.dataset import Array
from dlcli.report.drawing import COLORS, Chart, chart_of, new_figure, plain
from dlcli.sweeping.naming import share_text
from dlcli.sweeping.result import COMPLETE, FAILED, MAXIMIZE, PRUNED, SweepResult, Trial

MANY = 1_500
"""points from which on they are drawn as one picture: each would make the page larger"""
KINDS = {COMPLETE: ("o", "train"), PRUNED: ("o", "muted"), FAILED: ("x", "bad")}
"""of the trials that are drawn: the sign, and the colour; pruned ones are not filled"""
_FAR = 3.0  # times the spread of nearly all values: what is beyond is drawn at the edge
_WIDE = 30.0  # times the least value: from there on the axis is logarithmic
_DECADES = 1.5  # of a range: in a smaller one more than the powers of ten are written
_MOST_BARS = 15
_MOST_LINES = 60
_HEADROOM = 0.22  # inches above the axes, for the key


def history(result: SweepResult) -> Chart:
    """The value of each trial, in their order, and the best one up to it."""
    figure, axis = new_figure()
    scale = ValueScale(axis, result)
    for state, (marker, color) in KINDS.items():
        trials = result.in_state(state)
        draw(axis, [trial.number for trial in trials], scale.heights(trials), state, marker, color)
    numbers, best = best_so_far(result)
    if numbers:
        last = max(trial.number for trial in result.trials)
        axis.step([*numbers, last], [*best, best[-1]], where="post", color=COLORS["good"], linewidth=1.4)
        axis.plot(numbers[-1:], scale.placed(best[-1:]), "o", color=COLORS["good"], markersize=6.5, zorder=4)
    axis.set_xlabel("trial")
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    if len(result.trials) == 1:
        axis.set_xlim(result.trials[0].number - 0.5, result.trials[0].number + 0.5)
    put_key(figure, axis, result)
    note = f"The line is the best {result.metric} up to each trial. {scale.note}".strip()
    return chart_of(figure, "history", "history", f"{result.metric} of each trial, and the best up to it", note)


def best_so_far(result: SweepResult) -> tuple[list[int], list[float]]:
    """The numbers of the trials that were better than all before them, and their values."""
    sign = 1.0 if result.direction == MAXIMIZE else -1.0
    numbers: list[int] = []
    values: list[float] = []
    for trial in result.trials:
        if trial.is_ranked and trial.value is not None and (not values or sign * trial.value > sign * values[-1]):
            numbers.append(trial.number)
            values.append(trial.value)
    return numbers, values


def courses(result: SweepResult) -> Chart | None:
    """What each trial reported after each epoch; None if none reported anything twice."""
    drawn = [trial for trial in result.trials if trial.reported]
    best = result.best()
    if not any(len(trial.reported) > 1 for trial in drawn):
        return None
    figure, axis = new_figure()
    scale = ValueScale(axis, result, [value for trial in drawn for value in trial.reported.values()])
    for state, color, width in ((PRUNED, "muted", 0.8), (COMPLETE, "train", 0.9)):
        lines = [_line(trial, scale) for trial in drawn if (trial.state == PRUNED) == (state == PRUNED)]
        strength = min(0.55, max(0.1, 25 / max(1, len(lines))))
        collection = LineCollection(
            lines, colors=COLORS[color], linewidths=width, alpha=strength, rasterized=len(lines) > _MOST_LINES
        )
        axis.add_collection(collection)
    ends = [(max(trial.reported), scale.placed([trial.reported[max(trial.reported)]])[0])
            for trial in drawn if trial.state == PRUNED]  # fmt: skip
    draw(axis, [x for x, _ in ends], [y for _, y in ends], PRUNED, *KINDS[PRUNED])
    if best is not None and len(best.reported) > 1:
        line = _line(best, scale)
        axis.plot(line[:, 0], line[:, 1], color=COLORS["good"], linewidth=1.9)
    axis.autoscale_view()
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    note = "Green: the best trial. Grey: pruned, with a circle where it ended." if ends else "Green: the best trial."
    alt = f"{result.metric} of each trial by epoch"
    return chart_of(figure, "courses", "the course of each trial", alt, f"{note} {scale.note}".strip())


def _line(trial: Trial, scale: ValueScale) -> Array:
    epochs = sorted(trial.reported)
    return np.column_stack([epochs, scale.placed([trial.reported[epoch] for epoch in epochs])])


def of_seeds(result: SweepResult) -> Chart:
    """The value of each seed of each configuration, the best mean on top."""
    shown = result.configurations()[:_MOST_BARS]
    labels = [plain(one.name, 24) for one in shown]
    height = max(1.4, 0.7 + 0.32 * len(shown))
    figure = Figure(figsize=(4.7, height))
    left = min(0.45, 0.05 + 0.0155 * max(map(len, labels)))
    axis = figure.add_axes((left, 0.46 / height, 0.96 - left, 0.98 - 0.46 / height))
    for place, one in enumerate(shown):
        each = [place] * len(one.figures)
        axis.scatter(one.figures, each, s=20, color=COLORS["train"], alpha=0.6, linewidths=0, zorder=3)
        if one.mean is not None:
            axis.errorbar(
                [one.mean], [place], xerr=[one.deviation or 0.0], fmt="|", markersize=11, color=COLORS["good"],
                markeredgewidth=1.8, elinewidth=1.2, capsize=3, zorder=4,
            )  # fmt: skip
    axis.set_yticks(range(len(shown)), labels)
    axis.tick_params(axis="y", labelcolor=COLORS["ink"])
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.xaxis.set_major_formatter(lambda value, place: f"{value:.4g}")
    axis.set_xlabel(plain(result.metric, 40))
    left_out = len(result.configurations()) - len(shown)
    more = f" {left_out} more are left out." if left_out else ""
    note = f"Points: seeds. Green: their mean, and one standard deviation to each side.{more}"
    alt = f"{result.metric} of each configuration, a point for each seed"
    return chart_of(figure, "seeds", "mean and spread", alt, note)


def importance(shares: Mapping[str, float], names: Mapping[str, str], conditional: Sequence[str] = ()) -> Chart:
    """How much each parameter matters, the most important on top.

    Args:
        shares: by path.
        names: what each is called.
        conditional: paths of those that only some trials have.
    """
    shown = list(shares.items())[:_MOST_BARS]
    labels = [f"{plain(names[path], 24)}{' *' if path in conditional else ''}" for path, _ in shown]
    height = max(1.2, 0.62 + 0.26 * len(shown))
    figure = Figure(figsize=(4.7, height))
    left = min(0.45, 0.05 + 0.0155 * max(map(len, labels)))
    axis = figure.add_axes((left, 0.46 / height, 0.93 - left, 0.98 - 0.46 / height))
    places = range(len(shown))
    values = [share for _, share in shown]
    colors = [COLORS["other" if path in conditional else "train"] for path, _ in shown]
    axis.barh(places, values, color=colors, height=0.62)
    for place, value in zip(places, values, strict=True):
        axis.text(value + 0.01, place, share_text(value), va="center", fontsize=8.5)
    axis.set_yticks(places, labels)
    axis.tick_params(axis="y", labelcolor=COLORS["ink"])
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.set_xlim(0, max(values) * 1.12 + 1e-9)
    axis.xaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("share of the variance")
    left_out = f"{len(shares) - len(shown)} less important ones are left out." if len(shares) > len(shown) else ""
    marked = "* among the trials that have it." if any(path in conditional for path, _ in shown) else ""
    alt = "How much each parameter matters: " + ", ".join(
        f"{label} {share_text(value)}" for label, value in zip(labels, values, strict=True)
    )
    return chart_of(figure, "importance", "importance", alt, f"{marked} {left_out}".strip())


class ValueScale:
    """The axis of the metric: how far it goes, and where on it a value is drawn.

    Most values decide how far it goes, so that one that is thousands of times larger does not hide all differences.

    Attributes:
        note: a sentence on the values that are not drawn, or at the edge; empty if there are none.
    """

    def __init__(self, axis: Axes, result: SweepResult, values: Sequence[float] | None = None) -> None:
        shown = [trial for trial in result.trials if trial.state in (COMPLETE, PRUNED)]
        given = [trial.value for trial in shown if trial.value is not None] if values is None else values
        finite = np.asarray([value for value in given if math.isfinite(value)], dtype=np.float64)
        lost = len(given) - len(finite)
        self.low, self.high = float(finite.min(initial=math.inf)), float(finite.max(initial=-math.inf))
        self.is_logarithmic = bool(len(finite)) and self.low > 0 and self.high > _WIDE * self.low
        beyond = 0
        if self.is_logarithmic:
            make_logarithmic(axis, "y", self.low, self.high)
        elif len(finite):
            self.low, self.high = _most(finite)
            beyond = int(((finite < self.low) | (finite > self.high)).sum())
        self._pad(axis)
        axis.set_ylabel(plain(result.metric, 40))
        if not self.is_logarithmic:
            axis.yaxis.set_major_formatter(lambda value, place: f"{value:.4g}")
        parts = [
            f"{counted(lost, 'value is', 'values are')} no finite number and not drawn." if lost else "",
            f"{counted(beyond, 'value lies', 'values lie')} beyond the edge." if beyond else "",
        ]
        self.note = " ".join(part for part in parts if part)

    def _pad(self, axis: Axes) -> None:
        if not math.isfinite(self.low):
            self._floor = 0.0
            axis.set_ylim(-0.05, 1.0)
            axis.set_yticks([])
            return
        if self.is_logarithmic:
            gap = (self.high / self.low) ** 0.07
            self._floor = self.low / gap
            axis.set_ylim(self._floor / gap**0.5, self.high * gap)
            return
        gap = 0.07 * (self.high - self.low) or 0.05 * abs(self.high) or 1.0
        self._floor = self.low - gap
        axis.set_ylim(self._floor - 0.5 * gap, self.high + gap)

    def placed(self, values: Sequence[float]) -> list[float]:
        """Where values are drawn: at the edge if they are beyond it; NaN if they are no finite numbers."""
        return [min(max(value, self.low), self.high) if math.isfinite(value) else math.nan for value in values]

    def heights(self, trials: Sequence[Trial]) -> list[float]:
        """Where trials are drawn: failed ones on the floor."""
        return [
            self._floor if trial.state == FAILED
            else math.nan if trial.value is None else self.placed([trial.value])[0]
            for trial in trials
        ]  # fmt: skip


def _most(values: Array) -> tuple[float, float]:
    """How far most values go."""
    first, last = np.quantile(values, [0.1, 0.9])
    reach = _FAR * float(last - first)
    inside = values[(values >= first - reach) & (values <= last + reach)]
    return (float(inside.min()), float(inside.max())) if reach > 0 else (float(values.min()), float(values.max()))


def draw(axis: Axes, x: Sequence[float], y: Sequence[float], state: str, marker: str, color: str) -> None:
    """Trials of a state as points."""
    if not len(x):
        return
    style: dict[str, Any] = (
        {"facecolors": "none", "edgecolors": COLORS[color]} if state == PRUNED else {"color": COLORS[color]}
    )
    axis.scatter(
        x, y, s=20, marker=marker, linewidths=1.0 if state != COMPLETE else 0, alpha=0.75, rasterized=len(x) > MANY,
        zorder=3, clip_on=False, **style,
    )  # fmt: skip


def make_logarithmic(axis: Axes, which: str, low: float, high: float) -> None:
    """Let an axis ("x" or "y") be logarithmic, with ticks that suit this range.

    Its labels are plain texts: matplotlib's formulas take most of the time of a chart.
    """
    (axis.set_xscale if which == "x" else axis.set_yscale)("log")
    lines = axis.xaxis if which == "x" else axis.yaxis
    decades = math.log10(high / low)
    lines.set_major_locator(LogLocator(subs=(1.0,) if decades > _DECADES else (1.0, 2.0, 5.0), numticks=6))
    lines.set_major_formatter(lambda value, place: f"{value:g}")
    lines.set_minor_locator(NullLocator())


def put_key(figure: Figure, axis: Axes, result: SweepResult, *, colored: bool = False) -> None:
    """What the signs mean, above the axes; room is made for it.

    Where complete trials are coloured, they have no sign, and the best one has a ring.
    """
    states = {trial.state for trial in result.trials} - ({COMPLETE} if colored else set())
    rings = ("best",) if colored else ()
    found = [(state, marker, color) for state, (marker, color) in KINDS.items() if state in states]
    if result.best() is not None:
        found.append(("best", "o", "good"))
    if not found:
        return
    signs = [
        Line2D([], [], linestyle="", marker=marker, markersize=4.5, color=COLORS[color],
               markerfacecolor="none" if state == PRUNED or state in rings else COLORS[color])
        for state, marker, color in found
    ]  # fmt: skip
    make_room(figure, axis)
    axis.legend(
        signs, [state for state, _, _ in found], loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=len(found),
        borderaxespad=0.1, handletextpad=0.1, columnspacing=1.2,
    )  # fmt: skip


def make_room(figure: Figure, axis: Axes) -> None:
    """Make the axes lower, for what stands above them."""
    box = axis.get_position()
    axis.set_position((box.x0, box.y0, box.width, box.height - _HEADROOM / figure.get_size_inches()[1]))


def counted(count: int, one: str, more: str) -> str:
    """`1 value is`, `3 values are`."""
    return f"{count:,} {one if count == 1 else more}"
