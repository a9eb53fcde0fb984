"""Numbers that are standardized for the loss, and told in their own units everywhere else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.cli.result import scaled_lines
from dlcli.data.encoding import Encoding, Encodings, restore_encoding
from dlcli.data.scaling import with_scales, with_scales_of
from dlcli.report.answers import NumberAnswers, _answers
from dlcli.runs import RunFolder
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.comparing import compare_runs
from tests.conftest import Command, known_spec, run_quietly, thorough
from tests.test_code import run_script, script_of, trained

pd = pytest.importorskip("pandas")
TABLE = "size,kind,price\n" + "".join(
    f"{i % 7},{'cat' if i % 2 else 'dog'},{1000 + 50 * (i % 7) + 8 * (i % 5)}\n" for i in range(90)
)
SPEC = """
name: pets
seed: 1
dataset:
  source: {csv: {path: t.csv, target: price, features: [size]}}
  validation: 0.2
  labels: standardized
  batch_size: 8
model:
  layers: [Dense: {units: 4, activation: relu}, Dense: {units: 1}]
loss: mean_squared_error
metrics: [mean_absolute_error, RootMeanSquaredError, r2_score]
train: {epochs: 4}
"""
TWO = SPEC.replace("target: price", "target: [kind, price]").replace("""
  layers: [Dense: {units: 4, activation: relu}, Dense: {units: 1}]
loss: mean_squared_error
metrics: [mean_absolute_error, RootMeanSquaredError, r2_score]
""", """
  layers:
    - {Dense: {units: 4, activation: relu}, name: seen}
    - {Dense: {units: 2, activation: softmax}, inputs: seen, name: kind}
    - {Dense: {units: 1}, inputs: seen, name: price}
loss: {kind: sparse_categorical_crossentropy, price: mean_squared_error}
metrics: {kind: [accuracy], price: [mae]}
""")  # fmt: skip


def write(folder: Path, spec: str = SPEC, table: str = TABLE) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "t.csv").write_text(table)
    (folder / "pets.yaml").write_text(spec)
    return folder / "pets.yaml"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of a model with one output, and one of a model with two."""
    made = {}
    for name, spec in (("one", SPEC), ("two", TWO)):
        folder = tmp_path_factory.mktemp("standardized")
        path = write(folder, spec)
        assert run_quietly("train", path, "--runs-dir", folder, "--run-name", "whole", "-q") == 0
        made[name] = folder / "pets/whole"
    return made


def training_prices(run: Path) -> Any:
    dataset, splits = known_spec(run.parents[1] / "pets.yaml").data[0]
    targets = dataset.train.targets
    return (targets["price"] if isinstance(targets, dict) else targets)[splits.train.indices].astype(float)


def test_figures_and_predictions_are_in_units_and_the_loss_is_not(runs: dict[str, Path], dlcli: Command) -> None:
    run = runs["one"]
    evaluated = dlcli("evaluate", run, "--json").json
    figures, recorded = evaluated["metrics"], json.loads((run / "metrics.json").read_text())["test"]
    assert figures == pytest.approx(recorded, rel=1e-5)
    prices = training_prices(run)
    scale = {"mean": pytest.approx(prices.mean()), "deviation": pytest.approx(prices.std())}
    assert evaluated["scales"] == {"target": scale}
    rows = dlcli("predict", run, "--split", "test", "--json").json
    true, told = (np.array([row[key] for row in rows]) for key in ("true", "prediction"))
    assert np.isin(true, pd.read_csv(run.parents[1] / "t.csv")["price"]).all()
    assert figures["mean_absolute_error"] == pytest.approx(np.abs(true - told).mean(), rel=1e-4)
    assert figures["root_mean_squared_error"] == pytest.approx(np.sqrt(((true - told) ** 2).mean()), rel=1e-4)
    assert figures["loss"] == pytest.approx((((true - told) / prices.std()) ** 2).mean(), rel=1e-3)
    shown = dlcli("evaluate", run)
    assert shown.out.count("loss: of what is standardized, (target - 11") == 1


