"""What parameters and their values are called where there is little room. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.spec.characters import shortened
from dlcli.spec.writing import to_flow
from dlcli.sweeping.result import CHOICE, INTEGER, STATES, Parameter, SweepResult, Trial

_LONGEST_NUMBER = 8
_MOST_WORDS = 4  # of a configuration that is told in a line


def short_names(parameters: Sequence[Parameter]) -> dict[str, str]:
    """By its path, what tells a parameter from the others: `units`; `hidden.units`, where another layer's are searched.

    The end of the path, with the nearest part before it that no other parameter of this end has; or else all of it.
    """
    ends = {parameter.path: _end(parameter.path) for parameter in parameters}
    return {path: _short_name(path, ends) for path in ends}


def _short_name(path: str, ends: Mapping[str, str]) -> str:
    end = ends[path]
    alike = [set(other.split(".")) for other in ends if other != path and ends[other] == end]
    if not alike:
        return end
    for part in reversed(path.removesuffix(f".{end}").split(".")):
        if not any(part in parts for parts in alike):
            return f"{part}.{end}"
    return path


def _end(path: str) -> str:
    """Its last part; and those before it, where that is but the number of an item."""
    parts = path.split(".")
    at = next((at for at in reversed(range(len(parts))) if not parts[at].isdigit()), 0)
    return ".".join(parts[at:])


def value_text(value: Any) -> str:
    """A value as a spec has it; of long numbers four digits that count."""
    text = to_flow(value)
    return f"{value:.4g}" if isinstance(value, float) and len(text) > _LONGEST_NUMBER else text


def share_text(share: float) -> str:
    """A share in percent; a very small one is told as such."""
    return f"{share:.0%}" if share >= 0.005 or share == 0 else "<1%"


def range_text(parameter: Parameter) -> str:
    """What a parameter may be: `32 to 1024 in steps of 32`, `relu, tanh`."""
    if parameter.kind == CHOICE:
        return ", ".join(map(value_text, parameter.choices))
    low, high, step_size = (_as_written(parameter, end) for end in (parameter.low, parameter.high, parameter.step))
    whole = f"{low} to {high}"
    step = f" in steps of {step_size}" if parameter.step not in (None, 1) else ""
    return f"{whole}{step}{', logarithmic' if parameter.logarithmic else ''}"


def _as_written(parameter: Parameter, number: float | None) -> str:
    return value_text(int(number) if parameter.kind == INTEGER and number is not None else number)


def condition_text(parameter: Parameter, names: Mapping[str, str]) -> str:
    """When a parameter has a value: `only with optimizer SGD`; nothing if always."""
    each = [f"{names.get(path, path)} {_any_of(wanted)}" for path, wanted in parameter.when.items()]
    return f"only with {' and '.join(each)}" if each else ""


def _any_of(wanted: Any) -> str:
    return " or ".join(map(value_text, wanted)) if isinstance(wanted, (list, tuple)) else value_text(wanted)


def counts_text(result: SweepResult) -> str:
    """How many trials are in which state: `24 complete, 4 pruned`; nothing if there are none."""
    counts = {state: len(result.in_state(state)) for state in STATES}
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)


def configuration_text(result: SweepResult, trial: Trial) -> str:
    """What a trial set, in a line: `units 576, rate 0.15`."""
    names = short_names(result.parameters)
    parts = [f"{names.get(path, path)} {shortened(value_text(value))}" for path, value in trial.values.items()]
    left = len(parts) - _MOST_WORDS
    return ", ".join(parts if left <= 1 else [*parts[:_MOST_WORDS], f"and {left} more"])
