"""What a sweep's trials say of the search itself: whether it looked far enough, and what went wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from dlcli.figures import number
from dlcli.report.finding import Finding
from dlcli.report.frame import short
from dlcli.sweeping.naming import share_text, value_text
from dlcli.sweeping.result import CHOICE, COMPLETE, FAILED, MAXIMIZE, Configuration, Parameter, SweepResult

_AT_END = 0.02  # of a range: so near its end the best value may lie beyond
_MATTERS = 0.1  # of the variance
_FEWEST = 5  # complete trials before the end of a range says anything
_MOST_REASONS = 3
_NUMBER = re.compile(r"\d[\w.+-]*")
_LONGEST = 240  # characters of a reason
_UNLIKELY = 0.05  # a difference that chance brings more often than that may be none
_LATE = 0.2  # of the trials: a best one among the last of them may not stay the best


def findings(result: SweepResult, names: Mapping[str, str], shares: Mapping[str, float]) -> tuple[Finding, ...]:
    """What there is to say, what went wrong first; nothing, if there is nothing.

    Args:
        result: the trials.
        names: what each parameter is called, by path.
        shares: the importances; empty if they are not known.
    """
    wrong = (*_failures(result), *_odd_values(result))
    if result.configurations():
        return (*wrong, *_difference(result))
    return (*wrong, *_at_the_end(result, names, shares), *_late(result))


def _failures(result: SweepResult) -> Iterator[Finding]:
    failed = result.in_state(FAILED)
    if not failed:
        return
    reasons: dict[str, list[str]] = {}  # those that differ in their numbers only are one
    for trial in failed:
        reason = trial.reason or "no reason is known"
        reasons.setdefault(_NUMBER.sub("#", reason), []).append(reason)
    often = sorted(reasons.values(), key=len, reverse=True)[:_MOST_REASONS]
    lines = tuple(
        f"{f'{len(same):,} times' if len(same) > 1 else 'once'}: {short(same[0], _LONGEST)}" for same in often
    )
    are_all = not any(trial.state == COMPLETE for trial in result.trials)
    count = f"{len(failed):,} of {len(result.trials):,} trials failed"
    yield Finding(
        "none-complete" if are_all else "failed", f"{count}, and none is complete" if are_all else count, lines
    )


def _odd_values(result: SweepResult) -> Iterator[Finding]:
    odd = [trial for trial in result.in_state(COMPLETE) if trial.value is not None and not math.isfinite(trial.value)]
    if odd:
        plural = "trials have" if len(odd) > 1 else "trial has"
        numbers = ", ".join(str(trial.number) for trial in odd[:10])
        line = f"Trials {numbers}{' and others' if len(odd) > 10 else ''}: they are not ranked, and not drawn."
        yield Finding("no-number", f"{len(odd):,} complete {plural} a value that is no finite number", (line,))


def _at_the_end(result: SweepResult, names: Mapping[str, str], shares: Mapping[str, float]) -> Iterator[Finding]:
    """Of the parameters that matter: the best value of any other is where it is by chance."""
    best, complete = result.best(), result.ranked()
    if best is None or len(complete) < _FEWEST:
        return
    lines = []
    for parameter in result.parameters:
        matters = not shares or shares.get(parameter.path, 0.0) >= _MATTERS
        if matters and parameter.path in best.values and (end := _end(parameter, best.values[parameter.path])):
            value = value_text(best.values[parameter.path])
            lines.append(f"`{names[parameter.path]}` is best at {value}: of its range that is the {end}.")
    if lines:
        advice = ("Search further there: make the range wider, if a wider one makes sense.",)
        yield Finding("at-the-end", "The best values lie at the end of what was searched", tuple(lines), advice)


def _end(parameter: Parameter, value: float) -> str:
    """Whether a value is at the end of its range: "least" or "most"; empty if it is not, or there is no range."""
    low, high = parameter.low, parameter.high
    if parameter.kind == CHOICE or low is None or high is None or not high > low:
        return ""
    if parameter.logarithmic and low > 0 and value > 0:
        share = math.log(value / low) / math.log(high / low)
    else:
        share = (value - low) / (high - low)
    return "least" if share <= _AT_END else "most" if share >= 1 - _AT_END else ""


def _late(result: SweepResult) -> Iterator[Finding]:
    best = result.best()
    count = len(result.trials)
    if best is None or best.value is None or len(result.ranked()) < 2 * _FEWEST or best.number < (1 - _LATE) * count:
        return
    before = [trial.value or 0.0 for trial in result.ranked() if trial.number < (1 - _LATE) * count]
    if before:
        earlier = max(before) if result.direction == MAXIMIZE else min(before)
        line = f"Trial {best.number} of {count:,} is the best, with {number(best.value)}; before the last fifth it was "
        advice = ("More trials: `dlcli sweep --resume SWEEP --trials N`.",)
        yield Finding("late", "The search was still getting better", (f"{line}{number(earlier)}.",), advice)


def _difference(result: SweepResult) -> Iterator[Finding]:
    """Whether the best configuration differs from the next by more than seeds explain; nothing if that is not known."""
    first, second, *_ = [*result.configurations(), None, None]
    if first is None or second is None or first.mean is None or second.mean is None:
        return
    chance = _by_chance(first, second)
    if chance is None:
        return
    line = (
        f"Their means are {number(abs(first.mean - second.mean))} apart. If they were alike, seeds would bring such a "
        f"difference in {share_text(chance)} of the cases (Welch's t-test)."
    )
    if chance >= _UNLIKELY:
        title = f"{first.name} and {second.name} differ by no more than seeds do"
        yield Finding("no-difference", title, (line,), ("More seeds tell them apart, if there is a difference.",))
    else:
        title = f"{first.name} is better than {second.name} by more than seeds explain"
        yield Finding("difference", title, (line,), (), True)


def _by_chance(first: Configuration, second: Configuration) -> float | None:
    """How likely seeds alone make such a difference; None with fewer than two seeds of one of them."""
    if first.deviation is None or second.deviation is None:
        return None
    if first.deviation == second.deviation == 0:
        return float(first.mean == second.mean)
    from scipy.stats import ttest_ind

    return float(ttest_ind(first.figures, second.figures, equal_var=False).pvalue)
