"""Figures as people read them: numbers, and durations."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """A figure with four decimals, or with four digits that count where it is very small or large."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def written_time(seconds: float) -> str:
    """Seconds as an option takes them: `90s`, `30m`, `1.5h`."""
    unit = "h" if seconds >= 3600 else "m" if seconds >= 60 else "s"
    return f"{seconds / _UNITS[unit]:.4g}{unit}"


def seconds_of(text: str) -> float | None:
    """The seconds of `90s`, `30m`, `1.5h` or `2d`; of a number alone, too. None for what is no time."""
    unit = text[-1:].lower()
    try:
        seconds = float(text[:-1] if unit in _UNITS else text) * _UNITS.get(unit, 1.0)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None
