"""What a sweep tries: the values of each trial, by what Optuna suggests; and the spec that they make."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution

from dlcli.errors import UsageError
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.composition import put_together
from dlcli.spec.loading import LoadedSpec, Look
from dlcli.spec.overrides import Override, option
from dlcli.spec.sweep import MOST_COMBINATIONS, Grid, Qmc, SweepSpec, label_of
from dlcli.spec.sweep import Parameter as Written
from dlcli.spec.trying import overrides_of
from dlcli.spec.writing import to_yaml
from dlcli.sweeping.result import CHOICE, FLOAT, INTEGER, Parameter

Values = dict[str, Any]
Load = Callable[[Path, Sequence[Override], Look], LoadedSpec]
"""reads a spec with other values than its own, and looks into the files of its data"""
USUAL_TRIALS = 20
_DIGITS = 12  # that count: steps of 0.05 come to 0.15, and not to 0.15000000000000002


class Plan(Protocol):
    """What is tried."""

    @property
    def planned(self) -> int:
        """How many trials there are to be."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """For who shows them."""

    @property
    def changes_data(self) -> bool:
        """Whether trials have data of their own, so that what is wrong with that of one says nothing of the others."""

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """What chooses the values of the trial of this number: the same for the same trials before it."""

    def pruner(self) -> optuna.pruners.BasePruner:
        """What ends trials early."""

    def suggest(self, trial: optuna.Trial) -> tuple[Values, int | None]:
        """The values of a trial, in the order of the spec; and the seed that it has beside them."""

    def loaded(self, values: Mapping[str, Any], seed: int | None, look: Look) -> LoadedSpec:
        """The spec of a trial. Raises SpecError, DataError."""

    def written(self, values: Mapping[str, Any], seed: int | None) -> str:
        """The same as a person would write it."""


@dataclass(frozen=True)
class Search:
    """A sweep as the spec has it.

    Attributes:
        folder: of the sweep.
        sweep: what is searched for.
        load: reads a spec.
        planned: how many trials there are to be.
    """

    folder: SweepFolder
    sweep: SweepSpec
    load: Load
    planned: int

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """See `Plan`."""
        return parameters_of(self.sweep)

    @property
    def changes_data(self) -> bool:
        """See `Plan`."""
        return any(path.split(".")[0] in ("dataset", "variables", "seed") for path in self.sweep.parameters)

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """See `Plan`."""
        return make_sampler(self.sweep, number)

    def pruner(self) -> optuna.pruners.BasePruner:
        """See `Plan`."""
        made: optuna.pruners.BasePruner = getattr(optuna.pruners, self.sweep.pruner.optuna)(
            **self.sweep.pruner.model_dump()
        )
        return made

    def suggest(self, trial: optuna.Trial) -> tuple[Values, int | None]:
        """See `Plan`."""
        return suggest(self.sweep, trial), None

    def loaded(self, values: Mapping[str, Any], seed: int | None, look: Look) -> LoadedSpec:
        """See `Plan`."""
        overrides = overrides_of({path: values[path] for path in self.sweep.ordered if path in values})
        return self.load(self.folder.composed, [*overrides, option("sweep", "sweep", None)], look)

    def written(self, values: Mapping[str, Any], seed: int | None) -> str:
        """See `Plan`."""
        overrides = overrides_of({path: values[path] for path in self.sweep.ordered if path in values})
        data = put_together(self.folder.composed, overrides)
        return to_yaml({key: value for key, value in data.items() if key != "sweep"})


@dataclass(frozen=True)
class Seeds:
    """Each of several specs with each of several seeds.

    Attributes:
        folder: of the sweep.
        configs: the names of the specs, each with that of its file in the folder.
        seeds: what each is trained with.
        load: reads a spec.
    """

    folder: SweepFolder
    configs: Mapping[str, str]
    seeds: tuple[int, ...]
    load: Load

    @property
    def planned(self) -> int:
        """See `Plan`."""
        return len(self.configs) * len(self.seeds)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """See `Plan`."""
        return (Parameter("config", CHOICE, choices=tuple(self.configs)),)

    @property
    def changes_data(self) -> bool:
        """See `Plan`."""
        return True

    def sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """See `Plan`."""
        return optuna.samplers.RandomSampler(seed=number)

    def pruner(self) -> optuna.pruners.BasePruner:
        """See `Plan`."""
        return optuna.pruners.NopPruner()

    def suggest(self, trial: optuna.Trial) -> tuple[Values, int | None]:
        """See `Plan`: all specs with the first seed come first."""
        turn, which = divmod(trial.number, len(self.configs))
        return {"config": list(self.configs)[which]}, self.seeds[turn]

    def loaded(self, values: Mapping[str, Any], seed: int | None, look: Look) -> LoadedSpec:
        """See `Plan`."""
        return self.load(self._file(values), [*self._overrides(seed), option("sweep", "sweep", None)], look)

    def written(self, values: Mapping[str, Any], seed: int | None) -> str:
        """See `Plan`."""
        data = put_together(self._file(values), self._overrides(seed))
        return to_yaml({key: value for key, value in data.items() if key != "sweep"})

    def _file(self, values: Mapping[str, Any]) -> Path:
        return self.folder.path / self.configs[values["config"]]

    def _overrides(self, seed: int | None) -> list[Override]:
        return [option("sweep", "seed", seed)]


def planned_trials(sweep: SweepSpec) -> int:
    """How many trials a sweep is to have. Raises UsageError for a grid that is too large."""
    if not isinstance(sweep.sampler, Grid):
        return sweep.trials or USUAL_TRIALS
    combinations = sum(1 for _ in islice(_combinations(sweep), MOST_COMBINATIONS + 1))
    if combinations > MOST_COMBINATIONS:
        raise UsageError(f"The grid has more than {MOST_COMBINATIONS:,} combinations.", "Give it larger steps.")
    return min(sweep.trials or combinations, combinations)


def _combinations(sweep: SweepSpec) -> Iterator[Values]:
    """All combinations of a grid; a parameter whose condition does not hold is not in them."""

    def complete(values: Values, left: tuple[str, ...]) -> Iterator[Values]:
        if not left:
            yield values
            return
        path, *rest = left
        if not sweep.is_active(path, values):
            yield from complete(values, tuple(rest))
            return
        for value in sweep.parameters[path].each or ():
            yield from complete({**values, path: value}, tuple(rest))

    return complete({}, sweep.ordered)


def suggest(sweep: SweepSpec, trial: optuna.Trial) -> Values:
    """The values of a trial, in the order of the spec; those that it has already stay as they are."""
    values: Values = {}
    for path in sweep.ordered:
        if sweep.is_active(path, values):
            values[path] = _suggested(trial, path, sweep.parameters[path])
    return {path: values[path] for path in sweep.parameters if path in values}


def _suggested(trial: optuna.Trial, path: str, parameter: Written) -> Any:
    if parameter.choices is not None:
        texts = {label_of(choice): choice for choice in parameter.choices}
        return texts[str(trial.suggest_categorical(path, list(texts)))]
    low, step = parameter.low or 0, parameter.step
    if parameter.is_whole:
        return trial.suggest_int(path, int(low), _reached(parameter), step=int(step or 1), log=parameter.logarithmic)
    value = trial.suggest_float(path, low, _reached(parameter), step=step, log=parameter.logarithmic)
    return _rounded(value) if step is not None else value


def _reached(parameter: Written) -> Any:
    """The largest number of a range that its steps come to."""
    low, high, step = parameter.low or 0, parameter.high or 0, parameter.step
    if step is None:
        return high
    reached = low + math.floor((high - low) / step * (1 + 10**-_DIGITS)) * step
    return reached if parameter.is_whole else _rounded(reached)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


class _Listed(optuna.samplers.BaseSampler):
    """Gives each trial the combination of its number."""

    def __init__(self, sweep: SweepSpec) -> None:
        self._sweep = sweep

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        values = next(islice(_combinations(self._sweep), trial.number, None))
        value = values[param_name]
        return label_of(value) if self._sweep.parameters[param_name].choices is not None else value


def make_sampler(sweep: SweepSpec, number: int) -> optuna.samplers.BaseSampler:
    """What chooses the values of the trial of this number: the same for the same trials before it.

    Its random numbers are of the trial, so that they do not depend on which process it is, or on what it did before.
    """
    if isinstance(sweep.sampler, Grid):
        return _Listed(sweep)
    seed = (sweep.seed + 1_000_003 * number) % 2**32
    arguments = sweep.sampler.model_dump()
    if isinstance(sweep.sampler, Qmc):
        independent = optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.QMCSampler(
                seed=sweep.seed, independent_sampler=independent, warn_independent_sampling=False, **arguments
            )
    made: optuna.samplers.BaseSampler = getattr(optuna.samplers, sweep.sampler.optuna)(seed=seed, **arguments)
    return made


def parameters_of(sweep: SweepSpec) -> tuple[Parameter, ...]:
    """What is searched for, for who shows it."""
    return tuple(_shown(path, parameter) for path, parameter in sweep.parameters.items())


def _shown(path: str, parameter: Written) -> Parameter:
    if parameter.choices is not None:
        return Parameter(path, CHOICE, choices=parameter.choices, when=parameter.when)
    kind = INTEGER if parameter.is_whole else FLOAT
    low, high = float(parameter.low or 0), float(parameter.high or 0)
    step = float(parameter.step) if parameter.step is not None else None
    return Parameter(path, kind, parameter.logarithmic, low, high, step=step, when=parameter.when)
