"""Layers and more of one's own, in Python files beside the spec: run only where a person says so."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import Command, in_new_process, thorough

CODE = """
import pathlib

import keras
from keras import ops

pathlib.Path({witness!r}).write_text("it ran")


class Scale(keras.layers.Layer):
    def __init__(self, factor=1.0, start_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.start = keras.initializers.get(start_initializer)

    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[-1],), initializer=self.start, name="weight")

    def call(self, inputs):
        return inputs * self.weight * self.factor

    def get_config(self):
        start = keras.initializers.serialize(self.start)
        return {{**super().get_config(), "factor": self.factor, "start_initializer": start}}


class Third(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return ops.full(shape, 1 / 3, dtype)

    def get_config(self):
        return {{}}


class Note(keras.callbacks.Callback):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        with open(self.path, "a") as file:
            file.write(f"{{epoch}} ")


def bent(x):
    return ops.tanh(x) * 1.5


def cubic_error(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)
"""
SPEC = """
name: own
extensions: [code/layers.py]
dataset: {{source: {{blobs: {{samples: 120}}}}, validation: 0.2, labels: one_hot}}
model:
  layers:
    - Scale: {{factor: 2.0, start_initializer: Third}}
      name: scaled
    - Dense: {{units: 8, activation: bent}}
    - Dense: {{units: 3, activation: softmax}}
loss: cubic_error
metrics: [accuracy, cubic_error]
train:
  epochs: 2
  callbacks: [Note: {{path: {noted}}}]
silence: {{number-loss-for-classes: to see that one of one's own is taken}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "layers.py").write_text(CODE.format(witness=str(tmp_path / "witness")))
    text = SPEC.format(noted=tmp_path / "noted")
    (tmp_path / "own.yaml").write_text("\n".join(line for line in text.split("\n") if not line.startswith("silence")))
    return tmp_path / "own.yaml"


def test_nothing_is_run_unless_it_is_trusted(spec: Path, dlcli: Command) -> None:
    for command in (["check", spec], ["check", spec, "--static"], ["train", spec], ["summary", spec]):
        done = dlcli(*command)
        said = " ".join((done.out + done.err).split())
        assert (done.code, "runs a file of code: `code/layers.py`" in said, "--trust-code" in said) == (
            2,
            True,
            True,
        ), said
    assert dlcli("code", spec).code == 2
    assert not (spec.parent / "witness").exists()


def test_what_is_trusted_is_trained_evaluated_and_gone_on_with(spec: Path, dlcli: Command, tmp_path: Path) -> None:
    assert dlcli("check", spec, "--trust-code").code == 0
    summary = dlcli("summary", spec, "--trust-code", "--json").json
    assert summary["layers"][0]["parameters"] == 2
    runs = ["--runs-dir", tmp_path / "runs", "--run-name", "one", "-q"]
    done = dlcli("train", spec, "--trust-code", *runs)
    assert done.code == 0, done.err
    assert (tmp_path / "noted").read_text() == "0 1 "
    run = tmp_path / "runs" / "own" / "one"
    assert (run / "code" / "layers.py").read_text() == (spec.parent / "code" / "layers.py").read_text()
    (spec.parent / "code" / "layers.py").unlink()  # the run has its own
    for command in ("evaluate", "predict"):
        more = ["--split", "test"] if command == "predict" else []
        refused = dlcli(command, run, *more)
        assert (refused.code, "--trust-code" in refused.err) == (4, True), refused.err
        assert dlcli(command, run, *more, "--trust-code").code == 0
    metrics = json.loads((run / "metrics.json").read_text())["test"]
    assert dlcli("evaluate", run, "--trust-code", "--json").json["metrics"] == pytest.approx(metrics, rel=1e-5)
    assert dlcli("train", "--resume", run, "--epochs", "+1", "-q").code == 2
    resumed = dlcli("train", "--resume", run, "--epochs", "+1", "-q", "--trust-code")
    assert resumed.code == 0, resumed.err
    assert (tmp_path / "noted").read_text() == "0 1 2 "


@thorough
def test_the_same_weights_as_with_keras_s_own(spec: Path, dlcli: Command, tmp_path: Path) -> None:
    assert dlcli("train", spec, "--trust-code", "--runs-dir", tmp_path, "-q", "--set", "train.callbacks=[]").code == 0
    with h5py.File(tmp_path / "own" / "latest" / "checkpoints" / "last.h5") as file:
        assert "extension>Scale" in file.attrs["model_config"]
    alone = in_new_process("evaluate", tmp_path / "own", "--trust-code", "--json")
    assert alone.returncode == 0, alone.stderr
    recorded = json.loads((tmp_path / "own" / "latest" / "metrics.json").read_text())["test"]
    np.testing.assert_allclose(json.loads(alone.stdout)["metrics"]["loss"], recorded["loss"], rtol=1e-5)
    stranger = in_new_process("evaluate", tmp_path / "own")
    assert (stranger.returncode, "runs code of its own: code/layers.py" in stranger.stderr) == (4, True)


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ("[missing.py]", "", "missing.py cannot be read: No such file or directory"),
        ("[../layers.py]", "", "is not the name of a Python file beside the spec"),
        ("[/etc/passwd]", "", "is not the name of a Python file beside the spec"),
        ("[layers.txt]", "", "is not the name of a Python file beside the spec"),
        ("layers.py", "", "must be a list"),
        ("[layers.py]", "import nowhere_at_all", "layers.py, line 1: ModuleNotFoundError"),
        ("[layers.py]", "x = 1\nx = (", "layers.py, line 2: SyntaxError"),
        ("[layers.py]", "def f():\n    return 1 / 0\nf()", "layers.py, line 2: ZeroDivisionError"),
        ("[layers.py]", "import keras\nclass Dense(keras.layers.Layer):\n    pass", "has the name of a Keras layer"),
        ("[layers.py]", "", "`Scale` is not a Keras layer"),
    ],
)
def test_mistakes(files: str, code: str, said: str, spec: Path, dlcli: Command) -> None:
    spec.write_text(spec.read_text().replace("[code/layers.py]", files))
    (spec.parent / "layers.py").write_text(code)
    done = dlcli("check", spec, "--trust-code", "--static")
    words = " ".join(done.out.split())
    assert (done.code, said in words) == (2, True), done.out
    assert f"{spec.name}:3:" in words or "Scale" in said


def test_arguments_are_checked(spec: Path, dlcli: Command) -> None:
    spec.write_text(spec.read_text().replace("factor: 2.0", "facto: 2.0"))
    done = dlcli("check", spec, "--trust-code", "--static")
    assert (done.code, "Did you mean `factor`?" in done.out) == (2, True), done.out
