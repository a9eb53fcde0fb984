"""What a spec says of classes by their names, in the grammar: how much each counts, how often each comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError

from dlcli.spec.refusals import refusal

MOST_OFTEN = 10_000
"""how many times as often a class may come"""


def _schema(number: Mapping[str, Any]) -> dict[str, Any]:
    by_name = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number", **number}}
    return {"anyOf": [{"enum": ["balanced"]}, by_name, {"type": "null"}]}


CLASS_WEIGHT = _schema({"exclusiveMinimum": 0})
OVERSAMPLE = _schema({"minimum": 1, "maximum": MOST_OFTEN})


def check_class_weight(raw: Any) -> Any:
    """What `class_weight` may be."""

    def check(weight: Any) -> str | None:
        is_right = _is_number(weight) and 0 < weight < float("inf")
        return None if is_right else "the weight of a class must be a number greater than 0"

    return _by_class(raw, "weights", check)


def check_oversample(raw: Any) -> Any:
    """What `oversample` may be."""

    def check(times: Any) -> str | None:
        is_right = _is_number(times) and 1 <= times <= MOST_OFTEN
        return None if is_right else f"how often a class comes must be a number from 1 to {MOST_OFTEN:,}"

    return _by_class(raw, "numbers", check)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _by_class(raw: Any, what: str, check: Callable[[Any], str | None]) -> Any:
    if raw is None or raw == "balanced":
        return raw
    if not isinstance(raw, Mapping) or not raw:
        raise PydanticCustomError("expected", f"must be `balanced`, or {what} by the names of classes")
    for name, value in raw.items():
        wrong = check(value)
        if wrong:
            raise refusal(f"is wrong: {wrong}; received `{value}`", None, (name,))
    # Classes that are numbers need no quotes.
    return {str(name): float(value) for name, value in raw.items()}
