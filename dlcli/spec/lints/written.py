"""Reading what a spec says, for the rules: Keras names in one spelling, numbers, and objects inside arguments."""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic_core import PydanticCustomError

from dlcli.errors import Path
from dlcli.spec.keras_objects import KerasObject, split_object

_SHORT = {
    "acc": "accuracy",
    "bce": "binary_crossentropy",
    "ce": "crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}


def canonical(name: str) -> str:
    """One spelling for a class, a function and a short name: `MeanSquaredError` and `mse` as `mean_squared_error`.

    Words are told apart as Keras 3.15.1 does (`to_snake_case` in keras/src/utils/naming.py).
    """
    parted = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    parted = re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()
    return _SHORT.get(parted, parted)


def number(value: Any) -> float | None:
    """The value as a number; None if it is none, or not a finite one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def numbers(value: Any) -> tuple[float, ...]:
    """The numbers of a list; one number stands for itself; what is none is left out."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(found for item in items if (found := number(item)) is not None)


def nested(value: Any) -> KerasObject | None:
    """The Keras object written as an argument; None if there is none."""
    if isinstance(value, KerasObject):
        return value
    try:
        name, arguments = split_object(value)
    except PydanticCustomError:
        return None
    return KerasObject.model_validate({name: arguments} if arguments else name)


def place_of(written: KerasObject, path: Path) -> Path:
    """Where an object's name is, if the object is at `path`: a key of its own where it has arguments."""
    return (*path, written.name) if written.arguments else path


def counted(count: int, word: str) -> str:
    """A number with its noun: "1 step", "1,440 steps"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
