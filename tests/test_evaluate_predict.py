"""`dlcli evaluate` and `dlcli predict`: from the checkpoint alone, the same figures as in training."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import Command, run_quietly, thorough


def prepared_digits() -> np.ndarray:
    """All of digits as the checkpoint's preparation gives them."""
    raw = np.round(load_digits().images * 255.0 / 16.0)
    return (raw / 255.0).astype("float32")[..., None]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluate_gives_what_training_recorded(dlcli: Command, small_run: Path, split: str) -> None:
    recorded = json.loads((small_run / "metrics.json").read_text())[split]
    evaluation = dlcli("evaluate", small_run, "--split", split, "--json").json
    assert evaluation["metrics"] == pytest.approx(recorded, abs=1e-6)
    confusion = np.array(evaluation["confusion"])
    assert confusion.trace() / confusion.sum() == pytest.approx(recorded["accuracy"], abs=1e-6)
    assert [row["examples"] for row in evaluation["classes"]] == confusion.sum(axis=1).tolist()


@thorough
def test_averaged_weights_are_evaluated_as_they_are_saved(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    averaging = "optimizer={Adam: {use_ema: true, ema_momentum: 0.9}}"
    assert dlcli("train", small_spec, "--epochs", 2, "--set", averaging, "--runs-dir", tmp_path, "-q").code == 0
    run = tmp_path / "small" / "latest"
    recorded = json.loads((run / "metrics.json").read_text())["validation"]
    again = dlcli("evaluate", run, "--split", "validation", "--json").json["metrics"]
    assert again == pytest.approx(recorded, abs=1e-6)
    row = list(csv.DictReader((run / "history.csv").read_text().splitlines()))[-1]
    assert recorded["loss"] != pytest.approx(float(row["val_loss"]), abs=1e-6)  # those weights were not averaged


def test_evaluate_shows_classes_and_confusion(dlcli: Command, small_run: Path) -> None:
    done = dlcli("evaluate", small_run.parent)  # runs/<name> means its newest run
    assert done.code == 0
    assert "precision" in done.out
    assert "confusion matrix" in done.out


def test_plain_keras_opens_the_checkpoint_predicts_the_same_and_trains_on(dlcli: Command, small_run: Path) -> None:
    model = keras.models.load_model(small_run / "checkpoints" / "best.h5")
    rows = dlcli("predict", small_run, "--split", "test", "--json").json
    images, targets = prepared_digits(), load_digits().target
    # The test rows are found by what they are: dlcli's splits are not known to plain Keras.
    outputs = model.predict(images, verbose=0)
    by_answer = {(int(c), round(float(p), 5)) for c, p in zip(outputs.argmax(1), outputs.max(1), strict=True)}
    assert len(rows) == 359
    assert all((int(row["class"]), round(row["probability"], 5)) in by_answer for row in rows[:50])
    before = model.evaluate(images, np.eye(10)[targets], verbose=0)[0]
    model.fit(images, np.eye(10)[targets], epochs=2, verbose=0)
    assert model.evaluate(images, np.eye(10)[targets], verbose=0)[0] < before


def test_checkpoint_carries_what_it_needs(small_run: Path) -> None:
    with h5py.File(small_run / "checkpoints" / "best.h5") as file:
        assert {"model_config", "training_config", "keras_version"} <= set(file.attrs)
        group = file["dlcli"]
        assert json.loads(group["class_names"].asstr()[()]) == [str(number) for number in range(10)]
        preparation = json.loads(group["preparation"].asstr()[()])
        assert [layer["class_name"] for layer in preparation["layers"]] == ["Rescaling", "Reshape"]
        assert json.loads(group["spec"].asstr()[()])["name"] == "small"


def test_foreign_model_needs_a_spec_for_its_data(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])
    path = tmp_path / "foreign.h5"
    model.save(path)
    refused = dlcli("evaluate", path)
    assert refused.code == 2
    assert "--data" in refused.err
    evaluation = dlcli("evaluate", path, "--data", small_spec, "--split", "train", "--json").json
    assert set(evaluation["metrics"]) == {"loss", "accuracy", "top_2"}
    summary = dlcli("summary", path, "--json").json
    assert summary["layers"][0]["parameters"] == 650


