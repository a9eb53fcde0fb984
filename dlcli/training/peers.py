"""The wire between the workers of one training, beside TensorFlow's: who is there, what they agree on, who is gone.

TensorFlow 2.21 waits for ever in a collective operation whose peer was killed (seen for ten minutes; its health check
and `timeout_seconds` do nothing there). So each worker holds a connection to the chief on which something comes at
least every few seconds, and whoever hears nothing ends its own collectives. Imports no TensorFlow.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlcli.errors import RunError
from dlcli.training.cluster import Cluster
from dlcli.training.wire import ALIVE, BYE, BYTES, JSON, Line, receive

_BEAT, _SILENCE = 2.0, 40.0
_MISSED = 3  # beats
_LEAVE = 30.0

AGAIN = "Start all workers again, with `--resume auto`, once nothing else stands in the way."


class PeerGoneError(RunError):
    """A worker of this training has ended, or is not heard of any more."""


class Peers:
    """The workers of a training, as one of them sees the others: the chief has a line to each, the others one to it.

    All of them call the same methods in the same order.

    Attributes:
        cluster: who they are.
        gone: why the training cannot go on, once that is so.
    """

    def __init__(self, cluster: Cluster, lines: Sequence[Line], notify: Callable[[str], object]) -> None:
        self.cluster = cluster
        self._notify = notify
        self.gone: str | None = None
        self._lines = {line.number: line for line in lines}
        self._on_gone: Callable[[str], object] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._listeners = [
            threading.Thread(target=self._listen, args=(line,), name="dlcli-peer", daemon=True) for line in lines
        ]
        for thread in self._listeners:
            thread.start()
        threading.Thread(target=self._beat, name="dlcli-beat", daemon=True).start()

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0."""
        return self.cluster.is_chief

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self.cluster.workers)

    def agree(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What each worker tells, in their order; waits for all of them. Raises PeerGoneError."""
        if not self.is_chief:
            self._send(0, JSON, json.dumps(told).encode())
            return list(json.loads(self._take(0, JSON)))
        every = [dict(told), *(json.loads(self._take(number, JSON)) for number in sorted(self._lines))]
        content = json.dumps(every).encode()
        for number in sorted(self._lines):
            self._send(number, JSON, content)
        return every

    def share(self, content: bytes | None) -> bytes | None:
        """What the chief has, for all. Raises PeerGoneError."""
        is_there = self.agree({"is_there": content is not None})[0]["is_there"]
        if not is_there:
            return None
        if not self.is_chief:
            return self._take(0, BYTES)
        for number in sorted(self._lines):
            self._send(number, BYTES, content or b"")
        return content

    def on_gone(self, act: Callable[[str], object] | None) -> None:
        """What is done, in another thread, when a worker is gone; at once, if one is."""
        with self._lock:
            self._on_gone, gone = act, self.gone
        if act is not None and gone is not None:
            act(gone)

    def check(self) -> None:
        """Raises PeerGoneError if a worker is gone."""
        if self.gone is not None:
            raise PeerGoneError(f"{self.gone}.", AGAIN)

    def silent(self) -> str | None:
        """Which worker has not been heard of, though it should have been; None if all have."""
        line = min(self._lines.values(), key=lambda line: line.heard)
        seconds = time.monotonic() - line.heard
        if seconds < _MISSED * _BEAT:
            return None
        name = self._name(line.number)
        return f"{name[0].upper()}{name[1:]} is gone: nothing was heard of it for {seconds:.0f} seconds"

    def leave_when_stuck(self, gone: str, is_stuck: Callable[[], bool]) -> None:
        """End this process if it is still stuck after a while: TensorFlow may wait where nothing wakes it."""

        def leave() -> None:
            time.sleep(_LEAVE)
            if is_stuck():
                self._notify(f"error: {gone}.\n\n  {AGAIN}")
                os._exit(RunError.exit_code)

        threading.Thread(target=leave, name="dlcli-leave", daemon=True).start()

    def close(self, why: str | None = None) -> None:
        """Leave; the others are told why, if not at the end."""
        self._over.set()
        for line in self._lines.values():
            line.is_closing = True
            with contextlib.suppress(OSError):
                line.send(BYE, (why or "").encode())
                line.connection.shutdown(socket.SHUT_WR)
        for thread in self._listeners:
            thread.join(1.0)
        for line in self._lines.values():
            line.connection.close()

    def _name(self, number: int) -> str:
        return f"worker {number} ({self.cluster.workers[number]})"

    def _send(self, number: int, kind: bytes, content: bytes) -> None:
        self.check()
        try:
            self._lines[number].send(kind, content)
        except OSError as error:
            self._lost(number, f"the connection to it broke: {error.strerror or error}")
            self.check()

    def _take(self, number: int, kind: bytes) -> bytes:
        while True:
            self.check()
            line = self._lines[number]
            if line.is_closing and line.inbox.empty():
                name = self._name(number)
                raise PeerGoneError(f"{name[0].upper()}{name[1:]} has come to its end, and this worker has not.", AGAIN)
            with contextlib.suppress(queue.Empty):
                found, content = self._lines[number].inbox.get(timeout=0.5)
                if found != kind:
                    self._lost(number, "it is at another place of the training than this one")
                    continue
                return content

    def _beat(self) -> None:
        while not self._over.wait(_BEAT):
            for line in self._lines.values():
                with contextlib.suppress(OSError):  # its listener hears of it
                    line.send(ALIVE)

    def _listen(self, line: Line) -> None:
        line.connection.settimeout(_SILENCE)
        try:
            while True:
                kind, content = receive(line.connection)
                line.heard = time.monotonic()
                if kind == BYE:
                    if content:
                        self._lost(line.number, content.decode(errors="replace"), ended=True)
                    line.is_closing = True
                    return
                if kind != ALIVE:
                    line.inbox.put((kind, content))
        except TimeoutError:
            self._lost(line.number, f"nothing was heard of it for {_SILENCE:g} seconds")
        except (OSError, ValueError) as error:
            self._lost(line.number, f"the connection to it broke: {error}")

    def _lost(self, number: int, how: str, *, ended: bool = False) -> None:
        if self._lines[number].is_closing or self._over.is_set():
            return
        # What the chief says of another worker is said as it is.
        what = how if ended and how.startswith("worker ") else f"{self._name(number)} is gone: {how}"
        with self._lock:
            if self.gone is not None:
                return
            self.gone = f"{what[0].upper()}{what[1:]}".rstrip(".")
            act = self._on_gone
        if self.is_chief:
            for other in self._lines.values():
                if other.number != number:
                    with contextlib.suppress(OSError):
                        other.send(BYE, what.encode())
        if act is not None:
            act(self.gone)
