"""A word on the fit: what the course of a training and its scores say, in numbers, and what to try.

Pure functions of `dlcli.report.course.Course`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from dlcli.figures import number
from dlcli.report.advice import advice_for
from dlcli.report.course import Course

# Gains up to which nearly nothing was learned, and which can be had by learning by heart.
_NOTHING, _BY_HEART = 0.05, 0.3
# A model is called weak below these: of classes, and of numbers, much of which often no input tells.
_WEAK, _WEAK_NUMBERS = 0.75, 0.5
# How much more of the gain in training than elsewhere is overfitting, besides what chance explains.
_GAP = 0.06
# By how much of its least value the validation loss has risen at the end, where it is overfitting.
_RISEN = 0.12
# An epoch's loss that is so many times the least one before it is a jump, if it is so much of the whole fall, too; so
# many of the epochs are unsteady.
_JUMP, _OF_FALL, _UNSTEADY = 1.4, 0.05, 0.15
# A network is thrown off whose loss was so many times the trivial one, and ends at so much of it.
_THROWN, _AS_TRIVIAL = 1.25, 0.95
# The loss still falls, if that of the last fifth of the epochs is by so much of itself, or of its whole fall, below
# that of the fifth before.
_FALLING, _FALLING_OF_WHOLE = 0.04, 0.1
# What is so much of the whole fall is next to nothing; a first epoch's loss so many times the second's is not of it.
_NEAR, _FIRST = 0.02, 3.0
# Nearly all training examples are right from here on; of numbers, with others that are so much worse.
_LEARNED, _LEARNED_NUMBERS, _FAR = 0.985, 0.9, 0.3
# The best epoch was so early that the rest was for nothing; but with such a gain, give or take chance, nothing is
# missing.
_EARLY, _GOOD, _CHANCE = 0.6, 0.95, 0.05
# Where mistakes are as sure as right answers, this is about one half; a model that knows when it guesses has 0.8.
_BLIND = 0.64
_MANY_MISTAKES = 30


@dataclass(frozen=True)
class Finding:
    """Something that can be said of a fit.

    Attributes:
        kind: a word for programs.
        title: a few words for a person.
        evidence: whole sentences with the numbers that say so.
        advice: what to try, the most promising first; empty if there is nothing to do.
        is_good: whether this is how it should be.
    """

    kind: str
    title: str
    evidence: tuple[str, ...]
    advice: tuple[str, ...] = ()
    is_good: bool = False


def diagnose(course: Course) -> tuple[Finding, ...]:
    """What there is to say, the most important first; never nothing."""
    if course.error:
        return (_failed(course),)
    if not course.train:
        return (_finding(course, "unknown", ["There is no history to judge by."]),)
    if any(not math.isfinite(loss) for loss in course.train):
        return (_diverged(course),)
    checks: tuple[Callable[[Course], Finding | None], ...] = (
        _not_shuffled, _thrown_off, _unstable, _learned_nothing, _as_it_was, _noisy_labels, _overfitting, _undertrained,
        _underfitting, _plateau,
    )  # fmt: skip
    found = [finding for check in checks if (finding := check(course)) is not None]
    kinds = {finding.kind for finding in found}
    # What follows from something else is not told, too.
    for cause, consequences in _EXPLAINS.items():
        if cause in kinds:
            found = [finding for finding in found if finding.kind not in consequences]
    return tuple(found) if found else (_neither(course),)


_TITLES = {
    "unknown": "No epoch was done",
    "failed": "The run has failed",
    "diverged": "The loss became no number",
    "not-shuffled": "The examples are not shuffled",
    "thrown-off": "Steps so large that nothing was learned",
    "unstable": "Unstable: the training loss jumps",
    "learned-nothing": "No better than the trivial predictor",
    "as-it-was": "No better than saying that nothing changes",
    "label-noise": "Some labels may be wrong",
    "overfitting": "Overfitting: it knows its training examples better than others",
    "undertrained": "Undertrained: it was still getting better",
    "underfitting": "Underfitting: it is weak on its own training examples",
    "plateau": "A plateau: most epochs brought nothing",
    "short": "Too short to tell",
    "good": "A good fit: neither over- nor underfitting shows",
}


def _finding(course: Course, kind: str, evidence: Sequence[str]) -> Finding:
    return Finding(kind, _TITLES[kind], tuple(evidence), advice_for(kind, course), kind in ("short", "good"))


_EXPLAINS = {
    "not-shuffled": {"unstable", "overfitting", "underfitting", "plateau", "undertrained", "learned-nothing"},
    "thrown-off": {"unstable", "learned-nothing", "underfitting", "plateau", "undertrained"},
    "unstable": {"plateau", "undertrained", "underfitting", "learned-nothing"},
    "learned-nothing": {"underfitting", "plateau", "undertrained", "as-it-was", "overfitting"},
    "as-it-was": {"underfitting", "plateau"},
    "label-noise": {"underfitting", "plateau"},
    "overfitting": {"plateau", "underfitting"},
    "undertrained": {"underfitting", "plateau"},
}


def _failed(course: Course) -> Finding:
    if re.search(r"loss is (no number|infinite)", course.error):
        return _finding(course, "diverged", [course.error])
    return _finding(course, "failed", [course.error])


def _diverged(course: Course) -> Finding:
    epoch = next(at for at, loss in enumerate(course.train, start=1) if not math.isfinite(loss))
    word = "no number" if math.isnan(course.train[epoch - 1]) else "infinite"
    before = f" The epoch before, it was {number(course.train[epoch - 2])}." if epoch > 1 else ""
    return _finding(course, "diverged", [f"In epoch {epoch} the training loss is {word}.{before}"])


def _not_shuffled(course: Course) -> Finding | None:
    """Examples in a fixed order: what an epoch ends with is remembered, and the rest forgotten."""
    if (
        course.is_shuffled
        or course.train_loss is None
        or not course.best_epoch
        or course.best_epoch > len(course.train)
    ):
        return None
    meanwhile = course.train[course.best_epoch - 1]
    if not course.train_loss > 1.5 * meanwhile + 1e-9 or course.is_enough:
        return None
    evidence = (
        "The spec says `shuffle: false`, so the examples came in the same order in each epoch.",
        f"While epoch {course.best_epoch} ran, the loss was {number(meanwhile)}; on all training examples at its end "
        f"it was {number(course.train_loss)}: what came last was learned, and what came first forgotten.",
    )
    return _finding(course, "not-shuffled", evidence)


def _jumps(losses: Sequence[float]) -> list[int]:
    """The epochs, from 1, whose loss is well above the least before, and not only because that was nearly nothing."""
    found, least = [], losses[0]
    enough = _OF_FALL * _whole_fall(losses)
    for epoch, loss in enumerate(losses[1:], start=2):
        if loss > _JUMP * least and loss - least > enough:
            found.append(epoch)
        least = min(least, loss)
    return found


def _unstable(course: Course) -> Finding | None:
    """The training loss goes up and down. It may be large from the first step on, and fall to what means nothing."""
    losses = course.train
    if len(losses) < 4 or course.is_enough:
        return None
    jumps = _jumps(losses)
    largest = max(losses)
    rises = sum(after > before * 1.05 for before, after in pairwise(losses))
    is_unsteady = len(jumps) > _UNSTEADY * len(losses) and rises >= 2
    if not is_unsteady and not (jumps and largest > 3 * losses[0]):
        return None
    worst = max(jumps, key=lambda epoch: losses[epoch - 1])
    evidence = (
        f"The training loss was well above its least value before in {len(jumps)} of {len(losses)} epochs, the most in "
        f"epoch {worst}: {number(losses[worst - 1])}, after {number(min(losses[: worst - 1]))}.",
        *_rate(course),
    )
    return _finding(course, "unstable", evidence)


def _thrown_off(course: Course) -> Finding | None:
    """Steps so large that all became worse than any constant answer, and then no better than that."""
    trivial, losses = course.trivial_loss, course.train
    if trivial is None or len(losses) < 3:
        return None
    worst, last = max(losses), _last_fifths(losses)[1]
    untrained = math.log(max(2, course.classes))  # what a network that knows nothing begins with
    if worst < _THROWN * max(trivial, untrained) or last < _AS_TRIVIAL * trivial:
        return None
    evidence = (
        f"In epoch {losses.index(worst) + 1} the training loss was {number(worst)}, and at the end {number(last)}: to "
        f"give each class the probability of its share comes to {number(trivial)}.",
        *_rate(course),
    )
    return _finding(course, "thrown-off", evidence)


def _rate(course: Course) -> list[str]:
    rates = [rate for rate in course.rates if math.isfinite(rate)]
    if not rates:
        return []
    same = max(rates) <= min(rates) * 1.0001
    return [
        f"The learning rate was {rates[0]:.3g}." if same else f"The rate went from {rates[0]:.3g} to {rates[-1]:.3g}."
    ]


def _learned_nothing(course: Course) -> Finding | None:
    train, held_out = course.gains()
    known = train if train is not None else held_out
    score = course.score
    if score is None or score.trivial is None or known is None or len(course.train) < 2:
        return None
    # Of what only chance gives, a little can be learned by heart.
    by_heart = held_out is not None and held_out < _NOTHING + score.chance / 2 and known < _BY_HEART
    if known > _NOTHING and not by_heart:
        return None
    first, last = course.train[0], min(course.train)
    value = score.train if train is not None else score.held_out
    evidence = (
        f"The {score.name} of the training examples is {number(value or 0.0)}; always giving the same comes to about "
        f"{number(score.trivial)}.",
        f"In {len(course.train)} epochs the training loss went from {number(first)} to {number(last)}.",
        *_rate(course),
    )
    return _finding(course, "learned-nothing", evidence)


def _as_it_was(course: Course) -> Finding | None:
    """Of a series: the last value of each window would have been as good a prediction."""
    score = course.score
    if score is None or score.last_value is None or score.held_out is None or score.held_out < score.last_value:
        return None
    evidence = (
        f"The {score.name} is {number(score.held_out)}; saying that each number stays what the last row of its window "
        f"has comes to {number(score.last_value)}.",
    )
    return _finding(course, "as-it-was", evidence)


def _noisy_labels(course: Course) -> Finding | None:
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
    return _finding(course, "label-noise", evidence)


def _overfitting(course: Course) -> Finding | None:
    evidence = [*_gap(course), *_rise(course)]
    if not evidence:
        return None
    if course.examples and course.parameters > course.examples:
        ratio = course.parameters / course.examples
        evidence.append(
            f"{course.parameters:,} parameters learned from {course.examples:,} examples, {ratio:,.0f} for each."
        )
    return _finding(course, "overfitting", evidence)


def _gap(course: Course) -> list[str]:
    """A better score in training than elsewhere, by more than chance."""
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or held_out is None or score.trivial is None:
        return []
    noise = 0.0 if held_out < _NOTHING else 0.5 * max(0.0, 1 - train)  # in numbers, which no input tells
    allowed = _GAP + (score.chance if score.perfect == 1.0 else noise)
    if train - held_out <= allowed:
        return []
    return [
        f"The {score.name} is {number(score.train or 0.0)} on the training examples, and "
        f"{number(score.held_out or 0.0)} on examples that it has not seen."
    ]


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
    if not has_fallen or end <= (1 + _RISEN) * least or at > 0.8 * len(losses):
        return []
    if course.is_enough:
        return []
    return [
        f"The validation loss was least in epoch {at + 1}, {number(least)}, and has risen to {number(end)} since, "
        f"while the training loss fell from {number(course.train[at])} to {number(course.train[-1])}."
    ]


def _undertrained(course: Course) -> Finding | None:
    """The loss still falls at the end, and there is something to gain."""
    losses = course.watched
    if len(losses) < 3 or not all(map(math.isfinite, [*losses, *course.train])) or course.is_enough:
        return None
    train, held_out = course.gains()
    if train is not None and train > _LEARNED and course.score is not None and course.score.perfect == 1.0:
        return None  # all training examples are right: going on makes only surer
    if train is not None and held_out is not None and train > _LEARNED_NUMBERS and train - held_out > _FAR:
        return None  # nothing is left to learn from these examples
    part = max(1, len(losses) // 5)
    best = losses.index(min(losses))
    (before, last), of_training = (_last_fifths(one) for one in (losses, course.train))
    least = min(_FALLING * before, max(_FALLING_OF_WHOLE * (losses[0] - last), 0.01 * before))
    which = "validation" if course.validation else "training"
    least = max(least, _NEAR * _whole_fall(losses))
    if not (before - last > least and best >= len(losses) - part):
        before, last = of_training
        which = "training"
        # One epoch of validation may be worse by chance.
        if before - last <= _FALLING_OF_WHOLE * (course.train[0] - last) or best < len(losses) - 2 * part:
            return None
    epochs = f"the last {part} epochs" if part > 1 else "the last epoch"
    evidence = (
        f"The {which} loss still falls: {number(last)} in {epochs}, {1 - last / before:.1%} less than before that.",
    )
    return _finding(course, "undertrained", evidence)


def _whole_fall(losses: Sequence[float]) -> float:
    """How far the losses have fallen; without the first epoch's, if that is mostly of the first steps."""
    is_far = len(losses) > 3 and losses[0] > _FIRST * losses[1]
    return max(losses[1:] if is_far else losses) - min(losses)


