"""Other values in the text of a spec, which keeps its comments and its form. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from dlcli.errors import Path
from dlcli.spec.characters import with_braces_hidden
from dlcli.spec.paths import value_at
from dlcli.spec.writing import to_flow

Change = tuple[int, int, str]
"""from which character to which, and what stands there instead"""


def edited(text: str, paths: Iterable[Path], wanted: Mapping[str, Any], without: Sequence[str] = ()) -> str | None:
    """The text of a spec with what `wanted` has at these paths, and without some sections.

    None if the text has no place for it: where a value is to come that is in no braces yet. Whoever asks should read
    the text again, and see whether it says what is wanted: it may stand on other files, or repeat parts of itself.
    """
    try:
        root = yaml.compose(with_braces_hidden(text), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    changes: dict[Path, Change] = {}
    for path in paths:
        found = _place(root, path)
        if found is None:
            return None
        where, node = found
        changes[where] = (node.start_mark.index, node.end_mark.index, to_flow(value_at(wanted, where)))
    outer = [change for path, change in changes.items() if not any(path[:n] in changes for n in range(len(path)))]
    cuts = [cut for key in without if (cut := _section(text, root, key)) is not None]
    for start, end, instead in sorted([*outer, *cuts], reverse=True):
        text = f"{text[:start]}{instead}{text[end:]}"
    return f"{text.rstrip()}\n"


def _place(root: Any, path: Path) -> tuple[Path, yaml.Node] | None:
    """The value at a path, or the nearest around it that stands on its line as a whole; None if there is none."""
    node, found = root, None
    for at in range(len(path) + 1):
        if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
            found = (path[:at], node)
        if at < len(path):
            node = _inside(node, path[at])
            if node is None:
                break
    return found


def _inside(node: Any, key: str | int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key]
    return None


def _section(text: str, root: Any, key: str) -> Change | None:
    """What a section at the margin takes up, with the empty lines above it."""
    pairs = root.value if isinstance(root, yaml.MappingNode) and not root.flow_style else []
    for number, (name, _) in enumerate(pairs):
        if name.value == key:
            start = name.start_mark.index
            end = pairs[number + 1][0].start_mark.index if number + 1 < len(pairs) else len(text)
            return start, _without_what_follows(text, start, end), ""
    return None


def _without_what_follows(text: str, start: int, end: int) -> int:
    """Where a section ends, if comments at the margin before the next one belong to that."""
    while end > start:
        line = text.rfind("\n", 0, end - 1) + 1
        if line <= start or not (text[line:end].startswith("#") or not text[line:end].strip()):
            return end
        end = line
    return end
