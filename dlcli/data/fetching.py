"""Downloading the data sets that Keras knows ahead of their use, and which of them are here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dlcli.data.download import DownloadError
from dlcli.data.finding import DATA_DIR_VARIABLE
from dlcli.data.keras_cache import DOWNLOADS, Reach, data_folders, fetch, find, keras_cache, unreachable
from dlcli.data.keras_sets import PLACES
from dlcli.errors import DataError, UsageError
from dlcli.spec.likeness import suggestion
from dlcli.spec.sources import SOURCES


@dataclass(frozen=True)
class Held:
    """One of the sets.

    Attributes:
        name: its name as a source.
        what: what it is, in a sentence.
        path: where it is; None if it is nowhere.
        size: how many bytes it has there.
        is_new: whether it was downloaded just now.
    """

    name: str
    what: str
    path: Path | None
    size: int
    is_new: bool = False


def held_sets(data_dir: Path | None) -> list[Held]:
    """All sets, with where they are. Raises DataError if `data_dir` is no folder."""
    folders = data_folders(data_dir)
    return [_held(name, folders) for name in DOWNLOADS]


def fetch_set(name: str, reach: Reach) -> Held:
    """Download a set, unless it is here: into `data_dir`, which is made; else DLCLI_DATA_DIR; else Keras's cache.

    If `data_dir` is given, it must be there.

    Raises:
        UsageError: there is no such set.
        UnreachableError: it cannot be downloaded.
        DataError: another file came, or the folder is none.
    """
    if name not in DOWNLOADS:
        hint = suggestion(name, DOWNLOADS) or f"These are: {', '.join(DOWNLOADS)}."
        raise UsageError(f"There is no set `{name}` to download.", hint)
    named = reach.data_dir or (Path(given) if (given := os.environ.get(DATA_DIR_VARIABLE)) else None)
    folder = named.expanduser() if named is not None else keras_cache()
    if folder is not None and folder.exists() and not folder.is_dir():
        raise DataError(f"The data folder {folder} is not a folder.", "Name another with --data-dir.")
    held = _held(name, [folder] if reach.data_dir is not None and folder else data_folders(None))
    if held.path is not None:
        return held
    try:
        place = fetch(name, folder, reach)
    except DownloadError as error:
        raise unreachable(name, [folder] if folder else [], str(error)) from error
    found = _held(name, [place])
    return Held(found.name, found.what, found.path, found.size, is_new=True)


def _held(name: str, folders: list[Path]) -> Held:
    places = [(place, None) for place, _ in PLACES[name]] if name in PLACES else [(f"{name}.npz", None)]
    what = (SOURCES[name].__doc__ or "").strip().splitlines()[0]
    found = find(places, folders)
    if found is None:
        return Held(name, what, None, 0)
    path = found[0]
    whole = path if path.parent in folders else path.parent  # of several files in a folder, one is looked for
    return Held(name, what, whole, _size(whole))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    try:
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:
        return 0
