"""What files of code have brought besides what Keras has, by kind and name; see `dlcli.model.extensions`."""

from __future__ import annotations

from typing import Any

PACKAGE = "extension"
"""under which Keras knows these things, in what it saves"""
_ADDED: dict[tuple[str, str], Any] = {}


def add(kind: str, name: str, thing: Any) -> None:
    """From now on `thing` is a `kind` of this name."""
    _ADDED[kind, name] = thing


def added(kind: str, name: str) -> Any:
    """The class or function that was added, or None."""
    return _ADDED.get((kind, name))


def is_added(name: str) -> bool:
    """Whether something of this name, as it is or as Keras saves it, was added."""
    own = name.removeprefix(f"{PACKAGE}>")
    return any(own == other for _, other in _ADDED)
