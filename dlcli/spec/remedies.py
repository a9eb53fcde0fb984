"""What to write instead of a value that is wrong, where the value itself shows what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.errors import Path
from dlcli.spec.catalogue import closest
from dlcli.spec.characters import shortened

_CALL = re.compile(r"(?:\w+\.)*(\w+)\((.*)\)\Z", re.DOTALL)
_DOTTED = re.compile(r"(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)\Z")
_GLUED = re.compile(r"([A-Za-z_]\w*):(\S+)\Z")
_ASSIGNED = re.compile(r"[A-Za-z_]\w* *=")
_WORDS = {"None": "null", "True": "true", "False": "false"}
_NUMBERS = ("int_type", "float_type", "int_from_float", "expected")
_BOOLS = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}


def python_name(text: str) -> str | None:
    """A hint for a text that is no name of an object but Python, or a mapping without its space; None for a name."""
    call, dotted, glued = _CALL.match(text), _DOTTED.match(text), _GLUED.match(text)
    if call:
        arguments = _as_yaml(call[2]) if not call[2].strip() or _ASSIGNED.match(call[2].strip()) else "argument: value"
        return f"Write `{shortened(f'{call[1]}: {{{arguments}}}' if arguments else call[1])}`."
    if dotted:
        return f"Write `{shortened(dotted[1])}`."
    if glued:
        return f"Put a space after the `:`: `{shortened(f'{glued[1]}: {glued[2]}')}`."
    return python_value(text) if text == "None" or text.startswith("$") else None


def python_arguments(name: str, text: str) -> str | None:
    """A hint for arguments that are written as in Python: `units=16`."""
    return f"Write `{name}: {{{shortened(_as_yaml(text))}}}`." if _ASSIGNED.match(text) else None


def python_value(text: str) -> str | None:
    """A hint for a value that is written as in Python, or for a variable as in a shell."""
    if text in _WORDS:
        return f"Write `{_WORDS[text]}`."
    if re.fullmatch(r"\$[A-Za-z_]\w*", text):
        return f"Write `${{{shortened(text[1:])}}}`."
    if re.fullmatch(r"\(.*\)", text):
        return f"Write `[{shortened(_as_yaml(text[1:-1]).rstrip(', '))}]`."
    glued = _GLUED.match(text)
    if glued:
        return f"Put a space after the `:`: `{shortened(f'{glued[1]}: {glued[2]}')}`."
    return f"Write `{shortened(_as_yaml(text))}`." if _ASSIGNED.match(text) else None


def tuple_meant(argument: str, arguments: Mapping[str, Any]) -> str | None:
    """A hint for `{a: (3, 3)}`, which YAML reads as the value `(3` and one more key, `3)`."""
    if not argument.endswith(")"):
        return None
    names = list(arguments)
    before = names[: names.index(argument)]
    opened = [name for name in before if isinstance(arguments[name], str) and arguments[name].startswith("(")]
    if not opened:
        return None
    parts = [arguments[opened[-1]][1:], *before[before.index(opened[-1]) + 1 :], argument[:-1]]
    return f"Write `{opened[-1]}: [{shortened(', '.join(parts))}]`."


def _as_yaml(arguments: str) -> str:
    """`units=16, activation=None` as YAML."""
    text = re.sub(r"(\w) *=(?!=) *", r"\1: ", arguments.strip())
    text = re.sub(r"\b(None|True|False)\b", lambda word: _WORDS[word[1]], text)
    text = re.sub(r"\(([^()]*)\)", r"[\1]", text)
    text = re.sub(r"(['\"])(\w+)\1", r"\2", text)
    return re.sub(r", *\]", "]", text)


def remedy(kind: str, received: Any, path: Path, context: Mapping[str, Any], required: Sequence[str]) -> str | None:
    """What to write instead of `received` at `path`, for an error of pydantic's kind; None where nothing shows it.

    Args:
        kind: the type of pydantic's error.
        received: the value that is wrong.
        path: where it is.
        context: what pydantic says besides.
        required: the keys that the mapping must have that is expected here.
    """
    if isinstance(received, str):
        found = python_value(received) or _of_a_text(kind, received, path, context)
        if found:
            return found
    key = str(path[-1]) if path else ""
    if kind == "tuple_type" and isinstance(received, dict):
        return "Start each item of the list with `- `."
    if kind in ("mapping_type", "dict_type"):
        return f"Write `{key}: {{code: reason}}`."
    if kind == "model_type" and len(required) == 1:
        return f"Write `{key}: {{{required[0]}: …}}`."
    return None


def _of_a_text(kind: str, text: str, path: Path, context: Mapping[str, Any]) -> str | None:
    key = shortened(str(path[-1]) if path else "")
    if kind == "tuple_type":
        return f"Write `{key}: [{shortened(text)}]`."
    if kind == "bool_type" and text.strip().lower() in (*_BOOLS, "true", "false"):
        word = text.strip().lower()
        return f"Write `{_BOOLS.get(word, word)}`."
    if kind == "literal_error":
        close = closest(text, re.findall(r"'([^']*)'", str(context.get("expected"))))
        return f"Did you mean `{close}`?" if close else None
    return _of_a_number(text) if kind in _NUMBERS else None


def _of_a_number(text: str) -> str | None:
    found = re.fullmatch(r"\s*([-+]?\d+)(?:([.,_])(\d+))?\s*(%?)\s*", text)
    if found is None:
        return None
    whole, sign, part, percent = found.groups()
    if percent:
        return f"Write `{float(f'{whole}.{part or 0}') / 100:g}`."
    if sign == "_":
        return f"Write `{whole}{part}`."
    number = f"{whole}.{part}" if part else whole
    return f"Write `{number}`, with a point." if sign == "," else f"Write `{number}`, without quotes."
