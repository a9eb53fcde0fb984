"""A spec with everything filled in, as YAML, and with where each value comes from."""

from __future__ import annotations

from dlcli.errors import Path
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.marks import Document
from dlcli.spec.reading import parse_document
from dlcli.spec.writing import to_yaml

_WIDEST = 72


def resolved_text(loaded: LoadedSpec, *, origins: bool = False) -> str:
    """The whole spec as YAML; with `origins`, a comment on each line that has a value says where it comes from."""
    text = to_yaml(loaded.spec.resolved())
    if not origins or loaded.document is None:
        return text
    written = parse_document(text.encode(), "resolved")
    comments: dict[int, str] = {}
    for path, mark in written.values.items():
        value = written.value(path)
        if not isinstance(value, (dict, list)) or not value:
            comments[mark.line] = _origin(loaded.document, path)
    lines = text.splitlines()
    width = min(_WIDEST, max(len(line) for line in lines))
    numbered = enumerate(lines, start=1)
    return "".join(f"{line:<{width}}  # {comments[n]}\n" if n in comments else f"{line}\n" for n, line in numbered)


def _origin(document: Document, path: Path) -> str:
    mark = document.values.get(path)
    if mark is None and path and isinstance(path[-1], str):
        mark = document.keys.get(path)
    if mark is None:
        return "the file's own name" if path == ("name",) else "default"
    used = document.uses.get(path)
    return f"{mark.position} ({used[1]} at {used[0].position})" if used else str(mark.position)
