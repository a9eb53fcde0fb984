"""Where the YAML parser stopped: what `dlcli.spec.syntax` looks at to say in plain words what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

_LONGEST_LINE = 2_000  # so that no search in a line takes long


@dataclass(frozen=True)
class Fault:
    """A mistake and its place, from 1."""

    message: str
    hint: str | None
    line: int
    column: int


@dataclass(frozen=True)
class Scene:
    """Where the parser stopped, from 1, and why; what it was reading began at `start`.

    `brackets` are the places of those that are open, outermost first.
    """

    problem: str
    lines: Sequence[str]
    at: tuple[int, int]
    start: tuple[int, int]
    brackets: Sequence[tuple[int, int]]

    @property
    def is_at_end(self) -> bool:
        """Whether the parser noticed only at the end of the text."""
        return self.at[0] > len(self.lines)

    def line(self, number: int) -> str:
        """A line by its number, from 1, without what is too far to the right; an empty one where there is none."""
        return self.lines[number - 1][:_LONGEST_LINE] if 0 < number <= len(self.lines) else ""

    def rest(self, place: tuple[int, int]) -> str:
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

    def above(self) -> Iterator[tuple[int, str]]:
        """The lines with content above the place, with their numbers, the nearest first."""
        for number in range(min(self.at[0] - 1, len(self.lines)), 0, -1):
            if has_content(self.line(number)):
                yield number, self.line(number)


def place_of(mark: yaml.Mark) -> tuple[int, int]:
    """Line and column from 1; the parser counts them from 0."""
    return mark.line + 1, mark.column + 1


def has_content(line: str) -> bool:
    """Whether there is more on a line than spaces and a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def indent_of(line: str) -> int:
    """How many spaces a line starts with."""
    return len(line) - len(line.lstrip(" "))
