"""Rules about learning rate schedules: whether they fit the length of the run. Steps are batches, as in Keras."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import DatasetSpec, TrainSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.sizes import steps_of_run, steps_per_epoch
from dlcli.spec.lints.written import counted, nested, number, numbers

_IDLE_SHARE = 0.2  # of the run, at a rate of nothing, is too much
_NOTHING = 1e-3  # of the first rate: no longer learns
_AT_THE_END = 1e-2  # of the first rate: where a decay usually ends
# More than this share of the first rate, at the end of the run, is too much. Schedules with an end are meant to come
# near to it; the others are meant to do something at all.
_STILL_HIGH = {
    "CosineDecay": 0.49, "CosineDecayRestarts": 0.49, "PolynomialDecay": 0.49, "ExponentialDecay": 0.9,
    "InverseTimeDecay": 0.9,
}  # fmt: skip
_PATH: Path = ("optimizer",)


class Schedule(NamedTuple):
    """A learning rate schedule as written: its name, its arguments, and where its name is."""

    name: str
    written: KerasObject
    path: Path

    def value(self, argument: str, default: float | None = None) -> float | None:
        """The number given for an argument."""
        return number(self.written.arguments.get(argument, default))


def schedule_of(optimizer: KerasObject) -> Schedule | None:
    """The schedule that the optimizer's learning rate follows, if it is not a plain number."""
    written = optimizer.arguments.get("learning_rate")
    found = nested(written) if isinstance(written, dict) else None
    path = (*_PATH, optimizer.name, "learning_rate")
    return None if found is None else Schedule(found.name, found, (*path, found.name))


def first_rate(optimizer: KerasObject) -> tuple[float, Path] | None:
    """The learning rate that training starts with, after any warm-up, and where it is written; None if it is not."""
    schedule = schedule_of(optimizer)
    if schedule is None:
        rate = number(optimizer.arguments.get("learning_rate"))
        return None if rate is None else (rate, (*_PATH, optimizer.name, "learning_rate"))
    for argument in ("warmup_target", "initial_learning_rate"):
        value = schedule.value(argument)
        if value is not None:
            return value, (*schedule.path, argument)
    values = numbers(schedule.written.arguments.get("values"))
    return (max(values), (*schedule.path, "values")) if values else None


class _Run(NamedTuple):
    """How long the run is, in steps."""

    steps: int
    epochs: int

    def told(self) -> str:
        if self.epochs == 1:
            return f"the run has {counted(self.steps, 'step')} in its single epoch"
        return f"the run has {counted(self.steps, 'step')} in {self.epochs:,} epochs"

    def epoch_of(self, step: float) -> int:
        """The epoch, from 1, in which a step is taken."""
        return min(self.epochs, math.floor(step * self.epochs / self.steps) + 1)


def _run_of(dataset: DatasetSpec, train: TrainSpec) -> _Run | None:
    steps = steps_of_run(dataset, train)
    return _Run(steps, train.epochs) if steps else None


def _too_short(dataset: DatasetSpec, optimizer: KerasObject, train: TrainSpec) -> Iterator[Problem]:
    schedule, run = schedule_of(optimizer), _run_of(dataset, train)
    end = _end_of_learning(schedule) if schedule else None
    if schedule is None or run is None or end is None or end > run.steps * (1 - _IDLE_SHARE):
        return
    yield Problem(
        f"`{schedule.name}` has lowered the learning rate to nothing after {counted(math.ceil(end), 'step')}, in "
        f"epoch {run.epoch_of(end)}, but {run.told()}: the rest learns nothing.",
        (*schedule.path, "decay_steps"),
        _fitting(schedule, run),
    )


def _fitting(schedule: Schedule, run: _Run) -> str:
    """What to write so that a schedule takes the whole run."""
    in_epoch = math.ceil(run.steps / run.epochs)
    if schedule.name == "ExponentialDecay":
        rate = f"`decay_steps: {in_epoch}` and `decay_rate: {_AT_THE_END ** (1 / run.epochs):.2g}`"
    elif schedule.name == "InverseTimeDecay":
        rate = f"`decay_steps: {in_epoch}` and `decay_rate: {(1 / _AT_THE_END - 1) / run.epochs:.2g}`"
    elif schedule.name == "CosineDecayRestarts":
        return f"`first_decay_steps: {run.steps}` would take the whole run, `{in_epoch}` an epoch."
    else:
        return f"`decay_steps: {max(1, run.steps - int(_warmup(schedule)))}` would take the whole run."
    return f"{rate} would lower it to a hundredth over the whole run."


def _end_of_learning(schedule: Schedule) -> float | None:
    """After how many steps the rate is, for good, (nearly) 0; None if it never is."""
    steps = schedule.value("decay_steps")
    if steps is None or steps <= 0:
        return None
    rate = schedule.value("decay_rate")
    if schedule.name == "CosineDecay" and schedule.value("alpha", 0.0) == 0:
        return steps + _warmup(schedule)
    if schedule.name == "PolynomialDecay" and schedule.value("end_learning_rate", 1e-4) == 0:
        return None if schedule.written.arguments.get("cycle") is True else steps
    if schedule.name == "ExponentialDecay" and rate is not None and 0 < rate < 1:
        return steps * math.log(_NOTHING) / math.log(rate)
    if schedule.name == "InverseTimeDecay" and rate is not None and rate > 0:
        return steps * (1 / _NOTHING - 1) / rate
    return None


