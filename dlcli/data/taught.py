"""Whether the rows to train on can teach what is asked for: no constant, and every class that is asked for elsewhere.

Whoever divides rows at random sees to that; a column, a time, a group or a folder of its own may not.
"""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array, Dataset, named
from dlcli.data.splits import Split, Splits
from dlcli.errors import DataError
from dlcli.spec.source import TARGET

_MOST_SHOWN = 5
_WHY = "A model never tells a class that it has not seen: hold out other rows, or leave out those of such classes."
_SAME = "Hold out other rows, so that there are different ones to train on."


def check_taught(dataset: Dataset, splits: Splits) -> None:
    """Raises DataError if training never sees a class that another split has, or sees the same target in all rows."""
    for name, classes in named(dataset.class_names, TARGET).items():
        trained = _targets(splits.train, name)
        called = f"`{name}`" if name != TARGET else "the target"
        if len(trained) > 1 and bool((trained == trained[0]).all()):
            value = f"{trained[0]:g}" if classes is None else f"the class {classes[int(trained[0])]}"
            there = f"in all {len(trained):,} rows to train on"
            raise DataError(f"{dataset.origin}: {called} is {value} {there}: there is nothing to learn.", _SAME)
        if classes is not None:
            _check_classes(dataset, splits, name, classes)


def _check_classes(dataset: Dataset, splits: Splits, name: str, classes: tuple[str, ...]) -> None:
    seen = np.bincount(_targets(splits.train, name), minlength=len(classes)) > 0
    for held_out in splits.names[1:]:
        targets = _targets(splits.named(held_out), name)
        counts = np.where(seen, 0, np.bincount(targets, minlength=len(classes)))
        if counts.any():
            unseen = [f"`{classes[number]}` ({counts[number]:,})" for number in np.flatnonzero(counts)]
            more = f" and {len(unseen) - _MOST_SHOWN} more" if len(unseen) > _MOST_SHOWN else ""
            of = f" of `{name}`" if name != TARGET else ""
            message = f"{dataset.origin}: rows of the {held_out} split have classes{of} that no row to train on has: "
            raise DataError(f"{message}{', '.join(unseen[:_MOST_SHOWN])}{more}.", _WHY)


def _targets(split: Split, name: str) -> Array:
    every = named(split.examples.targets, TARGET)
    return (every[name] if name in every else next(iter(every.values())))[split.indices]
