"""What the machine has. Imports nothing heavy."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path


def machine_memory() -> int | None:
    """The machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def process_started(process: int) -> str | None:
    """When a process began, as the machine counts: no other one has this number and this. None if that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    # proc(5): the state is the third field, the first behind the name in brackets; the start is the 22nd.
    return f"{boot} {fields[19].decode()}" if fields[0] not in (b"Z", b"X") else None


def is_process_running(process: int, started: str | None) -> bool:
    """Whether the process of this number runs here, and is the one that began at `started`, if that is known."""
    if process < 1:
        return False  # for `kill`, that is several
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return started is None or process_started(process) == started


def stop_with_parent() -> None:
    """From now on, ask this process to stop, as SIGTERM does, when its standard input ends: that of a child which was
    given a pipe ends with its parent, however that ends.
    """

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
