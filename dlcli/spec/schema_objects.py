"""The part of the JSON Schema that is about Keras objects: each kind, each class, and each argument."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.spec.catalogue import KINDS, Catalogue, Docs, Parameter, kind_of_parameter

Schema = dict[str, Any]

_JSON_TYPES = {"list": "array", "mapping": "object"}
_SHARED_FROM = 60  # characters; what is shorter is written where it is used


def reference(name: str) -> Schema:
    """A reference to a definition."""
    return {"$ref": f"#/definitions/{name}"}


VARIABLE = reference("variable")


def or_variable(*options: Schema) -> Schema:
    """One of the options, or a text with a variable in it."""
    return {"anyOf": [*options, VARIABLE]}


def named(
    properties: Mapping[str, Schema], bare: Iterable[str] = (), second_names: Mapping[str, str] | None = None
) -> list[Schema]:
    """The two ways to write an object: its name, if it is among `bare`, or `Name: {arguments}`.

    Second names are right, but no editor offers them.
    """
    others = second_names or {}
    bare = sorted(bare)
    options: list[Schema] = [{"enum": bare}] if bare else []
    bare_others = [name for name in sorted(others) if others[name] in bare]
    if bare_others:
        options.append({"type": "string", "pattern": any_of_texts(bare_others)})
    entry: Schema = {"type": "object", "properties": dict(properties)}
    if others:
        entry["patternProperties"] = {
            any_of_texts([name for name, first in sorted(others.items()) if first == canonical]): properties[canonical]
            for canonical in sorted(set(others.values()))
        }
    return [*options, {**entry, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}]


def any_of_texts(texts: Iterable[str]) -> str:
    """A pattern for exactly these texts."""
    return f"^({'|'.join(re.escape(text) for text in texts)})$"


@dataclass
class KerasSchema:
    """Makes the definitions of all kinds of Keras objects.

    Attributes:
        open_kinds: the kinds whose required arguments may be in a file that the spec extends. What they need is not
            in their definitions, but in those whose names start with `complete.`.
    """

    catalogue: Catalogue
    docs: Docs
    open_kinds: frozenset[str]
    definitions: dict[str, Schema] = field(default_factory=dict)

    def make(self) -> dict[str, Schema]:
        """All definitions, by name."""
        for kind in KINDS:
            self._add_kind(kind)
        self._share()
        return self.definitions

    def bare_names(self, kind: str) -> list[str]:
        """The names that may stand alone, because they need no arguments."""
        return [name for name in self.catalogue.names(kind) if not self._required(kind, name)]

    def classes(self, kind: str) -> dict[str, Schema]:
        """By name: a reference to the arguments of each class and function."""
        return {name: reference(f"{kind}.{name}") for name in self.catalogue.names(kind)}

    def _required(self, kind: str, name: str) -> list[str]:
        parameters = self.catalogue.parameters(kind, name) or {}
        return [argument for argument, parameter in parameters.items() if parameter.required]

    def _add_kind(self, kind: str) -> None:
        options = named(self.classes(kind), self.bare_names(kind), self.catalogue.second_names(kind))
        self.definitions[kind] = {"description": KINDS[kind].label, **or_variable(*options)}
        for name in self.catalogue.names(kind):
            self.definitions[f"{kind}.{name}"] = self._arguments(kind, name)
        if kind in self.open_kinds:
            self.definitions[f"complete.{kind}"] = self._complete(kind)

    def _arguments(self, kind: str, name: str) -> Schema:
        parameters = self.catalogue.parameters(kind, name) or {}
        required = [] if kind in self.open_kinds else self._required(kind, name)
        properties = {
            argument: _parameter(argument, parameters[argument], self.docs.of_argument(kind, name, argument))
            for argument in parameters
        }
        return {
            **_described(self.docs.of(kind, name)),
            **or_variable({
                "type": "object" if required else ["object", "null"],
                "properties": properties,
                "additionalProperties": False,
                **({"required": required} if required else {}),
            }),
        }  # fmt: skip

    def _complete(self, kind: str) -> Schema:
        """What an open kind needs where all of it is in one file, at any depth."""
        entries: dict[str, Schema] = {}
        for name in self.catalogue.names(kind):
            required = self._required(kind, name)
            inner = {
                argument: reference(f"complete.{inner_kind}")
                for argument in self.catalogue.parameters(kind, name) or {}
                if (inner_kind := kind_of_parameter(argument)) in self.open_kinds
            }
            entry = {**({"type": "object", "required": required} if required else {}), "properties": inner}
            if required or inner:
                entries[name] = or_variable(entry) if required else entry
        others = {other: entries[name] for other, name in self.catalogue.second_names(kind).items() if name in entries}
        return {"properties": entries | others}

    def _share(self) -> None:
        """Make a definition of each argument that several classes have in the same words."""
        owners = [
            options["anyOf"][0] for name, options in self.definitions.items() if "." in name and "anyOf" in options
        ]
        counts = Counter(
            (argument, json.dumps(schema)) for owner in owners for argument, schema in owner["properties"].items()
        )
        names: dict[tuple[str, str], str] = {}
        for (argument, text), count in sorted(counts.items()):
            if count > 1 and len(text) > _SHARED_FROM:
                number = sum(argument == other for other, _ in names) + 1
                names[argument, text] = f"argument.{argument}{f'.{number}' if number > 1 else ''}"
        for owner in owners:
            owner["properties"] = {
                argument: reference(names[key]) if (key := (argument, json.dumps(schema))) in names else schema
                for argument, schema in owner["properties"].items()
            }
        self.definitions |= {name: json.loads(text) for (_, text), name in names.items()}


def open_kinds(catalogue: Catalogue, kinds: Iterable[str]) -> frozenset[str]:
    """These kinds, and those of the objects that they take as arguments, at any depth, and that need arguments."""
    found, todo = set(), list(kinds)
    while todo:
        kind = todo.pop()
        if kind in found:
            continue
        found.add(kind)
        for name in catalogue.names(kind):
            arguments = catalogue.parameters(kind, name) or {}
            todo += [inner for argument in arguments if (inner := kind_of_parameter(argument)) is not None]
    return frozenset(found)


def _described(text: str) -> Schema:
    return {"description": f"{text[0].upper()}{text[1:]}"} if text else {}


def _parameter(argument: str, parameter: Parameter, text: str) -> Schema:
    annotations = _described(text)
    if parameter.default is not None:
        annotations["default"] = parameter.default
    kind = kind_of_parameter(argument)
    if kind is not None:
        return {**annotations, **_of_kind(kind)}
    options = _options(parameter)
    return {**annotations, **(options[0] if len(options) == 1 else {"anyOf": options} if options else {})}


def _of_kind(kind: str) -> Schema:
    lists = [{"type": "array", "items": reference(kind)}] if kind == "layer" else []
    return {"anyOf": [reference(kind), *lists, {"type": ["number", "null"] if kind == "schedule" else "null"}]}


def _options(parameter: Parameter) -> list[Schema]:
    """The ways to write a value that is no Keras object."""
    options: list[Schema] = []
    texts = parameter.choices or parameter.examples
    if texts:
        options.append({"enum": list(texts)})
        if parameter.any_case:
            options.append({"type": "string", "pattern": any_case_pattern(texts)})
    if not parameter.types:
        return [*options, {}] if options else []
    types = [name for name in parameter.types if name != "string" or not parameter.choices]
    if types:
        json_types = [_JSON_TYPES.get(name, name) for name in types]
        options.append(
            {"type": json_types if len(types) > 1 else json_types[0], **parameter.bounds, **_items(parameter)}
        )
    return options if "string" in types else [*options, VARIABLE]


def _items(parameter: Parameter) -> Schema:
    if "list" not in parameter.types:
        return {}
    length = parameter.length
    sizes = {"minItems": length, "maxItems": length} if length is not None else {}
    return {**({"items": or_variable(_typed(parameter.items))} if parameter.items else {}), **sizes}


def _typed(types: Sequence[str]) -> Schema:
    words = [_JSON_TYPES.get(name, name) for name in types]
    return {"type": words if len(words) > 1 else words[0]}


def any_case_pattern(texts: Iterable[str]) -> str:
    """A pattern for these texts in any mixture of small and capital letters; JSON Schema has no flag for it."""
    words = ("".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else re.escape(c) for c in text) for text in texts)
    return f"^({'|'.join(words)})$"
