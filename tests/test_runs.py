"""Many runs: their list, names, comparison, board and removal. Most runs here are made of files, without a training."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dlcli.cli.columns import Column, joined, lines_of
from dlcli.errors import CheckpointError, RunError
from dlcli.machine import process_started
from dlcli.runs import RunFolder
from dlcli.runs.differences import differences, labels
from dlcli.runs.entries import Entry, list_runs, read_curves, read_entry, state_of
from dlcli.runs.finding import find_checkpoints, find_run, the_run
from dlcli.runs.ranking import make_boards
from dlcli.runs.removing import Rule, remove, select
from dlcli.spec.writing import to_yaml
from tests.conftest import Command
from tests.test_startup import HEAVY, started

MOST_CALLS = 800  # for a run in the list; a hundred of them take some ten microseconds
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BETTER = {"loss": "min", "accuracy": "max", "val_loss": "min", "val_accuracy": "max"}


def made(
    runs: Path, name: str = "net", letters: str = "aaaa", *, days: float = 1.0, accuracy: float | None = 0.9,
    epochs: int = 2, optimizer: Any = "Adam", metrics: dict[str, Any] | None = None, **record: Any,
) -> Path:  # fmt: skip
    """The folder of a run that began so many days ago, as if it had been trained."""
    began = datetime.now(timezone.utc) - timedelta(days=days)
    path = runs / name / f"{began:%Y%m%dT%H%M%SZ}-{letters}"
    (path / "checkpoints").mkdir(parents=True)
    (path / "checkpoints" / "best.h5").write_bytes(b"x" * 1000)
    seed = record.setdefault("seed", 0)
    data = {"source": "digits", "fingerprint": "abcdef012345", "examples": {"train": 8}, "origin": "embedded"}
    content = {
        "name": name, "state": "done", "began": began.isoformat(timespec="seconds"), "seconds": {"training": 12.0},
        "monitor": "val_loss", "better": BETTER, "data": data, "process": {"id": 1, "host": "elsewhere"},
        "command": ["train", f"{name}.yaml"], **record,
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(content), encoding="utf-8")
    (path / "resolved.yaml").write_text(
        to_yaml({"name": name, "seed": seed, "optimizer": optimizer, "train": {"epochs": epochs}}), encoding="utf-8"
    )
    (path / "summary.json").write_text('{"totals": {"parameters": 1234}}', encoding="utf-8")
    lines = [f"{epoch},{1 / epoch},0.5,{2 / epoch},{(accuracy or 0) * epoch / epochs},0.001,1.5\n"
             for epoch in range(1, epochs + 1)]  # fmt: skip
    header = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n"
    (path / "history.csv").write_text(header + "".join(lines), encoding="utf-8")
    if content["state"] == "done":
        figures = metrics or {"validation": {"loss": 0.5, "accuracy": accuracy}, "test": {"loss": 0.6}}
        (path / "metrics.json").write_text(json.dumps({"checkpoint": "best.h5", "epoch": 2, **figures}))
    RunFolder(path).point_latest()
    return path


@contextmanager
def counting_calls() -> Iterator[list[str]]:
    """Every call of a function while it is entered, of Python's or C's."""
    called: list[str] = []
    sys.setprofile(lambda frame, event, argument: called.append(event) if event in ("call", "c_call") else None)
    try:
        yield called
    finally:
        sys.setprofile(None)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five runs of two names."""
    folder = tmp_path / "runs"
    made(folder, "net", "aaaa", days=40, accuracy=0.7)
    made(folder, "net", "bbbb", days=3, accuracy=0.95, seconds={"training": 100.0})
    made(folder, "net", "cccc", days=2, accuracy=0.8, state="failed", error="The loss is no number.")
    made(folder, "other", "dddd", days=5, accuracy=0.9)
    made(folder, "other", "eeee", days=1, accuracy=0.6, state="interrupted")
    return folder


def labels_of(done: Any) -> list[str]:
    return [row["run"] for row in done.json]


