"""What can be said of a fit: a finding, with its title, its evidence and what to try."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.report.advice import advice_for
from dlcli.report.course import Course


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


_TITLES = {
    "unknown": "No epoch was done",
    "failed": "The run has failed",
    "diverged": "The loss became no number",
    "not-shuffled": "The examples are not shuffled",
    "thrown-off": "Steps so large that nothing was learned",
    "unstable": "Unstable: the training loss goes up again",
    "learned-nothing": "No better than the trivial predictor",
    "out-of-reach": "Answers that the last layer cannot give",
    "easier": "Better on other examples than on its own",
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


def finding_of(course: Course, kind: str, evidence: Sequence[str]) -> Finding:
    """A finding of one of the kinds above, with its title and what to try."""
    return Finding(kind, _TITLES[kind], tuple(evidence), advice_for(kind, course), kind == "good")


def rate_told(course: Course) -> list[str]:
    """A sentence on the learning rate, or none, if it is not known."""
    rates = [rate for rate in course.rates if math.isfinite(rate)]
    if not rates:
        return []
    same = max(rates) <= min(rates) * 1.0001
    return [
        f"The learning rate was {rates[0]:.3g}." if same else f"The rate went from {rates[0]:.3g} to {rates[-1]:.3g}."
    ]
