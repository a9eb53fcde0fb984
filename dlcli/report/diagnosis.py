"""A word on the fit: what the course of a training and its scores say, in numbers, and what to try.

Which of the findings are told, and in which order; how each is found is in `signs_in_curves`, `signs_in_scores`
and `signs_of_overfitting`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from dlcli.figures import number
from dlcli.report.course import Course
from dlcli.report.finding import Finding, finding_of
from dlcli.report.signs_in_curves import (
    not_shuffled,
    plateau,
    rate_spent,
    stillness,
    thrown_off,
    undertrained,
    unstable,
)
from dlcli.report.signs_in_scores import (
    as_it_was,
    easier,
    few_examples,
    given_away,
    learned_nothing,
    noisy_labels,
    out_of_reach,
    underfitting,
)
from dlcli.report.signs_of_overfitting import overfitting


def diagnose(course: Course) -> tuple[Finding, ...]:
    """What there is to say, the most important first; never nothing."""
    if course.error:
        return (_failed(course),)
    if not course.train:
        return (finding_of(course, "unknown", ["There is no history to judge by."]),)
    if any(not math.isfinite(loss) for loss in course.train):
        return (_diverged(course),)
    checks: tuple[Callable[[Course], Finding | None], ...] = (
        not_shuffled, thrown_off, out_of_reach, unstable, learned_nothing, as_it_was, noisy_labels, overfitting, easier,
        rate_spent, undertrained, underfitting, plateau,
    )  # fmt: skip
    found = [finding for check in checks if (finding := check(course)) is not None]
    kinds = {finding.kind for finding in found}
    # What follows from something else is not told, too.
    for cause, consequences in _EXPLAINS.items():
        if cause in kinds:
            found = [finding for finding in found if finding.kind not in consequences]
    if not found or (kinds == {"not-shuffled"} and course.is_enough):
        found.append(_neither(course))
    first = [finding for finding in (given_away(course),) if finding is not None]
    last = [finding for finding in (few_examples(course),) if finding is not None]
    return (*first, *found, *last)


_EXPLAINS = {
    "not-shuffled": {"unstable", "overfitting", "underfitting", "plateau", "undertrained", "learned-nothing"},
    "thrown-off": {"label-noise", "unstable", "learned-nothing", "underfitting", "plateau", "undertrained"},
    "out-of-reach": {"learned-nothing", "underfitting", "plateau", "undertrained"},
    "unstable": {"plateau", "undertrained", "underfitting", "learned-nothing"},
    "learned-nothing": {"underfitting", "plateau", "undertrained", "as-it-was", "overfitting", "easier"},
    "as-it-was": {"underfitting", "plateau"},
    "label-noise": {"underfitting", "plateau", "easier"},
    "overfitting": {"plateau", "underfitting"},
    "rate-spent": {"label-noise", "plateau", "underfitting", "undertrained"},
    "undertrained": {"underfitting", "plateau", "label-noise"},
    "underfitting": {"plateau"},
}


def _failed(course: Course) -> Finding:
    if re.search(r"loss is (no number|infinite)", course.error):
        return finding_of(course, "diverged", [course.error])
    return finding_of(course, "failed", [course.error])


def _diverged(course: Course) -> Finding:
    epoch = next(at for at, loss in enumerate(course.train, start=1) if not math.isfinite(loss))
    word = "no number" if math.isnan(course.train[epoch - 1]) else "infinite"
    before = f" The epoch before, it was {number(course.train[epoch - 2])}." if epoch > 1 else ""
    return finding_of(course, "diverged", [f"In epoch {epoch} the training loss is {word}.{before}"])


def _neither(course: Course) -> Finding:
    score = course.score
    if len(course.train) < 3:
        epochs = f"{len(course.train)} epochs tell" if len(course.train) > 1 else "1 epoch tells"
        losses = " and ".join(map(number, course.train))
        evidence = [f"{epochs} little of how a training goes.", f"The training loss was {losses}."]
        return finding_of(course, "short", evidence)
    evidence = [f"The training loss fell from {number(course.train[0])} to {number(course.train[-1])}."]
    if score is not None and score.train is not None and score.held_out is not None:
        evidence.append(
            f"The {score.name} is {number(score.train)} on the training examples, and {number(score.held_out)} on "
            "others."
        )
    evidence += stillness(course)
    if not course.validation:
        evidence.append("Nothing was held out while training, so the curves do not show how it does on other examples.")
    return finding_of(course, "good", evidence)