def test_predict_reads_images_arrays_and_tables(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    raw = np.round(load_digits().images[:3] * 255.0 / 16.0).astype(np.uint8)
    Image.fromarray(raw[0]).save(tmp_path / "zero.png")
    np.save(tmp_path / "three.npy", raw)
    np.savetxt(tmp_path / "rows.csv", raw.reshape(3, -1), delimiter=",", fmt="%d")
    files = [tmp_path / name for name in ("zero.png", "three.npy", "rows.csv")]
    rows = dlcli("predict", small_run, *files, "--json").json
    assert [row["input"] for row in rows] == [
        "zero.png", "three.npy[0]", "three.npy[1]", "three.npy[2]", "rows.csv[0]", "rows.csv[1]", "rows.csv[2]",
    ]  # fmt: skip
    answers = [(row["class"], row["probability"]) for row in rows]
    assert answers[0] == pytest.approx(answers[1])
    assert answers[1:4] == answers[4:7]


def test_predict_writes_a_table_and_never_over_one(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    output = tmp_path / "predictions.csv"
    assert dlcli("predict", small_run, "--split", "test", "--first", 10, "-o", output).code == 0
    rows = list(csv.DictReader(output.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 10
    assert set(rows[0]) == {"input", "class", "probability", "true"}
    before = output.read_bytes()
    assert dlcli("predict", small_run, "--split", "test", "--first", 2, "-o", output).code == 2
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "no file"),
        ("broken.png", b"not an image", "not an image"),
        ("text.csv", b"a,b\n1,x\n", "numbers are needed"),
        ("short.csv", b"1,2,3\n", "takes examples of 8×8"),
        ("notes.txt", b"hello", "are not read"),
    ],
)
def test_predict_refuses_what_does_not_fit(
    dlcli: Command, small_run: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = dlcli("predict", small_run, path)
    assert done.code == 3
    assert words in done.err
    assert "Traceback" not in done.err


def test_predict_refuses_scaled_pixels(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "scaled.npy", prepared_digits()[:2])
    done = dlcli("predict", small_run, tmp_path / "scaled.npy")
    assert done.code == 3
    assert "0 to 255" in done.err


def test_a_table_is_prepared_as_in_training_and_its_columns_found_by_name(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "wine.yaml"
    spec.write_text(
        "dataset: {source: wine}\nmodel:\n  layers:\n    - Dense: {units: 3, activation: softmax}\n"
        "loss: sparse_categorical_crossentropy\noptimizer: {Adam: {learning_rate: 0.05}}\nmetrics: [accuracy]\n"
        "train: {epochs: 20}\n"
    )
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    run = tmp_path / "wine"
    from sklearn.datasets import load_wine

    wine = load_wine()
    order = list(reversed(range(13)))
    lines = [",".join(wine.feature_names[column] for column in order)]
    lines += [",".join(repr(float(row[column])) for column in order) for row in wine.data]
    table = tmp_path / "wines.csv"
    table.write_text("\n".join(lines) + "\n")
    rows = dlcli("predict", run, table, "--json").json
    right = [row["class"] == wine.target_names[true] for row, true in zip(rows, wine.target, strict=True)]
    assert np.mean(right) > 0.9


def test_a_regression_predicts_numbers(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "line.yaml"
    spec.write_text(
        "dataset: {source: diabetes}\nmodel:\n  layers:\n    - Dense: {units: 1}\nloss: mse\n"
        "optimizer: {Adam: {learning_rate: 5.0}}\nmetrics: [mae]\ntrain: {epochs: 20}\n"
    )
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    rows = dlcli("predict", tmp_path / "line", "--split", "test", "--json").json
    predicted, true = (np.array([row[name] for row in rows]) for name in ("prediction", "true"))
    assert np.corrcoef(predicted, true)[0, 1] > 0.5
    evaluation = dlcli("evaluate", tmp_path / "line", "--json").json
    assert evaluation["classes"] == []
    assert evaluation["metrics"]["loss"] == pytest.approx(np.mean((predicted - true) ** 2), rel=1e-4)
