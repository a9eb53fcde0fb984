"""An event file of TensorBoard's: records, one after another, that can be cut off behind an epoch and go on from there.

Its records are those of TFRecord files (tensorflow/core/lib/io/record_writer.h), each an `Event`
(tensorflow/core/util/event.proto). TensorFlow's own writer begins a new file each time, and cannot cut one off.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import tensorflow as tf

from dlcli.data.checksums import masked_crc32c
from dlcli.files import replacing, writing_failed

_LENGTH, _SUM = struct.Struct("<Q"), struct.Struct("<I")
_VERSION = "brain.Event:2"  # what TensorBoard wants to read first
NAME = "events.out.tfevents"  # a file is one of TensorBoard's if its name has this in it


@dataclass(frozen=True)
class EventFile:
    """An event file, whose events come in the order of their steps."""

    path: Path

    def begin(self, events: Sequence[Any]) -> None:
        """Let the file have these events and no others; whole or not at all. Raises RunError."""
        first = tf.compat.v1.Event(wall_time=time.time(), file_version=_VERSION)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise writing_failed(self.path, error) from error
        with replacing(self.path) as beside:
            beside.write_bytes(_records([first, *events]))

    def append(self, events: Sequence[Any]) -> None:
        """Let the file go on with these. Raises RunError."""
        try:
            with self.path.open("ab") as file:
                file.write(_records(events))
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def cut(self, step: int) -> int | None:
        """Let the file end behind the last whole event of a step up to `step`.

        Returns:
            The step of that; None if there is no file, or nothing in it.

        Raises:
            RunError: it cannot be written.
        """
        if not self.path.exists():
            return None
        last = end = 0
        try:
            with self.path.open("rb+") as file:
                for message, behind in _messages(file):
                    now = int(tf.compat.v1.Event.FromString(message).step)
                    if now > step:
                        break
                    last, end = now, behind
                file.truncate(end)
        except OSError as error:
            raise writing_failed(self.path, error) from error
        return last if end else None


def _messages(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The records of a file, each with where it ends; up to the first that is not as it was written."""
    at, size = 0, os.fstat(file.fileno()).st_size
    while at + _LENGTH.size + 2 * _SUM.size <= size:
        file.seek(at)
        length = file.read(_LENGTH.size)
        at += _LENGTH.size + 2 * _SUM.size + _LENGTH.unpack(length)[0]
        if at > size:
            return
        sums = file.read(_SUM.size)
        message = file.read(_LENGTH.unpack(length)[0])
        if sums + file.read(_SUM.size) != _packed([length, message]):
            return
        yield message, at


def _records(events: Sequence[Any]) -> bytes:
    messages = [event.SerializeToString() for event in events]
    lengths = [_LENGTH.pack(len(message)) for message in messages]
    of_lengths, of_messages = _sums(lengths), _sums(messages)
    parts = zip(lengths, of_lengths, messages, of_messages, strict=True)
    return b"".join(part for record in parts for part in record)


def _packed(messages: Sequence[bytes]) -> bytes:
    return b"".join(_sums(messages))


def _sums(messages: Sequence[bytes]) -> list[bytes]:
    return [_SUM.pack(int(one)) for one in masked_crc32c(messages)]
