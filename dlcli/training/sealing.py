"""The seal at the end of a checkpoint's file: its length and a digest of its bytes, seen before HDF5 reads any of them.

HDF5 takes no notice of what stands behind its own end. A damaged file is told by its seal, and never parsed: the HDF5
library (1.14) can be led astray, or to crash, by a few wrong bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from dlcli.errors import CheckpointError

_MARK = b"dlcli-checkpoint-seal-1\n"
_DIGEST_BYTES = 16
_LENGTH = len(_MARK) + 8 + _DIGEST_BYTES
_CHUNK = 2**20


def seal(path: Path) -> None:
    """Append the seal to a whole file."""
    length = path.stat().st_size
    with path.open("rb") as file:
        digest = _digest(file, length)
    with path.open("ab") as file:
        file.write(_MARK + length.to_bytes(8, "little") + digest)


def is_sealed(path: Path) -> bool:
    """Whether the file has a seal, which is whole, and is as it was when it got it.

    Raises:
        CheckpointError: it has a seal, and is not as it was.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if size < _LENGTH:
        return False
    with path.open("rb") as file:
        file.seek(size - _LENGTH)
        mark, length, digest = file.read(len(_MARK)), int.from_bytes(file.read(8), "little"), file.read()
        if mark != _MARK:
            return False
        file.seek(0)
        if length != size - _LENGTH or _digest(file, length) != digest:
            raise CheckpointError(
                f"{path} is damaged: its bytes are not those that were written.",
                "Use another checkpoint of the run, such as last.h5 or best.h5.",
            )
    return True


def _digest(file: BinaryIO, length: int) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    while length > 0:
        chunk = file.read(min(_CHUNK, length))
        if not chunk:
            break
        digest.update(chunk)
        length -= len(chunk)
    return digest.digest()
