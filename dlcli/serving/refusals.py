"""What a request is refused with: a status of HTTP, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlcli.errors import DataError

_LONGEST = 1_000  # characters of a message
UNFIT = 422
"""the status of what can be read, but does not fit the model"""


class RefusedError(Exception):
    """A request is not answered.

    Args:
        status: of HTTP.
        message: what is wrong, and what was received; whole sentences.
        hint: what to do about it.
        headers: for the answer.
    """

    def __init__(
        self, status: int, message: str, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})


def refused(error: DataError) -> RefusedError:
    """What does not fit the model, in the words of every command."""
    return RefusedError(UNFIT, error.message, error.hint)


def told(message: str, hint: str | None) -> dict[str, Any]:
    """The body of an answer that is none; what was received is not sent back at any length."""
    return {"error": _shortened(message), **({"hint": _shortened(hint)} if hint else {})}


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def too_large(limit: int) -> RefusedError:
    """The error that a body is larger than that, of which no more is read."""
    message = f"The body of the request is larger than {limit:,} bytes."
    return RefusedError(413, message, "Send less at once; `--max-body` allows more.", {"Connection": "close"})


def header_too_large(limit: int) -> RefusedError:
    """The error that the header before a body is larger than that."""
    message = f"The header of the request is larger than {limit:,} bytes."
    return RefusedError(431, message, "Send fewer and shorter fields.", {"Connection": "close"})


def busy() -> RefusedError:
    """The error that as many requests wait as may."""
    message = "Too many requests are waiting to be answered."
    return RefusedError(503, message, "Ask again in a second.", {"Retry-After": "1"})


@dataclass(frozen=True)
class Limits:
    """What is taken of anyone who sends requests.

    Attributes:
        body: bytes of a request.
        header: bytes of the header before it.
        rows: examples of a request.
        pixels: of a picture, whatever it is packed into.
        waiting: requests that wait for their batch.
        held: bytes of all requests that are being read or answered.
        connections: that are open at once.
        patience: seconds in which a request must be there, or else come at `pace`.
        pace: bytes a second.
        idle: seconds that a connection is kept for another request, and that one who does not read is waited for.
    """

    body: int = 16 * 2**20
    header: int = 16 * 2**10
    rows: int = 1_000
    pixels: int = 32_000_000
    waiting: int = 256
    held: int = 128 * 2**20
    connections: int = 1_024
    patience: float = 0.8
    pace: int = 4_096
    idle: float = 10.0


@dataclass
class Held:
    """How many bytes of requests are in memory."""

    most: int
    now: int = field(default=0)

    def take(self, size: int) -> None:
        """Hold some more. Raises RefusedError if that is too much."""
        if self.now + size > self.most:
            raise busy()
        self.now += size

    def give_back(self, size: int) -> None:
        """They are no longer held."""
        self.now -= size
