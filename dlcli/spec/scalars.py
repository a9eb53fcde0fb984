"""What a YAML scalar means: the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

TAG = "tag:yaml.org,2002:"
SAFE_TAGS = frozenset({"!", *(TAG + word for word in ("str", "int", "float", "bool", "null"))})

# Python refuses to convert, and to write, more than 4,300 decimal digits; nothing in a spec needs more than a float
# can hold, which has at most 309.
_MOST_DIGITS = 300

# In the order of the specification; a text that fits none of them is a text.
_RESOLVERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"(~|null|Null|NULL|)\Z"), lambda _: None),
    (re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), lambda word: word.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+\Z"), lambda digits: _decimal(digits)),
    (re.compile(r"0o[0-7]+\Z"), lambda digits: _whole(digits[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+\Z"), lambda digits: _whole(digits[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)\Z"), lambda word: float(word.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)\Z"), lambda _: float("nan")),
)


def plain_value(text: str) -> Any:
    """The value of a scalar that is written without quotes; a whole number beyond every float is infinite."""
    for pattern, convert in _RESOLVERS:
        if pattern.match(text):
            return convert(text)
    return text


def tagged_value(text: str, tag: str) -> Any:
    """The value of a scalar with one of the `SAFE_TAGS`. Raises ValueError if the tag does not fit the text."""
    if tag in ("!", TAG + "str"):
        return text
    value: Any = plain_value(text)
    kind = tag.removeprefix(TAG)
    wanted: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
    fits = isinstance(value, wanted[kind]) and (kind == "bool" or not isinstance(value, bool))
    if not fits:
        raise ValueError(f"{text!r} is not a value of {tag}")
    return float(value) if kind == "float" else value


def _decimal(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _whole(digits: str, base: int) -> int | float:
    significant = digits.lstrip("0")
    # So many digits, each worth 0.9 decimal ones in base 8 and 1.2 in base 16, are beyond every float.
    if len(significant) > 2 * _MOST_DIGITS:
        return math.inf
    value = int(significant or "0", base)
    return value if value < 10**_MOST_DIGITS else _as_float(value)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
