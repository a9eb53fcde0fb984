"""Whole commands by turns: `dlcli train` from file to checkpoint, and the plain script of the same job."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.generated import write_generated

_SCRIPTS = Path(__file__).parent / "jobs"
_CONFIGS = Path(__file__).parents[2] / "configs"
JOBS = {
    "penguins": 30, "sms_spam": 10, "temperatures": 20, "cifar10_folders": 2, "mnist_cnn": 1, "digits_h5": 2,
    "digits_tfrecord": 2, "motion_films": 20,
}  # fmt: skip
"""how many epochs a turn of each job has"""
_COLUMNS = ("whole job", "epochs", "", "seconds", "dlcli is × as fast", "least to most", "memory, MB", "test score")


@dataclass(frozen=True)
class Turn:
    """One process: seconds from start to end, its largest memory in MB, and the score that it tells."""

    seconds: float
    peak_mb: float
    score: float


def main(jobs: list[str], rounds: int) -> None:
    """Time these jobs."""
    if jobs:
        print(f"\n| {' | '.join(_COLUMNS)} |")
        print("|---" * len(_COLUMNS) + "|")
    for name in jobs:
        epochs = JOBS[name]
        with _data_of(name) as data:
            turns = [(_dlcli(name, epochs, data), _script(name, epochs, data)) for _ in range(rounds)]
        for who, each in zip(("dlcli", "plain script"), zip(*turns, strict=True), strict=True):
            ratios = [one.seconds / ours.seconds for one, (ours, _) in zip(each, turns, strict=True)]
            seconds, peak, score = (
                statistics.median(getattr(turn, field) for turn in each) for field in ("seconds", "peak_mb", "score")
            )
            figures = [
                name, str(epochs), who, f"{seconds:.1f}", f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}", f"{peak:.0f}", f"{score:.3f}",
            ]  # fmt: skip
            print(f"| {' | '.join(figures)} |", flush=True)


@contextmanager
def _data_of(name: str) -> Iterator[str]:
    """The folder for data of a job: the user's; or one with what is made for it."""
    if not _own_config(name).exists():
        yield os.environ["DLCLI_DATA_DIR"]
        return
    with tempfile.TemporaryDirectory() as folder:
        write_generated(Path(folder))
        yield folder


def _own_config(name: str) -> Path:
    """Of a job that is no shipped one."""
    return _SCRIPTS / f"{name}.yaml"


def _dlcli(name: str, epochs: int, data: str) -> Turn:
    with tempfile.TemporaryDirectory() as folder:
        config = _own_config(name) if _own_config(name).exists() else _CONFIGS / f"{name}.yaml"
        command = [
            sys.executable, "-m", "dlcli", "train", str(config), "--epochs", str(epochs), "--runs-dir", folder,
            "--quiet", "--run-name", "it", "--data-dir", data,
        ]  # fmt: skip
        seconds, peak, _ = _timed(command)
        [metrics] = Path(folder).glob("*/it/metrics.json")
        scores = json.loads(metrics.read_text(encoding="utf-8"))["test"]
        return Turn(seconds, peak, next(value for metric, value in scores.items() if metric != "loss"))


def _script(name: str, epochs: int, data: str) -> Turn:
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, output = _timed([sys.executable, str(_SCRIPTS / f"{name}.py"), data, folder, str(epochs)])
        return Turn(seconds, peak, float(output.split()[-1]))


def _timed(command: list[str]) -> tuple[float, float, str]:
    """Seconds, largest memory in MB, and what was written to standard output."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, text=True)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} has failed:\n{errors.read()[-2000:]}")
        return seconds, usage.ru_maxrss / 1024, output.read()