def _last_fifths(losses: Sequence[float]) -> tuple[float, float]:
    """The mean losses of the last fifth of the epochs but one, and of the last."""
    part = max(1, len(losses) // 5)
    return fmean(losses[-2 * part : -part]), fmean(losses[-part:])


def _underfitting(course: Course) -> Finding | None:
    """Weak on the training examples, too, and no longer getting better."""
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or len(course.train) < 3:
        return None
    if train > (_WEAK if score.perfect == 1.0 else _WEAK_NUMBERS):
        return None
    evidence = [
        f"The {score.name} of the training examples themselves is only {number(score.train or 0.0)}"
        f" (trivial: {number(score.trivial or 0.0)}).",
    ]
    if held_out is not None:
        same = ": it does not overfit" if train - held_out < _GAP + score.chance else ""
        evidence.append(f"On examples that it has not seen it is {number(score.held_out or 0.0)}{same}.")
    before, last = _last_fifths(course.train)
    fall = 1 - last / (before or 1.0)
    evidence.append(f"The training loss has fallen by {max(0.0, fall):.1%} in the last fifth of the epochs.")
    return _finding(course, "underfitting", evidence)


def _plateau(course: Course) -> Finding | None:
    """Most of the epochs brought nothing."""
    losses = course.watched
    _, held_out = course.gains()
    score = course.score
    chance = min(_CHANCE, score.chance) if score is not None and score.perfect == 1.0 else 0.0
    if len(losses) < 10 or not all(map(math.isfinite, losses)) or (held_out or 0.0) + chance > _GOOD:
        return None
    least = min(losses)
    whole = max(losses) - least
    near = next(at for at, loss in enumerate(losses, start=1) if loss <= least + _NEAR * whole)
    if near > _EARLY * len(losses):
        return None
    which = "validation" if course.validation else "training"
    evidence = (
        f"The {which} loss was within {_NEAR:.0%} of its whole fall in epoch {near} already; "
        f"the {len(losses) - near} epochs after it brought next to nothing.",
    )
    return _finding(course, "plateau", evidence)


def _neither(course: Course) -> Finding:
    score = course.score
    if len(course.train) < 3:
        epochs = f"{len(course.train)} epochs tell" if len(course.train) > 1 else "1 epoch tells"
        return _finding(course, "short", [f"{epochs} little of how a training goes."])
    evidence = [f"The training loss fell from {number(course.train[0])} to {number(course.train[-1])}."]
    if score is not None and score.train is not None and score.held_out is not None:
        evidence.append(
            f"The {score.name} is {number(score.train)} on the training examples, and {number(score.held_out)} on "
            "others."
        )
    if not course.validation:
        evidence.append("Nothing was held out while training, so the curves do not show how it does on other examples.")
    return _finding(course, "good", evidence)
