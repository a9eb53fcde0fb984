"""Where the YAML parser stopped, and what a rule of `dlcli.spec.syntax` makes of it: a mistake, and what is meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[int, int]
"""a line and a column, both from 1"""

_LONGEST_LINE = 2_000  # so that no search in a line takes long


@dataclass(frozen=True)
class Edit:
    """In a line, what stands from the column `start` up to `end`, without it, becomes `text`; both count from 1."""

    line: int
    start: int
    end: int
    text: str = ""


def insertion(line: int, column: int, text: str) -> Edit:
    """Puts `text` before what stands at a column of a line, from 1."""
    return Edit(line, column, column, text)


@dataclass(frozen=True)
class Fault:
    """A mistake and its place, from 1.

    Attributes:
        message: what is wrong.
        hint: what to do.
        line: where it is.
        column: where it is.
        edits: what makes YAML of the text, if that is known, so that the rest can be read; not two in the same place.
        doubts: the places of the keys and values that are not known for sure after these edits.
        strays: the places of keys that may belong elsewhere than these edits have them.
        kinds: the places of values that may be meant to be no mapping or list, or to have more in them.
    """

    message: str
    hint: str | None
    line: int
    column: int
    edits: tuple[Edit, ...] = ()
    doubts: tuple[Place, ...] = ()
    strays: tuple[Place, ...] = ()
    kinds: tuple[Place, ...] = ()


class Unreadable(Exception):
    """The text cannot be read beyond this mistake."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True)
class Scene:
    """Where the parser stopped, from 1, and why; what it was reading began at `start`.

    Attributes:
        problem: what the parser says.
        lines: the text that was parsed.
        at: the place.
        start: where it began.
        brackets: the places of the brackets and braces that are open, outermost first.
        quoted: where the text in quotes starts that ends at the place, if it goes over several lines.
        sections: the keys that stand at the margin.
        origin: where in the file a place of the text stands, if the text is a repaired one.
    """

    problem: str
    lines: Sequence[str]
    at: Place
    start: Place
    brackets: Sequence[Place] = ()
    quoted: Place | None = None
    sections: Collection[str] = ()
    origin: Callable[[Place], Place] = field(default=lambda place: place, repr=False)

    @property
    def is_at_end(self) -> bool:
        """Whether the parser noticed only at the end of the text."""
        return self.at[0] > len(self.lines)

    def line(self, number: int) -> str:
        """A line by its number, from 1, without what is too far to the right; an empty one where there is none."""
        return self.lines[number - 1][:_LONGEST_LINE] if 0 < number <= len(self.lines) else ""

    def rest(self, place: Place) -> str:
        """What stands on its line from a place on."""
        return self.line(place[0])[place[1] - 1 :].rstrip()

    @property
    def here(self) -> str:
        """What stands on the line from the place on."""
        return self.rest(self.at)

    @property
    def sign(self) -> str:
        """The character at the place; none at the end of a line."""
        return self.here[:1]

    @property
    def before(self) -> str:
        """What stands on the line before the place."""
        return self.line(self.at[0])[: self.at[1] - 1]

    def column(self, place: Place) -> int:
        """The column of a place in the file."""
        return self.origin(place)[1]

    def above(self, number: int | None = None) -> Iterator[tuple[int, str]]:
        """The lines with content above a line, or above the place, with their numbers, the nearest first."""
        for other in range(min((number or self.at[0]) - 1, len(self.lines)), 0, -1):
            if has_content(self.line(other)):
                yield other, self.line(other)

    def below(self, number: int) -> Iterator[tuple[int, str]]:
        """The lines with content below a line, with their numbers, the nearest first."""
        for other in range(number + 1, len(self.lines) + 1):
            if has_content(self.line(other)):
                yield other, self.line(other)

    def end(self, number: int) -> int:
        """The column after what stands on a line, without a comment."""
        return len(content_of(self.line(number))) + 1

    def blank(self, number: int) -> Edit:
        """Leaves out what stands on a line."""
        return Edit(number, 1, len(self.lines[number - 1]) + 1)

    def block(self, number: int) -> list[int]:
        """The line, and those below it that are indented deeper, down to the first that is not."""
        indent, numbers = indent_of(self.line(number)), [number]
        for other, line in self.below(number):
            if indent_of(line) <= indent:
                break
            numbers.append(other)
        return numbers


def place_of(mark: yaml.Mark | Any) -> Place:
    """Line and column from 1; the parser counts them from 0. That of libyaml has a type of its own for marks."""
    return mark.line + 1, mark.column + 1


def has_content(line: str) -> bool:
    """Whether there is more on a line than spaces and a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def indent_of(line: str) -> int:
    """How many spaces a line starts with."""
    return len(line) - len(line.lstrip(" "))


def content_of(line: str) -> str:
    """A line without a comment after a space, and without the spaces at its end."""
    start = 0
    while (start := line.find("#", start)) > 0:
        if line[start - 1] in " \t" and line[:start].count('"') % 2 == 0:
            return line[:start].rstrip()
        start += 1
    return "" if start == 0 else line.rstrip()
