"""The weights in a checkpoint by layer, read from its file alone: TensorFlow is not loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.errors import CheckpointError, UsageError
from dlcli.spec.likeness import similar
from dlcli.training.checkpoint_file import opened

_MOST_NAMED = 12


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer.

    Attributes:
        path: its name; in a nested model behind that of the model: `encoder/conv2d`.
        class_name: such as "Conv2D"; empty where the file does not say.
        arrays: by their names in the layer, such as "kernel".
    """

    path: str
    class_name: str
    arrays: Mapping[str, Array]


def read_weights(path: Path) -> list[LayerWeights]:
    """The layers that have weights, in the order of the model.

    Raises:
        CheckpointError: the file is damaged, or its model has no weights.
    """
    with opened(path) as file:
        written = file.attrs.get("model_config")
        config = json.loads(written) if written is not None else {}
        group = file.get("model_weights", file)
        found = [
            layer
            for name in map(_text, group.attrs.get("layer_names", sorted(group)))
            for layer in _layers(name, group[name], _classes(config.get("config", {})))
        ]
    if not found:
        raise CheckpointError(f"The model in {path} has no weights.")
    return found


def _layers(name: str, group: Any, classes: Mapping[str, str]) -> Iterator[LayerWeights]:
    arrays: dict[str, dict[str, Array]] = {}
    for written in map(_text, group.attrs.get("weight_names", ())):
        path, weight = _place(name, written, classes)
        arrays.setdefault(path, {})[weight] = np.asarray(group[written][()])
    for path, those in arrays.items():
        yield LayerWeights(path, classes.get(path, ""), those)


def _place(outer: str, written: str, classes: Mapping[str, str]) -> tuple[str, str]:
    """The layer's path and the weight's name in it, of a weight that Keras has written as `lstm/lstm_cell/kernel`."""
    parts = written.split("/")
    inner = parts[1:] if parts[0] == outer and len(parts) > 1 else parts
    for end in range(len(inner) - 1, 0, -1):
        path = "/".join([outer, *inner[:end]])
        if path in classes:
            return path, "/".join(inner[end:])
    return outer, "/".join(inner)


def _classes(config: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """The class of each layer by its path."""
    found = {}
    for layer in config.get("layers", ()):
        inner = layer.get("config", {})
        path = f"{above}{inner.get('name') or layer.get('name')}"
        found[path] = str(layer.get("class_name", ""))
        found |= _classes(inner, f"{path}/") if isinstance(inner.get("layers"), list) else {}
    return found


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def chosen_path(asked: str, paths: list[str], what: str) -> str:
    """The path that a person means: a whole one, or its end. Raises UsageError, with names that are like it."""
    fitting = [path for path in paths if path == asked] or [path for path in paths if path.endswith(f"/{asked}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(f"--layer {asked}: several layers are called so: {', '.join(fitting)}.", "Name one of these.")
    close = similar(asked, paths) or similar(asked, [path.rpartition("/")[2] for path in paths])
    named = ", ".join(paths[:_MOST_NAMED]) + (" …" if len(paths) > _MOST_NAMED else "")
    hint = f"Did you mean {' or '.join(f'`{name}`' for name in close)}?" if close else f"There is: {named}."
    raise UsageError(f"--layer {asked}: the model has no {what} of this name.", hint)
