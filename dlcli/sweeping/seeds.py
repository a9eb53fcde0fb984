"""Configurations that were each trained with several seeds: their mean, and how far seeds alone spread them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.spec.writing import to_flow
from dlcli.sweeping.naming import value_text
from dlcli.sweeping.result import MAXIMIZE, SweepResult, Trial


@dataclass(frozen=True)
class Configuration:
    """The trials that differ only in their seed.

    Attributes:
        values: what was set, as in its trials.
        trials: in the order of their numbers.
    """

    values: Mapping[str, Any]
    trials: tuple[Trial, ...]

    @property
    def name(self) -> str:
        """What it is called: its only value, or all of them."""
        texts = [value if isinstance(value, str) else value_text(value) for value in self.values.values()]
        return ", ".join(texts)

    @property
    def figures(self) -> list[float]:
        """Of the trials that are complete with a number."""
        return [trial.value or 0.0 for trial in self.trials if trial.is_ranked]

    @property
    def mean(self) -> float | None:
        """Over the seeds; None if no trial is complete."""
        return statistics.fmean(self.figures) if self.figures else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the seeds (that of a sample: n - 1); None of fewer than two."""
        return statistics.stdev(self.figures) if len(self.figures) > 1 else None


def configurations(result: SweepResult) -> list[Configuration]:
    """Of a sweep that has seeds, the best mean first, and those without any last; none of any other sweep."""
    found: dict[str, list[Trial]] = {}
    for trial in result.trials:
        if trial.seed is not None:
            found.setdefault(to_flow(dict(trial.values)), []).append(trial)
    sign = -1.0 if result.direction == MAXIMIZE else 1.0
    each = [Configuration(trials[0].values, tuple(trials)) for trials in found.values()]
    return sorted(each, key=lambda one: sign * one.mean if one.mean is not None else math.inf)
