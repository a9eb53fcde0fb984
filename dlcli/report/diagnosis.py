"""A word on the fit: what the course of a training and its scores say, in numbers, and what to try.

Pure functions of `dlcli.report.course.Course`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from dlcli.figures import number
from dlcli.report.advice import advice_for
from dlcli.report.course import Course
from dlcli.report.shapes import falls_steadily, jumps, last_fifths, rise_at_end, whole_fall

# Gains up to which nearly nothing was learned, and which can be had by learning by heart.
_NOTHING, _BY_HEART = 0.05, 0.3
# A model is called weak below these: of classes, and of numbers, much of which often no input tells.
_WEAK, _WEAK_NUMBERS = 0.75, 0.5
# How much more of the gain in training than elsewhere is overfitting, besides what chance explains.
_GAP = 0.06
# By how much of its least value the validation loss has risen at the end, where it is overfitting.
_RISEN = 0.12
# So many epochs with a jump are unsteady.
_UNSTEADY = 0.15
# Of classes, a rise by less of the whole fall is one of nearly nothing.
_OF_FALL = 0.05
# A network is thrown off whose loss was so many times the trivial one, and ends at so much of it.
_THROWN, _AS_TRIVIAL = 1.25, 0.95
# The loss still falls, if that of the last fifth of the epochs is by so much of itself, or of its whole fall, below
# that of the fifth before.
_FALLING, _FALLING_OF_WHOLE = 0.04, 0.1
# What is so much of the whole fall is next to nothing; a loss that has fallen by so much of itself has begun to.
_NEAR, _BEGUN = 0.02, 0.005
# Nearly all training examples are right from here on; of numbers, with others that are so much worse.
_LEARNED, _LEARNED_NUMBERS, _FAR = 0.985, 0.9, 0.3
# The best epoch was so early that the rest was for nothing; but with such a gain, give or take chance, nothing is
# missing.
_EARLY, _GOOD, _CHANCE = 0.6, 0.95, 0.05
# Where mistakes are as sure as right answers, this is about one half; a model that knows when it guesses has 0.8.
_BLIND = 0.64
_MANY_MISTAKES = 30
# A validation loss so many times that of training shows overfitting where few examples leave the score to chance.
_APART = 10.0
# Of the largest rate so little is next to none; if so many of the epochs had no more, and brought so little, it was
# spent too early.
_SPENT, _SPENT_EPOCHS, _STUCK = 0.05, 0.4, 0.05
_FEW_EXAMPLES = 20


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
        _not_shuffled, _thrown_off, _unstable, _learned_nothing, _as_it_was, _noisy_labels, _overfitting, _rate_spent,
        _undertrained, _underfitting, _plateau,
    )  # fmt: skip
    found = [finding for check in checks if (finding := check(course)) is not None]
    kinds = {finding.kind for finding in found}
    # What follows from something else is not told, too.
    for cause, consequences in _EXPLAINS.items():
        if cause in kinds:
            found = [finding for finding in found if finding.kind not in consequences]
    doubts = [finding for doubt in (_given_away, _few_examples) if (finding := doubt(course)) is not None]
    return (*(found or [_neither(course)]), *doubts)


_TITLES = {
    "unknown": "No epoch was done",
    "failed": "The run has failed",
    "diverged": "The loss became no number",
    "not-shuffled": "The examples are not shuffled",
    "thrown-off": "Steps so large that nothing was learned",
    "unstable": "Unstable: the training loss goes up again",
    "learned-nothing": "No better than the trivial predictor",
    "as-it-was": "No better than saying that nothing changes",
    "label-noise": "Some labels may be wrong",
    "overfitting": "Overfitting: it knows its training examples better than others",
    "undertrained": "Undertrained: it was still getting better",
    "underfitting": "Underfitting: it is weak on its own training examples",
    "rate-spent": "The learning rate was spent too early",
    "plateau": "A plateau: most epochs brought nothing",
    "given-away": "Too good to be true?",
    "few-examples": "Few examples to judge by",
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
    "rate-spent": {"plateau", "underfitting", "undertrained"},
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


def _unstable(course: Course) -> Finding | None:
    """The training loss goes up again. It may be large from the first step on, and fall to what means nothing."""
    losses = course.train
    if len(losses) < 4:
        return None
    evidence = () if course.is_enough else tuple(_up_and_down(course))
    if not evidence and not (course.is_enough and _is_of_classes(course)):
        evidence = tuple(_worse_in_the_end(course))
    return _finding(course, "unstable", [*evidence, *_rate(course)]) if evidence else None


def _is_of_classes(course: Course) -> bool:
    return course.score is not None and course.score.perfect == 1.0


def _up_and_down(course: Course) -> Iterator[str]:
    losses = course.train
    found = jumps(losses, course.rates)
    rises = sum(after > before * 1.05 for before, after in pairwise(losses))
    is_unsteady = len(found) > _UNSTEADY * len(losses) and rises >= 2
    if not is_unsteady and not (found and max(losses) > 3 * losses[0]):
        return
    worst = max(found, key=lambda epoch: losses[epoch - 1])
    yield (
        f"The training loss was well above its least value before in {len(found)} of {len(losses)} epochs, the most in "
        f"epoch {worst}: {number(losses[worst - 1])}, after {number(min(losses[: worst - 1]))}."
    )


def _worse_in_the_end(course: Course) -> Iterator[str]:
    """On the training examples themselves and, where there are others, on these."""
    found = [rise_at_end(losses, course.rates) for losses in (course.train, course.validation) if losses]
    enough = _OF_FALL * whole_fall(course.train) if _is_of_classes(course) else 0.0
    if any(one is None or one[2] - one[1] <= enough for one in found):
        return
    for which, one in zip(("training", "validation"), found, strict=False):
        if one is not None:
            epoch, least, end = one
            yield f"The {which} loss was least about epoch {epoch}, {number(least)}, and is {number(end)} at the end."


def _thrown_off(course: Course) -> Finding | None:
    """Steps so large that all became worse than any constant answer, and then no better than that."""
    trivial, losses = course.trivial_loss, course.train
    if trivial is None or len(losses) < 3:
        return None
    worst, last = max(losses), last_fifths(losses)[1]
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
    if score is None or score.trivial is None or known is None or len(course.train) < 3 or _is_on_its_way(course):
        return None
    # Of what only chance gives, a little can be learned by heart.
    by_heart = held_out is not None and held_out < _NOTHING + score.chance / 2 and known < _BY_HEART
    if known > _NOTHING and not by_heart:
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
    return _finding(course, "learned-nothing", [*evidence, *_rate(course)])


def _is_on_its_way(course: Course) -> bool:
    """Whether each epoch brings as much as the one before, so that it has only not come far yet."""
    losses = course.watched
    has_begun = losses[0] - losses[-1] > _BEGUN * losses[0]
    return not course.is_far and has_begun and falls_steadily(losses) and falls_steadily(course.train)


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
    return end > _APART * fmean(course.train[-tail:]) and end > (1 + _RISEN) * min(course.validation)


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


def _rate_spent(course: Course) -> Finding | None:
    """A schedule that ends long before there is nothing more to learn from the training examples."""
    train, held_out = course.gains()
    rates, losses = course.rates, course.train
    if len(rates) < 5 or len(rates) != len(losses) or train is None or train > _weak_below(course):
        return None
    enough = _SPENT * max(rates)
    end = next((at for at, rate in enumerate(reversed(rates)) if rate >= enough), len(rates))
    spent = len(rates) - end  # the first epoch, from 0, from which on there is next to no rate
    if end < _SPENT_EPOCHS * len(rates) or not spent or losses[spent] - losses[-1] > _STUCK * losses[spent]:
        return None
    if held_out is not None and train - held_out > _GAP + (course.score.chance if course.score is not None else 0.0):
        return None
    evidence = (
        f"From epoch {spent + 1} on the rate was less than {_SPENT:.0%} of its largest, {max(rates):.3g}; in the end "
        f"{rates[-1]:.3g}.",
        f"In these {end} epochs the training loss went from {number(losses[spent])} to {number(losses[-1])}.",
    )
    return _finding(course, "rate-spent", evidence)


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
    (before, last), of_training = (last_fifths(one) for one in (losses, course.train))
    least = min(_FALLING * before, max(_FALLING_OF_WHOLE * (losses[0] - last), 0.01 * before))
    which = "validation" if course.validation else "training"
    least = max(least, _NEAR * whole_fall(losses))
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


def _weak_below(course: Course) -> float:
    """The gain in training up to which a model is called weak."""
    return _WEAK if _is_of_classes(course) else _WEAK_NUMBERS


def _underfitting(course: Course) -> Finding | None:
    """Weak on the training examples, too, and no longer getting better."""
    train, held_out = course.gains()
    score = course.score
    if score is None or train is None or len(course.train) < 3:
        return None
    if train > _weak_below(course):
        return None
    evidence = [
        f"The {score.name} of the training examples themselves is only {number(score.train or 0.0)}"
        f" (trivial: {number(score.trivial or 0.0)}).",
    ]
    if held_out is not None:
        is_same, is_alike = (train - held_out < allowed for allowed in (_GAP, _GAP + score.chance))
        so = ": it does not overfit" if is_same else ", which may be chance" if is_alike else ""
        evidence.append(f"On examples that it has not seen it is {number(score.held_out or 0.0)}{so}.")
    before, last = last_fifths(course.train)
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


def _given_away(course: Course) -> Finding | None:
    """A column that tells what is asked for, all by itself."""
    score = course.score
    if not course.telling or not course.is_enough or score is None:
        return None
    evidence = (
        f"The {score.name} is {number(score.held_out or 0.0)}, and the column “{course.telling}” alone tells the "
        "answer to each training example.",
    )
    return _finding(course, "given-away", evidence)


def _few_examples(course: Course) -> Finding | None:
    """So few examples are held out that what they say is mostly chance."""
    if not 0 < course.judged_by < _FEW_EXAMPLES:
        return None
    one = f": one of them is {1 / course.judged_by:.0%} of the score" if course.classes else ""
    evidence = (f"{course.judged_by} examples are held out to choose the best epoch{one}.",)
    return _finding(course, "few-examples", evidence)


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
