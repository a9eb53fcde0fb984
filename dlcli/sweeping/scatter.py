"""The charts of parameters of a sweep: the value against each, and one against another, coloured by the value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from dlcli.report.drawing import COLORS, Chart, chart_of, new_figure, plain
from dlcli.spec.writing import to_flow
from dlcli.sweeping.charts import KINDS, MANY, ValueScale, counted, draw, make_logarithmic, make_room, put_key
from dlcli.sweeping.naming import value_text
from dlcli.sweeping.result import CHOICE, COMPLETE, INTEGER, MAXIMIZE, Parameter, SweepResult, Trial

_NAMED = 12  # choices that are named on an axis
_LONGEST = 16  # characters of one
_LONGEST_PART = 30  # characters of a name in that of a file
_FLAT = 44  # characters beside each other, if all were as long as the longest
_ASIDE = 0.5  # how far around its choice a trial may stand, so that it does not hide others
_GOLDEN = 0.618034


def against(result: SweepResult, parameter: Parameter, name: str) -> Chart | None:
    """The value of each trial against that of a parameter; None if no trial that is drawn has it."""
    having = [trial for trial in result.trials if parameter.path in trial.values and trial.state in KINDS]
    if not having:
        return None
    place = Places(parameter, having)
    figure, axis = new_figure(2.9 + place.extra)
    scale = ValueScale(axis, result)
    for state, (marker, color) in KINDS.items():
        trials = [trial for trial in having if trial.state == state]
        draw(axis, [place.of(trial) for trial in trials], scale.heights(trials), state, marker, color)
    best = result.best()
    if best in having and best is not None and best.value is not None:
        axis.plot([place.of(best)], scale.placed([best.value]), "o", color=COLORS["good"], markersize=6.5, zorder=4)
    place.put(figure, axis, "x")
    put_key(figure, axis, result)
    axis.set_xlabel(plain(name, 48))
    alt = f"{result.metric} against {name}, a point for each trial"
    return chart_of(
        figure,
        f"value_{file_part(result, parameter, name)}",
        name,
        alt,
        " ".join([*_without(result, having), scale.note]).strip(),
    )


def pair(result: SweepResult, first: Parameter, second: Parameter, names: tuple[str, str]) -> Chart | None:
    """One parameter against another, each complete trial coloured by its value; None if no trial has both."""
    both = [
        trial for trial in result.trials
        if first.path in trial.values and second.path in trial.values and trial.state in KINDS
    ]  # fmt: skip
    ranked = [trial for trial in both if trial.is_ranked]
    if not both:
        return None
    across, up = Places(first, both), Places(second, both)
    height = 3.5 + across.extra
    figure = Figure(figsize=(4.7, height))
    bottom = (0.46 + across.extra) / height
    left = 0.155 if second.kind != CHOICE else up.margin
    axis = figure.add_axes((left, bottom, 0.83 - left, 0.965 - bottom))
    for state, (marker, color) in KINDS.items():
        trials = [trial for trial in both if trial.state == state and state != COMPLETE]
        draw(axis, [across.of(one) for one in trials], [up.of(one) for one in trials], state, marker, color)
    if ranked:
        _colored(figure, axis, result, ranked, (across, up))
    across.put(figure, axis, "x", has_room=True)
    up.put(figure, axis, "y")
    put_key(figure, axis, result, colored=True)
    axis.set_xlabel(plain(names[0], 48))
    axis.set_ylabel(plain(names[1], 40))
    title = f"{names[1]} against {names[0]}"
    alt = f"{title}, a point for each trial, coloured by {result.metric}"
    files = [file_part(result, one, name) for one, name in zip((first, second), names, strict=True)]
    return chart_of(figure, f"pair_{'_'.join(files)}", title, alt, " ".join(_without(result, both)))


def file_part(result: SweepResult, parameter: Parameter, name: str) -> str:
    """What stands for a parameter in the name of a file: its number from 1, so that no two are the same."""
    return f"{result.parameters.index(parameter) + 1}_{name[:_LONGEST_PART]}"


def _colored(
    figure: Figure, axis: Axes, result: SweepResult, trials: Sequence[Trial], places: tuple[Places, Places]
) -> None:
    """Trials coloured by their value, the best in front, and the bar that tells what the colours mean."""
    across, up = places
    values = np.asarray([trial.value for trial in trials], dtype=np.float64)
    scale = ValueScale(Figure().add_subplot(), result, list(values))
    norm = (LogNorm if scale.is_logarithmic else Normalize)(scale.low, scale.high, clip=True)
    colors = _colors(result.direction)
    order = np.argsort(values if result.direction == MAXIMIZE else -values, kind="stable")
    shown = [trials[at] for at in order]
    axis.scatter(
        [across.of(one) for one in shown], [up.of(one) for one in shown], s=30, c=values[order], cmap=colors, norm=norm,
        edgecolors=COLORS["muted"], linewidths=0.4, rasterized=len(shown) > MANY, zorder=3, clip_on=False,
    )  # fmt: skip
    best = shown[-1]
    axis.plot([across.of(best)], [up.of(best)], "o", markersize=10, markeredgewidth=1.6, markerfacecolor="none",
              markeredgecolor=COLORS["good"], zorder=4)  # fmt: skip
    box = axis.get_position()
    bar = figure.add_axes((0.855, box.y0, 0.022, box.height))
    figure.colorbar(ScalarMappable(norm, colors), cax=bar, format=lambda value, place: f"{value:.3g}")
    bar.yaxis.set_minor_locator(NullLocator())
    bar.grid(visible=False)
    bar.spines["outline"].set_visible(False)
    bar.set_title(plain(result.metric, 16), fontsize=8, color=COLORS["muted"], pad=5, loc="center")
    make_room(figure, bar)


def _colors(direction: str) -> Colormap:
    """From what is bad to what is good, seen on light and on dark paper."""
    steps = np.linspace(0.12, 0.93, 256)
    return ListedColormap(colormaps["viridis"](steps if direction == MAXIMIZE else steps[::-1]))


def _told_apart(texts: Sequence[str]) -> list[str]:
    """Choices with room for few characters: their ends, where several begin alike."""
    labels = [plain(text, _LONGEST) for text in texts]
    return [
        label if labels.count(label) == 1 or len(text) <= _LONGEST else plain(f"…{text[1 - _LONGEST :]}", _LONGEST)
        for text, label in zip(texts, labels, strict=True)
    ]


def _without(result: SweepResult, having: Sequence[Trial]) -> list[str]:
    """A sentence on the trials that do not have what is drawn; none if all have it."""
    ended = sum(trial.state in KINDS for trial in result.trials)
    lacking = ended - len(having)
    return [f"{counted(lacking, 'trial does', 'trials do')} not have it."] if lacking else []


class Places:
    """Where on an axis the values of a parameter are.

    Attributes:
        extra: inches that the labels need more than numbers do, below the axis.
        margin: the share of the figure's width that they need, left of it.
    """

    def __init__(self, parameter: Parameter, trials: Sequence[Trial]) -> None:
        self.parameter = parameter
        self._rows: dict[str, int] = {}
        self._labels: Sequence[str] = ()
        self.extra, self.margin = 0.0, 0.155
        if parameter.kind == CHOICE:
            self._number([*parameter.choices, *(trial.values[parameter.path] for trial in trials)])
        else:
            self._numbers = [float(trial.values[parameter.path]) for trial in trials]

    def _number(self, values: Sequence[Any]) -> None:
        texts = []
        for value in values:
            if (text := to_flow(value)) not in self._rows:
                self._rows[text] = len(self._rows)
                texts.append(value_text(value))
        self._labels = _told_apart(texts)
        longest = max(map(len, self._labels))
        self.margin = min(0.4, 0.11 + 0.0145 * longest)
        if self._is_slanted:
            self.extra = 0.05 * longest

    @property
    def _is_slanted(self) -> bool:
        shown = min(len(self._labels), _NAMED)
        return shown * max(map(len, self._labels)) > _FLAT

    def of(self, trial: Trial) -> float:
        """Where a trial is; those of one choice stand beside each other."""
        value = trial.values[self.parameter.path]
        if self.parameter.kind != CHOICE:
            return float(value)
        return self._rows[to_flow(value)] + _ASIDE * ((trial.number * _GOLDEN) % 1.0 - 0.5)

    def put(self, figure: Figure, axis: Axes, which: str, *, has_room: bool = False) -> None:
        """Give an axis ("x" or "y") the range that was searched, and what is written on it."""
        if self.parameter.kind == CHOICE:
            self._put_choices(axis, which)
            if which == "x" and not has_room and self.extra:
                box = axis.get_position()
                up = self.extra / figure.get_size_inches()[1]
                axis.set_position((box.x0, box.y0 + up, box.width, box.height - up))
            return
        ends = [end for end in (self.parameter.low, self.parameter.high) if end is not None]
        low, high = min([*ends, *self._numbers]), max([*ends, *self._numbers])
        limit = axis.set_xlim if which == "x" else axis.set_ylim
        if self.parameter.logarithmic and low > 0:
            make_logarithmic(axis, which, low, max(high, 2 * low))
            gap = (high / low) ** 0.05 if high > low else 1.5
            limit(low / gap, high * gap)
            return
        gap = 0.05 * (high - low) or 0.5
        limit(low - gap, high + gap)
        lines = axis.xaxis if which == "x" else axis.yaxis
        lines.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10], integer=self.parameter.kind == INTEGER))
        lines.set_major_formatter(lambda value, place: f"{value:.4g}")

    def _put_choices(self, axis: Axes, which: str) -> None:
        step = math.ceil(len(self._labels) / _NAMED)
        ticks = list(range(0, len(self._labels), step))
        labels = [self._labels[tick] for tick in ticks]
        if which == "x":
            turned: dict[str, Any] = (
                {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if self._is_slanted else {}
            )
            axis.set_xticks(ticks, labels, **turned)
            axis.set_xlim(-0.6, len(self._labels) - 0.4)
        else:
            axis.set_yticks(ticks, labels)
            axis.set_ylim(-0.6, len(self._labels) - 0.4)
        axis.tick_params(axis="x" if which == "x" else "y", labelsize=8)
