"""`train.class_weight`: rare classes can count more, as in Keras's `fit`."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import Command, known_spec, run_quietly, thorough

SPEC = """
name: weighed
dataset:
  source: {csv: {path: t.csv, target: kind}}
  batch_size: 8
  shuffle: false
model:
  layers: [Dense: {units: 4, activation: relu}, Dense: {units: UNITS, activation: ACTIVATION}]
loss: LOSS
optimizer: {SGD: {learning_rate: 0.1}}
metrics: [accuracy]
train: {epochs: 2, class_weight: WEIGHT}
"""
ONE = {"UNITS": "1", "ACTIVATION": "sigmoid", "LOSS": "binary_crossentropy"}
HOT = {"UNITS": "2", "ACTIVATION": "softmax", "LOSS": "categorical_crossentropy"}
NUMBERS = {"UNITS": "2", "ACTIVATION": "softmax", "LOSS": "sparse_categorical_crossentropy"}


def write(folder: Path, weight: str, **changes: str) -> Path:
    rng = np.random.default_rng(0)
    rows = "".join(f"{rng.normal():.3f},{rng.normal():.3f},{'rare' if i % 10 == 0 else 'usual'}\n" for i in range(100))
    (folder / "t.csv").write_text(f"a,b,kind\n{rows}")
    text = SPEC.replace("WEIGHT", weight)
    for word, value in (changes or NUMBERS).items():
        text = text.replace(word, value)
    path = folder / "weighed.yaml"
    path.write_text(text)
    return path


def weights_in(run: Path) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with h5py.File(run / "checkpoints" / "last.h5") as file:
        file["model_weights"].visititems(lambda _, item: found.append(item[()]) if hasattr(item, "shape") else None)
    return found


@pytest.mark.parametrize(
    ("weight", "changes"),
    [
        pytest.param("balanced", ONE, marks=thorough),
        pytest.param("balanced", HOT, marks=thorough),
        ("{rare: 7.5}", NUMBERS),
    ],
    ids=["one output", "one-hot", "by name"],
)  # fmt: skip
def test_it_is_what_fit_does(dlcli: Command, tmp_path: Path, weight: str, changes: dict[str, str]) -> None:
    spec = write(tmp_path, weight, **changes)
    run = ["--runs-dir", tmp_path, "-q", "--run-name"]
    assert run_quietly("train", spec, *run, "graph") == 0
    done = dlcli("code", spec)
    assert done.code == 0, done.err
    assert "class_weight=" in done.out
    (tmp_path / "script.py").write_text(done.out)
    model = runpy.run_path(str(tmp_path / "script.py"))["model"]
    ours = sorted(weights_in(tmp_path / "weighed/graph"), key=lambda array: (array.shape, array.sum()))
    theirs = sorted((np.asarray(one) for one in model.weights), key=lambda array: (array.shape, array.sum()))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_evaluation_counts_all_alike(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, "balanced")
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    recorded = json.loads((tmp_path / "weighed/latest/metrics.json").read_text())["train"]
    again = dlcli("evaluate", tmp_path / "weighed", "--split", "train", "--json").json["metrics"]
    assert again == pytest.approx(recorded, abs=1e-6)
    rows = dlcli("predict", tmp_path / "weighed", "--split", "train", "--json").json
    shares = [row["probability"] if row["class"] == row["true"] else 1 - row["probability"] for row in rows]
    assert recorded["loss"] == pytest.approx(-np.log(shares).mean(), abs=1e-4)


@thorough
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    spec = write(tmp_path, "balanced")
    run = ["--runs-dir", tmp_path, "-q", "--run-name"]
    assert run_quietly("train", spec, *run, "whole") == 0
    assert run_quietly("train", spec, *run, "parts", "--epochs", 1) == 0
    assert run_quietly("train", "--resume", tmp_path / "weighed/parts", "--epochs", 2, "-q") == 0
    whole, parts = (weights_in(tmp_path / "weighed" / name) for name in ("whole", "parts"))
    assert all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("{rar: 2}", "There is no class `rar`"),
        ("even", "must be `balanced`, or weights by the names of classes"),
        ("{}", "must be `balanced`, or weights by the names of classes"),
        ("{rare: 0}", "must be a number greater than 0; received `0`"),
        ("{rare: a}", "must be a number"),
    ],
)
def test_mistakes_are_told(dlcli: Command, tmp_path: Path, weight: str, message: str) -> None:
    done = dlcli("train", write(tmp_path, weight), "--runs-dir", tmp_path)
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_numbers_have_no_classes(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, "balanced")
    text = spec.read_text().replace("target: kind", "target: a").replace("metrics: [accuracy]", "")
    spec.write_text(text.replace("units: 2, activation: softmax", "units: 1").replace(NUMBERS["LOSS"], "mse"))
    done = dlcli("train", spec, "--runs-dir", tmp_path)
    assert done.code == 2
    assert "`class_weight` weighs the classes of one target, but this data has no classes." in done.err


def test_classes_that_are_numbers_need_no_quotes(tmp_path: Path) -> None:
    spec = write(tmp_path, "{0: 2, 1: 3}")
    assert known_spec(spec).spec.train.class_weight == {"0": 2.0, "1": 3.0}


def weighed_rows(spec: Path, weights: str = "") -> Path:
    """A spec whose rows have weights of their own: 1, 2 or 3, or the one given."""
    table = spec.parent / "t.csv"
    lines = table.read_text().splitlines()
    rows = [f"{line},{weights or 1 + number % 3}" for number, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},w", *rows]))
    spec.write_text(spec.read_text().replace("target: kind", "target: kind, weight: w"))
    return spec


@pytest.mark.parametrize("weight", [pytest.param("null", marks=thorough), "balanced"])
def test_rows_with_weights_of_their_own(dlcli: Command, tmp_path: Path, weight: str) -> None:
    spec = weighed_rows(write(tmp_path, weight))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    done = dlcli("code", spec)
    assert 'train["w"].to_numpy("float32")' in done.out
    (tmp_path / "script.py").write_text(done.out)
    model = runpy.run_path(str(tmp_path / "script.py"))["model"]
    ours = sorted(weights_in(tmp_path / "weighed/latest"), key=lambda array: (array.shape, array.sum()))
    theirs = sorted((np.asarray(one) for one in model.weights), key=lambda array: (array.shape, array.sum()))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"), [("-1", "is no weight"), ("0", "are 0"), ("much", "`much`, which is no weight")]
)
def test_rows_with_wrong_weights(dlcli: Command, tmp_path: Path, weights: str, message: str) -> None:
    done = dlcli("check", weighed_rows(write(tmp_path, "null"), weights))
    assert done.code == 3
    assert message in " ".join(done.out.split())
