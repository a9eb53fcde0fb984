"""All findings, in their order: what is installed, the machine, then, with TensorFlow started, GPU, workers, speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.doctoring.finding import Finding
from dlcli.doctoring.gpu import Build, look_at_gpu, with_tensorflow
from dlcli.doctoring.gpu_rules import judge_gpu
from dlcli.doctoring.machine import Machine, judge_machine, look_at_machine
from dlcli.doctoring.software import SOFTWARE, judge_software, look_at_software
from dlcli.doctoring.workers import judge_workers, look_at_workers

_BROKEN = "`pip install --force-reinstall tensorflow`, in a new environment if that does not help."


@dataclass
class Examination:
    """What a doctor has found so far.

    Attributes:
        findings: one after the other.
        machine: what the machine has.
        device: what TensorFlow computes on; None if it does not start.
        figures: of the test of speed, by key; empty without one.
    """

    machine: Machine
    findings: list[Finding] = field(default_factory=list)
    device: str | None = None
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def is_usable(self) -> bool:
        """Whether dlcli can be used here."""
        return not any(finding.is_fatal for finding in self.findings)


def examine(
    runs_dir: Path, data_dir: Path | None, *, measures: bool, tell: Callable[[str], object], log: Callable[[], str]
) -> Examination:
    """Look at everything.

    Args:
        runs_dir: where runs are to be written.
        data_dir: where data is to be looked for first.
        measures: whether speed is measured, too.
        tell: is told what takes long, in a few words.
        log: what TensorFlow has written past Python so far.
    """
    machine = look_at_machine(runs_dir, data_dir)
    found = Examination(machine, [*judge_software(look_at_software()), *judge_machine(machine)])
    gpu = look_at_gpu()
    if found.is_usable:
        tell("starting TensorFlow …")
        started = _start(found)
        gpu = with_tensorflow(gpu, *started, log()) if started is not None else gpu
    at = next((number for number, one in enumerate(found.findings) if one.area == "data"), len(found.findings))
    found.findings[at:at] = [*judge_gpu(gpu), *judge_workers(look_at_workers())]
    if measures and found.device is not None:
        found.figures = dict(_measured(found, tell))
    return found


def _start(found: Examination) -> tuple[Build, list[str]] | None:
    """What TensorFlow was built for, and the GPUs that it sees; None if it does not start, which is a finding then."""
    try:
        from dlcli.training.backend import start_backend

        backend = start_backend("auto")
        import tensorflow as tf

        info = tf.sysconfig.get_build_info()
        gpus = tf.config.list_logical_devices("GPU")
    except Exception as error:  # noqa: BLE001 - whatever a broken installation raises
        first = next(iter(str(error).splitlines()), "")[:300]
        text = f"It does not start: {type(error).__name__}: {first}"
        found.findings.append(Finding(SOFTWARE, "tensorflow", "bad", text, _BROKEN, is_fatal=True))
        return None
    found.device = backend.device_name
    names = [f"{gpu.name.removeprefix('/device:').lower()}" for gpu in gpus]
    return build_of(info), names


def build_of(info: dict[str, Any]) -> Build:
    """What TensorFlow's own `get_build_info` says."""
    if not info.get("is_cuda_build"):
        return Build(None, None)
    return Build(info.get("cuda_version"), info.get("cudnn_version"), tuple(info.get("cuda_compute_capabilities", ())))


def _measured(found: Examination, tell: Callable[[str], object]) -> Iterator[tuple[str, float]]:
    from dlcli.doctoring.speed import measure

    try:
        yield from measure(tell).items()
    except Exception as error:  # noqa: BLE001 - whatever a device or a broken library raises
        first = next(iter(str(error).splitlines()), "")[:300]
        text = f"A training does not run on {found.device}: {type(error).__name__}: {first}"
        advice = "`dlcli doctor --no-speed` looks at the rest; `--device cpu` trains on the CPU."
        found.findings.append(Finding("speed", "test", "bad", text, advice))