class TestList:
    def test_newest_first_and_without_a_command(self, dlcli: Command, runs: Path) -> None:
        done = dlcli("runs", "--runs-dir", runs)
        assert done.code == 0, done.err
        first, *lines = done.out.splitlines()
        assert first.split() == [
            "run",
            "state",
            "val_accuracy",
            "epochs",
            "time",
            "size",
            "age",
            "data",
            "began",
            "folder",
        ]
        assert [line.split()[0] for line in lines] == ["other/eeee", "net/cccc", "net/bbbb", "other/dddd", "net/aaaa"]
        assert not any(
            line.endswith(" ") for line in dlcli("runs", "--runs-dir", runs, "--name", "net").out.splitlines()
        )
        assert lines[2].split()[:9] == ["net/bbbb", "done", "0.9500", "2", "1", "min", "40", "s", "1.7"]
        assert "5 runs in" in done.err
        assert dlcli("runs", "list", "--runs-dir", runs).out == done.out

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (["--name", "net"], "cccc bbbb aaaa"),
            (["--name", "o*", "--name", "net", "--limit", "2"], "eeee cccc"),
            (["--state", "failed", "--state", "interrupted"], "eeee cccc"),
            (["--since", "4d"], "eeee cccc bbbb"),
            (["--tag", "lecture"], "bbbb"),
            (["--sort", "score"], "bbbb dddd cccc aaaa eeee"),
            (["--sort", "score", "--reverse", "--limit", "1"], "eeee"),
            (["--sort", "time", "--limit", "1"], "bbbb"),
            (["--sort", "size", "--limit", "1"], "bbbb"),
            (["--sort", "score", "--metric", "train_loss"], "eeee cccc"),
            (["--metric", "test_loss"], "bbbb dddd aaaa"),
            (["--metric", "nothing"], ""),
        ],
    )
    def test_filters_and_orders(self, dlcli: Command, runs: Path, options: list[str], expected: str) -> None:
        assert dlcli("runs", "tag", "bbbb", "lecture", "--runs-dir", runs).out == "lecture\n"
        done = dlcli("runs", "--runs-dir", runs, "--json", *options)
        assert [label.split("/")[1] for label in labels_of(done)] == expected.split()

    def test_json_has_what_is_known(self, dlcli: Command, runs: Path) -> None:
        row = dlcli("runs", "--runs-dir", runs, "--json", "--state", "failed").json[0]
        assert row["figures"] == {"train_loss": 0.5, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.8}
        assert row["score"] == {"figure": "val_accuracy", "value": 0.8}
        assert (row["epochs"], row["seconds"], row["error"]) == (2, 3.0, "The loss is no number.")
        assert row["bytes"] == sum(path.stat().st_size for path in Path(row["path"]).rglob("*") if path.is_file())

    def test_the_work_for_a_run_is_little_however_many_there_are(
        self, dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A thousand are listed in less than a second: what a clock would say of that is left to a quiet machine."""
        one = made(tmp_path / "one", epochs=20)
        opened, genuine = [], open
        monkeypatch.setattr("builtins.open", lambda *given, **named: opened.append(given) or genuine(*given, **named))
        calls, files = [], []
        for count in (5, 20, 40, 60):  # the first loads what is loaded once
            for number in range(count):
                letters = f"aa{LETTERS[number // 26]}{LETTERS[number % 26]}"
                shutil.copytree(one, tmp_path / f"{count}" / f"net{number % 9}" / f"20250101T000000Z-{letters}")
            opened.clear()
            with counting_calls() as counted:
                done = dlcli("runs", "--runs-dir", tmp_path / f"{count}")
            assert len(done.out.splitlines()) == count + 1, done.err
            calls.append(len(counted))
            files.append(len(opened))
        assert files[2] - files[1] == files[3] - files[2] == 20 * 4  # run.json, metrics.json, history.csv, tags.txt
        assert calls[2] - calls[1] < 20 * MOST_CALLS, calls
        assert calls[3] - calls[2] < 1.1 * (calls[2] - calls[1])

    def test_nothing_heavy_is_loaded(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(runs.parent)
        for command in (
            ["list"],
            ["show", "net"],
            ["compare", "aaaa", "bbbb"],
            ["leaderboard"],
            ["prune", "--keep", "9"],
        ):
            modules = started("runs", *command)["modules"]
            assert not {name for name in modules if name.split(".")[0] in HEAVY}, command
            assert command != ["list"] or "rich.console" not in modules  # for a pipe

    def test_what_is_no_run_is_named_and_the_others_are_listed(self, dlcli: Command, runs: Path) -> None:
        (runs / "net" / "broken").mkdir()
        (runs / "net" / "broken" / "run.json").write_text('{"name": ')
        (runs / "net" / "foreign" / "deep").mkdir(parents=True)
        (runs / "net" / ".half.part").mkdir()
        (runs / "notes.txt").write_text("")
        (runs / "alone").mkdir()
        (runs / "alone" / "run.json").write_text("{}")
        (runs / "net" / "elsewhere").symlink_to(runs / "other")
        strange = {"state": 3, "better": 7, "data": [], "seconds": "x", "began": None, "process": 1, "monitor": {}}
        (runs / "net" / "strange").mkdir()
        (runs / "net" / "strange" / "run.json").write_text(json.dumps(strange))
        done = dlcli("runs", "--runs-dir", runs)
        assert done.code == 0, done.err
        assert len(done.out.splitlines()) == 7
        assert f"{runs / 'net' / 'broken'} is no run: its run.json cannot be read." in done.err
        assert f"{runs / 'net' / 'foreign'} is no run: it has no run.json." in done.err
        assert f"{runs / 'alone'} is a run, but not in a folder of its name" in done.err
        assert dlcli("runs", "show", "strange", "--runs-dir", runs).code == 0
        compared = dlcli("runs", "compare", "strange", "aaaa", "--runs-dir", runs)
        assert compared.code == 4
        assert "resolved.yaml cannot be read" in compared.err

    def test_no_folder_and_no_runs(self, dlcli: Command, tmp_path: Path) -> None:
        done = dlcli("runs", "--runs-dir", tmp_path / "none")
        assert (done.code, done.out) == (4, "")
        assert "There is no folder" in done.err
        empty = dlcli("runs", "--runs-dir", tmp_path)
        assert (empty.code, empty.out) == (0, "")
        assert "`dlcli train` makes one" in empty.err

    @pytest.mark.parametrize(
        "options",
        [["--sort", "x"], ["--state", "x"], ["--since", "x"], ["--no-size", "--sort", "size"], ["--limit", "0"]],
    )
    def test_wrong_options(self, dlcli: Command, runs: Path, options: list[str]) -> None:
        assert dlcli("runs", "list", "--runs-dir", runs, *options).code == 2

    def test_columns_fit_the_terminal(self) -> None:
        columns = [
            Column("run", ["a_very_long_name_indeed/abcd", "x/名前の長い実行"], least=14, end="/"),
            Column("state", ["done", "interrupted"]),
            Column("tags", ["", "ab"], rank=1),
            Column("empty", ["", ""]),
            Column("size", ["1.0 kB", "20.0 kB"], is_right=True, rank=1),
            Column("folder", ["f" * 30, "f"], rank=2),
        ]
        wide = ["".join(text for text, _ in joined(line)) for line in lines_of(columns, None)]
        assert wide[1] == f"a_very_long_name_indeed/abcd  done                1.0 kB  {'f' * 30}"
        narrow = ["".join(text for text, _ in joined(line)) for line in lines_of(columns, 34)]
        assert (
            narrow
            == [
                "run                    state",
                "a_very_long_n…/abcd    done",
                "x/名前の長い実行       interrupted",
            ]
            or max(map(len, narrow)) <= 34
        )
        assert "…/abcd" in narrow[1]


@pytest.mark.parametrize(
    ("process", "state"),
    [
        ({"id": os.getpid(), "host": platform.node(), "started": process_started(os.getpid())}, "running"),
        ({"id": os.getpid(), "host": platform.node()}, "running"),
        ({"id": os.getpid(), "host": platform.node(), "started": "another boot 1"}, "killed"),
        ({"id": 2**22 + 1, "host": platform.node(), "started": None}, "killed"),
        ({"id": -1, "host": platform.node()}, "killed"),
        ({"id": os.getpid(), "host": "another"}, "unknown"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_run_that_says_that_it_runs_has_a_process(process: Any, state: str) -> None:
    assert state_of({"state": "running", "process": process}) == state
    assert state_of({"state": "done", "process": process}) == "done"


def test_a_process_that_has_ended_but_is_not_waited_for_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = {"id": child.pid, "host": platform.node(), "started": process_started(child.pid)}
        assert state_of({"state": "running", "process": process}) == "running"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert state_of({"state": "running", "process": process}) == "killed"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("net", "cccc"), ("latest", "eeee"), ("net/latest", "cccc"), ("bbbb", "bbbb"), ("net/bbbb", "bbbb"),
            ("other", "eeee"), ("runs/net", "cccc"), ("runs/net/latest", "cccc"), ("first", "first"),
            ("net/dddd", None), ("nothing", None), ("../runs/nothing", None), ("net/../net", None),
        ],
    )  # fmt: skip
    def test_a_run_is_named_as_it_is_listed(
        self, runs: Path, name: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(runs.parent)
        (runs / "other" / "first").mkdir()
        (runs / "other" / "first" / "run.json").write_text("{}")
        found = find_run(Path(name))
        assert (found.path.resolve().name[-len(str(expected)) :] if found else None) == expected
        if expected is None:
            with pytest.raises(CheckpointError, match="There is no run"):
                the_run(Path(name))

    def test_a_checkpoint_is_found_by_the_name_of_its_run(self, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(runs.parent)
        [found] = find_checkpoints(Path("bbbb"))
        assert found.parts[-3].endswith("-bbbb")
        Path("bbbb").mkdir()  # a folder that is no run is not meant
        assert find_checkpoints(Path("bbbb")) == [found]

    def test_several_of_a_name_are_told(self, dlcli: Command, runs: Path) -> None:
        made(runs, "other", "bbbb", days=9)
        done = dlcli("runs", "show", "bbbb", "--runs-dir", runs)
        assert done.code == 4
        assert "Several runs are called bbbb: net/" in done.err
        assert dlcli("runs", "show", "other/bbbb", "--runs-dir", runs).code == 0

    def test_a_moved_run_is_shown_and_compared(
        self, dlcli: Command, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = tmp_path / "away"
        shutil.move(find(runs, "bbbb"), away)
        monkeypatch.chdir(tmp_path)
        assert dlcli("runs", "show", "away").out.startswith("away  away\n")
        shown = dlcli("runs", "show", away)
        assert "1,234" in shown.out
        assert "dlcli train net.yaml" in shown.out
        assert dlcli("runs", "show", away, "--json").json["figures"]["val_accuracy"] == 0.95
        assert dlcli("runs", "compare", away, "dddd", "--runs-dir", runs).code == 0
        copied = tmp_path / "copied"
        shutil.copytree(runs, copied)  # as `cp -rL` does: `latest` becomes a folder
        assert len(list_runs(copied).entries) == 4


def test_a_run_of_folds_has_their_mean(dlcli: Command, runs: Path) -> None:
    mean = {
        "mean": {"test": {"loss": 0.2, "accuracy": 0.75}},
        "standard_deviation": {"test": {"loss": 0.1}},
        "folds": [],
    }
    whole = made(runs, "net", "ffff", days=0.1, metrics=mean, folds=2)
    (whole / "history.csv").unlink()
    (whole / "summary.json").unlink()
    shutil.rmtree(whole / "checkpoints")
    for number in (1, 2):
        shutil.move(made(runs, "net", f"foo{LETTERS[number]}"), whole / f"fold-{number}")
    newest = made(runs, "net", "zzzz", days=0.01)
    row = dlcli("runs", "--runs-dir", runs, "--json").json[1]
    assert (row["run"], row["epochs"], row["seconds"]) == ("net/ffff", 4, 24.0)
    assert row["score"] == {"figure": "test_accuracy", "value": 0.75}
    shown = dlcli("runs", "show", "ffff", "--runs-dir", runs).out
    assert "2, each with a run of its own" in shown
    assert "1,234" in shown
    assert dlcli("runs", "show", whole / "fold-1").code == 0
    (whole / "fold-2" / "history.csv").write_text("epoch,loss\n1,3.0\n")
    assert [(row["epoch"], row["loss"]) for row in read_curves(RunFolder(whole))] == [(1, 2.0)]
    remove(RunFolder(newest), runs)
    assert (runs / "net" / "latest").resolve() == whole


def find(runs: Path, letters: str) -> Path:
    [path] = runs.glob(f"*/*-{letters}")
    return path


class TestCompare:
    def test_what_differs_and_what_is_better(self, dlcli: Command, runs: Path) -> None:
        made(runs, "third", "ffff", optimizer={"SGD": {"learning_rate": 0.1}}, accuracy=0.95, seed=1)
        done = dlcli("runs", "compare", "net/aaaa", "bbbb", "third", "--runs-dir", runs)
        assert done.code == 0, done.err
        rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
        assert rows["B"].split()[1:] == ["net/bbbb", "done", "2", "epochs"]
        assert rows["seed"].split() == ["seed", "0", "0", "1"]
        assert "SGD: {learning_rate: 0.1}" in rows["optimizer"]
        assert rows["val_accuracy"].split() == ["val_accuracy", "0.7000", "0.9500", "*", "0.9500", "*"]
        assert rows["test_loss"].split() == ["test_loss", "0.6000", "0.6000", "0.6000"]
        assert rows["time"].split() == ["time", "12.0", "s", "*", "1", "min", "40", "s", "12.0", "s", "*"]
        assert rows["parameters"].split()[1:] == ["1,234"] * 3
        assert list(rows).index("val_loss") < list(rows).index("test_loss")
        found = dlcli("runs", "compare", "aaaa", "bbbb", "third", "--runs-dir", runs, "--json").json
        assert [one["path"] for one in found["differences"]] == ["seed", "optimizer"]
        assert found["figures"]["val_accuracy"] == {"mode": "max", "values": [0.7, 0.95, 0.95], "best": [1, 2]}

    def test_other_metrics_and_many_runs(self, dlcli: Command, runs: Path) -> None:
        better = {"loss": "min", "mae": None}
        metrics = {"test": {"loss": 0.1, "mae": 2.0}}
        for number in range(8):
            made(runs, f"many{number}", "mmmm", metrics=metrics, better=better, optimizer={"SGD": {"momentum": number}})
        names = [f"many{number}" for number in range(8)]
        done = dlcli("runs", "compare", "bbbb", *names, "--runs-dir", runs)
        rows = [line.split() for line in done.out.splitlines() if line.startswith(("test_mae", "val_accuracy", "  "))]
        assert ["val_accuracy", "0.9500", *"·····"] in rows
        assert ["test_mae", "·", *["2.0000"] * 5] in rows
        assert ["test_mae", *["2.0000"] * 3] in rows
        assert ["E", "SGD:", "{momentum:", "3}"] in rows

    def test_paths_go_as_deep_as_the_objects_are_the_same(self, tmp_path: Path) -> None:
        one = {"Adam": {"learning_rate": {"CosineDecay": {"decay_steps": 5}}}}
        other = {"Adam": {"learning_rate": {"CosineDecay": {"decay_steps": 6, "alpha": 0.1, "new": None}}}}
        entries = [read_entry(RunFolder(made(tmp_path, letters=letter * 4, optimizer=optimizer)))
                   for letter, optimizer in (("a", one), ("b", other))]  # fmt: skip
        found = differences(entries)
        prefix = "optimizer.Adam.learning_rate.CosineDecay"
        assert [(item.path, item.texts()) for item in found] == [
            (f"{prefix}.decay_steps", ["5", "6"]), (f"{prefix}.alpha", ["·", "0.1"]),
        ]  # fmt: skip
        assert labels(entries, found) == ["decay_steps=5, alpha=·", "decay_steps=6, alpha=0.1"]

    def test_curves_are_called_what_differs(self, tmp_path: Path) -> None:
        optimizers = [
            "Adam",
            {"SGD": {"learning_rate": 0.1, "momentum": 0.9}},
            {"SGD": {"learning_rate": {"X": {"a": 1}}}},
        ]
        entries = [read_entry(RunFolder(made(tmp_path, letters=letter * 4, optimizer=optimizer, seed=number)))
                   for number, (letter, optimizer) in enumerate(zip("abc", optimizers, strict=True))]  # fmt: skip
        assert labels(entries, differences(entries)) == [
            "Adam", "SGD(learning_rate=0.1, momentum=0.9)", "SGD(learning_rate=X(a=1))",
        ]  # fmt: skip
        same = [entries[0], read_entry(RunFolder(made(tmp_path, letters="dddd")))]
        assert labels(same, differences(same)) == ["net/aaaa", "net/dddd"]

    def test_one_picture_of_runs_of_any_kind(self, dlcli: Command, runs: Path, tmp_path: Path) -> None:
        from PIL import Image

        made(runs, "one", "oooo", epochs=1)
        empty = made(runs, "none", "nnnn", state="failed")
        (empty / "history.csv").unlink()
        other = made(runs, "mean", "hhhh", epochs=40)
        text = (other / "history.csv").read_text().replace("accuracy", "mean_absolute_error").replace("0.05,", "nan,")
        (other / "history.csv").write_text(text)
        names = ["one", "none", "mean", "bbbb"]
        plot = tmp_path / "curves.png"
        done = dlcli("runs", "compare", *names, "--runs-dir", runs, "--plot", plot)
        assert done.code == 0, done.err
        with Image.open(plot) as picture:
            assert picture.width > 1000
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
        only = dlcli(
            "runs", "compare", *names, "--runs-dir", runs, "--plot", tmp_path / "a.svg", "--metric", "accuracy"
        )
        assert only.code == 0, only.err
        wrong = dlcli("runs", "compare", *names, "--runs-dir", runs, "--plot", plot, "--metric", "speed")
        assert wrong.code == 2
        assert "There are no curves of speed to draw." in wrong.err
        assert "The runs have loss, accuracy" in wrong.err

    @pytest.mark.parametrize(
        ("options", "code", "said"),
        [
            (["aaaa"], 2, "Two different runs"),
            (["aaaa", "net/aaaa"], 2, "Two different runs"),
            (["aaaa", "zzzz"], 4, "There is no run zzzz."),
            (["aaaa", "bbbb", "--plot", "x.txt"], 2, "a .png, .svg or .pdf file is needed"),
            (["aaaa", "bbbb", "--metric", "loss"], 2, "--plot FILE.png is needed"),
        ],
    )
    def test_mistakes(self, dlcli: Command, runs: Path, options: list[str], code: int, said: str) -> None:
        done = dlcli("runs", "compare", "--runs-dir", runs, *options)
        assert done.code == code
        assert said in " ".join(done.err.split())


class TestLeaderboard:
    def test_specs_are_ranked_by_their_mean_over_seeds(self, dlcli: Command, runs: Path) -> None:
        for seed, accuracy in enumerate((0.5, 0.6, 0.85)):
            made(runs, "other", f"ooo{LETTERS[seed]}", accuracy=accuracy, seed=seed, optimizer="SGD")
        made(runs, "mean", "mmmm", data={"source": "iris", "fingerprint": "1"}, metrics={"test": {"loss": 0.25}})
        boards = dlcli("runs", "leaderboard", "--runs-dir", runs, "--json", "--all").json
        assert [(board["data"], board["figure"]) for board in boards] == [
            ("digits", "val_accuracy"),
            ("iris", "test_loss"),
        ]
        places = boards[0]["places"]
        assert [(place["best"], place["seeds"]) for place in places] == [
            ("other/dddd", 1),
            ("net/bbbb", 1),
            ("other/oooc", 3),
        ]
        assert places[1]["mean"] == pytest.approx((0.7 + 0.95) / 2)  # the same spec and seed, twice
        assert places[2]["mean"] == pytest.approx(0.65)
        assert places[2]["deviation"] == pytest.approx(0.18027756)
        done = dlcli("runs", "leaderboard", "--runs-dir", runs)
        rows = [line.split() for line in done.out.splitlines()]
        assert ["1", "other/dddd", "0.9000", "1,234", "12.0", "s"] in rows
        assert not any("other/oooc" in row for row in rows)  # the best of each name
        every = dlcli("runs", "leaderboard", "--runs-dir", runs, "--all", "--name", "other").out.splitlines()
        assert every[3].split()[:6] == ["2", "other/oooc", "0.6500", "0.1803", "3", "0.8500"]

    def test_by_another_figure(self, dlcli: Command, runs: Path) -> None:
        made(runs, "net", "gggg", metrics={"test": {"loss": 0.1, "mine": 5.0}}, optimizer="SGD")
        made(runs, "net", "hhhh", metrics={"test": {"loss": 0.2, "mine": 7.0}}, optimizer="RMSprop")
        options = ("runs", "leaderboard", "--runs-dir", runs, "--all", "--json", "--metric")
        [board] = dlcli(*options, "test_loss").json
        assert [place["best"] for place in board["places"]][:2] == ["net/gggg", "net/hhhh"]
        [board] = dlcli(*options, "mine").json
        assert (board["places"], board["left_out"]) == ([], 5)
        [board] = dlcli(*options, "mine", "--mode", "max").json
        assert [place["best"] for place in board["places"]] == ["net/hhhh", "net/gggg"]
        assert board["left_out"] == 3
        assert dlcli(*options, "mine", "--mode", "most").code == 2

    def test_other_data_of_the_same_source_is_another_board(self, runs: Path) -> None:
        made(runs, "net", "gggg", data={"source": "digits", "fingerprint": "123456789"})
        titles = [board.data for board in make_boards(list_runs(runs, sized=False).entries)]
        assert titles == ["digits (123456)", "digits (abcdef)"]


class TestRemoving:
    def test_it_asks_and_says_how_much(self, dlcli: Command, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = find(runs, "bbbb")
        done = dlcli("runs", "rm", "bbbb", "aaaa", "--runs-dir", runs)
        assert done.code == 2
        assert "Nobody can be asked here" in done.err
        monkeypatch.setattr("sys.stdin", Terminal("n\n"))
        done = dlcli("runs", "rm", "bbbb", "aaaa", "--runs-dir", runs)
        assert re.search(r"Remove 2 runs, \d\.\d kB\? \[y/N\]", done.err)
        assert "Nothing was removed." in done.err
        assert path.exists()
        monkeypatch.setattr("sys.stdin", Terminal("y\n"))
        done = dlcli("runs", "rm", "bbbb", "aaaa", "--runs-dir", runs)
        assert "Removed 2 runs" in done.err
        assert [folder.name[-4:] for folder in runs.glob("net/2*")] == ["cccc"]
        assert dlcli("runs", "rm", "cccc", "--runs-dir", runs, "--dry-run").code == 0
        assert find(runs, "cccc").exists()

    def test_latest_does_not_come_to_lead_to_itself(self, runs: Path) -> None:
        latest = runs / "net" / "latest"
        before = latest.resolve()
        RunFolder(latest).point_latest()
        assert latest.resolve() == before

    def test_latest_leads_to_the_newest_that_is_left(self, runs: Path) -> None:
        latest = runs / "net" / "latest"
        remove(RunFolder(find(runs, "aaaa")), runs)
        assert latest.resolve() == find(runs, "cccc")
        remove(RunFolder(latest), runs)
        assert latest.resolve() == find(runs, "bbbb")
        remove(RunFolder(find(runs, "bbbb")), runs)
        assert not latest.parent.exists()
        text = runs / "other" / "latest"
        text.unlink()
        text.write_text(find(runs, "eeee").name)  # where there are no links
        remove(RunFolder(find(runs, "eeee")), runs)
        assert text.resolve() == find(runs, "dddd")

    @pytest.mark.parametrize("state", ["running", "unknown", "locked"])
    def test_never_one_that_is_being_trained(self, dlcli: Command, runs: Path, state: str) -> None:
        path = find(runs, "bbbb")
        host = platform.node() if state == "running" else "another"
        process = {"id": os.getpid(), "host": host}
        record = json.loads((path / "run.json").read_text())
        if state != "locked":
            (path / "run.json").write_text(json.dumps({**record, "state": "running", "process": process}))
            with pytest.raises(RunError, match="is being trained, or was so on"):
                remove(RunFolder(path), runs)
            pruned = dlcli("runs", "prune", "--keep", 0, "--name", "net", "--runs-dir", runs, "--yes")
            assert "Removed 2 runs" in pruned.err
            done = dlcli("runs", "rm", "bbbb", "--runs-dir", runs, "--yes")
        else:
            with RunFolder(path).locked():
                done = dlcli("runs", "rm", "bbbb", "cccc", "--runs-dir", runs, "--yes")
            assert not list(runs.glob("net/*-cccc"))
        assert done.code == 4
        assert "being trained" in done.err or "may be running on another machine" in done.err
        assert path.exists()

    def test_nothing_outside_the_folder_of_runs(self, dlcli: Command, runs: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        away = made(outside, "net", "zzzz")
        (runs / "net" / "linked").symlink_to(away)
        (runs / "far").symlink_to(outside / "net")
        for name in (away, runs / "net" / "linked", "far/zzzz", "far"):
            done = dlcli("runs", "rm", name, "--runs-dir", runs, "--yes")
            assert done.code == 4, name
            assert "is not a run in" in done.err
        (find(runs, "bbbb") / "data").symlink_to(outside)
        (find(runs, "bbbb") / "checkpoints" / "more.h5").symlink_to(away / "run.json")
        assert dlcli("runs", "rm", "bbbb", "--runs-dir", runs, "--yes").code == 0
        pruned = dlcli("runs", "prune", "--keep", 0, "--runs-dir", runs, "--yes")
        assert pruned.code == 4
        assert "is not a run in" in pruned.err
        assert (away / "run.json").exists()
        assert (away / "checkpoints" / "best.h5").exists()
        assert [entry.label for entry in list_runs(runs).entries] == ["far/zzzz"]

    def test_what_a_removal_that_was_cut_off_has_left_goes_with_the_next(
        self, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = find(runs, "bbbb")
        with monkeypatch.context() as patch:
            patch.setattr("dlcli.runs.removing.sweep", lambda parent: None)  # as if it had been killed there
            with pytest.raises(RunError, match="it is no run any more"):
                remove(RunFolder(path), runs)
        assert not path.exists()
        assert len(list(runs.glob("net/.*.removed"))) == 1
        assert list_runs(runs).notes == ()
        remove(RunFolder(find(runs, "cccc")), runs)
        assert not list(runs.glob("net/.*.removed"))

    @pytest.mark.parametrize(
        ("rule", "gone"),
        [
            (Rule(keep=1), "bbbb dddd aaaa"),
            (Rule(keep=0), "eeee cccc bbbb dddd aaaa"),
            (Rule(keep=1, keep_best=True), "aaaa"),
            (Rule(keep_best=True), "eeee cccc aaaa"),
            (Rule(older_than=4 * 86_400), "dddd aaaa"),
            (Rule(keep=2, older_than=4 * 86_400), "aaaa"),
        ],
    )
    def test_rules(self, runs: Path, rule: Rule, gone: str) -> None:
        entries = list_runs(runs, sized=False).entries
        assert [entry.label.split("/")[1] for entry in select(entries, entries, rule)] == gone.split()

    def test_where_nothing_tells_which_is_better_all_stay(self, tmp_path: Path) -> None:
        for letter in "ab":
            made(tmp_path, letters=letter * 4, better={"loss": "min"})
        entries: tuple[Entry, ...] = list_runs(tmp_path).entries
        assert select(entries, entries, Rule(keep_best=True)) == []

    def test_prune_needs_a_rule_and_takes_filters(self, dlcli: Command, runs: Path) -> None:
        assert dlcli("runs", "prune", "--runs-dir", runs, "--yes").code == 2
        done = dlcli("runs", "prune", "--state", "failed", "--runs-dir", runs, "--yes", "--json")
        assert (done.json["removed"], done.json["selected"][0]["state"]) == (["net/cccc"], "failed")
        again = dlcli("runs", "prune", "--state", "failed", "--runs-dir", runs)
        assert (again.code, "There is nothing to remove." in again.err) == (0, True)


class Terminal:
    """A person at the keyboard."""

    def __init__(self, text: str) -> None:
        self.lines = iter(text.splitlines(keepends=True))

    def isatty(self) -> bool:
        return True

    def readline(self, *_: int) -> str:
        return next(self.lines)

    def fileno(self) -> int:
        return 0


def test_tags_are_added_removed_and_kept_when_the_training_writes(dlcli: Command, runs: Path) -> None:
    tag = ("runs", "tag", "net/bbbb", "--runs-dir", runs)
    assert dlcli(*tag, "lecture", "größe=2").out == "lecture größe=2\n"
    assert dlcli(*tag, "lecture", "best", "--remove", "größe=2").out == "lecture best\n"
    assert dlcli(*tag).out == "lecture best\n"
    assert (find(runs, "bbbb") / "tags.txt").read_text() == "lecture\nbest\n"
    assert dlcli("runs", "--runs-dir", runs, "--json", "--tag", "best", "--tag", "lecture").json[0]["run"] == "net/bbbb"
    assert dlcli(*tag, "two words").code == 2
    assert dlcli(*tag, "--remove", "nothing").code == 2
