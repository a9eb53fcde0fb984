"""Arrays of .npz, .h5 and .npy files in Python, read into memory as `dlcli.data.from_arrays` does it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from dlcli.data.array_files import HDF5_SUFFIXES, find_array, open_arrays
from dlcli.data.array_inputs import ArrayInput
from dlcli.data.array_reader import ArrayReader, test_name
from dlcli.data.array_targets import ArrayTarget
from dlcli.data.finding import find_all
from dlcli.data.stored import Stored
from dlcli.errors import UsageError
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources_arrays import Arrays, arrays_by_name


def arrays_code(
    source: Arrays, reader: ArrayReader, folder: str | None, asked: Collection[str]
) -> tuple[list[str], list[str]]:
    """Imports, and statements for `x_train` and `y_train`, and for the test set if there is one.

    Args:
        source: the source, known.
        reader: what its arrays became.
        folder: what the paths of its files are relative to.
        asked: the targets that the model tells.

    Raises:
        UsageError: the arrays stay in their files.
        DataError: a file cannot be read.
    """
    if reader.windows is not None:
        message = "How arrays are read while the training goes on cannot be written as a script yet."
        raise UsageError(message, "With `--set dataset.source.arrays.stream=false` they are read into memory.")
    stored = open_arrays(find_all(source.path, [Path(folder or "")]))
    targets = {name: one for name, one in reader.targets.items() if name in asked}
    inputs = {name: find_array(stored, one.array) for name, one in reader.inputs.items()}
    answers = {name: find_array(stored, one.array) for name, one in targets.items()}
    parts = {"train": (inputs, answers)}
    if source.examples and source.examples[1]:
        of_test = _named(stored, inputs, arrays_by_name(source.test_inputs, INPUT), "x_test")
        parts["test"] = of_test, _named(stored, answers, arrays_by_name(source.test_target, TARGET), "y_test")
    opened = _opened(array for part in parts.values() for arrays in part for array in arrays.values())
    lines = assignments(reader.inputs, targets, parts, lambda array, split: _read(array, opened))
    imports = ["import numpy as np", *(["import h5py"] if any(map(_is_hdf5, opened)) else [])]
    if not opened:
        return imports, lines
    with_files = ", ".join(f"{_opening(path)} as {variable}" for path, variable in opened.items())
    return imports, [f"with {with_files}:", *(f"    {line}" for line in lines)]


Parts: TypeAlias = Mapping[str, tuple[Mapping[str, Stored], Mapping[str, Stored]]]
"""the arrays of inputs and of targets, by name, of each split"""


def assignments(
    inputs: Mapping[str, ArrayInput],
    targets: Mapping[str, ArrayTarget],
    parts: Parts,
    read: Callable[[Stored, str], str],
) -> list[str]:
    """The statements for `x_train`, `y_train` and so on.

    Args:
        inputs: what goes in.
        targets: what is asked for.
        parts: the arrays of each split.
        read: the expression for an array of a split as it is stored, in memory.
    """
    lines = []
    for number, (name, target) in enumerate(targets.items()):
        if _is_by_values(target):
            lines.append(f"{_classes(number)} = np.unique({read(parts['train'][1][name], 'train')})")
    for split, (x, y) in parts.items():
        made = {name: _input(one, x[name], read(x[name], split)) for name, one in inputs.items()}
        lines.append(f"x_{split} = {_whole(made)}")
        told = {
            name: _target(target, y[name], read(y[name], split), number)
            for number, (name, target) in enumerate(targets.items())
        }
        lines.append(f"y_{split} = {_whole(told) if told else f'x_{split}'}")
    return lines


def _named(
    stored: Mapping[str, Stored], trained: Mapping[str, Stored], written: Mapping[str, str | None], usual: str
) -> dict[str, Stored]:
    """The arrays of the test set, as `dlcli.data.from_arrays` finds them."""
    return {
        name: find_array(stored, written.get(name) or test_name(array.name, usual)) for name, array in trained.items()
    }


def _opened(arrays: Iterable[Stored]) -> dict[Path, str]:
    """The variables of files that have several arrays."""
    paths = dict.fromkeys(array.path for array in arrays if array.path.suffix.lower() != ".npy")
    return {path: "arrays" if number == 1 else f"arrays_{number}" for number, path in enumerate(paths, start=1)}


def _is_hdf5(path: Path) -> bool:
    return path.suffix.lower() in HDF5_SUFFIXES


def _opening(path: Path) -> str:
    return f"{'h5py.File' if _is_hdf5(path) else 'np.load'}({str(path)!r})"


def _read(array: Stored, opened: Mapping[Path, str]) -> str:
    """The array in memory, as it is stored."""
    if array.path not in opened:
        return f"np.load({str(array.path)!r})"
    found = f"{opened[array.path]}[{array.name!r}]"
    if not _is_hdf5(array.path):
        return found
    return f"{found}.asstr()[()]" if array.dtype.kind == "U" else f"{found}[()]"


def _input(one: ArrayInput, array: Stored, stored: str) -> str:
    """Raw examples."""
    converted = f'.astype("{one.dtype}")' if array.dtype != one.dtype else ""
    column = ".reshape(-1, 1)" if array.shape[1:] != one.shape else ""
    return f"{stored}{converted}{column}"


def _is_by_values(target: ArrayTarget) -> bool:
    """Whether the classes are numbered by the order of their values."""
    return target.labels is not None and target.labels != tuple(range(len(target.labels)))


def _classes(number: int) -> str:
    return "classes" if number == 0 else f"classes_{number + 1}"


def _target(target: ArrayTarget, array: Stored, stored: str, number: int) -> str:
    """Class numbers, or numbers."""
    if target.is_one_hot:
        return f"{stored}.argmax(axis=1)"
    values = f"{stored}{'.ravel()' if len(array.shape) > 1 else ''}"
    if target.classes is None:
        return f'{values}.astype("float32")'
    if _is_by_values(target):
        return f"np.searchsorted({_classes(number)}, {values})"
    return values if array.dtype.kind in "iu" else f'{values}.astype("int64")'


def _whole(made: Mapping[str, str]) -> str:
    """The only one, or all by name."""
    if len(made) == 1:
        return next(iter(made.values()))
    return f"{{{', '.join(f'{name!r}: {one}' for name, one in made.items())}}}"
