"""Downloads a file: beside its place, checked, then renamed, so that nobody meets half of one or another one."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from dlcli.errors import DataError, RunError
from dlcli.files import replacing

DOWNLOAD_SECONDS = 30.0  # for each single wait for the network
_PIECE = 1 << 18  # bytes
_ALGORITHMS = {32: "md5", 64: "sha256"}  # by the digits of a digest


@dataclass(frozen=True)
class Remote:
    """A file that can be downloaded.

    Attributes:
        place: where it belongs, in a data folder.
        url: where it is.
        digest: SHA-256 or MD5 of its bytes, as Keras has it; None where Keras has none.
    """

    place: str
    url: str
    digest: str | None


class DownloadError(Exception):
    """A file did not come, or there is no place for it; says why."""


def download(remote: Remote, folder: Path, progressed: Callable[[str], None]) -> None:
    """Download a file into a data folder.

    Args:
        remote: the file.
        folder: the data folder, which is made if it is not there.
        progressed: is told every ten percent, as in "downloading mnist.npz: 40%".

    Raises:
        DownloadError: it did not come, or not all of it, or it cannot be written.
        DataError: it is another file than it should be.
    """
    target = folder / remote.place
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"the folder {target.parent} cannot be made: {error.strerror or error}") from error
    try:
        with replacing(target) as beside, beside.open("wb") as file:
            digest = _copied(remote, file, progressed)
            if remote.digest is not None and digest != remote.digest:
                message = f"What was downloaded from {remote.url} is not {target.name}: its digest is {digest}, "
                raise DataError(f"{message}that of Keras's file {remote.digest}.", "Nothing was kept. Try again later.")
    except RunError as error:
        raise DownloadError(error.message.removesuffix(".")) from error


def _copied(remote: Remote, file: IO[bytes], progressed: Callable[[str], None]) -> str:
    """Write what comes, and return its digest."""
    digest = hashlib.new(_ALGORITHMS[len(remote.digest or "0" * 64)], usedforsecurity=False)
    name, done, tenths = Path(remote.place).name, 0, 0
    with _opened(remote.url) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := _read(answer):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            if total and 10 * done // total > tenths:
                tenths = 10 * done // total
                progressed(f"downloading {name}: {10 * tenths}%")
    if done < total:
        raise DownloadError(f"the connection ended after {done:,} of {total:,} bytes")
    return digest.hexdigest()


def _opened(url: str) -> Any:
    try:
        return urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS)
    except (OSError, HTTPException) as error:
        raise DownloadError(_reason(error)) from error


def _read(answer: Any) -> bytes:
    # Told apart from what goes wrong with the disk, which is an OSError, too.
    try:
        piece: bytes = answer.read(_PIECE)
        return piece
    except (OSError, HTTPException) as error:
        raise DownloadError(_reason(error)) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason or type(error).__name__)
