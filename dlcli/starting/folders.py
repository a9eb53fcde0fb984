"""What first specs for files in class folders have in common, whatever the files are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dlcli.describing.columns import shortened
from dlcli.spec.sources_folders import VALIDATION_FOLDER
from dlcli.starting.lines import beside, wrapped
from dlcli.starting.plans import Holding, hold_out

_MOST_CLASSES = 12


def held_out(classes: Sequence[tuple[str, int]], *, has_test_set: bool, has_validation_set: bool = False) -> Holding:
    """What can be held out of classes with so many files each."""
    names = tuple(name for name, _ in classes)
    labels = np.repeat(np.arange(len(names), dtype=np.int32), [count for _, count in classes])
    return hold_out(labels, names, has_test_set=has_test_set, has_validation_set=has_validation_set)


def splits_lines(holding: Holding, many: str, *, has_test_set: bool) -> list[str]:
    """The keys of `dataset` that say what is held out; `many` names the files."""
    lines = []
    if holding.validation == VALIDATION_FOLDER:
        lines.append((f"  validation: {VALIDATION_FOLDER}", "that beside `train`: they tell when to stop"))
    elif holding.validation is not None:
        lines.append((f"  validation: {holding.validation:g}", "of those to train on: they tell when to stop"))
    if has_test_set:
        return beside(lines)
    if holding.test == 0.0:
        return [*wrapped(f"Nothing is held out: {holding.reason}", 2), "  test: 0.0", *beside(lines)]
    return beside([(f"  test: {holding.test:g}", f"of all {many}: the test set, looked at once, at the end"), *lines])


def classes_in_words(classes: Sequence[tuple[str, int]]) -> str:
    """How many there are, and how many files some of them have."""
    shown = ", ".join(f"{shortened(name)} {count:,}" for name, count in classes[:_MOST_CLASSES])
    more = f" … {classes[-1][0]} {classes[-1][1]:,}" if len(classes) > _MOST_CLASSES else ""
    return f"{len(classes)}: {shown}{more}"


def to_beat(classes: Sequence[tuple[str, int]]) -> list[str]:
    """What needs no network."""
    share = max(count for _, count in classes) / sum(count for _, count in classes)
    return wrapped(f"To beat: always saying the most frequent class is right for {share:.1%} of them.")
