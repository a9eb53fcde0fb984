"""TFRecord files: where each record is, and the bytes of records, checked. What is in a record is decided elsewhere.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these, its bytes, and the masked CRC-32C of
those (tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from dlcli.data.checksums import masked_crc32c
from dlcli.data.dataset import Array
from dlcli.data.memory import available_memory, readable_bytes
from dlcli.errors import DataError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_BYTES_AT_ONCE = 16 * 2**20
_CHECKED_AT_ONCE = 2**12  # headers
_SHARE = 0.5  # of the memory, for what must be held there
SKIP = "Copy or write the file again; or write `corrupt: skip` in `tfrecord`, and such records are left out."
Messages: TypeAlias = Iterator[tuple[int, list[bytes]]]
Read: TypeAlias = Callable[[int, int], Messages]
"""reads records: the first one, and how many; some at a time, each time with the number of the first one"""


class DamagedError(Exception):
    """A record is not as it was written; the text says why."""


@dataclass(frozen=True)
class RecordFile:
    """Where the records of one file are.

    Attributes:
        path: the file.
        offsets: where the bytes of each record begin, int64 of shape (n,).
        lengths: how many they are, int64 of shape (n,).
        numbers: which record of the file each is, counted from 0: some may be left out.
        content: all of it, if it was compressed.
    """

    path: Path
    offsets: Array
    lengths: Array
    numbers: Array
    content: bytes | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def place(self, row: int) -> str:
        """Which record a row is, for a message."""
        start = self.offsets[row] - _HEADER.size
        return f"record {self.numbers[row]} of {self.path}, counted from 0, at byte {start}"

    def only(self, rows: Array) -> RecordFile:
        """Some of its records."""
        return replace(self, offsets=self.offsets[rows], lengths=self.lengths[rows], numbers=self.numbers[rows])

    def read(self, file: BinaryIO | None, first: int, end: int) -> tuple[list[bytes], Array]:
        """The bytes of neighbouring records, and what their checksums are to be; uint32. Raises DataError."""
        begin = int(self.offsets[first])
        size = int(self.offsets[end - 1] + self.lengths[end - 1]) + _FOOTER.size - begin
        if file is None:
            held = (self.content or b"")[begin : begin + size]
        else:
            file.seek(begin)
            held = file.read(size)
        if len(held) < size:
            raise DataError(f"{self.path} has become shorter while it was read.")
        starts = (self.offsets[first:end] - begin).tolist()
        stops = [start + length for start, length in zip(starts, self.lengths[first:end].tolist(), strict=True)]
        sums = [_FOOTER.unpack_from(held, stop)[0] for stop in stops]
        return [held[start:stop] for start, stop in zip(starts, stops, strict=True)], np.asarray(sums, np.uint32)


@dataclass(frozen=True)
class Records:
    """The records of one file or several, one behind the other.

    Attributes:
        files: where they are.
    """

    files: tuple[RecordFile, ...]

    def __len__(self) -> int:
        return sum(map(len, self.files))

    def __str__(self) -> str:
        more = len(self.files) - 1
        return str(self.files[0].path) + (f" and {more:,} more" if more else "")

    @property
    def is_held(self) -> bool:
        """Whether a file is compressed, so that it is in memory as a whole."""
        return any(file.content is not None for file in self.files)

    @property
    def mean_bytes(self) -> int:
        """How many bytes of a file a record takes."""
        return max(1, sum(int(file.lengths.sum()) for file in self.files) // max(1, len(self)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(file.path for file in self.files)

    def place(self, row: int) -> str:
        """Which record a row is, for a message."""
        file, row = self._of(row)
        return self.files[file].place(row)

    def _of(self, row: int) -> tuple[int, int]:
        ends = np.cumsum([len(file) for file in self.files]).tolist()
        file = bisect_right(ends, row)
        return file, row - (ends[file - 1] if file else 0)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """Yield what reads neighbouring records, each as it was written. Raises DataError if one is not."""

        def read(first: int, count: int) -> Messages:
            for row, messages, is_bad in self.parts(first, count):
                if is_bad.any():
                    bad = row + int(np.flatnonzero(is_bad)[0])
                    message = f"{capital(self.place(bad))}, is damaged: its checksum is another one."
                    raise DataError(message, SKIP)
                yield row, messages

        yield read

    def parts(self, first: int, count: int) -> Iterator[tuple[int, list[bytes], Array]]:
        """Neighbouring records, some megabytes at a time: the number of the first, their bytes, and which are bad."""
        done = 0
        while done < count:
            number, row = self._of(first + done)
            file = self.files[number]
            end = min(len(file), row + count - done)
            with _open(file) as opened:
                for begin, stop in _pieces(file, row, end):
                    messages, sums = file.read(opened, begin, stop)
                    yield first + done, messages, masked_crc32c(messages) != sums
                    done += stop - begin

    def without(self, is_bad: Array) -> Records:
        """The other records."""
        ends = np.cumsum([len(file) for file in self.files])[:-1]
        parts = zip(self.files, np.split(~is_bad, ends), strict=True)
        return Records(tuple(file.only(np.flatnonzero(good)) for file, good in parts if good.any()))


def capital(text: str) -> str:
    """A text as the beginning of a sentence."""
    return text[0].upper() + text[1:]


def _pieces(file: RecordFile, first: int, end: int) -> Iterator[tuple[int, int]]:
    """Parts of the rows from one up to another that are some megabytes each."""
    while first < end:
        limit = file.offsets[first] + _BYTES_AT_ONCE
        stop = max(first + 1, min(end, int(np.searchsorted(file.offsets, limit))))
        yield first, stop
        first = stop


@contextmanager
def _open(file: RecordFile) -> Iterator[BinaryIO | None]:
    if file.content is not None:
        yield None
        return
    try:
        with file.path.open("rb", buffering=0) as opened:
            yield opened
    except OSError as error:
        raise DataError(f"{file.path} can no longer be read: {error.strerror or error}.") from error


def open_records(
    paths: Sequence[Path], compression: str | None, left_out: Callable[[str], None] | None = None
) -> Records:
    """Where the records of files are.

    Args:
        paths: the files.
        compression: "gzip", "zlib" or "none"; None to tell by the first bytes of each.
        left_out: is told of records that cannot be found, since the length of one is damaged; None: that is an error.

    Raises:
        DataError: a file cannot be read, or has no records; or is damaged.
    """
    found = []
    for path in paths:
        try:
            how = compression or compression_of(path)
            if how == "none":
                with path.open("rb", buffering=0) as file:
                    found.append(_indexed(path, file, path.stat().st_size, None, left_out))
            else:
                content = _unpacked(path, how)
                found.append(_indexed(path, None, len(content), content, left_out))
        except OSError as error:
            reason = error.strerror or str(error)
            raise DataError(f"{path} cannot be read: {reason}.") from error
    records = Records(tuple(file for file in found if len(file)))
    if not records.files:
        raise DataError(f"{found[0].path} has no records.", "It is empty.")
    return records


def compression_of(path: Path) -> str:
    """How a file is compressed: "none" if it begins with a length and its checksum, or as nothing that is known."""
    with path.open("rb") as file:
        first = file.read(_HEADER.size)
    if len(first) < _HEADER.size or masked_crc32c([first[:8]])[0] == _FOOTER.unpack_from(first, 8)[0]:
        return "none"
    if first.startswith(b"\x1f\x8b"):  # RFC 1952, section 2.3.1
        return "gzip"
    is_zlib = first[0] & 15 == 8 and int.from_bytes(first[:2], "big") % 31 == 0  # RFC 1950, section 2.2
    return "zlib" if is_zlib else "none"


def _unpacked(path: Path, how: str) -> bytes:
    """All of a compressed file. Raises DataError if it is damaged, or does not fit into memory."""
    available, size, parts = available_memory(), 0, []
    try:
        for part in _gzip_parts(path) if how == "gzip" else _zlib_parts(path):
            parts.append(part)
            size += len(part)
            if available is not None and size > _SHARE * available:
                message = f"{path} is compressed, and has {readable_bytes(size)} of records or more"
                hint = "Write the records anew without compression: then they can stay in their file."
                raise DataError(f"{message}: they do not fit into half of the memory that is free.", hint)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path} is not a whole file of {how} data: {str(error).rstrip('.')}."
        raise DataError(message, "Copy or write it again; `compression` says how it is compressed.") from error
    return b"".join(parts)


def _gzip_parts(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while part := file.read(_BYTES_AT_ONCE):
            yield part


def _zlib_parts(path: Path) -> Iterator[bytes]:
    unpacking = zlib.decompressobj()
    with path.open("rb") as file:
        while part := file.read(2**20):
            yield unpacking.decompress(part)
    yield unpacking.flush()
    if not unpacking.eof:
        raise EOFError("it ends too early")


def _indexed(
    path: Path, file: BinaryIO | None, size: int, content: bytes | None, left_out: Callable[[str], None] | None
) -> RecordFile:
    """Where the records are: of a file only their headers are read, and their checksums compared."""
    offsets, lengths, headers = array("q"), array("q"), bytearray()
    at, why = 0, None
    while at < size and why is None:
        header = _bytes_at(file, content, at)
        length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else size
        if at + _HEADER.size + length + _FOOTER.size > size:
            why = "it is cut off, or its length is damaged"
            break
        offsets.append(at + _HEADER.size)
        lengths.append(length)
        headers += header
        at += _HEADER.size + length + _FOOTER.size
        if len(headers) >= _HEADER.size * _CHECKED_AT_ONCE or at >= size:
            why = _checked(headers, offsets, lengths)
    if why is not None:
        why = _checked(headers, offsets, lengths) or why
        _tell(path, len(offsets), int(offsets[-1] + lengths[-1]) + _FOOTER.size if offsets else 0, why, left_out)
    return RecordFile(path, np.asarray(offsets), np.asarray(lengths), np.arange(len(offsets)), content)


def _bytes_at(file: BinaryIO | None, content: bytes | None, at: int) -> bytes:
    if file is None:
        return (content or b"")[at : at + _HEADER.size]
    file.seek(at)
    return file.read(_HEADER.size)


def _checked(headers: bytearray, offsets: array[int], lengths: array[int]) -> str | None:
    """What is wrong with the first of the last headers whose checksum is another one; it and all behind it go."""
    count = len(headers) // _HEADER.size
    each = [bytes(headers[at : at + _HEADER.size]) for at in range(0, len(headers), _HEADER.size)]
    headers.clear()
    sums = np.asarray([_FOOTER.unpack_from(header, 8)[0] for header in each], np.uint32)
    bad = np.flatnonzero(masked_crc32c([header[:8] for header in each]) != sums)
    if not len(bad):
        return None
    del offsets[len(offsets) - count + int(bad[0]) :]
    del lengths[len(lengths) - count + int(bad[0]) :]
    return "its length is damaged"


def _tell(path: Path, number: int, at: int, why: str, left_out: Callable[[str], None] | None) -> None:
    """Of a file whose records cannot be found from one on. Raises DataError unless they may be left out."""
    if not number:
        message = f"{path} is no TFRecord file: it does not begin with the length of a record."
        raise DataError(message, "It may be another kind of file, or damaged at its beginning.")
    place = f"record {number}, counted from 0, at byte {at}"
    if left_out is None:
        message = f"{path} is damaged: of {place}, {why}, so that neither it nor what is behind it can be found."
        raise DataError(message, SKIP)
    left_out(f"{path}: of {place}, {why}: it and all behind it is left out.")
