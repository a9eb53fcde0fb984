"""Requests that come while a batch is computed are answered together in the next one, by one thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dlcli.serving.refusals import busy

Asked = TypeVar("Asked", bound=Sized)
Answer = Callable[[Sequence[Asked]], Sequence[Any]]


@dataclass(frozen=True)
class _Waiting(Generic[Asked]):
    asked: Asked
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Batches(Generic[Asked]):
    """A queue and the thread that answers what is in it.

    Args:
        answer: answers several at once, or raises for all of them; called in the one thread.
        together: how many examples are answered at once, if they are of several requests; 1: each request alone.
        waiting: how many requests may wait.
    """

    def __init__(self, answer: Answer[Asked], *, together: int, waiting: int) -> None:
        self._answer = answer
        self._together = together
        self._most = waiting
        self._queue: deque[_Waiting[Asked]] = deque()
        self._changed = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._work, name="dlcli-answers", daemon=True)
        self._thread.start()

    def ask(self, asked: Asked) -> asyncio.Future[Any]:
        """The answer to one request, or what `answer` raised for it alone; who cancels it is not answered.

        Raises:
            RefusedError: as many wait as may.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(asked, loop.create_future(), loop)
        with self._changed:
            if len(self._queue) >= self._most:
                raise busy()
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.future

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            answers = self._answers(batch)
            # One call for all of the same loop: each wakes it.
            for loop in {one.loop for one in batch}:
                told = [(one.future, found) for one, found in zip(batch, answers, strict=True) if one.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_tell, told)

    def _next(self) -> list[_Waiting[Asked]]:
        """Those that are answered next, once there are any; none when all is over."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._is_over)
                batch = self._taken()
                if batch or (self._is_over and not self._queue):
                    return batch

    def _taken(self) -> list[_Waiting[Asked]]:
        batch: list[_Waiting[Asked]] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].asked) <= self._together):
            one = self._queue.popleft()
            if not one.future.cancelled():
                batch.append(one)
                size += len(one.asked)
        return batch

    def _answers(self, batch: Sequence[_Waiting[Asked]]) -> Sequence[Any]:
        """An answer to each, or the error that it leads to by itself: nobody is told of another's mistake."""
        try:
            return self._answer([one.asked for one in batch])
        except Exception as error:  # noqa: BLE001 - it is raised again, where it was asked
            return [error] if len(batch) == 1 else [self._answers([one])[0] for one in batch]


def _tell(told: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, found in told:
        if future.done():
            continue
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
