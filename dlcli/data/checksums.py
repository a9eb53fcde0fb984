"""CRC-32C of many messages at once, and the masked form of it that TFRecord files have."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from dlcli.data.dataset import Array

_POLYNOMIAL = 0x82F63B78  # RFC 3720, appendix B.4, with its bits turned round
_LANE = 64  # bytes whose parts of a checksum are looked up together
_LANES = 2**10  # at a time: what is looked up stays in the processor's cache
_MASK = 0xA282EAD8


def masked_crc32c(messages: Sequence[bytes | memoryview]) -> Array:
    """The checksums of messages, uint32, each rotated by 15 bits and with a constant added, as TensorFlow's
    `tsl/lib/hash/crc32c.h` masks them.
    """
    found = crc32c(messages)
    return ((found >> 15) | (found << 17)) + np.uint32(_MASK)


def crc32c(messages: Sequence[bytes | memoryview]) -> Array:
    """The checksums of messages, uint32, shape (n,).

    A checksum is linear: that of a message is the exclusive or of what each byte adds by its value and its distance
    from the end. Messages are cut into lanes from their ends on, whose sums are then put together two by two.
    """
    found = np.empty(len(messages), np.uint32)
    sizes = np.asarray([-(-len(message) // _LANE) for message in messages], np.int64)
    alike = np.frexp(np.maximum(sizes, 1))[1]  # lengths up to twice as long go together
    for magnitude in np.unique(alike):
        rows = np.flatnonzero(alike == magnitude)
        lanes = max(1, int(sizes[rows].max()))
        step = max(1, _LANES // lanes)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            found[some] = _of_alike([messages[row] for row in some], lanes)
    return found


def _of_alike(messages: Sequence[bytes | memoryview], lanes: int) -> Array:
    """The checksums of messages that have so many lanes at most: zeros before a message add nothing to its sum."""
    width = lanes * _LANE + 4
    block = np.zeros((len(messages), width), np.uint8)
    for row, message in enumerate(messages):
        block[row, width - len(message) :] = np.frombuffer(message, np.uint8)
        # The register begins with ones: as if the first four bytes, or what is before them, were turned over.
        block[row, width - len(message) : width - len(message) + 4] ^= 255
    short = [row for row, message in enumerate(messages) if len(message) < 4]
    sums = _of_lanes(block[:, 4:].reshape(-1, _LANE)).reshape(len(messages), lanes)
    for doubled in range(lanes.bit_length()):
        if sums.shape[1] == 1:
            break
        if sums.shape[1] % 2:
            sums = np.concatenate([np.zeros((len(sums), 1), np.uint32), sums], axis=1)
        sums = _moved_on(sums[:, ::2], doubled) ^ sums[:, 1::2]
    found = ~sums[:, 0]
    found[short] = [_of_few(bytes(messages[row])) for row in short]
    return found


def _of_few(message: bytes) -> int:
    """The checksum of a few bytes, one after the other."""
    register = 0xFFFFFFFF
    for byte in message:
        register = int(_table()[_LANE - 1, (register ^ byte) & 255]) ^ (register >> 8)
    return register ^ 0xFFFFFFFF


@functools.cache
def _table() -> Array:
    """What a byte adds to the sum of its lane, by its place and its value; uint32, shape (_LANE, 256)."""
    last: Array = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        last = (last >> 1) ^ (np.uint32(_POLYNOMIAL) * (last & 1))
    rows = [last]
    for _ in range(_LANE - 1):
        rows.append(last[rows[-1] & 255] ^ (rows[-1] >> 8))
    return np.stack(rows[::-1])


@functools.cache
def _places() -> Array:
    return (np.arange(_LANE) * 256).astype(np.uint16)


def _of_lanes(lanes: Array) -> Array:
    """The sums of lanes, uint8 of shape (n, _LANE), each by itself."""
    flat = _table().reshape(-1)
    found = np.empty(len(lanes), np.uint32)
    for first in range(0, len(lanes), _LANES):
        added = np.take(flat, lanes[first : first + _LANES] + _places(), mode="clip")  # never outside: quicker
        np.bitwise_xor.reduce(added, axis=1, out=found[first : first + _LANES])
    return found


@functools.cache
def _moves(doubled: int) -> Array:
    """What each of the four bytes of a sum becomes when 2**doubled lanes follow; uint32, shape (4, 256)."""
    return _table()[:4] if doubled == 0 else _moved_on(_moves(doubled - 1), doubled - 1)


def _moved_on(sums: Array, doubled: int) -> Array:
    moves = _moves(doubled)
    found: Array = np.bitwise_xor.reduce([moves[place][(sums >> (8 * place)) & 255] for place in range(4)])
    return found
