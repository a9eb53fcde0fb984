"""The examples of an `arrays` source: which arrays of its files go in and are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlcli.data.array_files import find_array, open_arrays, shown_names
from dlcli.data.array_reader import USUAL_INPUTS, USUAL_TARGETS, ArrayReader, test_name
from dlcli.data.dataset import Dataset
from dlcli.data.finding import find_all
from dlcli.data.from_stored import Chosen, Part, check_chosen, read_stored
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.stored import Stored
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources_arrays import Arrays, NamedArrays, arrays_by_name


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
    train, test = choose(loaded, source, open_arrays(paths), where)
    origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    chosen = Chosen(train, test, origin, source.kind_of, source.class_names, source.stream)
    return read_stored(loaded, chosen, where, reader)[0]


def choose(
    loaded: LoadedSpec, source: NamedArrays, arrays: Mapping[str, Stored], where: Where
) -> tuple[Part, Part | None]:
    """The arrays that a source means, to train and to test on; those that are left out by the names that are usual.

    Raises:
        DataError: there are no such.
    """
    inputs = _named(arrays, arrays_by_name(source.inputs, INPUT), USUAL_INPUTS, "inputs")
    targets = {}
    if source.target is not None or loaded.spec.dataset.labels != "input":
        targets = _named(arrays, arrays_by_name(source.target, TARGET), USUAL_TARGETS, "target")
    train = check_chosen(Part(inputs, targets))
    return train, _test_part(source, arrays, train, where)


def _test_part(source: NamedArrays, arrays: Mapping[str, Stored], train: Part, where: Where) -> Part | None:
    """The arrays of the test set: those that are named; or those called as usual, if all are there."""
    parts: list[dict[str, Stored]] = []
    named = ((train.inputs, source.test_inputs, INPUT, "x_test"), (train.targets, source.test_target, TARGET, "y_test"))
    is_said = source.test_inputs is not None or source.test_target is not None
    for trained, written, only, usual in named:
        found: dict[str, Stored] = {}
        for name, stored in trained.items():
            said = arrays_by_name(written, only)[name] if written is not None else None
            wanted = said or test_name(stored.name, usual)
            is_there = wanted in arrays and wanted != stored.name
            if said is None and not is_there and not is_said:
                lonely = [one.name for part in (*parts, found) for one in part.values()]
                if lonely:
                    names = ", ".join(f"`{one}`" for one in lonely)
                    where.notify(f"There is {names}, but no `{wanted}`: what is there is not tested on.")
                return None
            found[name] = find_array(arrays, wanted)
        parts.append(found)
    is_used_twice = {str(one) for one in parts[0].values()} & {str(one) for one in train.inputs.values()}
    if is_used_twice:
        raise DataError(f"{is_used_twice.pop()} is both to train and to test on: the score would mean nothing.")
    return Part(parts[0], parts[1])


def _named(
    arrays: Mapping[str, Stored], names: Mapping[str, str | None], usual: Sequence[str], key: str
) -> dict[str, Stored]:
    found = {}
    for name, array in names.items():
        if array is None:
            array = next((one for one in usual if one in arrays), None)
        if array is None and key == "inputs" and len(arrays) == 1 and not set(arrays) & set(USUAL_TARGETS):
            array = next(iter(arrays))
        if array is None:
            path = next(iter(arrays.values())).path
            message = f"{path} has none of the arrays {', '.join(f'`{one}`' for one in usual)}."
            raise DataError(message, f"Name the right one with `{key}`. There is: {shown_names(arrays)}.")
        found[name] = find_array(arrays, array)
    return found
