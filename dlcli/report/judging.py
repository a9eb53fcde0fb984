"""From the story of a run and its answers to the numbers that a diagnosis, and a person, goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.report.answers import Answers, AnyAnswers, ClassAnswers, NumberAnswers
from dlcli.report.course import Course, Score
from dlcli.report.remedies import BALANCES, SMOOTHS, had_by, smoothed
from dlcli.report.story import Story

_SHARES = ("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "acc")
_SQUARED = ("mean_squared_error", "mse")
_ERRORS = ("mean_absolute_error", "mae", "root_mean_squared_error", *_SQUARED)


def course_of(story: Story, answers: Answers | None) -> Course:
    """How a training went, in numbers."""
    history = story.history
    first = next(iter(answers.each.values()), None) if answers is not None else None
    confidence, mistakes = None, 0
    if isinstance(first, ClassAnswers):
        confidence, mistakes = first.confidence, int((~first.is_right).sum())
    train, had = story.metrics.get("train", {}), had_by(story)
    return Course(
        train=column(history, "loss"),
        validation=column(history, "val_loss"),
        best_epoch=story.best_epoch,
        planned=int((story.spec.get("train") or {}).get("epochs") or len(history)),
        score=score_of(story, answers),
        train_loss=train.get("loss"),
        examples=int((story.data.get("examples") or {}).get("train") or 0),
        parameters=story.summary.trainable_parameters if story.summary is not None else 0,
        is_shuffled=bool((story.spec.get("dataset") or {}).get("shuffle", True)),
        confidence=confidence,
        mistakes=mistakes,
        rates=column(history, "learning_rate"),
        error=str(story.record.get("error") or "") if story.record.get("state") == "failed" else "",
        classes=len(first.names) if isinstance(first, ClassAnswers) else 0,
        trivial_loss=_trivial_loss(first, had, answers),
        had=had,
        smoothed=smoothed(story.spec.get("loss")),
    )


def _trivial_loss(first: AnyAnswers | None, had: frozenset[str], answers: Answers | None) -> float | None:
    if answers is None or len(answers.each) > 1 or not isinstance(first, ClassAnswers) or {BALANCES, SMOOTHS} & had:
        return None
    return answers.trivial.get("loss")


def column(history: Sequence[Mapping[str, float]], name: str) -> tuple[float, ...]:
    """A figure of each epoch; empty if there is none."""
    return tuple(float(row[name]) for row in history) if history and name in history[-1] else ()


def held_out_split(metrics: Mapping[str, Any]) -> str | None:
    """The split that training has seen least of, and that is not the training examples themselves."""
    return next((name for name in ("test", "validation") if name in metrics), None)


def score_of(story: Story, answers: Answers | None) -> Score | None:
    """The figure to judge by: the first output's accuracy, or its error; None if there is none."""
    figures = _figures(story)
    split = held_out_split(figures)
    of_train, others = figures.get("train", {}), figures.get(split or "", {})
    trivial = answers.trivial if answers is not None else {}
    count = int((story.data.get("examples") or {}).get(split or "") or 0)
    first = next(iter(answers.each.items()), None) if answers is not None else None
    for name in [*of_train, *(name for name in others if name not in of_train)]:
        kind = _kind_of(name, first, story)
        if kind is not None:
            shown = name.replace("_", " ")
            perfect = 1.0 if kind in _SHARES else 0.0
            is_squared = kind in _SQUARED
            return Score(
                shown, of_train.get(name), others.get(name), trivial.get(name), perfect, count, is_squared=is_squared,
                last_value=answers.last_value.get(name) if answers is not None else None,
            )  # fmt: skip
    if first is not None and isinstance(first[1], ClassAnswers) and split == answers_split(answers):
        accuracy = float(first[1].is_right.mean()) if len(first[1].truth) else None
        prefix = f"{first[0]}_" if first[0] else ""
        return Score("accuracy", None, accuracy, trivial.get(f"{prefix}accuracy"), 1.0, count)
    return None


def answers_split(answers: Answers | None) -> str | None:
    """The split of the answers, if there are any."""
    return answers.split if answers is not None else None


def _figures(story: Story) -> Mapping[str, Mapping[str, float]]:
    """The figures of the best epoch: those of metrics.json, or else of its row in the history."""
    if story.metrics:
        return story.metrics
    row = next((row for row in story.history if row.get("epoch") == story.best_epoch), None)
    if row is None:
        return {}
    train = {name: row[name] for name in story.figures}
    held_out = {name: row[f"val_{name}"] for name in story.figures if f"val_{name}" in row}
    return {"train": train, **({"validation": held_out} if held_out else {})}


def _kind_of(name: str, first: Any, story: Story) -> str | None:
    """Which of the known figures this is, if it is of the first output; of numbers, also a loss that is one."""
    prefix = f"{first[0]}_" if first is not None and first[0] else ""
    if not name.startswith(prefix):
        return None
    bare = name.removeprefix(prefix)
    if bare in _SHARES:
        return bare
    if first is not None and not isinstance(first[1], NumberAnswers):
        return None
    loss = story.spec.get("loss")
    if bare == "loss" and isinstance(loss, str) and not prefix:
        return loss if loss in _SQUARED and not _has_own_error(story) else None
    return bare if bare in _ERRORS else None


def _has_own_error(story: Story) -> bool:
    return any(name in _ERRORS for name in story.figures)
