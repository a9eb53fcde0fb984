"""A person's own files: their examples, split; and a look at them, after which a spec's source is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dlcli.data.dataset import Dataset, Reader, named
from dlcli.data.finding import folder_of, folders_of
from dlcli.data.splits import Splits
from dlcli.data.taught import check_taught
from dlcli.data.where import Where
from dlcli.errors import CheckpointError, DataError, DlcliError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import TARGET, FileSource, Found
from dlcli.spec.sources_arrays import Arrays, Python
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_images import Images, Video
from dlcli.spec.sources_records import TfRecord
from dlcli.spec.sources_series import Series
from dlcli.spec.sources_texts import Text

Kind = TypeVar("Kind")


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
    # What each imports, such as pandas, is imported only where it is needed.
    if isinstance(source, Csv):
        from dlcli.data.from_tables import load_table
        from dlcli.data.table_reader import TableReader

        return load_table(loaded, source, where, folders, _of(TableReader, reader))
    if isinstance(source, Series):
        from dlcli.data.from_series import load_series
        from dlcli.data.series_reader import SeriesReader

        return load_series(loaded, source, where, folders, _of(SeriesReader, reader))
    if isinstance(source, Arrays):
        from dlcli.data.array_reader import ArrayReader
        from dlcli.data.from_arrays import load_arrays

        return load_arrays(loaded, source, where, folders, _of(ArrayReader, reader))
    if isinstance(source, Python):
        from dlcli.data.array_reader import ArrayReader
        from dlcli.data.from_python import load_python

        return load_python(loaded, source, where, folders, _of(ArrayReader, reader))
    if isinstance(source, Images):
        from dlcli.data.from_images import load_images
        from dlcli.data.image_reader import ImageReader

        return load_images(loaded, source, where, folders, _of(ImageReader, reader))
    if isinstance(source, Video):
        from dlcli.data.from_videos import load_videos
        from dlcli.data.video_reader import VideoReader

        return load_videos(loaded, source, where, folders, _of(VideoReader, reader))
    if isinstance(source, TfRecord):
        from dlcli.data.from_records import load_records
        from dlcli.data.record_reader import RecordReader

        return load_records(loaded, source, where, folders, _of(RecordReader, reader))
    if isinstance(source, Text):
        from dlcli.data.from_texts import load_texts
        from dlcli.data.text_reader import TextReader

        return load_texts(loaded, source, where, folders, _of(TextReader, reader))
    raise DlcliError(f"There is no loader for the source {source.name}.")


def restore_reader(state: Mapping[str, Any]) -> Reader:
    """What reads files as for a checkpoint, which keeps this state."""
    if state["kind"] == "table":
        from dlcli.data.table_reader import TableReader

        return TableReader.restore(state)
    if state["kind"] == "series":
        from dlcli.data.series_reader import SeriesReader

        return SeriesReader.restore(state)
    if state["kind"] == "arrays":
        from dlcli.data.array_reader import ArrayReader

        return ArrayReader.restore(state)
    if state["kind"] == "images":
        from dlcli.data.image_reader import ImageReader

        return ImageReader.restore(state)
    if state["kind"] == "video":
        from dlcli.data.video_reader import VideoReader

        return VideoReader.restore(state)
    if state["kind"] == "records":
        from dlcli.data.record_reader import RecordReader

        return RecordReader.restore(state)
    if state["kind"] == "texts":
        from dlcli.data.text_reader import TextReader

        return TextReader.restore(state)
    raise CheckpointError(f"The checkpoint's data was read in a way that this dlcli does not know: {state['kind']}.")


def _of(kind: type[Kind], reader: Reader | None) -> Kind | None:
    """The reader of a checkpoint, which must be of the kind that the source has. Raises DataError."""
    if reader is not None and not isinstance(reader, kind):
        raise DataError("The data is of another kind than what the model was trained on.")
    return reader


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
