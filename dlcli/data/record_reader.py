"""What records became in training, kept with the model: it reads any TFRecord files with the same features alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.array_reader import ArrayReader
from dlcli.data.dataset import Array, OneOrNamed
from dlcli.data.image_decoding import SUFFIXES
from dlcli.data.image_reader import ImageReader
from dlcli.data.record_columns import Column
from dlcli.data.record_files import open_records
from dlcli.data.record_layout import Layout
from dlcli.errors import DataError
from dlcli.spec.source import InputFacts

_WORD = "tfrecord"
_OTHERS = (".npy", ".npz", ".csv", ".h5", ".hdf5")


@dataclass(frozen=True)
class RecordReader:
    """Reads records as in training.

    Attributes:
        arrays: what became of each feature's values, by the names of inputs and targets.
        layouts: how a feature's values make rows, by the feature's name.
    """

    arrays: ArrayReader
    layouts: Mapping[str, Layout]

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of each input."""
        return self.arrays.facts

    def reads(self, path: Path) -> bool:
        """Whether this is no file of arrays, no table, and no picture, unless the model takes pictures."""
        suffix = path.suffix.lower()
        return suffix not in _OTHERS and (suffix not in SUFFIXES or self.pictures is not None)

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[OneOrNamed[Array], list[str]]:
        """The inputs of all records of files, and a name for each; of pictures, too. Raises DataError."""
        are_pictures = [path.suffix.lower() in SUFFIXES for path in paths]
        if any(are_pictures) and self.pictures is not None:
            if not all(are_pictures):
                raise DataError(f"{paths[are_pictures.index(False)]} is no picture, as others are.", "Name one kind.")
            return self.pictures.raw_inputs(paths)
        files = record_files(paths)
        names, groups = [], []
        for path in files:
            records = open_records([path], None)
            columns = {name: Column.of(records, self.layouts[one.array]) for name, one in self.arrays.inputs.items()}
            groups.append(columns)
            names += [f"{path.name}[{row}]" for row in range(len(records))]
        return self.arrays.rows_of(groups), names

    @property
    def pictures(self) -> ImageReader | None:
        """What reads files of pictures alike, if a picture is all that goes in."""
        forms = [self.layouts[one.array].form for one in self.arrays.inputs.values()]
        return ImageReader(forms[0], None, False) if len(forms) == 1 and forms[0] is not None else None

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        layouts = [layout.state() for layout in self.layouts.values()]
        return {"kind": "records", "arrays": self.arrays.state(), "layouts": layouts}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> RecordReader:
        """The reader that `state` described."""
        layouts = [Layout.restore(one) for one in state["layouts"]]
        arrays = ArrayReader.restore(state["arrays"])
        return cls(arrays, {layout.feature: layout for layout in layouts})


def record_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in folders that have `tfrecord` in their names. Raises DataError."""
    found: list[Path] = []
    for path in paths:
        inner = sorted(one for one in path.iterdir() if _WORD in one.name.lower()) if path.is_dir() else [path]
        if not inner:
            raise DataError(f"{path} has no files with `{_WORD}` in their names.", "Name the files.")
        found += inner
    return found
