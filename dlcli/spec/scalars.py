"""What a YAML scalar means: the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

# In the order of the specification; a text that fits none of them is a text.
_RESOLVERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"(~|null|Null|NULL|)\Z"), lambda _: None),
    (re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), lambda word: word.lower() == "true"),
    (re.compile(r"[-+]?[0-9]+\Z"), lambda digits: _integer(digits)),
    (re.compile(r"0o[0-7]+\Z"), lambda digits: int(digits[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+\Z"), lambda digits: int(digits[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)\Z"), lambda word: float(word.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)\Z"), lambda _: float("nan")),
)


def plain_value(text: str) -> Any:
    """The value of a scalar that is written without quotes."""
    for pattern, convert in _RESOLVERS:
        if pattern.match(text):
            return convert(text)
    return text


def _integer(digits: str) -> int | float:
    # Python refuses to convert more than 4,300 digits; nothing in a spec needs a number that a float cannot hold.
    return int(digits) if len(digits) <= 300 else float(digits)
