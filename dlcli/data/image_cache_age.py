"""Which files of decoded pictures are out of date, since their images have changed; those that nobody reads go."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dlcli.data.memory import readable_bytes
from dlcli.data.where import Where

try:
    import fcntl
except ImportError:  # Windows: nothing is removed there
    fcntl = None  # type: ignore[assignment]

_HELD: dict[Path, int] = {}
"""what this process reads, as file descriptors: it lets go of them when it ends"""


def described(files: Sequence[Path]) -> dict[str, Any]:
    """What tells later whether images have changed: their common folder, and the place, size and time of each."""
    absolute = [str(file.absolute()) for file in files]
    folder = os.path.commonpath([str(Path(file).parent) for file in absolute])
    return {"folder": folder, "files": [[os.path.relpath(file, folder), *_status(Path(file))] for file in absolute]}


def _status(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def hold(path: Path) -> None:
    """Let other processes know, as long as this one lives, that it reads a file of decoded pictures."""
    if fcntl is None or (path in _HELD and os.path.samestat(os.fstat(_HELD[path]), path.stat())):
        return
    file = os.open(path, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    if path in _HELD:
        os.close(_HELD.pop(path))  # it was written anew meanwhile
    _HELD[path] = file


def remove_outdated(path: Path, where: Where) -> None:
    """Remove the files beside this one that are of images in the same folder, and of how these no longer are.

    One that a process reads stays, and so does one that was written before there was a record of its images.
    """
    if fcntl is None:
        return
    folder = _recorded(path).get("folder")
    for other in sorted(path.parent.glob("images-*.npy")):
        record = _recorded(other) if other != path else {}
        if folder is not None and record.get("folder") == folder and _has_changed(record):
            size = _remove(other)
            if size is not None:
                where.notify(f"{other} is removed ({readable_bytes(size)}): the images that it was of have changed.")


def _recorded(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "files" in found else {}


def _has_changed(record: dict[str, Any]) -> bool:
    folder = Path(record["folder"])
    return any(_status(folder / name) != (size, time) for name, size, time in record["files"])


def _remove(path: Path) -> int | None:
    """Remove a file, with its record; how many bytes it had. None if somebody reads or makes it, or it cannot be."""
    with suppress(Timeout, OSError), FileLock(path.with_suffix(".lock"), timeout=0), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = os.fstat(file.fileno()).st_size
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
        return size
    return None
