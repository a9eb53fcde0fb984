"""What is held out for validation, in the grammar: a fraction, a set of its own, or one fold after another."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError

from dlcli.spec.refusals import refusal
from dlcli.spec.sources_folders import VALIDATION_FOLDER

VALIDATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"enum": ["test", VALIDATION_FOLDER]},
        {"type": "null"},
    ]
}


class Fold(NamedTuple):
    """One of the parts that the training examples are divided into, held out for validation: `number` counts from 1."""

    number: int
    of: int


def check_validation(value: Any) -> Any:
    """What `validation` may be."""
    if value in (None, "test", VALIDATION_FOLDER) or (isinstance(value, float) and 0.0 < value < 1.0):
        return value
    raise PydanticCustomError("expected", "must be a fraction between 0 and 1, or `test` for the test set")


def check_folds(folds: int | None, validation: float | str | None) -> int | None:
    """Refuses folds beside something else to validate with."""
    if folds is not None and validation is not None:
        text = f"is wrong: each of the {folds} folds is held out for validation, and so is `validation: {validation}`"
        raise refusal(text, "Leave one of them out.")
    return folds


def check_fold(fold: int | None, folds: int | None) -> int | None:
    """Refuses the number of a fold that there is not."""
    if fold is None or (folds is not None and fold <= folds):
        return fold
    if folds is None:
        raise refusal(
            "is wrong: `fold` names one of the folds, and there are none", "Write `folds: 5` under `dataset`."
        )
    raise refusal(f"is wrong: there are {folds} folds, counted from 1; received {fold}")
