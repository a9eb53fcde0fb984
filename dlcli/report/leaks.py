"""Whether a column of a table gives the answer away: known only when the answer is, it makes a score worth nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.report.answers import Answers, AnyAnswers, ClassAnswers, NumberAnswers
from dlcli.report.looks import taken

_MOST_ROWS, _FEWEST_ROWS, _MOST_COLUMNS = 2000, 20, 2000
_SAME = 0.99999  # a correlation from which on numbers are the same, but for their unit


def telling_column(job: Any, answers: Answers) -> str:
    """The column that alone tells the answer to each training example; empty if none does, or for other data.

    Raises:
        DataError: the examples can no longer be read.
    """
    names, rows = job.facts.feature_names, job.rows.get("train")
    if rows is None or len(answers.each) != 1 or not 1 < len(names or ()) <= _MOST_COLUMNS:
        return ""
    [array, *more] = named(rows.data.inputs).values()
    order = np.asarray(rows.order)[:_MOST_ROWS]
    if more or tuple(array.shape[1:]) != (len(names),) or len(order) < _FEWEST_ROWS:
        return ""
    [one] = answers.each.values()
    [targets] = named(rows.data.targets).values()
    values, truth = taken(array, order), np.asarray(targets)[order]
    return next((str(name) for at, name in enumerate(names) if _tells(one, values[:, at], truth)), "")


def _tells(one: AnyAnswers, values: Array, truth: Array) -> bool:
    if isinstance(one, NumberAnswers):
        spread = np.ptp(values) > 0 and np.ptp(truth) > 0
        return bool(spread and abs(np.corrcoef(values, truth.astype(np.float64).ravel())[0, 1]) > _SAME)
    return isinstance(one, ClassAnswers) and _parts(values, truth.ravel())


def _parts(values: Array, classes: Array) -> bool:
    """Whether each class has a range of values of its own."""
    order = np.argsort(values, kind="stable")
    values, classes = values[order], classes[order]
    changes = np.flatnonzero(classes[1:] != classes[:-1])
    return 0 < len(changes) == len(np.unique(classes)) - 1 and bool((values[changes + 1] > values[changes]).all())
