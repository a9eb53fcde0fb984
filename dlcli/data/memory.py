"""What there is for this process: how much memory is free, before much of it is taken, and how many processors."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def cores() -> int:
    """How many processors this process may use: what TensorFlow counts, too."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int | None:
    """How many bytes this process can still take without others being moved out; None where that cannot be told."""
    found = [_of_the_machine(), *(_of_a_cgroup(Path(folder), *names) for folder, *names in _CGROUPS)]
    return min((size for size in found if size is not None), default=None)


def _of_the_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:  # macOS says only how much there is at all
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_a_cgroup(folder: Path, limit: str, used: str) -> int | None:
    """What a container may still take; files that were read and are only remembered give way."""
    try:
        most, now = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines())
        return max(0, most - now + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):  # also "max": no limit
        return None


def readable_bytes(count: int) -> str:
    """A number of bytes for a person: `1.5 GB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} bytes"
