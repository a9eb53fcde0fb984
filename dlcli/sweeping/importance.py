"""How much each parameter of a sweep matters for its metric: a share of the variance, as Optuna's fANOVA has it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.spec.writing import to_flow
from dlcli.sweeping.result import CHOICE, INTEGER, Parameter, SweepResult, Trial

FEWEST = 6
"""trials that must be complete before anything can be said"""
# With more leaves, a thousand trials take minutes, and the shares stay the same to the second digit.
_TREES, _DEPTH = 32, 5


def importances(result: SweepResult) -> dict[str, float]:
    """By path, the most important first, shares of the variance of the metric among the complete trials.

    Those of the parameters that each trial has add up to 1. That of a parameter with a condition is its share among the
    trials that have it. The same trials always give the same shares.

    Source: Hutter et al. 2014, An Efficient Approach for Assessing Hyperparameter Importance; optuna.importance.

    Returns:
        empty if fewer than `FEWEST` trials are complete, or all of them have the same value.
    """
    ranked = sorted(result.ranked(), key=lambda trial: trial.number)
    always = [one for one in result.parameters if all(one.path in trial.values for trial in ranked)]
    found = _shares(always, ranked)
    for parameter in result.parameters:
        having = [trial for trial in ranked if parameter.path in trial.values]
        if parameter not in always and having:
            share = _shares([*always, parameter], having).get(parameter.path)
            found |= {parameter.path: share} if share is not None else {}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _shares(parameters: Sequence[Parameter], trials: Sequence[Trial]) -> dict[str, float]:
    """Of trials that all have these parameters."""
    if len(trials) < FEWEST or not parameters or len({trial.value for trial in trials}) < 2:
        return {}
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    spread = {one.path: _distribution(one, [trial.values[one.path] for trial in trials]) for one in parameters}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would tell of the study, which no one sees
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study()
            study.add_trials([_trial(trial, spread) for trial in trials])
            evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=0)
            shares = get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {path: float(share) for path, share in shares.items() if math.isfinite(share)}


def _distribution(parameter: Parameter, values: Sequence[Any]) -> Any:
    """Of its range, made wider if trials are outside of it, since the spec was changed between them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == CHOICE:
        texts = dict.fromkeys(to_flow(value) for value in (*parameter.choices, *values))
        return CategoricalDistribution(tuple(texts))
    ends = [end for end in (parameter.low, parameter.high) if end is not None]
    low, high = min([*ends, *values]), max([*ends, *values])
    if parameter.kind == INTEGER:
        return IntDistribution(int(low), int(high), log=parameter.logarithmic)
    return FloatDistribution(float(low), float(high), log=parameter.logarithmic)


def _trial(trial: Trial, spread: Mapping[str, Any]) -> Any:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    values = {
        path: to_flow(trial.values[path]) if isinstance(one, CategoricalDistribution) else trial.values[path]
        for path, one in spread.items()
    }
    return create_trial(params=values, distributions=dict(spread), value=trial.value)


class WatchedImportance:
    """The importances while a sweep runs: they take a second, so those of before hold for a quarter more trials."""

    def __init__(self) -> None:
        self._count = 0
        self._known: dict[str, float] = {}

    def of(self, result: SweepResult) -> dict[str, float]:
        """As `importances`."""
        count = sum(trial.is_ranked for trial in result.trials)
        if count >= max(FEWEST, math.ceil(1.25 * self._count)) and count != self._count:
            self._known, self._count = importances(result), count
        return self._known
