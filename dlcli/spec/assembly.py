"""From what the YAML parser reads, one event after the other, to plain data that remembers where each value stood.

PyYAML's own constructors are not used: version 6 follows YAML 1.1 and lets a duplicate key win silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.characters import (
    forbidden,
    shortened,
    unclosed_use,
    with_braces_hidden,
    with_braces_shown,
    with_plain_spaces,
)
from dlcli.spec.marks import Document, Mark, Text
from dlcli.spec.scalars import SAFE_TAGS, TAG, plain_value, tagged_value
from dlcli.spec.scene import place_of
from dlcli.spec.syntax import explain

MAX_DEPTH = 100
MAX_VALUES = 20_000  # after aliases are followed
# libyaml's parser reports the same marks and is ten times faster; PyYAML's wheels bring it, some builds do not.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_SPACE = re.compile(r"([A-Za-z_]\w*):(\S+)\Z")
_TEMPLATE = re.compile(r"\{\{ *([\w.]+) *\}\}")


@dataclass(frozen=True)
class _Finished:
    """A value that is complete: for how many values it stands, and how many levels of mappings and lists it has."""

    value: Any
    size: int = 1
    depth: int = 0


@dataclass
class _Open:
    """A mapping or list that is being filled."""

    value: Any
    path: Path
    anchor: str | None
    place: tuple[int, int]
    in_brackets: bool
    key: Any = None
    has_key: bool = False
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, eq=False)
class _Repeated:
    """A key that its mapping has already: what stands under it is read, and forgotten."""

    key: Any


class Builder:
    """Turns parse events into data without recursion; the depth and the number of values are bounded."""

    def __init__(self, text: Text, column: int = 0) -> None:
        self.text = text
        self.column = column
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Finished] = {}
        self.root: Any = None
        self.documents = 0

    def document(self, data: dict[str, Any]) -> Document:
        """`data`, which `build` gave, with the places of its values."""
        return Document(self.text, data, self.values, self.keys, problems=tuple(self.problems))

    def error(self, message: str, where: Mark, hint: str | None) -> SpecError:
        """A mistake after which nothing more can be read; those before it are told as well."""
        told = any(problem.position == where.position for problem in self.problems)
        return SpecError(self.problems if told else [*self.problems, where.put(Problem(message, hint=hint))])

    def note(self, message: str, path: Path, where: Mark, hint: str | None) -> None:
        """A mistake after which the rest can be read."""
        self.problems.append(where.put(Problem(message, path, hint)))

    def _mark(self, line: int, column: int) -> Mark:
        return Mark(self.text, line, column + (self.column if line == 1 else 0))

    def _not_yaml(self, error: yaml.MarkedYAMLError, lines: Sequence[str]) -> SpecError:
        brackets = [opened.place for opened in self.stack if opened.in_brackets]
        fault = explain(error, lines, brackets, self.stack[-1].place if self.stack else (1, 1))
        hint = f"{fault.hint or ''} The rest of the file is checked once this is right.".strip()
        return self.error(fault.message, self._mark(fault.line, fault.column), hint)

    def _readable(self, text: str) -> str:
        """`text` as the parser is to see it; what no file may have in it is told first."""
        found = forbidden(text)
        if found:
            line, column, name = found
            raise self.error(f"The character {name} is not allowed in YAML.", self._mark(line, column), "Remove it.")
        text, spaces = with_plain_spaces(text)
        if spaces:
            line, column, name = spaces[0]
            others = f", there and in {len(spaces) - 1} lines below" if spaces[1:] else ""
            message = f"A {name} stands where YAML wants a space."
            self.note(message, (), self._mark(line, column), f"Write a space instead{others}.")
        return with_braces_hidden(text)

    def build(self, text: str) -> Any:
        """The data of `text`. Raises SpecError where it cannot be read to its end."""
        parsed = self._readable(text)
        handlers: dict[type, Callable[[Any, Mark], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: lambda event, where: self._open({}, event, where),
            yaml.SequenceStartEvent: lambda event, where: self._open([], event, where),
            yaml.MappingEndEvent: lambda event, where: self._close(where),
            yaml.SequenceEndEvent: lambda event, where: self._close(where),
            yaml.DocumentStartEvent: self._document,
        }
        event: Any
        try:
            for event in yaml.parse(parsed, Loader=_LOADER):
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event, self._mark(*place_of(event.start_mark)))
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error, text.splitlines()) from error
        return self.root

    def _document(self, event: Any, where: Mark) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.error("A second YAML document starts here; a spec is one document.", where, "Remove the `---`.")

    def _open(self, value: Any, event: Any, where: Mark) -> None:
        allowed = TAG + ("map" if isinstance(value, dict) else "seq")
        path = self._next_path(where)
        if event.tag not in (None, "!", allowed):
            self._bad_tag(event.tag, path, where)
        if len(self.stack) >= MAX_DEPTH:
            raise self._too_deep(where)
        self.stack.append(_Open(value, path, event.anchor, place_of(event.start_mark), bool(event.flow_style)))
        self.values[path] = where

    def _close(self, where: Mark) -> None:
        opened = self.stack.pop()
        if isinstance(opened.value, dict):
            for key in [key for key in opened.value if isinstance(key, _Repeated)]:
                del opened.value[key]
        done = _Finished(opened.value, opened.size, opened.depth)
        if opened.anchor:
            self.anchors[opened.anchor] = done
        self._add(done, where)

    def _scalar(self, event: Any, where: Mark) -> None:
        done = _Finished(self._resolve(event, where))
        if event.anchor:
            self.anchors[event.anchor] = done
        self._leaf(done, where)

    def _alias(self, event: Any, where: Mark) -> None:
        done = self.anchors.get(event.anchor)
        if done is None:
            name = shortened(event.anchor)
            message = f"There is no finished `&{name}` above for `*{name}` to repeat."
            path = () if self._expects_key() else self._next_path(where)
            self.note(
                message, path, where, f"Write `&{name}` before the value that is to be repeated, above this line."
            )
            done = _Finished(None)
        if len(self.stack) + done.depth > MAX_DEPTH:
            raise self._too_deep(where)
        self._leaf(done, where)

    def _leaf(self, done: _Finished, where: Mark) -> None:
        if self._expects_key():
            self._set_key(done.value, where)
            return
        self.values[self._next_path(where)] = where
        self._add(done, where)

    def _expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and not self.stack[-1].has_key

    def _set_key(self, key: Any, where: Mark) -> None:
        top = self.stack[-1]
        if isinstance(key, (dict, list)):
            raise self._no_word(where)
        if key in top.value:
            first = self.keys[(*top.path, key)]
            message = f"The key `{shortened(str(key))}` stands here a second time; the first is at line {first.line}."
            self.note(message, (), where, "Keep one of them.")
            key = _Repeated(key)
        if key == "<<":
            message = "`<<` does not merge mappings here: a spec is read as YAML 1.2, which has no such key."
            self.note(message, top.path, where, "Use `variables:` in this file, or `extends:` for another one.")
        self.keys[(*top.path, key)] = where
        top.key, top.has_key = key, True

    def _no_word(self, where: Mark) -> SpecError:
        found = _template(where.source_line or "", where.column)
        if found is not None:
            name, column = found
            message = f"`{{{{ {shortened(name)} }}}}` is how other tools write a variable."
            hint = f"Write `${{{shortened(name)}}}`, and set it below `variables:`."
            return self.error(message, replace(where, column=column), hint)
        hint = "Write `key: value`, or put a text in quotes."
        return self.error("A key must be a word, not a mapping or a list.", where, hint)

    def _next_path(self, where: Mark) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        if not top.has_key:
            raise self._no_word(where)
        return (*top.path, top.key)

    def _add(self, done: _Finished, where: Mark) -> None:
        if not self.stack:
            self.root = done.value
            return
        top = self.stack[-1]
        top.size += done.size
        top.depth = max(top.depth, done.depth + 1)
        if top.size > MAX_VALUES:
            raise self.error(f"The file stands for more than {MAX_VALUES:,} values here.", where, None)
        if isinstance(top.value, list):
            top.value.append(done.value)
        else:
            key, value = self._with_space(top, done.value) if done.value is None else (top.key, done.value)
            top.value[key] = value
            top.has_key = False

    def _with_space(self, top: _Open, value: Any) -> tuple[Any, Any]:
        """The key and the value that are meant by `{key:value}`, which is one long key for YAML."""
        found = _NO_SPACE.match(top.key) if top.in_brackets and isinstance(top.key, str) else None
        if found is None or found[1] in top.value:
            return top.key, value
        where = self.keys[(*top.path, top.key)]
        hint = f"Write `{shortened(f'{found[1]}: {found[2]}')}`."
        self.note("A space is missing after the `:`.", (), replace(where, column=where.column + found.end(1)), hint)
        for places in (self.keys, self.values):
            places[(*top.path, found[1])] = where
        return found[1], plain_value(found[2])

    def _too_deep(self, where: Mark) -> SpecError:
        return self.error(f"The file is nested deeper than {MAX_DEPTH} levels here.", where, None)

    def _bad_tag(self, tag: str, path: Path, where: Mark, text: str | None = None) -> None:
        tag = shortened(tag.replace(TAG, "!!"))
        self.note(f"The tag `{tag}` is not allowed; a spec is plain data.", path, where, _tag_hint(tag, text))

    def _resolve(self, event: Any, where: Mark) -> Any:
        text = with_braces_shown(event.value)
        path = () if self._expects_key() else self._next_path(where)
        unclosed = unclosed_use(text)
        if unclosed:
            hint = f"Write `{unclosed if len(unclosed) > 2 else '${name'}}}`, or `$${{` for the text `${{`."
            self.note(f"The variable `{unclosed}` is never closed.", path, where, hint)
        if event.tag is None:
            return plain_value(text) if event.implicit[0] else text
        if event.tag not in SAFE_TAGS:
            self._bad_tag(event.tag, path, where, text)
            return text
        try:
            return tagged_value(text, event.tag)
        except ValueError:
            message = f"`{shortened(text)}` is not a value of `{event.tag.replace(TAG, '!!')}`."
            self.note(message, path, where, "Remove the tag.")
            return plain_value(text)


def _template(line: str, column: int) -> tuple[str, int] | None:
    """The `{{ name }}` that stands in `line` at `column`, from 1, or the column before; and its own column."""
    for start in (column - 1, column - 2):
        found = _TEMPLATE.match(line, start) if start >= 0 else None
        if found:
            return found[1], start + 1
    return None


def _tag_hint(tag: str, text: str | None) -> str:
    """What to write instead of a tag, such as `!include`, before a scalar, or before what is none (`text` is None)."""
    if "include" in tag and text:
        return f"Use `extends`: write `extends: {shortened(text)}` at the top of the file."
    if tag in ("!!python/tuple", "!!python/list", "!tuple", "!list"):
        return "Remove the tag: a list is written `[1, 2]`."
    name = re.fullmatch(r"!([A-Z]\w*)", tag)
    return f"Write `{name[1]}: {{argument: value}}`." if name else "Remove the tag."
