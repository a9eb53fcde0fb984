"""The machine without its GPU: processor, memory, disk, and the folders that dlcli reads and writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dlcli.data.finding import DATA_DIR_VARIABLE
from dlcli.data.memory import cores
from dlcli.doctoring.finding import Finding, State, gibibytes, listed
from dlcli.errors import DataError
from dlcli.machine import machine_memory, processor_instructions, processor_name
from dlcli.spec.catalogue import cache_folder

PROCESSOR, MEMORY, DATA = "processor", "memory and disk", "data"
# As Linux spells them, and as people do; the first two are those that TensorFlow's packages of 2.21 need, or nearly so.
_INSTRUCTIONS = {
    "AVX2": ("avx2",), "FMA": ("fma",), "AVX-512": ("avx512f",), "VNNI": ("avx512_vnni", "avx_vnni"),
    "BF16": ("avx512_bf16",), "AMX": ("amx_tile",), "NEON": ("asimd",),
}  # fmt: skip
_CGROUPS = Path("/sys/fs/cgroup")
_LEAST_MEMORY, _LEAST_DISK = 1.5 * 2**30, 2**30


@dataclass(frozen=True)
class Folder:
    """A folder that dlcli uses.

    Attributes:
        path: where; None if none is named.
        problem: why it cannot be used; None if it can.
        exists: whether it is there.
    """

    path: Path | None
    problem: str | None = None
    exists: bool = True


@dataclass(frozen=True)
class Machine:
    """What the machine has.

    Attributes:
        processor: its name; None if that is not known.
        instructions: the sets of instructions it has, as Linux spells them; empty if that is not known.
        cores: how many processors this process may use.
        all_cores: how many there are.
        quota: how many of them a container's limit is worth; None without one.
        load: how many processes ran in the last minute; None if that is not known.
        onednn: what TF_ENABLE_ONEDNN_OPTS says; None if it is not set.
        memory: bytes there are for this process.
        available: bytes of it that are free; None if that is not known.
        disk: bytes free where runs are written.
        runs: the folder of runs.
        cache: the folder of caches.
        data: the folder of data.
        sets: the data sets of Keras's that are here, and those that are not.
    """

    processor: str | None
    instructions: frozenset[str]
    cores: int
    all_cores: int
    quota: float | None
    load: float | None
    onednn: str | None
    memory: int | None
    available: int | None
    disk: int | None
    runs: Folder
    cache: Folder
    data: Folder
    sets: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()))


def look_at_machine(runs_dir: Path, data_dir: Path | None) -> Machine:
    """What this one has. Nothing is left behind."""
    quota, limit = _limits()
    memory = machine_memory()
    everything = os.cpu_count() or 1
    return Machine(
        processor_name(), processor_instructions(), cores(), everything, quota, _load(),
        os.environ.get("TF_ENABLE_ONEDNN_OPTS"), min(filter(None, (memory, limit)), default=None), _available(limit),
        _free(runs_dir), _written(runs_dir), _written(cache_folder()), *_data(data_dir),
    )  # fmt: skip


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _limits() -> tuple[float | None, int | None]:
    """What a container may use: how many processors' time, and how many bytes; None where there is no limit."""
    quota, limit = _read(_CGROUPS / "cpu.max").split(), _read(_CGROUPS / "memory.max")
    share = int(quota[0]) / int(quota[1]) if len(quota) == 2 and all(part.isdigit() for part in quota) else None
    return share, int(limit) if limit.isdigit() else None


