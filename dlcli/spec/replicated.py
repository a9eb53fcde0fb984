"""What of a spec grows with the number of copies of its model, where it asks for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import Spec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.loading import LoadedSpec

_SET_RATES = ("ReduceLROnPlateau", "LearningRateScheduler")


def for_copies(loaded: LoadedSpec, copies: int) -> LoadedSpec:
    """The spec for so many copies of its model, with nothing left to grow: the same for all that go on from its run.

    Raises:
        SpecError: its learning rate cannot grow.
    """
    train, dataset, optimizer = loaded.spec.train, loaded.spec.dataset, loaded.spec.optimizer
    if not (train.scale_batch or train.scale_learning_rate):
        return loaded
    if train.scale_batch:
        dataset = dataset.model_copy(update={"batch_size": dataset.batch_size * copies})
    if train.scale_learning_rate:
        problem = _problem(loaded.spec)
        if problem is not None:
            raise loaded.error(problem)
        optimizer = _faster(optimizer, copies, train.warmup_steps)
    off = {"scale_batch": False, "scale_learning_rate": False, "warmup_steps": 0}
    now = {"train": train.model_copy(update=off), "dataset": dataset, "optimizer": optimizer}
    return replace(loaded, spec=loaded.spec.model_copy(update=now))


def _problem(spec: Spec) -> Problem | None:
    """Why the learning rate cannot grow."""
    name, rate = spec.optimizer.name, spec.optimizer.arguments.get("learning_rate")
    path: Path = ("train", "scale_learning_rate")
    if rate is None:
        hint = f"Write `optimizer: {{{name}: {{learning_rate: 0.001}}}}`, say."
        return Problem("needs a learning rate to multiply, and the optimizer names none.", path, hint)
    if not isinstance(rate, (int, float)):
        return Problem(
            "is for a learning rate that is a number; a schedule has its own.", path, "Leave one of them out."
        )
    sets = next((callback.name for callback in spec.train.callbacks if callback.name in _SET_RATES), None)
    if spec.train.warmup_steps and sets is not None:
        hint = "Leave `warmup_steps` or the callback out."
        return Problem(f"is a schedule, which `{sets}` cannot change.", ("train", "warmup_steps"), hint)
    return None


def _faster(optimizer: KerasObject, copies: int, warmup_steps: int) -> KerasObject:
    """The optimizer with so many times its rate, from the first step on or after growing to it in equal steps."""
    rate = float(optimizer.arguments["learning_rate"])
    grown: Any = rate * copies
    if warmup_steps and copies > 1:
        arguments = {
            "initial_learning_rate": rate, "decay_steps": warmup_steps, "end_learning_rate": grown, "power": 1.0,
        }  # fmt: skip
        grown = {"PolynomialDecay": arguments}
    return optimizer.model_copy(update={"arguments": {**optimizer.arguments, "learning_rate": grown}})
