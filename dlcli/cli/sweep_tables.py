"""How a sweep looks in the terminal: the picture while it runs, and the table of its trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dlcli.cli.columns import Column, joined, lines_of
from dlcli.figures import duration, number
from dlcli.spec.characters import shortened
from dlcli.sweeping.importance import FEWEST
from dlcli.sweeping.naming import configuration_text, counts_text, short_names, value_text
from dlcli.sweeping.result import COMPLETE, FAILED, PRUNED, RUNNING, WAITING, SweepResult, Trial

LAST = 8
"""trials that are shown while a sweep runs"""
MOST = 20
"""trials that are shown of one that has ended, in a terminal"""
_ENDED = (COMPLETE, PRUNED, FAILED)
_STYLES = {COMPLETE: "", PRUNED: "dim", FAILED: "red", RUNNING: "deep_sky_blue3", WAITING: "dim"}
_BEST = "bold green"
_BAR, _MOST_BARS = 10, 4  # characters of the most important parameter; parameters
_LONGEST = 24  # characters of a value in a cell
_OF_LEAST_USE = 1000  # the rank of what is left out first

Lines = Iterator[list[tuple[str, str]]]


@dataclass(frozen=True)
class Progress:
    """How far a trial is that runs: epochs that are done, and how many there are to be, if that is known."""

    epoch: int
    epochs: int | None = None


def live_picture(
    result: SweepResult,
    width: int,
    *,
    importance: Mapping[str, float] | None = None,
    progress: Mapping[int, Progress] | None = None,
    most_seconds: float | None = None,
) -> RenderableType:
    """The last trials, the best so far, what each parameter matters, how far the sweep is and how long it will take.

    Args:
        result: what is known now.
        width: of the terminal, in characters.
        importance: by path, as `WatchedImportance` has it; empty while nothing can be said.
        progress: of trials that run, by number.
        most_seconds: how much of the budget is left; None for no budget.
    """
    parts: list[RenderableType] = []
    shown = [trial for trial in result.trials if trial.state != WAITING][-LAST:]
    if shown:
        columns = _columns(result, shown, importance or {}, width, progress or {})
        lines = [joined(line) for line in lines_of(columns, width)]
        parts.append(Text("\n").join(Text.assemble(*line) for line in lines))
    parts += [_one_line(line, width) for line in (_best_line(result), importance_line(result, importance or {}))]
    parts.append(_bar(result, width, most_seconds))
    return Group(*parts)


def _one_line(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _best_line(result: SweepResult) -> Text:
    best = result.best()
    if best is None or best.value is None:
        return Text(f"no trial has a {result.metric} yet", style="dim")
    values = configuration_text(result, best)
    return Text.assemble(
        ("best ", "dim"), (f"{result.metric} {number(best.value)}", _BEST), f", trial {best.number}: {values}"
    )


def importance_line(result: SweepResult, importance: Mapping[str, float]) -> Text:
    """A bar for each of the most important parameters; or when there will be one."""
    if len(result.parameters) < 2:
        return Text("")
    if not importance:
        return Text(f"importance: once {FEWEST} trials are complete that differ", style="dim")
    names = short_names(result.parameters)
    greatest = max(importance.values()) or 1.0
    parts: list[tuple[str, str]] = [("importance ", "dim")]
    for path, share in list(importance.items())[:_MOST_BARS]:
        bar = "█" * max(0, round(_BAR * share / greatest)) or "▏"
        parts += [(f"{names[path]} ", ""), (bar, "deep_sky_blue3"), (f" {share:.0%}  ", "")]
    return Text.assemble(*parts)


def _bar(result: SweepResult, width: int, most_seconds: float | None) -> RenderableType:
    ended = sum(trial.state in _ENDED for trial in result.trials)
    of = f"/{result.planned:,}" if result.planned else ""
    left = seconds_left(result, most_seconds)
    told = f"{ended:,}{of} trials ({counts_text(result) or 'none'})"
    if left is not None:
        rest = f", about {duration(left)} left"
        told = f"{told}{rest}" if len(told) + len(rest) <= width else f"{ended:,}{of} trials{rest}"
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, overflow="ellipsis")
    room = width - len(told) - 1
    if result.planned and room >= _BAR:
        grid.add_column(width=min(room, 40))
        grid.add_row(Text(told), ProgressBar(total=result.planned, completed=ended))
    else:
        grid.add_row(Text(told))
    return grid


def seconds_left(result: SweepResult, most_seconds: float | None = None) -> float | None:
    """How long the other trials will take, by how long those before them took; None if nothing tells.

    Args:
        result: the trials; those that run are taken to be half done, and to go on beside each other.
        most_seconds: when the time is up at the latest; None for never.
    """
    took = [trial.seconds for trial in result.trials if trial.state in _ENDED and trial.seconds is not None]
    if not took or result.planned is None:
        return most_seconds
    running = len(result.in_state(RUNNING))
    ended = sum(trial.state in _ENDED for trial in result.trials)
    count = max(0.0, result.planned - ended - running / 2)
    left = sum(took) / len(took) * count / max(1, running)
    return left if most_seconds is None else min(left, most_seconds)


def trial_lines(
    result: SweepResult, width: int | None, *, importance: Mapping[str, float] | None = None, most: int | None = MOST
) -> Lines:
    """The table of trials, the best first, then those that have no place: lines for `Screen.lines`.

    Args:
        result: the trials.
        width: of the terminal; None to leave out no column, and cut nothing.
        importance: by path; where there is little room, the parameters that matter least are left out.
        most: how many trials are shown; None for all.
    """
    shown = result.in_order()[:most]
    if shown:
        columns = _columns(result, shown, importance or {}, width, has_places=True)
        yield from (joined(line) for line in lines_of(columns, width))


def seed_lines(result: SweepResult, width: int | None) -> Lines:
    """The mean over the seeds of each configuration, the best first, and how far they are spread."""
    shown = result.configurations()
    if not shown:
        return
    styles = [_BEST if place == 0 and one.mean is not None else "" for place, one in enumerate(shown)]
    means = [number(one.mean) if one.mean is not None else "–" for one in shown]
    columns = [
        Column(
            ", ".join(short_names(result.parameters).values()), [one.name for one in shown], least=12, styles=styles
        ),
        Column(f"mean {result.metric}", means, True, styles=styles),
        Column("± seeds", [number(one.deviation) if one.deviation is not None else "·" for one in shown], True),
        Column("least", [number(min(one.figures, default=math.nan)) for one in shown], True, rank=2),
        Column("greatest", [number(max(one.figures, default=math.nan)) for one in shown], True, rank=2),
        Column("seeds", [f"{len(one.figures)} of {len(one.trials)}" for one in shown], True, rank=1),
    ]
    yield from (joined(line) for line in lines_of(columns, width))


def closing_lines(result: SweepResult, shown: int | None = MOST) -> list[str]:
    """What is said under the table: how many trials there are, and how to see those that are not shown."""
    count = len(result.trials)
    lines = [counts_text(result) or "no trial yet"]
    if shown is not None and count > shown:
        lines[0] = f"{shown} of {count:,} trials; {lines[0]}"
    return lines


def best_line(result: SweepResult) -> str:
    """The best trial and its values; that there is none, if so."""
    return _best_line(result).plain


def _columns(
    result: SweepResult, trials: Sequence[Trial], importance: Mapping[str, float], width: int | None,
    progress: Mapping[int, Progress] | None = None, *, has_places: bool = False,
) -> list[Column]:  # fmt: skip
    best = result.best()
    styles = [_BEST if trial is best else _STYLES[trial.state] for trial in trials]
    places = {trial.number: str(place) for place, trial in enumerate(result.ranked(), start=1)}
    before = Column("place", [places.get(trial.number, "") for trial in trials], True, rank=5, styles=styles)
    return [
        *([before] if has_places else []),
        Column("trial", [str(trial.number) for trial in trials], True, styles=styles),
        Column("state", [trial.state for trial in trials], styles=styles),
        Column(result.metric, [_figure(one) for one in trials], True, styles=styles),
        *_values(result, trials, importance, width, styles),
        Column("seed", [str(one.seed) if one.seed is not None else "" for one in trials], True, rank=3, styles=styles),
        Column("epochs", [_epochs(one, progress or {}) for one in trials], True, rank=_OF_LEAST_USE, styles=styles),
        Column("time", [_time(one) for one in trials], True, rank=_OF_LEAST_USE - 1, styles=styles),
        Column("why", [_cut(one.reason or "", width // 3 if width else None) for one in trials], styles=styles),
    ]  # fmt: skip


def _values(
    result: SweepResult, trials: Sequence[Trial], importance: Mapping[str, float], width: int | None,
    styles: Sequence[str],
) -> Iterator[Column]:  # fmt: skip
    """A column a parameter."""
    names, longest = short_names(result.parameters), _LONGEST if width else None
    by_use = sorted(result.parameters, key=lambda one: -importance.get(one.path, 0.0))
    for parameter in result.parameters:
        path = parameter.path
        cells = [_cut(value_text(one.values[path]), longest) if path in one.values else "·" for one in trials]
        rank = 10 + by_use.index(parameter)
        is_number = not parameter.choices
        name = names[path] if longest is None or len(names[path]) <= longest else f"…{names[path][1 - longest :]}"
        yield Column(name, cells, is_number, rank=rank, styles=styles)


def _cut(text: str, longest: int | None) -> str:
    return text if longest is None else shortened(text, longest)


def _figure(trial: Trial) -> str:
    return number(trial.value) if trial.value is not None else ""


def _epochs(trial: Trial, progress: Mapping[int, Progress]) -> str:
    now = progress.get(trial.number)
    if now is not None:
        return f"{now.epoch}/{now.epochs}" if now.epochs is not None else str(now.epoch)
    return str(max(trial.reported)) if trial.reported else ""


def _time(trial: Trial) -> str:
    return duration(trial.seconds) if trial.seconds is not None else ""
