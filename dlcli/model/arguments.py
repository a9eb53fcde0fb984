"""What is known of each argument of a Keras class: its types, choices and bounds.

From its default, from its docstring (`dlcli.model.docstrings`), and from what Keras refuses (`dlcli.model.probing`).
Where these leave a doubt, a value is allowed: a check must never refuse what Keras takes and means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.model.docstrings import items_in, listed, quoted, types_in
from dlcli.model.probing import ODD, SAMPLES, Probe

_ENUMERATES = re.compile(r"one of|either|expected|must be|should be|allowed values|valid values", re.IGNORECASE)
_INCOMPLETE = re.compile(r"\b(include|including|such as|e\.g\.)", re.IGNORECASE)
_NO_DEFAULT = object()
_SIZES = range(1, 5)


@dataclass(frozen=True)
class Argument:
    """An argument as its signature and its docstring have it."""

    name: str
    default: Any = _NO_DEFAULT
    text: str = ""

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is _NO_DEFAULT


@dataclass
class Namesakes:
    """What is documented of the arguments of one name among all classes of a kind."""

    types: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def add(self, argument: Argument) -> None:
        """Note what this argument's own text says."""
        self.types |= types_in(argument.text) - {"null"}
        self.texts |= set(quoted(argument.text))


def signature_only(argument: Argument) -> dict[str, Any]:
    """What a catalogue has of an argument whose values are Keras objects: no types."""
    found: dict[str, Any] = {"required": True} if argument.required else {}
    plain = _plain(argument.default)
    return found if plain is _NO_DEFAULT else {**found, "default": plain}


def describe(argument: Argument, probe: Probe | None, namesakes: Namesakes) -> dict[str, Any]:
    """What a catalogue has of an argument; see `dlcli.spec.catalogue.Parameter`."""
    types = documented(argument, namesakes)
    found = signature_only(argument)
    if probe is not None:
        found |= _choices(argument, probe, namesakes.texts | set(quoted(argument.text)))
        types = _types_with_choices(argument, probe, types) if "choices" in found else _probed(argument, probe, types)
        found |= _bounds(argument.name, probe, types)
        found |= _items(argument, probe) if "list" in types else {}
    if "list" in types and "items" not in found and items_in(argument.text):
        found["items"] = sorted(items_in(argument.text))
    if types and argument.default is None:
        types = types | {"null"}
    return found | ({"types": sorted(types)} if types else {})


def documented(argument: Argument, namesakes: Namesakes) -> set[str]:
    """The types by default and docstring; empty if nothing is known."""
    default = argument.default
    if isinstance(default, bool):
        return {"boolean"}
    if isinstance(default, str):
        return {"string"} | types_in(argument.text.split(". ")[0])
    types = types_in(argument.text)
    if not types - {"null"}:
        types |= namesakes.types
    if isinstance(default, int):
        types = types | {"integer"} if types - {"null"} else {"number"}
    elif isinstance(default, float):
        types.add("number")
    elif isinstance(default, (list, tuple)):
        types.add("list")
    elif not types - {"null"}:
        return set()
    return types - {"integer"} if "number" in types else types


def _choices(argument: Argument, probe: Probe, texts: set[str]) -> dict[str, Any]:
    """The texts that an argument takes, if Keras refuses others and says which ones it takes."""
    message = probe.refusal(argument.name, ODD)
    if message is None:
        return {}
    said = quoted(message) if _ENUMERATES.search(message) and not _INCOMPLETE.search(message) else []
    named = [text for text in said or listed(argument.text) if probe.takes(argument.name, text)]
    if not named or (isinstance(argument.default, str) and not probe.takes(argument.name, argument.default)):
        return {}
    choices = sorted(set(named) | {text for text in texts if probe.takes(argument.name, text)})
    any_case = all(probe.takes(argument.name, choice.upper()) for choice in choices)
    return {"choices": choices} | ({"any_case": True} if any_case else {})


def _types_with_choices(argument: Argument, probe: Probe, types: set[str]) -> set[str]:
    asked = types - {"string"} | {"list", "null"}
    return {"string"} | {name for name in asked if probe.takes(argument.name, *SAMPLES[name])}


