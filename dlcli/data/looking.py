"""A person's own files: their examples, split; and a look at them, after which a spec's source is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Dataset, Reader, named
from dlcli.data.finding import folder_of, folders_of
from dlcli.data.splits import Splits
from dlcli.data.taught import check_taught
from dlcli.data.where import Where
from dlcli.errors import CheckpointError, DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import TARGET, FileSource, Found
from dlcli.spec.sources_arrays import Arrays, Python
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_images import Images, Video
from dlcli.spec.sources_records import TfRecord
from dlcli.spec.sources_series import Series
from dlcli.spec.sources_texts import Text


@dataclass(frozen=True)
class _Way:
    """How the files of a source are read; each as `module:name` in `dlcli.data`.

    Attributes:
        loader: the function that makes its examples, split.
        reader: the class of what reads other files alike.
        state: what such a reader calls itself in a checkpoint.
    """

    loader: str
    reader: str
    state: str


# Names, since what each imports, such as pandas, is imported only where it is needed.
_WAYS: dict[type[FileSource], _Way] = {
    Csv: _Way("from_tables:load_table", "table_reader:TableReader", "table"),
    Series: _Way("from_series:load_series", "series_reader:SeriesReader", "series"),
    Arrays: _Way("from_arrays:load_arrays", "array_reader:ArrayReader", "arrays"),
    Python: _Way("from_python:load_python", "array_reader:ArrayReader", "arrays"),
    Images: _Way("from_images:load_images", "image_reader:ImageReader", "images"),
    Video: _Way("from_videos:load_videos", "video_reader:VideoReader", "video"),
    TfRecord: _Way("from_records:load_records", "record_reader:RecordReader", "records"),
    Text: _Way("from_texts:load_texts", "text_reader:TextReader", "texts"),
}


def _named(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"dlcli.data.{module}"), attribute)


def load_files(
    loaded: LoadedSpec, source: FileSource, where: Where, recorded: Mapping[str, Any] | None
) -> tuple[Dataset, Splits]:
    """The examples of a source of files, split.

    Args:
        loaded: the spec.
        source: its source.
        where: where the files may be.
        recorded: what a checkpoint says of its data: numbers are made of the files as for it.

    Raises:
        DataError: the files cannot be read, or are not what they should be.
    """
    if recorded and recorded.get("folder"):
        where = replace(where, beside=(*where.beside, Path(recorded["folder"])))
    folders, state = folders_of(loaded, where), recorded.get("reader") if recorded else None
    dataset, splits = _load(loaded, source, where, folders, restore_reader(state) if state else None)
    if not state and loaded.spec.dataset.labels != "input":
        check_taught(dataset, splits)
    folder = folder_of(source.files, folders) if source.files else dataset.folder
    return replace(dataset, folder=folder.absolute() if folder is not None else None), splits


def _load(
    loaded: LoadedSpec, source: FileSource, where: Where, folders: Sequence[Path], reader: Reader | None
) -> tuple[Dataset, Splits]:
    way = _WAYS[type(source)]
    if reader is not None and not isinstance(reader, _named(way.reader)):
        raise DataError("The data is of another kind than what the model was trained on.")
    found: tuple[Dataset, Splits] = _named(way.loader)(loaded, source, where, folders, reader)
    return found


def restore_reader(state: Mapping[str, Any]) -> Reader:
    """What reads files as for a checkpoint, which keeps this state. Raises CheckpointError."""
    kind = state["kind"]
    for way in _WAYS.values():
        if way.state == kind:
            reader: Reader = _named(way.reader).restore(state)
            return reader
    raise CheckpointError(f"The checkpoint's data was read in a way that this dlcli does not know: {kind}.")


def look(loaded: LoadedSpec, where: Where, recorded: Mapping[str, Any] | None = None) -> LoadedSpec:
    """The spec with a source that is known, and with its data, so that the files are read once.

    `recorded` is what a checkpoint says of its data.

    Raises:
        DataError: the files cannot be read, or are not what they should be.
    """
    source = loaded.spec.dataset.source
    if not isinstance(source, FileSource) or source.is_known:
        return loaded
    return _known(loaded, source, where, recorded)


def look_for_fold(
    loaded: LoadedSpec, number: int, where: Where, recorded: Mapping[str, Any] | None = None
) -> LoadedSpec:
    """The spec for one of its folds, whose columns are fitted to what that fold trains on; see `look`."""
    one = loaded.of_fold(number)
    source = one.spec.dataset.source
    return _known(one, source, where, recorded) if isinstance(source, FileSource) else one


def _known(loaded: LoadedSpec, source: FileSource, where: Where, recorded: Mapping[str, Any] | None) -> LoadedSpec:
    data = load_files(loaded, source, where, recorded)
    dataset = loaded.spec.dataset.model_copy(update={"source": source.looked_at(_found(*data))})
    return replace(loaded, spec=loaded.spec.model_copy(update={"dataset": dataset}), data=[data])


def _found(dataset: Dataset, splits: Splits) -> Found:
    facts = dict(dataset.reader.facts) if dataset.reader is not None else {}
    sizes = len(dataset.train), len(dataset.test) if dataset.test is not None else 0
    classes = {
        name: None if names is None else len(names) for name, names in named(dataset.class_names, TARGET).items()
    }
    numbers = [values for values in named(dataset.train.targets).values() if values.dtype == np.float32]
    is_one = len(classes) == len(numbers) == 1
    targets = (float(numbers[0].min()), float(numbers[0].max())) if is_one else None
    train, validation, test = (len(getattr(splits, name) or ()) for name in ("train", "validation", "test"))
    return Found(facts, classes, sizes, targets, (train, validation, test))
