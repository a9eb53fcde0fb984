"""What is meant by a value that is not written as a Keras object is: by its name, or as `Name: {arguments}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcli.errors import Path
from dlcli.spec.arguments_meant import Given
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.keras_objects import typed_object
from dlcli.spec.writing import to_flow

# What a bare number stands for where an object is wanted.
_OF_A_NUMBER: Mapping[str, tuple[str, str]] = {"optimizer": ("Adam", "learning_rate"), "regularizer": ("L2", "l2")}
_LONGEST = 100


def object_remedy(kind: str, raw: Any, path: Path, catalogue: Catalogue) -> str | None:
    """What to write instead of `raw`, at `path`, which is to be a `kind`; None where nothing shows it."""
    meant = _object_meant(kind, raw, catalogue)
    if meant is None or len(str(raw)) > _LONGEST:
        return None
    name, arguments = meant
    written = to_flow({name: arguments} if arguments else name)
    if isinstance(path[-1], str):
        return f"Write `{path[-1]}: {written}`."
    return f"Write `{written[1:-1] if arguments else written}`."


def _object_meant(kind: str, raw: Any, catalogue: Catalogue) -> tuple[str, dict[str, Any]] | None:
    if isinstance(raw, list) and len(raw) == 1 and isinstance(raw[0], str):
        return (raw[0], {}) if catalogue.parameters(kind, raw[0]) is not None else None
    if isinstance(raw, (int, float)) and not isinstance(raw, bool) and kind in _OF_A_NUMBER:
        name, argument = _OF_A_NUMBER[kind]
        return name, {argument: raw}
    if not isinstance(raw, dict):
        return None
    typed = typed_object(raw)
    if typed is not None:
        return _renamed(kind, *typed, catalogue)
    if len(raw) == 1:
        [(name, value)] = raw.items()
        return _by_position(kind, name, value, catalogue) if isinstance(name, str) else None
    return None


def _renamed(
    kind: str, name: str, arguments: dict[str, Any], catalogue: Catalogue
) -> tuple[str, dict[str, Any]] | None:
    """The object with Keras's own names for its arguments; None if there is no such object."""
    known = catalogue.parameters(kind, name)
    if known is None:
        return None
    meant = Given(kind, name, arguments, known, catalogue).meant()
    return name, {meant.get(argument) or argument: value for argument, value in arguments.items()}


def _by_position(kind: str, name: str, value: Any, catalogue: Catalogue) -> tuple[str, dict[str, Any]] | None:
    """The object whose arguments are given without their names, in Keras's order, as one value or as a list."""
    known = catalogue.parameters(kind, name)
    if not known:
        return None
    given = Given(kind, name, {}, known, catalogue)
    for values in ([value], value if isinstance(value, list) else []):
        arguments = dict(zip(known, values, strict=False))
        if 0 < len(values) == len(arguments) and all(given.fits(*argument) for argument in arguments.items()):
            return name, given.with_required(arguments)
    return None
