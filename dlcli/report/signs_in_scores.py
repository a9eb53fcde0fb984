"""What the scores of a training say: of its own examples, of others, and beside the trivial predictor.

Pure functions of `dlcli.report.course.Course`, each of which finds one thing, or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from dlcli.figures import number
from dlcli.report.course import Course
from dlcli.report.finding import Finding, finding_of, rate_told
from dlcli.report.remedies import BALANCES
from dlcli.report.shapes import falls_steadily, last_fifths
from dlcli.report.signs_in_curves import undertrained
from dlcli.report.signs_of_overfitting import GAP

# Gains up to which nearly nothing was learned, which is little, and which can be had by learning by heart.
_NOTHING, _LITTLE, _BY_HEART = 0.05, 0.1, 0.3
# A loss that has fallen by so much of itself has begun to.
_BEGUN = 0.002
# Where mistakes are as sure as right answers, this is about one half; a model that knows when it guesses has 0.8.
_BLIND = 0.67
_ALIKE = 0.8  # of the loss on training examples, so much and more is that of others which are like them
_KNOWN = 0.3  # a gain with which something of the matter is known
_MANY_MISTAKES = 30
_FEW_EXAMPLES = 20
# So many of the answers are more than some odd ones.
_BEYOND = 0.02
# Others are answered better by so much of the gain, besides chance; or with so much less of a loss, of which much is
# left, if so many tell.
_EASIER, _LESS, _NEARLY_ALL, _NOT_YET, _ENOUGH_TO_JUDGE = 0.1, 0.6, 0.8, 0.1, 50


def learned_nothing(course: Course) -> Finding | None:
    """No better than always giving the same, or only by heart."""
    train, held_out = course.gains()
    known = train if train is not None else held_out
    score = course.score
    if score is None or score.trivial is None or known is None or len(course.train) < 3 or _is_on_its_way(course):
        return None
    if not course.is_of_classes and known < -_NOTHING and undertrained(course) is not None:
        return None  # it has not come as far as the mean
    if known > _NOTHING and not _is_of_chance(course, known, held_out, score.chance):
        return None
    known_of = (("the training examples", score.train), ("others", score.held_out))
    each = ", and ".join(f"{number(value)} on {whose}" for whose, value in known_of if value is not None)
    evidence = [f"The {score.name} is {each}; always giving the same comes to about {number(score.trivial)}."]
    if course.constant:
        evidence.append(f"It gives {course.constant} for each example, whatever goes in.")
    first, last = course.train[0], min(course.train)
    evidence.append(
        f"In {len(course.train)} epochs the training loss went from {number(first)} to {number(last)}"
        f"{': the examples were learned by heart.' if course.is_by_heart else '.'}"
    )
    return finding_of(course, "learned-nothing", [*evidence, *_penalty_told(course), *rate_told(course)])


def _is_of_chance(course: Course, known: float, held_out: float | None, chance: float) -> bool:
    """Whether so little as others have of it can be chance, and the rest was learned by heart."""
    if held_out is None or held_out >= _NOTHING + chance / 2:
        return False
    return known < (_LITTLE if course.is_small and held_out >= _NOTHING else _BY_HEART)


def _penalty_told(course: Course) -> list[str]:
    if not course.is_held_back:
        return []
    return [f"Of the loss, {course.penalty or 0.0:.0%} is the penalty on the weights, and not of wrong answers."]


def _is_on_its_way(course: Course) -> bool:
    """Whether each epoch brings as much as the one before, so that it has only not come far yet."""
    losses = course.watched
    has_begun = losses[0] - losses[-1] > _BEGUN * losses[0]
    return has_begun and falls_steadily(losses) and falls_steadily(course.train)


def as_it_was(course: Course) -> Finding | None:
    """Of a series: the last value of each window would have been as good a prediction."""
    score = course.score
    if score is None or score.last_value is None or score.held_out is None or score.held_out < score.last_value:
        return None
    if (score.gain(score.held_out) or 0.0) < 0:
        return None  # worse than the mean, too: that is told in other words
    evidence = (
        f"The {score.name} is {number(score.held_out)}; saying that each number stays what the last row of its window "
        f"has comes to {number(score.last_value)}.",
    )
    return finding_of(course, "as-it-was", evidence)


def out_of_reach(course: Course) -> Finding | None:
    """Numbers that the activation of the last layer cannot give."""
    if course.bounds is None or course.beyond < _BEYOND:
        return None
    low, high = course.bounds
    room = f"no number below {low:g}" if math.isinf(high) else f"numbers from {low:g} to {high:g} only"
    evidence = (f"The last layer's activation gives {room}; {course.beyond:.0%} of the answers are beyond.",)
    return finding_of(course, "out-of-reach", evidence)


def easier(course: Course) -> Finding | None:
    """Other examples are answered better than those of training, by more than chance: they are not alike."""
    score = course.score
    if score is None or None in course.gains() or course.train_loss is None or course.is_enough:
        return None
    if score.last_value is not None:
        return None  # of a series, other times may be others
    if _better_on_others(course):
        evidence = (
            f"The {score.name} is {number(score.train or 0.0)} on the training examples, and "
            f"{number(score.held_out or 0.0)} on others, which it has not seen.",
        )
        return finding_of(course, "easier", evidence)
    if not _is_validation_easier(course):
        return None
    evidence = (
        f"After epoch {course.best_epoch} the loss is {number(course.train_loss)} on the training examples, and "
        f"{number(course.validation[(course.best_epoch or 1) - 1])} on the {course.judged_by:,} of validation, which "
        "it has not seen.",
    )
    return finding_of(course, "easier", evidence)


def _better_on_others(course: Course) -> bool:
    """Whether the score of others is better than that of the training examples, by more than chance."""
    train, held_out = course.gains()
    if course.score is None or train is None or held_out is None:
        return False
    return held_out - max(0.0, train) > _EASIER + course.score.chance


def _is_validation_easier(course: Course) -> bool:
    """Whether its loss is far less, after training as in nearly all epochs, and much is left of that of training."""
    best, loss = course.best_epoch or 0, course.train_loss or 0.0
    if not 0 < best <= len(course.validation) or course.judged_by < _ENOUGH_TO_JUDGE or BALANCES in course.had:
        return False
    less = sum(0 <= other < _LESS * own for own, other in zip(course.train, course.validation, strict=False))
    is_less = less > _NEARLY_ALL * len(course.train) and 0 <= course.validation[best - 1] < _LESS * loss
    return is_less and loss > _NOT_YET * course.train[0]


def noisy_labels(course: Course) -> Finding | None:
    """Mistakes that are as sure as right answers, of a model that knows its matter otherwise."""
    _, held_out = course.gains()
    if course.is_bare or held_out is None or held_out < _KNOWN or len(course.train) < 3:
        return None
    evidence = [*_sure_mistakes(course), *_wrong_in_training(course)]
    return finding_of(course, "label-noise", evidence) if evidence else None


def _sure_mistakes(course: Course) -> Iterator[str]:
    if course.confidence is not None and course.mistakes >= _MANY_MISTAKES and course.confidence <= _BLIND:
        yield (
            "Mistakes are nearly as sure as right answers: of a mistake and a right answer, the right one is the surer "
            f"in {course.confidence:.0%} of the pairs, {course.mistakes} mistakes in all. By chance it would be 50%; "
            "where examples are hard and not mislabelled, it is 80% and more."
        )


def _wrong_in_training(course: Course) -> Iterator[str]:
    """Others are answered better than the training examples, and than those of validation, which were among these."""
    score, best = course.score, course.best_epoch or 0
    if score is None or not course.is_of_classes or not _better_on_others(course):
        return
    if 0 < best <= len(course.validation) and course.validation[best - 1] < _ALIKE * (course.train_loss or 0.0):
        return
    yield (
        f"The {score.name} is {number(score.train or 0.0)} on the training examples, but "
        f"{number(score.held_out or 0.0)} on others, which it has not seen: what it has learned is right more often "
        "than their labels."
    )


def underfitting(course: Course) -> Finding | None:
    """Weak on the training examples, too, and no longer getting better."""
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or len(course.train) < 3:
        return None
    if not course.is_weak(train) and not course.is_held_back:
        return None
    word = "only" if course.is_of_classes else "still"
    evidence = [
        f"The {score.name} of the training examples themselves is {word} {number(score.train or 0.0)}"
        f" (trivial: {number(score.trivial or 0.0)}).",
    ]
    if held_out is not None:
        is_same, is_alike = (train - held_out < allowed for allowed in (GAP, GAP + score.chance))
        so = ": it does not overfit" if is_same else ", which may be chance" if is_alike else ""
        evidence.append(f"On examples that it has not seen it is {number(score.held_out or 0.0)}{so}.")
    evidence += _penalty_told(course)
    before, last = last_fifths(course.train)
    fall = 1 - last / (before or 1.0)
    evidence.append(f"The training loss has fallen by {max(0.0, fall):.1%} in the last fifth of the epochs.")
    return finding_of(course, "underfitting", evidence)


def given_away(course: Course) -> Finding | None:
    """A column that tells what is asked for, all by itself."""
    score = course.score
    if not course.telling or not course.is_enough or score is None:
        return None
    evidence = (
        f"The {score.name} is {number(score.held_out or 0.0)}, and the column “{course.telling}” alone tells the "
        "answer to each training example.",
    )
    return finding_of(course, "given-away", evidence)


def few_examples(course: Course) -> Finding | None:
    """So few examples are held out that what they say is mostly chance."""
    count, why = course.judged_by, " to choose the best epoch"
    if not course.validation and course.score is not None and course.examples >= _FEW_EXAMPLES:
        count, why = course.score.held_out_examples, " to judge by"
    if not 0 < count < _FEW_EXAMPLES:
        return None
    one = f": one of them is {1 / count:.0%} of the score" if course.classes else ""
    return finding_of(course, "few-examples", (f"{count} examples are held out{why}{one}.",))
