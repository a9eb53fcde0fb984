"""Whether an HDF5 file can be read without harm: nothing in it leads elsewhere, or claims to be larger than the file.

A file without a seal (see `dlcli.training.sealing`) is first read by a process of its own, since the HDF5 library may
crash, or never end, on a damaged one. Imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py

from dlcli.errors import CheckpointError

# No model has as many groups and arrays.
_MOST_OBJECTS = 200_000
_MOST_SECONDS = 60
_MOST_BYTES = 4 * 2**30
# Zeros compressed by gzip become so much smaller, and nothing else does.
_MOST_COMPRESSION = 1000
_SMALL = 4096


class _Harmful(Exception):
    """What is wrong with the file."""


def check_structure(file: h5py.File, path: Path) -> None:
    """Look at every link and header in an open file, before anything is read.

    Raises:
        CheckpointError: something leads out of the file, or claims more bytes than there are.
    """
    try:
        _Walk(path.stat().st_size).group(file, "")
    except _Harmful as error:
        raise CheckpointError(f"{path} is not used: {error}.", "Keras and dlcli never write such a file.") from error


class _Walk:
    def __init__(self, file_size: int) -> None:
        self.file_size = file_size
        self._seen: set[Any] = set()

    def group(self, group: Any, place: str) -> None:
        self._attributes(group, place or "/")
        for name in group:
            inner = f"{place}/{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise _Harmful(f"`{inner}` is a link to another file, {link.filename}")
            if not isinstance(link, h5py.HardLink):
                raise _Harmful(f"`{inner}` is a link, to {getattr(link, 'path', 'elsewhere')}")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in self._seen:
                raise _Harmful(f"`{inner}` is the same as another part of the file")
            self._seen.add(address)
            if len(self._seen) > _MOST_OBJECTS:
                raise _Harmful(f"it has more than {_MOST_OBJECTS:,} parts")
            if isinstance(item, h5py.Group):
                self.group(item, inner)
            elif isinstance(item, h5py.Dataset):
                self._dataset(item, inner)
            else:
                raise _Harmful(f"`{inner}` is neither a group nor an array")

    def _attributes(self, owner: Any, place: str) -> None:
        for name in owner.attrs:
            header = owner.attrs.get_id(name)
            self._size(header.shape, header.dtype, self.file_size, f"{place}@{name}")

    def _dataset(self, dataset: Any, place: str) -> None:
        self._attributes(dataset, place)
        if dataset.external:
            raise _Harmful(f"`{place}` has its numbers in another file, {dataset.external[0][0]}")
        if dataset.is_virtual:
            raise _Harmful(f"`{place}` has its numbers in other files")
        stored = dataset.id.get_storage_size()
        if dataset.id.get_create_plist().get_nfilters():
            stored *= _MOST_COMPRESSION
        self._size(dataset.shape, dataset.dtype, max(stored, _SMALL), place)

    def _size(self, shape: Any, dtype: Any, most: int, place: str) -> None:
        if dtype.kind not in "biufSUO" or (dtype.kind == "O" and h5py.check_string_dtype(dtype) is None):
            raise _Harmful(f"`{place}` holds neither numbers nor texts")
        size = math.prod(shape or ()) * dtype.itemsize
        if size > most:
            there = min(most, self.file_size)
            raise _Harmful(f"`{place}` claims to have {size:,} bytes, of which the file has {there:,}")


def inspect_apart(path: Path) -> None:
    """Let another process read all of the file, with limits to its time and memory.

    Raises:
        CheckpointError: the file cannot be read, or the process did not outlive it.
    """
    command = [sys.executable, "-m", __name__, str(path)]
    hint = "Use another checkpoint of the run, such as last.h5 or best.h5."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS + 10, check=False)
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(f"{path} is damaged: reading it does not end.", hint) from error
    if done.returncode == 0:
        return
    try:
        told = json.loads(done.stdout)
    except ValueError as error:
        message = f"{path} is damaged: reading it ends the HDF5 library (exit status {done.returncode})."
        raise CheckpointError(message, hint) from error
    raise CheckpointError(told["message"], told["hint"])


def _main(path: Path) -> int:
    """In the process of its own: read all of the file; what is wrong goes to standard output."""
    _limit(_MOST_BYTES + path.stat().st_size)
    from dlcli.training.checkpoint_file import opened, read_everything

    try:
        with opened(path) as file:
            read_everything(file)
    except CheckpointError as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint}))
        return 1
    return 0


def _limit(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows: there the time is limited, and not the memory
        return
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
