"""Overfitting: what scores and curves say of a network that knows its training examples better than others.

Pure functions of `dlcli.report.course.Course`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median

from dlcli.figures import number
from dlcli.report.course import Course, Score
from dlcli.report.finding import Finding, finding_of
from dlcli.report.shapes import scatter

# A gain up to which nearly nothing was learned.
_NOTHING = 0.05
GAP = 0.06
"""how much more of the gain in training than elsewhere is overfitting, besides what chance explains"""
# By how much of its least value the validation loss has risen at the end, where it is overfitting.
_RISEN = 0.12
_SLIGHT = 0.05  # what is right in training by no more of all examples is of little weight
_FALLEN = 0.95  # of its own loss at that epoch, so much and less is left of that of training
_ENOUGH_FOR_LOSS = 100  # examples: by fewer it rises for less
# Nearly all training examples are right from here on; others, if so many are.
_LEARNED, _GOOD = 0.985, 0.95
# A validation loss so many times that of training shows overfitting where few examples leave the score to chance.
_APART, _HIGH = 10.0, 0.4  # and so much of the trivial one is still high
# A validation loss that is so many standard deviations of its mean above the least one is so by more than chance.
_SURELY = 2.0


def overfitting(course: Course) -> Finding | None:
    """Better on what it was trained on than on others, or a validation loss that rises."""
    evidence = [*_gap(course), *_rise(course)] or _by_heart(course) or _in_training_alone(course)
    if not evidence:
        return None
    if course.examples and course.parameters > course.examples:
        ratio = course.parameters / course.examples
        evidence.append(
            f"{course.parameters:,} parameters learned from {course.examples:,} examples, {ratio:,.0f} for each."
        )
    return finding_of(course, "overfitting", evidence)


def _gap(course: Course) -> list[str]:
    """A better score in training than elsewhere, by more than chance."""
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or held_out is None or score.trivial is None or train < _NOTHING:
        return []
    noise = 0.0 if held_out < _NOTHING else 0.5 * max(0.0, 1 - train)  # in numbers, which no input tells
    allowed = GAP + (score.chance_below(train - GAP) if score.perfect == 1.0 else noise)
    if _is_slight(course, score):
        return []
    if train - held_out <= (GAP if _is_far_apart(course) else allowed):
        return []
    return [
        f"The {score.name} is {number(score.train or 0.0)} on the training examples, and "
        f"{number(score.held_out or 0.0)} on examples that it has not seen."
    ]


def _is_slight(course: Course, score: Score) -> bool:
    """Whether of classes hardly more is right in training, and the losses are not far apart."""
    if not course.is_of_classes or (score.train or 0.0) - (score.held_out or 0.0) >= _SLIGHT:
        return False
    return not course.validation or _at_end(course.validation) <= _APART * _at_end(course.train)


def _is_far_apart(course: Course) -> bool:
    """Whether all training examples are right, and the losses differ by more than chance can make of few examples."""
    train, held_out = course.gains()
    if not course.validation or train is None or held_out is None or not (train > _LEARNED and held_out < _GOOD):
        return False
    own, end = _at_end(course.train), _at_end(course.validation)
    is_high = course.trivial_loss is not None and end > _HIGH * course.trivial_loss
    return end > _APART * own and (is_high or end > (1 + _RISEN) * min(course.validation))


def _at_end(losses: Sequence[float]) -> float:
    return fmean(losses[-max(1, len(losses) // 10) :])


def _by_heart(course: Course) -> list[str]:
    """Numbers: a training loss that goes on falling to next to nothing, while that of validation stays where it was."""
    if course.is_of_classes or course.score is None or not course.validation or course.is_enough:
        return []
    own, other = _at_end(course.train), _at_end(course.validation)
    if not other > _APART * own:
        return []
    return [
        f"In the end the training loss is {number(own)} and the validation loss {number(other)}, {other / own:,.0f} "
        "times as much."
    ]


def _in_training_alone(course: Course) -> list[str]:
    """A training loss that falls through all the epochs in which that of validation stands still, at no good score."""
    near, own = course.still_from, _at_end(course.train)
    if near is None or not course.validation or course.is_fine:
        return []
    before = median(course.train[near : (near + len(course.train) + 1) // 2])
    if own >= _FALLEN * before:
        return []
    return [
        f"From epoch {near} on the training loss fell from about {number(before)} to {number(own)}, and that of "
        "validation no more."
    ]


def _rise(course: Course) -> list[str]:
    """A validation loss that rises while that of training falls."""
    losses = course.validation
    if len(losses) < 5 or course.is_stopped or not all(map(math.isfinite, losses)):
        return []
    tail = max(1, len(losses) // 10)
    # Means of some epochs: of a validation loss that goes up and down, the least one is low by chance.
    means = [fmean(losses[first : first + tail]) for first in range(len(losses) - tail + 1)]
    least, end = min(means), means[-1]
    at = means.index(least) + tail // 2
    has_fallen = fmean(course.train[-tail:]) < _FALLEN * course.train[at]
    if not has_fallen or end <= (1 + _risen(course)) * least or at > 0.8 * len(losses):
        return []
    if course.is_enough_by_chance or end - least <= _SURELY * scatter(losses[len(losses) // 2 :]) / math.sqrt(tail):
        return []
    return [
        f"The validation loss was least in epoch {at + 1}, {number(least)}, and has risen to {number(end)} since, "
        f"while the training loss fell from {number(course.train[at])} to {number(course.train[-1])}."
    ]


def _risen(course: Course) -> float:
    """By how much of its least value the validation loss is to rise; more where few examples leave it to chance."""
    return _RISEN * math.sqrt(max(1.0, _ENOUGH_FOR_LOSS / (course.judged_by or _ENOUGH_FOR_LOSS)))
