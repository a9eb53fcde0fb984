"""Checks the Keras objects of a spec against the catalogue: names and arguments, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from dlcli.errors import Path, Problem
from dlcli.spec.catalogue import KINDS, Catalogue, Parameter, closest, kind_of_parameter, suggestion
from dlcli.spec.characters import shortened
from dlcli.spec.keras_objects import refused, split_layer, split_object
from dlcli.spec.remedies import python_name, python_value, tuple_meant
from dlcli.spec.values import check_value, number_meant

# Where a spec has Keras objects: the path of keys, and what stands there. Lists hold one object an item.
SINGLE_OBJECTS: tuple[tuple[Path, str], ...] = ((("loss",), "loss"), (("optimizer",), "optimizer"))
LISTS_OF_OBJECTS: tuple[tuple[Path, str], ...] = (
    (("model", "layers"), "layer"),
    (("dataset", "preparation"), "layer"),
    (("dataset", "augment"), "layer"),
    (("metrics",), "metric"),
    (("train", "callbacks"), "callback"),
)


def check_objects(data: dict[str, Any], catalogue: Catalogue) -> Iterator[Problem]:
    """Every unknown name, unknown argument, wrong value and missing argument of the Keras objects in `data`.

    What is not written as an object at all is skipped: pydantic reports it.
    """
    for path, kind in SINGLE_OBJECTS:
        yield from _check_reported(_at(data, path), path, kind, catalogue)
    for path, kind in LISTS_OF_OBJECTS:
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
        where = ".".join(str(key) for key in path)
        context = error.context or {}
        key = context.get("key") or ()
        yield Problem(refused(where, error.message()), (*path, *key), context.get("hint"), at_key=bool(key))
        return
    known = catalogue.parameters(kind, name)
    object_path = (*path, name) if isinstance(raw, dict) else path
    if known is None:
        message = f"`{shortened(name)}` is not {KINDS[kind].label}."
        yield Problem(message, object_path, python_name(name) or catalogue.suggestion(kind, name))
        return
    if arguments and not known:
        yield from _check_no_arguments(name, arguments, object_path, catalogue.class_of_function(kind, name))
    else:
        yield from _check_arguments(name, arguments, known, object_path, catalogue)


def _check_no_arguments(name: str, arguments: dict[str, Any], path: Path, class_name: str | None) -> Iterator[Problem]:
    hint = f"A function takes none here; the class `{class_name}` does." if class_name else "It takes none."
    for argument in arguments:
        message = f"`{shortened(argument)}` is not an argument of `{name}`."
        yield Problem(message, (*path, argument), hint, at_key=True)


def _check_arguments(
    name: str, arguments: dict[str, Any], known: dict[str, Parameter], path: Path, catalogue: Catalogue
) -> Iterator[Problem]:
    meant = {closest(argument, known) for argument in arguments if argument not in known}
    for argument, value in arguments.items():
        if argument not in known:
            message = f"`{shortened(argument)}` is not an argument of `{name}`."
            hint = tuple_meant(argument, arguments) or python_value(argument) or suggestion(argument, known)
            yield Problem(message, (*path, argument), hint, at_key=True)
        else:
            yield from _check_argument(value, known[argument], argument, name, (*path, argument), catalogue)
    given = meant | set(arguments)  # a misspelt argument is one mistake, not two
    missing = [argument for argument, parameter in known.items() if parameter.required and argument not in given]
    if missing:
        words = ", ".join(f"`{argument}`" for argument in missing)
        example = ", ".join(f"{argument}: …" for argument in missing)
        yield Problem(f"`{name}` needs {words}.", path, f"Write `{name}: {{{example}}}`.")


def _check_argument(
    value: Any, parameter: Parameter, argument: str, owner: str, path: Path, catalogue: Catalogue
) -> Iterator[Problem]:
    kind = kind_of_parameter(argument)
    if kind == "schedule" and isinstance(value, str) and number_meant(value):
        kind, parameter = None, Parameter(types=("number",))
    if kind is None and not (isinstance(value, dict) and _kind_of_data(value, catalogue)):
        wrong = list(check_value(value, parameter, argument, owner, path))
        yield from wrong
        if wrong:
            return
    yield from _check_value(value, path, kind, catalogue)


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
    kind = _kind_of_data(value, catalogue)
    if kind is not None:
        yield from _check(value, path, kind, catalogue)
        return
    for key, item in value.items():
        yield from _check_value(item, (*path, key), None, catalogue)


def _kind_of_data(value: dict[Any, Any], catalogue: Catalogue) -> str | None:
    """The kind of the Keras class that is the only key of a mapping, if it is one."""
    first = next(iter(value), None)
    return catalogue.kind_of_name(first) if len(value) == 1 and isinstance(first, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
