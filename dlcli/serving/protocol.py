"""HTTP with limits that uvicorn (0.54) has none for: on senders and readers that are slow, and on connections.

A connection whose request is refused before it was read is closed so that the answer arrives: closed at once with
bytes unread, the system would tell the sender of a broken connection, and drop the answer (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dlcli.files import to_json
from dlcli.serving.refusals import Limits, told

_LAST_SECONDS = 0.3  # for a request that was sent before anybody could know that all ends
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 64 * 2**20
_ANSWERED = (h11.IDLE, h11.SEND_RESPONSE)
"""the states in which an answer can begin"""
_SLOW = "The request came too slowly"


class _Lingering:
    """A transport that, when it is closed in the middle of a request, first lets its last bytes arrive."""

    def __init__(self, transport: asyncio.Transport, owner: PatientProtocol) -> None:
        self._transport = transport
        self._owner = owner
        self._is_closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is to be written."""
        return self._is_closing or self._transport.is_closing()

    def close(self) -> None:
        """Close it, at once or a little later."""
        if self._is_closing or not self._owner.is_arriving or self._transport.is_closing():
            self._transport.close()
            return
        self._is_closing = True
        self._owner.linger(self._transport)


class PatientProtocol(H11Protocol):
    """A connection.

    Attributes:
        limits: set by whoever makes a class of it for a server.
        is_over: whether that server is to end: each connection then has one more answer at most.
    """

    limits = Limits()
    is_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._received = 0
        self._began: float | None = None
        self._check: asyncio.TimerHandle | None = None
        self._reader_check: asyncio.TimerHandle | None = None
        self._left_to_drop: int | None = None
        if len(self.connections) > self.limits.connections:
            self.refuse(503, "Too many connections are open.", "Come again in a second.", retry_after="1")
            return
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if self.is_over:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        for timer in (self._check, self._reader_check):
            if timer is not None:
                timer.cancel()
        self._check = self._reader_check = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._left_to_drop is not None:
            self._left_to_drop -= len(data)
            if self._left_to_drop < 0:
                self.transport.close()
            return
        super().data_received(data)
        self._received += len(data)
        if not self.is_arriving:
            self._stop_checking()
        elif self._check is None:
            self._began, self._received = self.loop.time(), len(data)
            self._check = self.loop.call_later(self.limits.patience, self._check_pace)

    def eof_received(self) -> None:
        """See `asyncio.Protocol`: who sends nothing more in the middle of a request may still read an answer."""
        if self._left_to_drop is None and self.is_arriving:
            self.refuse(400, f"The request ends after {self._received:,} bytes, in its middle.", "Send all of it.")

    @property
    def is_arriving(self) -> bool:
        """Whether a request has begun to come, and is not there as a whole."""
        state = self.conn.their_state
        return state is h11.SEND_BODY or (state is h11.IDLE and bool(self.conn.trailing_data[0]))

    def on_response_complete(self) -> None:
        """What uvicorn calls at the end of an answer: what has still to come of its request is not waited for."""
        if (self.is_arriving or self.is_over) and not self.transport.is_closing():
            self.transport.close()
        super().on_response_complete()

    def shutdown(self) -> None:
        """What uvicorn calls when all ends: a request that is on its way is still answered."""
        if self._is_answering:
            super().shutdown()
        else:
            self.loop.call_later(_LAST_SECONDS, self._close_if_idle)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if not self._is_answering and not self.is_arriving:
            self.transport.close()

    def _stop_checking(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def _check_pace(self) -> None:
        """Refuse a request that is late. A header has to be there by now; a body may come, if it is quick enough."""
        self._check = None
        if not self.is_arriving or self._began is None or self.transport.is_closing():
            return
        seconds = self.loop.time() - self._began
        is_quick = self._received >= self.limits.pace * seconds
        # While uvicorn does not read, the sender cannot be blamed.
        if self.conn.their_state is h11.SEND_BODY and (is_quick or self.flow.read_paused):
            self._check = self.loop.call_later(self.limits.patience, self._check_pace)
            return
        what = f"{_SLOW}: {self._received:,} bytes in {seconds:.1f} seconds, and there is more to come."
        self.refuse(408, what, f"Send it within {self.limits.patience:g} seconds, or {self.limits.pace:,} bytes/s.")

    def refuse(self, status: int, message: str, hint: str | None = None, retry_after: str | None = None) -> None:
        """Answer by oneself, if no answer has begun, and close."""
        if self.conn.our_state in _ANSWERED:
            body = to_json(told(message, hint)).encode()
            headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
            headers += [("connection", "close"), *([("retry-after", retry_after)] if retry_after else [])]
            events = (
                h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where a request is none."""
        self.refuse(400, "This is no request of HTTP/1.1 that can be read, or its header is too large.")

    def linger(self, transport: asyncio.Transport) -> None:
        """Write no more, and drop what still comes for a while, before the connection is closed."""
        self._stop_checking()
        self._left_to_drop = _LINGER_BYTES
        transport.resume_reading()
        with suppress(OSError):  # the sender may have gone
            transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, transport.close)

    def pause_writing(self) -> None:
        """Wait for the reader, for a while."""
        super().pause_writing()
        self._check_reader(self.transport.get_write_buffer_size() + 1)

    def _check_reader(self, left: int) -> None:
        """Leave whoever has read nothing since `left` bytes were to be written."""
        now = self.transport.get_write_buffer_size()
        if now >= left:
            self.transport.abort()
            return
        self._reader_check = self.loop.call_later(self.limits.idle, self._check_reader, now)

    def resume_writing(self) -> None:
        """The reader reads."""
        if self._reader_check is not None:
            self._reader_check.cancel()
            self._reader_check = None
        super().resume_writing()
