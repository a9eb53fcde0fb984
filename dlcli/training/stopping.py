"""Stopping by signal: a first SIGINT or SIGTERM asks training to stop after the running step, a second ends it.

A time that is up asks for the same, and ends as SIGTERM does.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol


class Stop(Protocol):
    """What is asked between steps whether to stop."""

    @property
    def is_asked(self) -> bool:
        """Whether to stop after the running step."""

    @property
    def signal_number(self) -> int:
        """The signal that the process should seem to have ended by."""

    @property
    def why(self) -> str:
        """To go on a sentence with: `, as the time is up`; nothing after a signal."""


class StopRequest:
    """While entered, remembers the first signal; whoever runs the steps asks `is_asked` between them.

    Args:
        before_leaving: called at a second signal, just before the process ends.
        until: by `time.monotonic`, when to stop; None for never.
    """

    def __init__(self, before_leaving: Callable[[], None], until: float | None = None) -> None:
        self._signal: int | None = None
        self._until = until
        self._before_leaving = before_leaving
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._earlier[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    @property
    def is_asked(self) -> bool:
        """Whether a signal has come, or the time is up."""
        return self._signal is not None or (self._until is not None and time.monotonic() >= self._until)

    @property
    def signal_number(self) -> int:
        """The signal that the process should seem to have ended by."""
        return self._signal or signal.SIGTERM

    @property
    def why(self) -> str:
        """To go on a sentence with: `, as the time is up`; nothing after a signal."""
        return "" if self._signal is not None else ", as the time of --max-time is up"

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            # Files are replaced whole, so the process can end anywhere.
            self._before_leaving()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._signal = number  # no more than that: the signal may have come in the middle of writing a line
