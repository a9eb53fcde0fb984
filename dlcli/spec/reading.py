"""Reading YAML into plain data that remembers where each value stood.

The meaning of scalars is in `dlcli.spec.scalars`: `1e-3` is a number, `no` and `on` are strings. Only the safe tags are
allowed, duplicate keys are errors, and size, depth and aliases are bounded, so a hostile file costs nothing.
PyYAML's own constructors are not used: version 6 follows YAML 1.1 and lets a duplicate key win silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.marks import Document, Mark, Text
from dlcli.spec.scalars import plain_value

MAX_BYTES = 2_000_000
MAX_DEPTH = 100
MAX_VALUES = 20_000  # after aliases are followed

# YAML ends a plain scalar at a brace inside `{…}` and `[…]`, so that `{units: ${width}}` would be no YAML. While it is
# parsed, a use of a variable stands there with other characters in place of its braces, as many, so that no column
# moves. Unicode keeps these free for such use, and YAML allows them.
_OPENED, _CLOSED = "\ufdd0\ufdd1", "\ufdd2"
_VARIABLE = re.compile(r"\$\{([^{}\n\r]*)\}")
_TAG = "tag:yaml.org,2002:"


def read_document(path: FilePath) -> Document:
    """Read one YAML file.

    Raises:
        SpecError: the file is missing, not readable, too large, not UTF-8, empty, not YAML, or not a mapping.
    """
    return parse_document(_read_bytes(path), str(path))


def _read_bytes(path: FilePath) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SpecError([Problem(f"There is no file {path}.", hint=_neighbours(path))]) from error
    except IsADirectoryError as error:
        raise SpecError([Problem(f"{path} is a folder, not a YAML file.", hint="Name a file in it.")]) from error
    except OSError as error:
        raise SpecError([Problem(f"Cannot read {path}: {error.strerror}.")]) from error
    if len(content) > MAX_BYTES:
        raise SpecError([Problem(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; a spec is a short text.")])
    return content


def _neighbours(path: FilePath) -> str | None:
    try:
        names = sorted(other.name for other in path.parent.glob("*.y*ml"))
    except OSError:
        return None
    return f"In {path.parent} there are: {', '.join(names[:20])}." if names else None


def parse_document(content: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file that is called `name` in messages. Raises SpecError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}."
        raise SpecError([Problem(message, hint="Save the file as UTF-8.")]) from error
    builder = _Builder(Text(name, tuple(text.splitlines())))
    data = builder.build(text)
    if data is None:
        raise SpecError([Problem(f"{name} is empty.", hint="A spec has at least `dataset`, `model` and `loss`.")])
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        message = f"A spec is a mapping of `key: value` lines; received {kind}."
        raise SpecError([builder.values[()].put(Problem(message))])
    return builder.document(data)


def parse_value(text: Text, start: int) -> Document:
    """Parse the YAML value that starts at column `start`, from 0, of the one line of an option.

    The document's data is `{"value": …}`, and so are the paths of its places. Raises SpecError.
    """
    builder = _Builder(text, column=start)
    value = builder.build(text.lines[0][start:])
    inside = {("value", *path): mark for path, mark in builder.values.items()}
    keys = {("value", *path): mark for path, mark in builder.keys.items()}
    return Document(text, {"value": value}, inside, keys, problems=tuple(builder.problems))


def _yaml_hint(problem: str, line: str) -> str:
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "YAML is indented with spaces, never with tabs."
    if "mapping values are not allowed" in problem:
        return "Check the indentation, and put a text that contains `: ` in quotes."
    return "Check the indentation and that every bracket and quote is closed."


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
    key: Any = None
    has_key: bool = False
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, eq=False)
class _Repeated:
    """A key that its mapping has already: what stands under it is read, and forgotten."""

    key: Any


class _Builder:
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
        return Document(self.text, data, self.values, self.keys, problems=tuple(self.problems))

    def error(self, message: str, where: Mark, hint: str | None) -> SpecError:
        """A mistake after which nothing more can be read; those before it are told as well."""
        return SpecError([*self.problems, where.put(Problem(message, hint=hint))])

    def note(self, message: str, path: Path, where: Mark, hint: str | None) -> None:
        """A mistake after which the rest can be read."""
        self.problems.append(where.put(Problem(message, path, hint)))

    def _mark(self, line: int, column: int) -> Mark:
        return Mark(self.text, line, column + (self.column if line == 1 else 0))

    def _check_characters(self, text: str) -> None:
        """Refuses what YAML forbids before the parser does, which gives no line and column for it."""
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        if found:
            lines = text[: found.end()].splitlines()
            shown = "NUL (U+0000)" if found[0] == "\0" else f"U+{ord(found[0]):04X}"
            message = f"The character {shown} is not allowed in YAML."
            raise self.error(message, self._mark(len(lines), len(lines[-1]) or 1), "Remove it.")

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> SpecError:
        """What the parser says, at its place; or, where it met the end of the file, at what is still open there."""
        marks = (error.problem_mark, error.context_mark)
        opened = self.values[self.stack[-1].path] if self.stack else self._mark(1, 1)
        lines = self.text.lines
        inside = (self._mark(mark.line + 1, mark.column + 1) for mark in marks if mark and mark.line < len(lines))
        where = next(inside, opened)
        context = f" {error.context}" if error.context else ""
        hint = _yaml_hint(str(error.problem), where.source_line or "")
        return self.error(f"This is not valid YAML: {error.problem}{context}.", where, hint)

    def build(self, text: str) -> Any:
        """The data of `text`. Raises SpecError where it cannot be read to its end."""
        self._check_characters(text)
        handlers: dict[type, Callable[[Any, Mark], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: lambda event, where: self._open({}, event, where),
            yaml.SequenceStartEvent: lambda event, where: self._open([], event, where),
            yaml.MappingEndEvent: lambda event, where: self._close(where),
            yaml.SequenceEndEvent: lambda event, where: self._close(where),
            yaml.DocumentStartEvent: self._document,
        }
        try:
            for event in _events(_VARIABLE.sub(_with_braces_hidden, text)):
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event, self._mark(event.start_mark.line + 1, event.start_mark.column + 1))
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error) from error
        return self.root

    def _document(self, event: Any, where: Mark) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.error("A second YAML document starts here; a spec is one document.", where, "Remove the `---`.")

    def _open(self, value: Any, event: Any, where: Mark) -> None:
        allowed = _TAG + ("map" if isinstance(value, dict) else "seq")
        path = self._next_path(where)
        if event.tag not in (None, "!", allowed):
            self._bad_tag(event.tag, path, where)
        if len(self.stack) >= MAX_DEPTH:
            raise self._too_deep(where)
        self.stack.append(_Open(value, path, event.anchor))
        self.values[self.stack[-1].path] = where

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
            message = f"`*{event.anchor}` names no finished anchor `&{event.anchor}`."
            path = () if self._expects_key() else self._next_path(where)
            self.note(message, path, where, "An anchor stands before its aliases, and outside what it names.")
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
            raise self.error("A key must be a word, not a mapping or a list.", where, None)
        if key in top.value:
            first = self.keys[(*top.path, key)]
            message = f"The key `{key}` stands here a second time; the first is at line {first.line}."
            self.note(message, (), where, "Keep one of them.")
            key = _Repeated(key)
        self.keys[(*top.path, key)] = where
        top.key, top.has_key = key, True

    def _next_path(self, where: Mark) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        if not top.has_key:
            raise self.error("A key must be a word, not a mapping or a list.", where, None)
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
            top.value[top.key] = done.value
            top.has_key = False

    def _too_deep(self, where: Mark) -> SpecError:
        return self.error(f"The file is nested deeper than {MAX_DEPTH} levels here.", where, None)

    def _bad_tag(self, tag: str, path: Path, where: Mark) -> None:
        shown = tag.replace(_TAG, "!!")
        self.note(f"The tag `{shown}` is not allowed; a spec is plain data.", path, where, "Remove the tag.")

    def _resolve(self, event: Any, where: Mark) -> Any:
        event.value = _with_braces_shown(event.value)
        if event.tag not in (None, "!", *(_TAG + word for word in ("str", "int", "float", "bool", "null"))):
            self._bad_tag(event.tag, () if self._expects_key() else self._next_path(where), where)
            return event.value
        if event.tag is None and event.implicit[0]:
            return plain_value(event.value)
        if event.tag in (None, "!", _TAG + "str"):
            return event.value
        value = plain_value(event.value)
        wanted: Any = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[
            event.tag.removeprefix(_TAG)
        ]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            message = f"`{event.value}` is not a value of `{event.tag.replace(_TAG, '!!')}`."
            self.note(message, () if self._expects_key() else self._next_path(where), where, "Remove the tag.")
            return value
        return float(value) if event.tag == _TAG + "float" else value


def _with_braces_hidden(found: re.Match[str]) -> str:
    return f"{_OPENED}{found[1]}{_CLOSED}"


def _with_braces_shown(text: str) -> str:
    return text.replace(_OPENED, "${").replace(_CLOSED, "}") if _OPENED in text else text


def _events(text: str) -> Iterator[Any]:
    # libyaml's parser reports the same marks and is ten times faster; PyYAML's wheels bring it, some builds do not.
    yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
