"""From what the YAML parser reads, one event after the other, to plain data that remembers where each value stood.

PyYAML's own constructors are not used: version 6 follows YAML 1.1 and lets a duplicate key win silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import yaml

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.characters import (
    shortened,
    unclosed_use,
    with_braces_hidden,
    with_braces_shown,
)
from dlcli.spec.marks import Mark, Text
from dlcli.spec.remedies import tag_remedy
from dlcli.spec.scalars import SAFE_TAGS, TAG, plain_value, tagged_value
from dlcli.spec.scene import Place, Scene, Unreadable, place_of
from dlcli.spec.syntax import ALIAS_AS_KEY, NO_WORD, explain
from dlcli.spec.syntax_brackets import TUPLE
from dlcli.spec.syntax_keys import NO_COLON
from dlcli.spec.syntax_lines import SECOND_DOCUMENT
from dlcli.spec.unfinished import Finished, Open, Repeated

MAX_DEPTH = 100
MAX_VALUES = 20_000  # after aliases are followed
# libyaml's parser reports the same marks and is ten times faster; PyYAML's wheels bring it, some builds do not.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NO_COLON = re.compile(r"[\w.]+(:| +)[\[{]|[a-z]\w* +[A-Z]\w*\Z")
_NO_SPACE = re.compile(r"([A-Za-z_]\w*)(:| +)(\S+)\Z")


class _NoSpec(Exception):
    """What YAML allows and a spec cannot have; `started` is where it began, if not at the event."""

    def __init__(self, problem: str, started: Place | None = None) -> None:
        super().__init__(problem)
        self.started = started


class Builder:
    """Turns parse events into data without recursion; the depth and the number of values are bounded.

    Args:
        text: what was written.
        origin: where in `text` a place of what is parsed stands.
        sections: the keys that stand at the margin, if they are known.
    """

    def __init__(self, text: Text, origin: Callable[[Place], Place], sections: Collection[str] = ()) -> None:
        self.text = text
        self.origin = origin
        self.sections = sections
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.stack: list[Open] = []
        self.anchors: dict[str, Finished] = {}
        self.root: Any = None
        self.documents = 0

    def error(self, message: str, where: Mark, hint: str | None) -> SpecError:
        """A mistake after which nothing more can be read; those before it are told as well."""
        return SpecError([*self.problems, where.put(Problem(message, hint=hint))])

    def note(self, message: str, path: Path, where: Mark, hint: str | None) -> None:
        """A mistake after which the rest can be read."""
        self.problems.append(where.put(Problem(message, path, hint)))

    def _mark(self, place: Place) -> Mark:
        return Mark(self.text, *self.origin(place))

    def build(self, text: str) -> Any:
        """The data of `text`, which has no forbidden characters.

        Raises:
            Unreadable: it is no YAML, or not the YAML of a spec.
            SpecError: it is too deep or too large.
        """
        handlers: dict[type, Callable[[Any, Mark], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: lambda event, where: self._open({}, event, where),
            yaml.SequenceStartEvent: lambda event, where: self._open([], event, where),
            yaml.MappingEndEvent: lambda event, where: self._close(where),
            yaml.SequenceEndEvent: lambda event, where: self._close(where),
            yaml.DocumentStartEvent: lambda event, where: self._document(),
        }
        event: Any = None
        try:
            for event in yaml.parse(with_braces_hidden(text), Loader=_LOADER):
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event, self._mark(place_of(event.start_mark)))
        except yaml.MarkedYAMLError as error:
            places = [place_of(mark) for mark in (error.problem_mark, error.context_mark) if mark]
            raise self._unreadable(str(error.problem), text, places, event) from error
        except _NoSpec as error:
            at = place_of(event.start_mark)
            raise self._unreadable(str(error), text, [at, error.started or at], event) from error
        return self.root

    def _unreadable(self, problem: str, text: str, places: Sequence[Place], last: Any) -> Unreadable:
        """The mistake at the first of `places`, which began at the last of them, with the `last` event before it."""
        opened = self.stack[-1].place if self.stack else (1, 1)
        at, start = (places[0], places[-1]) if places else (opened, opened)
        lines = text.splitlines()
        found = (_bracket(lines, collection.place) for collection in self.stack if collection.in_brackets)
        brackets = [place for place in found if place]
        scene = Scene(problem, lines, at, start, brackets, _quoted(last, at), self.sections, self.origin)
        return Unreadable(explain(scene, opened))

    def _document(self) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _NoSpec(SECOND_DOCUMENT)

    def _open(self, value: Any, event: Any, where: Mark) -> None:
        allowed = TAG + ("map" if isinstance(value, dict) else "seq")
        path = self._next_path()
        if event.tag not in (None, "!", allowed):
            self._bad_tag(event.tag, path, where)
        if len(self.stack) >= MAX_DEPTH:
            raise self._too_deep(where)
        self.stack.append(Open(value, path, event.anchor, place_of(event.start_mark), bool(event.flow_style)))
        self.values[path] = where

    def _close(self, where: Mark) -> None:
        opened = self.stack.pop()
        if isinstance(opened.value, dict):
            for key in [key for key in opened.value if isinstance(key, Repeated)]:
                del opened.value[key]
        done = Finished(opened.value, opened.size, opened.depth)
        if opened.anchor:
            self.anchors[opened.anchor] = done
        self._add(done, where)

    def _scalar(self, event: Any, where: Mark) -> None:
        if not event.style and self._expects_key():
            self._look_at_key(event)
        if not event.style and self.stack and self.stack[-1].in_brackets:
            self._look_for_tuple(event.value, place_of(event.start_mark))
        done = Finished(self._resolve(event, where))
        if event.anchor:
            self.anchors[event.anchor] = done
        self._leaf(done, where)

    def _look_at_key(self, event: Any) -> None:
        """Refuses `&name:`, an anchor, `Dense {units: 3}`, the key `Dense {units`, and `optimizer Adam:`."""
        if event.anchor and not event.value:
            raise _NoSpec(ALIAS_AS_KEY)
        if not self.stack[-1].in_brackets and _NO_COLON.match(with_braces_shown(event.value)):
            raise _NoSpec(NO_COLON)

    def _look_for_tuple(self, text: str, place: Place) -> None:
        """Refuses `(3, 3)`, which is two values in a list, and in a mapping a value and a key."""
        top, opened = self.stack[-1], text.count("(") - text.count(")")
        if opened > 0 and text.startswith("(") and not self._expects_key():
            top.tuple_at = top.tuple_at or place
        elif (
            opened < 0 and text.endswith(")") and top.tuple_at and (self._expects_key() or isinstance(top.value, list))
        ):
            raise _NoSpec(TUPLE, top.tuple_at)

    def _alias(self, event: Any, where: Mark) -> None:
        done = self.anchors.get(event.anchor)
        if done is None:
            if self._expects_key():
                raise _NoSpec(ALIAS_AS_KEY)
            name, path = shortened(event.anchor), self._next_path()
            message = f"There is no finished `&{name}` above for `*{name}` to repeat."
            self.note(
                message, path, where, f"Write `&{name}` before the value that is to be repeated, above this line."
            )
            done = Finished(None)
        if len(self.stack) + done.depth > MAX_DEPTH:
            raise self._too_deep(where)
        self._leaf(done, where)

    def _leaf(self, done: Finished, where: Mark) -> None:
        if self._expects_key():
            self._set_key(done.value, where)
            return
        self.values[self._next_path()] = where
        self._add(done, where)

    def _expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and not self.stack[-1].has_key

    def _set_key(self, key: Any, where: Mark) -> None:
        top = self.stack[-1]
        if isinstance(key, (dict, list)):
            raise _NoSpec(NO_WORD)
        if key in top.value:
            first = self.keys[(*top.path, key)]
            message = f"The key `{shortened(str(key))}` stands here a second time; the first is at line {first.line}."
            self.note(message, (), where, "Keep one of them.")
            key = Repeated(key)
        if key == "<<":
            message = "`<<` does not merge mappings here: a spec is read as YAML 1.2, which has no such key."
            self.note(message, top.path, where, "Use `variables:` in this file, or `extends:` for another one.")
        self.keys[(*top.path, key)] = where
        top.key, top.has_key = key, True

    def _next_path(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.value, list):
            return (*top.path, len(top.value))
        if not top.has_key:
            raise _NoSpec(NO_WORD)
        return (*top.path, top.key)

    def _add(self, done: Finished, where: Mark) -> None:
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

    def _with_space(self, top: Open, value: Any) -> tuple[Any, Any]:
        """The key and the value that are meant by `{key:value}` or `{key value}`, which is one long key for YAML."""
        found = _NO_SPACE.match(top.key) if top.in_brackets and isinstance(top.key, str) else None
        if found is None or found[1] in top.value:
            return top.key, value
        where = self.keys[(*top.path, top.key)]
        hint = f"Write `{shortened(f'{found[1]}: {found[3]}')}`."
        message = "A space is missing after the `:`." if found[2] == ":" else f"A `:` is missing after `{found[1]}`."
        self.note(message, (), replace(where, column=where.column + found.end(1)), hint)
        for places in (self.keys, self.values):
            places[(*top.path, found[1])] = where
        return found[1], plain_value(found[3])

    def _too_deep(self, where: Mark) -> SpecError:
        return self.error(f"The file is nested deeper than {MAX_DEPTH} levels here.", where, None)

    def _bad_tag(self, tag: str, path: Path, where: Mark, text: str | None = None) -> None:
        tag = shortened(tag.replace(TAG, "!!"))
        hint = tag_remedy(tag, path, text, (where.source_line or "")[where.column - 1 :])
        self.note(f"The tag `{tag}` is not allowed; a spec is plain data.", path, where, hint)

    def _resolve(self, event: Any, where: Mark) -> Any:
        text = with_braces_shown(event.value)
        path = () if self._expects_key() else self._next_path()
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


def _bracket(lines: Sequence[str], place: Place) -> Place | None:
    """The place of the bracket of a mapping or list, which starts with its tag and its anchor, if it has them."""
    found = re.compile(r"[\[{]").search(lines[place[0] - 1], place[1] - 1)
    return (place[0], found.start() + 1) if found else None


def _quoted(event: Any, at: Place) -> Place | None:
    """Where the text in quotes starts that is the last event before `at`, and ends there, some lines below."""
    if not isinstance(event, yaml.ScalarEvent) or event.style not in ("'", '"'):
        return None
    start, end = place_of(event.start_mark), place_of(event.end_mark)
    return start if start[0] < end[0] == at[0] else None
