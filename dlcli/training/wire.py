"""What goes over a connection between two workers: a kind, a length and the content. Imports no TensorFlow."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

JSON, BYTES, ALIVE, BYE = b"j", b"b", b"a", b"e"
_HEADER = struct.Struct(">cQ")
_MOST_JSON = 2**26


@dataclass
class Line:
    """A connection to one other worker."""

    number: int
    connection: socket.socket
    inbox: queue.Queue[tuple[bytes, bytes]] = field(default_factory=queue.Queue)
    sending: threading.Lock = field(default_factory=threading.Lock)
    heard: float = field(default_factory=time.monotonic)
    is_closing: bool = False

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Send it, whole, whatever other threads send. Raises OSError."""
        with self.sending:
            self.connection.sendall(_HEADER.pack(kind, len(content)))
            self.connection.sendall(content)


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """The kind and the content of what comes next. Raises OSError, or ValueError for what no worker sends."""
    kind, length = _HEADER.unpack(_exactly(connection, _HEADER.size))
    if kind not in (JSON, BYTES, ALIVE, BYE) or (kind != BYTES and length > _MOST_JSON):
        raise ValueError("it sent what no worker of dlcli sends")
    return kind, bytes(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytearray:
    content = bytearray()
    while len(content) < count:
        part = connection.recv(min(2**20, count - len(content)))
        if not part:
            raise ConnectionResetError("it was closed")
        content += part
    return content
