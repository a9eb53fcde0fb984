"""What is known of each argument of a Keras class: its types, choices and bounds.

From its default, from its docstring (`dlcli.model.docstrings`), and from what Keras refuses (`dlcli.model.probing`).
Where these leave a doubt, a value is allowed: a check must never refuse what Keras takes and means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.model.docstrings import items_in, listed, quoted, types_in
from dlcli.model.probing import ODD, SAMPLES, Probe, data_types

Judge = Callable[[str, Any], str | None]
"""says what is wrong with a value of an argument"""

_ENUMERATES = re.compile(r"one of|either|expected|must be|should be|allowed values|valid values", re.IGNORECASE)
_INCOMPLETE = re.compile(r"\b(include|including|such as|e\.g\.)", re.IGNORECASE)
_NO_DEFAULT = object()


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
    examples: list[str] = field(default_factory=list)

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
    found = _choices(argument, probe, types, namesakes)
    types = set(found.get("types", types))
    if probe is not None:
        types = types if "choices" in found else _probed(argument, probe, types)
        found |= _bounds(argument.name, probe, types)
        found |= _items(argument, probe) if "list" in types else {}
    if not types - {"null"}:
        types = set() if argument.text else namesakes.types
    if "list" in types and items_in(argument.text):
        found["items"] = sorted(items_in(argument.text) | ({"list", "null"} & set(found.get("items", ()))))
    if types and argument.default is None:
        types = types | {"null"}
    return signature_only(argument) | found | ({"types": sorted(types)} if types else {})


def documented(argument: Argument, namesakes: Namesakes) -> set[str]:
    """The types by default and docstring; empty if nothing is known."""
    default = argument.default
    if isinstance(default, bool):
        return {"boolean"}
    if isinstance(default, str):
        return {"string"} | types_in(argument.text.split(". ")[0])
    types = types_in(argument.text)
    if isinstance(default, int):
        types = types if types - {"null"} else types | namesakes.types
        types = types | {"integer"} if types - {"null"} else {"number"}
    elif isinstance(default, float):
        types.add("number")
    elif isinstance(default, (list, tuple)):
        types.add("list")
    return _without_integer(types)


def _choices(argument: Argument, probe: Probe | None, types: set[str], namesakes: Namesakes) -> dict[str, Any]:
    """The texts that an argument takes, and its types, if Keras refuses others and says which ones it takes."""
    name, own = argument.name, quoted(argument.text)
    if not ("string" in types or not types - {"null"} or len(own) > 1):
        return {}
    judge = _judge(argument, probe) if probe is not None else _no_judge
    message = judge(name, ODD)
    if message is None:
        return _documented_choices(argument, types)
    if _INCOMPLETE.search(message):
        if not namesakes.examples:
            namesakes.examples = sorted(_taken_texts(name, [*own, *quoted(message), *data_types()], judge))
        return {"examples": namesakes.examples}
    said = quoted(message) if _ENUMERATES.search(message) else []
    named = _taken_texts(name, said or _documented_choices(argument, types).get("choices", []), judge)
    first = [argument.default] if isinstance(argument.default, str) else []
    if not named or not {text.lower() for text in first} <= {text.lower() for text in named}:
        return {}
    texts = _taken_texts(name, [*first, *own, *named, *sorted(namesakes.texts)], judge)
    any_case = all(judge(name, choice.upper()) is None for choice in texts)
    taken = {kind for kind in types | {"null"} if any(judge(name, sample) is None for sample in SAMPLES[kind])}
    choices = _default_first(texts, argument)
    return {"choices": choices, "types": sorted(taken | {"string"})} | ({"any_case": True} if any_case else {})


def _default_first(texts: Iterable[str], argument: Argument) -> list[str]:
    return sorted(texts, key=lambda text: (text != argument.default, text))


def _documented_choices(argument: Argument, types: set[str]) -> dict[str, Any]:
    """The texts that the docstring lists for a text; others Keras may ignore in silence, as `RandomFlip` does."""
    texts = listed(argument.text)
    if types != {"string"} or len(texts) < 2 or argument.default not in texts:
        return {}
    return {"choices": _default_first(texts, argument)}


def _judge(argument: Argument, probe: Probe) -> Judge:
    """What tells right texts from wrong ones: making an object, or, where that takes any text, using it."""
    documented_ones = isinstance(argument.default, str) and len(quoted(argument.text)) > 1
    return probe.refusal_in_use if documented_ones and probe.takes(argument.name, ODD) else probe.refusal


def _no_judge(name: str, value: Any) -> str | None:
    return None


def _taken_texts(name: str, texts: Iterable[str], judge: Judge) -> list[str]:
    """Those that Keras takes; the first of several that differ in case only."""
    found: dict[str, str] = {}
    for text in texts:
        if text.lower() not in found and judge(name, text) is None:
            found[text.lower()] = text
    return list(found.values())


def _probed(argument: Argument, probe: Probe, types: set[str]) -> set[str]:
    """`types`, with what Keras takes besides; or, if nothing is documented, what it takes, if it refuses anything."""
    name = argument.name
    if isinstance(argument.default, bool):
        return types
    if not types - {"null"}:
        return _taken(name, probe)
    if "string" in types or probe.takes(name, ODD):
        # A text, or it takes nonsense, so what it takes tells nothing.
        return types | {"list"} if "number" in types - {"list"} and _takes_numbers_only(name, probe) else types
    more = {"list"} if {"integer", "number"} & types else {"integer", "number", "list"}
    return _without_integer(types | {other for other in more - types if probe.takes(name, *SAMPLES[other])})


def _without_integer(types: set[str]) -> set[str]:
    """A number may be a whole one."""
    return types - {"integer"} if "number" in types else types


def _taken(name: str, probe: Probe) -> set[str]:
    if probe.takes(name, *SAMPLES["string"]) and probe.takes(name, *SAMPLES["mapping"]):
        return set()
    taken = {other for other in SAMPLES if probe.takes(name, *SAMPLES[other])}
    if {"integer", "number"} & taken:
        return _without_integer(taken - {"boolean"})
    return taken | {"string"} if taken - {"null"} else set()  # a text was refused that it does not know, perhaps


def _takes_numbers_only(name: str, probe: Probe) -> bool:
    """Whether a layer works with a list of numbers, one a channel, but not with a list of texts."""
    works, does_not = [0.5, 0.5, 0.5], [ODD, ODD, ODD]
    return probe.refusal_in_use(name, works) is None and probe.refusal_in_use(name, does_not) is not None


def _bounds(name: str, probe: Probe, types: set[str]) -> dict[str, Any]:
    """The smallest and the largest number that Keras takes, as JSON Schema's words, where it refuses those beyond."""
    bounds: dict[str, Any] = {}
    if probe.takes(name, ODD):
        return bounds
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
        if probe.takes(name, edge + beyond * 0.5, edge + beyond * 0.001):
            continue
        if probe.takes(name, edge):
            return {words[0]: int(edge)}
        if probe.takes(name, edge - beyond * 0.001):
            return {words[1]: int(edge)}
    return {}


