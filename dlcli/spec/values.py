"""Checks a value against what is known of the argument it is for: its type, the texts it may be, its size."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.spec.catalogue import Parameter
from dlcli.spec.likeness import closest, misspelt
from dlcli.spec.numbers_meant import number_meant, percent_meant, turn_meant
from dlcli.spec.remedies import python_value

_LONGEST = 80

# In the order in which a message names them.
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true` or `false`",
    "string": "a text",
    "list": "a list",
    "mapping": "a mapping",
    "null": "`null`",
}
_PLURALS = {
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "`true` or `false`",
    "string": "texts",
    "list": "lists",
    "mapping": "mappings",
    "null": "`null`",
}
_BOUNDS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "exclusiveMinimum": ("greater than", lambda value, bound: value > bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "exclusiveMaximum": ("less than", lambda value, bound: value < bound),
}


def check_value(value: Any, parameter: Parameter, argument: str, owner: str, path: Path) -> Iterator[Problem]:
    """What is wrong with `value`, at `path`, for this argument of `owner`; nothing where there is a doubt."""
    where = f"`{argument}` of `{owner}`"
    if parameter.choices and isinstance(value, str):
        yield from _check_choice(value, parameter, where, path)
    elif parameter.examples and isinstance(value, str):
        yield from _check_spelling(value, parameter, where, path)
    elif parameter.types and not any(_is_a(value, name) for name in parameter.types):
        yield Problem(f"{where} must be {expected(parameter)}; received {shown(value)}.", path, _hint(value, parameter))
    elif isinstance(value, list):
        yield from _check_items(value, parameter, where, path)
    elif _is_a(value, "number"):
        is_turn = (owner, argument) == ("RandomRotation", "factor")
        yield from _check_bounds(value, parameter, where, path, turn_meant if is_turn else percent_meant)


def expected(parameter: Parameter) -> str:
    """What an argument takes, in words."""
    types = [name for name in _WORDS if name in parameter.types]
    if len(types) > 1 and "null" in types and parameter.default is None:
        types.remove("null")  # as if it were left out
    words = [_wording(name, parameter) for name in types]
    return ", or ".join(words) if any("," in word or " or " in word for word in words) else " or ".join(words)


def _wording(name: str, parameter: Parameter) -> str:
    if name == "string" and parameter.choices:
        choices = ", ".join(f"`{choice}`" for choice in parameter.choices)
        return f"one of {choices}" if len(parameter.choices) > 1 else choices
    if name == "list" and (parameter.items or parameter.length):
        items = " or ".join(_PLURALS[item] for item in _PLURALS if item in parameter.items and item != "null")
        return f"a list of {f'{parameter.length} ' if parameter.length else ''}{items or 'items'}"
    return _WORDS[name]


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = "nothing" if value is None else f'the text "{value}"' if isinstance(value, str) else str(value).lower()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _is_a(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    match name:
        case "integer":
            # As in JSON Schema, 1e4 is a whole number.
            return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        case "number":
            return isinstance(value, (int, float))
        case "string":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list)
        case "mapping":
            return isinstance(value, dict)
        case _:
            return name == "null" and value is None


def _check_choice(value: str, parameter: Parameter, where: str, path: Path) -> Iterator[Problem]:
    if value in parameter.choices or (parameter.any_case and value.lower() in map(str.lower, parameter.choices)):
        return
    close = closest(value, parameter.choices)
    hint = f"Did you mean `{close}`?" if close else None
    text = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    yield Problem(f'{where} must be {expected(parameter)}; received "{text}".', path, hint)


def _check_spelling(value: str, parameter: Parameter, where: str, path: Path) -> Iterator[Problem]:
    """A text that is not known may be right all the same, unless it is a known one misspelt."""
    close = misspelt(value, parameter.examples) if value not in parameter.examples else None
    if close is not None:
        yield Problem(f"{where} cannot be {shown(value)}.", path, f"Did you mean `{close}`?")


def _hint(value: Any, parameter: Parameter) -> str | None:
    """What to write instead, where a text shows what was meant."""
    if not isinstance(value, str):
        return None
    if python := python_value(value):
        return python
    plain, types = value.strip().lower(), set(parameter.types)
    if "boolean" in types and plain in ("yes", "no", "on", "off", "true", "false"):
        return f"Write `{'true' if plain in ('yes', 'on', 'true') else 'false'}`."
    sizes = re.findall(r"\d+", plain) if re.fullmatch(r"\d+( ?[x×] ?\d+)+", plain) else []
    if sizes and "list" in types:
        return f"Write `[{', '.join(sizes)}]`."
    if types & {"integer", "number"}:
        return number_meant(value, is_whole="number" not in types)
    return None


def _check_items(value: list[Any], parameter: Parameter, where: str, path: Path) -> Iterator[Problem]:
    if parameter.length is not None and len(value) != parameter.length:
        yield Problem(f"{where} must be {expected(parameter)}; received {len(value)} items.", path)
        return
    for number, item in enumerate(value):
        if parameter.items and not any(_is_a(item, name) for name in parameter.items):
            words = expected(Parameter(types=parameter.items))
            yield Problem(f"Each item of {where} must be {words}; received {shown(item)}.", (*path, number))


def _check_bounds(
    value: float, parameter: Parameter, where: str, path: Path, meant: Callable[[float, float, float], str | None]
) -> Iterator[Problem]:
    bounds = parameter.bounds
    if all(_BOUNDS[word][1](value, bound) for word, bound in bounds.items()):
        return
    if bounds.keys() == {"minimum", "maximum"}:
        words = f"between {bounds['minimum']} and {bounds['maximum']}"
    else:
        words = " and ".join(f"{_BOUNDS[word][0]} {bounds[word]}" for word in _BOUNDS if word in bounds)
    least = bounds.get("minimum", bounds.get("exclusiveMinimum", -math.inf))
    most = bounds.get("maximum", bounds.get("exclusiveMaximum", math.inf))
    yield Problem(f"{where} must be {words}; received {shown(value)}.", path, meant(value, least, most))
