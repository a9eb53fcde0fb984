"""From the story of a run and its answers to the numbers that a diagnosis, and a person, goes by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlcli.figures import number
from dlcli.report.answers import Answers, AnyAnswers, ClassAnswers, CopyAnswers, NumberAnswers
from dlcli.report.course import Course, Score
from dlcli.report.remedies import BALANCES, PENALIZED, SMOOTHS, STANDARDIZED, had_by, smoothed
from dlcli.report.story import Story

_SHARES = ("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", "acc")
_SQUARED = ("mean_squared_error", "mse")
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, math.inf), "softplus": (0.0, math.inf)}
_ERRORS = ("mean_absolute_error", "mae", "root_mean_squared_error", *_SQUARED)


# Numbers are far from 0 that are so many of their deviations from it; or that differ by so much, or so little.
_FAR, _LARGE, _SMALL = 3.0, 20.0, 0.05
# So few answers tell nothing; those that differ by less of the deviation of what is true are the same.
_FEWEST, _SAME = 5, 1e-3


def course_of(story: Story, answers: Answers | None, telling: str = "") -> Course:
    """How a training went, in numbers; `telling` is the column that gives the answers away, if there is one."""
    history = story.history
    first = next(iter(answers.each.values()), None) if answers is not None else None
    confidence, mistakes = None, 0
    if isinstance(first, ClassAnswers):
        confidence, mistakes = first.confidence, int((~first.is_right).sum())
    train, had = story.metrics.get("train", {}), had_by(story)
    bounds = _bounds(story) if isinstance(first, NumberAnswers) else None
    score = _by_class(answers, first) if BALANCES in had else score_of(story, answers)
    return Course(
        train=column(history, "loss"),
        validation=column(history, "val_loss"),
        best_epoch=story.best_epoch,
        planned=int((story.spec.get("train") or {}).get("epochs") or len(history)),
        score=score,
        train_loss=train.get("loss"),
        examples=int((story.data.get("examples") or {}).get("train") or 0),
        parameters=story.summary.trainable_parameters if story.summary is not None else 0,
        is_shuffled=bool((story.spec.get("dataset") or {}).get("shuffle", True)),
        sortedness=story.data.get("sortedness"),
        confidence=confidence,
        mistakes=mistakes,
        rates=column(history, "learning_rate"),
        error=str(story.record.get("error") or "") if story.record.get("state") == "failed" else "",
        classes=len(first.names) if isinstance(first, ClassAnswers) else 0,
        scores=_scores(story, score),
        trivial_loss=_trivial_loss(first, had, answers, str(story.spec.get("loss"))),
        loss_of_zero=_loss_of_zero(first, story) if STANDARDIZED not in had else 0.0,
        had=had,
        smoothed=smoothed(story.spec.get("loss")),
        constant=_constant(first),
        is_far=_is_far(first),
        telling=telling,
        judged_by=int((story.data.get("examples") or {}).get("validation") or 0),
        penalty=_penalty(story, answers, first) if PENALIZED in had else None,
        bounds=bounds,
        beyond=_beyond(bounds, first, is_standardized=STANDARDIZED in had),
    )


def _by_class(answers: Answers | None, first: AnyAnswers | None) -> Score | None:
    """What training with balanced classes is about: each class alike, and not each example."""
    if answers is None or not isinstance(first, ClassAnswers):
        return None
    recalls = [row["recall"] for row in first.figures.classes if row["examples"]]
    if len(recalls) < 2:
        return None
    mean = float(np.mean(recalls))
    return Score("mean recall of the classes", None, mean, 1 / len(recalls), 1.0, len(first.truth))


def _constant(first: AnyAnswers | None) -> str:
    """What the model gives for every example, though what is true differs; empty if it does not."""
    if first is None or isinstance(first, CopyAnswers) or len(first.truth) < _FEWEST or not np.ptp(first.truth):
        return ""
    if isinstance(first, ClassAnswers):
        one = int(first.predicted[0])
        return f"“{first.names[one]}”" if (first.predicted == one).all() else ""
    is_same = np.ptp(first.predicted) < _SAME * np.std(first.truth)
    return f"about {number(float(first.predicted[0]))}" if is_same else ""


def _is_far(first: AnyAnswers | None) -> bool:
    if not isinstance(first, NumberAnswers) or not len(first.truth):
        return False
    mean, deviation = float(np.mean(first.truth)), float(np.std(first.truth))
    return abs(mean) > _FAR * deviation or not _SMALL < deviation < _LARGE


def _penalty(story: Story, answers: Answers | None, first: AnyAnswers | None) -> float | None:
    """Which share of the loss is a penalty on the weights: what the answers themselves do not explain."""
    if answers is None or len(answers.each) > 1 or len(answers.rows) < answers.whole:
        return None
    whole = story.metrics.get(answers.split, {}).get("loss")
    kind = str(story.spec.get("loss"))
    own: float | None = None
    if isinstance(first, NumberAnswers) and STANDARDIZED not in had_by(story) and kind in _SQUARED:
        own = float(np.mean(first.errors**2))
    elif isinstance(first, ClassAnswers) and first.are_probabilities and kind.endswith("crossentropy"):
        of_truth = first.scores[np.arange(len(first.truth)), first.truth]
        own = float(-np.log(np.clip(of_truth, 1e-7, 1.0)).mean())
    if whole is None or own is None or not whole > 0 or not math.isfinite(whole):
        return None
    return max(0.0, 1 - own / whole)


def _bounds(story: Story) -> tuple[float, float] | None:
    layers = story.summary.layers if story.summary is not None else ()
    return _BOUNDS.get(layers[-1].activation or "") if layers else None


def _beyond(bounds: tuple[float, float] | None, first: AnyAnswers | None, *, is_standardized: bool) -> float:
    """Which share of the true answers is beyond the bounds."""
    if bounds is None or not isinstance(first, NumberAnswers) or not len(first.truth):
        return 0.0
    truth = first.truth
    if is_standardized:
        truth = (truth - truth.mean()) / (truth.std() or 1.0)
    return float(((truth < bounds[0]) | (truth > bounds[1])).mean())


def _trivial_loss(first: AnyAnswers | None, had: frozenset[str], answers: Answers | None, kind: str) -> float | None:
    if (
        answers is None
        or len(answers.each) > 1
        or not isinstance(first, ClassAnswers | NumberAnswers)
        or {BALANCES, PENALIZED, SMOOTHS} & had
    ):
        return None
    if isinstance(first, NumberAnswers) and STANDARDIZED in had:
        return 1.0 if kind in _SQUARED else None
    return answers.trivial.get("loss")


def _loss_of_zero(first: AnyAnswers | None, story: Story) -> float:
    if not isinstance(first, NumberAnswers):
        return 0.0
    is_squared = str(story.spec.get("loss")) in _SQUARED
    return float(np.mean(first.truth**2 if is_squared else abs(first.truth)))


def _scores(story: Story, score: Score | None) -> Sequence[float]:
    name = score.name.replace(" ", "_") if score is not None else ""
    return column(story.history, f"val_{name}") or column(story.history, name)


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
