"""What a source hands over: raw examples as they are stored, with what is known about them. No loading happens here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy.typing as npt

from dlcli.data.shuffling import Windows
from dlcli.spec.source import InputFacts

Array = npt.NDArray[Any]
Item = TypeVar("Item")
Made = TypeVar("Made")
# What there is once; or by name, where there are several inputs or several targets.
OneOrNamed: TypeAlias = Item | Mapping[str, Item]
Shape = tuple[int | None, ...]
ClassNames = tuple[str, ...] | None


def named(value: OneOrNamed[Item], only: str = "") -> Mapping[str, Item]:
    """What there is by name; the only one has the name `only`."""
    return value if isinstance(value, Mapping) else {only: value}


def for_each(make: Callable[..., Made], value: Any, *others: Any) -> OneOrNamed[Made]:
    """`make` of the only value, or of each by name; `others` are like it."""
    if not isinstance(value, Mapping):
        return make(value, *others)
    return {name: make(item, *(other[name] for other in others)) for name, item in value.items()}


def one_or_named(pairs: Iterable[tuple[str, Item]]) -> OneOrNamed[Item]:
    """The only item, or all of them by name."""
    found = dict(pairs)
    [first, *more] = found.values()
    return found if more else first


@dataclass(frozen=True)
class Examples:
    """Raw examples, held once.

    Attributes:
        inputs: shape (n, ...); bytes (uint8) for images, float32 for tables and points, int32 for indices; by name
            where there are several.
        targets: class numbers, int32 of shape (n,); or float32 of shape (n,) for a regression; by name where there are
            several.
        windows: how the examples are shuffled whose inputs stay in files, as `dlcli.data.stored.InFile`, and where
            neighbours are read together; None where any order is as good.
        weights: how much each counts in training, float32 of shape (n,); None if all count alike.
    """

    inputs: OneOrNamed[Array]
    targets: OneOrNamed[Array]
    windows: Windows | None = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(named(self.inputs).values())))


class Reader(Protocol):
    """Reads files as in training; it is kept with the model."""

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of each input, by its name."""

    def reads(self, path: Path) -> bool:
        """Whether a file is of the kind that it reads."""

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[OneOrNamed[Array], list[str]]:
        """The inputs of all examples in files, and a name for each. Raises DataError."""

    def state(self) -> dict[str, Any]:
        """As data for JSON."""


@dataclass(frozen=True)
class Dataset:
    """Everything one source provides.

    Attributes:
        source: the source's name in the grammar.
        kind: "images", "table", "points" and so on, as in `dlcli.spec.source`; of each of several inputs, by name.
        train: the examples to train on (and to hold validation, and test where there is none, out of).
        test: the source's own test set, or None.
        class_names: the classes in the order of their numbers; None for a regression; of each of several targets, by
            name.
        feature_names: the columns of a table; None otherwise.
        origin: where the examples came from, for a person: a path, "embedded in scikit-learn", "generated".
        fingerprint: a digest of all bytes of inputs and targets, for telling whether data changed.
        requested: the source that the spec names first, where this one stands in for it; else None.
        reason: why `requested` could not be used; else None.
        reader: what made numbers of a person's files, for reading others alike; None where there are no files.
        folder: what the paths of those files are relative to.
        validation: the source's own validation set, or None.
        code: the digest of the file whose function made the data, if one did.
    """

    source: str
    kind: OneOrNamed[str]
    train: Examples
    test: Examples | None
    class_names: OneOrNamed[ClassNames]
    feature_names: tuple[str, ...] | None
    origin: str
    fingerprint: str
    requested: str | None = None
    reason: str | None = None
    reader: Reader | None = None
    folder: Path | None = None
    validation: Examples | None = None
    code: str | None = None

    @property
    def classes(self) -> OneOrNamed[int | None]:
        """How many classes there are; None for a regression; of each of several targets, by name."""
        return for_each(lambda names: None if names is None else len(names), self.class_names)

    @property
    def example_shape(self) -> OneOrNamed[tuple[int, ...]]:
        """The shape of one raw example, without the batch axis; of each of several inputs, by name."""
        return for_each(lambda inputs: tuple(inputs.shape[1:]), self.train.inputs)

    def asked(self, names: Collection[str]) -> Dataset:
        """The data with these targets alone."""
        if not isinstance(self.class_names, Mapping) or len(names) == len(self.class_names):
            return self

        def chosen(examples: Examples) -> Examples:
            targets = one_or_named((name, named(examples.targets)[name]) for name in names)
            return replace(examples, targets=targets)

        every = self.class_names
        class_names = one_or_named((name, every[name]) for name in names)
        test = None if self.test is None else chosen(self.test)
        return replace(self, train=chosen(self.train), test=test, class_names=class_names)

    @property
    def labels(self) -> tuple[Array, tuple[str, ...]] | None:
        """The classes of the examples to train on, and their names: of the first target that has any."""
        for name, classes in named(self.class_names).items():
            if classes is not None:
                targets = self.train.targets
                return (targets[name] if isinstance(targets, Mapping) else targets), classes
        return None
