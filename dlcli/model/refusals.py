"""Why Keras does not make an object, in plainer words than Keras has, where there are any."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Arguments = Mapping[str, Any]

_MOST_GROUPS = 64


def _groups(name: str, arguments: Arguments) -> tuple[str, str]:
    filters, groups = arguments["filters"], arguments["groups"]
    message = f"`groups: {groups}` does not divide the {filters} filters of `{name}`."
    return message, groups_remedy(filters)


def groups_remedy(count: int) -> str:
    """What `groups` may be where there are so many filters or channels."""
    divisors = [str(number) for number in range(1, min(count, _MOST_GROUPS) + 1) if count % number == 0]
    if len(divisors) == 1:
        return "Remove `groups`."
    return f"`groups` may be {', '.join(divisors[:-1])} or {divisors[-1]}."


def _unknowns(name: str, arguments: Arguments) -> tuple[str, str]:
    target = list(arguments["target_shape"])
    message = f"`target_shape` of `{name}` may have one -1, for what is left; received {target.count(-1)} in {target}."
    return message, "Write out the other sizes."


def _steps(name: str, arguments: Arguments) -> tuple[str, str]:
    return f"`{name}` cannot have `strides` and a `dilation_rate` that are both above 1.", "Remove one of them."


def _boundaries(name: str, arguments: Arguments) -> tuple[str, str]:
    boundaries, values = len(arguments["boundaries"]), len(arguments["values"])
    message = f"`{name}` takes one value more than boundaries; received {boundaries} boundaries and {values} values."
    return message, "The first value holds until the first boundary, and the last one from the last boundary on."


# By what Keras says (3.15.1): what we say, and the argument to point at.
_IN_OUR_WORDS: tuple[tuple[str, Callable[[str, Arguments], tuple[str, str]], str], ...] = (
    ("number of filters must be evenly divisible by the number of groups", _groups, "groups"),
    ("at most one unknown dimension", _unknowns, "target_shape"),
    (r"strides > 1` not supported in conjunction with `dilation_rate > 1", _steps, "strides"),
    ("length of boundaries should be 1 less than the length of values", _boundaries, "values"),
)


def refusal_in_words(name: str, arguments: Arguments, error: Exception) -> tuple[str, str, str] | None:
    """What is wrong with the arguments of an object, what to do, and which one; None if only Keras knows."""
    for said, explain, argument in _IN_OUR_WORDS:
        if re.search(said, str(error)) and argument in arguments:
            try:
                return *explain(name, arguments), argument
            except (KeyError, TypeError):  # an argument is left out, or is no list: Keras means something else
                return None
    return None
