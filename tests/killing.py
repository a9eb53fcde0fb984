"""Kills trainings at random moments, resumes them, and compares what they come to with an undisturbed one.

    python -m tests.killing [KILLS] [--term] [--streamed]

TensorFlow is imported once, by a process that forks one for each training, so that a trial takes seconds.
"""

from __future__ import annotations

import csv
import faulthandler
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

SPEC = """
name: killed
seed: 3
dataset:
  source: digits
  validation: 0.2
  augment:
    - RandomRotation: {factor: 0.05}
    - RandomTranslation: {height_factor: 0.1, width_factor: 0.1}
  batch_size: 32
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
    - BatchNormalization
    - Flatten
    - Dropout: {rate: 0.3}
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer:
  Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 0.02, decay_steps: 200}}}
metrics: [accuracy]
train:
  epochs: 6
  checkpoint: {every_steps: 7, keep: 2}
  callbacks:
    - EarlyStopping: {monitor: val_loss, patience: 2, restore_best_weights: true}
"""


# A training that takes longer hangs: it writes where, and ends with exit code 1.
HANGING_SECONDS = 300


@dataclass
class Child:
    """A training in a process of its own."""

    process: int
    output: Path

    def wait(self) -> int:
        """Its exit code; negative for the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def is_over(self) -> bool:
        """Whether it has ended, without collecting it."""
        return os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill_after(self, seconds: float, number: int) -> None:
        """Send it a signal, unless it ends before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_over():
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            os.kill(self.process, number)


def prepare() -> None:
    """Import what a training imports; nothing may start a thread."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
    from dlcli.training.backend import set_environment

    set_environment()
    import keras  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import tensorflow  # noqa: F401

    import dlcli.training.rehearsal
    import dlcli.training.trainer  # noqa: F401


def start(arguments: list[str], output: Path) -> Child:
    """Run `dlcli` with these arguments in a fork of this process."""
    process = os.fork()
    if process:
        return Child(process, output)
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        faulthandler.dump_traceback_later(HANGING_SECONDS, exit=True, file=file)
        sys.argv = ["dlcli", *arguments]
        from dlcli.cli import main

        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def outcome(run: Path) -> dict[str, object]:
    """All that must be equal to the bit: history but for its times, metrics, and the numbers of both checkpoints."""
    with (run / "history.csv").open(newline="") as file:
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    found: dict[str, object] = {"history": history, "metrics": json.loads((run / "metrics.json").read_text())}
    for name in ("best", "last"):
        with h5py.File(run / "checkpoints" / f"{name}.h5") as file:
            numbers: dict[str, bytes] = {}

            def keep(place: str, item: object, numbers: dict[str, bytes] = numbers) -> None:
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf":
                    numbers[place] = np.asarray(item[()]).tobytes()

            file.visititems(keep)
            found[name] = numbers
    return found


def trial(
    folder: Path, text: str, seconds: float, rng: random.Random, number: int
) -> tuple[dict[str, object], int, str]:
    """Kill a training at random moments and resume it until it is done; its outcome, how often, and where."""
    spec, runs, output = folder / "killed.yaml", folder / "runs", folder / "output.txt"
    spec.write_text(text)
    run = runs / "killed" / "one"
    kills, places = 0, []
    most = rng.choice((1, 4, 8))
    while True:
        going_on = ["--resume", str(run)] if run.exists() else [str(spec), "--runs-dir", str(runs), "--run-name", "one"]
        child = start(["train", "--no-report", *going_on], output)
        if kills < most:
            child.kill_after(rng.uniform(0.0, seconds), number)
        code = child.wait()
        if code == 0:
            return outcome(run), kills, " ".join(places)
        expected = (-number, 128 + number)
        if code not in expected:
            raise AssertionError(f"exit code {code} after {kills} kills:\n{output.read_text()[-3000:]}")
        kills += 1
        places.append(_place(run))


def _place(run: Path) -> str:
    if not run.exists():
        return "before-the-run"
    parts = [path.name for path in run.rglob(".*.part*")]
    if parts:
        return f"writing({parts[0].split('.')[1]})"
    if (run / "metrics.json").exists():
        return "end"
    return "training" if (run / "checkpoints" / "last.h5").exists() else "first-steps"


def compare(first: dict[str, object], second: dict[str, object]) -> list[str]:
    """The names of what differs."""
    different = [name for name in ("history", "metrics") if first[name] != second[name]]
    for name in ("best", "last"):
        one, other = first[name], second[name]
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        different += [f"{name}:{place}" for place in one.keys() | other.keys() if one.get(place) != other.get(place)]
    return different


def streamed(folder: Path) -> str:
    """The spec with the same examples in a file that is read window by window."""
    from sklearn.datasets import load_digits

    from dlcli.data import streaming

    digits = load_digits()
    path = folder / "digits.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=(digits.images * 15).astype("uint8"), chunks=(32, 8, 8))
        file["y"] = digits.target
    streaming.RUN_BYTES, streaming.WINDOW_BYTES = 1_000, 20_000  # for the forks as well
    return SPEC.replace("source: digits", f"source: {{arrays: {{path: {path}, stream: true}}}}")


def main(kills: int, number: int, folder: Path, seed: int = 0, *, is_streamed: bool = False) -> dict[str, int]:
    """As many kills as asked for, at least; how many fell where. Raises AssertionError at the first difference."""
    prepare()
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole"
    whole.mkdir()
    text = streamed(folder) if is_streamed else SPEC
    (whole / "killed.yaml").write_text(text)
    began = time.monotonic()
    arguments = [
        "train",
        "--no-report",
        str(whole / "killed.yaml"),
        "--runs-dir",
        str(whole / "runs"),
        "--run-name",
        "one",
    ]
    child = start(arguments, whole / "output.txt")
    assert child.wait() == 0, (whole / "output.txt").read_text()
    seconds = time.monotonic() - began
    expected = outcome(whole / "runs" / "killed" / "one")
    fell: dict[str, int] = {}
    done = trials = 0
    while done < kills:
        trials += 1
        place = folder / f"trial{trials}"
        place.mkdir()
        found, times, places = trial(place, text, seconds, rng, number)
        different = compare(expected, found)
        assert not different, f"trial {trials} ({places}): {different[:10]}"
        done += times
        for word in places.split():
            fell[word] = fell.get(word, 0) + 1
    return fell


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        asked = int(sys.argv[1]) if len(sys.argv) > 1 else 200
        number = signal.SIGTERM if "--term" in sys.argv else signal.SIGKILL
        print(main(asked, number, Path(place) / "kills", is_streamed="--streamed" in sys.argv))  # noqa: T201
