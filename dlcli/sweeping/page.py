"""The page of a sweep: what its trials came to, in the order and the words in which a person reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from dlcli.figures import duration, number
from dlcli.report.drawing import Chart, drawing
from dlcli.report.frame import Cell, command_line, put, render_page, shown_figure, times
from dlcli.runs.finding import called
from dlcli.spec.writing import to_flow
from dlcli.sweeping.charts import courses, history, importance, of_seeds
from dlcli.sweeping.findings import findings
from dlcli.sweeping.importance import importances
from dlcli.sweeping.naming import condition_text, counts_text, range_text, share_text, short_names, value_text
from dlcli.sweeping.result import COMPLETE, FAILED, MAXIMIZE, PRUNED, Configuration, Parameter, SweepResult, Trial
from dlcli.sweeping.scatter import against, pair

PAGE = "sweep.html"
_MOST_CHARTS, _MOST_IN_PAIRS = 12, 4  # parameters


@dataclass(frozen=True)
class _Row:
    """A trial in the table."""

    place: str
    number: int
    state: str
    value: str
    exact: str
    values: tuple[str, ...]
    seed: str
    epochs: str
    time: str
    reason: str
    address: str


def write_page(result: SweepResult, folder: Path) -> Path:
    """Write sweep.html, and its charts as PNG files, into `folder`/report; each file is there whole or not at all.

    Args:
        result: the trials, whatever has become of them.
        folder: that of the sweep.

    Returns:
        the path of the page.

    Raises:
        RunError: the files cannot be written.
    """
    with drawing():
        told = _Told(result, folder)
        page = render_page("sweep.html.jinja", told.page(), __package__)
    put(folder / "report", PAGE, page, {chart.name: chart.png for chart in told.charts})
    return folder / "report" / PAGE


class _Told:
    """What the page of one sweep tells; to be made where `drawing()` is entered."""

    def __init__(self, result: SweepResult, folder: Path) -> None:
        self._result, self._folder = result, folder
        self._names = short_names(result.parameters)
        self._shares = importances(result) if not result.configurations() else {}
        self._best = result.best()
        self._compared = result.configurations()
        searched = sorted(result.parameters, key=lambda one: -self._shares.get(one.path, 0.0))
        self._varied = [one for one in searched if self._is_drawn(one)]
        self._whole = self._whole_charts()
        self._values = [self._against(one) for one in self._varied[:_MOST_CHARTS]]
        pairs = combinations(self._varied[:_MOST_IN_PAIRS], 2)
        self._pairs = [
            pair(result, one, other, (self._names[one.path], self._names[other.path])) for one, other in pairs
        ]

    @property
    def charts(self) -> list[Chart]:
        """All of them."""
        return _known([*self._whole, *self._values, *self._pairs])

    def _is_drawn(self, parameter: Parameter) -> bool:
        """Whether there is something to see of it."""
        return not self._compared and (len(self._result.trials) == 1 or _is_varied(parameter, self._result.trials))

    def _whole_charts(self) -> list[Chart | None]:
        result = self._result
        ended = [trial for trial in result.trials if trial.state in (COMPLETE, PRUNED, FAILED)]
        if self._compared:
            return [of_seeds(result), courses(result)] if result.ranked() else []
        drawn = [history(result), courses(result)] if ended else []
        if self._shares and len(result.parameters) > 1:
            partly = [one.path for one in result.parameters if not _is_always(one, result)]
            drawn.append(importance(self._shares, self._names, partly))
        return drawn

    def _against(self, parameter: Parameter) -> Chart | None:
        return against(self._result, parameter, self._names[parameter.path])

    def page(self) -> dict[str, Any]:
        """For the template."""
        result, best = self._result, self._best
        rows = list(self._rows())
        return {
            "title": f"{result.name}: sweep",
            "name": result.name,
            "subtitle": self._subtitle(),
            "cards": list(self._cards()),
            "metric": result.metric,
            "findings": findings(result, self._names, self._shares),
            "compared": [self._configuration(one) for one in self._compared],
            "parameters": [self._parameter(one) for one in result.parameters] if not self._compared else [],
            "best_title": f"best: trial {best.number}" if best is not None else "",
            "best_notes": list(self._best_notes()),
            "has_shares": bool(self._shares) and len(result.parameters) > 1,
            "whole_charts": _known(self._whole),
            "value_charts": _known(self._values),
            "value_note": self._left_out(),
            "pair_charts": _known(self._pairs),
            "pair_note": self._pair_note(),
            "columns": list(self._names.values()),
            "has_seeds": bool(self._compared),
            "rows": rows,
            "has_epochs": any(row.epochs for row in rows),
            "has_reasons": any(row.reason for row in rows),
            "table_notes": self._table_notes(),
            "facts": list(self._facts()),
            "written": _text_of(self._folder / "spec.yaml"),
        }

    def _subtitle(self) -> str:
        result = self._result
        wanted = "large" if result.direction == MAXIMIZE else "small"
        state = result.record.get("state")
        seeds = len({trial.seed for trial in result.trials})
        what = f"{len(self._compared)} specs with {seeds} seeds, compared by" if self._compared else "a search for"
        parts = [
            f"{what} a {wanted} {result.metric}: {counts_text(result) or 'no trial yet'}",
            f"begun on {str(result.record['began'])[:10]}" if result.record.get("began") else "",
            f"the sweep is {state}" if state not in (None, "done") else "",
        ]
        return "; ".join(part for part in parts if part)

    def _cards(self) -> Iterator[Cell]:
        result, best = self._result, self._best
        first = self._compared[0] if self._compared else None
        mean = first.mean if first is not None else None
        if first is not None and mean is not None:
            spread = f"± {number(first.deviation)}, " if first.deviation is not None else ""
            yield Cell(number(mean), "", "", f"best mean {result.metric}", f"{spread}{first.name}")
        elif best is not None and best.value is not None:
            yield Cell(
                shown_figure(best.value), "best", repr(best.value), f"best {result.metric}", f"trial {best.number}"
            )
        values = [trial.value or 0.0 for trial in result.ranked()]
        if len(values) > 2:
            yield Cell(shown_figure(median(values)), label=f"median {result.metric}", note=f"of {len(values):,} trials")
        of = f" of {result.planned:,}" if result.planned not in (None, len(result.trials)) else ""
        ended = [trial for trial in result.trials if trial.state in (COMPLETE, PRUNED, FAILED)]
        yield Cell(f"{len(ended):,}{of}", label="trials", note=counts_text(result))
        seconds = [trial.seconds for trial in result.trials if trial.seconds is not None]
        if seconds:
            note = f"{duration(sum(seconds) / len(seconds))} a trial" if len(seconds) > 1 else ""
            yield Cell(duration(sum(seconds)), label="time of all trials", note=note)

    def _configuration(self, one: Configuration) -> dict[str, str]:
        figures = one.figures
        return {
            "name": one.name,
            "mean": number(one.mean) if one.mean is not None else "–",
            "exact": repr(one.mean) if one.mean is not None else "",
            "deviation": number(one.deviation) if one.deviation is not None else "–",
            "least": number(min(figures)) if figures else "–",
            "most": number(max(figures)) if figures else "–",
            "seeds": f"{len(figures)} of {len(one.trials)}",
        }

    def _parameter(self, one: Parameter) -> dict[str, Any]:
        best = self._best.values if self._best is not None else {}
        share = self._shares.get(one.path)
        mark = "" if _is_always(one, self._result) else " *"
        return {
            "name": self._names[one.path],
            "path": one.path,
            "range": range_text(one),
            "condition": condition_text(one, self._names),
            "best": to_flow(best[one.path]) if one.path in best else "",
            "share": f"{share_text(share)}{mark}" if share is not None else "–",
            "width": f"{100 * (share or 0.0):.1f}",
        }

    def _best_notes(self) -> Iterator[str]:
        result, best = self._result, self._best
        if best is None:
            return
        sweep = called(self._folder)
        yield f"`dlcli sweep best {sweep} --write best.yaml` writes it as a spec to train."
        if best.run is not None:
            yield f"Its run: `{best.run}`."
        if len(result.ranked()) > 1:
            yield (
                f"It was chosen by its {result.metric}, which flatters it: among many trials some are lucky. "
                "Only examples that no trial was judged by, those of the test, tell how good it is."
            )
        if self._shares and len(result.parameters) > 1:
            count = len(result.ranked())
            partly = " Those with * are of the trials that have the parameter." if self._has_conditions else ""
            yield (
                f"Importance: the share of the variance of {result.metric} among {count:,} complete trials, as fANOVA "
                f"has it; with few trials a rough guess.{partly}"
            )

    @property
    def _has_conditions(self) -> bool:
        return any(one.path in self._shares and not _is_always(one, self._result) for one in self._result.parameters)

    def _left_out(self) -> str:
        same = [one for one in self._result.parameters if one not in self._varied]
        parts = []
        if len(self._varied) > _MOST_CHARTS:
            names = ", ".join(self._names[one.path] for one in self._varied[_MOST_CHARTS:])
            parts.append(f"Not drawn, since they matter less: {names}.")
        if same and self._result.trials and not self._compared:
            parts.append(
                f"Not drawn, since all trials have the same: {', '.join(self._names[one.path] for one in same)}."
            )
        return " ".join(parts)

    def _pair_note(self) -> str:
        names = [self._names[one.path] for one in self._varied]
        if len(names) <= _MOST_IN_PAIRS:
            return ""
        why = "that matter most" if self._shares else "that come first"
        return f"Of the {_MOST_IN_PAIRS} parameters {why}."

    def _rows(self) -> Iterator[_Row]:
        """The best first."""
        for place, trial in enumerate(self._result.in_order(), start=1):
            yield self._row(trial, str(place) if trial.is_ranked else "")

    def _row(self, trial: Trial, place: str) -> _Row:
        values = [
            value_text(trial.values[one.path]) if one.path in trial.values else "·" for one in self._result.parameters
        ]
        return _Row(
            place, trial.number, trial.state, shown_figure(trial.value) if trial.value is not None else "",
            repr(trial.value) if trial.is_ranked else "", tuple(values),
            str(trial.seed) if trial.seed is not None else "", str(max(trial.reported)) if trial.reported else "",
            duration(trial.seconds) if trial.seconds is not None else "", trial.reason or "", self._address(trial),
        )  # fmt: skip

    def _address(self, trial: Trial) -> str:
        """Of the page on a trial's own run, if it has one; as seen from this page."""
        if trial.run is None or not (trial.run / "report" / "report.html").is_file():
            return ""
        return quote(os.path.relpath(trial.run / "report" / "report.html", self._folder / "report"))

    def _table_notes(self) -> list[str]:
        states = {trial.state for trial in self._result.trials}
        notes = []
        if PRUNED in states:
            notes.append(f"A pruned trial was ended early; its {self._result.metric} is the last one that it reported.")
        if any(len(trial.values) < len(self._result.parameters) for trial in self._result.trials):
            notes.append("·: the trial has no such parameter.")
        return notes

    def _facts(self) -> Iterator[tuple[str, str]]:
        record = self._result.record
        versions = record.get("versions")
        facts = (
            ("folder", f"`{self._folder}`"),
            ("command", command_line(record.get("command"))),
            ("began, ended", times(record)),
            ("error", str(record.get("error") or "")),
            ("versions", ", ".join(f"{name} {one}" for name, one in versions.items()) if versions else ""),
        )
        yield from ((label, value) for label, value in facts if value)


def _known(charts: Sequence[Chart | None]) -> list[Chart]:
    return [chart for chart in charts if chart is not None]


def _is_varied(parameter: Parameter, trials: Sequence[Trial]) -> bool:
    """Whether trials differ in it."""
    return len({to_flow(trial.values[parameter.path]) for trial in trials if parameter.path in trial.values}) > 1


def _is_always(parameter: Parameter, result: SweepResult) -> bool:
    """Whether each complete trial has it."""
    return all(parameter.path in trial.values for trial in result.ranked())


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
