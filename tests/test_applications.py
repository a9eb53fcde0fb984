"""Networks of `keras.applications` as layers: what they cost, that they can be frozen, and where their weights are."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import h5py
import numpy as np
import pytest

from tests.conftest import Command, run_quietly, thorough

SPEC = """name: pretrained
dataset:
  source: digits
  preparation:
    - Reshape: {target_shape: [8, 8, 1]}
    - Rescaling: {scale: 0.0625}
    - Resizing: {height: SIZE, width: SIZE}
  batch_size: 100
model:
  layers:
    - Conv2D: {filters: 3, kernel_size: 1, activation: relu}
    - NETWORK
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
metrics: [accuracy]
"""
SMALL = "MobileNet: {weights: WEIGHTS, include_top: false, pooling: avg, alpha: 0.25}\n      name: base"


def write(folder: Path, network: str, size: int = 32) -> Path:
    path = folder / "pretrained.yaml"
    path.write_text(SPEC.replace("SIZE", str(size)).replace("NETWORK", network), encoding="utf-8")
    return path


def numbers(checkpoint: Path, group: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(checkpoint) as file:
        file["model_weights"][group].visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


@pytest.mark.parametrize(("network", "parameters"), [("VGG16", 138_357_544), ("MobileNetV2", 3_538_984)])
def test_parameters_are_those_that_keras_documents(
    network: str, parameters: int, tmp_path: Path, dlcli: Command
) -> None:
    spec = write(tmp_path, f"{network}: {{weights: , classifier_activation: }}", 224)
    around = 3 + 3 + 1000 * 10 + 10
    done = dlcli("check", spec)
    assert f"{parameters + around:,} parameters" in done.out, done.out


@thorough
def test_a_frozen_network_keeps_the_weights_of_a_file_and_comes_back(tmp_path: Path, dlcli: Command) -> None:
    import keras

    arguments = {"include_top": False, "pooling": "avg", "alpha": 0.25, "input_shape": (32, 32, 3)}
    theirs = keras.applications.MobileNet(weights=None, **arguments)
    theirs.save_weights(tmp_path / "mine.weights.h5")
    spec = write(tmp_path, SMALL.replace("WEIGHTS", "mine.weights.h5") + "\n      trainable: false")
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q", "--epochs", 1, "--run-name", "one") == 0
    run = tmp_path / "pretrained" / "one"
    ours = numbers(run / "checkpoints" / "last.h5", "base")
    expected = sorted(np.asarray(weight).tobytes() for weight in theirs.get_weights())
    assert sorted(value.tobytes() for value in ours.values()) == expected
    assert dlcli("evaluate", run).code == 0
    assert dlcli("summary", run, "--json").json["totals"]["trainable_parameters"] == 3 + 3 + 256 * 10 + 10


def test_weights_that_cannot_be_had(tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write(tmp_path, SMALL.replace("WEIGHTS", "mine.weights.h5"), 128)
    missing = dlcli("check", spec)
    assert (missing.code, "There is no file" in missing.out) == (2, True)

    def no_network(*arguments: object) -> None:
        raise URLError("no network in this test")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    offline = dlcli("train", spec, "--set", "model.layers.base.MobileNet.weights=imagenet", "--smoke")
    assert offline.code == 3
    assert "cannot be downloaded" in " ".join(offline.err.split())


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("MobileNetV2: {classes: 10}", "has 1000 classes; received 10"),
        ("MobileNetV2: {weights: }\n      repeat: 2", "is a whole network, and cannot be repeated"),
        ("MobileNetV2: {weights: , alpha: wide}", "`alpha` of `MobileNetV2` must be a number"),
        ("MobileNetV2: {weights: , pooling: mean}", "must be one of `avg`, `max`"),
        ("MobilNetV2", "Did you mean `MobileNetV2`?"),
    ],
)
def test_mistakes(network: str, said: str, tmp_path: Path, dlcli: Command) -> None:
    done = dlcli("check", write(tmp_path, network))
    assert (done.code, said in done.out) == (2, True), done.out
