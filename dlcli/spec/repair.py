"""Reading on after a mistake in the YAML, so that it hides no other: the text is mended in memory, never in the file.

The parser stops at the first mistake. What makes YAML of it is known for most (see `Fault.edits`), and a line for which
it is not is left out; then the text is parsed anew. Whatever is told is of the text as it is written, at its own place
there, and nothing is told that may only follow from the mending: that is what a `Doubt` is for.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.assembly import Builder
from dlcli.spec.characters import forbidden
from dlcli.spec.marks import Doubt, Mark, Text
from dlcli.spec.scene import Edit, Fault, Place, Scene, Unreadable, content_of, has_content, indent_of

_LARGEST = 100_000  # characters of a text that is mended
_MOST_READ = 300_000  # in all attempts together: half a second or less
_MOST_TOLD = 20
_REST = "The rest of the file is checked once this is right."
_HEAD = re.compile(r" *(?:- +)*(?:[\w.]+:(?=\s|$)|(?<=- )(?=\S))")


@dataclass(frozen=True)
class Reading:
    """What a text says.

    Attributes:
        data: what it says.
        builder: what knows the places of everything in it.
        problems: the mistakes that were met.
        doubt: what is not known for sure.
    """

    data: Any
    builder: Builder
    problems: tuple[Problem, ...]
    doubt: Doubt


def refuse_forbidden(text: str, source: Text, start: int = 0) -> None:
    """Raises SpecError at the first character that YAML forbids; `text` starts at the column `start` of `source`."""
    for line, column, name in forbidden(text, 1):
        raise SpecError([Mark(source, line, column + start).put(_forbidden(name))])


def _forbidden(name: str) -> Problem:
    return Problem(f"The character {name} is not allowed in YAML.", hint="Remove it.")


def read(text: str, source: Text, sections: Collection[str]) -> Reading:
    """Read a text whose lines are those of `source`.

    `sections` are the keys that stand at the margin.

    Raises:
        SpecError: it cannot be read to its end, whatever is mended.
    """
    return _Repair(text, source, sections).read()


class _Draft:
    """The text as it is parsed, with as many lines as the one that was written."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[str] = []
        self.columns: dict[int, list[int]] = {}  # by line, the columns at which its characters are written

    def origin(self, place: Place) -> Place:
        """Where in the written text a place stands."""
        line, column = place
        columns = self.columns.get(line)
        return (line, columns[min(column, len(columns)) - 1]) if columns else place

    def apply(self, edits: Iterable[Edit]) -> None:
        """Change the text; the edits are of the text as it is now."""
        self.lines = self.lines or self.text.splitlines()
        in_order = sorted(edits, key=lambda edit: (edit.line, edit.start))
        for number, of_line in groupby(in_order, key=lambda edit: edit.line):
            self._apply_to_line(number, of_line)
        self.text = "\n".join([*self.lines, ""])

    def _apply_to_line(self, number: int, edits: Iterable[Edit]) -> None:
        line, done = self.lines[number - 1], 0
        columns = self.columns.get(number) or list(range(1, len(line) + 2))
        parts: list[str] = []
        places: list[int] = []
        for edit in edits:
            start = edit.start - 1
            parts += [line[done:start], edit.text]
            places += [*columns[done:start], *[columns[start]] * len(edit.text)]
            done = min(edit.end - 1, len(line))
        self.lines[number - 1] = "".join([*parts, line[done:]])
        self.columns[number] = [*places, *columns[done:]]


