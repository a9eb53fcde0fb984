"""Values from the command line that stand above a spec's own: `--set train.epochs=3`.

A path goes through keys with dots between them. An item of a list is named by its number, from 0, or by the name of
the layer; the name of a Keras class between an object and its argument may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.characters import shortened
from dlcli.spec.keras_objects import LAYER_WORDS
from dlcli.spec.likeness import suggestion
from dlcli.spec.marks import Document, Mark, Text
from dlcli.spec.paths import is_list_of_layers
from dlcli.spec.reading import parse_value

_SOURCES = (("dataset", "source"), ("dataset", "fallback"))
_OBJECTS = (("loss",), ("optimizer",), *_SOURCES)
_LISTS = (("model", "layers"), ("dataset", "preparation"), ("dataset", "augment"), ("metrics",), ("train", "callbacks"))


@dataclass(frozen=True)
class Override:
    """One value for one path.

    Attributes:
        text: what was written, for messages.
        segments: the parts of the path, each with the column where it starts, from 1.
        value: the value, with its places, as `parse_value` gives it.
    """

    text: Text
    segments: tuple[tuple[str, int], ...]
    value: Document


def parse_override(written: str) -> Override:
    """The override of `--set WRITTEN`, such as `train.epochs=3`. Raises SpecError."""
    text = Text(f"--set {written}", (written,), is_option=True)
    keys, equals, _ = written.partition("=")
    if not equals or not all(keys.split(".")):
        message = f"`--set` takes a path and a value; received `{written}`."
        raise SpecError([Mark(text, 1, 1).put(Problem(message, hint="Write `--set train.epochs=3`."))])
    return Override(text, _segments(keys), parse_value(text, len(keys) + 1))


def parse_overrides(written: Iterable[str]) -> tuple[list[Override], list[Problem]]:
    """The overrides of several `--set`, and the mistakes in those that cannot be read."""
    overrides: list[Override] = []
    problems: list[Problem] = []
    for one in written:
        try:
            overrides.append(parse_override(one))
        except SpecError as error:
            problems += error.problems
    return overrides, problems


def option(name: str, keys: str, value: Any) -> Override:
    """The override of an option of its own, such as `--epochs 3`, whose value is checked and typed already."""
    text = Text(f"{name} {value}", (f"{name} {value}",), is_option=True)
    mark = Mark(text, 1, len(name) + 2)
    segments = tuple((key, mark.column) for key in keys.split("."))
    return Override(text, segments, Document(text, {"value": value}, {("value",): mark}, {}))


def _segments(keys: str) -> tuple[tuple[str, int], ...]:
    segments, column = [], 1
    for key in keys.split("."):
        segments.append((key, column))
        column += len(key) + 1
    return tuple(segments)


def override(document: Document, wanted: Override) -> Document:
    """`document` with one value replaced; a path that leads nowhere becomes one of its problems."""
    places: dict[Path, Mark] = {}
    try:
        path, data = _set(document.data, wanted, 0, (), places)
    except _NoSuchPlace as error:
        return replace(document, problems=(*document.problems, error.problem))
    inside = wanted.value
    values = {other: mark for other, mark in document.values.items() if other[: len(path)] != path}
    keys = {other: mark for other, mark in document.keys.items() if other == path or other[: len(path)] != path}
    moved = {(*path, *other[1:]): mark for other, mark in inside.values.items()}
    moved_keys = {(*path, *other[1:]): mark for other, mark in inside.keys.items()}
    return replace(
        document,
        data=data,
        values={**values, **moved},
        keys={**keys, **places, **moved_keys},
        problems=(*document.problems, *(replace(problem, path=path) for problem in inside.problems)),
    )


class _NoSuchPlace(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _set(node: Any, wanted: Override, at: int, path: Path, places: dict[Path, Mark]) -> tuple[Path, Any]:
    """The path that segments from number `at` on lead to, and a copy of `node`, at `path`, with the value there."""
    if at == len(wanted.segments):
        return path, wanted.value.data["value"]
    key, column = wanted.segments[at]
    if isinstance(node, list):
        number = _item(node, wanted, at, path)
        found, value = _set(node[number], wanted, at + 1, (*path, number), places)
        return found, [*node[:number], value, *node[number + 1 :]]
    mapping, inner = _opened(node, key, path)
    if mapping is None:
        message = f"`{'.'.join(map(str, path))}` is {_shown(node)}, which has no parts."
        raise _NoSuchPlace(Mark(wanted.text, 1, column).put(Problem(message)))
    if inner is not None:
        found, arguments = _set(mapping[inner] or {}, wanted, at, (*path, inner), places)
        return found, {**mapping, inner: arguments}
    places[(*path, key)] = Mark(wanted.text, 1, column)
    found, value = _set(mapping.get(key), wanted, at + 1, (*path, key), places)
    return found, {**mapping, key: value}


def _opened(node: Any, key: str, path: Path) -> tuple[dict[Any, Any] | None, str | None]:
    """`node` as a mapping, and the name of the Keras class or source in it whose argument `key` is meant."""
    if node is None:
        return {}, None
    if isinstance(node, str) and _may_be_object(path):
        node = {node: None}
    if not isinstance(node, dict):
        return None, None
    words = LAYER_WORDS if is_list_of_layers(path[:-1]) else ()
    names = [name for name in node if name not in words]
    is_object = len(names) == 1 and isinstance(names[0], str) and (names[0][:1].isupper() or path in _OBJECTS)
    takes_it = is_object and isinstance(node[names[0]], (dict, type(None)))
    return node, names[0] if takes_it and key not in (*names, *words) else None


def _may_be_object(path: Path) -> bool:
    return path in _OBJECTS or path[:-1] in _LISTS or len(path) > 2


def _item(items: list[Any], wanted: Override, at: int, path: Path) -> int:
    """The number of the item that a segment names. Raises _NoSuchPlace."""
    key, column = wanted.segments[at]
    named = [number for number, item in enumerate(items) if isinstance(item, Mapping) and item.get("name") == key]
    of_class = [number for number, item in enumerate(items) if key in (item if isinstance(item, Mapping) else (item,))]
    where = ".".join(map(str, path))
    if key.lstrip("-").isdecimal():
        number = int(key)
        if -len(items) <= number < len(items):
            return number % len(items)
        message = f"`{where}` has {len(items)} items, counted from 0; there is no item {key}."
        hint = f"The last one is {len(items) - 1}, or -1." if items else None
    elif len(named or of_class) == 1:
        return (named or of_class)[0]
    elif named or of_class:
        numbers = ", ".join(map(str, named or of_class))
        message = f"`{where}` has {len(named or of_class)} items called `{key}`: the numbers {numbers}."
        hint = "Use the number, or give the layer a `name`."
    else:
        message = f"`{where}` has no item called `{key}`."
        hint = suggestion(key, _item_names(items))
    raise _NoSuchPlace(Mark(wanted.text, 1, column).put(Problem(message, hint=hint)))


def _item_names(items: list[Any]) -> list[str]:
    names = [item["name"] for item in items if isinstance(item, Mapping) and isinstance(item.get("name"), str)]
    classes = [name for item in items for name in (item if isinstance(item, Mapping) else (item,))]
    return [*names, *dict.fromkeys(name for name in classes if isinstance(name, str) and name not in LAYER_WORDS)]


def _shown(value: Any) -> str:
    return f"`{shortened(str(value).lower() if isinstance(value, bool) else str(value))}`"
