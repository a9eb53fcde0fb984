"""Paths into a spec's plain data: what stands there, and how a message names the place, without numbers from 0."""

from __future__ import annotations

from typing import Any

from dlcli.errors import Path
from dlcli.spec.characters import shortened

GRAPH, STACK = "Model", "Sequential"
MODELS = (GRAPH, STACK)
"""the models within a model: one layer of it, with layers of their own"""
_LAYERS: Path = ("model", "layers")


def value_at(data: Any, path: Path) -> Any:
    """The value at `path`, or None."""
    for key in path:
        try:
            data = data[key]
        except (LookupError, TypeError):
            return None
    return data


def is_list_of_layers(path: Path) -> bool:
    """Whether the path is that of `model.layers`, or of the layers of a model within the model."""
    while path != _LAYERS:
        if len(path) < 5 or path[-1] != "layers" or path[-2] not in MODELS:
            return False
        path = path[:-3]
    return True


def in_words(path: Path, data: Any = None) -> str:
    """What stands at `path` of a spec's plain `data`, for a sentence: "`train.epochs`", "the 2nd layer (`Dense`)"."""
    keys = [str(key) for key in path]
    numbered = [at for at, key in enumerate(path) if isinstance(key, int) and not isinstance(key, bool)]
    if len(path) > 1 and keys[-2][:1].isupper() and numbered[-1:] != [len(path) - 1]:
        return f"`{shortened(keys[-1])}` of `{shortened(keys[-2])}`"
    if not numbered:
        return f"`{shortened('.'.join(keys))}`"
    at = numbered[-1]
    item = _item(path[: at + 1], data)
    rest = ".".join(keys[at + 1 :])
    return f"`{shortened(rest)}` of {item}" if rest else item


def sentence(text: str) -> str:
    """`text` with a capital at its start."""
    return f"{text[:1].upper()}{text[1:]}"


def _item(path: Path, data: Any) -> str:
    which = _ordinal(int(path[-1]) + 1)
    if not is_list_of_layers(path[:-1]):
        key = path[-2] if any(isinstance(key, int) for key in path[:-1]) else ".".join(str(key) for key in path[:-1])
        return f"the {which} item of `{shortened(str(key))}`"
    name = _layer_name(path, data)
    inside = f" of `{path[-3]}`" if path[:-1] != _LAYERS else ""
    return f"the {which} layer{inside} (`{shortened(name)}`)" if name else f"the {which} layer{inside}"


def _layer_name(path: Path, data: Any) -> str | None:
    """The class of the layer that an entry has, where it has one that looks like it."""
    entry = value_at(data, path)
    if isinstance(entry, str):
        return entry
    names = [key for key in entry if isinstance(key, str) and key[:1].isupper()] if isinstance(entry, dict) else []
    return names[0] if len(names) == 1 else None


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
