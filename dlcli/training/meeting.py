"""How the workers of a training find each other, at the chief's address. Imports no TensorFlow."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcli.errors import RunError, UsageError
from dlcli.training.cluster import Cluster
from dlcli.training.peers import Peers
from dlcli.training.wire import BYE, JSON, Line, receive

_START = 600.0
_TOLD_AFTER = 5.0


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
    lines: dict[int, Line] = {}
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
                line.send(JSON, b"{}")
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


def _wait_for_all(cluster: Cluster, listener: socket.socket, lines: dict[int, Line], waiting: _Waiting) -> None:
    while len(lines) < len(cluster.workers) - 1:
        missing = [number for number in range(1, len(cluster.workers)) if number not in lines]
        names = ", ".join(f"worker {number} ({cluster.workers[number]})" for number in missing)
        waiting.goes_on(names, "did not come")
        with contextlib.suppress(TimeoutError):
            _welcome(cluster, listener.accept()[0], lines)


def _welcome(cluster: Cluster, connection: socket.socket, lines: dict[int, Line]) -> None:
    """Add a worker to the lines. Raises UsageError if it does not fit to the others, which are told."""
    connection.settimeout(_TOLD_AFTER)
    try:
        told = json.loads(receive(connection)[1])
        number = int(told["index"])
        problem = _misfit(json.loads(_hello(cluster)), told, lines)
    except (OSError, ValueError, KeyError, TypeError):
        connection.close()  # no worker: a port scanner, or a probe of the cluster's
        return
    line = Line(number, connection)
    if problem is None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[number] = line
        return
    with connection:
        for each in (line, *lines.values()):
            with contextlib.suppress(OSError):
                each.send(BYE, problem.encode())
    raise UsageError(f"The workers do not fit together: {problem}.")


def _misfit(ours: Mapping[str, Any], told: Mapping[str, Any], lines: Mapping[int, Line]) -> str | None:
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
    line = Line(0, connection)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.send(JSON, _hello(cluster))
        connection.settimeout(max(1.0, until - time.monotonic()))
        kind, content = receive(connection)
        if kind == BYE:
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
