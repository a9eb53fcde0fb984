"""Several workers of one training on this machine: started together, shown together, ended together.

What they run is handed in; each finds its place among the others in TF_CONFIG. Imports no TensorFlow.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType

from dlcli.data.memory import cores
from dlcli.errors import DlcliError, Interrupted, ProcessError, RunError, UsageError
from dlcli.training.choices import core_shares
from dlcli.training.cluster import Cluster, find_cluster
from dlcli.training.worker_process import HERE, Share, Show, Worker, start_worker

_LOOK_SECONDS = 0.1
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a training that has saved its work
_GO_ON = "The same command with `--resume auto` goes on from the last checkpoint."


@dataclass(frozen=True)
class Patience:
    """How many seconds workers have to end.

    Attributes:
        alone: by themselves, once one of them has failed: they notice it, too, and say more about it.
        asked: after SIGTERM, before SIGKILL.
        saving: when they were stopped by a signal, and the first has ended.
    """

    alone: float = 10.0
    asked: float = 20.0
    saving: float = 60.0


def launch(
    command: Sequence[str],
    workers: int,
    *,
    tell: Show,
    show: Show,
    gpus: Sequence[str] = (),
    patience: Patience | None = None,
    chief_moves: bool = False,
) -> None:
    """Run a command as so many workers, and wait until all of them have ended.

    What worker 0 writes goes where this process writes; the lines of the others go to `show`. SIGINT and SIGTERM are
    passed on. Once a worker fails, the others are stopped. If this process is killed, so are they (on Linux).

    Args:
        command: what each of them runs.
        workers: how many there are to be.
        tell: gets a sentence when a worker has failed and others have not ended yet.
        show: gets the lines of all workers but the first.
        gpus: to be divided among them, if there is one for each; as CUDA_VISIBLE_DEVICES names them.
        patience: how long they have to end.
        chief_moves: whether worker 0 shows bars that move, over whatever others write: then it is shown when that ends.

    Raises:
        UsageError: this process is a worker itself.
        ProcessError: a worker has failed; with its exit code.
        RunError: a worker was killed, or could not be started.
        Interrupted: a signal came, and they have ended.
    """
    _see_that_alone()
    shares = _shares(workers, gpus)
    processes = _Processes(tell, patience or Patience(), chief_moves=chief_moves)
    with processes.listening(), _ports(workers) as ports, processes.none_left():
        processes.start(command, ports, shares, show)
        processes.watch()
    failure = processes.failure()
    if failure is not None:
        raise failure


def _see_that_alone() -> None:
    """Raises UsageError if this process is one of several workers."""
    cluster = find_cluster(os.environ)
    if cluster is not None and len(cluster.workers) > 1:
        message = f"{cluster.origin} says that this is worker {cluster.index} of {len(cluster.workers)} already."
        raise UsageError(message, "`dlcli train` alone trains with the others; `dlcli launch` is for one machine.")


def _shares(workers: int, gpus: Sequence[str]) -> list[Share]:
    """What each worker uses alone, where there is enough for all: as much as each other, or they would wait for it."""
    processors: Sequence[set[int] | None] = [None] * workers
    threads = None
    if (own_cores := core_shares(workers)) is not None:
        processors = [set(sorted(own)[: min(map(len, own_cores))]) for own in own_cores]
    else:
        threads = max(1, cores() // workers)
    each = len(gpus) // workers
    own_gpus = [gpus[number * each : (number + 1) * each] if each else None for number in range(workers)]
    return [Share(*share, threads) for share in zip(processors, own_gpus, strict=True)]


@contextmanager
def _ports(count: int) -> Iterator[list[int]]:
    """So many free ports, which nobody else gets before the workers listen there. Raises RunError.

    A port to which a socket is bound that does not listen is given to nobody who asks for any port; who asks for this
    one gets it if both sockets allow that, as gRPC's do.
    """
    with ExitStack() as stack:
        try:
            sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
            for held in sockets:
                held.bind((HERE, 0))
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError as error:
            raise RunError(f"There are no free ports for {count} workers on {HERE}: {error}.") from error
        yield [held.getsockname()[1] for held in sockets]


class _Processes:
    """The workers, and what is to become of them."""

    def __init__(self, tell: Show, patience: Patience, *, chief_moves: bool) -> None:
        self._tell = partial(self._say, tell)
        self._held: list[Callable[[], object]] | None = [] if chief_moves else None
        self._patience = patience
        self._workers: list[Worker] = []
        self._ended: list[Worker] = []
        self._signals: list[int] = []
        self._ask_at = self._kill_at = math.inf  # by time.monotonic

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Meanwhile, signals go to the workers."""
        earlier = {number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    @contextmanager
    def none_left(self) -> Iterator[None]:
        """No worker is left afterwards, whatever happens."""
        try:
            yield
        finally:
            for worker in self._running():
                worker.force()
                worker.process.wait()
                worker.close()
            self._say_all()

    def _say(self, show: Show, text: str) -> None:
        """Show it, now or when nothing moves over it any more."""
        if self._held is None:
            show(text)
        else:
            self._held.append(partial(show, text))

    def _say_all(self) -> None:
        """Worker 0 shows nothing any more: what others have said since it began may come."""
        held, self._held = self._held, None
        for say in held or ():
            say()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        self._send(number)
        if len(self._signals) > 1:  # a second one ends a worker at once, unless it hangs
            self._kill_at = min(self._kill_at, time.monotonic() + self._patience.asked)

    def _send(self, number: int) -> None:
        for worker in self._running():
            worker.send(number)

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.is_over]

    def start(self, command: Sequence[str], ports: Sequence[int], shares: Sequence[Share], show: Show) -> None:
        """Start a worker for each port and share. Raises RunError."""
        addresses = tuple(f"{HERE}:{port}" for port in ports)
        for index, share in enumerate(shares):
            if not self._signals:
                cluster = Cluster(addresses, index, "TF_CONFIG")
                self._workers.append(start_worker(command, cluster, share, partial(self._say, show)))
        if self._signals:  # it may have come before the process was known; and none has anything to save yet
            for worker in self._workers:
                worker.force()

    def watch(self) -> None:
        """Show what the workers say until all have ended, and see that they do once one has failed."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                if worker.pipe is not None:
                    selector.register(worker.pipe, selectors.EVENT_READ, worker)
            while self._running():
                for key, _ in selector.select(_LOOK_SECONDS):
                    if not key.data.read():
                        selector.unregister(key.fd)
                self._collect(selector)
                self._press(time.monotonic())

    def _collect(self, selector: selectors.BaseSelector) -> None:
        """See who has ended."""
        had_failed = self._failed() is not None
        ended = [worker for worker in self._running() if worker.process.poll() is not None]
        for worker in ended:
            worker.is_over = True
            if worker.pipe is not None and worker.pipe in selector.get_map():
                selector.unregister(worker.pipe)
            worker.close()
            if worker.index == 0:
                self._say_all()
        # Of several at a time, one that was killed is why the others have failed.
        self._ended += sorted(ended, key=lambda worker: worker.code >= 0)
        failed = self._failed()
        if failed is not None and not had_failed and self._running():
            self._end_all(failed)

    def _failed(self) -> Worker | None:
        """The first that has not come to its end."""
        return next((worker for worker in self._ended if worker.code), None)

    def _end_all(self, failed: Worker) -> None:
        """Let the others know that it is over: soon, unless they are saving their work."""
        now = time.monotonic()
        if self._signals or failed.code in _STOPPED:
            self._kill_at = min(self._kill_at, now + self._patience.saving)
            return
        self._tell(f"{failed.end}; the others are stopped.")
        self._ask_at = now + self._patience.alone
        self._kill_at = min(self._kill_at, self._ask_at + self._patience.asked)

    def _press(self, now: float) -> None:
        """Do what it is time for."""
        if now >= self._ask_at:
            self._ask_at = math.inf
            self._send(signal.SIGTERM)
        if now >= self._kill_at:
            self._kill_at = math.inf
            for worker in self._running():
                worker.force()

    def failure(self) -> DlcliError | None:
        """What to tell of the end; None if all is well."""
        if not self._signals:
            failed = [worker for worker in self._ended if worker.code and not worker.was_forced]
            return _failure(min(failed, key=_follows)) if failed else None
        odd = next((worker for worker in self._ended if not _was_stopped(worker)), None)
        if odd is not None:
            return _failure(odd)
        if self._workers and self._workers[0].code == 0:
            return None  # the training had come to its end
        number = self._signals[0]
        return Interrupted(f"Stopped by {signal.Signals(number).name}.", signal_number=number, hint=_GO_ON)


def _was_stopped(worker: Worker) -> bool:
    """Whether a worker has ended as one does that was asked to."""
    return worker.was_forced or worker.code in (0, *_STOPPED, -signal.SIGINT, -signal.SIGTERM)


def _follows(worker: Worker) -> int:
    """How likely a worker has failed since another one had: with 4, as its peer was gone, or since it was asked to."""
    if worker.code < 0:
        return 0 if -worker.code not in (signal.SIGINT, signal.SIGTERM) else 2
    return 2 if worker.code in (RunError.exit_code, *_STOPPED) else 1


def _failure(worker: Worker) -> DlcliError:
    if worker.code < 0:
        return RunError(f"{worker.end}.", _GO_ON)
    return ProcessError(f"{worker.end}.", worker.code)
