"""Where the files of a source are: beside the spec, or in a folder for data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec

DATA_DIR_VARIABLE = "DLCLI_DATA_DIR"
"""the environment's name for a folder of data"""


def folders_of(loaded: LoadedSpec, where: Where) -> tuple[Path, ...]:
    """The folders that a path of the spec's source may be relative to, in the order in which they are looked into.

    They are the folder asked for, that of the file in which the source is written, those that `where` knows, and the
    one in the environment.
    """
    folders = [where.data_dir] if where.data_dir is not None else []
    if loaded.document is not None:
        folders.append(Path(loaded.document.mark(("dataset", "source")).text.name).absolute().parent)
    folders += where.beside
    if named := os.environ.get(DATA_DIR_VARIABLE):
        folders.append(Path(named))
    return tuple(dict.fromkeys(folder.expanduser() for folder in folders))


def folder_of(names: Iterable[str], folders: Sequence[Path]) -> Path | None:
    """The folder that these paths are relative to; None if they are not."""
    first = Path(next(iter(names))).expanduser()
    return None if first.is_absolute() else next((folder for folder in folders if _there(folder / first)), None)


def _there(place: Path) -> list[Path]:
    """What is at a place; `*` and `?` stand for anything."""
    if any(sign in str(place) for sign in "*?["):
        place = place.absolute()
        return sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor))))
    return [place] if _exists(place) else []


def find_all(names: Iterable[str], folders: Sequence[Path]) -> list[Path]:
    """The files or folders that these paths mean; `*` and `?` stand for what is there. Raises DataError."""
    return [path for name in names for path in _find(name, folders)]


def refuse_twice(paths: Sequence[Path], tested: Sequence[Path]) -> None:
    """Raises DataError for a file that is named twice, or that is to train and to test on."""
    seen: set[Path] = set()
    for path in [*paths, *tested]:
        whole = path.resolve()
        if whole in seen and path in tested:
            raise DataError(f"{path} is both to train and to test on: the score would mean nothing.")
        if whole in seen:
            raise DataError(f"{path} is named twice.", "Each row would be there twice, also in two splits.")
        seen.add(whole)


def find_one(name: str, folders: Sequence[Path]) -> Path:
    """The folder or file that a path means. Raises DataError if there is none, or more than one."""
    [found, *others] = find_all([name], folders)
    if others:
        message = f"{name} means {len(others) + 1} folders or files: {found}, {others[0]}" + (" …" * (len(others) > 1))
        raise DataError(f"{message}.", "Name one of them; a folder may have folders in it.")
    return found


def _find(name: str, folders: Sequence[Path]) -> list[Path]:
    written = Path(name).expanduser()
    places = [written] if written.is_absolute() else [folder / written for folder in folders]
    for place in places:
        if found := _there(place):
            return found
    looked = ", ".join(str(place.parent if written.is_absolute() else place) for place in places)
    hint = None if written.is_absolute() else "A path is relative to the spec's file, or to the folder of --data-dir."
    raise DataError(f"There is no {name}; looked for {looked}.", hint)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
