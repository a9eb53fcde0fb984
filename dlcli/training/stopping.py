"""Stopping by signal: a first SIGINT or SIGTERM asks training to stop after the running step, a second ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """While entered, remembers the first signal in `signal_number`; whoever runs the steps looks at it between them.

    Args:
        before_leaving: called at a second signal, just before the process ends.
    """

    def __init__(self, before_leaving: Callable[[], None]) -> None:
        self.signal_number: int | None = None
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            # Files are replaced whole, so the process can end anywhere.
            self._before_leaving()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.signal_number = number  # no more than that: the signal may have come in the middle of writing a line
