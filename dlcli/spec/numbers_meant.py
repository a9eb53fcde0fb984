"""Which number is meant by a text that is none for YAML, or by a number that is a percentage."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

_LONGEST = 40
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CALCULATION = re.compile(rf"({_NUMBER}) *([+*/]) *({_NUMBER})")
_OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda first, second: first + second,
    "*": lambda first, second: first * second,
    "/": lambda first, second: first / second,
}
_LEAST_PERCENT = 5  # what is less may be meant as it stands, or for a tenth


def number_meant(text: str, *, is_whole: bool = False) -> str | None:
    """What to write instead of a text that is a number for a person; None if it is none, or none that is `is_whole`."""
    plain = text.strip()
    if len(plain) > _LONGEST:
        return None
    found = _otherwise_written(plain, is_whole) or _percent(plain) or _calculated(plain)
    if found is None or (is_whole and not float(found[0]).is_integer()):
        return None
    return f"Write `{found[0]}`{found[1]}."


def _otherwise_written(text: str, is_whole: bool) -> tuple[str, str] | None:
    thousands = re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+", text) if is_whole else None
    for number, how in (
        (text, ", without quotes"),
        (text.replace(",", ""), ", without commas") if thousands else (text.replace(",", ".", 1), ", with a point"),
        (text.replace("_", "") if re.fullmatch(r"[-+]?\d+(_\d+)+", text) else "", ""),
    ):
        if re.fullmatch(_NUMBER, number):
            return number, how
    return None


def _percent(text: str) -> tuple[str, str] | None:
    found = re.fullmatch(r"(\d+(?:[.,]\d+)?) ?%", text)
    return (f"{float(found[1].replace(',', '.')) / 100:g}", "") if found else None


def _calculated(text: str) -> tuple[str, str] | None:
    found = _CALCULATION.fullmatch(text)
    if found is None or (found[2] == "/" and float(found[3]) == 0):
        return None
    value = _OPERATIONS[found[2]](float(found[1]), float(found[3]))
    if not math.isfinite(value):
        return None
    return f"{int(value) if value.is_integer() else value}", ": YAML does not calculate"


def percent_meant(value: float, least: float, most: float) -> str | None:
    """What to write instead of a number that is too large for a fraction, if it is a percentage."""
    if (least, most) != (0, 1) or not _LEAST_PERCENT <= value <= 100:
        return None
    return f"For {value:g} %, write `{value / 100:g}`."


def turn_meant(value: float, least: float, most: float) -> str | None:
    """What to write instead of a number that is too large for a part of a full turn, if it is one of degrees."""
    if abs(value) > 360:
        return None
    return f"For {value:g} degrees, write `{value / 360:.3g}`: it is a part of a full turn."