def _available(limit: int | None) -> int | None:
    lines = (line.split() for line in _read(Path("/proc/meminfo")).splitlines())
    free = next((int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"), None)
    used = _read(_CGROUPS / "memory.current")
    if limit is not None and used.isdigit():
        left = max(0, limit - int(used))
        return left if free is None else min(free, left)
    return free


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _nearest(path: Path) -> Path:
    """The folder, or that of those above it which is there."""
    whole = path.expanduser().absolute()
    return next((one for one in (whole, *whole.parents) if one.exists()), whole)


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(_nearest(path)).free
    except OSError:
        return None


def _written(path: Path) -> Folder:
    """A folder that files are written to; it is not made."""
    there = _nearest(path)
    is_there = there == path.expanduser().absolute()
    if not there.is_dir():
        return Folder(path, f"{there} is a file, not a folder.", exists=is_there)
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".dlcli-doctor-") as file:
            file.write(b"x" * 4096)
    except OSError as error:
        return Folder(path, f"Nothing can be written to {there}: {error.strerror or error}.", exists=is_there)
    return Folder(path, exists=is_there)


def _data(data_dir: Path | None) -> tuple[Folder, tuple[tuple[str, ...], tuple[str, ...]]]:
    named = os.environ.get(DATA_DIR_VARIABLE)
    path = data_dir or (Path(named) if named else None)
    folder = Folder(path)
    if path is not None:
        whole = path.expanduser()
        if not whole.exists():
            folder = Folder(path, f"There is no {path}.", exists=False)
        elif not whole.is_dir():
            folder = Folder(path, f"{path} is a file, not a folder.")
        elif not os.access(whole, os.R_OK | os.X_OK):
            folder = Folder(path, f"{path} cannot be read.")
    try:
        from dlcli.data.fetching import held_sets

        held = held_sets(data_dir if folder.problem is None else None)
    except (DataError, ImportError):  # as where NumPy is missing
        held = []
    here = tuple(one.name for one in held if one.path is not None)
    return folder, (here, tuple(one.name for one in held if one.path is None))


def judge_machine(machine: Machine) -> Iterator[Finding]:
    """What is to be said of it."""
    yield from _judge_processor(machine)
    yield from _judge_memory(machine)
    yield from _judge_folders(machine)


def _judge_processor(machine: Machine) -> Iterator[Finding]:
    yield Finding(PROCESSOR, "processor", "ok", machine.processor or "The system does not say which.")
    has, known = machine.instructions, bool(machine.instructions)
    names = [name for name, flags in _INSTRUCTIONS.items() if has & set(flags)]
    if known and not has & {"avx", "asimd"}:
        found = "It has no AVX, without which TensorFlow's packages do not run."
        yield Finding(PROCESSOR, "instructions", "bad", found, "Use a processor from 2012 or later.", is_fatal=True)
    elif known and not has & {"avx2", "asimd"}:
        found = f"It has no AVX2: matrix products are slow. It has {listed(names) if names else 'AVX alone'}."
        yield Finding(PROCESSOR, "instructions", "warn", found)
    elif known:
        yield Finding(PROCESSOR, "instructions", "ok", ", ".join(names))
    yield _judge_cores(machine)
    if machine.onednn == "0":
        advice = "`unset TF_ENABLE_ONEDNN_OPTS`; dlcli sets it to 1."
        found = "TF_ENABLE_ONEDNN_OPTS=0 turns it off: convolutions take more than twice as long."
        yield Finding(PROCESSOR, "oneDNN", "warn", found, advice)
    else:
        yield Finding(PROCESSOR, "oneDNN", "ok", "on")
    if machine.load is not None and machine.load > max(0.7, machine.cores / 2):
        found = f"{machine.load:.1f} processes worked at once in the last minute, on {machine.cores} processors."
        advice = "Trainings are slower for it, and so is the test of speed below. `top` shows which they are."
        yield Finding(PROCESSOR, "load", "warn", found, advice)


def _judge_cores(machine: Machine) -> Finding:
    used = f"{machine.cores}" if machine.cores == machine.all_cores else f"{machine.cores} of {machine.all_cores}"
    if machine.quota is not None and machine.quota < machine.cores:
        found = f"{used}, but a container's limit gives the time of {machine.quota:g}: threads wait for each other."
        advice = "Give the container more, or name its processors: `docker run --cpuset-cpus 0-3`."
        return Finding(PROCESSOR, "cores", "warn", found, advice)
    return Finding(PROCESSOR, "cores", "ok", used)


def _judge_memory(machine: Machine) -> Iterator[Finding]:
    if machine.memory is not None:
        free = f", {gibibytes(machine.available)} free" if machine.available is not None else ""
        is_little = machine.available is not None and machine.available < _LEAST_MEMORY
        advice = (
            "End other programs: TensorFlow alone takes half a GB, and a small training one." if is_little else None
        )
        found = f"{gibibytes(machine.memory)}{free}"
        yield Finding(MEMORY, "memory", "warn" if is_little else "ok", found, advice)
    if machine.disk is not None:
        state: State = "ok" if machine.disk >= _LEAST_DISK else "warn" if machine.disk >= _LEAST_DISK / 10 else "bad"
        advice = "`dlcli runs remove` removes runs; --runs-dir names another disk." if state != "ok" else None
        yield Finding(MEMORY, "disk", state, f"{gibibytes(machine.disk)} free for runs", advice)
    for name, folder, option in (("runs", machine.runs, "--runs-dir"), ("cache", machine.cache, "XDG_CACHE_HOME")):
        if folder.problem is not None:
            yield Finding(MEMORY, name, "bad", folder.problem, f"Name another folder with {option}.")
        else:
            yield Finding(MEMORY, name, "ok", f"{folder.path}{'' if folder.exists else ', made when it is needed'}")


def _judge_folders(machine: Machine) -> Iterator[Finding]:
    folder, (here, missing) = machine.data, machine.sets
    if folder.problem is not None:
        advice = "Name the folder that has your data with --data-dir or DLCLI_DATA_DIR."
        yield Finding(DATA, "folder", "bad" if folder.exists else "warn", folder.problem, advice)
    elif folder.path is None:
        yield Finding(DATA, "folder", "ok", "None is named: --data-dir, or DLCLI_DATA_DIR in the environment.")
    else:
        yield Finding(DATA, "folder", "ok", str(folder.path))
    yield Finding(DATA, "embedded", "ok", "digits, iris, wine, breast_cancer, diabetes and what is drawn, always")
    if here:
        yield Finding(DATA, "here", "ok", f"{listed(here)}: no network is needed.")
    if missing:
        advice = f"`dlcli data fetch {missing[0]}`, say, where there is a network."
        yield Finding(DATA, "not here", "ok", f"{', '.join(missing)}", advice)
