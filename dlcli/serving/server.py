"""The server: its socket, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from dlcli.errors import UsageError
from dlcli.serving.protocol import PatientProtocol
from dlcli.serving.refusals import Limits

_LAST_SECONDS = 10


class LastAnswers(uvicorn.Server):
    """A server that ends once all is answered that was sent, by those, too, whose connection waits to be accepted."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`, which (0.54) would close those connections, and the ones nothing has come from yet."""
        protocol: Any = self.config.http_protocol_class
        protocol.is_over = True
        loop = asyncio.get_running_loop()
        made = partial(protocol, self.config, self.server_state, self.lifespan.state)
        for listening in sockets or ():
            for connection in _waiting(listening):
                await loop.connect_accepted_socket(made, connection)
        await super().shutdown(sockets)


def _waiting(listening: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # none is left
            return
        connection.setblocking(False)
        yield connection


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound, and not listened at yet. Raises UsageError."""
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise UsageError(f"--host {host}: {error.strerror or error}.", "Name an address of this machine.") from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(1)  # only now is it told that another process listens there
    except OSError as error:
        found.close()
        raise _not_bound(host, port, error) from error
    return found


def _not_bound(host: str, port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"Port {port} of {host} is in use.", f"Use another one: --port {port + 1}.")
    if error.errno == errno.EACCES:
        return UsageError(f"Port {port} of {host} may not be used.", "Use one above 1023, such as --port 8000.")
    hint = "Name an address of this machine, such as 127.0.0.1." if error.errno == errno.EADDRNOTAVAIL else None
    return UsageError(f"Port {port} of {host} cannot be used: {error.strerror or error}.", hint)


def serve(app: ASGIApp, found: socket.socket, limits: Limits) -> int:
    """Answer requests until a signal comes, and then those that have begun; the signal's number."""

    class Protocol(PatientProtocol):
        """A connection of this server."""

    Protocol.limits = limits
    config = uvicorn.Config(
        app, http=Protocol, loop="asyncio", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=int(limits.idle), timeout_graceful_shutdown=_LAST_SECONDS,
        h11_max_incomplete_event_size=limits.header,
    )  # fmt: skip
    server = LastAnswers(config)
    with _signals(server) as caught:
        try:
            server.run(sockets=[found])
        finally:
            found.close()
    return caught[0] if caught else signal.SIGTERM


@contextmanager
def _signals(server: uvicorn.Server) -> Iterator[list[int]]:
    """Yield the signals that have come; uvicorn, which handles them, sends them again when it has ended."""
    caught: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        server.should_exit = True

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
