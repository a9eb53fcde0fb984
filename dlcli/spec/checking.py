"""Checks the Keras objects of a spec against the catalogue: names and arguments, at any depth."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from dlcli.errors import Path, Problem
from dlcli.spec.arguments_meant import Given
from dlcli.spec.catalogue import KINDS, RUNS_CODE, Catalogue, Parameter, kind_of_parameter
from dlcli.spec.characters import shortened
from dlcli.spec.heads import names_of_outputs
from dlcli.spec.keras_objects import MIXING, refused, split_layer, split_object
from dlcli.spec.names_meant import name_remedy
from dlcli.spec.numbers_meant import number_meant
from dlcli.spec.objects_meant import object_remedy
from dlcli.spec.paths import MODELS, in_words, is_list_of_layers, value_at
from dlcli.spec.source import TARGET
from dlcli.spec.values import check_value

# Where a spec has Keras objects: the path of keys, and what stands there. Lists hold one object an item.
SINGLE_OBJECTS: tuple[tuple[Path, str], ...] = ((("loss",), "loss"), (("optimizer",), "optimizer"))
LISTS_OF_OBJECTS: tuple[tuple[Path, str], ...] = (
    (("model", "layers"), "layer"),
    (("dataset", "preparation"), "layer"),
    (("dataset", "augment"), "layer"),
    (("metrics",), "metric"),
    (("train", "callbacks"), "callback"),
)
BY_OUTPUT: dict[Path, str] = {("loss",): "loss", ("metrics",): "metric"}
"""those that are written for each output by its name, if there are several"""


def check_objects(data: dict[str, Any], catalogue: Catalogue) -> Iterator[Problem]:
    """Every unknown name, unknown argument, wrong value and missing argument of the Keras objects in `data`.

    What is not written as an object at all is told here, too: with what was meant, which pydantic does not know.
    """
    outputs = names_of_outputs(data)
    for path, kind in SINGLE_OBJECTS:
        for where, written in _each(value_at(data, path), path, outputs):
            yield from _check_written(written, where, kind, catalogue)
    for path, kind in LISTS_OF_OBJECTS:
        for where, items in _each(value_at(data, path), path, outputs):
            if where != path and not isinstance(items, list):
                yield from _check_written(items, where, kind, catalogue)
            for number, item in enumerate(items if isinstance(items, list) else ()):
                yield from _check_written(item, (*where, number), kind, catalogue)


def _each(written: Any, path: Path, outputs: Collection[str]) -> Iterator[tuple[Path, Any]]:
    """What is written there; or for each of several outputs what is written for it."""
    is_named = isinstance(written, dict) and list(written) == list(outputs) != [TARGET]
    if path not in BY_OUTPUT or not isinstance(written, dict) or (len(outputs or written) < 2 and not is_named):
        yield path, written
        return
    # Where the outputs are not known, since the source is wrong, each key may be the name of one.
    yield from (((*path, name), written[name]) for name in outputs or written if name in written)


def _check_written(raw: Any, path: Path, kind: str, catalogue: Catalogue) -> Iterator[Problem]:
    """Checks an object that is a field of the grammar."""
    if raw is None:
        return  # pydantic tells what is empty from what is not there
    try:
        written = split_layer(raw)[0] if is_list_of_layers(path[:-1]) else raw
    except PydanticCustomError as error:
        yield _not_an_object(error, raw, path, kind, catalogue)
        return
    yield from _check(written, path, kind, catalogue)


def _not_an_object(error: PydanticCustomError, raw: Any, path: Path, kind: str, catalogue: Catalogue) -> Problem:
    """What is wrong with a value that is not written as an object."""
    context = error.context or {}
    key = context.get("key") or ()
    hint = object_remedy(kind, raw, path, catalogue) or context.get("hint")
    return Problem(refused(in_words(path), error.message()), (*path, *key), hint, at_key=bool(key))


def _check(raw: Any, path: Path, kind: str, catalogue: Catalogue) -> Iterator[Problem]:
    try:
        name, arguments = split_object(raw, "a number, a Keras name" if kind == "schedule" else "a Keras name")
    except PydanticCustomError as error:
        yield _not_an_object(error, raw, path, kind, catalogue)
        return
    known = catalogue.parameters(kind, name)
    object_path = (*path, name) if isinstance(raw, dict) else path
    if kind == "layer" and name in RUNS_CODE:
        message = f"`{name}` {RUNS_CODE[name]}, and is not used."
        yield Problem(message, object_path, "Use Keras's other layers: a spec from a stranger must be safe to train.")
        return
    if kind == "layer" and name in MODELS and not is_list_of_layers(path[:-1]):
        message = f"`{name}` is a model within the model, and stands only among `model.layers`."
        yield Problem(message, object_path, "Use one of Keras's layers here.")
        return
    if kind == "layer" and name in MIXING and path[:2] != ("dataset", "augment"):
        message = f"`{name}` mixes training examples, and their labels with them: it stands only in `dataset.augment`."
        yield Problem(message, object_path, f"Write `augment: [{name}]` under `dataset`.")
        return
    if known is None:
        message = f"`{shortened(name)}` is not {KINDS[kind].label}."
        yield Problem(message, object_path, name_remedy(kind, name, path, catalogue))
        return
    if arguments and not known:
        yield from _check_no_arguments(name, arguments, object_path, catalogue.class_of_function(kind, name))
    else:
        yield from _check_arguments(Given(kind, name, arguments, known, catalogue), object_path)


def _check_no_arguments(name: str, arguments: dict[str, Any], path: Path, class_name: str | None) -> Iterator[Problem]:
    hint = f"A function takes none here; the class `{class_name}` does." if class_name else "It takes none."
    for argument in arguments:
        message = f"`{shortened(argument)}` is not an argument of `{name}`."
        yield Problem(message, (*path, argument), hint, at_key=True)


def _check_arguments(given: Given, path: Path) -> Iterator[Problem]:
    meant = given.meant()
    for argument, value in given.arguments.items():
        if argument not in given.known:
            message = f"`{shortened(argument)}` is not an argument of `{given.name}`."
            yield Problem(message, (*path, argument), given.remedy(argument, meant[argument]), at_key=True)
        else:
            where = (*path, argument)
            yield from _check_argument(value, given.known[argument], argument, given.name, where, given.catalogue)
    # An argument under a wrong name is one mistake, not two.
    missing = [argument for argument in given.required if argument not in meant.values()]
    if missing:
        words = ", ".join(f"`{argument}`" for argument in missing)
        yield Problem(f"`{given.name}` needs {words}.", path, given.completed(meant))


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
            if is_list_of_layers(path):
                yield from _check_written(item, (*path, number), "layer", catalogue)
            else:
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
