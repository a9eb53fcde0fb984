"""Reading YAML into plain data that remembers where each value stood.

The meaning of scalars is in `dlcli.spec.scalars`: `1e-3` is a number, `no` and `on` are strings. Only the safe tags are
allowed, duplicate keys are errors, and size, depth and aliases are bounded, so a hostile file costs nothing.
"""

from __future__ import annotations

from pathlib import Path as FilePath

from dlcli.errors import Problem, SpecError
from dlcli.spec.assembly import MAX_DEPTH, MAX_VALUES, Builder
from dlcli.spec.characters import decoded, read_bytes
from dlcli.spec.marks import Document, Text

__all__ = ["MAX_DEPTH", "MAX_VALUES", "parse_document", "parse_value", "read_document"]


def read_document(path: FilePath) -> Document:
    """Read one YAML file.

    Raises:
        SpecError: the file is missing, not readable, too large, not UTF-8, empty, not YAML, or not a mapping.
    """
    return parse_document(read_bytes(path), str(path))


def parse_document(content: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file that is called `name` in messages. Raises SpecError."""
    text = decoded(content, name)
    builder = Builder(Text(name, tuple(text.splitlines())))
    data = builder.build(text)
    if data is None:
        raise SpecError([Problem(f"{name} is empty.", hint="A spec has at least `dataset`, `model` and `loss`.")])
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        message = f"A spec is a mapping of `key: value` lines; received {kind}."
        hint = "It starts with `dataset:`, `model:` and `loss:`, each at the start of a line."
        raise SpecError([*builder.problems, builder.values[()].put(Problem(message, hint=hint))])
    return builder.document(data)


def parse_value(text: Text, start: int) -> Document:
    """Parse the YAML value that starts at column `start`, from 0, of the one line of an option.

    The document's data is `{"value": …}`, and so are the paths of its places. Raises SpecError.
    """
    builder = Builder(text, column=start)
    value = builder.build(text.lines[0][start:])
    inside = {("value", *path): mark for path, mark in builder.values.items()}
    keys = {("value", *path): mark for path, mark in builder.keys.items()}
    return Document(text, {"value": value}, inside, keys, problems=tuple(builder.problems))
