"""What arrays became in training, kept with the model: it reads any files with arrays of the same names alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.array_files import SUFFIXES, find_array, open_arrays, shown_names
from dlcli.data.array_inputs import ArrayInput
from dlcli.data.array_targets import ArrayTarget
from dlcli.data.dataset import Array, OneOrNamed, one_or_named
from dlcli.data.held import read_together
from dlcli.data.shuffling import Windows
from dlcli.data.stored import InFile, Stored
from dlcli.data.streaming import fit_into_memory
from dlcli.errors import DataError
from dlcli.spec.source import InputFacts

USUAL_INPUTS = ("x_train", "x", "X", "data", "images", "inputs")
USUAL_TARGETS = ("y_train", "y", "labels", "target", "targets")


@dataclass(frozen=True)
class ArrayReader:
    """Reads arrays as in training.

    Attributes:
        inputs: what goes in, by the input's name.
        targets: what is asked for, by the target's name.
        windows: how the rows were shuffled, if they stayed in their files; so they do ever after.
    """

    inputs: Mapping[str, ArrayInput]
    targets: Mapping[str, ArrayTarget]
    windows: Windows | None = None

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of each input."""
        return {name: one.facts for name, one in self.inputs.items()}

    def reads(self, path: Path) -> bool:
        """Whether this is a file of arrays, or a folder of them."""
        return path.suffix.lower() in SUFFIXES or path.is_dir()

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[OneOrNamed[Array], list[str]]:
        """The inputs of all rows of files, and a name for each row. Raises DataError."""
        is_one = len(self.inputs) == 1
        groups = [[path] for path in paths] if is_one else _together(paths)
        found: list[dict[str, Stored]] = []
        names: list[str] = []
        for group in groups:
            arrays = open_arrays(group)
            found.append({name: _of_new(arrays, one, is_one=is_one) for name, one in self.inputs.items()})
            rows = next(iter(found[-1].values()))
            names += [f"{group[0].name}[{row}]" for row in range(len(rows) if rows.shape else 0)]
        return self.rows_of(found), names

    def rows_of(self, groups: Sequence[Mapping[str, Stored]]) -> OneOrNamed[Array]:
        """The inputs of all rows of groups of arrays, each by the inputs' names, one behind the other.

        Raises:
            DataError: they are not as in training.
        """
        parts: dict[str, list[Any]] = {name: [] for name in self.inputs}
        for group in groups:
            rows = check_lengths({name: self.inputs[name].on(stored) for name, stored in group.items()})
            is_held = len(groups) > 1 or fit_into_memory(rows.values())
            read, _ = read_together(rows, {}, is_held=is_held)
            for name, collected in parts.items():
                collected.append(read[name])
        joined = {name: each[0] if len(each) == 1 else np.concatenate(each) for name, each in parts.items()}
        return one_or_named(joined.items())

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return {
            "kind": "arrays",
            "inputs": {name: one.state() for name, one in self.inputs.items()},
            "targets": {name: one.state() for name, one in self.targets.items()},
            "windows": self.windows.state() if self.windows is not None else None,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ArrayReader:
        """The reader that `state` described."""
        inputs = {name: ArrayInput.restore(one) for name, one in state["inputs"].items()}
        targets = {name: ArrayTarget.restore(one) for name, one in state["targets"].items()}
        return cls(inputs, targets, Windows(**state["windows"]) if state["windows"] else None)


def check_lengths(rows: dict[str, InFile]) -> dict[str, InFile]:
    """The same; raises DataError if they have different lengths."""
    if len({len(one) for one in rows.values()}) > 1:
        each = ", ".join(f"{len(one):,} rows in {one.stored}" for one in rows.values())
        raise DataError(f"The arrays have different lengths: {each}.", "Each example has a row in each of them.")
    return rows


def test_name(array: str, usual: str) -> str:
    """What the array of the test set is called that belongs to one of training."""
    head, slash, last = array.rpartition("/")
    return f"{head.replace('train', 'test')}{slash}{last.replace('train', 'test')}" if "train" in array else usual


def _together(paths: Sequence[Path]) -> list[list[Path]]:
    """Files of single arrays belong together; every other one has all that is needed."""
    single = [path for path in paths if path.suffix.lower() == ".npy"]
    return [*([single] if single else []), *([path] for path in paths if path not in single)]


def _of_new(arrays: Mapping[str, Stored], one: ArrayInput, *, is_one: bool) -> Stored:
    """The array of new files that an input is read from: that of training, by its name or one as usual."""
    names = (one.array, test_name(one.array, "x_test"), *USUAL_INPUTS) if is_one else (one.array,)
    for name in names:
        if name in arrays:
            return find_array(arrays, name)
    if is_one and len(arrays) == 1:
        return find_array(arrays, next(iter(arrays)))
    path = next(iter(arrays.values())).path
    if is_one:
        message = f"{path} has no array `{one.array}`, which the model was trained on."
        raise DataError(message, f"There is: {shown_names(arrays)}. Give the one to predict for that name.")
    return find_array(arrays, one.array)
