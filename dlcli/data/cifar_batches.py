"""Reading CIFAR's pickled batches, from a folder or straight from the archive, without letting a pickle run anything.

Form of the batches: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array, Examples
from dlcli.data.keras_files import REPLACE, ImageSet, TrainAndTest, checked, described
from dlcli.data.pickles import PickledArray, read_pickle
from dlcli.errors import DataError

# name -> files of training, files of test, and the key of the labels
_FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "cifar10": (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",), "labels"),
    "cifar100": (("train",), ("test",), "fine_labels"),
}
_PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_LARGEST = 1 << 28  # bytes of one batch; CIFAR-100's 50,000 images are 155 MB


def read_batch_folder(marker: Path, image_set: ImageSet) -> TrainAndTest:
    """Read the batches in the folder of `marker`.

    Raises:
        DataError: a batch is missing, damaged, not what it should be, or asks to run something.
    """
    folder = marker.parent
    train_files, test_files, _ = _FORMS[image_set.name]
    batches = {}
    for name in (*train_files, *test_files):
        path = folder / name
        try:
            with path.open("rb") as stream:
                batches[name] = _batch(stream, image_set, where=path)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}.", REPLACE) from error
    return _joined(batches, image_set, where=folder)


def read_batch_archive(path: Path, image_set: ImageSet) -> TrainAndTest:
    """Read the batches out of the .tar.gz in one pass; nothing is written to disk.

    Raises:
        DataError: as `read_batch_folder`, or the archive is damaged.
    """
    train_files, test_files, _ = _FORMS[image_set.name]
    wanted = {*train_files, *test_files}
    try:
        with tarfile.open(path, "r:gz") as archive:
            batches = {
                name: _batch(stream, image_set, where=f"{path}, {name}") for name, stream in _members(archive, wanted)
            }
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged or cannot be read: {error}.", REPLACE) from error
    missing = sorted(wanted - batches.keys())
    if missing:
        raise DataError(f"{path} has no {', '.join(missing)}.", REPLACE)
    return _joined(batches, image_set, where=path)


def _members(archive: tarfile.TarFile, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The wanted files of an archive, in its order, under their last names."""
    for member in archive:
        name = member.name.rpartition("/")[2]
        if name in wanted and member.isreg() and member.size <= _LARGEST:
            stream = archive.extractfile(member)
            if stream is not None:
                with stream:
                    yield name, stream


def _batch(stream: IO[bytes], image_set: ImageSet, *, where: Path | str) -> tuple[Array, Array]:
    """One batch: bytes of shape (n, 3072) in the order channel, row, column; and n labels."""
    content = read_pickle(stream, where=where, what="a batch of images", again=_PAGE)
    label_key = _FORMS[image_set.name][2]
    images, labels = (_value(content, key, where=where) for key in ("data", label_key))
    if isinstance(images, PickledArray):
        images = images.numbers()
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3072,):
        raise DataError(f"{where}: `data` should be uint8 of shape (n, 3072), but is {described(images)}.", REPLACE)
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{where}: `{label_key}` should be a list of whole numbers.", REPLACE)
    try:
        return images, np.array(labels, dtype=np.int64)
    except OverflowError as error:
        raise DataError(f"{where}: `{label_key}` has numbers far beyond any class.", REPLACE) from error


def _value(content: object, key: str, *, where: Path | str) -> object:
    """The value of `key`, which Python 2 wrote as bytes and Python 3 writes as text."""
    if isinstance(content, dict):
        for spelling in (key.encode(), key):
            if spelling in content:
                return content[spelling]
    raise DataError(f"{where} has no `{key}`.", REPLACE)


def _joined(batches: dict[str, tuple[Array, Array]], image_set: ImageSet, *, where: Path) -> TrainAndTest:
    """All batches as channels-last images; each batch is let go as soon as it is copied into its place."""
    train_files, test_files, _ = _FORMS[image_set.name]
    parts: list[Examples] = []
    for files in (train_files, test_files):
        images = empty((sum(len(batches[name][0]) for name in files), *image_set.shape), np.uint8)
        labels = np.concatenate([batches[name][1] for name in files])
        start = 0
        for name in files:
            data = batches.pop(name)[0].reshape(-1, 3, 32, 32)
            images[start : start + len(data)] = data.transpose(0, 2, 3, 1)
            start += len(data)
        parts.append(checked(images, labels, image_set=image_set, where=where))
    train, test = parts
    return train, test
