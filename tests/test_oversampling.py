"""`train.oversample`: the examples of rare classes come more often in an epoch."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest

from dlcli.data.oversampling import Oversampling
from dlcli.data.stored import InFile, Region
from tests.conftest import Command, run_quietly, thorough
from tests.killing import compare, outcome
from tests.test_class_weight import NUMBERS, weights_in
from tests.test_class_weight import write as write_weighed
from tests.test_resume import Stops


def write(folder: Path, often: str, **changes: str) -> Path:
    """A spec of ten rare rows among a hundred, which are not shuffled."""
    spec = write_weighed(folder, "null", **changes)
    text = spec.read_text(encoding="utf-8").replace("class_weight: null", f"oversample: {often}")
    spec.write_text(text, encoding="utf-8")
    return spec


def test_each_row_comes_as_often_as_its_class() -> None:
    labels = np.repeat([0, 1, 3], [50, 7, 20])
    rows = np.arange(1, len(labels))  # without the first
    balanced = Oversampling(labels, None)
    np.testing.assert_array_equal(balanced.counts(rows), [49, 49, 0, 49])
    drawn = balanced.rows(rows, seed=3, epoch=0)
    assert (np.diff(drawn) >= 0).all()
    np.testing.assert_array_equal(np.bincount(labels[drawn]), balanced.counts(rows))
    times = np.bincount(drawn, minlength=len(labels))
    assert set(times[1:50]) == {1}
    assert set(times[50:57]) == {7}
    assert set(times[57:]) == {2, 3}
    np.testing.assert_array_equal(drawn, balanced.rows(rows, seed=3, epoch=0))
    assert not np.array_equal(drawn, balanced.rows(rows, seed=3, epoch=1))
    assert not np.array_equal(drawn, balanced.rows(rows, seed=4, epoch=0))
    by_name = Oversampling(labels, np.array([1.0, 2.5, 1.0, 1.25]))
    np.testing.assert_array_equal(by_name.counts(rows), [49, 18, 0, 25])
    np.testing.assert_array_equal(np.bincount(labels[by_name.rows(rows, seed=0, epoch=0)]), by_name.counts(rows))


def test_rows_of_a_file_may_come_several_times(tmp_path: Path) -> None:
    array = np.arange(100, dtype=np.float32).reshape(50, 2)
    (tmp_path / "a.bin").write_bytes(array.tobytes())
    stored = Region(tmp_path / "a.bin", "a", array.shape, array.dtype, 0)
    rows = InFile(stored, array.shape, "float32", lambda found, numbers: found)
    for chosen in ([3, 3, 5], [5, 3, 3, 4, 49, 0, 0], [1, 1], [0, 2]):
        np.testing.assert_array_equal(rows[np.array(chosen)], array[chosen])


@pytest.mark.parametrize(
    ("often", "weight"),
    [
        ("{rare: 3}", "null"),
        pytest.param("{rare: 3}", "{rare: 2}", marks=thorough),
        pytest.param("{rare: 3}", "balanced", marks=thorough),
    ],
)
def test_it_is_what_repeated_rows_do(dlcli: Command, tmp_path: Path, often: str, weight: str) -> None:
    spec = write(tmp_path, often)
    spec.write_text(spec.read_text().replace("oversample:", f"class_weight: {weight}, oversample:"))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    run = tmp_path / "weighed" / "latest"
    record = json.loads((run / "run.json").read_text())["data"]
    assert record["examples_per_epoch"] == record["examples"]["train"] + 2 * 8
    assert -1 <= record["sortedness"] <= 1  # the spec does not shuffle
    script = tmp_path / "script.py"
    script.write_text(dlcli("code", spec).out)
    assert "np.resize" in script.read_text()
    found = runpy.run_path(str(script))
    assert len(found["x_train"]) == record["examples_per_epoch"]
    ours = sorted(weights_in(run), key=lambda array: (array.shape, array.sum()))
    theirs = sorted((np.asarray(one) for one in found["model"].weights), key=lambda array: (array.shape, array.sum()))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def streamed(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("x", data=rng.normal(size=(100, 2)).astype("float32"), chunks=(10, 2))
        file["y"] = (np.arange(100) % 10 == 0).astype("int32")
    spec = write(folder, "balanced")
    text = spec.read_text().replace("{csv: {path: t.csv, target: kind}}", "{arrays: {path: rows.h5, stream: true}}")
    spec.write_text(text, encoding="utf-8")
    return spec


@pytest.mark.parametrize("is_streamed", [pytest.param(False, marks=thorough), True], ids=["in memory", "in a file"])
def test_a_stopped_run_goes_on_to_the_same_bits(
    tmp_path: Path, is_streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = streamed(tmp_path) if is_streamed else write(tmp_path, "balanced")
    spec.write_text(spec.read_text().replace("shuffle: false", "shuffle: true"))
    run = ["--runs-dir", tmp_path, "-q", "--run-name"]
    assert run_quietly("train", spec, *run, "whole") == 0
    stops = Stops(monkeypatch)
    stops.after(5)
    assert run_quietly("train", spec, *run, "parts") == 143
    stops.after(None)
    assert run_quietly("train", "--resume", tmp_path / "weighed/parts", "-q") == 0
    whole, parts = (outcome(tmp_path / "weighed" / name) for name in ("whole", "parts"))
    assert not compare(whole, parts)
    record = json.loads((tmp_path / "weighed/parts/run.json").read_text())["data"]
    assert record["examples_per_epoch"] == 2 * 72


def test_the_balance_that_training_sees_is_told(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, "{rare: 2.5}")
    [target] = dlcli("data", spec, "--json").json["targets"].values()
    assert target["epoch"] == {"rare": 20, "usual": target["classes"]["train"]["usual"]}
    assert "in an epoch" in dlcli("data", spec).out


@pytest.mark.parametrize(
    ("often", "message"),
    [
        ("{rar: 2}", "There is no class `rar`"),
        ("even", "must be `balanced`, or numbers by the names of classes"),
        ("{rare: 0.5}", "How often a class comes must be a number from 1 to 10,000; received `0.5`"),
    ],
)
def test_mistakes_are_told(dlcli: Command, tmp_path: Path, often: str, message: str) -> None:
    done = dlcli("data", write(tmp_path, often))
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "weighed.yaml:12" in done.err


def test_numbers_have_no_classes(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, "balanced")
    text = spec.read_text().replace("target: kind", "target: a").replace("metrics: [accuracy]", "")
    spec.write_text(text.replace("units: 2, activation: softmax", "units: 1").replace(NUMBERS["LOSS"], "mse"))
    done = dlcli("data", spec)
    assert done.code == 2
    assert "`oversample` repeats the classes of one target, but this data has no classes." in done.err
