"""Rules about the optimizer: its learning rate, momentum, and callbacks that would set the rate.

Schedules are in `dlcli.spec.lints.schedules`.
"""

from __future__ import annotations

from collections.abc import Iterator

from dlcli.errors import Problem
from dlcli.spec.grammar import TrainSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.schedules import first_rate, schedule_of
from dlcli.spec.lints.written import number, place_of

_SMALLEST = {"sgd": 1e-6, "adadelta": 0.01}
_LARGEST = {"sgd": 10.0, "adadelta": 10.0, "adagrad": 10.0, "ftrl": 10.0, "muon": 1.0, "lamb": 1.0, "adafactor": 1.0}
_ADAPTIVE = (1e-7, 0.1)
_USUAL = {"sgd": "0.01", "adadelta": "1.0", "adagrad": "0.01", "lion": "0.0001"}
_ADADELTA_DEFAULT = 0.001  # in Keras 3.15.1, as it says itself, a thousandth of the rate of the paper
_FORGETTING = ("momentum", "beta_1", "beta_2", "rho")


def _unusual_rate(optimizer: KerasObject) -> Iterator[Problem]:
    name = optimizer.name.lower()
    found = first_rate(optimizer)
    if found is None and name == "adadelta" and "learning_rate" not in optimizer.arguments:
        found = (_ADADELTA_DEFAULT, ("optimizer",))
    if found is None:
        return
    rate, path = found
    lowest, highest = _SMALLEST.get(name, _ADAPTIVE[0]), _LARGEST.get(name, _ADAPTIVE[1])
    if lowest <= rate <= highest:
        return
    does = "the model hardly changes" if rate < lowest else "steps are so large that the loss jumps about or grows"
    written = "by default" if path == ("optimizer",) else "here"
    yield Problem(
        f"The learning rate of `{optimizer.name}` is {rate:g} {written}: {does}.",
        path,
        f"Start from `learning_rate: {_USUAL.get(name, '0.001')}`.",
    )


def _endless_momentum(optimizer: KerasObject) -> Iterator[Problem]:
    for argument in _FORGETTING:
        value = number(optimizer.arguments.get(argument))
        # Keras itself refuses more than 1 for SGD.
        if value is not None and (value == 1 or (value > 1 and optimizer.name.lower() != "sgd")):
            usual = "0.999" if argument == "beta_2" else "0.9"
            yield Problem(
                f"With `{argument}: {value:g}`, `{optimizer.name}` never forgets a gradient: what it adds up has no "
                "end, and the loss becomes NaN or runs away.",
                ("optimizer", optimizer.name, argument),
                f"Use `{argument}: {usual}`.",
            )


def _idle_nesterov(optimizer: KerasObject) -> Iterator[Problem]:
    if optimizer.arguments.get("nesterov") is True and optimizer.name.lower() == "sgd":
        momentum = optimizer.arguments.get("momentum", 0.0)
        if number(momentum) == 0:
            yield Problem(
                "`nesterov: true` changes how momentum is applied, but the momentum is 0: it does nothing.",
                ("optimizer", optimizer.name, "nesterov"),
                "Add `momentum: 0.9`.",
            )


def _two_masters(optimizer: KerasObject, train: TrainSpec) -> Iterator[Problem]:
    schedule = schedule_of(optimizer)
    if schedule is None:
        return
    for position, callback in enumerate(train.callbacks):
        if callback.name == "ReduceLROnPlateau":
            path = place_of(callback, ("train", "callbacks", position))
            yield Problem(
                f"`{callback.name}` sets the learning rate, but `{schedule.name}` has it already: Keras stops the "
                "training with an error as soon as the callback tries.",
                path,
                "Remove the callback, or give the optimizer a number as `learning_rate`.",
            )


RULES = (
    Rule("unusual-learning-rate", "a learning rate that no one uses for this optimizer", _unusual_rate),
    Rule("endless-momentum", "a momentum or decay of 1 or more", _endless_momentum),
    Rule("idle-nesterov", "`nesterov: true` without momentum", _idle_nesterov),
    Rule("two-learning-rates", "a schedule, and a callback that sets the learning rate", _two_masters),
)
