"""Where things are written: in a file, or in an option of the command line; and documents whose values know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from dlcli.errors import Path, Position, Problem

_LONGEST_MESSAGE = 600


@dataclass(frozen=True)
class Text:
    """What was written: the lines of a file, or the one argument of an option, such as `--set`."""

    name: str
    lines: tuple[str, ...] = field(repr=False)
    is_option: bool = False


@dataclass(frozen=True)
class Mark:
    """A place in a text; line and column count from 1."""

    text: Text
    line: int
    column: int

    @property
    def position(self) -> Position:
        """The place for a message. An option has no lines, which is written as line 0."""
        return Position(self.text.name, 0 if self.text.is_option else self.line, self.column)

    @property
    def source_line(self) -> str | None:
        """The line of the text."""
        return self.text.lines[self.line - 1] if 0 < self.line <= len(self.text.lines) else None

    def put(self, problem: Problem) -> Problem:
        """`problem` at this place."""
        message = problem.message
        if len(message) > _LONGEST_MESSAGE:  # a name of the file's in it can be of any length
            message = f"{message[: _LONGEST_MESSAGE // 2]} … {message[-_LONGEST_MESSAGE // 2 :]}"
        return replace(problem, message=message, position=self.position, source_line=self.source_line)


def _around(path: Path) -> list[Path]:
    """The path, and those of everything that it is in."""
    return [path[:end] for end in range(len(path) + 1)]


@dataclass(frozen=True)
class Doubt:
    """What is not known for sure of a document, after a mistake that kept a part of it from being read.

    Attributes:
        values: what may be another than was meant, with what is in it.
        keys: what may belong elsewhere.
        partial: mappings and lists of which something could not be read, so that nothing in them can be missing.
    """

    values: frozenset[Path] = frozenset()
    keys: frozenset[Path] = frozenset()
    partial: frozenset[Path] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.paths)

    def __or__(self, other: Doubt) -> Doubt:
        return Doubt(self.values | other.values, self.keys | other.keys, self.partial | other.partial)

    def covers(self, problem: Problem, is_written: bool) -> bool:
        """Whether a mistake may follow from it; `is_written` is whether there is anything at its path."""
        path, around = problem.path, _around(problem.path)
        # What is wrong with a key does not follow from what is in it.
        if not self.values.isdisjoint(around) or path in (self.keys if problem.at_key else self._whole):
            return True
        return not is_written and (path[-1:] in self._moved or not self.partial.isdisjoint(around))

    @cached_property
    def _whole(self) -> frozenset[Path]:
        """Mappings and lists of which nothing as a whole can be told."""
        return self.partial.union(path[:-1] for path in self.values | self.keys)

    @cached_property
    def _moved(self) -> frozenset[Path]:
        """The keys that may belong elsewhere, where they would then be missing."""
        return frozenset(path[-1:] for path in self.keys)

    @cached_property
    def paths(self) -> frozenset[Path]:
        """All of these."""
        return self.values | self.keys | self.partial

    def concerns(self, section: str) -> bool:
        """Whether something in a section of the spec is not known for sure, or something of it may be elsewhere."""
        return any(path[:1] in ((), (section,)) for path in self.paths)


@dataclass(frozen=True)
class Document:
    """Plain data, and where each value and key of it is written.

    Attributes:
        text: the file that was asked for; the values may come from others as well.
        data: mappings, lists and scalars.
        values: the place of each value, by path. What a `${variable}` stands for is where the variable is set.
        keys: the place of each key of a mapping, by path.
        uses: where a variable is written, and how, by the path of the value that it stands for.
        notes: by path, what a person must know of a value to understand a message about it.
        groups: the use of a block that a layer was written out for, by the layer's number in `model.layers`.
        problems: mistakes that did not keep the rest from being read, without or with their places.
        warnings: what is odd, but no mistake.
        doubt: what is not known for sure, so that nothing is told that may follow from it.
    """

    text: Text
    data: dict[str, Any]
    values: Mapping[Path, Mark] = field(repr=False)
    keys: Mapping[Path, Mark] = field(repr=False)
    uses: Mapping[Path, tuple[Mark, str]] = field(default_factory=dict, repr=False)
    notes: Mapping[Path, str] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    doubt: Doubt = Doubt()

    def mark(self, path: Path, *, at_key: bool = False) -> Mark:
        """The place of the value at `path`, or of its key; of the nearest value around it if it is nowhere written."""
        asked = path
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        is_container = isinstance(self.value(path), (dict, list))
        if path in self.keys and (is_container or (at_key and path == asked)):
            return self.keys[path]
        return self.values.get(path) or Mark(self.text, 1, 1)

    def without_consequences(self, problems: Iterable[Problem]) -> list[Problem]:
        """Those that do not follow from what could not be read for sure, nor from a mistake that was met there."""
        met = {problem.path for problem in self.problems if problem.path}
        others = (problem for problem in problems if met.isdisjoint(_around(problem.path)))
        return [problem for problem in others if not self.doubt.covers(problem, self._is_written(problem.path))]

    def _is_written(self, path: Path) -> bool:
        return path in self.values or path in self.keys

    def located(self, problem: Problem) -> Problem:
        """`problem` with its place, and with what else helps to find what is wrong there."""
        if problem.position is not None:
            return problem
        path, trail = problem.path, problem.trail
        used = next((self.uses[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.uses), None)
        if used is not None and not (problem.at_key and path in self.uses):
            trail = (*trail, f"`{used[1]}` is used at {used[0].position}.")
        trail = (*trail, *(note for noted, note in self.notes.items() if path[: len(noted)] == noted))
        return self.mark(path, at_key=problem.at_key).put(replace(problem, trail=trail))

    def value(self, path: Path) -> Any:
        """The value at `path`, or None."""
        value: Any = self.data
        for key in path:
            try:
                value = value[key]
            except (LookupError, TypeError):
                return None
        return value
