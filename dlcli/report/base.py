"""What differs between a spec and the one that it extends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.errors import SpecError
from dlcli.report.story import Story
from dlcli.spec.composition import compose
from dlcli.spec.loading import restore_spec
from dlcli.spec.reading import parse_document
from dlcli.training.resuming import all_differences

_OWN = ("name", "extends")


@dataclass(frozen=True)
class Differences:
    """What differs.

    Attributes:
        name: of the file that the spec extends; empty if it extends none.
        lines: key, value there, value here.
        notes: whole sentences, such as why nothing can be compared.
    """

    name: str = ""
    lines: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()


def differences_from_base(story: Story) -> Differences:
    """What differs between the spec of a run and its base, if that is still where it was."""
    written = _written(story)
    name = written.get("extends")
    if not isinstance(name, str):
        return Differences()
    path = Path(str(story.record.get("spec_folder") or "")) / name
    try:
        base = restore_spec({"name": path.stem, **compose(path).data}).spec.resolved()
    except SpecError:
        note = f"It extends {name}, which is not there any more, or no whole spec: what is written here goes over it."
        return Differences(name, (), (note,))
    found = [change for change in all_differences(base, story.spec) if change[0][0] not in _OWN]
    lines = tuple((".".join(key), there, here) for key, there, here in found)
    return Differences(name, lines, () if lines else (f"Nothing differs from {name}.",))


def _written(story: Story) -> Mapping[str, Any]:
    if story.written is None:
        return {}
    try:
        return dict(parse_document(story.written.encode(), "spec.yaml").data)
    except SpecError:
        return {}
