"""`dlcli runs` of sweeps that are made here: one row for each, whatever its trials are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlcli.runs.finding import the_run
from tests.conftest import Command

VALUES = {"model.layers.hidden.Dense.units": 64, "optimizer": {"SGD": {"momentum": 0.9}}, "dataset.augment": None}


def make_sweep(runs: Path, folder: str, began: str, **record: Any) -> Path:
    """A sweep with two trials, the second of which is the best."""
    path = runs / "made" / folder
    for number, accuracy in enumerate((0.5, 0.75)):
        trial = path / "trials" / str(number)
        trial.mkdir(parents=True)
        (trial / "history.csv").write_text("epoch,loss,val_accuracy,seconds\n1,0.9,0.4,0.5\n2,0.5,0.7,0.5\n")
        (trial / "metrics.json").write_text(json.dumps({"validation": {"loss": 1.0, "accuracy": accuracy}}))
        data = {"source": "iris", "origin": "made", "examples": {"train": 8}}
        found = {"name": "made", "state": "done", "data": data, "better": {"loss": "min", "accuracy": "max"}}
        (trial / "run.json").write_text(json.dumps(found))
    written = {
        "name": "made", "state": "done", "began": began, "metric": "val_accuracy", "direction": "maximize",
        "trials": {"planned": 4, "complete": 2, "pruned": 0, "failed": 0}, "command": ["sweep", "made.yaml"],
        "best": {"trial": 1, "value": 0.75, "values": VALUES}, **record,
    }  # fmt: skip
    (path / "sweep.json").write_text(json.dumps(written))
    return path


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_sweep(Path("runs"), "20261101T000000Z-aaaa", "2026-11-01T00:00:00+00:00")
    make_sweep(Path("runs"), "20261102T000000Z-bbbb", "2026-11-02T00:00:00+00:00", state="interrupted")
    return Path("runs")


def test_a_sweep_is_one_row(runs: Path, dlcli: Command) -> None:
    done = dlcli("runs", "list")
    assert done.code == 0
    title, first, second = done.out.splitlines()
    assert title.split()[:5] == ["run", "state", "val_accuracy", "trials", "epochs"]
    assert first.split()[:5] == ["made/bbbb", "interrupted", "0.7500", "2/4", "4"]
    assert second.split()[:2] == ["made/aaaa", "done"]
    assert [one["run"] for one in dlcli("runs", "list", "--json").json] == ["made/bbbb", "made/aaaa"]


def test_a_sweep_is_listed_with_what_it_searched_by(runs: Path, dlcli: Command) -> None:
    make_sweep(runs, "20261103T000000Z-cccc", "2026-11-03T00:00:00+00:00", metric="val_loss", direction="minimize")
    done = dlcli("runs", "list", "--limit", 1)
    title, first = done.out.splitlines()[:2]
    assert title.split()[:4] == ["run", "state", "val_loss", "trials"]
    assert first.split()[:4] == ["made/cccc", "done", "1.0000", "2/4"]


@pytest.mark.parametrize("name", ["made", "latest", "bbbb", "made/bbbb", "runs/made/20261102T000000Z-bbbb"])
def test_a_sweep_is_shown_by_its_names(runs: Path, dlcli: Command, name: str) -> None:
    assert the_run(Path(name)).path == runs / "made" / "20261102T000000Z-bbbb"
    done = dlcli("runs", "show", name)
    assert done.code == 0
    for text in ("4 planned, 2 complete", "trial 1: val_accuracy 0.7500", "optimizer: {SGD: {momentum: 0.9}}",
                 "dataset.augment: null"):  # fmt: skip
        assert text in done.out
    assert "`dlcli sweep show made/bbbb` shows all trials." in done.err
    assert "`dlcli sweep --resume runs/made/20261102T000000Z-bbbb` goes on from there." in done.err


@pytest.mark.parametrize("record", [{"best": None, "trials": {"planned": 4}}, {"best": "x", "trials": 3, "command": 7}])
def test_a_sweep_without_a_best_trial(runs: Path, dlcli: Command, record: dict[str, Any]) -> None:
    path = make_sweep(runs, "20261103T000000Z-cccc", "2026-11-03T00:00:00+00:00", **record)
    for command in (("list",), ("show", str(path))):
        done = dlcli("runs", *command)
        assert done.code == 0
        assert "made/cccc" in done.out


def test_a_run_of_the_name_goes_before_its_sweeps(runs: Path) -> None:
    run = runs / "made" / "20261001T000000Z-dddd"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"name": "made", "state": "done"}))
    assert the_run(Path("made")).path == run
