"""The grammar of `sweep`: what is searched for, in which ranges, by what and for how long. Searching is elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from typing_extensions import Self

from dlcli.figures import seconds_of
from dlcli.spec.characters import shortened
from dlcli.spec.keras_objects import split_object
from dlcli.spec.likeness import suggestion
from dlcli.spec.refusals import refusal, within
from dlcli.spec.source import Count, Seed
from dlcli.spec.strict import List, Part
from dlcli.spec.writing import to_flow


def _number(raw: Any) -> Any:
    """Here, since of a whole number or another pydantic tells two mistakes."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise refusal(f"must be a number; received `{shortened(to_flow(raw))}`")
    return raw


def _above_zero(raw: Any) -> Any:
    if raw is not None and _number(raw) <= 0:
        raise refusal(f"must be greater than 0; received {raw}")
    return raw


Number = Annotated[int | float, Field(allow_inf_nan=False), BeforeValidator(_number)]
MOST_COMBINATIONS = 1_000_000
"""of a grid"""
_TIME = "must be a time, such as `90s`, `30m` or `2h`"


class Named(Part):
    """What Optuna has of a kind, by dlcli's word for it, with Optuna's own arguments and defaults."""

    name: ClassVar[str]
    optuna: ClassVar[str]


class Sampler(Named):
    """What chooses the next combination."""


class Pruner(Named):
    """What ends trials early."""


class Tpe(Sampler):
    """Tree-structured Parzen estimator: tries what is likely to be better, by the trials before."""

    name = "tpe"
    optuna = "TPESampler"

    n_startup_trials: Count = 10
    """how many trials are drawn at random first"""
    n_ei_candidates: Count = 24
    """among how many candidates the best is taken"""


class Random(Sampler):
    """Draws each trial at random."""

    name = "random"
    optuna = "RandomSampler"


class Grid(Sampler):
    """Tries each combination once; a range needs a `step`, unless it is one of whole numbers."""

    name = "grid"
    optuna = ""


class Qmc(Sampler):
    """Quasi-Monte Carlo: spreads the trials evenly."""

    name = "qmc"
    optuna = "QMCSampler"

    qmc_type: Literal["sobol", "halton"] = "sobol"
    """the sequence of points"""
    scramble: bool = False
    """whether the points are shifted at random"""


class Median(Pruner):
    """Ends a trial whose best figure so far is worse than the median of the earlier trials at the same epoch."""

    name = "median"
    optuna = "MedianPruner"

    n_startup_trials: Annotated[int, Field(ge=0)] = 5
    """how many trials must be complete first"""
    n_warmup_steps: Annotated[int, Field(ge=0)] = 0
    """in how many epochs no trial is ended"""
    interval_steps: Count = 1
    """every how many epochs a trial is looked at"""
    n_min_trials: Count = 1
    """how many trials must have come to this epoch"""


class Percentile(Median):
    """As `median`, with another share of the trials than half of them."""

    name = "percentile"
    optuna = "PercentilePruner"

    percentile: Annotated[float, Field(ge=0, le=100, strict=False)]
    """the share of the trials, in percent, that are good enough"""


class SuccessiveHalving(Pruner):
    """Asynchronous successive halving: at each rung only the best go on."""

    name = "successive_halving"
    optuna = "SuccessiveHalvingPruner"

    min_resource: Count | Literal["auto"] = "auto"
    """the epochs before the first rung"""
    reduction_factor: Annotated[int, Field(ge=2)] = 4
    """one of so many goes on from each rung"""
    min_early_stopping_rate: Annotated[int, Field(ge=0)] = 0
    """how many rungs are left out at the beginning"""
    bootstrap_count: Annotated[int, Field(ge=0)] = 0
    """how many trials must have come to a rung before one goes on"""


