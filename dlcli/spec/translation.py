"""pydantic's errors in our words: what is wrong, what was received, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from dlcli.errors import Path, Problem
from dlcli.spec.characters import shortened
from dlcli.spec.examples import example
from dlcli.spec.grammar import RUN_NAME, BlockSpec, Spec
from dlcli.spec.keras_objects import LAYER_NAME, LAYER_WORDS, refused
from dlcli.spec.likeness import closest, suggestion
from dlcli.spec.paths import in_words, sentence
from dlcli.spec.remedies import remedy
from dlcli.spec.sources import SOURCES
from dlcli.spec.sweep import PRUNERS, SAMPLERS

COMPOSING = ("extends", "variables")
"""the keys of a file that are gone once the spec is composed"""

_KINDS: Mapping[str, type[BaseModel]] = {**SAMPLERS, **PRUNERS, **SOURCES}
"""what is written as `name: {arguments}`, beside Keras's objects"""


def translate_all(errors: Iterable[ErrorDetails], data: Any) -> list[Problem]:
    """All of pydantic's errors in our words, for the spec whose plain data is `data`.

    A key that is missing since it is misspelt is one mistake, not two.
    """
    found = list(errors)
    missing = {tuple(details["loc"]) for details in found if details["type"] == "missing"}
    unknown = [tuple(details["loc"]) for details in found if details["type"] == "extra_forbidden"]
    meant = {(*path[:-1], closest(str(path[-1]), _allowed_keys(path[:-1]))) for path in unknown if missing}
    return [
        _translate(details, data)
        for details in found
        if details["type"] != "missing" or tuple(details["loc"]) not in meant
    ]


def _translate(details: ErrorDetails, data: Any) -> Problem:
    path, kind = tuple(details["loc"]), details["type"]
    where = in_words(path, data)
    context: dict[str, Any] = details.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown_key(path, data)
    if kind == "invalid_key":
        # pydantic's own path has some keys as texts; its input is the key itself
        key = details["input"]
        hint = suggestion("", _allowed_keys(path[:-1]))
        message = f"The keys of {_inside(path, data)} are texts; received the key {json.dumps(key)}."
        return Problem(message, (*path[:-1], key), hint, at_key=True)
    if kind == "missing":
        added = example(path, data)
        return Problem(f"{sentence(where)} is missing.", path, f"Add it, as in `{added}`." if added else None)
    received = details["input"]
    shown = f"; received {_shown(received)}" if kind != "refused" else ""
    expectation = _expectation(kind, context, details["msg"])
    message = refused(where, expectation) if kind == "refused" else f"{sentence(where)} {expectation}{shown}."
    if context.get("key"):
        return Problem(message, (*path, *context["key"]), context.get("hint"), at_key=True)
    instead = _instead_of_nothing(path, data) if received in (None, "", [], {}) else None
    remedies = (context.get("hint"), instead, remedy(kind, received, path, context, _required_keys(path)))
    return Problem(message, path, next(filter(None, remedies), None))


def _instead_of_nothing(path: Path, data: Any) -> str | None:
    written = example(path, data)
    return f"Write `{written}`, for example." if written else None


def _unknown_key(path: Path, data: Any) -> Problem:
    key, allowed = str(path[-1]), list(_allowed_keys(path[:-1]))
    hint = _belongs(key, path) or suggestion(shortened(key), allowed)
    return Problem(f"`{shortened(key)}` is not a key of {_inside(path, data)}.", path, hint, at_key=True)


def _belongs(key: str, path: Path) -> str | None:
    """Where a key belongs that is none here but has its place in another section; the grammar's models tell."""
    section = str(path[0])
    if path[:2] == ("model", "layers") or any(str(part) in SOURCES for part in path[:-1]):
        return None
    if len(path) > 1 and key in (*Spec.model_fields, *COMPOSING):
        return f"`{key}` belongs at the top of the spec, beside `{section}`."
    owners = [name for name, model in _sections().items() if key in model.model_fields]
    if owners:
        return f"`{key}` belongs to `{owners[0]}`."
    if key == section == "learning_rate":
        return "It is an argument of the optimizer: `optimizer: {Adam: {learning_rate: …}}`."
    if section in ("dataset", key) and any(key in source.model_fields for source in SOURCES.values()):
        return f"`{key}` is an argument of a source: `source: {{name: {{{key}: …}}}}`, in `dataset`."
    return None


def _sections() -> dict[str, type[BaseModel]]:
    annotations = {name: field.annotation for name, field in Spec.model_fields.items()}
    return {
        name: annotation
        for name, annotation in annotations.items()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and name not in ("loss", "optimizer")
    }


def _inside(path: Path, data: Any) -> str:
    return in_words(path[:-1], data) if len(path) > 1 else "a spec"


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
        "mapping_type": "must be a mapping",
        "dict_type": "must be a mapping",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be greater than {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "less_than": f"must be less than {context.get('lt')}",
        "multiple_of": f"must be a multiple of {context.get('multiple_of')}",
        "literal_error": f"must be {str(context.get('expected', '')).replace(chr(39), '`')}",
        "string_pattern_mismatch": _PATTERNS.get(str(context.get("pattern"))),
        "string_too_long": f"must have at most {context.get('max_length')} characters",
        "string_too_short": f"must have at least {context.get('min_length')} characters",
    }
    return fixed.get(kind) or f"is wrong: {message}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        return f'the text "{shortened(value)}"'
    return "nothing" if value is None else shortened(str(value).lower())


def _allowed_keys(path: Path) -> Collection[str]:
    """The keys that the grammar has at `path`, found by walking the models."""
    if path[:2] == ("model", "layers"):
        return LAYER_WORDS
    model = _model_at(path)
    written = [field.alias or name for name, field in model.model_fields.items()]
    return (*written, *(COMPOSING if model is Spec else ()))


def _required_keys(path: Path) -> list[str]:
    if path[:2] == ("model", "layers"):
        return []
    return [name for name, field in _model_at(path).model_fields.items() if field.is_required()]


def _model_at(path: Path) -> type[BaseModel]:
    model: type[BaseModel] = Spec
    by_name: type[BaseModel] | None = None
    for at, key in enumerate(path):
        found = model.model_fields.get(str(key))
        annotation: Any = by_name or (found.annotation if found else _KINDS.get(str(key)))
        if path[at - 1 : at] == ("blocks",):
            annotation = BlockSpec
        some = [one for one in get_args(annotation) if one is not type(None)]
        annotation = some[0] if len(some) == 1 else annotation  # a part that may be left out
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        elif not by_name and (optional := _model_among(get_args(annotation))) is not None:
            model = optional
        by_name = _named_models(annotation)
    return model


def _model_among(types: Iterable[Any]) -> type[BaseModel] | None:
    return next((one for one in types if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _named_models(annotation: Any) -> type[BaseModel] | None:
    """The model of which a field has several by names of a person's own: `Mapping[str, Model]`."""
    for part in (annotation, *get_args(annotation)):
        values = get_args(part)[1:] if get_origin(part) is Mapping else ()
        found = _model_among([*values, *(inner for value in values for inner in get_args(value))])
        if found is not None:
            return found
    return None