def test_one_of_two_outputs(runs: dict[str, Path], dlcli: Command) -> None:
    run = runs["two"]
    evaluated = dlcli("evaluate", run, "--json").json
    prices = training_prices(run)
    assert evaluated["scales"].keys() == {"price"}
    rows = dlcli("predict", run, "--split", "test", "--json").json
    true, told = (np.array([row[key] for row in rows]) for key in ("true_price", "price"))
    figures = evaluated["metrics"]
    assert figures["price_mae"] == pytest.approx(np.abs(true - told).mean(), rel=1e-4)
    assert figures["price_loss"] == pytest.approx((((true - told) / prices.std()) ** 2).mean(), rel=1e-3)
    right = [row["true_kind"] == row["kind"] for row in rows]
    assert figures["kind_accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("name", ["one", "two"])
def test_plain_keras_opens_it_and_gives_standardized_numbers(
    name: str, runs: dict[str, Path], dlcli: Command, tmp_path: Path
) -> None:
    """And predictions for new rows need nothing but the checkpoint."""
    best = runs[name] / "checkpoints" / "best.h5"
    model = keras.models.load_model(best)
    assert model.optimizer is not None
    moved = shutil.copy(best, tmp_path / "moved.h5")
    (tmp_path / "new.csv").write_text("size\n0\n3\n6\n")
    rows = dlcli("predict", moved, tmp_path / "new.csv", "--json").json
    checkpoint = open_checkpoint(best)
    assert checkpoint.contents is not None
    encoding = restore_encoding(checkpoint.contents.encoding)
    one = encoding.each["price"] if isinstance(encoding, Encodings) else encoding
    outputs = model(checkpoint.preparation().apply(checkpoint_inputs(checkpoint, tmp_path / "new.csv")))
    numbers = np.asarray(outputs if name == "one" else outputs["price" if isinstance(outputs, dict) else 1])[:, 0]
    assert np.abs(numbers).max() < 5
    told = [row["prediction" if name == "one" else "price"] for row in rows]
    np.testing.assert_allclose(told, numbers * one.deviation + one.mean, rtol=1e-5)


def checkpoint_inputs(checkpoint: Any, path: Path) -> Any:
    from dlcli.data.looking import restore_reader

    return restore_reader(checkpoint.contents.data["reader"]).raw_inputs([path])[0]


@thorough
def test_a_stopped_run_goes_on_to_the_same_bits(runs: dict[str, Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    assert run_quietly("train", path, "--runs-dir", tmp_path, "--run-name", "one", "-q", "--epochs", 2) == 0
    assert run_quietly("train", "--resume", tmp_path / "pets/one", "--epochs", 4, "-q") == 0
    assert (tmp_path / "pets/one/metrics.json").read_text() == (runs["one"] / "metrics.json").read_text()
    comparison = compare_runs(RunFolder(tmp_path / "pets/one"), RunFolder(runs["one"]))
    assert comparison.is_equal, comparison.differences


@pytest.mark.parametrize("spec", [pytest.param(SPEC, marks=thorough), TWO], ids=["one", "two"])
def test_the_script_comes_to_the_same_weights_and_figures(spec: str, dlcli: Command, tmp_path: Path) -> None:
    path = write(tmp_path, spec)
    changes = ["--set", "dataset.shuffle=false", "--set", "train.epochs=1"]
    made = run_script(script_of(dlcli, path, *changes), tmp_path)
    model, ours = made["model"], trained(path, tmp_path, tmp_path, changes)
    for weight, value in zip(model.weights, ours.values(), strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6, err_msg=weight.path)
    recorded = json.loads(next(tmp_path.rglob("metrics.json")).read_text())["test"]
    figures = model.evaluate(made["x_test"], made["y_test"], return_dict=True, verbose=0)
    known = {name: figure for name, figure in recorded.items() if name in figures}
    assert len(known) >= 4
    assert figures == pytest.approx(known, rel=1e-4)


def test_what_training_tells(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path)
    events = dlcli("train", spec, "--runs-dir", tmp_path, "--smoke", "--json").out.splitlines()
    [start] = [event for event in map(json.loads, events) if event["event"] == "start"]
    assert start["scales"]["target"].keys() == {"mean", "deviation"}
    [line] = scaled_lines(start["scales"])
    assert line.startswith("loss: of what is standardized, (target - 11")


def test_the_end_tells_what_is_gained_over_always_the_same_answer(dlcli: Command, tmp_path: Path) -> None:
    rows = [(i % 7, "cat" if i % 3 else "dog", 1000 + i * i % 50, "test" if i % 4 == 1 else "train") for i in range(60)]
    table = "size,kind,price,set\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows)
    spec = TWO.replace("features: [size]", "features: [size], split: set").replace("  validation: 0.2\n", "")
    done = dlcli("train", write(tmp_path, spec, table), "--epochs", 1, "--runs-dir", tmp_path, "--json")
    end = json.loads(done.out.splitlines()[-1])
    tested = [row for row in rows if row[3] == "test"]
    cats = np.mean([row[1] == "cat" for row in rows if row[3] == "train"])
    median = np.median([row[2] for row in rows if row[3] == "train"])
    of_test = np.mean([row[1] == "cat" for row in tested])
    assert end["trivial_on"] == "test"
    assert end["trivial"] == pytest.approx(
        {
            "kind_accuracy": of_test,
            "kind_loss": -of_test * np.log(cats) - (1 - of_test) * np.log(1 - cats),
            "price_mae": np.mean([abs(row[2] - median) for row in tested]),
        }
    )
    figures, trivial = end["metrics"]["test"], end["trivial"]
    better = {name: trivial[name] - figures[name] for name in trivial}
    better["kind_accuracy"] *= -1
    assert end["gain"] == pytest.approx(better)


def test_numbers_that_are_the_same_in_all_training_rows(dlcli: Command, tmp_path: Path) -> None:
    table = "size,price,set\n" + "".join(
        f"{i % 7},{7 if i < 30 else i},{'train' if i < 30 else 'test'}\n" for i in range(40)
    )
    spec = SPEC.replace("features: [size]", "features: [size], split: set").replace("  validation: 0.2\n", "")
    done = dlcli("train", write(tmp_path, spec, table), "--runs-dir", tmp_path)
    assert done.code == 3
    assert "the target is 7 in all 30 rows to train on: there is nothing to learn." in " ".join(done.err.split())
    assert list(tmp_path.glob("pets/*")) == []


def test_other_data_is_scaled_as_the_model_is() -> None:
    scaled, plain = Encoding("standardized", None, 3.0, 2.0), Encoding("number", None)
    classes = Encoding("integer", 3)
    assert with_scales_of(plain, scaled) == scaled
    assert with_scales_of(scaled, plain) == plain
    assert with_scales_of(classes, scaled) == classes
    both = Encodings({"kind": classes, "price": plain})
    assert with_scales_of(both, Encodings({"kind": classes, "price": scaled})).each == {
        "kind": classes,
        "price": scaled,
    }
    assert restore_encoding(json.loads(json.dumps(scaled.state()))) == scaled
    assert with_scales(classes, None) == classes


def test_a_report_tells_numbers_in_units() -> None:
    scaled = Encoding("standardized", None, mean=20.0, deviation=5.0)
    answers = _answers(np.array([[0.0], [1.0]], np.float32), scaled, None, np.array([20.0, 26.0]), False)
    assert isinstance(answers, NumberAnswers)
    assert answers.predicted.tolist() == [20.0, 25.0]
    assert answers.errors.tolist() == [0.0, -1.0]
