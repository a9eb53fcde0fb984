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
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.errors import RunError, UsageError
from dlcli.training.cluster import Cluster

_BEAT, _SILENCE = 2.0, 40.0
_MISSED = 3  # beats
_START = 600.0
_TOLD_AFTER = 5.0
_LEAVE = 30.0
_HEADER = struct.Struct(">cQ")
_JSON, _BYTES, _ALIVE, _BYE = b"j", b"b", b"a", b"e"
_MOST_JSON = 2**26


AGAIN = "Start all workers again, with `--resume auto`, once nothing else stands in the way."


class PeerGoneError(RunError):
    """A worker of this training has ended, or is not heard of any more."""


@dataclass
class _Line:
    """A connection to one other worker."""

    number: int
    connection: socket.socket
    inbox: queue.Queue[tuple[bytes, bytes]] = field(default_factory=queue.Queue)
    sending: threading.Lock = field(default_factory=threading.Lock)
    heard: float = field(default_factory=time.monotonic)
    is_closing: bool = False

    def send(self, kind: bytes, content: bytes = b"") -> None:
        with self.sending:
            self.connection.sendall(_HEADER.pack(kind, len(content)))
            self.connection.sendall(content)


class Peers:
    """The workers of a training, as one of them sees the others: the chief has a line to each, the others one to it.

    All of them call the same methods in the same order.

    Attributes:
        cluster: who they are.
        gone: why the training cannot go on, once that is so.
    """

    def __init__(self, cluster: Cluster, lines: Sequence[_Line], notify: Callable[[str], object]) -> None:
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
            self._send(0, _JSON, json.dumps(told).encode())
            return list(json.loads(self._take(0, _JSON)))
        every = [dict(told), *(json.loads(self._take(number, _JSON)) for number in sorted(self._lines))]
        content = json.dumps(every).encode()
        for number in sorted(self._lines):
            self._send(number, _JSON, content)
        return every

    def share(self, content: bytes | None) -> bytes | None:
        """What the chief has, for all. Raises PeerGoneError."""
        is_there = self.agree({"is_there": content is not None})[0]["is_there"]
        if not is_there:
            return None
        if not self.is_chief:
            return self._take(0, _BYTES)
        for number in sorted(self._lines):
            self._send(number, _BYTES, content or b"")
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
                line.send(_BYE, (why or "").encode())
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
                    line.send(_ALIVE)

    def _listen(self, line: _Line) -> None:
        line.connection.settimeout(_SILENCE)
        try:
            while True:
                kind, content = _receive(line.connection)
                line.heard = time.monotonic()
                if kind == _BYE:
                    if content:
                        self._lost(line.number, content.decode(errors="replace"), ended=True)
                    line.is_closing = True
                    return
                if kind != _ALIVE:
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
                        other.send(_BYE, what.encode())
        if act is not None:
            act(self.gone)


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    kind, length = _HEADER.unpack(_exactly(connection, _HEADER.size))
    if kind not in (_JSON, _BYTES, _ALIVE, _BYE) or (kind != _BYTES and length > _MOST_JSON):
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


def meet(cluster: Cluster, notify: Callable[[str], object], *, seconds: float = _START) -> Peers:
    """Wait for all workers of a cluster, at the chief's address, which TensorFlow takes over afterwards.

    Args:
        cluster: who they are.
        notify: is told whom it waits for, if that takes a while; and later, why it ends this process.
        seconds: for how long to wait.

    Raises:
        RunError: they do not all come.
        UsageError: they do not all have the same cluster, or the chief's address is not this machine's.
    """
    until = time.monotonic() + seconds
    return _gather(cluster, notify, until) if cluster.is_chief else _join(cluster, notify, until)


def _hello(cluster: Cluster) -> bytes:
    from dlcli import __version__

    return json.dumps({"workers": cluster.workers, "index": cluster.index, "dlcli": __version__}).encode()


def _address(cluster: Cluster) -> tuple[str, int]:
    host, _, port = cluster.workers[0].rpartition(":")
    return host.strip("[]"), int(port)


