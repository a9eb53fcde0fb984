"""From a YAML file to a validated spec: reads, checks everything, and reports all mistakes at once with their lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails, ValidationError

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.catalogue import Catalogue, suggestion
from dlcli.spec.checking import check_objects
from dlcli.spec.grammar import RUN_NAME, Spec
from dlcli.spec.keras_objects import LAYER_NAME, LAYER_WORDS
from dlcli.spec.reading import Document, read_document
from dlcli.spec.sources import SOURCES


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with the file it came from, for messages that point into it."""

    spec: Spec
    document: Document | None
    origins: Mapping[Path, str] = field(default_factory=dict)
    """what is not in the file, by path: a sentence that says where it comes from"""

    def error(self, *problems: Problem) -> SpecError:
        """A SpecError whose problems have their places in the file."""
        if self.document is None:
            return SpecError(problems)
        return SpecError([_located(problem, self.document, self.origins) for problem in problems])


def load_spec(path: FilePath, catalogue: Catalogue, overrides: Mapping[Path, Any] | None = None) -> LoadedSpec:
    """Read and check one spec. `overrides` are values by path that stand above the file's own.

    Raises:
        SpecError: with every mistake that was found.
    """
    document = read_document(path)
    data = {"name": path.stem, **document.data}
    origins: dict[Path, str] = {}
    if "name" not in document.data:
        origins["name",] = "It is the file's own name; write `name: …` in the file."
    for keys, value in (overrides or {}).items():
        data = _with_value(data, keys, value, document)
        origins[keys] = "It comes from the command line."
    problems = list(check_objects(data, catalogue))
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        problems += [translate(details) for details in error.errors()]
        spec = None
    if problems or spec is None:
        raise SpecError(sorted((_located(problem, document, origins) for problem in problems), key=_place))
    return LoadedSpec(spec, document, origins)


def restore_spec(resolved: Mapping[str, Any]) -> LoadedSpec:
    """The spec that a run or checkpoint carries. Raises SpecError if this version of dlcli cannot read it."""
    try:
        return LoadedSpec(Spec.model_validate(dict(resolved)), None)
    except ValidationError as error:
        raise SpecError([translate(details) for details in error.errors()]) from error


def _with_value(data: Any, keys: Path, value: Any, document: Document, above: Path = ()) -> Any:
    """A copy of `data`, which is at the path `above`, with `value` at `keys`; SpecError where that cannot be."""
    if not keys:
        return value
    first, rest, path = keys[0], keys[1:], (*above, keys[0])
    if data is None or isinstance(data, dict):
        mapping = data or {}
        return {**mapping, first: _with_value(mapping.get(first), rest, value, document, path)}
    where = ".".join(str(key) for key in above)
    if not isinstance(data, list):
        message = f"`{where}` must be a mapping; received {_shown(data)}."
    elif not isinstance(first, int) or not 0 <= first < len(data):
        message = f"`{where}` has no item {first}; its items are counted from 0."
    else:
        return [*data[:first], _with_value(data[first], rest, value, document, path), *data[first + 1 :]]
    hint = f"The command line sets `{'.'.join(str(key) for key in (*above, *keys))}`."
    raise SpecError([document.located(Problem(message, above, hint))])


def _located(problem: Problem, document: Document, origins: Mapping[Path, str]) -> Problem:
    """`problem` with its place in the file; or, if what is wrong is not from the file, with where it is from."""
    for path, origin in origins.items():
        if problem.path[: len(path)] == path:
            return replace(problem, hint=f"{problem.hint} {origin}" if problem.hint else origin)
    return document.located(problem)


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.position.line, problem.position.column) if problem.position else (0, 0)


def translate(details: ErrorDetails) -> Problem:
    """One of pydantic's errors in our words."""
    path = tuple(details["loc"])
    where, kind = ".".join(str(key) for key in path), details["type"]
    context: dict[str, Any] = details.get("ctx") or {}
    if kind == "extra_forbidden":
        hint = suggestion(str(path[-1]), _allowed_keys(path[:-1]))
        return Problem(f"`{path[-1]}` is not a key of {_inside(path)}.", path, hint, at_key=True)
    if kind == "invalid_key":
        # pydantic's own path has some keys as texts; its input is the key itself
        key = details["input"]
        hint = suggestion("", _allowed_keys(path[:-1]))
        message = f"The keys of {_inside(path)} are texts; received the key {json.dumps(key)}."
        return Problem(message, (*path[:-1], key), hint, at_key=True)
    if kind == "missing":
        return Problem(f"`{where}` is missing.", path)
    received = details["input"]
    shown = f"; received {_shown(received)}" if kind != "refused" else ""
    return Problem(f"`{where}` {_expectation(kind, context, details['msg'])}{shown}.", path, context.get("hint"))


def _inside(path: Path) -> str:
    return f"`{'.'.join(str(key) for key in path[:-1])}`" if len(path) > 1 else "a spec"


_PATTERNS = {
    RUN_NAME: "must start with a letter or a digit, and go on with letters, digits, `_`, `-` and `.`",
    LAYER_NAME: "must be made of letters, digits, `_`, `-` and `.`",
}


def _expectation(kind: str, context: Mapping[str, Any], message: str) -> str:
    fixed = {
        "refused": message,
        "expected": message,
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "string_type": "must be a text",
        "bool_type": "must be `true` or `false`",
        "tuple_type": "must be a list",
        "model_type": "must be a mapping",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be greater than {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "less_than": f"must be less than {context.get('lt')}",
        "multiple_of": f"must be a multiple of {context.get('multiple_of')}",
        "literal_error": f"must be {str(context.get('expected', '')).replace(chr(39), '`')}",
        "string_pattern_mismatch": _PATTERNS.get(str(context.get("pattern"))),
        "string_too_long": f"must have at most {context.get('max_length')} characters",
    }
    return fixed.get(kind) or f"is wrong: {message}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = "nothing" if value is None else f'the text "{value}"' if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 80 else text[:77] + "…"


def _allowed_keys(path: Path) -> Iterable[str]:
    """The keys that the grammar has at `path`, found by walking the models."""
    if path[:2] == ("model", "layers"):
        return LAYER_WORDS
    model: type[BaseModel] = Spec
    for key in path:
        found = model.model_fields.get(str(key))
        annotation: Any = found.annotation if found else SOURCES.get(str(key))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return tuple(model.model_fields)
