"""Writing files so that a reader never meets half of one: write beside, flush to disk, rename.

What the files hold is decided elsewhere.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlcli.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it becomes `path`, on failure it is removed.

    Raises:
        RunError: the disk is full, or the folder cannot be written to; `path` is then as it was before.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise writing_failed(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path`, whole or not at all; NaN and infinities, which JSON lacks, as null."""
    write_text(path, to_json(value, indent=2) + "\n")


def read_small(path: str) -> bytes:
    """The content of a small file: of thousands, pathlib takes more time than all else. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def to_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON, on one line unless indented; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def writing_failed(path: Path, error: OSError) -> RunError:
    """The error that a person should see when writing `path` failed with `error`."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENOSPC or "No space left" in str(error):
        return RunError(f"Cannot write {path}: the disk is full.", "Free some space, or name another --runs-dir.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(f"Cannot write {path}: {reason}.", "Check its permissions, or name another --runs-dir.")
    return RunError(f"Cannot write {path}: {reason}.")
