"""The report on a run of several folds: their figures side by side, how far they spread, and the way to each page.

It is made of the files in the runs' folders alone; what needs examples is on the pages of the folds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dlcli.figures import duration, number
from dlcli.report.base import differences_from_base
from dlcli.report.drawing import Chart, drawing
from dlcli.report.finding import Finding
from dlcli.report.fold_charts import by_fold, fold_curves
from dlcli.report.frame import Cell, put
from dlcli.report.judging import column
from dlcli.report.page import Told, figure_cell, render
from dlcli.report.story import Story, story_of_run
from dlcli.report.writing import PAGE, Report
from dlcli.runs import RunFolder
from dlcli.training.folds import Figures, fold_end, spread
from dlcli.training.listening import FoldEnd, without_model

_FAR = 4.0  # standard deviations of the other folds: a fold that is so far from them is told
_FEWEST = 4  # folds of which one can be told to be far from the others


def write_folds_report(run: RunFolder, folder: Path) -> Report:
    """Write report.html and its charts as PNG files into `folder`, from what is there of each fold.

    Raises:
        RunError: the files of the runs cannot be read, or those of the report cannot be written.
    """
    record = run.read_record()
    every = [fold_end(run.fold(at), at) for at in range(1, int(record.get("folds") or len(run.folds)) + 1)]
    stories = {one.number: story_of_run(RunFolder(one.run), None) for one in every if (one.run / "run.json").exists()}
    story = _story(run, stories, [one for one in every if one.metrics is None])
    done = [one.metrics for one in every if one.metrics is not None]
    mean, deviation = spread(done)
    split, known = without_model(every)
    with drawing():
        curves = list(_charts(every, stories, mean))
    told = Told(story, None, None, _findings(every), curves, [], differences_from_base(story), story.missing)
    page = render(
        told,
        cards=list(_cards(every, story, mean, deviation)),
        folds=_table(every, mean, deviation, folder),
        spread=_spread(mean, deviation, known),
        spread_note=_note(len(done), split, known),
    )
    put(folder, PAGE, page, {chart.name: chart.png for chart in curves})
    return Report(folder / PAGE, tuple(told.findings), tuple(told.missing))


def _story(run: RunFolder, stories: Mapping[int, Story], lacking: Sequence[FoldEnd]) -> Story:
    """What is the same for all folds."""
    seconds = [story.seconds for story in stories.values() if story.seconds is not None]
    return replace(
        story_of_run(run, None),
        metrics={},
        best_epoch=None,
        history=(),
        summary=next((story.summary for story in stories.values()), None),
        seconds=sum(seconds) if seconds else None,
        missing=tuple(f"Fold {one.number} has no figures. {one.error or ''}".strip() for one in lacking),
    )


def _charts(every: Sequence[FoldEnd], stories: Mapping[int, Story], mean: Figures) -> Iterator[Chart]:
    begun = {at: story for at, story in stories.items() if story.history}
    best = {one.number: one.best_epoch for one in every}
    for name in next((story.figures for story in begun.values()), []):
        train, held_out = (
            [column(story.history, prefix + name) for story in begun.values()] for prefix in ("", "val_")
        )
        if any(math.isfinite(value) for curve in (*train, *held_out) for value in curve):
            yield fold_curves(name, train, held_out, [best[at] for at in begun])
    for name in next(iter(mean.values()), {}):
        each = {
            split: {one.number: one.metrics[split][name] for one in every if one.metrics is not None} for split in mean
        }
        if any(math.isfinite(value) for values in each.values() for value in values.values()):
            yield by_fold(name, each, {split: figures[name] for split, figures in mean.items()})


def _findings(every: Sequence[FoldEnd]) -> list[Finding]:
    """Folds that failed, and folds that are far from the others."""
    failed = [one for one in every if one.metrics is None]
    found = []
    if failed:
        which = ", ".join(str(one.number) for one in failed)
        lines = tuple(f"Fold {one.number}: {one.error}" for one in failed)
        found.append(Finding("failed", f"Not done: {'folds' if len(failed) > 1 else 'fold'} {which}", lines))
    done = [one for one in every if one.metrics is not None]
    lines = tuple(_outliers(done))
    if lines:
        advice = (
            "Look at the page of that fold, and at what its validation examples have that the others have not.",
            "Another `seed` divides the examples in another way: if another fold is far off then, it was chance.",
        )
        found.append(Finding("uneven", "The folds are uneven", lines, advice))
    if not found:
        title = (
            "The folds agree" if len(done) >= _FEWEST else "Too few folds to tell whether one is far from the others"
        )
        found.append(Finding("even", title, tuple(_ranges(done)), is_good=True))
    return found


def _ranges(done: Sequence[FoldEnd]) -> Iterator[str]:
    """From where to where the figures of validation go."""
    figures = [(one.metrics or {}).get("validation", {}) for one in done]
    for name in figures[0] if figures else ():
        values = [row[name] for row in figures if math.isfinite(row[name])]
        if values:
            yield f"The validation {name.replace('_', ' ')} goes from {number(min(values))} to {number(max(values))}."


def _outliers(done: Sequence[FoldEnd]) -> Iterator[str]:
    """For each figure of validation the fold that is farthest from the mean of the others, if that is far."""
    if len(done) < _FEWEST:
        return
    figures = {one.number: (one.metrics or {}).get("validation", {}) for one in done}
    for name in next(iter(figures.values())):
        values = {at: row[name] for at, row in figures.items()}
        if not all(map(math.isfinite, values.values())):
            continue
        middle = sum(values.values()) / len(values)
        at = max(values, key=lambda one: abs(values[one] - middle))
        [mean], [deviation] = (
            [*found["others"].values()]
            for found in spread([{"others": {name: value}} for one, value in values.items() if one != at])
        )
        if abs(values[at] - mean) > _FAR * deviation > 0:
            yield (
                f"The validation {name.replace('_', ' ')} of fold {at} is {number(values[at])}; that of the others is "
                f"{number(mean)} ± {number(deviation)}."
            )


def _cards(every: Sequence[FoldEnd], story: Story, mean: Figures, deviation: Figures) -> Iterator[Cell]:
    for split in (split for split in ("test", "validation") if split in mean):
        for name, value in mean[split].items():
            note = f"± {_shown(deviation[split][name])}"
            yield figure_cell(value, f"mean.{split}.{name}", f"{split} {name.replace('_', ' ')}", note)
    done = [one.best_epoch for one in every if one.best_epoch is not None]
    if done:
        epochs = f"{min(done)} to {max(done)}" if min(done) < max(done) else f"{done[0]}"
        yield Cell(f"{len(done)} of {len(every)}", label="folds", note=f"best epochs: {epochs}")
    if story.seconds is not None:
        yield Cell(duration(story.seconds), label="training", note=str(story.record.get("device_name") or ""))


def _table(every: Sequence[FoldEnd], mean: Figures, deviation: Figures, folder: Path) -> dict[str, Any]:
    """A row a fold: the way to its page, its best epoch, and its figures on the split that it holds out."""
    split = "validation" if "validation" in mean else next(iter(mean), "")
    names = list(mean.get(split, {}))
    rows = []
    for one in every:
        metrics = (one.metrics or {}).get(split, {})
        cells = [
            figure_cell(metrics[name], f"folds.{one.number}.{split}.{name}") if name in metrics else Cell("–")
            for name in names
        ]
        page = one.run / "report" / PAGE
        way = quote(Path(os.path.relpath(page, folder)).as_posix()) if page.exists() else ""
        rows.append({"number": one.number, "page": way, "epoch": one.best_epoch or "–", "cells": cells})
    return {
        "split": split,
        "names": [name.replace("_", " ") for name in names],
        "rows": rows,
        "has_all_pages": all(row["page"] for row in rows),
        "command": f"dlcli report {every[0].run}" if every else "",
    }


def _note(done: int, split: str, known: Figures) -> str:
    said = {
        "trivial": "Trivial: always the most frequent class, or its share as the probability; the mean or median of "
        f"numbers; measured on {split}.",
        "last value": "Last value: a number stays what the last row of its window has.",
    }
    mean = f"Mean ± standard deviation of {done} fold{'s' if done != 1 else ''}."
    return " ".join([mean, *(text for what, text in said.items() if what in known)])


def _spread(mean: Figures, deviation: Figures, known: Figures) -> dict[str, Any]:
    """A row a split: the mean of each figure, and its standard deviation; and what can be had without a model."""
    names = list(next(iter(mean.values()), {}))
    rows = [
        {
            "name": split,
            "cells": [
                (
                    figure_cell(figures[name], f"mean.{split}.{name}"),
                    figure_cell(deviation[split][name], f"standard_deviation.{split}.{name}"),
                )
                for name in names
            ],
        }
        for split, figures in mean.items()
    ]
    without = [
        {"name": what, "cells": [number(figures[name]) if name in figures else "–" for name in names]}
        for what, figures in known.items()
    ]
    return {"names": [name.replace("_", " ") for name in names], "rows": rows, "without_model": without}


def _shown(value: float) -> str:
    return number(value) if math.isfinite(value) else "unknown"