class Hyperband(Pruner):
    """Several `successive_halving`s, some of which wait longer."""

    name = "hyperband"
    optuna = "HyperbandPruner"

    min_resource: Count = 1
    """the least epochs of a trial"""
    max_resource: Count | Literal["auto"] = "auto"
    """the most epochs of a trial"""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """one of so many goes on from each rung"""
    bootstrap_count: Annotated[int, Field(ge=0)] = 0
    """how many trials must have come to a rung before one goes on"""


class Never(Pruner):
    """No trial is ended early."""

    name = "none"
    optuna = "NopPruner"


def _by_name(kinds: Iterable[type[Named]]) -> dict[str, type[Named]]:
    return {kind.name: kind for kind in kinds}


SAMPLERS = _by_name((Tpe, Random, Grid, Qmc))
PRUNERS = _by_name((Median, Percentile, SuccessiveHalving, Hyperband, Never))


def _sampler(raw: Any) -> Any:
    return _named(raw, SAMPLERS, "sampler")


def _pruner(raw: Any) -> Any:
    return _named("none" if raw is None else raw, PRUNERS, "pruner")


def _named(raw: Any, kinds: Mapping[str, type[Named]], what: str) -> Any:
    if isinstance(raw, Named):
        return raw
    name, arguments = split_object(raw, f"the name of a {what}")
    if name not in kinds:
        raise refusal(f"is wrong: `{shortened(name)}` is not a {what}", suggestion(name, kinds))
    return within((name,), lambda: kinds[name].model_validate(arguments))


