"""`dlcli train`: what is in a run's folder, what is shown, and that it can be repeated and stopped."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from rich.console import Console
from rich.text import Text

from dlcli.cli.result import show_metrics
from dlcli.console import Screen
from dlcli.machine import process_started
from dlcli.runs.entries import state_of
from dlcli.training.stopping import StopRequest
from tests.conftest import CONFIGS, Command, run_quietly
from tests.test_startup import Terminal


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def weights_of(checkpoint: Path) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with h5py.File(checkpoint) as file:
        group = file["model_weights"]
        group.visititems(lambda name, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def test_run_folder_holds_everything_in_plain_files(small_run: Path, small_spec: Path) -> None:
    assert (small_run / "spec.yaml").read_text() == small_spec.read_text()
    resolved = yaml.safe_load((small_run / "resolved.yaml").read_text())
    assert resolved["dataset"]["shuffle"] is True
    record = json.loads((small_run / "run.json").read_text())
    assert record["state"] == "done"
    assert record["seed"] == 3
    assert record["device"] == "cpu"
    assert record["data"]["source"] == "digits"
    assert sum(record["data"]["examples"].values()) == 1797
    rows = read_rows(small_run / "history.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss", "accuracy", "top_2", "val_loss", "val_accuracy", "val_top_2", "learning_rate", "seconds"} <= set(
        rows[0]
    )
    assert float(rows[0]["learning_rate"]) > float(rows[2]["learning_rate"])
    assert "Conv2D" in (small_run / "summary.txt").read_text()
    assert {path.name for path in (small_run / "checkpoints").iterdir()} == {"best.h5", "last.h5"}
    assert (small_run.parent / "latest").readlink() == Path("first")
    assert not list(small_run.rglob("*.part*"))


def test_a_run_records_what_lists_of_runs_need(dlcli: Command, small_run: Path) -> None:
    record = json.loads((small_run / "run.json").read_text())
    metrics = {"loss": "min", "accuracy": "max", "top_2": "max"}
    assert record["better"] == {**metrics, **{f"val_{name}": mode for name, mode in metrics.items()}}
    assert record["monitor"] == "val_loss"
    assert record["process"]["started"] == process_started(os.getpid())
    assert state_of({**record, "state": "running"}) == "running"
    [row] = dlcli("runs", "--runs-dir", small_run.parents[1], "--json").json
    assert (row["run"], row["state"], row["epochs"]) == ("small/first", "done", 3)
    assert row["score"]["figure"] == "val_accuracy"


def test_training_learns_and_best_is_the_best_epoch(small_run: Path) -> None:
    metrics = json.loads((small_run / "metrics.json").read_text())
    rows = read_rows(small_run / "history.csv")
    assert metrics["test"]["accuracy"] > 0.6
    assert metrics["validation"]["loss"] == pytest.approx(min(float(row["val_loss"]) for row in rows), abs=1e-6)


def test_same_seed_gives_the_same_bits_and_another_seed_others(
    small_spec: Path, small_run: Path, tmp_path: Path
) -> None:
    for name, seed in (("again", 3), ("other", 4)):
        arguments = ("--runs-dir", tmp_path, "--run-name", name, "--seed", seed, "-q")
        assert run_quietly("train", small_spec, *arguments) == 0
    first, again, other = (
        weights_of(run / "checkpoints" / "last.h5")
        for run in (small_run, tmp_path / "small" / "again", tmp_path / "small" / "other")
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_json_is_one_object_a_line(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    done = dlcli("train", small_spec, "--epochs", 2, "--json", "--runs-dir", tmp_path)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [1, 2]
    start = next(event for event in events if event["event"] == "start")
    assert (start["epochs"], start["batch_size"], start["monitor"]) == (2, 100, "val_loss")
    end = events[-1]
    assert end["event"] == "end"
    metrics = json.loads((Path(end["run"]) / "metrics.json").read_text())
    assert end["metrics"]["test"] == metrics["test"]
    assert done.err == ""


def test_plain_lines_without_a_terminal(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    done = dlcli("train", small_spec, "--epochs", 2, "--runs-dir", tmp_path)
    assert done.code == 0
    assert "\x1b[" not in done.err + done.out
    assert "1/2" in done.err
    assert "2/2" in done.err
    run = next(tmp_path.rglob("run.json")).parent
    *table, _, told, checkpoint = done.out.splitlines()
    assert [line.split()[0] for line in table] == ["loss", "train", "validation", "test", "trivial", "gain"]
    assert told == "trivial: always the most frequent class, the mean or the median; on test"
    assert checkpoint.endswith("checkpoints/best.h5")
    assert done.err.splitlines()[-1] == f"next: `dlcli evaluate {run}`, `dlcli report {run}`, `dlcli runs`"
    assert "tensorflow" not in done.err.lower().replace("starting tensorflow", "")
    log = next(tmp_path.rglob("log.txt"))
    assert log.exists()


LONG = ["loss", "first_output_sparse_top_k_categorical_accuracy", "second_output_mean_absolute_percentage_error"]


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("names", [["loss", "accuracy"], LONG, [f"metric_{number}" for number in range(6)]])
@pytest.mark.parametrize("is_series", [True, False])
def test_the_last_table_fits_and_keeps_every_figure(
    monkeypatch: pytest.MonkeyPatch, width: int, is_terminal: bool, names: list[str], is_series: bool
) -> None:
    metrics = {split: dict.fromkeys(names, 1.5e-7) for split in ("train", "validation", "test")}
    screen = Screen()
    file = Terminal() if is_terminal else io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, soft_wrap=not is_terminal)
    monkeypatch.setitem(screen._consoles, "out", console)
    monkeypatch.setattr(screen, "_out_file", file)
    known = {
        "trivial": dict.fromkeys(names[:2], 2.5e-7),
        "last value": dict.fromkeys(names[:2], 3.5e-7) if is_series else {},
    }
    show_metrics(screen, metrics, known, {names[0]: 1e-7, names[1]: -1e-7})
    written = file.getvalue()
    lines = [Text.from_ansi(line).plain.rstrip() for line in written.splitlines()]
    assert "\n".join(lines).count("1.500e-07") == 3 * len(names)
    assert "\n".join(lines).count("2.500e-07") == 2
    assert "+1.000e-07" in written
    assert "-1.000e-07" in written
    assert ("\x1b[" in written) is is_terminal
    assert "\n".join(lines).count("3.500e-07") == 2 * is_series
    assert len(lines) in (6 + is_series, len(names) + 1)
    if is_terminal:
        assert max(map(len, lines)) <= width
    else:
        assert all(name in written for name in names)


def test_quiet_shows_only_the_result(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    done = dlcli("train", small_spec, "--epochs", 1, "--quiet", "--runs-dir", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith("best.h5")


def test_smoke_leaves_nothing_behind(
    dlcli: Command, small_spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = dlcli("train", small_spec, "--smoke")
    assert done.code == 0
    assert "smoke run" in done.out
    assert not list(tmp_path.iterdir())


def test_fallback_is_loud_and_recorded(dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLCLI_DATA_DIR", raising=False)
    monkeypatch.setattr("dlcli.data.keras_cache.probe", lambda url: "no network in this test")
    done = dlcli("train", CONFIGS / "mnist_mlp_sgd.yaml", "--smoke", "--json")
    notice = next(event for line in done.out.splitlines() if (event := json.loads(line))["event"] == "notice")
    assert done.code == 0
    assert "digits instead of mnist" in notice["title"]
    refused = dlcli("train", CONFIGS / "mnist_mlp_sgd.yaml", "--smoke", "--no-fallback")
    assert refused.code == 3
    assert "--data-dir" in refused.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_remembered_and_its_handler_given_back(number: int) -> None:
    left: list[str] = []
    before = signal.signal(number, lambda *_: left.append("handled as before"))
    try:
        with StopRequest(lambda: left.append("leaving")) as request:
            assert not request.is_asked
            os.kill(os.getpid(), number)
            assert (request.is_asked, request.signal_number, left) == (True, number, [])
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert left == ["handled as before"]


def test_signal_saves_the_work(tmp_path: Path) -> None:
    spec = CONFIGS / "two_class_sigmoid.yaml"
    command = [sys.executable, "-m", "dlcli", "train", spec, "--epochs", "100000", "--runs-dir", tmp_path]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        history = _wait_for(tmp_path, "history.csv")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Stopped after" in errors
    assert "Traceback" not in errors
    record = json.loads((history.parent / "run.json").read_text())
    assert record["state"] == "interrupted"
    choices = record["engine"]["choices"]  # a process of its own has the threads that are chosen for a small network
    assert (record["engine"]["path"], choices["intra_op_threads"], choices["inter_op_threads"]) == ("graph", 1, 1)
    assert "handing it from thread to thread" in choices["because"]
    assert run_quietly("evaluate", history.parent / "checkpoints" / "last.h5") == 0


def _wait_for(folder: Path, name: str) -> Path:
    deadline = time.monotonic() + 500
    while time.monotonic() < deadline:
        found = list(folder.rglob(name))
        if found and found[0].stat().st_size > 0:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no {name} in {folder}")
