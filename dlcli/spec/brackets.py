"""Which brackets and braces are open, in a line or in several; texts in quotes and comments are passed over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.spec.scene import Place, Scene

CLOSING = {"[": "]", "{": "}"}
# In a line: texts in quotes, uses of variables and comments, which are passed over, and brackets.
_PIECE = re.compile(r"""(?<![^\s,:\[{])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|\$\{[^{}]*\}|(?<!\S)\#.*|[\[\]{}]""")


@dataclass(frozen=True)
class Left:
    """What is left open of a bracket after some lines.

    Attributes:
        places: those that are open, of this bracket and those in it.
        seen: all that were open, among them those that are closed.
        is_clear: whether it is clear to which of them each bracket belongs that closes one.
    """

    places: tuple[Place, ...] = ()
    seen: tuple[Place, ...] = ()
    is_clear: bool = True


def left_open(scene: Scene, place: Place, last: int) -> Left:
    """What is left open of the bracket at `place`, and of those in it, at the end of the line `last`."""
    opened: list[Place] = []
    seen: list[Place] = []
    is_clear = True
    for number in range(place[0], last + 1):
        line = scene.line(number)
        for found in _PIECE.finditer(line, place[1] - 1 if number == place[0] else 0):
            if found[0] in CLOSING:
                opened.append((number, found.start() + 1))
                seen.append(opened[-1])
            elif found[0] in CLOSING.values():
                opened.pop()
                if not opened:
                    return Left()
                # What follows may have been meant for a bracket further out.
                is_clear &= len(opened) < 2 or not line[found.end() :].lstrip().startswith(",")
    return Left(tuple(opened), tuple(seen), is_clear)


def end_of_value(line: str, start: int) -> int:
    """The column, from 1, at which a value ends that starts at the column `start` between brackets."""
    depth, at = 0, start - 1
    while at < len(line):
        piece = _PIECE.match(line, at)
        sign = piece[0] if piece else line[at]
        if sign in CLOSING:
            depth += 1
        elif depth == 0 and (sign in ("]", "}", ",") or sign.startswith("#")):
            break
        elif sign in CLOSING.values():
            depth -= 1
        at += len(sign)
    return len(line[:at].rstrip()) + 1


def is_inside(line: str, column: int) -> bool:
    """Whether a bracket that opens on the line before the column is still open there."""
    signs = [found[0] for found in _PIECE.finditer(line[: column - 1])]
    return sum(sign in CLOSING for sign in signs) > sum(sign in CLOSING.values() for sign in signs)


def is_balanced(opened: Sequence[str], text: str) -> bool:
    """Whether `text` closes these brackets and braces, and its own."""
    left = list(opened)
    for found in _PIECE.finditer(text):
        if found[0] in CLOSING:
            left.append(found[0])
        elif found[0] in CLOSING.values() and (not left or CLOSING[left.pop()] != found[0]):
            return False
    return not left
