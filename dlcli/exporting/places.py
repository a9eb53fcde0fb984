"""Where an exported model is put: a folder that is written beside, and takes its place as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlcli.errors import UsageError
from dlcli.files import writing_failed

SIGNATURE = "signature.json"


@contextmanager
def new_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `path` to write into: on success it becomes `path`, on failure nothing is left.

    Raises:
        UsageError: there is something at `path`, and it is not to be overwritten, or is no exported model.
        RunError: it cannot be written.
    """
    check_place(path, overwrite=overwrite)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        yield beside
        check_place(path, overwrite=overwrite)  # another process may have written meanwhile
        if path.exists():
            path.rename(old)
        beside.rename(path)
    except OSError as error:
        raise writing_failed(path, error) from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for left in (beside, old):
            shutil.rmtree(left, ignore_errors=True)


def check_place(path: Path, *, overwrite: bool) -> None:
    """Raises UsageError if there is something at `path` that must not be overwritten."""
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise UsageError(f"There is {path} already.", "--overwrite writes it anew; --output DIR writes elsewhere.")
    if not (path / SIGNATURE).is_file():
        message = f"{path} is no exported model: it has no {SIGNATURE}. It is not overwritten."
        raise UsageError(message, "Name another folder.")
