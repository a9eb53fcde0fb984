"""What the curves of a training say: losses that rise, stand still, or still fall. Scores are judged elsewhere.

Pure functions of `dlcli.report.course.Course`, each of which finds one thing, or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from dlcli.figures import number
from dlcli.report.course import Course
from dlcli.report.finding import Finding, finding_of, rate_told
from dlcli.report.shapes import falls_steadily, jumps, last_fifths, rise_at_end, whole_fall

# Examples are sorted that are so much like the ones before them; 0 is chance, and 1 the most.
_SORTED = 0.8
# So many epochs with a jump are unsteady.
_UNSTEADY = 0.15
# Of classes, a rise by less of the whole fall is one of nearly nothing.
_OF_FALL = 0.05
# A rise by so much of it is one whatever other examples do.
_LOST = 0.3
# So many times what a network that knows nothing has, or begins with, is a loss far off.
_FAR_OFF, _AFAR, _HUGE = 3.0, 100.0, 1000.0  # the latter two of numbers, which begin farther off
# A network is thrown off whose loss was so many times the trivial one, and ends at so much of it.
_THROWN, _AS_TRIVIAL = 1.25, 0.95
# The loss still falls, if that of the last fifth of the epochs is by so much of itself, or of its whole fall, below
# that of the fifth before.
_FALLING, _FALLING_OF_WHOLE = 0.04, 0.1
# What is so much of the whole fall is next to nothing.
_NEAR = 0.02
# Nearly all training examples are right from here on; of numbers, with others that are so much worse.
_LEARNED, _LEARNED_NUMBERS, _FAR = 0.95, 0.9, 0.3
# A network without hidden layers, or with next to no units, that has learned a little in so many epochs is too small.
_LITTLE, _LONG = 0.1, 20
# A share of right answers that rises by no more in the last fifth of so many epochs stands still.
_RISING, _FEWEST, _MANY_RIGHT = 0.003, 10, 0.85
_ALL_BUT_ONE = 0.99  # of other examples: next to nothing is left, however rare a class is
# Of the largest rate so little is next to none; if so many of the epochs had no more, and brought so little, it was
# spent too early: unless other examples do worse by so much more of the gain than chance explains.
_SPENT, _SPENT_EPOCHS, _STUCK, _GAP = 0.05, 0.4, 0.05, 0.06


def not_shuffled(course: Course) -> Finding | None:
    """Examples in a fixed order: what an epoch ends with is remembered, and the rest forgotten."""
    if course.is_shuffled:
        return None
    evidence = [*([] if course.is_enough else _forgotten(course)), *_sorted(course)]
    always = "The spec says `shuffle: false`, so the examples came in the same order in each epoch."
    return finding_of(course, "not-shuffled", [always, *evidence]) if evidence else None


def _forgotten(course: Course) -> Iterator[str]:
    best = course.best_epoch or 0
    if course.train_loss is None or not 0 < best <= len(course.train):
        return
    meanwhile = course.train[best - 1]
    if course.train_loss > 1.5 * meanwhile + 1e-9:
        yield (
            f"While epoch {best} ran, the loss was {number(meanwhile)}; on all training examples at its end it was "
            f"{number(course.train_loss)}: what came last was learned, and what came first forgotten."
        )


def _sorted(course: Course) -> Iterator[str]:
    """What is true of one example is mostly true of the next. Of a series it is so by its nature."""
    is_series = course.score is not None and course.score.last_value is not None
    if course.sortedness is None or course.sortedness < _SORTED or is_series:
        return
    if course.classes:
        alike = f"{course.sortedness:.0%} alike, where 0% is an order by chance"
        yield f"They come class by class: an example and the one before it are {alike}."
    else:
        yield f"They are sorted: each number and the one before it have a correlation of {course.sortedness:.2f}."


def unstable(course: Course) -> Finding | None:
    """The training loss goes up again. It may be large from the first step on, and fall to what means nothing."""
    losses = course.train
    if len(losses) < 4:
        return None
    evidence = () if course.is_enough else tuple(_up_and_down(course))
    if not evidence and not (course.is_enough and course.is_of_classes):
        evidence = tuple(_worse_in_the_end(course)) or tuple(_far_off(course))
    return finding_of(course, "unstable", [*evidence, *rate_told(course)]) if evidence else None


def _up_and_down(course: Course) -> Iterator[str]:
    losses = course.train
    found = jumps(losses, course.rates)
    rises = sum(after > before * 1.05 for before, after in pairwise(losses))
    is_unsteady = len(found) > _UNSTEADY * len(losses) and rises >= 2
    is_far_off = max((losses[epoch - 1] for epoch in found), default=0.0) > _FAR_OFF * _untrained(course)
    if not is_unsteady and not is_far_off:
        return
    worst = max(found, key=lambda epoch: losses[epoch - 1])
    yield (
        f"The training loss was well above its least value before in {len(found)} of {len(losses)} epochs, the most in "
        f"epoch {worst}: {number(losses[worst - 1])}, after {number(min(losses[: worst - 1]))}."
    )


def _far_off(course: Course) -> Iterator[str]:
    """An epoch with a loss far above what knowing nothing comes to, after which less was learned than is to be had."""
    train, worst = course.gains()[0], max(course.train)
    if train is None or course.trivial_loss is None:
        return
    is_less = course.is_weak(train) if course.is_of_classes else train < _LEARNED_NUMBERS
    if is_less and worst > (_FAR_OFF if course.is_of_classes else _AFAR) * _untrained(course):
        yield (
            f"In epoch {course.train.index(worst) + 1} the training loss was {number(worst)}; a network that knows "
            f"nothing has {number(_untrained(course))}."
        )


def _untrained(course: Course) -> float:
    """The loss of a network that knows nothing, if that is known; or else the first."""
    if course.trivial_loss is None:
        return course.train[0]
    return max(course.trivial_loss, math.log(max(2, course.classes)) if course.classes else course.loss_of_zero)


def _worse_in_the_end(course: Course) -> Iterator[str]:
    """On the training examples themselves and, where there are others, on these; or by more than chance explains."""
    found = [rise_at_end(losses, course.rates) for losses in (course.train, course.validation) if losses]
    fall = whole_fall(course.train)
    enough = _OF_FALL * fall if course.is_of_classes else 0.0
    is_lost = found[0] is not None and found[0][2] - found[0][1] > _LOST * fall
    if not is_lost and any(one is None or one[2] - one[1] <= enough for one in found):
        return
    for which, one in zip(("training", "validation"), found, strict=False):
        if one is not None:
            epoch, least, end = one
            yield f"The {which} loss was least about epoch {epoch}, {number(least)}, and is {number(end)} at the end."


def thrown_off(course: Course) -> Finding | None:
    """Steps so large that all became worse than any constant answer, and then no better than that."""
    trivial, losses = course.trivial_loss, course.train
    if trivial is None or len(losses) < 3:
        return None
    worst, (before, last) = max(losses), last_fifths(losses)
    enough = _THROWN if course.is_of_classes else _FAR_OFF
    if worst < enough * _untrained(course) or last < _AS_TRIVIAL * trivial:
        return None
    falls = not course.is_of_classes and before - last > _FALLING_OF_WHOLE * before
    if falls_steadily(losses) or (falls and worst < _HUGE * _untrained(course)):
        return None  # it may begin as far off, by its weights or large inputs, and come nearer
    same = "to give each class the probability of its share" if course.is_of_classes else "always to give the same"
    evidence = (
        f"In epoch {losses.index(worst) + 1} the training loss was {number(worst)}, and at the end {number(last)}: "
        f"{same} comes to {number(trivial)}.",
        *rate_told(course),
    )
    return finding_of(course, "thrown-off", evidence)


def rate_spent(course: Course) -> Finding | None:
    """A schedule that ends long before there is nothing more to learn from the training examples."""
    train, held_out = course.gains()
    rates, losses = course.rates, course.train
    if len(rates) < 5 or len(rates) != len(losses) or train is None or not course.is_weak(train):
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
    return finding_of(course, "rate-spent", evidence)


def undertrained(course: Course) -> Finding | None:
    """The loss still falls at the end, and there is something to gain."""
    losses = course.watched
    if len(losses) < 3 or not all(map(math.isfinite, [*losses, *course.train])) or _is_done(course):
        return None
    part = max(1, len(losses) // 5)
    best = losses.index(min(losses))
    (before, last), of_training = (last_fifths(one) for one in (losses, course.train))
    least = min(_FALLING * before, max(_FALLING_OF_WHOLE * (losses[0] - last), 0.01 * before))
    which = "validation" if course.validation else "training"
    if (course.gains()[0] or 0.0) >= 0:
        least = max(least, _NEAR * whole_fall(losses))  # what is worse than the mean has fallen from far off
    if not (before - last > least and best >= len(losses) - part):
        before, last = of_training
        which = "training"
        # One epoch of validation may be worse by chance.
        if before - last <= _FALLING_OF_WHOLE * (course.train[0] - last) or best < len(losses) - 2 * part:
            return None
    if of_training[0] - of_training[1] <= min(_NEAR * whole_fall(course.train), _FALLING * of_training[0]):
        return None  # what only validation brings is chance, or how its examples differ
    epochs = f"the last {part} epochs" if part > 1 else "the last epoch"
    evidence = (
        f"The {which} loss still falls: {number(last)} in {epochs}, {1 - last / before:.1%} less than before that.",
    )
    return finding_of(course, "undertrained", evidence)


def _is_done(course: Course) -> bool:
    """Whether more epochs have little to gain, however the loss falls."""
    train, held_out = course.gains()
    if course.is_enough or (course.is_of_classes and course.score and (course.score.held_out or 0.0) >= _ALL_BUT_ONE):
        return True
    if _is_score_still(course):
        return True
    if train is None:
        return False
    if course.is_of_classes and train > _LEARNED:
        return True  # nearly all training examples are right: going on makes only surer
    if course.is_bare and train > _LITTLE and course.is_weak(train) and len(course.train) >= _LONG:
        return True  # a larger network gains more than more epochs
    # All that is there to learn is known by heart.
    return held_out is not None and train > _LEARNED_NUMBERS and train - held_out > _FAR


def _is_score_still(course: Course) -> bool:
    """Whether of classes no more are answered right, which are many, and the loss falls as answers become surer."""
    train, held_out = course.gains()
    gain = train if train is not None else held_out
    if not course.is_of_classes or len(course.scores) < _FEWEST or gain is None or gain < _MANY_RIGHT:
        return False
    before, last = last_fifths(course.scores)
    return last - before <= _RISING


def plateau(course: Course) -> Finding | None:
    """Most of the epochs brought nothing, at a score that is not good."""
    if course.still_from is None or course.is_fine:
        return None
    return finding_of(course, "plateau", stillness(course))


def stillness(course: Course) -> list[str]:
    """A sentence on the epochs that brought nothing, if these were most."""
    near = course.still_from
    if near is None:
        return []
    return [
        f"The {'validation' if course.validation else 'training'} loss was within {_NEAR:.0%} of its whole fall in "
        f"epoch {near} already; the {len(course.watched) - near} epochs after it brought next to nothing."
    ]
