"""Reading YAML into plain data that remembers where each value stood.

The meaning of scalars is in `dlcli.spec.scalars`: `1e-3` is a number, `no` and `on` are strings. Only the safe tags are
allowed, duplicate keys are errors, and size, depth and aliases are bounded, so a hostile file costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path as FilePath

from dlcli.errors import Problem, SpecError
from dlcli.spec.assembly import MAX_DEPTH, MAX_VALUES, Builder
from dlcli.spec.characters import decoded, read_bytes, with_plain_spaces
from dlcli.spec.marks import Document, Mark, Text
from dlcli.spec.repair import read, refuse_forbidden
from dlcli.spec.scene import Unreadable

__all__ = ["MAX_DEPTH", "MAX_VALUES", "parse_document", "parse_value", "read_document"]


def read_document(path: FilePath, sections: Collection[str] = ()) -> Document:
    """Read one YAML file; `sections` are the keys that stand at its margin, for lines that are indented wrongly.

    Raises:
        SpecError: the file is missing, not readable, too large, not UTF-8, empty, not YAML, or not a mapping.
    """
    return parse_document(read_bytes(path), str(path), sections)


def parse_document(content: bytes, name: str, sections: Collection[str] = ()) -> Document:
    """Parse the bytes of a YAML file that is called `name` in messages.

    Mistakes in the YAML are among the document's problems, if it can be read nevertheless. Raises SpecError.
    """
    text = decoded(content, name)
    source = Text(name, tuple(text.splitlines()))
    readable, spaces = _readable(text, source)
    reading = read(readable, source, sections)
    problems, data, builder = (*spaces, *reading.problems), reading.data, reading.builder
    if isinstance(data, dict):
        return Document(source, data, builder.values, builder.keys, problems=problems, doubt=reading.doubt)
    if reading.doubt:
        raise SpecError(problems)
    if data is None:
        hint = "A spec has at least `dataset`, `model` and `loss`."
        raise SpecError([*problems, Problem(f"{name} is empty.", hint=hint)])
    kind = "a list" if isinstance(data, list) else "a single value"
    message = f"A spec is a mapping of `key: value` lines; received {kind}."
    hint = "It starts with `dataset:`, `model:` and `loss:`, each at the start of a line."
    raise SpecError([*problems, builder.values[()].put(Problem(message, hint=hint))])


def parse_value(text: Text, start: int) -> Document:
    """Parse the YAML value that starts at column `start`, from 0, of the one line of an option.

    The document's data is `{"value": …}`, and so are the paths of its places. Raises SpecError.
    """
    readable, spaces = _readable(text.lines[0][start:], text, start)
    refuse_forbidden(readable, text, start)
    builder = Builder(text, lambda place: (place[0], place[1] + (start if place[0] == 1 else 0)))
    try:
        value = builder.build(readable)
    except Unreadable as error:
        fault = error.fault
        mark = Mark(text, *builder.origin((fault.line, fault.column)))
        raise SpecError([*spaces, mark.put(Problem(fault.message, hint=fault.hint))]) from error
    inside = {("value", *path): mark for path, mark in builder.values.items()}
    keys = {("value", *path): mark for path, mark in builder.keys.items()}
    return Document(text, {"value": value}, inside, keys, problems=(*spaces, *builder.problems))


def _readable(text: str, source: Text, start: int = 0) -> tuple[str, list[Problem]]:
    """`text` with plain spaces, and a mistake where they were others."""
    text, spaces = with_plain_spaces(text)
    if not spaces:
        return text, []
    line, column, name = spaces[0]
    others = f", there and in {len(spaces) - 1} lines below" if spaces[1:] else ""
    problem = Problem(f"A {name} stands where YAML wants a space.", hint=f"Write a space instead{others}.")
    return text, [Mark(source, line, column + start).put(problem)]
