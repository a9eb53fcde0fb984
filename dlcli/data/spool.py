"""A file for numbers that do not fit into memory: nobody else sees it, and it is gone with this process."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.memory import readable_bytes
from dlcli.data.stored import Read, Stored
from dlcli.errors import DataError

_LARGE_ONES = Path("/var/tmp")  # on a disk, where /tmp may be in memory (file-hierarchy(7))
_HINT = "Name a folder with more room in the environment: TMPDIR."


def folder() -> Path:
    """Where such files are: what TMPDIR says, else a folder of the system for large temporary files."""
    is_said = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    if not is_said and os.access(_LARGE_ONES, os.W_OK):
        return _LARGE_ONES
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        message = f"There is no folder for temporary files: {error.strerror or error}."
        raise DataError(message, "Name one in the environment: TMPDIR.") from error


class Spool:
    """A temporary file that has no name (where the system allows that), so that nothing is left of it when it is
    closed, or when the process ends in whatever way.

    Args:
        needed: how many bytes will be written; about, if that is not known.

    Raises:
        DataError: there is no room for them.
    """

    def __init__(self, needed: int) -> None:
        where = folder()
        free = shutil.disk_usage(where).free
        if needed > free:
            message = f"What the table has needs {readable_bytes(needed)} of room while it is used, on the disk"
            raise DataError(f"{message} of {where}, but {readable_bytes(free)} are free there.", _HINT)
        try:
            # Not buffered, so that readers of other threads see all that is written.
            self._file = tempfile.TemporaryFile(buffering=0, dir=where, prefix="dlcli-")  # noqa: SIM115
        except OSError as error:
            raise DataError(f"No temporary file can be made in {where}: {error.strerror or error}.", _HINT) from error
        self.folder, self.size = where, 0
        self._lock = Lock()
        self.close = weakref.finalize(self, self._file.close)

    def append(self, data: bytes | memoryview) -> int:
        """Write bytes at the end; where they begin. Raises DataError if there is no room."""
        begin, left = self.size, memoryview(data)
        self.size += len(left)
        try:
            while len(left):
                left = left[self._file.write(left) :]
        except OSError as error:
            message = f"A temporary file in {self.folder} cannot be written on: {error.strerror or error}."
            raise DataError(message, _HINT) from error
        return begin

    def read_into(self, memory: memoryview, begin: int) -> None:
        """Fill memory with the bytes from `begin` on, which were written before. Raises DataError."""
        with self._lock:
            self._file.seek(begin)
            while len(memory):
                done = self._file.readinto(memory)
                if not done:
                    raise DataError(f"A temporary file in {self.folder} has become shorter.")
                memory = memory[done:]

    def read(self, begin: int, count: int) -> bytearray:
        """So many bytes from `begin` on. Raises DataError."""
        found = bytearray(count)
        self.read_into(memoryview(found), begin)
        return found


@dataclass(frozen=True)
class Spooled(Stored):
    """Rows of numbers that are all there is in a spool.

    Attributes:
        spool: the file.
        seen: a digest of all its bytes.
    """

    spool: Spool
    seen: str

    @property
    def digest(self) -> str:
        """See `Stored.digest`."""
        return self.seen

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        yield self._read

    def _read(self, first: int, count: int) -> Array:
        rows = np.empty((count, *self.shape[1:]), self.dtype)
        self.spool.read_into(memoryview(rows.reshape(-1).view(np.uint8).data), first * self.row_bytes)
        return rows
