"""What Keras's docstrings tell of a class and its arguments: one-line docs, types, allowed texts.

Keras's docstrings follow Google's style: a section `Args:` with one `name: text` an argument.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

_SECTION = re.compile(r"( *)(Args|Arguments):\s*$")
_ARGUMENT = re.compile(r" *[`*]*(\w+)[`*]*(?: ?\([^)]*\))?: ?(.*)$")
_SENTENCE_END = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)(?<!vs)\.(?=\s+[A-Z`(\[]|$)")
_SHORTEST, _LONGEST = 25, 200  # `Float.` alone says little

_CODE = re.compile(r"`+([^`]*)`+")
_QUOTED = re.compile(r"""["']([^"'`\s]+)[`]?["']""")
_LITERAL = "§"  # stands for a text in quotes and backticks, while types are looked for
_TYPES = {
    "integer": r"\b(int|ints|integers?)\b",
    "number": r"\b(floats?|floating[ -]points?|scalars?|python numbers?)\b",
    "boolean": r"\b(bool|booleans?)\b|^whether\b|\bor (true|false)\b",
    "string": rf"\b(str|strings?|path)\b|^[^.]*{_LITERAL}",
    "list": r"\b(lists?|tuples?|arrays?|array_like|sequence of|matrix of size|1d)\b",
    "mapping": r"\b(dict|dictionary|mapping)\b",
    "null": r"\bnone\b",
}
_ITEMS = re.compile(r"\b(?:list|tuple|array|sequence)s? of (?:(?:\d|one|two|three|python|optional|`rank`) ?)*(\w+)")
_FUNCTION = re.compile(r"(an? |the )?(function|callable)\b", re.IGNORECASE)
_LISTS = re.compile(r"\b(one of|either|can be|supports|(supported|available|acceptable) \w+:?)\b[^.]*", re.IGNORECASE)


def argument_docs(thing: Any, names: Iterable[str]) -> dict[str, str]:
    """The text on each argument of `names` in the docstring of a class or its bases, or of a function; on one line."""
    found: dict[str, str] = {}
    for owner in getattr(thing, "__mro__", (thing,)):
        if owner.__doc__ and owner is not object:
            for name, text in _arguments(inspect.cleandoc(owner.__doc__).splitlines(), set(names)).items():
                found.setdefault(name, text)
    return found


def _arguments(lines: list[str], names: set[str]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    section = margin = -1  # the indentation of the section's head, and of its arguments
    current: list[str] = []
    for line in lines:
        depth = len(line) - len(line.lstrip())
        head, argument = _SECTION.match(line), _ARGUMENT.match(line)
        if head or (line.strip() and depth <= section):
            section, margin = (depth, -1) if head else (-1, -1)
        elif section >= 0 and argument and (argument[1] in names or depth <= margin or margin < 0):
            # Some of Keras's arguments are indented as if they belonged to the one above (Adamax: `name`).
            margin = depth if margin < 0 else margin
            current = texts.setdefault(argument[1], []) if argument[1] not in texts else []
            current.append(argument[2])
        elif section >= 0:
            current.append(line)
    return {name: " ".join(" ".join(parts).split()) for name, parts in texts.items() if name in names}


def first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, shortened if it is very long; a line for a person to read."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    end = _SENTENCE_END.search(paragraph, _SHORTEST)
    sentence = paragraph[: end.end()] if end else paragraph
    return sentence if len(sentence) <= _LONGEST else sentence[:_LONGEST].rsplit(" ", 1)[0] + " …"


def class_doc(cls: Any) -> str:
    """The first sentence of the docstring of a class or function; empty if it has none of its own."""
    return first_sentence(
        inspect.cleandoc(vars(cls).get("__doc__") or "" if inspect.isclass(cls) else cls.__doc__ or "")
    )


def types_in(text: str) -> set[str]:
    """The types that an argument's text speaks of; empty if of none, or if it is a function, which YAML has not."""
    if _FUNCTION.match(text):
        return set()
    plain = _ITEMS.sub("list", _CODE.sub(_readable, text).lower())
    found = {name for name, pattern in _TYPES.items() if re.search(pattern, plain)}
    if not found - {"null"} and re.search(r"\bnumber of\b", plain):
        found.add("integer")
    return found


def _readable(code: re.Match[str]) -> str:
    if code[1].startswith(('"', "'", "{")) and _QUOTED.search(code[1]):
        return _LITERAL
    return code[1] if re.fullmatch(r"None|True|False|str|int|float|bool|dict|list|tuple", code[1]) else "code"


def items_in(text: str) -> set[str]:
    """The types of a list's items, if the text tells them."""
    words = [match[1] for match in _ITEMS.finditer(text.lower())]
    if not words or any(word.startswith(("list", "tuple", "pair")) for word in words):
        return set()
    return set(chain.from_iterable(types_in(word) for word in words))


def quoted(text: str) -> list[str]:
    """The texts in quotes, each once."""
    return list(dict.fromkeys(match[1] for match in _QUOTED.finditer(text)))


def listed(text: str) -> list[str]:
    """The texts that are said to be the allowed ones: `One of "a", "b"`."""
    return quoted(" ".join(match[0] for match in _LISTS.finditer(text)))
