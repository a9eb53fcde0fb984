"""Where the data sets that Keras knows are looked for: folders of data, Keras's cache; and their download."""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from dlcli.data.download import DownloadError, Remote, download
from dlcli.data.finding import DATA_DIR_VARIABLE
from dlcli.errors import DataError

PROBE_SECONDS = 5.0  # for the whole question whether a host answers

Notify = Callable[[str], None]
Way = TypeVar("Way")
_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"


def _keras_file(name: str, digest: str | None, folder: str = "") -> Remote:
    return Remote(f"{folder}{name}", f"{_KERAS}{name}", digest)


# With the digests of Keras 3.15.1. The last file of a set is the one that it is known by.
DOWNLOADS: dict[str, tuple[Remote, ...]] = {
    "mnist": (_keras_file("mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),),
    "fashion_mnist": tuple(
        _keras_file(f"{name}-ubyte.gz", None, "fashion-mnist/")
        for name in ("train-labels-idx1", "train-images-idx3", "t10k-labels-idx1", "t10k-images-idx3")
    ),
    "cifar10": (
        Remote(
            "cifar-10-python.tar.gz",
            f"{_CIFAR}cifar-10-python.tar.gz",
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        ),
    ),
    "cifar100": (
        Remote(
            "cifar-100-python.tar.gz",
            f"{_CIFAR}cifar-100-python.tar.gz",
            "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        ),
    ),
    "imdb": (
        _keras_file("imdb_word_index.json", "bfafd718b763782e994055a2d397834f"),
        _keras_file("imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"),
    ),
    "reuters": (
        _keras_file("reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921"),
        _keras_file("reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"),
    ),
    "california_housing": (
        _keras_file("california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"),
    ),
}
"""the files of each set"""


class UnreachableError(DataError):
    """Data is in none of the places where it is looked for, and cannot be downloaded; a fallback may stand in."""


@dataclass(frozen=True)
class Reach:
    """How far somebody goes for data.

    Attributes:
        data_dir: a folder to look in before all others.
        allow_download: whether what is in no folder may be downloaded into Keras's cache.
        notify: is told of a download.
        progressed: is told how far it is.
    """

    data_dir: Path | None
    allow_download: bool
    notify: Notify
    progressed: Notify


def located(name: str, places: Sequence[tuple[str, Way]], reach: Reach, *, stand_in: str = "") -> tuple[Path, Way]:
    """The first place that has a set, and the way in which it is read there; it is downloaded if none has.

    Args:
        name: of the set.
        places: what to look for in each folder, in this order.
        reach: where to look.
        stand_in: the fallback to suggest, where there is one.

    Raises:
        UnreachableError: it is in no folder and cannot be downloaded.
        DataError: `data_dir` is no folder, or another file was downloaded.
    """
    folders = data_folders(reach.data_dir)
    found = find(places, folders)
    if found is None:
        try:
            cache = fetch(name, keras_cache(), reach)
        except DownloadError as error:
            raise unreachable(name, folders, str(error), stand_in) from error
        found = find(places, [cache])
    if found is None:
        raise DataError(f"What was downloaded of {name} is gone again.", "Try again.")
    return found


def fetch(name: str, folder: Path | None, reach: Reach) -> Path:
    """Download those files of a set that a folder does not have; the folder.

    Raises:
        DownloadError: they cannot be had, or not be written.
        DataError: another file came.
    """
    if folder is None:
        raise DownloadError("there is no home folder to put it in")
    missing = [remote for remote in DOWNLOADS[name] if not exists(folder / remote.place)]
    if not missing:
        return folder
    reason = probe(missing[0].url) if reach.allow_download else "downloading is switched off"
    if reason is not None:
        raise DownloadError(reason)
    for remote in missing:
        reach.notify(f"Downloading {remote.url} into {folder}.")
        download(remote, folder, reach.progressed)
    return folder


def data_folders(data_dir: Path | None) -> list[Path]:
    """The folders to look in, whether they exist or not. Raises DataError if that of --data-dir is none."""
    folders = []
    if data_dir is not None:
        folder = data_dir.expanduser()
        if not folder.is_dir():
            raise DataError(f"The data folder {folder} is not a folder.", "Give --data-dir a folder that exists.")
        folders.append(folder)
    if named := os.environ.get(DATA_DIR_VARIABLE):
        folders.append(Path(named).expanduser())
    cache = keras_cache()
    return [*folders, *([cache] if cache is not None else [])]


def keras_cache() -> Path | None:
    """The folder where Keras keeps data; None where no home folder can be made out."""
    with suppress(RuntimeError):
        return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
    return None


def find(places: Sequence[tuple[str, Way]], folders: Sequence[Path]) -> tuple[Path, Way] | None:
    """The first place of a folder that is there, and what goes with it."""
    for folder in folders:
        for place, way in places:
            if exists(folder / place):
                return folder / place, way
    return None


def exists(path: Path) -> bool:
    """Whether `path` is there; a folder that may not be entered, as another user's home, counts as empty."""
    try:
        return path.exists()
    except OSError:
        return False


def unreachable(name: str, folders: Sequence[Path], reason: str, stand_in: str = "") -> UnreachableError:
    """The error that a set cannot be had, for this reason."""
    looked_in = ", ".join(str(folder) for folder in folders)
    *_, last = DOWNLOADS[name]
    hint = f"Put {Path(last.place).parts[0]} into a folder and name it with --data-dir or {DATA_DIR_VARIABLE}"
    if stand_in:
        hint += f", or add `fallback: {stand_in}` to the dataset"
    return UnreachableError(
        f"{name} is not in {looked_in}, and it cannot be downloaded from {last.url}: {reason}.", f"{hint}."
    )


def probe(url: str, *, seconds: float = PROBE_SECONDS) -> str | None:
    """Ask whether the host of `url`, or the proxy in front of it, takes a connection.

    Name resolution knows no time limit of its own, so the question is asked in a thread that is left behind when
    `seconds` have passed.

    Returns:
        None where it answers; otherwise why it does not.
    """
    host, port = _first_hop(url)
    answer: list[str | None] = []

    def ask() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            answer.append(None)
        except (OSError, ValueError) as error:
            answer.append(f"{host}: {getattr(error, 'strerror', None) or error}")

    thread = threading.Thread(target=ask, daemon=True, name="dlcli-probe")
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else f"{host} does not answer within {seconds:g} seconds"


def _first_hop(url: str) -> tuple[str, int]:
    """The host and port that a download of `url` connects to: a proxy where the environment names one."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
