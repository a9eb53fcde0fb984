"""What to write instead of a value that is wrong, where the value itself shows what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.errors import Path
from dlcli.spec.characters import shortened
from dlcli.spec.likeness import closest
from dlcli.spec.numbers_meant import number_meant, percent_meant

_CALL = re.compile(r"(?:\w+\.)*(\w+)\((.*)\)\Z", re.DOTALL)
_DOTTED = re.compile(r"(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)\Z")
_GLUED = re.compile(r"([A-Za-z_]\w*):(\S+)\Z")
_ASSIGNED = re.compile(r"[A-Za-z_]\w* *=")
_WORDS = {"None": "null", "True": "true", "False": "false"}
# The mappings that are checked by pydantic alone, each with what is in it.
_MAPPINGS = {"silence": "{code: reason}", "loss_weights": "{output: 1.0}"}
_NUMBERS = ("int_type", "float_type", "int_from_float", "expected")
_CLASS_TAG = re.compile(r"!{1,2}([A-Z]\w*)\Z")
_PYTHON_TAG = re.compile(r"!!python/[\w/]+:(?:(\w+)\.)?(?:\w+\.)*(\w+)\Z")
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
        return f"Write `{key}: {_MAPPINGS[key]}`." if key in _MAPPINGS else None
    if kind == "model_type":
        return _of_a_section(key, received, required)
    if isinstance(received, (int, float)) and (kind == "expected" or context.get("lt", context.get("le")) == 1):
        return percent_meant(received, 0, 1)
    return None


def _of_a_section(key: str, received: Any, required: Sequence[str]) -> str | None:
    """What to write where a section is one value: `train: 20`, `dataset: iris`."""
    if key == "train":
        is_whole = isinstance(received, int) and not isinstance(received, bool)
        return f"Write `train: {{epochs: {received}}}`." if is_whole else None
    value = shortened(received) if key == "dataset" and isinstance(received, str) else "…"
    return f"Write `{key}: {{{required[0]}: {value}}}`." if len(required) == 1 else None


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
    return number_meant(text, is_whole=kind.startswith("int")) if kind in _NUMBERS else None


def tag_remedy(tag: str, path: Path, text: str | None, line: str) -> str:
    """What to write instead of a tag, such as `!include` or `!Adam`.

    Args:
        tag: as written.
        path: of the value that it stands before.
        text: that value, if it is a scalar; None for a mapping or a list.
        line: what is written on the line from the tag on.
    """
    if "include" in tag and text:
        return f"Use `extends`: write `extends: {shortened(text)}` at the top of the file."
    if tag in ("!!python/tuple", "!!python/list", "!tuple", "!list"):
        return "Remove the tag: a list is written `[1, 2]`."
    own, python = _CLASS_TAG.match(tag), _PYTHON_TAG.match(tag)
    if python and python[1] not in ("keras", "tf", "tensorflow"):
        return "Remove the tag: a spec runs no code."
    if not (own or python):
        return "Remove the tag."
    name = shortened(own[1] if own else python[2] if python else "")
    arguments = re.match(r"\S+ +(\{[^{}]*\})", line)
    written = name if text is not None else f"{name}: {shortened(arguments[1]) if arguments else '{argument: value}'}"
    key = path[-1] if path and isinstance(path[-1], str) else None
    if key is None:
        return f"Write `{written}`."
    return f"Write `{shortened(key)}: {written if text is not None else f'{{{written}}}'}`."
