"""What a doctor says: one finding after the other, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, such as "software".
        name: what was looked at.
        state: "ok"; "warn": it works, but not as well as it could; "bad": something does not work.
        found: what was found; whole sentences, or a version.
        advice: what to do; None where there is nothing to do.
        is_fatal: whether dlcli cannot be used at all.
    """

    area: str
    name: str
    state: State
    found: str
    advice: str | None = None
    is_fatal: bool = False


def numbers_of(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare it: (535, 161, 8) of `535.161.08`."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def listed(words: Iterable[str]) -> str:
    """Words with commas, and `and` before the last."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def gibibytes(size: float) -> str:
    """A size as a person reads it: `7.8 GB`, of 2³⁰ bytes each."""
    return f"{size / 2**30:,.1f} GB"
