"""Kills a worker of two at random moments, lets both go on, and compares them with a training that nobody disturbed.

python -m tests.killing_workers [KILLS] [--chief]
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.killing import SPEC

_EPOCHS = "epochs: 6"
_LONGEST = 300.0


def start(folder: Path, spec: Path, *arguments: str) -> list[subprocess.Popen[str]]:
    """Two workers of a training."""
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{port.getsockname()[1]}" for port in ports]
    for port in ports:
        port.close()
    processes = []
    for number in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        command = [sys.executable, "-m", "dlcli", "train", str(spec), "--no-report", "--runs-dir", str(folder)]
        processes.append(
            subprocess.Popen(
                [*command, *arguments], env={**os.environ, "TF_CONFIG": json.dumps(task)}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    return processes


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """The exit code of each, and what it said."""
    said = [process.communicate(timeout=_LONGEST)[0] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def state_of(folder: Path) -> tuple[dict[str, Any], str]:
    """The numbers in last.h5, of model and optimizer; and the epochs, without their times."""
    [run] = [path for path in (folder / "killed").iterdir() if not path.is_symlink()]
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and not name.startswith("dlcli/arrays/random/p"):
            found[name] = np.asarray(item[()])

    with h5py.File(run / "checkpoints" / "last.h5") as file:
        file.visititems(take)
    rows = [line.rsplit(",", 1)[0] for line in (run / "history.csv").read_text().splitlines()]
    return found, "\n".join(rows)


def _same(one: Any, other: Any) -> bool:
    is_there = one is not None and other is not None
    return is_there and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def tell(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(kills: int, victim: int) -> int:
    """Kill so many times; how many trainings came to other bits."""
    wrong = done = trainings = 0
    randomness = random.Random(victim)
    with tempfile.TemporaryDirectory() as name:
        spec = Path(name) / "spec.yaml"
        spec.write_text(SPEC.replace(_EPOCHS, "epochs: 12"))
        began = time.monotonic()
        assert [code for code, _ in ended(start(Path(name) / "whole", spec))] == [0, 0]
        seconds = time.monotonic() - began
        expected = state_of(Path(name) / "whole")
        while done < kills:
            folder = Path(name) / f"training-{trainings}"
            trainings += 1
            while True:
                began = time.monotonic()
                processes = start(folder, spec, "--resume", "auto")
                time.sleep(randomness.uniform(0.3, 1.1) * seconds)
                is_killed = done < kills and processes[victim].poll() is None
                if is_killed:
                    processes[victim].send_signal(signal.SIGKILL)
                    killed = time.monotonic()
                results = ended(processes)
                if not is_killed:
                    seconds = min(seconds, time.monotonic() - began)  # the machine may have been slower before
                if not is_killed or 0 in (results[0][0], results[1][0]):  # the other one may have been done with it
                    assert is_killed or [code for code, _ in results] == [0, 0], results
                    break
                code, text = results[1 - victim]
                done += 1
                lines = [line for line in text.splitlines() if "gone" in line] or text.splitlines()[-3:]
                tell(f"kill {done}: exit code {code} after {time.monotonic() - killed:.1f} s: {' '.join(lines)}")
                assert code == 4, text
            arrays, history = state_of(folder)
            names = sorted(arrays.keys() | expected[0].keys())
            others = [name for name in names if not _same(arrays.get(name), expected[0].get(name))]
            others += ["history.csv"] if history != expected[1] else []
            wrong += bool(others)
            tell(f"training {trainings}, {done} kills: {f'OTHER BITS in {others}' if others else 'the same bits'}")
    return wrong


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    sys.exit(main(numbers[0] if numbers else 20, 0 if "--chief" in sys.argv else 1))
