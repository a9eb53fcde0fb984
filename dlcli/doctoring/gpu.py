"""NVIDIA's GPU, driver and libraries: what can be told without TensorFlow, and what TensorFlow makes of them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dlcli.doctoring.finding import numbers_of
from dlcli.doctoring.software import Needed, needs_of

# What TensorFlow opens when it is built for CUDA of this major version, and the package that brings it.
LIBRARIES: Mapping[int, Mapping[str, str]] = {
    12: {
        "libcudart.so.12": "nvidia-cuda-runtime-cu12",
        "libcublas.so.12": "nvidia-cublas-cu12",
        "libcublasLt.so.12": "nvidia-cublas-cu12",
        "libcufft.so.11": "nvidia-cufft-cu12",
        "libcusolver.so.11": "nvidia-cusolver-cu12",
        "libcusparse.so.12": "nvidia-cusparse-cu12",
    }
}
_NVIDIA, _DISPLAY = "0x10de", "0x03"
_FIELDS = "index,name,memory.total,memory.free,compute_cap,driver_version"
_SECONDS = 15


@dataclass(frozen=True)
class Card:
    """A GPU, as `nvidia-smi` tells of it: memory in bytes; the capability is () if it does not say, the driver ""."""

    number: int
    name: str
    memory: int
    free: int
    capability: tuple[int, ...] = ()
    driver: str = ""


@dataclass(frozen=True)
class Build:
    """What TensorFlow was built for: versions of CUDA and cuDNN, None if for no GPU; and kinds of GPUs, as `sm_80`."""

    cuda: str | None
    cudnn: str | None
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gpu:
    """What there is of a GPU.

    Attributes:
        system: the operating system, as Python names it.
        on_bus: how many of NVIDIA's display controllers there are.
        driver: the version of the driver that runs; None if none does.
        reachable: whether this process can reach a GPU: /dev/nvidiactl.
        smi: what `nvidia-smi` complains of; "" if it works, None if it is not there.
        cards: the GPUs that it tells of.
        visible: CUDA_VISIBLE_DEVICES; None if it is not set.
        packages: what `tensorflow[and-cuda]` needs.
        libraries: where each library of CUDA's and cuDNN is; None if it is nowhere.
        older: libraries of cuDNN of other versions that the environment puts first.
        build: what TensorFlow was built for; None if that is not known.
        seen: the names of the GPUs that TensorFlow uses.
        log: what TensorFlow said of them while it started.
    """

    system: str = "Linux"
    on_bus: int = 0
    driver: str | None = None
    reachable: bool = False
    smi: str | None = None
    cards: tuple[Card, ...] = ()
    visible: str | None = None
    packages: tuple[Needed, ...] = ()
    libraries: Mapping[str, Path | None] = field(default_factory=dict)
    older: tuple[Path, ...] = ()
    build: Build | None = None
    seen: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


def look_at_gpu() -> Gpu:
    """All that shows before TensorFlow starts."""
    smi, cards = _smi()
    told = next((card.driver for card in cards), None) or None  # in WSL2 nothing else tells
    return Gpu(
        platform.system(), _on_bus(), _driver() or told, Path("/dev/nvidiactl").exists(), smi, cards,
        os.environ.get("CUDA_VISIBLE_DEVICES"), tuple(needs_of("tensorflow", "and-cuda")),
    )  # fmt: skip


def with_tensorflow(gpu: Gpu, build: Build, seen: Iterable[str], log: str) -> Gpu:
    """The same with what TensorFlow, which has started, says of itself."""
    told = re.compile(r"dlopen|cudnn|cuda_|CUDA_ERROR|driver|libdevice", re.IGNORECASE)
    lines = tuple(dict.fromkeys(line.split("] ", 1)[-1].strip() for line in log.splitlines() if told.search(line)))
    wanted = libraries_of(build)
    found = {name: _find(name) for name in wanted}
    older = () if build.cudnn is None else _others(f"libcudnn.so.{build.cudnn.split('.')[0]}")
    return replace(gpu, build=build, seen=tuple(seen), log=lines, libraries=found, older=older)


def libraries_of(build: Build) -> dict[str, str]:
    """The libraries that TensorFlow opens, each with the package that brings it; none for what is not known here."""
    if build.cuda is None or build.cudnn is None:
        return {}
    known = LIBRARIES.get(next(iter(numbers_of(build.cuda)), 0), {})
    major = build.cudnn.split(".")[0]
    return {**known, f"libcudnn.so.{major}": f"nvidia-cudnn-cu{build.cuda.split('.')[0]}"} if known else {}


def _on_bus() -> int:
    def text(path: Path) -> str:
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError:
            return ""

    devices = Path("/sys/bus/pci/devices")
    places = list(devices.iterdir()) if devices.is_dir() else []
    return sum(text(one / "vendor") == _NVIDIA and text(one / "class").startswith(_DISPLAY) for one in places)


def _driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module\D*(\d+\.[\d.]+)", text)
    return found[1] if found else None


def _smi() -> tuple[str | None, tuple[Card, ...]]:
    command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        return None, ()
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error), ()
    if done.returncode:
        return " ".join((done.stdout + done.stderr).split()) or f"It ends with {done.returncode}.", ()
    return "", cards_of(done.stdout)


def cards_of(text: str) -> tuple[Card, ...]:
    """The GPUs of what `nvidia-smi` prints, a line each."""
    cards = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(_FIELDS.split(",")) and parts[0].isdigit():
            memory, free = (int(part) * 2**20 if part.isdigit() else 0 for part in parts[2:4])
            driver = parts[5] if numbers_of(parts[5]) else ""
            cards.append(Card(int(parts[0]), parts[1], memory, free, numbers_of(parts[4]), driver))
    return tuple(cards)


def _find(library: str) -> Path | None:
    """Where the loader finds a library: in the packages that TensorFlow looks into, LD_LIBRARY_PATH, or the system."""
    for folder in [*_of_packages(), *_of_path()]:
        if (folder / library).exists():
            return folder / library
    found = re.search(rf"^\s*{re.escape(library)} .*=> (\S+)$", _of_system(), re.MULTILINE)
    return Path(found[1]) if found else None


def _others(library: str) -> tuple[Path, ...]:
    """Libraries in LD_LIBRARY_PATH that are this one of another major version."""
    stem = library.rpartition(".")[0]
    found = (path for folder in _of_path() for path in sorted(folder.glob(f"{stem}.*")))
    return tuple(path for path in found if path.name.count(".") == library.count(".") and path.name != library)


def _of_packages() -> list[Path]:
    roots = [Path(entry) / "nvidia" for entry in sys.path if entry]
    return [folder for root in roots if root.is_dir() for folder in sorted(root.glob("*/lib"))]


def _of_path() -> list[Path]:
    return [Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry and Path(entry).is_dir()]


def _of_system() -> str:
    for program in ("ldconfig", "/sbin/ldconfig"):
        try:
            return subprocess.run([program, "-p"], capture_output=True, text=True, timeout=5, check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
    return ""