def _items(argument: Argument, probe: Probe) -> dict[str, Any]:
    """The types of a list's items, and its length, where Keras refuses other ones."""
    name = argument.name
    whole = _sizes(name, probe, [1, 2, 3])
    if _sizes(name, probe, [ODD] * 3, whole or (1, 2, 3)):
        return {}
    taken = {
        "integer": whole,
        "number": _sizes(name, probe, [0.1, 0.2, 0.3]),
        "list": _sizes(name, probe, [[1, 1]] * 3, whole or (1, 2, 3)),
    }
    taken = {kind: sizes for kind, sizes in taken.items() if sizes}
    if not taken:
        return {}
    types, sizes = set(taken), sorted(set().union(*taken.values()))
    if "integer" in taken and probe.takes(name, *([*range(1, size), None] for size in sizes)):
        types.add("null")
    of_this_length = isinstance(argument.default, (list, tuple)) and [len(argument.default)] == sizes
    fixed = len(sizes) == 1 and (of_this_length or probe.takes(name, 1, 0.5))
    return {"items": sorted(_without_integer(types))} | ({"length": sizes[0]} if fixed else {})


def _sizes(name: str, probe: Probe, items: list[Any], sizes: Iterable[int] = (1, 2, 3)) -> list[int]:
    return [size for size in sizes if probe.takes(name, items[:size])]


def _plain(value: Any) -> Any:
    """A default as JSON has it, or `_NO_DEFAULT` if it cannot."""
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return _NO_DEFAULT if _NO_DEFAULT in items else items
    if isinstance(value, Mapping):
        return dict(value) if all(isinstance(item, (str, int, float)) for item in value.values()) else _NO_DEFAULT
    return value if value is None or isinstance(value, (bool, int, float, str)) else _NO_DEFAULT
