"""A Keras object of a spec as the Python expression that makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.spec.catalogue import KINDS, Catalogue, Parameter, kind_of_parameter
from dlcli.spec.keras_objects import KerasObject, split_object

_USE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")
APPLICATION = "application"
# Where Keras takes a name for the thing itself.
_BY_NAME = ("initializer", "regularizer", "constraint", "activation", "optimizer", "loss", "metric")


@dataclass(frozen=True)
class Writer:
    """Writes the objects of one spec.

    Attributes:
        catalogue: the names and arguments of the installed Keras.
        parameters: what `${name}` leaves standing as the name of a Python variable.
        variables: what any other `${name}` stands for.
    """

    catalogue: Catalogue
    parameters: frozenset[str] = frozenset()
    variables: Mapping[str, Any] = field(default_factory=dict)

    def made(self, kind: str, written: Any, more: Sequence[tuple[str, str]] = ()) -> str:
        """The call that makes an object; `more` are further arguments, as Python."""
        if isinstance(written, KerasObject):
            name, given = written.name, dict(written.arguments)
        else:
            name, given = split_object(written)
        known = self.catalogue.parameters("layer" if kind == APPLICATION else kind, name) or {}
        first = [argument for argument, one in known.items() if one.required] if kind == "layer" else []
        places = first if all(argument in given for argument in first) else []
        others = [argument for argument in given if argument not in places]
        written_out = [self._argument(argument, given[argument], known) for argument in places]
        written_out += [f"{argument}={self._argument(argument, given[argument], known)}" for argument in others]
        written_out += [f"{argument}={value}" for argument, value in more]
        return f"{_module(kind)}.{name}({', '.join(written_out)})"

    def named(self, kind: str, written: KerasObject) -> str:
        """As `made`, or only the name as a text, where Keras takes that for the same."""
        if written.arguments or kind not in _BY_NAME:
            return self.made(kind, written)
        if kind == "optimizer":
            return repr(written.name.lower())
        return repr(written.name) if written.name.islower() else self.made(kind, written)

    def _argument(self, name: str, value: Any, known: Mapping[str, Parameter]) -> str:
        return self.value(_as_declared(value, known.get(name)), kind_of_parameter(name))

    def value(self, value: Any, kind: str | None = None) -> str:
        """Any value of a spec; `kind` is that of the object which it may be."""
        if isinstance(value, str):
            return self._text(value, kind)
        if isinstance(value, list):
            items = ", ".join(self.value(item, kind) for item in value)
            is_plain = value and all(type(item) is int for item in value)
            return f"({items}{',' if len(value) == 1 else ''})" if is_plain else f"[{items}]"
        if isinstance(value, dict):
            [*names] = value
            wanted = kind or (self.catalogue.kind_of_name(names[0]) if len(names) == 1 else None)
            if len(names) == 1 and wanted:
                return self.made(wanted, value)
            return "{" + ", ".join(f"{key!r}: {self.value(item)}" for key, item in value.items()) + "}"
        return repr(value)

    def _text(self, text: str, kind: str | None) -> str:
        whole = _USE.fullmatch(text)
        if whole:
            return whole[1] if whole[1] in self.parameters else self.value(self.variables[whole[1]], kind)
        if _USE.search(text):
            return f"f{self._with_names(text)!r}"
        text = text.replace("$${", "${")
        return self.made(kind, text) if kind == "layer" else repr(text)

    def _with_names(self, text: str) -> str:
        """A text with the names of Python variables in braces, for an f-string."""
        pieces = _USE.split(text)
        for number, piece in enumerate(pieces):
            if number % 2 == 0:
                pieces[number] = piece.replace("$${", "${").replace("{", "{{").replace("}", "}}")
            else:
                pieces[number] = f"{{{piece}}}" if piece in self.parameters else str(self.variables[piece])
        return "".join(pieces)


def _module(kind: str) -> str:
    return {"layer": "layers", APPLICATION: "keras.applications"}.get(kind) or KINDS[kind].module


def _as_declared(value: Any, known: Parameter | None) -> Any:
    """Keras 3.15.1 refuses `momentum=1` and `patience=2.0`; the spec means the same by both."""
    default = known.default if known is not None else None
    if type(default) is float and type(value) is int:
        return float(value)
    if type(default) is int and type(value) is float and value.is_integer():
        return int(value)
    return value
