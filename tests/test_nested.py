"""Models within the model: one layer each, with layers and names of their own."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from dlcli.cli.options import catalogue
from dlcli.spec.grammar import Spec
from dlcli.spec.loading import load_spec
from dlcli.training.job import model_without_data
from tests.conftest import Command, run_quietly

SPEC = """name: nested
dataset: {source: {pairs: {of: digits, samples: 200}}, validation: 0.2, batch_size: 32}
variables: {wide: 6}
model:
  blocks:
    twofold:
      parameters: {units: 8}
      layers:
        - Dense: {units: "${units}", activation: relu}
        - Model:
            layers:
              - Dense: {units: "${units}"}
                name: inner
              - Add:
                inputs: [inner, input]
              - Dropout: {rate: 0.1}
          repeat: 2
  layers:
    - Model:
        layers:
          - Flatten
          - twofold: {units: 12}
          - Sequential: {layers: [Dense: {units: "${wide}", activation: tanh}, BatchNormalization]}
            repeat: 2
          - Dense: {units: 6}
            name: last
          - reuse: last
      name: tower
      inputs: left
    - reuse: tower
      name: other
      inputs: right
    - Model:
        inputs: [one, another]
        layers:
          - Subtract:
            inputs: [one, another]
            name: difference
          - Multiply:
            inputs: [difference, difference]
      inputs: [tower, other]
    - Sequential: {layers: [Dense: {units: 4, activation: relu}, Dense: {units: 4}]}
      trainable: false
      name: cold
      repeat: 2
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
optimizer: {Adam: {learning_rate: 0.003}}
"""
DENSE = {name: (rows + 1) * columns for name, rows, columns in [
    ("first", 64, 12), ("inner", 12, 12), ("wide", 12, 6), ("wide again", 6, 6), ("last", 6, 6), ("cold", 6, 4),
    ("colder", 4, 4), ("output", 4, 1),
]}  # fmt: skip
TOWER = DENSE["first"] + 2 * DENSE["inner"] + DENSE["wide"] + DENSE["wide again"] + 2 * 4 * 6 + DENSE["last"]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nested") / "nested.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert run_quietly("train", spec, "--runs-dir", folder, "--run-name", "one", "-q") == 0
    return folder / "nested" / "one"


def test_each_is_one_layer_with_its_weights_once(spec: Path, dlcli: Command) -> None:
    document = dlcli("summary", spec, "--json").json
    rows = [(layer["class_name"], layer["parameters"], len(layer["output_shapes"])) for layer in document["layers"]]
    cold, colder = DENSE["cold"] + DENSE["colder"], 2 * DENSE["colder"]
    assert rows == [
        ("Functional", TOWER, 2), ("Functional", 0, 1), ("Sequential", cold, 1), ("Sequential", colder, 1),
        ("Dense", DENSE["output"], 1),
    ]  # fmt: skip
    assert document["totals"]["parameters"] == TOWER + cold + colder + DENSE["output"]
    moving = 2 * 2 * 6
    assert document["totals"]["trainable_parameters"] == TOWER - moving + DENSE["output"]
    inner = document["layers"][0]["inner"]
    assert [layer["name"] for layer in inner["layers"]][-1] == "last"
    assert len(inner["layers"][-1]["output_shapes"]) == 2


def test_what_is_trained_can_be_evaluated_and_opened_in_plain_keras(run: Path, dlcli: Command) -> None:
    assert dlcli("evaluate", run).code == 0
    assert dlcli("predict", run, "--split", "test", "--json").code == 0
    model = keras.models.load_model(run / "checkpoints" / "last.h5")
    tower = model.get_layer("tower")
    assert isinstance(tower, keras.Model)
    assert [weight.path for weight in model.get_layer("cold_1").trainable_weights] == []
    inputs = [np.random.default_rng(seed).random((5, 8, 8, 1)).astype("float32") for seed in (0, 1)]
    halves = [tower(one) for one in inputs]
    again = model.get_layer("cold_1")(np.asarray(halves[0] - halves[1]) ** 2)
    expected = model.layers[-1](model.get_layer("cold_2")(again))
    assert np.array_equal(np.asarray(model(dict(zip(("left", "right"), inputs, strict=True)))), np.asarray(expected))


def test_summary_of_a_run_is_that_of_its_spec(spec: Path, run: Path, dlcli: Command) -> None:
    assert dlcli("summary", run, "--json").json == dlcli("summary", spec, "--json").json


def test_has_a_frame_in_the_picture(spec: Path, tmp_path: Path, dlcli: Command) -> None:
    assert dlcli("summary", spec, "--plot", tmp_path / "model.dot").code == 0
    text = (tmp_path / "model.dot").read_text()
    frames = [line.split('"')[1] for line in text.splitlines() if line.startswith('label="')]
    assert frames[0] == "tower: Functional"
    assert len(frames) == 1 + 2 + 2 + 1 + 2
    edges = {line.strip() for line in text.splitlines() if "->" in line}
    assert {'"left" -> "tower/flatten"', '"right" -> "tower/flatten"'} <= edges
    assert '"tower/last" -> "functional_2/difference"' in edges


def test_what_a_run_keeps_is_the_same_spec(spec: Path, run: Path) -> None:
    resolved = load_spec(run / "resolved.yaml", catalogue()).spec
    assert resolved == load_spec(spec, catalogue()).spec
    assert Spec.model_validate(json.loads(json.dumps(resolved.resolved()))) == resolved


def test_layers_in_it_can_be_set(spec: Path, dlcli: Command) -> None:
    change = "model.layers.tower.layers.last.units=7"
    assert dlcli("check", spec, "--static", "--set", change).code == 0
    misspelt = dlcli("check", spec, "--static", "--set", change.replace("units", "unit"))
    assert (misspelt.code, "`unit` is not an argument of `Dense`" in misspelt.out) == (2, True)


def test_a_stack_is_a_sequential_and_a_graph_is_functional(tmp_path: Path) -> None:
    layers = "[{Model: {layers: [Dense: {units: 3}]}}, {Sequential: {layers: [Dense: {units: 3}]}}]"
    (tmp_path / "two.yaml").write_text(f"dataset: {{source: iris}}\nmodel: {{layers: {layers}}}\nloss: mse\n")
    model = model_without_data(load_spec(tmp_path / "two.yaml", catalogue()))
    assert [type(layer).__name__ for layer in model.layers] == ["Functional", "Sequential"]
    assert [layer.name for layer in model.layers] == ["functional", "sequential"]


def test_models_in_models_without_end_are_refused(tmp_path: Path, dlcli: Command) -> None:
    layers = "[Dense: {units: 3}]"
    for _ in range(25):
        layers = f"[Model: {{layers: {layers}}}]"
    (tmp_path / "deep.yaml").write_text(f"dataset: {{source: iris}}\nmodel: {{layers: {layers}}}\nloss: mse\n")
    done = dlcli("check", "--static", tmp_path / "deep.yaml")
    assert (done.code, "more than 20 deep" in done.out) == (2, True), done.out


def test_growth_is_bounded(tmp_path: Path, dlcli: Command) -> None:
    inner = "[" + ", ".join(["{Dense: {units: 3}}"] * 400) + "]"
    again = "\n".join(["    - reuse: wide"] * 400)
    layers = f"    - Model: {{layers: {inner}}}\n      name: wide\n{again}\n"
    text = f"dataset: {{source: iris}}\nmodel:\n  layers:\n{layers}loss: mse\n"
    (tmp_path / "large.yaml").write_text(text)
    done = dlcli("check", "--static", tmp_path / "large.yaml")
    assert (done.code, "more than 10,000 layers" in done.out) == (2, True), done.out


def test_begins_with_the_weights_of_an_earlier_run(spec: Path, run: Path, tmp_path: Path, dlcli: Command) -> None:
    frozen = tmp_path / "frozen.yaml"
    frozen.write_text(SPEC.replace("name: tower\n", "name: tower\n      trainable: false\n"), encoding="utf-8")
    words = ["train", frozen, "--init-from", run, "--runs-dir", tmp_path, "--run-name", "two", "--epochs", 1]
    done = dlcli(*words)
    assert done.code == 0, done.err
    first, second = (
        keras.models.load_model(folder / "checkpoints" / "last.h5", compile=False)
        for folder in (run, tmp_path / "nested" / "two")
    )
    towers = [model.get_layer("tower") for model in (first, second)]
    assert len(towers[0].trainable_weights) > len(towers[1].trainable_weights) == 0
    pairs = zip(*(tower.get_weights() for tower in towers), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