def _gather(cluster: Cluster, notify: Callable[[str], object], until: float) -> Peers:
    host, port = _address(cluster)
    lines: dict[int, _Line] = {}
    with socket.socket(_family(host, port), socket.SOCK_STREAM) as listener:
        # TensorFlow's server listens at the same port once all are there, while these connections stay.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host if _is_loopback(host) else "", port))
        except OSError as error:
            message = f"This is worker 0, but it cannot listen at {cluster.workers[0]}: {error.strerror}."
            raise UsageError(message, "Is another training there, or is the address another machine's?") from error
        listener.listen(len(cluster.workers))
        listener.settimeout(1.0)
        try:
            _wait_for_all(cluster, listener, lines, _Waiting(notify, until))
            for line in lines.values():
                line.send(_JSON, b"{}")
        except BaseException:
            for line in lines.values():
                line.connection.close()
            raise
    return Peers(cluster, [lines[number] for number in sorted(lines)], notify)


@dataclass
class _Waiting:
    """Waiting for other workers, of which a person is told once, and not for ever."""

    notify: Callable[[str], object]
    until: float
    began: float = field(default_factory=time.monotonic)
    is_told: bool = False

    def goes_on(self, names: str, problem: str) -> None:
        """Raises RunError if it has been too long."""
        if time.monotonic() >= self.until:
            hint = "Are all workers started, with the same addresses?"
            raise RunError(f"The training has not begun: {names} {problem}.", hint)
        if not self.is_told and time.monotonic() - self.began > _TOLD_AFTER:
            self.notify(f"waiting for {names}")
            self.is_told = True


def _wait_for_all(cluster: Cluster, listener: socket.socket, lines: dict[int, _Line], waiting: _Waiting) -> None:
    while len(lines) < len(cluster.workers) - 1:
        missing = [number for number in range(1, len(cluster.workers)) if number not in lines]
        names = ", ".join(f"worker {number} ({cluster.workers[number]})" for number in missing)
        waiting.goes_on(names, "did not come")
        with contextlib.suppress(TimeoutError):
            _welcome(cluster, listener.accept()[0], lines)


def _welcome(cluster: Cluster, connection: socket.socket, lines: dict[int, _Line]) -> None:
    """Add a worker to the lines. Raises UsageError if it does not fit to the others, which are told."""
    connection.settimeout(_TOLD_AFTER)
    try:
        told = json.loads(_receive(connection)[1])
        number = int(told["index"])
        problem = _misfit(json.loads(_hello(cluster)), told, lines)
    except (OSError, ValueError, KeyError, TypeError):
        connection.close()  # no worker: a port scanner, or a probe of the cluster's
        return
    line = _Line(number, connection)
    if problem is None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[number] = line
        return
    with connection:
        for each in (line, *lines.values()):
            with contextlib.suppress(OSError):
                each.send(_BYE, problem.encode())
    raise UsageError(f"The workers do not fit together: {problem}.")


def _misfit(ours: Mapping[str, Any], told: Mapping[str, Any], lines: Mapping[int, _Line]) -> str | None:
    number = int(told["index"])
    if told["workers"] != ours["workers"]:
        return f"worker 0 has the workers {ours['workers']}, and worker {number} has {told['workers']}"
    if told["dlcli"] != ours["dlcli"]:
        return f"worker 0 runs dlcli {ours['dlcli']}, and worker {number} runs {told['dlcli']}"
    if number in lines or number == 0:
        return f"there are two workers with the index {number}"
    return None


def _join(cluster: Cluster, notify: Callable[[str], object], until: float) -> Peers:
    name, waiting = f"worker 0 ({cluster.workers[0]})", _Waiting(notify, until)
    connection = None
    while connection is None:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(_address(cluster), timeout=_TOLD_AFTER)
            continue
        waiting.goes_on(name, "does not answer")
        time.sleep(0.2)
    line = _Line(0, connection)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.send(_JSON, _hello(cluster))
        connection.settimeout(max(1.0, until - time.monotonic()))
        kind, content = _receive(connection)
        if kind == _BYE:
            raise UsageError(f"The workers do not fit together: {content.decode(errors='replace')}.")
    except (OSError, ValueError) as error:
        connection.close()
        raise RunError(f"{name} has ended before all workers were there: {error}.") from error
    except UsageError:
        connection.close()
        raise
    return Peers(cluster, [line], notify)


def _family(host: str, port: int) -> socket.AddressFamily:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise UsageError(f"The address of worker 0, {host}:{port}, is not known here: {error.strerror}.") from error


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
