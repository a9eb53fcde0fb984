"""What it comes to without a model: if always the same is answered, or that a series stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.data.encoding import Encoding, Encodings, snake_case
from dlcli.data.scaling import scales_of
from dlcli.data.series_reader import SeriesReader
from dlcli.spec.heads import heads_of
from dlcli.spec.source import TARGET
from dlcli.training.feeding import Rows
from dlcli.training.job import Job

_ACCURACIES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
_LONG = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}
_CROSSENTROPIES = ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")


def trivial_figures(job: Job, rows: Rows) -> dict[str, float]:
    """The figures of the trivial predictor for `rows`, by the names of metrics; it takes one look at the targets.

    It answers the most frequent class, or the share of each class as its probability; the mean of numbers, or their
    median. What is asked to give its input anew has none, and a loss in other units than the data's has none.
    """
    train = job.rows["train"]
    known = named(train.data.targets)
    found: dict[str, float] = {}
    for name, encoding in _outputs(job).items():
        if encoding.kind == "input":
            continue
        truth, learned = _targets(rows, name), np.asarray(known[name])[train.order]
        if encoding.classes is not None:
            figures = _of_classes(truth, learned, encoding.classes)
        else:
            figures = _of_numbers(truth, learned.mean(dtype=np.float64), np.median(learned))
        found |= _called(job, name, figures)
    return found


def last_value_figures(job: Job, rows: Rows) -> dict[str, float]:
    """The figures, by the names of metrics, of saying that a number stays what the last row of its window has.

    There are some for the windows of a `series` only, and for numbers that themselves go in.
    """
    reader = job.facts.reader
    found: dict[str, float] = {}
    if isinstance(reader, SeriesReader):
        for name, encoding in _outputs(job).items():
            place = reader.place_of(name or TARGET)
            if encoding.kind == "input" or encoding.classes is not None or place is None:
                continue
            windows: Any = rows.data.inputs
            column, at = place
            last = column.restore(np.asarray(windows[:, -1, at])[rows.order].astype(np.float64))
            found |= _called(job, name, _of_numbers(_targets(rows, name), last, last))
    return found


def _outputs(job: Job) -> Mapping[str, Encoding]:
    return named(job.encoding.each if isinstance(job.encoding, Encodings) else job.encoding)


def _targets(rows: Rows, name: str) -> Array:
    return np.asarray(named(rows.data.targets)[name])[rows.order]


def _called(job: Job, name: str, figures: Mapping[str, float]) -> dict[str, float]:
    """Figures by the names that an output's metrics have; and as its loss, if that is in the data's units."""
    scales, heads = scales_of(job.encoding), heads_of(job.loaded.spec)
    head = heads[name] if name in heads else next(iter(heads.values()))
    loss = snake_case(head.loss.name)
    prefix = f"{name}_" if name else ""
    found = {prefix + figure: value for figure, value in figures.items()}
    if _LONG.get(loss, loss) in figures and (name or TARGET) not in scales:
        found[f"{prefix}loss"] = figures[_LONG.get(loss, loss)]
    return found


def gains(figures: Mapping[str, float], *others: Mapping[str, float]) -> dict[str, float]:
    """How much better figures are than the best of others, where those are known; less than 0 if worse."""
    known = {name: [one[name] for one in others if name in one] for name in figures}
    return {
        name: figures[name] - max(values) if name.endswith(_ACCURACIES) else min(values) - figures[name]
        for name, values in known.items()
        if values
    }


def _of_classes(truth: Array, learned: Array, classes: int | None) -> dict[str, float]:
    counts = np.bincount(learned.astype(np.int64), minlength=classes or 0)
    truth = truth.astype(np.int64)
    accuracy = float((truth == counts.argmax()).mean())
    shares = np.maximum(counts / counts.sum(), 1e-7)
    crossentropy = float(-np.log(shares[truth]).mean()) + 0.0  # no minus before a zero
    return {**dict.fromkeys(_ACCURACIES, accuracy), **dict.fromkeys(_CROSSENTROPIES, crossentropy)}


def _of_numbers(truth: Array, for_squares: Any, for_distances: Any) -> dict[str, float]:
    """Errors of what makes the mean of squares small, and of what makes that of distances small."""
    numbers = truth.astype(np.float64)
    squared = float(((numbers - for_squares) ** 2).mean())
    absolute = float(abs(numbers - for_distances).mean())
    return {
        "mean_squared_error": squared, "mse": squared, "mean_absolute_error": absolute, "mae": absolute,
        "root_mean_squared_error": float(np.sqrt(squared)),
    }  # fmt: skip
