"""From a YAML file to a validated spec: reads, checks everything, and reports all mistakes at once with their lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails, ValidationError

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.catalogue import Catalogue, suggestion
from dlcli.spec.checking import check_objects
from dlcli.spec.grammar import Spec
from dlcli.spec.reading import Document, read_document
from dlcli.spec.sources import SOURCES


@dataclass(frozen=True)
class LoadedSpec:
    """A spec with the file it came from, for messages that point into it."""

    spec: Spec
    document: Document | None

    def error(self, *problems: Problem) -> SpecError:
        """A SpecError whose problems have their places in the file."""
        if self.document is None:
            return SpecError(problems)
        return SpecError([self.document.located(problem) for problem in problems])


def load_spec(path: FilePath, catalogue: Catalogue, overrides: Mapping[Path, Any] | None = None) -> LoadedSpec:
    """Read and check one spec. `overrides` are values by path that stand above the file's own.

    Raises:
        SpecError: with every mistake that was found.
    """
    document = read_document(path)
    data = dict(document.data)
    data.setdefault("name", path.stem)
    for keys, value in (overrides or {}).items():
        data = _with_value(data, keys, value)
    problems = [document.located(problem) for problem in check_objects(data, catalogue)]
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        problems += [document.located(translate(details)) for details in error.errors()]
        spec = None
    if problems or spec is None:
        raise SpecError(sorted(problems, key=_place))
    return LoadedSpec(spec, document)


def restore_spec(resolved: Mapping[str, Any]) -> LoadedSpec:
    """The spec that a run or checkpoint carries. Raises SpecError if this version of dlcli cannot read it."""
    try:
        return LoadedSpec(Spec.model_validate(dict(resolved)), None)
    except ValidationError as error:
        raise SpecError([translate(details) for details in error.errors()]) from error


def _with_value(data: dict[str, Any], keys: Path, value: Any) -> dict[str, Any]:
    first, rest = keys[0], keys[1:]
    inner = data.get(str(first))
    if rest and not isinstance(inner, dict) and inner is not None:
        return data  # the file has a mistake here, which the check reports
    return {**data, str(first): _with_value(inner or {}, rest, value) if rest else value}


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.position.line, problem.position.column) if problem.position else (0, 0)


def translate(details: ErrorDetails) -> Problem:
    """One of pydantic's errors in our words."""
    path = tuple(details["loc"])
    where, kind = ".".join(str(key) for key in path), details["type"]
    context: dict[str, Any] = details.get("ctx") or {}
    if kind == "extra_forbidden":
        allowed = context.get("allowed") or _allowed_keys(path[:-1])
        inside = f"`{'.'.join(str(key) for key in path[:-1])}`" if len(path) > 1 else "a spec"
        return Problem(f"`{path[-1]}` is not a key of {inside}.", path, suggestion(str(path[-1]), allowed), at_key=True)
    if kind == "missing":
        return Problem(f"`{where}` is missing.", path)
    received = details["input"]
    shown = f"; received {_shown(received)}" if kind != "refused" else ""
    return Problem(f"`{where}` {_expectation(kind, context, details['msg'])}{shown}.", path)


def _expectation(kind: str, context: Mapping[str, Any], message: str) -> str:
    fixed = {
        "refused": message,
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "finite_number": "must be a finite number",
        "string_type": "must be a text",
        "bool_type": "must be `true` or `false`",
        "tuple_type": "must be a list",
        "model_type": "must be a mapping",
        "too_short": "must not be empty",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be greater than {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "less_than": f"must be less than {context.get('lt')}",
        "multiple_of": f"must be a multiple of {context.get('multiple_of')}",
        "literal_error": f"must be {str(context.get('expected', '')).replace(chr(39), '`')}",
        "string_pattern_mismatch": "must be made of letters, digits, `_`, `-` and `.`",
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
    model: type[BaseModel] = Spec
    for key in path:
        found = model.model_fields.get(str(key))
        annotation: Any = found.annotation if found else SOURCES.get(str(key))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return tuple(model.model_fields)
