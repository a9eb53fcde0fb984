"""How a curve of losses goes: by how much it falls, where it jumps, whether it falls steadily or ends worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev

# An epoch's loss that is so many times the least one before it is a jump, if it is so much of the whole fall, too.
_JUMP, _OF_FALL = 1.4, 0.05
# Means of many epochs that are so many times the least have risen.
_RISE = 1.25
# A first epoch's loss so many times the second's is not of the whole fall.
_FIRST = 3.0
# What is so much of the whole fall is next to nothing.
_NEAR = 0.02
# A curve falls steadily if so many of its steps go down, those of the last third by so much of the mean step.
_DOWN, _STRAIGHT = 0.8, 0.4
# A rate so many times another is a larger one; one of before that is so much of it was as large.
_LARGER, _AS_LARGE = 1.5, 0.9


def whole_fall(losses: Sequence[float]) -> float:
    """How far the losses have fallen; without the first epoch's, if that is mostly of the first steps."""
    is_far = len(losses) > 3 and losses[0] > _FIRST * losses[1]
    return max(losses[1:] if is_far else losses) - min(losses)


def last_fifths(losses: Sequence[float]) -> tuple[float, float]:
    """The mean losses of the last fifth of the epochs but one, and of the last."""
    part = max(1, len(losses) // 5)
    return fmean(losses[-2 * part : -part]), fmean(losses[-part:])


def scatter(losses: Sequence[float]) -> float:
    """By how much an epoch's loss is another by chance: a standard deviation, as losses of two epochs on end differ."""
    return stdev(after - before for before, after in pairwise(losses)) / math.sqrt(2) if len(losses) > 2 else 0.0


def first_near(losses: Sequence[float]) -> int:
    """The first epoch, from 1, after which next to nothing of the whole fall came."""
    least = min(losses)
    whole = max(losses) - least
    return next(at for at, loss in enumerate(losses, start=1) if loss <= least + _NEAR * whole)


def jumps(losses: Sequence[float], rates: Sequence[float]) -> list[int]:
    """The epochs, from 1, whose loss is well above the least before, and not only because that was nearly nothing.

    Where a schedule begins anew with a large rate, the loss goes up with it, as it is meant to.
    """
    found, least = [], 0
    enough = _OF_FALL * whole_fall(losses)
    for at, loss in enumerate(losses[1:], start=1):
        is_above = loss > _JUMP * losses[least] and loss - losses[least] > enough
        if is_above and not _begins_anew(rates, least, at):
            found.append(at + 1)
        least = at if loss < losses[least] else least
    return found


def _begins_anew(rates: Sequence[float], before: int, at: int) -> bool:
    """Whether the rate is larger than it was at an epoch before, but has been as large before that."""
    if at >= len(rates) or rates[at] <= _LARGER * rates[before]:
        return False
    return max(rates[: before + 1]) >= _AS_LARGE * rates[at]


def falls_steadily(losses: Sequence[float]) -> bool:
    """Whether the losses fall from the first epoch to the last, by nearly as much at the end as before."""
    if len(losses) < 3:
        return False
    steps = [before - after for before, after in pairwise(losses)]
    end = steps[-max(1, len(losses) // 3) :]
    return sum(step > 0 for step in steps) >= _DOWN * len(steps) and fmean(end) > _STRAIGHT * fmean(steps) > 0


def rise_at_end(losses: Sequence[float], rates: Sequence[float]) -> tuple[int, float, float] | None:
    """The epoch, from 1, about which the losses were least, that loss, and the one at the end, if that is a jump above.

    Both are means of a fifth of the epochs. None for fewer than 10 epochs, for losses that end low, and where a
    schedule begins anew with a large rate.
    """
    if len(losses) < 10:
        return None
    part = len(losses) // 5
    means = [fmean(losses[first : first + part]) for first in range(len(losses) - part + 1)]
    least, end = min(means), means[-1]
    at = means.index(least) + part // 2
    is_low = end <= _RISE * least or any(
        _begins_anew(rates, at, late) for late in range(len(losses) - part, len(losses))
    )
    return None if is_low else (at + 1, least, end)
