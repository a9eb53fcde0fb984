"""Trainings that go wrong: losses that are no numbers, a full disk, a second process, a time that is up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlcli.errors import RunError
from dlcli.runs import RunFolder
from dlcli.training.comparing import compare_runs
from tests.conftest import Command, run_quietly
from tests.killing import outcome
from tests.test_resume import OUTPUT, Stops, resume, stops, train, write_spec

__all__ = ["stops"]

WILD = "SGD: {learning_rate: 1.0e+30}"


def words(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_a_loss_that_is_no_number_is_explained(tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(tmp_path / "a", optimizer=WILD)
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one")
    said = words(done.err)
    assert done.code == 4
    assert re.search(
        r"The loss is (no number \(NaN\)|infinite) at step \d+ of epoch 1, at a learning rate of 1e\+30\.", said
    )
    assert re.search(
        r"The first that became no numbers were the weights of .*, in the update of step \d+ of epoch 1", said
    )
    assert "Try a smaller learning rate (1e+29)" in said
    assert "`clipnorm: 1.0`" in said
    assert json.loads((tmp_path / "resumed" / "one" / "run.json").read_text())["state"] == "failed"


def test_the_last_good_checkpoint_is_kept_and_goes_on(tmp_path: Path, dlcli: Command) -> None:
    schedule = "{PiecewiseConstantDecay: {boundaries: [14], values: [0.01, 1.0e+30]}}"
    spec = write_spec(tmp_path / "a", optimizer=f"SGD: {{learning_rate: {schedule}}}")
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one")
    run = tmp_path / "resumed" / "one"
    assert done.code == 4
    assert "of epoch 2" in done.err
    assert f"{run}/checkpoints/last.h5 holds epoch 1, step 12." in words(done.err)
    with h5py.File(run / "checkpoints" / "last.h5") as file:
        file["model_weights"].visititems(
            lambda name, item: None if not isinstance(item, h5py.Dataset) else assert_finite(item)
        )
    values = "optimizer.learning_rate.values=[0.01, 0.001]"
    assert dlcli("train", "--resume", run, "--set", values, "--allow-change").code == 0


def assert_finite(values: Any) -> None:
    assert np.isfinite(values[()]).all()


def test_it_goes_back_with_a_smaller_rate_where_the_spec_says_so(tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(tmp_path / "a", optimizer="SGD: {learning_rate: 1.0e+20}")
    spec.write_text(spec.read_text() + "  divergence: {factor: 1.0e-11, retries: 2}\n")
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one")
    assert done.code == 0, done.err
    said = words(done.err)
    assert "back with a smaller rate" in said
    assert "goes on from epoch 0, step 0 at 1e+09" in said or "at 0.01" in said
    assert len(outcome(tmp_path / "resumed" / "one")["history"]) == 3  # type: ignore[arg-type]


def test_a_schedule_cannot_be_made_smaller(tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(
        tmp_path / "a", optimizer="SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 1.0, decay_steps: 9}}}"
    )
    spec.write_text(spec.read_text() + "  divergence: {}\n")
    done = dlcli("check", spec)
    assert done.code == 2
    assert "schedule" in done.err + done.out


def test_examples_that_are_no_numbers_are_named(
    tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No activation but the last: oneDNN's relu of a NaN is 0.
    infinite = "[Rescaling: {scale: .inf}, Flatten]"
    spec = write_spec(tmp_path / "a", preparation=infinite, layers=f"[{OUTPUT}]")
    done = dlcli("train", spec, "--runs-dir", tmp_path)
    assert done.code == 4
    assert "The inputs of that step are not all numbers: those of the training examples" in words(done.err)


def test_one_process_a_run(tmp_path: Path, dlcli: Command, stops: Stops) -> None:
    spec = write_spec(tmp_path / "a")
    stops.after(2)
    assert train(spec) == 143
    stops.after(None)
    run = RunFolder(spec.parent / "resumed" / "one")
    with run.locked():
        done = dlcli("train", "--resume", run.path)
        assert (done.code, "is being trained by process" in words(done.err)) == (4, True)
    dies = f"""
import os
from pathlib import Path
from dlcli.runs import RunFolder
from dlcli.training.comparing import compare_runs
with RunFolder(Path({str(run.path)!r})).locked():
    print("locked", flush=True)
    os.kill(os.getpid(), 9)
"""
    done_for = subprocess.run([sys.executable, "-c", dies], check=False, capture_output=True, text=True)
    assert (done_for.returncode, done_for.stdout) == (-9, "locked\n")
    assert resume(run.path) == 0


def test_time_that_is_up_is_saved_and_goes_on(tmp_path: Path, dlcli: Command) -> None:
    stopped = write_spec(tmp_path / "stopped")
    done = dlcli("train", stopped, "--runs-dir", stopped.parent, "--run-name", "one", "--max-time", "0.001s")
    assert done.code == 143
    assert "as the time of --max-time is up" in words(done.err)
    assert "--resume" in done.err
    assert resume(stopped.parent / "resumed" / "one") == 0


def test_weights_of_another_run_to_begin_with(tmp_path: Path, dlcli: Command, small_run: Path) -> None:
    first = write_spec(tmp_path / "first")
    assert train(first) == 0
    best = first.parent / "resumed" / "one" / "checkpoints" / "best.h5"
    done = dlcli("train", first, "--runs-dir", tmp_path, "--run-name", "two", "--init-from", best, "--epochs", 1)
    assert done.code == 0, done.err
    assert "2 of 2 layers with weights begin with those of the checkpoint" in words(done.err)
    run = tmp_path / "resumed" / "two"
    losses = [float(outcome(one)["history"][0]["loss"]) for one in (run, first.parent / "resumed" / "one")]  # type: ignore[index]
    assert losses[0] < 0.7 * losses[1]
    done = dlcli("train", first, "--runs-dir", tmp_path, "--init-from", small_run)
    assert (done.code, "No layer of the model fits" in words(done.err)) == (4, True)


def test_a_run_is_repeated_to_the_bit(tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(tmp_path / "a", callbacks="[ReduceLROnPlateau: {monitor: val_loss, patience: 1, min_delta: 1.0}]")
    assert train(spec) == 0
    run = spec.parent / "resumed" / "one"
    done = dlcli("runs", "repeat", run, "--json")
    assert done.code == 0, done.err
    assert done.json["equal"]
    again = Path(done.json["again"])
    assert again.parent == run.parent
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["test"]["accuracy"] = 0.125
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert compare_runs(RunFolder(run), RunFolder(again)).differences == ("metrics.json: test",)


def test_a_disk_that_fills_up_leaves_the_checkpoint_before(
    tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlcli.training import saving

    spec = write_spec(tmp_path / "a")
    write, calls = saving.save_checkpoint, threading.local()
    calls.count = 0

    def full_at_the_second(*arguments: Any) -> None:
        calls.count += 1
        if calls.count > 1:
            raise RunError("Cannot write last.h5: the disk is full.", "Free some space.")
        write(*arguments)

    monkeypatch.setattr(saving, "save_checkpoint", full_at_the_second)
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one")
    assert (done.code, "holds epoch 1, step 12." in words(done.err)) == (4, True)
    monkeypatch.undo()
    assert run_quietly("train", "--resume", tmp_path / "resumed" / "one", "-q") == 0


def test_deterministic_asks_tensorflow_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    # Not really: there is no way back from it in this process.
    monkeypatch.setattr("tensorflow.config.experimental.enable_op_determinism", lambda: asked.append(True))
    spec = write_spec(tmp_path / "a")
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q", "--set", "deterministic=true", "--epochs", 1) == 0
    assert asked == [True]
