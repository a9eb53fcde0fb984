"""What to add to a spec that lacks a key which it must have: a line that fits the rest of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcli.errors import Path
from dlcli.spec.paths import value_at
from dlcli.spec.source import Source
from dlcli.spec.sources import source_of
from dlcli.spec.writing import to_flow

_LAYERS: Path = ("model", "layers")


def example(path: Path, data: Any) -> str | None:
    """An example of what may stand at `path` of a spec whose plain data is `data`; None where there is none."""
    source = source_of(data)
    values: Mapping[Path, Any] = {
        ("dataset",): {"source": "mnist"},
        ("dataset", "source"): "mnist",
        ("loss",): _loss(source, data),
        ("model",): {"layers": _layers(source)},
        _LAYERS: _layers(source),
    }
    return f"{path[-1]}: {to_flow(values[path])}" if path in values else None


def _loss(source: Source | None, data: Any) -> str:
    if source is not None and source.range_of_targets is not None:
        return "mean_squared_error"
    layers = value_at(data, _LAYERS)
    if value_at(layers, (-1, "Dense", "units")) == 1:
        return "binary_crossentropy"
    is_one_hot = value_at(data, ("dataset", "labels")) == "one_hot"
    return "categorical_crossentropy" if is_one_hot else "sparse_categorical_crossentropy"


def _layers(source: Source | None) -> list[Any]:
    hidden = {"Dense": {"units": 64, "activation": "relu"}}
    if source is not None and source.range_of_targets is not None:
        return [hidden, {"Dense": {"units": 1}}]
    classes = source.number_of_classes if source is not None else None
    first = ["Flatten"] if source is None or source.kind == "images" else []
    return [*first, hidden, {"Dense": {"units": classes or 10, "activation": "softmax"}}]
