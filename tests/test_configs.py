"""Every shipped config: its header, its parameter counts, and a shortened training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.config_headers import CONFIGS, read_header, table
from tests.conftest import DATA_DIR, IMAGE_SETS, Command, run_quietly, skip_without_files, some_of

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
PARAMETERS = {
    "mnist_mlp": (418_666, [0, 401_920, 16_416, 330]),
    "mnist_mlp_sgd": (50_890, None),
    "two_class_sigmoid": (10_501, None),
    "mnist_cnn": (437_482, None),
    "mnist_mlp_dropout": (932_362, [0, 401_920, 0, 262_656, 0, 262_656, 0, 5_130]),
    "mnist_mlp_sweep": (932_362, [0, 401_920, 0, 262_656, 0, 262_656, 0, 5_130]),
    "mnist_cnn_dropout": (225_162, [320, 18_496, 0, 0, 36_928, 36_928, 0, 0, 0, 131_200, 0, 1_290]),
    "cifar10_cnn": (1_250_858, [896, 9_248, 0, 0, 18_496, 36_928, 0, 0, 0, 1_180_160, 0, 5_130]),
    "mnist_two_layer": (407_050, None),
    "cifar10_alexnet": (
        58_322_314,
        [
            (11 * 11 * 3 + 1) * 96,
            0,
            (5 * 5 * 96 + 1) * 256,
            0,
            (9 * 256 + 1) * 384,
            (9 * 384 + 1) * 384,
            (9 * 384 + 1) * 256,
            0,
            0,
            (6 * 6 * 256 + 1) * 4096,
            0,
            4097 * 4096,
            0,
            4097 * 10,
        ],
    ),
    "ratings": (300 * 4 + 200 * 4 + 200 + 2, None),
    "mnist_lstm": (24_458, [0, 4 * (28 + 64 + 1) * 64, 650]),
}
needs_data = pytest.mark.skipif(not DATA_DIR, reason="DLCLI_DATA_DIR does not say where MNIST is")


@pytest.mark.parametrize("name", NAMES)
def test_header_states_command_score_and_time(name: str) -> None:
    header = read_header(CONFIGS / f"{name}.yaml")
    command = "sweep" if name.endswith("_sweep") else "train"
    assert header.fields["Command"] == f"dlcli {command} configs/{name}.yaml"
    assert header.fields["Expected"]
    assert header.fields["Time"]
    assert yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["name"] == name


def test_readme_of_the_configs_is_made_from_them() -> None:
    assert (CONFIGS / "README.md").read_text(encoding="utf-8") == table(), "run `make configs`"


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_lecture_s(dlcli: Command, name: str) -> None:
    total, layers = PARAMETERS[name]
    summary = dlcli("summary", CONFIGS / f"{name}.yaml", "--json").json
    assert summary["totals"]["parameters"] == total
    if layers is not None:
        assert [layer["parameters"] for layer in summary["layers"]] == layers


def test_mnist_cnn_flattens_to_3200(dlcli: Command) -> None:
    done = dlcli("summary", CONFIGS / "mnist_cnn.yaml", "--style", "ascii")
    assert "OPERATION" in done.out
    assert "3200" in done.out


# Large ones, with less of the same.
SHORTER = {
    "cifar10_resnet20": ["model.layers.2.repeat=1", "model.layers.4.repeat=1", "model.layers.6.repeat=1"],
    "cifar10_alexnet": ["dataset.batch_size=2", "model.layers.9.units=64", "model.layers.11.units=64"],
    # Its weights must be downloaded.
    "cifar10_mobilenet": [
        "dataset.batch_size=4", "model.layers.base.weights=null", "model.layers.base.alpha=0.35",
    ],
}  # fmt: skip
# Of all of them; of fewer examples no halves would be made.
FEWER = "dataset.batch_size=16"


# Other tests train these at each run: below, in test_code and in test_csv.
TRAINED_ELSEWHERE = ("iris", "mnist_cnn_dropout", "mnist_two_layer", "penguins", "sms_spam", "xor") if DATA_DIR else ()


@pytest.mark.parametrize("name", some_of(NAMES, *(name for name in NAMES if name not in TRAINED_ELSEWHERE)))
def test_config_trains(dlcli: Command, name: str, few_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_files(name)
    # Nothing reaches for the network in a test.
    monkeypatch.setattr("dlcli.data.keras_cache.probe", lambda url: "no network in this test")
    text = (CONFIGS / f"{name}.yaml").read_text()
    where = ("--data-dir", few_images) if any(f"source: {one}\n" in text for one in IMAGE_SETS) else ()
    changes = [word for change in [FEWER, *SHORTER.get(name, ())] for word in ("--set", change)]
    done = dlcli("train", CONFIGS / f"{name}.yaml", "--smoke", *where, *changes)
    assert done.code == 0, done.err
    assert "smoke run" in done.out


def test_xor_is_solved(dlcli: Command, tmp_path: Path) -> None:
    assert run_quietly("train", CONFIGS / "xor.yaml", "--runs-dir", tmp_path, "-q") == 0
    rows = dlcli("predict", tmp_path / "xor", "--split", "test", "--json").json
    assert len(rows) == 4
    assert all(row["class"] == row["true"] for row in rows)


def test_iris_is_learned(tmp_path: Path) -> None:
    assert run_quietly("train", CONFIGS / "iris.yaml", "--runs-dir", tmp_path, "-q") == 0
    metrics = json.loads(next(tmp_path.rglob("metrics.json")).read_text())
    assert metrics["test"]["accuracy"] >= 0.95


@needs_data
def test_mnist_is_learned_in_one_epoch(tmp_path: Path) -> None:
    arguments = ("--epochs", 1, "--runs-dir", tmp_path, "--no-fallback", "-q")
    assert run_quietly("train", CONFIGS / "mnist_two_layer.yaml", *arguments) == 0
    metrics = json.loads(next(tmp_path.rglob("metrics.json")).read_text())
    assert metrics["test"]["accuracy"] > 0.94


def variants() -> list[tuple[str, Any]]:
    """The initializers of the lecture, each with what its weights must be."""
    return [
        ("Zeros", lambda w: (w == 0).all()),
        ("Ones", lambda w: (w == 1).all()),
        ("{Constant: {value: 5}}", lambda w: (w == 5).all()),
        ("RandomNormal", lambda w: abs(w.std() - 0.05) < 0.002 and abs(w.mean()) < 0.002),
        (
            "{RandomUniform: {minval: -0.05, maxval: 0.05}}",
            lambda w: -0.05 <= w.min() < -0.049 < 0.049 < w.max() <= 0.05,
        ),
    ]


@pytest.mark.parametrize(("initializer", "holds"), variants())
@pytest.mark.parametrize(
    ("regularizer", "activation", "loss", "optimizer"),
    [
        ("{L1: {l1: 1e-4}}", "relu", "mean_squared_error", "Adam"),
        ("{L2: {l2: 1e-4}}", "tanh", "mean_absolute_error", "SGD"),
        ("l2", "sigmoid", "poisson", "adam"),
        ("null", "linear", "categorical_crossentropy", "sgd"),
        ("null", "softmax", "mse", "SGD"),
    ],
)
def test_initializers_regularizers_and_losses_build(
    tmp_path: Path, initializer: str, holds: Any, regularizer: str, activation: str, loss: str, optimizer: str
) -> None:
    from dlcli.cli.options import catalogue
    from dlcli.model.building import build_model, compile_model
    from dlcli.spec.loading import load_spec

    path = tmp_path / "variant.yaml"
    path.write_text(
        f"dataset: {{source: mnist}}\nmodel:\n  layers:\n    - Flatten\n    - Dense:\n        units: 512\n"
        f"        activation: {activation}\n        kernel_initializer: {initializer}\n"
        f"        kernel_regularizer: {regularizer}\n    - Dense: {{units: 10, activation: softmax}}\n"
        f"loss: {loss}\noptimizer: {optimizer}\n"
    )
    loaded = load_spec(path, catalogue())
    model = build_model(loaded, (28, 28, 1))
    compile_model(loaded, model)
    weights = np.asarray(model.layers[1].get_weights()[0])
    assert weights.shape == (784, 512)
    assert holds(weights)
    assert (model.layers[1].kernel_regularizer is None) == (regularizer == "null")


def test_the_spec_in_the_readme_is_the_shipped_one() -> None:
    text = (CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    shipped = yaml.safe_load((CONFIGS / "mnist_cnn.yaml").read_text(encoding="utf-8"))
    assert {"name": "mnist_cnn", **shown} == shipped
