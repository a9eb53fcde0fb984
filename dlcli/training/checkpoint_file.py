"""The HDF5 file of a checkpoint: opening it without harm, and the digest of its content. Imports no TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.errors import CheckpointError
from dlcli.training.inspection import check_structure

GROUP = "dlcli"
"""the group with all that is dlcli's own"""


def check_signature(path: Path) -> None:
    """See that a file is one of HDF5's, by its first bytes alone. Raises CheckpointError."""
    if not h5py.is_hdf5(path):
        raise CheckpointError(
            f"{path} is not an HDF5 file.", "Name a .h5 file that `dlcli train` or Keras's `model.save` wrote."
        )


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The open file of a checkpoint, or of what plain Keras saved; its links and headers are looked at first.

    Raises:
        CheckpointError: also for what goes wrong while it is read.
    """
    try:
        with h5py.File(path, "r") as file:
            check_structure(file, path)
            if "model_config" not in file.attrs and "model_weights" not in file:
                message = f"{path} is an HDF5 file, but not a Keras model: it has no `model_config`."
                raise CheckpointError(message, "Name a file that `dlcli train` or Keras's `model.save` wrote.")
            yield file
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise unreadable(path, error) from error


def read_everything(file: h5py.File) -> None:
    """Read each attribute and array once, for whoever wants to see that they can be read."""
    digest_of(file)


def unreadable(path: Path, error: Exception) -> CheckpointError:
    """The error that a person should see when reading `path` failed with `error`."""
    text = str(error)
    if isinstance(error, PermissionError):
        return CheckpointError(f"Cannot read {path}: {error.strerror}.")
    if "truncated" in text:
        return CheckpointError(f"{path} is cut off: it is shorter than it was written.", "Use another checkpoint.")
    return CheckpointError(f"{path} is damaged: {first_line(error)}.", "Use another checkpoint.")


def first_line(error: Exception) -> str:
    """The first line of an error's message, without its full stop."""
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")


def content_digest(path: Path) -> str:
    """What a checkpoint of dlcli's says is the digest of its content. Raises CheckpointError."""
    with opened(path) as file:
        return str(file[GROUP]["digest"].asstr()[()])


def digest_of(file: h5py.File) -> str:
    """A digest of every attribute and dataset of the file, in the order of their names, except the digest itself."""
    digest = hashlib.blake2b(digest_size=16)

    def attributes(owner: Any) -> None:
        for name in sorted(owner.attrs):
            digest.update(f"@{name}={_bytes(owner.attrs[name])!r}".encode())

    def walk(group: Mapping[str, Any], path: str) -> None:
        attributes(group)
        for name in sorted(group):
            item, place = group[name], f"{path}/{name}"
            if place == f"/{GROUP}/digest":
                continue
            digest.update(place.encode())
            if isinstance(item, h5py.Group):
                walk(item, place)
            else:
                attributes(item)
                digest.update(f"{item.dtype}{item.shape}".encode())
                digest.update(_bytes(item[()]))

    walk(file, "")
    return digest.hexdigest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if getattr(value, "dtype", None) == np.dtype(object):  # an array of texts
        return repr(value.tolist()).encode()
    return bytes(value.tobytes()) if hasattr(value, "tobytes") else repr(value).encode()
