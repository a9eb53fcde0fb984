"""A worker as a process on this machine: how it is started, and what it says line by line.

When several are to be started, and what becomes of them, is in `dlcli.training.launching`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlcli.errors import RunError
from dlcli.training.choices import THREADS
from dlcli.training.cluster import Cluster

HERE = "127.0.0.1"
"""the address of all workers on this machine"""

Show = Callable[[str], object]

_AT_ONCE = 2**16  # bytes read of a worker's output at once; a longer line is shown in pieces
_PR_SET_PDEATHSIG = 1  # prctl(2)
_DIRECT = "no_grpc_proxy"


@dataclass
class Worker:
    """A worker; all but the chief have a pipe, whose lines are shown with the worker's number before them.

    Attributes:
        index: its number.
        process: the process.
        show: gets its lines, unless it is the chief.
        is_over: whether someone has seen that it has ended.
        was_forced: whether it was killed because it did not end.
    """

    index: int
    process: subprocess.Popen[bytes]
    show: Show
    is_over: bool = False
    was_forced: bool = False
    _begun: bytes = field(default=b"", repr=False)

    @property
    def code(self) -> int:
        """How it has ended; negative for the signal that it was killed by."""
        return int(self.process.returncode)

    @property
    def pipe(self) -> int | None:
        """The file descriptor to read; None of the chief, and once it is closed."""
        file = self.process.stdout
        return file.fileno() if file is not None and not file.closed else None

    def read(self, *, to_end: bool = False) -> bool:
        """Show the lines that have come; whether there may be more of them later."""
        while (pipe := self.pipe) is not None:
            try:
                data = os.read(pipe, _AT_ONCE)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._take(data)
            if not to_end:
                return True
        return False

    def close(self) -> None:
        """Show what is left, also a line without an end; what may live on with its output is heard no more."""
        self.read(to_end=True)
        if self._begun:
            self._take(b"\n")
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _take(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        if len(self._begun) >= _AT_ONCE:
            lines.append(self._begun)
            self._begun = b""
        if lines:
            self.show("\n".join(f"worker {self.index} | {line.decode(errors='replace')}" for line in lines))

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.process.returncode is None:
            os.kill(self.process.pid, number)  # until it is waited for, nobody else has this number

    def force(self) -> None:
        """Kill it."""
        self.was_forced = True
        self.send(signal.SIGKILL)

    @property
    def end(self) -> str:
        """How it has ended, for a person."""
        who = f"worker {self.index} (pid {self.process.pid})"
        if self.code >= 0:
            return f"{who} ended with exit code {self.code}"
        try:
            return f"{who} was killed by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"{who} was killed by signal {-self.code}"


@dataclass(frozen=True)
class Share:
    """What of this machine is a worker's own.

    Attributes:
        processors: by their numbers; None for all, together with the others.
        gpus: as CUDA_VISIBLE_DEVICES names them; None for what it says already.
        threads: among how many an operation is divided, unless the environment says so; None for its processors.
    """

    processors: set[int] | None = None
    gpus: Sequence[str] | None = None
    threads: int | None = None


def start_worker(command: Sequence[str], cluster: Cluster, share: Share, show: Show) -> Worker:
    """Start a worker; the chief writes where this process does. If this process is killed, so is it (on Linux).

    Args:
        command: what it runs.
        cluster: its place, which it finds in TF_CONFIG.
        share: what it is to use.
        show: gets its lines, unless it is the chief.

    Raises:
        RunError: it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command, env=_environment(cluster, share), stdin=subprocess.DEVNULL,
            stdout=None if cluster.is_chief else subprocess.PIPE,
            stderr=None if cluster.is_chief else subprocess.STDOUT,
            # Or Ctrl+C would reach it twice: from the terminal, and from this process.
            start_new_session=True,
            preexec_fn=functools.partial(_begin, os.getpid(), _death_with_parent(), share.processors),
        )  # fmt: skip
    except OSError as error:
        raise RunError(f"Worker {cluster.index} cannot be started: {error}.") from error
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
    return Worker(cluster.index, process, show)


def _environment(cluster: Cluster, share: Share) -> dict[str, str]:
    """That of a worker. Its connections do not go through a proxy, which would look for itself at this address."""
    known = next((os.environ[name] for name in (_DIRECT, "no_proxy") if os.environ.get(name)), None)
    direct = HERE if known is None else f"{known},{HERE}"
    own = {"CUDA_VISIBLE_DEVICES": ",".join(share.gpus)} if share.gpus is not None else {}
    if share.threads is not None and not os.environ.get(THREADS):
        own[THREADS] = str(share.threads)
    return {**os.environ, "TF_CONFIG": cluster.tf_config(), _DIRECT: direct, **own}


def _death_with_parent() -> Callable[[], object] | None:
    """What lets the kernel kill a process when the one that has started it is gone; None where it cannot."""
    if sys.platform != "linux":
        return None
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def _begin(parent: int, die_with_it: Callable[[], object] | None, processors: set[int] | None) -> None:
    """What the new process does before it runs the command."""
    if die_with_it is not None:
        die_with_it()
    if os.getppid() != parent:
        os._exit(1)  # that was gone before
    if processors is not None:
        os.sched_setaffinity(0, processors)
