"""What a source hands over: raw examples as they are stored, with what is known about them. No loading happens here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Raw examples, held once.

    Attributes:
        inputs: shape (n, ...); bytes (uint8) for images, float32 for tables and points.
        targets: class numbers, int32 of shape (n,); or float32 of shape (n,) for a regression.
    """

    inputs: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Dataset:
    """Everything one source provides.

    Attributes:
        source: the source's name in the grammar.
        kind: "images", "table" or "points", as in `dlcli.spec.sources`.
        train: the examples to train on (and to hold validation, and test where there is none, out of).
        test: the source's own test set, or None.
        class_names: the classes in the order of their numbers; None for a regression.
        feature_names: the columns of a table; None otherwise.
        origin: where the examples came from, for a person: a path, "embedded in scikit-learn", "generated".
        fingerprint: a digest of all bytes of inputs and targets, for telling whether data changed.
        requested: the source that the spec names first, where this one stands in for it; else None.
        reason: why `requested` could not be used; else None.
    """

    source: str
    kind: str
    train: Examples
    test: Examples | None
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    origin: str
    fingerprint: str
    requested: str | None = None
    reason: str | None = None

    @property
    def classes(self) -> int | None:
        """How many classes there are; None for a regression."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one raw example, without the batch axis."""
        return tuple(self.train.inputs.shape[1:])
