"""What the machine has. Imports nothing heavy."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

_GPUS = Path("/proc/driver/nvidia/gpus")


def machine_memory() -> int | None:
    """The machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def processor_instructions() -> frozenset[str]:
    """The names of the sets of instructions that the processor has, as Linux spells them; empty where it is another."""
    return frozenset(_of_processor("flags").split())


def processor_name() -> str | None:
    """What the processor's maker calls it; None where the system does not say."""
    return _of_processor("model name") or None


def _of_processor(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in text.splitlines() if line.partition(":")[0].strip() == key)
    return next(found, "")


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver runs, and this process can reach a GPU of its."""
    return Path("/proc/driver/nvidia/version").exists() and Path("/dev/nvidiactl").exists()


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


def gpus_here() -> list[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none without a driver."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return list(takewhile(lambda name: name not in ("", "-1"), (name.strip() for name in named.split(","))))
    try:
        return [str(number) for number, _ in enumerate(_GPUS.iterdir())]
    except OSError:
        return []


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
