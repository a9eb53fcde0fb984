"""Reads `tf.train.Example`, the message that a TFRecord file has for each example, without TensorFlow.

message Example { Features features = 1; }
message Features { map<string, Feature> feature = 1; }
message Feature { oneof kind { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; } }
message BytesList { repeated bytes value = 1; }                    // tensorflow/core/example/feature.proto
message FloatList { repeated float value = 1 [packed = true]; }
message Int64List { repeated int64 value = 1 [packed = true]; }
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dlcli.data.dataset import Array

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # protobuf.dev/programming-guides/encoding: wire types
_KINDS = {1: "bytes", 2: "float", 3: "int64"}
_MOST_BITS = 70  # of a varint: ten bytes
Values: TypeAlias = list[bytes] | Array
"""what a feature has: byte strings; or numbers, float32 or int64, of shape (n,)"""


class MalformedError(Exception):
    """Bytes are no Example; the text says why."""


@dataclass(frozen=True)
class Feature:
    """One feature of an Example, of which nothing is decoded yet.

    Attributes:
        kind: "bytes", "float" or "int64"; "" if it has no values.
        spans: where in the message the lists of its values are.
    """

    kind: str
    spans: tuple[tuple[int, int], ...]

    def values(self, message: bytes) -> Values:
        """Its values; `message` is that of which it is a part. Raises MalformedError."""
        if self.kind == "bytes":
            return [
                message[start:stop]
                for span in self.spans
                for number, wire, start, stop in _fields(message, *span)
                if number == 1 and wire == _LENGTH
            ]
        parts = [part for span in self.spans for part in _numbers(message, *span, is_float=self.kind == "float")]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.empty(0, np.float32 if self.kind == "float" else np.int64), *parts])


def parse_example(message: bytes, only: Collection[bytes] | None = None) -> dict[str, Feature]:
    """The features of an Example, by name.

    What it has of fields that are not known is passed over, and what comes twice is put together, as by protobuf.

    Args:
        message: its bytes.
        only: the names of those that are wanted, in UTF-8; None for all.

    Raises:
        MalformedError: it is none.
    """
    found: dict[str, Feature] = {}
    for number, wire, start, stop in _fields(message, 0, len(message)):
        if number == 1 and wire == _LENGTH:
            for inner, kind, first, last in _fields(message, start, stop):
                if inner == 1 and kind == _LENGTH:
                    key, values = _entry(message, first, last)
                    if only is None or key in only:
                        found[_text(key)] = _feature(message, values)
    return found


def _entry(message: bytes, start: int, stop: int) -> tuple[bytes, list[tuple[int, int]]]:
    """One entry of the map: its key, and where its value is; in several parts if that comes again."""
    key, values = b"", []
    for number, wire, first, last in _fields(message, start, stop):
        if number == 1 and wire == _LENGTH:
            key = message[first:last]
        elif number == 2 and wire == _LENGTH:
            values.append((first, last))
    return key, values


def _text(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("the name of a feature is no UTF-8") from error


def _feature(message: bytes, parts: list[tuple[int, int]]) -> Feature:
    found = Feature("", ())
    for start, stop in parts:
        for number, wire, first, last in _fields(message, start, stop):
            kind = _KINDS.get(number)
            if kind is not None and wire == _LENGTH:
                earlier = found.spans if kind == found.kind else ()  # of a `oneof`, the last one counts
                found = Feature(kind, (*earlier, (first, last)))
    return found


def _fields(message: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields between two places: number, wire type, and where the content begins and ends."""
    while at < end:
        tag = message[at]
        at += 1
        if tag > 127:  # most tags and lengths are one byte, and a call takes longer than that
            tag, at = _varint(message, at - 1, end)
        wire = tag & 7
        start = at
        if wire == _LENGTH:
            if at < end and message[at] < 128:
                start, at = at + 1, at + 1 + message[at]
            else:
                size, start = _varint(message, at, end)
                at = start + size
        elif wire == _VARINT:
            _, at = _varint(message, at, end)
        elif wire in (_FIXED32, _FIXED64):
            at += 4 if wire == _FIXED32 else 8
        else:
            raise MalformedError(f"byte {start - 1} of it begins no field")
        if at > end or not tag >> 3:
            raise MalformedError(f"the field at byte {start - 1} of it is longer than what it is in")
        yield tag >> 3, wire, start, at


def _varint(message: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while at < end and shift < _MOST_BITS:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise MalformedError(f"the number that ends at byte {at} of it is not whole")


def _numbers(message: bytes, start: int, stop: int, *, is_float: bool) -> Iterator[Array]:
    single = _FIXED32 if is_float else _VARINT
    for number, wire, first, last in _fields(message, start, stop):
        if number == 1 and wire in (_LENGTH, single):
            yield _floats(message, first, last) if is_float else _whole(message, first, last)


def _floats(message: bytes, start: int, stop: int) -> Array:
    if (stop - start) % 4:
        raise MalformedError(f"the list of floats at byte {start} of it is not whole")
    return np.frombuffer(message, "<f4", (stop - start) // 4, start)


def _whole(message: bytes, start: int, stop: int) -> Array:
    """Numbers of seven bits a byte, the last byte of each below 128; int64."""
    if stop == start:
        return np.empty(0, np.int64)
    data = np.frombuffer(message, np.uint8, stop - start, start)
    ends = np.flatnonzero(data < 128)
    if len(ends) == len(data):
        return data.astype(np.int64)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise MalformedError(f"the list of whole numbers at byte {start} of it is not whole")
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    if lengths.max() * 7 > _MOST_BITS:
        raise MalformedError(f"the list of whole numbers at byte {start} of it has one of more than ten bytes")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max())):
        longer = lengths > place
        values[longer] |= (data[begins[longer] + place] & 127).astype(np.uint64) << np.uint64(7 * place)
    return values.view(np.int64)
