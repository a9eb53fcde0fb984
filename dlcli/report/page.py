"""The page of a report: what is known of a run, brought into the order and the words in which a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.figures import duration, number
from dlcli.model.summary import LayerSummary, ModelSummary, explain
from dlcli.model.units import readable_bytes
from dlcli.report.answers import Answers
from dlcli.report.base import Differences
from dlcli.report.course import Score
from dlcli.report.drawing import Chart
from dlcli.report.finding import Finding
from dlcli.report.frame import Cell, command_line, render_page, shown_figure, times
from dlcli.report.judging import held_out_split
from dlcli.report.network import WIDTH, drawing_of
from dlcli.report.sections import Section
from dlcli.report.story import Story, spec_text
from dlcli.runs.figures import precision_text

_WRITTEN_CLASSES = 12


@dataclass(frozen=True)
class Told:
    """All that the page tells, besides the story itself."""

    story: Story
    answers: Answers | None
    score: Score | None
    findings: Sequence[Finding]
    curves: Sequence[Chart]
    sections: Sequence[Section]
    differences: Differences
    missing: Sequence[str]


def render(told: Told, **instead: Any) -> str:
    """The page as HTML. Whatever names are in it is text, never markup.

    Args:
        told: all that the page tells.
        instead: what another kind of page has for some of it, or beside it, by its name in the template.
    """
    return render_page("page.html.jinja", {"folds": None, **_page(told), **instead})


def _page(told: Told) -> dict[str, Any]:
    story = told.story
    figure_names = list(dict.fromkeys(name for figures in story.metrics.values() for name in figures))
    names = [name.replace("_", " ") for name in figure_names]
    return {
        "title": f"{story.name}: report",
        "name": story.name,
        "subtitle": _subtitle(story),
        "cards": list(_cards(told)),
        "missing": list(told.missing),
        "findings": told.findings,
        "figure_names": names,
        "splits": [_split(name, figures, figure_names) for name, figures in story.metrics.items()],
        "without_model": _without_model(told, figure_names),
        "scores_note": _scores_note(told),
        "curves": told.curves,
        "rate_note": _rate_note(story),
        "sections": told.sections,
        "shown": _shown(told.answers),
        "numbers_classes": _numbers_classes,
        **_network(story.summary),
        "facts": list(_facts(story)),
        "written": story.written,
        "resolved": spec_text(story),
        "base_name": told.differences.name,
        "base_lines": told.differences.lines,
        "spec_notes": told.differences.notes,
    }


def _subtitle(story: Story) -> str:
    data = story.data
    instead = f" instead of {data['requested']}" if data.get("requested") else ""
    sizes = [f"{size:,} {name}" for name, size in (data.get("examples") or {}).items()]
    began = str(story.record.get("began") or "")[:10]
    parts = [
        f"{data.get('source', 'unknown data')}{instead}{': ' if sizes else ''}{', '.join(sizes)}"
        f"{' examples' if sizes else ''}",
        f"trained on {began}" if began else "",
    ]
    state = story.record.get("state")
    parts.append(f"the run is {state}" if state not in (None, "done") else "")
    return "; ".join(part for part in parts if part)


def _cards(told: Told) -> Iterator[Cell]:
    story, score = told.story, told.score
    split = held_out_split(story.metrics)
    if score is not None:
        yield from _score_cards(story, score, split)
    is_shown = score is not None and score.name == "loss"
    if split is not None and "loss" in story.metrics[split] and not is_shown:
        value = story.metrics[split]["loss"]
        yield figure_cell(value, f"{split}.loss", f"{split} loss")
    planned = (story.spec.get("train") or {}).get("epochs")
    if story.history:
        best = f"best: {story.best_epoch}, by {story.monitor.replace('_', ' ')}" if story.best_epoch else ""
        of = f" of {planned}" if planned and planned != len(story.history) else ""
        yield Cell(f"{len(story.history):,}{of}", label="epochs", note=best)
    if story.seconds is not None:
        yield Cell(duration(story.seconds), label="training", note=str(story.record.get("device_name") or ""))
    if story.summary is not None:
        size = readable_bytes(story.summary.weight_bytes)
        yield Cell(f"{story.summary.parameters:,}", label="parameters", note=f"{size} of weights")


def _score_cards(story: Story, score: Score, split: str | None) -> Iterator[Cell]:
    known = {"trivial": score.trivial, "last value": score.last_value}
    note = "; ".join(f"{what}: {number(value)}" for what, value in known.items() if value is not None)
    for name, value in ((split, score.held_out), ("train", score.train)):
        if name is None or value is None:
            continue
        figure = next((key for key in story.metrics.get(name, {}) if key.replace("_", " ") == score.name), None)
        key = f"{name}.{figure}" if figure else ""
        yield figure_cell(value, key, f"{name} {score.name}", note)
        note = ""


def figure_cell(value: float, key: str, label: str = "", note: str = "") -> Cell:
    """A figure that may be no number; `key` is its name in metrics.json, empty if it is in none."""
    return Cell(shown_figure(value), key, repr(value) if key else "", label, note)


def _split(name: str, figures: Mapping[str, float], names: Sequence[str]) -> dict[str, Any]:
    cells = [figure_cell(figures[one], f"{name}.{one}") if one in figures else Cell("–") for one in names]
    return {"name": name, "cells": cells}


def _without_model(told: Told, names: Sequence[str]) -> dict[str, list[str]]:
    """What can be had without a model, by what is done for it: a row of figures, as far as they are known."""
    if told.answers is None:
        return {}
    known = {"trivial": told.answers.trivial, "last value": told.answers.last_value}
    return {
        what: [number(figures[name]) if name in figures else "–" for name in names]
        for what, figures in known.items()
        if any(name in figures for name in names)
    }


def _scores_note(told: Told) -> str:
    epoch = f"The figures of the best epoch, {told.story.best_epoch}." if told.story.best_epoch else ""
    without_model = _without_model(told, [name for figures in told.story.metrics.values() for name in figures])
    if not without_model:
        return epoch
    split = told.answers.split if told.answers is not None else ""
    said = "Trivial: always the most frequent class, or its share as the probability; the mean or median of numbers"
    last = " Last value: a number stays what the last row of its window has." if "last value" in without_model else ""
    return f"{epoch} {said}; of the training examples, and measured on {split}.{last}".strip()


def _rate_note(story: Story) -> str:
    rates = [row["learning_rate"] for row in story.history if "learning_rate" in row]
    if not rates or max(rates) > min(rates) * 1.0001:
        return ""
    return f"The learning rate was {rates[0]:.4g} in each epoch."


def _shown(answers: Answers | None) -> str:
    if answers is None:
        return ""
    count = f"{len(answers.rows):,} of {answers.whole:,}" if len(answers.rows) < answers.whole else f"{answers.whole:,}"
    return f"{count} {answers.split} examples"


def _numbers_classes(section: Section) -> bool:
    """Whether the confusion matrix has numbers for the names of the classes."""
    longest = max((len(row["class"]) for row in section.classes), default=0)
    return len(section.classes) > _WRITTEN_CLASSES or (len(section.classes) > 1 and longest > 14)


def _network(summary: ModelSummary | None) -> dict[str, Any]:
    if summary is None or not summary.layers:
        return {"layers": [], "drawing": None, "network_line": "", "network_width": WIDTH}
    frozen = summary.non_trainable_parameters
    parts = [f"{summary.parameters:,} parameters"]
    parts += [f"{frozen:,} of them not trained"] if frozen else []
    parts.append(f"{summary.multiply_adds:,} multiply-adds for one example")
    return {
        "layers": [_layer(layer, summary) for layer in summary.layers],
        "drawing": drawing_of(summary),
        "network_line": "; ".join(parts) + ".",
        "network_width": WIDTH,
    }


def _layer(layer: LayerSummary, summary: ModelSummary) -> dict[str, Any]:
    share = layer.unshared_parameters / max(1, summary.parameters)
    some = layer.parameters and layer.non_trainable_parameters
    return {
        "name": layer.name,
        "class_name": layer.class_name,
        "activation": layer.activation,
        "shape": "×".join("?" if size is None else str(size) for size in layer.output_shapes[-1][1:]) or "1",
        "parameters": layer.parameters,
        "explanation": explain(layer) if layer.parameters else "",
        "frozen": ("not trained" if not layer.trainable_parameters else "partly trained") if some else "",
        "share_text": f"{share:.1%}" if share >= 0.0005 or not share else "<0.1%",
        "share_width": f"{100 * share:.1f}",
    }


def _facts(story: Story) -> list[tuple[str, str]]:
    """All that is known of the run, in the order in which it is read; nothing is said of what is not known."""
    record, data = story.record, story.data
    sizes = [f"{size:,} {name}" for name, size in (data.get("examples") or {}).items()]
    device = [str(part) for part in (record.get("device_name"), record.get("platform")) if part]
    facts = [
        ("command", command_line(record.get("command"))),
        *(
            ("went on", f"{command_line(one.get('command'))} at epoch {one.get('epoch')}")
            for one in record.get("resumed") or ()
        ),
        ("data asked for", f"{data['requested']}: {data.get('reason')}" if data.get("requested") else ""),
        ("data", " ".join([str(data.get("source", "")), f"({data['origin']})" if data.get("origin") else ""]).strip()),
        ("examples", ", ".join(sizes)),
        ("device", "; ".join(device)),
        ("precision", precision_text(record)),
        ("began, ended", times(record)),
        ("error", str(record.get("error") or "")),
        ("time", _seconds(story)),
        ("seed", str(story.spec.get("seed", ""))),
        ("versions", ", ".join(f"{name} {version}" for name, version in story.versions.items())),
        ("git commit", f"`{record['git_commit']}`" if record.get("git_commit") else ""),
        ("fingerprint of the data", f"`{data['fingerprint']}`" if data.get("fingerprint") else ""),
        ("checkpoint", f"`{story.checkpoint}`" if story.checkpoint is not None else ""),
    ]
    return [(label, value) for label, value in facts if value]


def _seconds(story: Story) -> str:
    seconds = {name: value for name, value in (story.record.get("seconds") or {}).items() if value is not None}
    if not seconds and story.seconds is not None:
        seconds = {"training": story.seconds}
    return ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