def _probed(argument: Argument, probe: Probe, types: set[str]) -> set[str]:
    """`types`, with what Keras takes besides; or, if nothing is documented, what it takes, if it refuses anything."""
    name = argument.name
    judged = [other for other in ("string", "mapping") if other not in types]
    if isinstance(argument.default, bool) or not judged:
        return types
    if "number" in types and "list" not in types and _takes_numbers_only(name, probe):
        types = types | {"list"}
    if all(probe.takes(name, *SAMPLES[other]) for other in judged):
        return types  # it takes nonsense, so what it takes tells nothing
    if types - {"null"}:
        more = [other for other in ("integer", "list") if other not in types and not {"number", other} <= types | {other}]
        return types | {other for other in more if probe.takes(name, *SAMPLES[other])}
    taken = {other for other in SAMPLES if probe.takes(name, *SAMPLES[other])}
    taken |= {"string"} if probe.takes(name, *quoted(argument.text)) else set()
    plain = taken - {"integer"} if "number" in taken else taken
    return plain - {"boolean"} if {"integer", "number"} & plain else plain if plain - {"null"} else set()


def _takes_numbers_only(name: str, probe: Probe) -> bool:
    """Whether a layer works with a list of numbers, one a channel, but not with a list of texts."""
    return (
        probe.works_with(name, 0.5)
        and probe.takes(name, [0.5, 0.5, 0.5])
        and probe.works_with(name, [0.5, 0.5, 0.5])
        and not (probe.takes(name, [ODD] * 3) and probe.works_with(name, [ODD] * 3))
    )


def _bounds(name: str, probe: Probe, types: set[str]) -> dict[str, Any]:
    """The smallest and the largest number that Keras takes, as JSON Schema's words, where it refuses those beyond."""
    bounds: dict[str, Any] = {}
    if "number" in types:
        if not probe.takes(name, -1000.0):
            bounds |= _edge(name, probe, (-1.0, 0.0), -1, ("minimum", "exclusiveMinimum"))
        if not probe.takes(name, 1000.0):
            bounds |= _edge(name, probe, (1.0,), 1, ("maximum", "exclusiveMaximum"))
    elif "integer" in types and not probe.takes(name, -1):
        smallest = next((number for number in (0, 1, 2) if probe.takes(name, number)), None)
        bounds |= {} if smallest is None else {"minimum": smallest}
    return {"bounds": bounds} if bounds else {}


def _edge(name: str, probe: Probe, edges: Sequence[float], beyond: int, words: tuple[str, str]) -> dict[str, Any]:
    for edge in edges:
        if probe.takes(name, edge + beyond * 0.5) or probe.takes(name, edge + beyond * 0.001):
            continue
        if probe.takes(name, edge):
            return {words[0]: int(edge)}
        if probe.takes(name, edge - beyond * 0.001):
            return {words[1]: int(edge)}
    return {}


def _items(argument: Argument, probe: Probe) -> dict[str, Any]:
    """The types of a list's items, and its length, where Keras refuses other ones."""
    taken = {
        "string": _sizes(argument.name, probe, [ODD] * 4),
        "integer": _sizes(argument.name, probe, [1, 2, 3, 4]),
        "number": _sizes(argument.name, probe, [0.1, 0.2, 0.3, 0.4]),
        "list": _sizes(argument.name, probe, [[1, 1]] * 4),
    }
    types = {name for name, sizes in taken.items() if sizes}
    if not types or "string" in types:
        return {}
    [*sizes] = {size for name in types for size in taken[name]}
    if "integer" in taken and probe.takes(argument.name, *([*range(1, size), None] for size in sizes)):
        types.add("null")
    fixed = len(sizes) == 1 and (probe.takes(argument.name, 1, 0.5) or _length(argument.default) == sizes[0])
    plain = types - {"integer"} if "number" in types else types
    return {"items": sorted(plain)} | ({"length": sizes[0]} if fixed else {})


def _sizes(name: str, probe: Probe, items: list[Any]) -> list[int]:
    return [size for size in _SIZES if probe.takes(name, items[:size])]


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, (list, tuple)) else None


def _plain(value: Any) -> Any:
    """A default as JSON has it, or `_NO_DEFAULT` if it cannot."""
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return _NO_DEFAULT if _NO_DEFAULT in items else items
    if isinstance(value, Mapping):
        return dict(value) if all(isinstance(item, (str, int, float)) for item in value.values()) else _NO_DEFAULT
    return value if value is None or isinstance(value, (bool, int, float, str)) else _NO_DEFAULT
