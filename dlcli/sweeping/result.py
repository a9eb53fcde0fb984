"""What a sweep has found so far, as plain data. Imports nothing heavy; where it is read from lives elsewhere."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.spec.writing import to_flow

COMPLETE, PRUNED, FAILED, RUNNING, WAITING = "complete", "pruned", "failed", "running", "waiting"
STATES = (COMPLETE, PRUNED, FAILED, RUNNING, WAITING)
"""of a trial, in the order in which they are counted"""
INTEGER, FLOAT, CHOICE = "integer", "float", "choice"
MINIMIZE, MAXIMIZE = "minimize", "maximize"


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried, or is to be.

    Attributes:
        number: counted from 0, as in its folder's name.
        state: one of `STATES`.
        values: what was set, by dotted path as in `--set`, in the order of the spec; a parameter whose condition does
            not hold is not there.
        value: of the metric at the trial's end (its best epoch), or the last one reported if it was pruned; None if
            there is none. It may be no finite number.
        run: its run's folder; None if it has none yet.
        seconds: how long it took; None while that is not known.
        reason: why it failed, in one line.
        seed: the seed that it was trained with, where a sweep trains each configuration with several; trials with the
            same `values` are then one configuration. None in any other sweep.
        reported: the metric after each epoch (counted from 1) that was reported; empty if that is not known.
    """

    number: int
    state: str
    values: Mapping[str, Any]
    value: float | None = None
    run: Path | None = None
    seconds: float | None = None
    reason: str | None = None
    seed: int | None = None
    reported: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_ranked(self) -> bool:
        """Whether it can be the best: it is complete, and its value is a number."""
        return self.state == COMPLETE and self.value is not None and math.isfinite(self.value)


@dataclass(frozen=True)
class Parameter:
    """What is searched.

    Attributes:
        path: dotted, as in `--set`, such as "model.layers.hidden.Dense.units".
        kind: "integer", "float" or "choice".
        logarithmic: whether it is drawn evenly by its logarithm.
        low: the least value of a range; None for choices.
        high: the greatest, which is allowed as well; None for choices.
        choices: any values that YAML has; empty for a range.
        step: how far apart the numbers are that are tried; None for any.
        when: the other parameters, by path, that must have a value, or one of a list, for this one to have any.
    """

    path: str
    kind: str
    logarithmic: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    step: float | None = None
    when: Mapping[str, Any] = field(default_factory=dict)


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
        return ", ".join(value if isinstance(value, str) else to_flow(value) for value in self.values.values())

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


@dataclass(frozen=True)
class SweepResult:
    """All trials of a sweep.

    Attributes:
        name: of the spec.
        metric: what is made as good as can be, such as "val_accuracy".
        direction: "minimize" or "maximize".
        parameters: in the order of the spec.
        trials: in the order of their numbers.
        planned: how many trials it is to have; None if only time ends it.
        record: the content of sweep.json; empty if there is none.
    """

    name: str
    metric: str
    direction: str
    parameters: tuple[Parameter, ...]
    trials: tuple[Trial, ...]
    planned: int | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def best(self) -> Trial | None:
        """The complete trial with the best value, the first of those that are equal; None if there is none.

        Where each configuration has several seeds, one of that with the best mean: a lucky seed makes none better.
        """
        configurations = self.configurations()
        of = [trial.number for trial in configurations[0].trials] if configurations else None
        return next((trial for trial in self.ranked() if of is None or trial.number in of), None)

    def configurations(self) -> list[Configuration]:
        """Of a sweep that has seeds, the best mean first, and those without any last; none of any other sweep."""
        found: dict[str, list[Trial]] = {}
        for trial in self.trials:
            if trial.seed is not None:
                found.setdefault(to_flow(dict(trial.values)), []).append(trial)
        each = [Configuration(trials[0].values, tuple(trials)) for trials in found.values()]
        return sorted(each, key=lambda one: self._sign * one.mean if one.mean is not None else math.inf)

    @property
    def _sign(self) -> float:
        return -1.0 if self.direction == MAXIMIZE else 1.0

    def ranked(self) -> list[Trial]:
        """The trials that are complete with a number, the best first."""
        ranked = (trial for trial in self.trials if trial.is_ranked)
        return sorted(ranked, key=lambda trial: self._sign * (trial.value or 0.0))

    def in_order(self) -> list[Trial]:
        """All trials: those of `ranked`, then the others by state and number."""
        others = [trial for trial in self.trials if not trial.is_ranked]
        return [*self.ranked(), *sorted(others, key=lambda trial: (STATES.index(trial.state), trial.number))]

    def in_state(self, state: str) -> list[Trial]:
        """The trials in a state, in the order of their numbers."""
        return [trial for trial in self.trials if trial.state == state]
