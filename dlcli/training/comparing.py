"""Whether two runs came to the same: to the bit, or by how much not. Imports no TensorFlow."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.errors import RunError
from dlcli.runs import RunFolder
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.checkpoint_file import GROUP, opened

_TIMES = ("seconds",)


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        differences: a line each; empty if they are equal to the bit.
    """

    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether all is equal to the bit."""
        return not self.differences


def compare_runs(first: RunFolder, second: RunFolder) -> Comparison:
    """Compare histories but for their times, final metrics, and the numbers in both checkpoints.

    Raises:
        CheckpointError, RunError: something of a run cannot be read.
    """
    found = _compare_histories(_history(first), _history(second))
    if (one := _metrics(first)) != (other := _metrics(second)):
        splits = [name for name in one if one[name] != other.get(name)]
        found.append(f"metrics.json: {', '.join(splits)}")
    for name in ("last", "best"):
        found += _compare_numbers(name, _numbers(getattr(first, name)), _numbers(getattr(second, name)))
    return Comparison(tuple(found))


def _history(run: RunFolder) -> list[dict[str, str]]:
    try:
        with (run.path / "history.csv").open(newline="", encoding="utf-8") as file:
            return [{key: row[key] for key in row if key not in _TIMES} for row in csv.DictReader(file)]
    except OSError as error:
        raise RunError(f"{run.path} has no history.csv that can be read: {error.strerror}.") from error


def _compare_histories(first: list[dict[str, str]], second: list[dict[str, str]]) -> list[str]:
    if len(first) != len(second):
        return [f"history.csv: {len(first)} epochs, and {len(second)}"]
    for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        names = [name for name in one if one[name] != other.get(name)]
        if names:
            values = "; ".join(f"{name} {one[name]}, and {other.get(name)}" for name in names[:3])
            return [f"history.csv: from epoch {number} on: {values}"]
    return []


def _metrics(run: RunFolder) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{run.path} has no metrics.json that can be read.", "Is the run done?") from error
    return found


def _numbers(path: Path) -> dict[str, Array]:
    """All numbers of a checkpoint that training made: weights, and what the optimizer and others remember."""
    checkpoint = open_checkpoint(path)
    numbers: dict[str, Array] = {f"{GROUP}/{name}": values for name, values in checkpoint.arrays().items()}

    def keep(name: str, item: Any) -> None:
        if hasattr(item, "dtype"):
            numbers[name] = np.asarray(item[()])

    with opened(path) as file:
        file["model_weights"].visititems(keep)
    return numbers


def _compare_numbers(name: str, first: dict[str, Array], second: dict[str, Array]) -> list[str]:
    places = list(dict.fromkeys([*first, *second]))
    other = [place for place in places if not _same(first.get(place), second.get(place))]
    if not other:
        return []
    largest = max(
        (_distance(first[place], second[place]) for place in other if place in first and place in second), default=0.0
    )
    return [
        f"{name}.h5: {len(other)} of {len(places)} arrays differ, by {largest:.3g} at most; the first is {other[0]}"
    ]


def _same(first: Array | None, second: Array | None) -> bool:
    if first is None or second is None:
        return False
    return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()


def _distance(first: Array, second: Array) -> float:
    if first.shape != second.shape or first.dtype.kind not in "biuf" or not first.size:
        return 0.0
    return float(np.nanmax(np.abs(first.astype(np.float64) - second.astype(np.float64))))
