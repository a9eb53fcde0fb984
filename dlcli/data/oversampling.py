"""Which training examples an epoch has, where those of rare classes come more often: a function of seed and epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlcli.data.dataset import Array, Dataset
from dlcli.errors import Path, Problem
from dlcli.spec.likeness import suggestion
from dlcli.spec.loading import LoadedSpec

_DRAW = 1  # beside seed and epoch, which alone give the order


@dataclass(frozen=True, eq=False)
class Oversampling:
    """How often the training examples of each class come in an epoch.

    Attributes:
        labels: the class numbers of all examples.
        factors: how many times as often those of each class come as they are there, float64; None if each class is to
            come as often as the most frequent one.
    """

    labels: Array
    factors: Array | None

    def counts(self, rows: Array) -> Array:
        """How many examples of each class an epoch has, of these rows."""
        there = self._there(rows)
        if self.factors is None:
            return np.where(there > 0, there.max(initial=0), 0)
        wanted: Array = np.rint(there * self.factors[: len(there)]).astype(np.int64)
        return wanted

    def rows(self, rows: Array, *, seed: int, epoch: int) -> Array:
        """The rows of an epoch, counted from 0, ascending: each as often as all of its class, or once more.

        Which ones come once more is drawn anew for each epoch.
        """
        there, wanted, labels = self._there(rows), self.counts(rows), self.labels[rows]
        times, rest = np.divmod(wanted, np.maximum(there, 1))
        random = np.random.default_rng([seed, epoch, _DRAW])
        drawn = [random.permutation(rows[labels == number])[: rest[number]] for number in np.flatnonzero(rest)]
        return np.sort(np.concatenate([np.repeat(rows, times[labels]), *drawn]))

    def _there(self, rows: Array) -> Array:
        classes = len(self.factors) if self.factors is not None else 0
        return np.bincount(self.labels[rows], minlength=classes)


def oversampling_of(loaded: LoadedSpec, dataset: Dataset) -> Oversampling | None:
    """How a spec's data is oversampled; None if it is not.

    Raises:
        SpecError: there are no classes, or others than the spec names.
    """
    written, path = loaded.spec.train.oversample, ("train", "oversample")
    if written is None:
        return None
    names = only_classes(loaded, dataset, path, "repeats")
    labels = np.asarray(dataset.train.targets)
    if isinstance(written, str):
        return Oversampling(labels, None)
    return Oversampling(labels, by_class(loaded, written, names, path))


def only_classes(loaded: LoadedSpec, dataset: Dataset, path: Path, does: str) -> tuple[str, ...]:
    """The names of the classes of the only target. Raises SpecError for what is written at `path` if there are none."""
    names = dataset.class_names
    if names is None or isinstance(names, Mapping) or loaded.spec.dataset.labels == "input":
        what = "several targets" if isinstance(names, Mapping) else "no classes"
        message = f"`{path[-1]}` {does} the classes of one target, but this data has {what}."
        raise loaded.error(Problem(message, path, "Leave it out."))
    return names


def by_class(loaded: LoadedSpec, written: Mapping[str, float], names: tuple[str, ...], path: Path) -> Array:
    """The numbers that are written for classes by their names, 1 for others. Raises SpecError for an unknown name."""
    unknown = [name for name in written if name not in names]
    if unknown:
        message = f"There is no class `{unknown[0]}` in this data."
        raise loaded.error(Problem(message, (*path, unknown[0]), suggestion(unknown[0], names), at_key=True))
    return np.asarray([written.get(name, 1.0) for name in names])