def _warmup(schedule: Schedule) -> float:
    return (schedule.value("warmup_steps") or 0.0) if schedule.value("warmup_target") is not None else 0.0


def _too_long(dataset: DatasetSpec, optimizer: KerasObject, train: TrainSpec) -> Iterator[Problem]:
    schedule, run = schedule_of(optimizer), _run_of(dataset, train)
    if schedule is None or run is None:
        return
    if schedule.name == "PiecewiseConstantDecay":
        yield from _unreached_boundaries(schedule, run)
        return
    argument = "first_decay_steps" if schedule.name == "CosineDecayRestarts" else "decay_steps"
    steps = schedule.value(argument)
    left = _share_left(schedule, (run.steps - _warmup(schedule)) / steps) if steps and steps > 0 else None
    if steps is not None and left is not None and left > _STILL_HIGH[schedule.name] and left <= 1:
        yield Problem(
            f"`{schedule.name}` has `{argument}: {steps:g}`, but {run.told()}: at its end, the learning rate is still "
            f"at {100 * left:.3g}% of where it starts.",
            (*schedule.path, argument),
            _fitting(schedule, run),
        )


def _share_left(schedule: Schedule, periods: float) -> float | None:
    """The share of the first rate that is left after so many times the steps of the schedule."""
    if schedule.name in ("CosineDecay", "CosineDecayRestarts"):
        return (1 + math.cos(math.pi * max(0.0, min(1.0, periods)))) / 2
    if schedule.name == "PolynomialDecay":
        return math.pow(1 - max(0.0, min(1.0, periods)), max(0.0, schedule.value("power", 1.0) or 0.0))
    rate = schedule.value("decay_rate")
    if rate is None or rate <= 0:
        return None
    periods = math.floor(periods) if schedule.written.arguments.get("staircase") is True else periods
    if schedule.name == "InverseTimeDecay":
        return 1 / (1 + rate * periods)
    return math.pow(rate, periods) if schedule.name == "ExponentialDecay" and rate <= 1 else None


def _unreached_boundaries(schedule: Schedule, run: _Run) -> Iterator[Problem]:
    written = schedule.written.arguments.get("boundaries")
    for position, boundary in enumerate(written if isinstance(written, (list, tuple)) else ()):
        step = number(boundary)
        if step is not None and step >= run.steps:
            yield Problem(
                f"The learning rate changes at step {int(step):,}, but {run.told()}: it never does.",
                (*schedule.path, "boundaries", position),
                f"Boundaries are steps below {run.steps:,}; an epoch has {math.ceil(run.steps / run.epochs):,}.",
            )
            return


def _counted_in_epochs(dataset: DatasetSpec, optimizer: KerasObject, train: TrainSpec) -> Iterator[Problem]:
    schedule, steps = schedule_of(optimizer), steps_per_epoch(dataset, train)
    if schedule is None or not steps or schedule.name != "PiecewiseConstantDecay":
        return
    boundaries = numbers(schedule.written.arguments.get("boundaries"))
    if boundaries and max(boundaries) <= min(train.epochs, steps - 1):
        yield Problem(
            f"Boundaries are counted in steps, not in epochs: these have all passed after {max(boundaries):g} of the "
            f"{steps:,} steps of the first epoch.",
            (*schedule.path, "boundaries"),
            f"Multiply them by {steps}, the steps of an epoch.",
        )


def _rising(optimizer: KerasObject) -> Iterator[Problem]:
    schedule = schedule_of(optimizer)
    if schedule is None:
        return
    first, last = schedule.value("initial_learning_rate"), schedule.value("end_learning_rate", 1e-4)
    factor = {"ExponentialDecay": "decay_rate", "CosineDecay": "alpha", "CosineDecayRestarts": "alpha"}
    argument = factor.get(schedule.name)
    value = schedule.value(argument) if argument else None
    if schedule.name == "PolynomialDecay" and first is not None and last is not None and last > first:
        argument, value = "end_learning_rate", last
    elif value is None or value <= 1:
        return
    yield Problem(
        f"With `{argument}: {value:g}`, `{schedule.name}` raises the learning rate instead of lowering it: steps grow "
        "until the loss jumps about.",
        (*schedule.path, *((argument,) if argument in schedule.written.arguments else ())),
        "Give an `end_learning_rate` below the first one."
        if argument == "end_learning_rate"
        else f"`{argument}` is a factor below 1, such as {'0.9' if argument == 'decay_rate' else '0.01'}.",
    )


RULES = (
    Rule("schedule-too-short", "a schedule that is at its end long before the run is", _too_short),
    Rule("schedule-too-long", "a schedule that the run ends long before", _too_long),
    Rule("schedule-in-epochs", "boundaries in epochs, where steps are meant", _counted_in_epochs),
    Rule("schedule-rising", "a decay that raises the learning rate", _rising),
)
