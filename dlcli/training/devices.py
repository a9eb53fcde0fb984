"""Which devices are asked for: `auto`, `cpu`, `gpu`, or some GPUs of several, as in `gpu:0,1`. Loads no TensorFlow.

`cpu:0,1` makes two devices of the CPU, to try out what is for several.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from dlcli.errors import DeviceError, UsageError

DeviceChoice = str
"""as it is written; `chosen_device` has found it right"""
_NUMBERS = re.compile(r"(cpu|gpu):([0-9]{1,4}(?:,[0-9]{1,4})*)\Z")


def chosen_device(written: str) -> DeviceChoice:
    """What `--device` says. Raises UsageError if that cannot be."""
    if written in ("auto", "cpu", "gpu"):
        return written
    numbers = _numbers("gpu", written) or _numbers("cpu", written)
    if numbers is None:
        hint = "GPUs are counted from 0: `gpu:1` is the second one, `gpu:0,1` are the first two."
        raise UsageError(f"--device {written}: it must be `auto`, `cpu`, `gpu`, or numbers, as in `gpu:0,1`.", hint)
    if len(set(numbers)) < len(numbers):
        raise UsageError(f"--device {written}: a device is named twice.")
    if written.startswith("cpu") and sorted(numbers) != list(range(len(numbers))):
        raise UsageError(f"--device {written}: devices that are made of the CPU count from 0, as in `cpu:0,1`.")
    return written if written.startswith("cpu") else device_text(numbers)


def gpu_numbers(device: DeviceChoice) -> tuple[int, ...] | None:
    """The GPUs that are named; None if they are not."""
    return _numbers("gpu", device)


def cpu_count(device: DeviceChoice) -> int:
    """How many devices are made of the CPU."""
    return len(_numbers("cpu", device) or (0,))


def copies(strategy: str, device: DeviceChoice, workers: int, gpus: int) -> int:
    """How many copies of a model a strategy will make, before TensorFlow is asked.

    Args:
        strategy: as in `train.strategy`.
        device: what is asked for.
        workers: that train together; 1 for one alone.
        gpus: that this process may use.
    """
    if workers > 1 or strategy in ("none", "multi_worker"):
        return workers if strategy != "none" else 1
    named = _numbers("gpu", device) or _numbers("cpu", device)
    count = len(named) if named is not None else gpus if device in ("auto", "gpu") else 1
    return max(1, count) if strategy == "mirrored" or not device.startswith("cpu") else 1


def _numbers(kind: str, device: DeviceChoice) -> tuple[int, ...] | None:
    found = _NUMBERS.match(device)
    return tuple(map(int, found[2].split(","))) if found is not None and found[1] == kind else None


def device_text(numbers: Sequence[int]) -> DeviceChoice:
    """What names these GPUs."""
    return f"gpu:{','.join(map(str, numbers))}"


def cpu_text(count: int) -> DeviceChoice:
    """What makes so many devices of the CPU."""
    return f"cpu:{','.join(map(str, range(count)))}" if count > 1 else "cpu"


def taken(device: DeviceChoice, names: Sequence[str]) -> list[int]:
    """The numbers of the GPUs to use, of those that TensorFlow sees, which have these names.

    Raises:
        DeviceError: a GPU is asked for that is not there.
    """
    numbers = gpu_numbers(device)
    if device.startswith("cpu"):
        return []
    if not names and device != "auto":
        raise DeviceError(
            f"`--device {device}` was asked for, but TensorFlow sees no GPU on this machine.",
            "`dlcli doctor` says what is missing, and how to install it; `--device auto` takes the CPU then.",
        )
    missing = [number for number in numbers or () if number >= len(names)]
    if missing:
        there = ", ".join(f"gpu:{number} ({name})" for number, name in enumerate(names))
        raise DeviceError(
            f"`--device {device}` was asked for, but there is no {device_text(missing)}: TensorFlow sees {there}.",
            "They are counted anew from 0 where CUDA_VISIBLE_DEVICES names some of them.",
        )
    return list(range(len(names)) if numbers is None else numbers)
