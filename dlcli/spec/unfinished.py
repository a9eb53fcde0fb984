"""What `dlcli.spec.assembly` puts together: mappings and lists that are being filled, and values that are complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlcli.errors import Path
from dlcli.spec.scene import Place


@dataclass(frozen=True)
class Finished:
    """A value that is complete: for how many values it stands, and how many levels of mappings and lists it has."""

    value: Any
    size: int = 1
    depth: int = 0


@dataclass
class Open:
    """A mapping or list that is being filled."""

    value: Any
    path: Path
    anchor: str | None
    place: Place
    in_brackets: bool
    tuple_at: Place | None = None
    key: Any = None
    has_key: bool = False
    size: int = 1
    depth: int = 1


@dataclass(frozen=True, eq=False)
class Repeated:
    """A key that its mapping has already: what stands under it is read, and forgotten."""

    key: Any
