"""Examples of arrays, once it is known which of them go in and are asked for; where they are, is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.array_inputs import ArrayInput
from dlcli.data.array_reader import ArrayReader, check_lengths
from dlcli.data.array_targets import ArrayTarget, fit_target
from dlcli.data.dataset import Array, Dataset, Examples, one_or_named
from dlcli.data.encoding import compares_classes, snake_case
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.held import read_together
from dlcli.data.shuffling import Windows
from dlcli.data.stored import InFile, Stored
from dlcli.data.streaming import check_in_place, fit_into_memory, told_of, windows_of
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec


@dataclass(frozen=True)
class Part:
    """The arrays of the training set, or of the test set, by the names of inputs and targets."""

    inputs: Mapping[str, Stored]
    targets: Mapping[str, Stored]


@dataclass(frozen=True)
class Chosen:
    """The arrays that a source means, and what it says of them.

    Attributes:
        train: those of the training set.
        test: those of the test set, if it has one.
        origin: where they are, for a person.
        kind_of: what the spec says of an input's kind.
        class_names: the names of the classes, if the spec gives them.
        stream: whether the inputs stay in their files; None: if they take half the memory.
    """

    train: Part
    test: Part | None
    origin: str
    kind_of: Callable[[str], str | None]
    class_names: Sequence[str] | None
    stream: bool | None


def read_stored(
    loaded: LoadedSpec, chosen: Chosen, where: Where, reader: ArrayReader | None
) -> tuple[Dataset, ArrayReader]:
    """The examples of arrays; and what the arrays became.

    Args:
        loaded: the spec.
        chosen: the arrays.
        where: who is told what a person must know.
        reader: what the arrays became in training; None to tell it by what they are.

    Raises:
        DataError: the arrays are not what they should be.
    """
    inputs, targets = (reader.inputs, reader.targets) if reader else (_inputs(chosen), {})
    rows = {name: one.on(chosen.train.inputs[name]) for name, one in inputs.items()}
    _check_lengths(check_lengths(rows), chosen.train.targets)
    tested = None
    if chosen.test is not None:
        tested = {name: one.on(chosen.test.inputs[name]) for name, one in inputs.items()}
        _check_lengths(check_lengths(tested), chosen.test.targets)
    every = [*rows.values(), *(tested.values() if tested is not None else ())]
    if reader is None:
        windows = windows_of(rows.values()) if _stays_in_files(chosen, every, where) else None
    else:
        windows = reader.windows
    if windows is not None:
        check_in_place(every)
    raw, stored = read_together(rows, chosen.train.targets, is_held=windows is None)
    if reader is None:
        targets, values = _fit_targets(loaded, chosen, stored)
        reader = ArrayReader({name: one.counted(raw[name]) for name, one in inputs.items()}, targets, windows)
    else:
        values = {name: one.encode(stored[name]) for name, one in targets.items()}
    train = _examples(raw, values, windows)
    test = None
    if chosen.test is not None and tested is not None:
        raw, stored = read_together(tested, chosen.test.targets, is_held=windows is None)
        test = _examples(raw, {name: one.encode(stored[name]) for name, one in targets.items()}, windows)
    dataset = Dataset(
        source=loaded.spec.dataset.source.name,
        kind=one_or_named((name, one.kind) for name, one in inputs.items()),
        train=train,
        test=test,
        class_names=one_or_named((name, one.classes) for name, one in targets.items()) if targets else None,
        feature_names=None,
        origin=chosen.origin,
        fingerprint=fingerprint_of(train, test),
        reader=reader,
    )
    return dataset, reader


def check_chosen(part: Part) -> Part:
    """The same; raises DataError if what is asked for goes in as well."""
    for name, array in part.targets.items():
        if array in part.inputs.values():
            raise DataError(f"{array} is what is asked for, and goes in as well: the model would only copy it.")
        if len(part.targets) > 1 and name in part.inputs:
            raise DataError(f"`{name}` is the name of an input and of a target.", "Give one of them another name.")
    return part


def _stays_in_files(chosen: Chosen, rows: Sequence[InFile], where: Where) -> bool:
    """Whether the inputs are left in their files: as the spec says, or else if they would take half the memory."""
    if chosen.stream is not None:
        return chosen.stream
    if fit_into_memory(rows):
        return False
    check_in_place(rows)
    where.notify(told_of(rows))
    return True


def _examples(rows: Mapping[str, Any], values: Mapping[str, Array], windows: Windows | None) -> Examples:
    inputs = one_or_named(rows.items())
    if not values:
        return Examples(inputs, np.zeros(len(next(iter(rows.values()))), np.float32), windows)
    return Examples(inputs, one_or_named(values.items()), windows)


def _inputs(chosen: Chosen) -> dict[str, ArrayInput]:
    return {name: ArrayInput.of(one.name, one, chosen.kind_of(name)) for name, one in chosen.train.inputs.items()}


def _check_lengths(rows: Mapping[str, InFile], targets: Mapping[str, Stored]) -> None:
    one = next(iter(rows.values()))
    for stored in targets.values():
        if stored.shape and len(stored) != len(one):
            each = f"{len(one):,} rows in {one.stored}, and {len(stored):,} in {stored}"
            raise DataError(f"The arrays have different lengths: {each}.", "Each example has a row in each of them.")


def _fit_targets(
    loaded: LoadedSpec, chosen: Chosen, stored: Mapping[str, Stored]
) -> tuple[dict[str, ArrayTarget], dict[str, Array]]:
    heads = heads_of(loaded.spec)
    targets, values = {}, {}
    for name, array in stored.items():
        loss = snake_case(heads[name].loss.name) if name in heads else ""
        is_for_classes = compares_classes(loss)
        targets[name], values[name] = fit_target(array, loss, compares_classes=is_for_classes, names=chosen.class_names)
    return targets, values
