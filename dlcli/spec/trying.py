"""The specs that a sweep may come to, tried out at the ends of each range and with each choice, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dlcli.errors import Problem
from dlcli.spec.characters import shortened
from dlcli.spec.overrides import Override, option
from dlcli.spec.sweep import SweepSpec, fits, label_of, wanted_values

Find = Callable[[Sequence[Override]], Sequence[Problem]]
"""the mistakes of the spec with these values instead of its own"""


def overrides_of(values: Mapping[str, Any]) -> list[Override]:
    """What `--set` would say for the values of a trial, in their order."""
    return [option("sweep", path, value) for path, value in values.items()]


def try_sweep(sweep: SweepSpec, find: Find) -> list[Problem]:
    """The mistakes that specs would have with values that the sweep may try, at the places of these values.

    Each parameter is tried by itself; and then, if none is wrong, with all others beside it.
    """
    alone = [problem for path in sweep.parameters for problem in _try(sweep, path, find, {path})]
    if alone:
        return alone
    together = [problem for path in sweep.parameters for problem in _try(sweep, path, find, set(sweep.parameters))]
    in_a_value = [problem for problem in together if not problem.at_key]
    return in_a_value or together[:1]


def _try(sweep: SweepSpec, path: str, find: Find, others: set[str]) -> Iterator[Problem]:
    """The mistakes with the values of one parameter: at its key, if they are there with whichever of them."""
    parameter, place = sweep.parameters[path], ("sweep", "parameters", path)
    found = [(key, value, find(overrides_of(_values(sweep, path, value, others)))) for key, value in parameter.extremes]
    messages = [{problem.message for problem in problems} for _, _, problems in found]
    always = set.intersection(*messages)
    for problem in found[0][2]:
        if problem.message in always:
            yield replace(problem, path=place, at_key=True, position=None, source_line=None, trail=())
    for key, value, problems in found:
        for problem in problems:
            if problem.message not in always:
                message = f"With {shortened(label_of(value))} here: {problem.message}"
                where = (*place, *(("choices",) if parameter.when and isinstance(key, int) else ()), key)
                yield Problem(message, where, problem.hint)


def _values(sweep: SweepSpec, path: str, value: Any, others: set[str]) -> dict[str, Any]:
    """The values of a trial in which one parameter has this one, and what it depends on one that it asks for.

    Of the `others`, each that is to have a value has its first.
    """
    required = dict(_required(sweep, path))
    values: dict[str, Any] = {}
    for other in sweep.ordered:
        if other == path:
            values[other] = value
        elif other in required:
            values[other] = required[other]
        elif other in others and sweep.is_active(other, values):
            values[other] = sweep.parameters[other].extremes[0][1]
    return values


def _required(sweep: SweepSpec, path: str) -> Iterator[tuple[str, Any]]:
    """The parameters that another depends on, each with a value that it asks for."""
    for other, wanted in sweep.parameters[path].when.items():
        choices = sweep.parameters[other].choices or ()
        fitting = (choice for choice in choices if any(fits(choice, one) for one in wanted_values(wanted)))
        yield other, next(fitting)
        yield from _required(sweep, other)
