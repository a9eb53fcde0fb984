"""The examples of an `arrays` source: which arrays of its files go in and are asked for, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.array_files import find_array, open_arrays, shown_names
from dlcli.data.array_inputs import ArrayInput
from dlcli.data.array_reader import USUAL_INPUTS, USUAL_TARGETS, ArrayReader, check_lengths, test_name
from dlcli.data.array_targets import ArrayTarget, fit_target
from dlcli.data.dataset import Array, Dataset, Examples, one_or_named
from dlcli.data.encoding import compares_classes, snake_case
from dlcli.data.finding import find_all
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.shuffling import Windows
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.stored import InFile, Stored
from dlcli.data.streaming import check_in_place, fit_into_memory, told_of, windows_of
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources_arrays import Arrays, arrays_by_name


def load_arrays(
    loaded: LoadedSpec, source: Arrays, where: Where, folders: Sequence[Path], reader: ArrayReader | None
) -> tuple[Dataset, Splits]:
    """The examples of arrays, split.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what the arrays became in training; None to tell it by what they are.

    Raises:
        DataError: a file cannot be read, or its arrays are not what they should be.
    """
    dataset = loaded.once("dataset", lambda: _read(loaded, source, where, folders, reader))
    return dataset, split_as_written(loaded, dataset)


def _read(
    loaded: LoadedSpec, source: Arrays, where: Where, folders: Sequence[Path], reader: ArrayReader | None
) -> Dataset:
    paths = find_all(source.path, folders)
    chosen = _choose(loaded, source, open_arrays(paths))
    inputs, targets = (reader.inputs, reader.targets) if reader else (_inputs(source, chosen.train), {})
    rows = {name: one.on(chosen.train.inputs[name]) for name, one in inputs.items()}
    _check_lengths(check_lengths(rows), chosen.train.targets)
    tested = None
    if chosen.test is not None:
        tested = {name: one.on(chosen.test.inputs[name]) for name, one in inputs.items()}
        _check_lengths(check_lengths(tested), chosen.test.targets)
    every = [*rows.values(), *(tested.values() if tested is not None else ())]
    if reader is None:
        targets, values = _fit_targets(loaded, source, chosen.train.targets)
        windows = windows_of(rows.values()) if _stays_in_files(source, every, where) else None
        reader = ArrayReader({name: one.counted(rows[name]) for name, one in inputs.items()}, targets, windows)
    else:
        values = {name: one.encode(chosen.train.targets[name]) for name, one in targets.items()}
    if reader.windows is not None:
        check_in_place(every)
    train = _examples(rows, values, reader.windows)
    test = None
    if chosen.test is not None and tested is not None:
        stored = chosen.test.targets
        test = _examples(tested, {name: one.encode(stored[name]) for name, one in targets.items()}, reader.windows)
    return Dataset(
        source=source.name,
        kind=one_or_named((name, one.kind) for name, one in inputs.items()),
        train=train,
        test=test,
        class_names=one_or_named((name, one.classes) for name, one in targets.items()) if targets else None,
        feature_names=None,
        origin=str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more",
        fingerprint=fingerprint_of(train, test),
        reader=reader,
    )


def _stays_in_files(source: Arrays, rows: Sequence[InFile], where: Where) -> bool:
    """Whether the inputs are left in their files: as the spec says, or else if they would take half the memory."""
    if source.stream is not None:
        return source.stream
    if fit_into_memory(rows):
        return False
    check_in_place(rows)
    where.notify(told_of(rows))
    return True


def _examples(rows: Mapping[str, InFile], values: Mapping[str, Array], windows: Windows | None) -> Examples:
    inputs: Any
    try:
        inputs = one_or_named((name, one.whole() if windows is None else one) for name, one in rows.items())
    except MemoryError as error:
        names = " and ".join(str(one.stored) for one in rows.values())
        raise DataError(f"There is not enough memory for {names}.", "With `stream: true` it stays there.") from error
    if not values:
        return Examples(inputs, np.zeros(len(next(iter(rows.values()))), np.float32), windows)
    return Examples(inputs, one_or_named(values.items()), windows)


@dataclass(frozen=True)
class _Part:
    """The arrays of the training set, or of the test set, by the names of inputs and targets."""

    inputs: Mapping[str, Stored]
    targets: Mapping[str, Stored]


@dataclass(frozen=True)
class _Chosen:
    """The arrays that a source means."""

    train: _Part
    test: _Part | None


def _choose(loaded: LoadedSpec, source: Arrays, arrays: Mapping[str, Stored]) -> _Chosen:
    """The arrays that a source means; those that are left out by the names that are usual. Raises DataError."""
    inputs = _named(arrays, arrays_by_name(source.inputs, INPUT), USUAL_INPUTS, "inputs")
    targets = {}
    if source.target is not None or loaded.spec.dataset.labels != "input":
        targets = _named(arrays, arrays_by_name(source.target, TARGET), USUAL_TARGETS, "target")
    for name, array in targets.items():
        if array in inputs.values():
            raise DataError(f"{array} is what is asked for, and goes in as well: the model would only copy it.")
        if len(targets) > 1 and name in inputs:
            raise DataError(f"`{name}` is the name of an input and of a target.", "Give one of them another name.")
    train = _Part(inputs, targets)
    return _Chosen(train, _test_part(source, arrays, train))


def _test_part(source: Arrays, arrays: Mapping[str, Stored], train: _Part) -> _Part | None:
    """The arrays of the test set: those that are named; or those called as usual, if all are there."""
    parts = []
    named = ((train.inputs, source.test_inputs, INPUT, "x_test"), (train.targets, source.test_target, TARGET, "y_test"))
    is_said = source.test_inputs is not None or source.test_target is not None
    for trained, written, only, usual in named:
        found = {}
        for name, stored in trained.items():
            said = arrays_by_name(written, only)[name] if written is not None else None
            wanted = said or test_name(stored.name, usual)
            is_there = wanted in arrays and wanted != stored.name
            if said is None and not is_there and not is_said:
                return None
            found[name] = find_array(arrays, wanted)
        parts.append(found)
    is_used_twice = {str(one) for one in parts[0].values()} & {str(one) for one in train.inputs.values()}
    if is_used_twice:
        raise DataError(f"{is_used_twice.pop()} is both to train and to test on: the score would mean nothing.")
    return _Part(parts[0], parts[1])


def _named(
    arrays: Mapping[str, Stored], names: Mapping[str, str | None], usual: Sequence[str], key: str
) -> dict[str, Stored]:
    found = {}
    for name, array in names.items():
        if array is None:
            array = next((one for one in usual if one in arrays), None)
        if array is None and key == "inputs" and len(arrays) == 1:
            array = next(iter(arrays))
        if array is None:
            path = next(iter(arrays.values())).path
            message = f"{path} has none of the arrays {', '.join(f'`{one}`' for one in usual)}."
            raise DataError(message, f"Name the right one with `{key}`. There is: {shown_names(arrays)}.")
        found[name] = find_array(arrays, array)
    return found


def _inputs(source: Arrays, part: _Part) -> dict[str, ArrayInput]:
    return {name: ArrayInput.of(one.name, one, source.kind_of(name)) for name, one in part.inputs.items()}


def _check_lengths(rows: Mapping[str, InFile], targets: Mapping[str, Stored]) -> None:
    one = next(iter(rows.values()))
    for stored in targets.values():
        if stored.shape and len(stored) != len(one):
            each = f"{len(one):,} rows in {one.stored}, and {len(stored):,} in {stored}"
            raise DataError(f"The arrays have different lengths: {each}.", "Each example has a row in each of them.")


def _fit_targets(
    loaded: LoadedSpec, source: Arrays, stored: Mapping[str, Stored]
) -> tuple[dict[str, ArrayTarget], dict[str, Array]]:
    heads = heads_of(loaded.spec)
    targets, values = {}, {}
    for name, array in stored.items():
        loss = snake_case(heads[name].loss.name) if name in heads else ""
        is_for_classes = compares_classes(loss)
        targets[name], values[name] = fit_target(array, loss, compares_classes=is_for_classes, names=source.class_names)
    return targets, values
