"""What a model answers for the examples of a split, and what is true of them: what a report looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, ClassNames, for_each, named
from dlcli.data.encoding import Encoding, Encodings
from dlcli.evaluation.by_class import ByClass, by_class
from dlcli.evaluation.outputs import scores_of

_MOST_WORK = 200_000_000_000  # multiply-adds: some seconds of one processor
_FEWEST, _MOST = 256, 100_000  # examples


@dataclass(frozen=True)
class ClassAnswers:
    """Answers that are classes.

    Attributes:
        names: of the classes.
        truth: class numbers, shape (n,).
        scores: what the model gives each class, shape (n, classes).
    """

    names: tuple[str, ...]
    truth: Array
    scores: Array

    @property
    def predicted(self) -> Array:
        """Class numbers, shape (n,)."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def sureness(self) -> Array:
        """The scores of the predicted classes, shape (n,)."""
        return np.asarray(self.scores.max(axis=1)) if len(self.scores) else np.zeros(0)

    @property
    def is_right(self) -> Array:
        """Whether each is, shape (n,)."""
        return np.asarray(self.predicted == self.truth)

    @property
    def are_probabilities(self) -> bool:
        """Whether the scores of each example are from 0 to 1 and add up to 1."""
        whole = self.scores.sum(axis=1)
        return bool(np.isfinite(whole).all() and (self.scores >= 0).all() and (abs(whole - 1) < 1e-2).all())

    @property
    def figures(self) -> ByClass:
        """Precision, recall and F1 of each class, and the confusion matrix."""
        return by_class(self.truth, self.predicted, self.names)

    @property
    def confidence(self) -> float | None:
        """In how many of all pairs of a right answer and a mistake the right one is the surer; None without pairs."""
        right, wrong = self.sureness[self.is_right], np.sort(self.sureness[~self.is_right])
        if not len(right) or not len(wrong):
            return None
        below = np.searchsorted(wrong, right, side="left") + np.searchsorted(wrong, right, side="right")
        return float(below.sum() / (2.0 * len(right) * len(wrong)))


@dataclass(frozen=True)
class NumberAnswers:
    """Answers that are numbers: true and predicted ones, shape (n,)."""

    truth: Array
    predicted: Array

    @property
    def errors(self) -> Array:
        """Predicted less true."""
        return np.asarray(self.predicted - self.truth)


@dataclass(frozen=True)
class CopyAnswers:
    """Answers that are the inputs anew: what the model gives, shape (n, ...)."""

    predicted: Array


AnyAnswers = ClassAnswers | NumberAnswers | CopyAnswers


@dataclass(frozen=True)
class Answers:
    """What a model answers for examples of a split.

    Attributes:
        split: its name.
        rows: the numbers of the examples in their data, shape (n,).
        whole: how many the split has; more than n, where all would take too long.
        each: the answers of each output; of the only one by the name "".
        trivial: what the trivial predictor comes to on those n, by the names of figures.
        last_value: what saying that a series stays as it is comes to on them; empty if it is none.
    """

    split: str
    rows: Array
    whole: int
    each: Mapping[str, AnyAnswers]
    trivial: Mapping[str, float]
    last_value: Mapping[str, float] = field(default_factory=dict)


def answers_of(final: Any, multiply_adds: int) -> Answers:
    """The answers of a job with the weights of its best epoch, for the split that training has seen least of.

    Args:
        final: `dlcli.training.final.Final`: outputs that it has kept are not computed again.
        multiply_adds: what one example costs; where the outputs are to be computed, only so many are as take some
            seconds, at equal distances in the split.

    Raises:
        DataError: the examples can no longer be read.
    """
    from dlcli.evaluation.evaluating import from_logits, outputs_of
    from dlcli.training.feeding import Rows
    from dlcli.training.final import shown_split
    from dlcli.training.trivial import last_value_figures, trivial_figures

    job, parts = final.job, list(final.outputs)
    split = shown_split(job.rows)
    rows = job.rows[split]
    order = np.asarray(rows.order)
    if not parts:
        order = _some(order, multiply_adds)
        for _ in job.engine.predict(Rows(rows.data, order), parts.append):
            pass
    outputs = outputs_of(parts, job.encoding)
    each = job.encoding.each if isinstance(job.encoding, Encodings) else job.encoding
    targets = for_each(lambda values: np.asarray(values)[order], rows.data.targets)
    logits = from_logits(job.loaded, outputs)
    answers: Mapping[str, AnyAnswers] = named(for_each(_answers, outputs, each, job.facts.class_names, targets, logits))
    shown = Rows(rows.data, order)
    return Answers(split, order, len(rows), answers, trivial_figures(job, shown), last_value_figures(job, shown))


def _some(order: Array, multiply_adds: int) -> Array:
    most = max(_FEWEST, min(_MOST, _MOST_WORK // max(1, multiply_adds)))
    if len(order) <= most:
        return order
    return np.asarray(order[np.linspace(0, len(order) - 1, most).astype(np.int64)])


def _answers(outputs: Array, encoding: Encoding, names: ClassNames, targets: Array, logits: bool) -> AnyAnswers:
    if encoding.kind == "input":
        return CopyAnswers(outputs)
    if encoding.classes is None:
        return NumberAnswers(targets.astype(np.float64), encoding.restore(outputs[:, 0].astype(np.float64)))
    labels = names or tuple(map(str, range(encoding.classes)))
    return ClassAnswers(tuple(labels), targets.astype(np.int64), scores_of(outputs, encoding, from_logits=logits))
