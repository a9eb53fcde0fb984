"""What the scores of a training say: of its own examples, of others, and beside the trivial predictor.

Pure functions of `dlcli.report.course.Course`, each of which finds one thing, or nothing.
"""

from __future__ import annotations

import math
from statistics import fmean

from dlcli.figures import number
from dlcli.report.course import Course
from dlcli.report.finding import Finding, finding_of, rate_told
from dlcli.report.remedies import BALANCES
from dlcli.report.shapes import falls_steadily, last_fifths

# Gains up to which nearly nothing was learned, which is little, and which can be had by learning by heart.
_NOTHING, _LITTLE, _BY_HEART = 0.05, 0.1, 0.3
# A loss that has fallen by so much of itself has begun to.
_BEGUN = 0.005
# How much more of the gain in training than elsewhere is overfitting, besides what chance explains.
_GAP = 0.06
# By how much of its least value the validation loss has risen at the end, where it is overfitting.
_RISEN = 0.12
_ENOUGH_FOR_LOSS = 100  # examples: by fewer it rises for less
# Nearly all training examples are right from here on; others, if so many are.
_LEARNED, _GOOD = 0.985, 0.95
# A validation loss so many times that of training shows overfitting where few examples leave the score to chance.
_APART, _HIGH = 10.0, 0.4  # and so much of the trivial one is still high
# Where mistakes are as sure as right answers, this is about one half; a model that knows when it guesses has 0.8.
_BLIND = 0.64
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
    return not course.is_far and has_begun and falls_steadily(losses) and falls_steadily(course.train)


def as_it_was(course: Course) -> Finding | None:
    """Of a series: the last value of each window would have been as good a prediction."""
    score = course.score
    if score is None or score.last_value is None or score.held_out is None or score.held_out < score.last_value:
        return None
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
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or held_out is None or course.train_loss is None or course.is_enough:
        return None
    if score.last_value is not None:
        return None  # of a series, other times may be others
    if held_out - max(0.0, train) > _EASIER + score.chance:
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
    if course.confidence is None or held_out is None or course.mistakes < _MANY_MISTAKES:
        return None
    if course.confidence > _BLIND or held_out < 0.3:
        return None
    evidence = (
        f"Mistakes are nearly as sure as right answers: of a mistake and a right answer, the right one is the surer in "
        f"{course.confidence:.0%} of the pairs, {course.mistakes} mistakes in all. By chance it would be 50%; where "
        "examples are hard and not mislabelled, it is 80% and more.",
    )
    return finding_of(course, "label-noise", evidence)


def overfitting(course: Course) -> Finding | None:
    """Better on what it was trained on than on others, or a validation loss that rises."""
    evidence = [*_gap(course), *_rise(course)]
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
    allowed = _GAP + (score.chance if score.perfect == 1.0 else noise)
    if train - held_out <= (_GAP if _is_far_apart(course) else allowed):
        return []
    return [
        f"The {score.name} is {number(score.train or 0.0)} on the training examples, and "
        f"{number(score.held_out or 0.0)} on examples that it has not seen."
    ]


def _is_far_apart(course: Course) -> bool:
    """Whether all training examples are right, and the losses differ by more than chance can make of few examples."""
    train, held_out = course.gains()
    if not course.validation or train is None or held_out is None or not (train > _LEARNED and held_out < _GOOD):
        return False
    tail = max(1, len(course.train) // 10)
    end = fmean(course.validation[-tail:])
    is_high = course.trivial_loss is not None and end > _HIGH * course.trivial_loss
    return end > _APART * fmean(course.train[-tail:]) and (is_high or end > (1 + _RISEN) * min(course.validation))


def _rise(course: Course) -> list[str]:
    """A validation loss that rises while that of training falls."""
    losses = course.validation
    if len(losses) < 5 or not all(map(math.isfinite, losses)):
        return []
    tail = max(1, len(losses) // 10)
    # Means of some epochs: of a validation loss that goes up and down, the least one is low by chance.
    means = [fmean(losses[first : first + tail]) for first in range(len(losses) - tail + 1)]
    least, end = min(means), means[-1]
    at = means.index(least) + tail // 2
    has_fallen = fmean(course.train[-tail:]) < 0.95 * course.train[at]
    if not has_fallen or end <= (1 + _risen(course)) * least or at > 0.8 * len(losses):
        return []
    if course.is_enough_by_chance:
        return []
    return [
        f"The validation loss was least in epoch {at + 1}, {number(least)}, and has risen to {number(end)} since, "
        f"while the training loss fell from {number(course.train[at])} to {number(course.train[-1])}."
    ]


def _risen(course: Course) -> float:
    """By how much of its least value the validation loss is to rise; more where few examples leave it to chance."""
    return _RISEN * math.sqrt(max(1.0, _ENOUGH_FOR_LOSS / (course.judged_by or _ENOUGH_FOR_LOSS)))


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
        is_same, is_alike = (train - held_out < allowed for allowed in (_GAP, _GAP + score.chance))
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
