"""What the grammar refuses in words of its own, for pydantic to report at the right place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError

Item = TypeVar("Item")
# The errors that are not pydantic's own.
_OWN_TYPES = ("refused", "expected")


def refusal(text: str, hint: str | None = None, key: tuple[Any, ...] = ()) -> PydanticCustomError:
    """An error for pydantic to report at the place of the value that it is raised for, or at the key `key` in it.

    `text` goes on after the value's path: "must be …; received …", or "is wrong: …".
    """
    return PydanticCustomError("refused", "{text}", {"text": text, "hint": hint, "key": key})


def within(key: tuple[str | int, ...], make: Callable[[], Item]) -> Item:
    """What `make` gives; its mistakes have the key in their paths, so that each is found in the document."""
    try:
        return make()
    except ValidationError as error:
        details = [
            InitErrorDetails(type=_type(item), loc=(*key, *item["loc"]), input=item["input"], ctx=item.get("ctx", {}))
            for item in error.errors()
        ]
        raise ValidationError.from_exception_data("spec", details) from error


def _type(item: ErrorDetails) -> str | PydanticCustomError:
    if item["type"] not in _OWN_TYPES:
        return item["type"]
    return PydanticCustomError(item["type"], "{text}", {"text": item["msg"], **item.get("ctx", {})})