class Parameter(Part):
    """What one value of the spec may be: a number from a range, or one of some choices."""

    low: Number | None = None
    """the least it may be"""
    high: Number | None = None
    """the most it may be; whole numbers are tried if both are whole"""
    step: Annotated[
        Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        BeforeValidator(_above_zero),
    ] = None
    """how far apart the numbers are that are tried; left out: 1 for whole numbers, any for others"""
    logarithmic: bool = False
    """whether numbers are tried as often between 0.001 and 0.01 as between 0.1 and 1"""
    choices: List[Any] | None = None
    """what it may be, instead of a range"""
    when: Mapping[str, Any] = {}
    """only where these other parameters have this value, or one of a list of them"""

    @field_validator("choices")
    @classmethod
    def _choices(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value is not None:
            _check_choices(value)
        return value

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        ranged = [key for key in ("low", "high", "step") if getattr(self, key) is not None]
        ranged += ["logarithmic"] if self.logarithmic else []
        if self.choices is not None and ranged:
            raise refusal(
                f"is wrong: it has `choices`, and `{ranged[0]}` is of a range", "Leave one out.", (ranged[0],)
            )
        if self.choices is None:
            self._check_range()
        return self

    def _check_range(self) -> None:
        low, high, step = self.low, self.high, self.step
        if low is None or high is None:
            hint = "Write `{low: 1, high: 10}`, or a list of choices, such as `[relu, tanh]`."
            raise refusal(f"needs `low` and `high`, or choices; `{'low' if low is None else 'high'}` is missing", hint)
        if high < low:
            raise refusal(f"is wrong: `high` is {high}, and less than `low`, {low}", None, ("high",))
        if step is not None and 0 < high - low < step:
            text = f"is wrong: `step` is {step}, and `high` is {high - low:g} above `low`: only {low} would be tried"
            raise refusal(text, "Give it a smaller step, or choices.", ("step",))
        if step is not None and self.is_whole and not isinstance(step, int):
            raise refusal(f"is wrong: the numbers are whole, so `step` must be; received {step}", None, ("step",))
        if self.logarithmic and low <= 0:
            text = f"is wrong: a logarithmic range has only numbers greater than 0; `low` is {low}"
            raise refusal(text, None, ("low",))
        if self.logarithmic and step is not None and step != (1 if self.is_whole else None):
            raise refusal("is wrong: a logarithmic range has no `step`", "Leave one of the two out.", ("step",))

    @property
    def is_whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def count(self) -> int | None:
        """How many values it may have; None if there is no end of them, or only one in many is tried."""
        if self.choices is not None:
            return len(self.choices)
        low, high, step = self.low or 0, self.high or 0, self.step or (1 if self.is_whole else None)
        if low == high:
            return 1
        return None if step is None else math.floor((high - low) / step * (1 + 1e-12)) + 1

    @property
    def each(self) -> tuple[Any, ...] | None:
        """Every value that it may have; None where `count` is."""
        if self.choices is not None or self.count is None:
            return self.choices
        low, step = self.low or 0, self.step or 1
        values = (low + number * step for number in range(self.count))
        return tuple(values) if self.is_whole else tuple(float(f"{value:.12g}") for value in values)

    @property
    def extremes(self) -> tuple[tuple[str | int, Any], ...]:
        """What is tried out before anything is searched: the ends of a range, or each choice; each with its key."""
        if self.choices is not None:
            return tuple(enumerate(self.choices))
        return (("low", self.low), *([("high", self.high)] if self.high != self.low else []))


def _check_choices(choices: Sequence[Any]) -> None:
    if not choices:
        raise refusal("must not be empty")
    texts = [label_of(choice) for choice in choices]
    for number, text in enumerate(texts):
        if text in texts[:number]:
            raise refusal(f"is wrong: `{shortened(text)}` is there twice", None, (number,))


def label_of(value: Any) -> str:
    """A choice as a text that no other choice has: YAML on one line."""
    return to_flow(value)


def fits(choice: Any, wanted: Any) -> bool:
    """Whether a choice is what `when` asks for: the same value; or the object of this name, whatever its arguments."""
    if isinstance(wanted, str) and isinstance(choice, Mapping) and list(choice) == [wanted]:
        return True
    return label_of(choice) == label_of(wanted)


def wanted_values(wanted: Any) -> tuple[Any, ...]:
    """One value of `when`, or several."""
    return tuple(wanted) if isinstance(wanted, (list, tuple)) else (wanted,)


_MEANT = {"log": "logarithmic", "min": "low", "max": "high", "values": "choices"}
"""what others call the same"""


def _parameter(raw: Any) -> Any:
    if isinstance(raw, Parameter):
        return raw
    if isinstance(raw, (list, tuple)):
        _check_choices(raw)
        return Parameter(choices=tuple(raw))
    if not isinstance(raw, Mapping):
        hint = "Write `{low: 1, high: 10}`, or a list of choices, such as `[relu, tanh]`."
        raise refusal(f"must be a range or a list of choices; received `{shortened(str(raw))}`", hint)
    for key in _MEANT.keys() & raw.keys():
        raise refusal(f"is wrong: `{key}` is not a key of a parameter", f"Did you mean `{_MEANT[key]}`?", (key,))
    return within((), lambda: Parameter.model_validate(raw))


def _seconds(raw: Any) -> Any:
    found = seconds_of(str(raw)) if isinstance(raw, (str, int, float)) and not isinstance(raw, bool) else None
    if raw is not None and found is None:
        raise refusal(f"{_TIME}; received `{shortened(str(raw))}`")
    return found


_BUDGET = {"anyOf": [{"type": "string", "pattern": r"^[0-9.]+[smhd]?$"}, {"type": "number"}, {"type": "null"}]}
OneParameter = Annotated[Parameter, BeforeValidator(_parameter)]


class SweepSpec(Part):
    """The search for the best values of other parts of the spec: `dlcli sweep`. Nothing else heeds it."""

    metric: str | None = None
    """the figure of an epoch that is to be the best, such as `val_accuracy`; left out: that of `train.monitor`"""
    direction: Literal["minimize", "maximize"] | None = None
    """whether it is to be small or large; left out: as the metric says"""
    trials: Count | None = None
    """how many combinations are tried; left out: 20, or all of a grid"""
    budget: Annotated[float | None, BeforeValidator(_seconds), WithJsonSchema(_BUDGET)] = None
    """after this time, such as `2h`, all in all, no trial begins; the one that runs is finished"""
    sampler: Annotated[Sampler, BeforeValidator(_sampler)] = Field(default_factory=Tpe)
    """how the next combination is chosen; left out: `tpe`"""
    pruner: Annotated[Pruner, BeforeValidator(_pruner)] = Field(default_factory=Median)
    """which trials end early, after an epoch that is worse than those of others; left out: `median`"""
    seed: Seed = 0
    """of the search; each trial is trained with the seed of the spec"""
    parameters: Annotated[Mapping[str, OneParameter], Field(json_schema_extra={"minProperties": 1})]
    """what is searched for: by its path as in `--set`, such as `model.layers.hidden.Dense.units`"""

    @field_validator("parameters")
    @classmethod
    def _parameters(cls, value: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        if not value:
            raise refusal("must not be empty")
        for path, parameter in value.items():
            _check_path(path)
            for other, wanted in parameter.when.items():
                _check_condition(value, path, other, wanted)
        in_order(value)
        return value

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        counts = {path: parameter.count for path, parameter in self.parameters.items()}
        wrong = next((path for path, count in counts.items() if count is None or count > MOST_COMBINATIONS), None)
        if isinstance(self.sampler, Grid) and wrong is not None:
            many = "no end" if counts[wrong] is None else f"more than {MOST_COMBINATIONS:,}"
            text = f"is wrong: a grid tries each value of `{shortened(wrong)}`, and there is {many} of them"
            hint = "Give it a larger `step`, or choices; or take another sampler, such as `random`."
            raise refusal(text, hint, ("parameters", wrong))
        return self

    @property
    def ordered(self) -> tuple[str, ...]:
        """The paths of the parameters, each behind those that it depends on."""
        return in_order(self.parameters)

    def is_active(self, path: str, values: Mapping[str, Any]) -> bool:
        """Whether a parameter is to have a value, where those before it have these."""
        return all(
            other in values and any(fits(values[other], one) for one in wanted_values(wanted))
            for other, wanted in self.parameters[path].when.items()
        )


def _check_path(path: str) -> None:
    if not all(path.split(".")):
        raise refusal(f"is wrong: `{shortened(path)}` is no path", "Write keys with dots between them.", (path,))
    if path.split(".")[0] in ("sweep", "extends", "name", "version"):
        raise refusal(f"is wrong: `{shortened(path)}` cannot be searched for", None, (path,))


def _check_condition(parameters: Mapping[str, Parameter], path: str, other: str, wanted: Any) -> None:
    """Refuses a condition that can never hold."""
    key = (path, "when", other)
    if other not in parameters:
        raise refusal(
            f"is wrong: `{shortened(other)}` is no parameter of this sweep", suggestion(other, parameters), key
        )
    choices = parameters[other].choices
    if choices is None:
        raise refusal(f"is wrong: `{shortened(other)}` has no choices, and only a choice can be a condition", None, key)
    for one in wanted_values(wanted):
        if not any(fits(choice, one) for choice in choices):
            hint = f"Its choices are {', '.join(f'`{shortened(label_of(choice))}`' for choice in choices[:10])}."
            raise refusal(f"is wrong: `{shortened(label_of(one))}` is no choice of `{shortened(other)}`", hint, key)


def in_order(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """The paths, as they are written, but each behind those that it depends on and those that it is a part of."""
    before = {
        path: {*parameter.when, *(other for other in parameters if path.startswith(f"{other}."))}
        for path, parameter in parameters.items()
    }
    ordered: list[str] = []
    while len(ordered) < len(before):
        ready = [path for path in before if path not in ordered and before[path] <= set(ordered)]
        if not ready:
            left = next(path for path in before if path not in ordered)
            raise refusal(f"is wrong: the conditions of `{shortened(left)}` go round in a circle", None, (left, "when"))
        ordered.append(ready[0])
    return tuple(ordered)
