"""The figures of runs by name, and which of two is the better: `val_accuracy`, `test_loss`, `train_loss`.

A name without its split, such as `accuracy`, is that of the examples which were held out: validation, else test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SPLITS = {"validation": "val_", "test": "test_", "train": "train_"}
"""what a figure's name begins with, by its split; what a name without it means, first"""
IN_ORDER = ("train", "validation", "test")
"""the splits as they are shown"""
_NO_FIGURES = ("epoch", "learning_rate", "seconds")


def figures_of_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Of a metrics.json."""
    return {
        f"{prefix}{name}": float(value)
        for split, prefix in SPLITS.items()
        if isinstance(metrics.get(split), dict)
        for name, value in metrics[split].items()
        if isinstance(value, (int, float))
    }


def figures_of_row(row: Mapping[str, float]) -> dict[str, float]:
    """Of an epoch in history.csv."""
    return {figure_of(name): value for name, value in row.items() if name not in _NO_FIGURES}


def figure_of(column: str) -> str:
    """What a column of history.csv is called here: the training figures have no prefix there."""
    return column if column.startswith("val_") else f"train_{column}"


def mode_of(figure: str, better: Mapping[str, str | None]) -> str | None:
    """Whether "min" or "max" is better, by what a run knows of its figures; None if it does not."""
    return better.get(without_split(figure))


def best_row(
    rows: Sequence[Mapping[str, float]], monitor: str, better: Mapping[str, str | None]
) -> Mapping[str, float]:
    """The epoch whose monitored figure is the best; the last one if it has none, or none tells which is better."""
    column = monitor or ("val_loss" if rows and "val_loss" in rows[0] else "loss")
    mode = better.get(column) or better.get(column.removeprefix("val_"))
    known = [row for row in rows if not math.isnan(row.get(column, math.nan))]
    if not known or mode is None:
        return rows[-1] if rows else {}
    return max(known, key=lambda row: row[column] if mode == "max" else -row[column])


def find_figure(figures: Mapping[str, float], name: str) -> str | None:
    """The figure that a person means: its full name, or that without the split; None if it is not there."""
    if name in figures:
        return name
    return next((f"{prefix}{name}" for prefix in SPLITS.values() if f"{prefix}{name}" in figures), None)


def main_figure(figures: Mapping[str, float]) -> str | None:
    """The figure that tells most of a run: the first metric; the loss, where there is none, or one for each output."""
    for prefix in SPLITS.values():
        names = [figure.removeprefix(prefix) for figure in figures if figure.startswith(prefix)]
        metrics = [name for name in names if name != "loss"]
        if any(name.endswith("_loss") for name in metrics) or (names and not metrics):
            return f"{prefix}loss" if "loss" in names else f"{prefix}{names[0]}"
        if metrics:
            return f"{prefix}{metrics[0]}"
    return None


def best_of(values: Iterable[float | None], mode: str | None) -> float | None:
    """The best of several values; None if nothing tells which is better, or there is nothing to choose from."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if mode is None or len(known) < 2 or len(set(known)) == 1:
        return None
    return max(known) if mode == "max" else min(known)


def without_split(figure: str) -> str:
    """`accuracy` of `val_accuracy`, `test_accuracy` and `train_accuracy`."""
    return figure.removeprefix(next((prefix for prefix in SPLITS.values() if figure.startswith(prefix)), ""))


def precision_text(record: Mapping[str, Any]) -> str:
    """What layers computed in, by a run.json, and what became of the scale of the loss; nothing if all is float32."""
    precision, scaling = record.get("precision"), record.get("loss_scaling")
    if precision in (None, "float32"):
        return ""
    if not isinstance(scaling, dict):
        return str(precision)
    return f"{precision}; the loss times {scaling['scale']:g} in the end, {scaling['skipped_steps']:,} steps left out"
