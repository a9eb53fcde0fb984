"""What it comes to if always the same is answered, whatever of the training targets makes a figure best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.data.encoding import Encodings, snake_case
from dlcli.data.scaling import scales_of
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
    return dict(_figures(job, rows))


def _figures(job: Job, rows: Rows) -> Iterator[tuple[str, float]]:
    train, scales, heads = job.rows["train"], scales_of(job.encoding), heads_of(job.loaded.spec)
    asked, known = named(rows.data.targets), named(train.data.targets)
    each = job.encoding.each if isinstance(job.encoding, Encodings) else job.encoding
    for name, encoding in named(each).items():
        if encoding.kind == "input":
            continue
        head = heads[name] if name in heads else next(iter(heads.values()))
        loss = snake_case(head.loss.name)
        truth, learned = np.asarray(asked[name])[rows.order], np.asarray(known[name])[train.order]
        of_classes = encoding.classes is not None
        found = _of_classes(truth, learned, encoding.classes) if of_classes else _of_numbers(truth, learned)
        prefix = f"{name}_" if name else ""
        for figure, value in found.items():
            yield prefix + figure, value
            if figure == _LONG.get(loss, loss) and (name or TARGET) not in scales:
                yield f"{prefix}loss", value


def gains(figures: Mapping[str, float], trivial: Mapping[str, float]) -> dict[str, float]:
    """How much better figures are than the trivial predictor's, where those are known; less than 0 if worse."""
    return {
        name: value - trivial[name] if name.endswith(_ACCURACIES) else trivial[name] - value
        for name, value in figures.items()
        if name in trivial
    }


def _of_classes(truth: Array, learned: Array, classes: int | None) -> dict[str, float]:
    counts = np.bincount(learned.astype(np.int64), minlength=classes or 0)
    truth = truth.astype(np.int64)
    accuracy = float((truth == counts.argmax()).mean())
    shares = np.maximum(counts / counts.sum(), 1e-7)
    crossentropy = float(-np.log(shares[truth]).mean())
    return {**dict.fromkeys(_ACCURACIES, accuracy), **dict.fromkeys(_CROSSENTROPIES, crossentropy)}


def _of_numbers(truth: Array, learned: Array) -> dict[str, float]:
    numbers = truth.astype(np.float64)
    squared = float(((numbers - learned.mean(dtype=np.float64)) ** 2).mean())
    absolute = float(abs(numbers - np.median(learned)).mean())
    return {
        "mean_squared_error": squared, "mse": squared, "mean_absolute_error": absolute, "mae": absolute,
        "root_mean_squared_error": float(np.sqrt(squared)),
    }  # fmt: skip