class _Repair:
    """Parses, mends and parses again, within bounds. All lines and places are those of the text as written.

    Attributes:
        draft: the text as it is parsed.
        told: the mistakes that made it necessary.
        met: those that were met, by line and message: one that is met again was not mended.
        doubted: the places of what is not known for sure.
        strays: the places of keys that may belong elsewhere.
        partial: the places of mappings and lists of which a line is left out; None is the text as a whole.
        silent: by line, the column up to which nothing more is told of it, since it may follow from the mending.
        anchors: the names of anchors that are left out.
    """

    def __init__(self, text: str, source: Text, sections: Collection[str]) -> None:
        self.draft = _Draft(text)
        self.source = source
        self.sections = sections
        self.told: list[Problem] = []
        self.met: set[tuple[int, str]] = set()
        self.doubted: set[Place] = set()
        self.strays: set[Place] = set()
        self.partial: set[Place | None] = set()
        self.silent: dict[int, float] = {}
        self.anchors: set[str] = set()
        self.size = 0

    def read(self) -> Reading:
        self._remove_forbidden()
        while True:
            builder = Builder(self.source, self.draft.origin, self.sections)
            try:
                data = builder.build(self.draft.text)
            except Unreadable as error:
                self._mend(error.fault, builder)
            except SpecError as error:
                raise SpecError([*self.told, *error.problems]) from error
            else:
                return self._reading(data, builder)

    def _remove_forbidden(self) -> None:
        """Removes some characters that YAML forbids. Raises SpecError if they are many, or end a line for Python."""
        most = _MOST_TOLD if len(self.draft.text) <= _LARGEST else 1
        found = forbidden(self.draft.text, most)
        edits = [Edit(line, column, column + 1) for line, column, _ in found]
        lines = self.source.lines
        if len(found) == most or any(len(lines[edit.line - 1]) < edit.start for edit in edits):
            refuse_forbidden(self.draft.text, self.source)
        self.told += [Mark(self.source, line, column).put(_forbidden(name)) for line, column, name in found]
        if edits:
            self.draft.apply(edits)

    def _reading(self, data: Any, builder: Builder) -> Reading:
        doubt = self._doubt(_Paths(builder)) if self.told else Doubt()
        places = {(problem.position.line, problem.position.column) for problem in self.told if problem.position}
        doubtful = self.doubted | self.strays | places
        kept = [
            problem
            for problem in builder.problems
            if problem.position is None or (problem.position.line, problem.position.column) not in doubtful
            if not any(f"`&{name}`" in problem.message for name in self.anchors)
        ]
        return Reading(data, builder, (*kept, *self.told), doubt)

    def _doubt(self, paths: _Paths) -> Doubt:
        return Doubt(
            values=frozenset(map(paths.at, self.doubted)),
            keys=frozenset(map(paths.at, self.strays)),
            partial=frozenset(paths.at(place) if place else () for place in self.partial),
        )

    def _mend(self, fault: Fault, builder: Builder) -> None:
        """Make the text one that can be read beyond a mistake, and tell it. Raises SpecError if that cannot be."""
        origin = self.draft.origin
        line, column = origin((fault.line, fault.column))
        is_new = (line, fault.message) not in self.met and column > self.silent.get(line, 0)
        self.met.add((line, fault.message))
        if is_new:
            self.told.append(Mark(self.source, line, column).put(Problem(fault.message, hint=fault.hint)))
        self.size += len(self.draft.text)
        if len(self.draft.text) > _LARGEST or self.size > _MOST_READ or len(self.told) >= _MOST_TOLD:
            raise self._stopped(builder)
        if is_new and fault.edits:
            self.doubted.update(map(origin, fault.doubts))
            self.strays.update(map(origin, fault.strays))
            self.partial.update(map(origin, fault.kinds))
            last = max(fault.edits, key=lambda edit: (edit.line, edit.end))
            if fault.doubts:
                self.silent[last.line] = origin((last.line, last.end))[1]
            self.draft.apply(fault.edits)
        elif edits := self._left_out(fault.line):
            self.silent[line] = math.inf
            self.draft.apply(edits)
        else:
            raise self._stopped(builder)

    def _stopped(self, builder: Builder) -> SpecError:
        last = self.told[-1]
        return SpecError([
            *builder.problems, *self.told[:-1], replace(last, hint=f"{last.hint or ''} {_REST}".strip())
        ])  # fmt: skip

    def _left_out(self, number: int) -> tuple[Edit, ...]:
        """Leaves out what stands on a line after its key, or else the line; with what is below it."""
        lines = self.draft.lines or self.draft.text.splitlines()
        scene = Scene("", lines, (number, 1), (number, 1))
        line = scene.line(number)
        head = _HEAD.match(line)
        numbers = scene.block(number)[1:]
        value = next(scene.below(numbers[-1] if numbers else number), (0, ""))
        if line.lstrip().startswith("?") and value[1].lstrip().startswith(":"):
            numbers.append(value[0])
        below = [scene.blank(other) for other in numbers]
        self.anchors.update(*(re.findall(r"&(\S+)", scene.line(other)) for other in (number, *numbers)))
        if head and content_of(line[head.end() :]):
            self.doubted.add(self.draft.origin((number, head.end())))
            return (Edit(number, head.end() + 1, len(lines[number - 1]) + 1), *below)
        if not has_content(line):
            return ()
        self.partial.add(self._owner(scene, number))
        return (scene.blank(number), *below)

    def _owner(self, scene: Scene, number: int) -> Place | None:
        """The place of the key, or item, that a line belongs to by its indentation."""
        line = scene.line(number)
        most = indent_of(line) - (0 if line.lstrip().startswith("-") else 1)
        owner = next((other for other, text in scene.above(number) if indent_of(text) <= most and ":" in text), None)
        return self.draft.origin((owner, len(scene.line(owner)) + 1)) if owner else None


class _Paths:
    """By its place the path of what is written there: of the last key or value that starts there or before."""

    def __init__(self, builder: Builder) -> None:
        entries = [*builder.values.items(), *builder.keys.items()]
        found = [((mark.line, mark.column), path) for path, mark in entries]
        found.sort(key=lambda entry: (entry[0], len(entry[1])))
        self.places = [place for place, _ in found]
        self.paths = [path for _, path in found]

    def at(self, place: Place) -> Path:
        number = bisect_right(self.places, place)
        return self.paths[number - 1] if number else ()
