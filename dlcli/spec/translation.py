"""pydantic's errors in our words: what is wrong, what was received, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from dlcli.errors import Path, Problem
from dlcli.spec.catalogue import suggestion
from dlcli.spec.grammar import RUN_NAME, Spec
from dlcli.spec.keras_objects import LAYER_NAME, LAYER_WORDS
from dlcli.spec.sources import SOURCES

COMPOSING = ("extends", "variables")
"""the keys of a file that are gone once the spec is composed"""


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
    return (*model.model_fields, *(COMPOSING if model is Spec else ()))
