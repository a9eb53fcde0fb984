"""Checks the Keras objects of a spec against the catalogue: names and arguments, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from dlcli.errors import Path, Problem
from dlcli.spec.catalogue import KINDS, Catalogue, closest, kind_of_parameter, suggestion
from dlcli.spec.keras_objects import split_layer, split_object

# Where a spec has Keras objects: the path of keys, and what stands there. Lists hold one object an item.
_SINGLE: tuple[tuple[Path, str], ...] = ((("loss",), "loss"), (("optimizer",), "optimizer"))
_LISTS: tuple[tuple[Path, str], ...] = (
    (("model", "layers"), "layer"),
    (("dataset", "preparation"), "layer"),
    (("dataset", "augment"), "layer"),
    (("metrics",), "metric"),
    (("train", "callbacks"), "callback"),
)
# Layers that a stack cannot start with or whose arguments dlcli fills in itself.
_GIVEN_BY_DLCLI = {"Input": {"shape": True, "dtype": False, "name": False}}


def check_objects(data: dict[str, Any], catalogue: Catalogue) -> Iterator[Problem]:
    """Every unknown name, unknown argument and missing argument of the Keras objects in `data`.

    What is not written as an object at all is skipped: pydantic reports it.
    """
    for path, kind in _SINGLE:
        yield from _check_reported(_at(data, path), path, kind, catalogue)
    for path, kind in _LISTS:
        items = _at(data, path)
        for number, item in enumerate(items if isinstance(items, list) else ()):
            yield from _check_reported(item, (*path, number), kind, catalogue)


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _check_reported(raw: Any, path: Path, kind: str, catalogue: Catalogue) -> Iterator[Problem]:
    """Checks an object that is a field of the grammar: if it is not written as one, pydantic has said so."""
    try:
        if path[:2] == ("model", "layers"):
            raw, _ = split_layer(raw)
        split_object(raw)
    except PydanticCustomError:
        return
    yield from _check(raw, path, kind, catalogue)


def _check(raw: Any, path: Path, kind: str, catalogue: Catalogue) -> Iterator[Problem]:
    try:
        name, arguments = split_object(raw, "a number, a Keras name" if kind == "schedule" else "a Keras name")
    except PydanticCustomError as error:
        yield Problem(f"`{'.'.join(str(key) for key in path)}` {error.message()}.", path)
        return
    known = _GIVEN_BY_DLCLI.get(name) if kind == "layer" else None
    known = known if known is not None else catalogue.parameters(kind, name)
    object_path = (*path, name) if isinstance(raw, dict) else path
    if known is None:
        message = f"`{name}` is not {KINDS[kind].label}."
        yield Problem(message, object_path, catalogue.suggestion(kind, name))
        return
    if arguments and not known:
        yield from _check_no_arguments(name, arguments, object_path, catalogue.class_of_function(kind, name))
    else:
        yield from _check_arguments(name, arguments, known, object_path, catalogue)


def _check_no_arguments(name: str, arguments: dict[str, Any], path: Path, class_name: str | None) -> Iterator[Problem]:
    hint = f"A function takes none here; the class `{class_name}` does." if class_name else "It takes none."
    for argument in arguments:
        message = f"`{argument}` is not an argument of `{name}`."
        yield Problem(message, (*path, argument), hint, at_key=True)


def _check_arguments(
    name: str, arguments: dict[str, Any], known: dict[str, bool], path: Path, catalogue: Catalogue
) -> Iterator[Problem]:
    meant = {closest(argument, known) for argument in arguments if argument not in known}
    for argument, value in arguments.items():
        if argument not in known:
            message = f"`{argument}` is not an argument of `{name}`."
            yield Problem(message, (*path, argument), suggestion(argument, known), at_key=True)
        else:
            yield from _check_value(value, (*path, argument), kind_of_parameter(argument), catalogue)
    given = meant | set(arguments)  # a misspelt argument is one mistake, not two
    missing = [argument for argument, required in known.items() if required and argument not in given]
    if missing:
        words = ", ".join(f"`{argument}`" for argument in missing)
        example = ", ".join(f"{argument}: …" for argument in missing)
        yield Problem(f"`{name}` needs {words}.", path, f"Write `{name}: {{{example}}}`.")


def _check_value(value: Any, path: Path, kind: str | None, catalogue: Catalogue) -> Iterator[Problem]:
    """Checks an argument's value where it is, or holds, a Keras object."""
    if value is None or (kind == "schedule" and _is_number(value)):
        return
    if isinstance(value, list) and kind in (None, "layer"):
        for number, item in enumerate(value):
            yield from _check_value(item, (*path, number), kind, catalogue)
    elif kind is not None:
        yield from _check(value, path, kind, catalogue)
    elif isinstance(value, dict):
        yield from _check_data(value, path, catalogue)


def _check_data(value: dict[Any, Any], path: Path, catalogue: Catalogue) -> Iterator[Problem]:
    """Checks a mapping that is plain data, unless its only key is the name of a Keras class."""
    first = next(iter(value), None)
    kind = catalogue.kind_of_name(first) if len(value) == 1 and isinstance(first, str) else None
    if kind is not None:
        yield from _check(value, path, kind, catalogue)
        return
    for key, item in value.items():
        yield from _check_value(item, (*path, key), None, catalogue)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
