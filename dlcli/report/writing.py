"""Writes a report: gathers what there is to tell, draws it, and puts page and pictures into a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlcli.errors import DataError
from dlcli.report import charts
from dlcli.report.answers import Answers, answers_of
from dlcli.report.base import differences_from_base
from dlcli.report.diagnosis import diagnose
from dlcli.report.drawing import Chart, drawing
from dlcli.report.finding import Finding
from dlcli.report.frame import put
from dlcli.report.judging import column, course_of, score_of
from dlcli.report.leaks import telling_column
from dlcli.report.page import Told, render
from dlcli.report.sections import Section, sections_of
from dlcli.report.story import Story

PAGE = "report.html"
_GRID = "predictions"


@dataclass(frozen=True)
class Report:
    """A report that is written.

    Attributes:
        page: the path of its page.
        findings: the words on the fit.
        missing: what it cannot tell, and why.
    """

    page: Path
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]


def write_report(story: Story, final: Any, folder: Path, missing: Sequence[str] = ()) -> Report:
    """Write report.html and its charts as PNG files into `folder`; each file is there whole or not at all.

    Args:
        story: what is known of the training.
        final: `dlcli.training.final.Final`, for predictions; None if there is no data, or no checkpoint.
        folder: is made if it is not there.
        missing: what the report cannot tell, and why, besides what the story says.

    Raises:
        RunError: the files cannot be written.
    """
    told, pictures = tell(story, final, missing)
    put(folder, PAGE, render(told), pictures)
    return Report(folder / PAGE, tuple(told.findings), tuple(told.missing))


def tell(story: Story, final: Any, missing: Sequence[str] = ()) -> tuple[Told, dict[str, bytes]]:
    """What the page tells, and the PNG files beside it by name."""
    lacking = [*story.missing, *missing]
    with drawing():
        answers: Answers | None = None
        sections: list[Section] = []
        telling = ""
        if final is not None:
            answers, sections, problem = _looked_at(story, final)
            lacking += [problem] if problem else []
            telling = telling_column(final.job, answers) if answers is not None else ""
        course = course_of(story, answers, telling)
        curves = _curves(story)
        told = Told(
            story,
            answers,
            score_of(story, answers),
            diagnose(course),
            curves,
            sections,
            differences_from_base(story),
            lacking,
        )
        return told, _pictures(curves, sections)


def _looked_at(story: Story, final: Any) -> tuple[Answers | None, list[Section], str | None]:
    work = story.summary.multiply_adds if story.summary is not None else 0
    try:
        answers = answers_of(final, work)
        return answers, sections_of(final.job, answers), None
    except DataError as error:
        return None, [], f"The examples can no longer be read, so there are no predictions: {error.message}"


def _curves(story: Story) -> list[Chart]:
    """Of each figure, and of the learning rate if it is not always the same."""
    history = story.history
    drawn = []
    for name in story.figures:
        train, held_out = column(history, name), column(history, f"val_{name}")
        if any(math.isfinite(value) for value in [*train, *held_out]):
            drawn.append(charts.curves(name, train, held_out, story.best_epoch))
    rates = column(history, "learning_rate")
    if len(rates) > 1 and max(rates) > min(rates) * 1.0001:
        drawn.append(charts.rates(rates))
    return drawn


def _pictures(curves: Sequence[Chart], sections: Sequence[Section]) -> dict[str, bytes]:
    drawn: dict[str, bytes] = {chart.name: chart.png for chart in curves}
    for section in sections:
        prefix = f"{section.name}_" if section.name else ""
        drawn |= {chart.name: chart.png for chart in section.charts}
        for name, predictions in ((_GRID, section.sample), ("mistakes", section.mistakes)):
            some = [
                (one.look.pixels, one.predicted, one.is_right) for one in predictions if one.look.pixels is not None
            ]
            if some:
                drawn[f"{prefix}{name}"] = charts.grid(some)
    return drawn


def evaluated(story: Story, job: Any) -> tuple[Story, Any]:
    """The story with the figures of the split to look at, where it has none; and what that evaluation leaves.

    Raises:
        DataError: the examples can no longer be read.
    """
    from dlcli.training.final import Final, are_kept, shown_split

    split = shown_split(job.rows)
    if story.metrics or not are_kept(job, split):
        return story, Final(job, [])
    parts: list[Any] = []
    figures: dict[str, float] = {}
    for progress in job.engine.evaluate(job.rows[split], parts.append):
        figures = progress.logs
    return replace(story, metrics={split: figures}), Final(job, parts)
