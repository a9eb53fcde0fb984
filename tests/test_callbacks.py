"""Callbacks of Keras's, as a spec lists them, hear what `fit` would tell them."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

from tests.conftest import Command

SPEC = """name: called
dataset: {source: iris, validation: 0.2, batch_size: 16}
model:
  layers:
    - Dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: {SGD: {learning_rate: RATE}}
metrics: [accuracy]
train:
  epochs: 12
  callbacks:
    - CALLBACK
"""


def rows_after(dlcli: Command, tmp_path: Path, callback: str, rate: str = "0.01") -> list[dict[str, str]]:
    path = tmp_path / "called.yaml"
    path.write_text(SPEC.replace("CALLBACK", callback).replace("RATE", rate))
    done = dlcli("train", path, "--runs-dir", tmp_path, "-q")
    assert done.code == 0, done.err
    return list(csv.DictReader((tmp_path / "called" / "latest" / "history.csv").read_text().splitlines()))


def test_early_stopping_stops(dlcli: Command, tmp_path: Path) -> None:
    rows = rows_after(dlcli, tmp_path, "EarlyStopping: {monitor: val_loss, patience: 1, min_delta: 10}")
    assert len(rows) == 2


def test_reduce_on_plateau_reduces(dlcli: Command, tmp_path: Path) -> None:
    rows = rows_after(
        dlcli, tmp_path, "ReduceLROnPlateau: {monitor: val_loss, patience: 2, min_delta: 10, factor: 0.1}"
    )
    assert float(rows[-1]["learning_rate"]) < float(rows[0]["learning_rate"]) * 0.2


def test_terminate_on_nan_comes_too_late(dlcli: Command, tmp_path: Path) -> None:
    """A loss that is no number stops a run as it is, and says more than Keras's callback would."""
    path = tmp_path / "called.yaml"
    path.write_text(SPEC.replace("CALLBACK", "TerminateOnNaN").replace("RATE", "1e38"))
    done = dlcli("train", path, "--runs-dir", tmp_path, "-q")
    assert done.code == 4
    assert "The loss is no number (NaN) at step" in " ".join(done.err.split())


def test_tensorboard_writes_into_the_run_or_says_what_is_missing(dlcli: Command, tmp_path: Path) -> None:
    if find_spec("tensorboard") is not None:
        rows_after(dlcli, tmp_path, "TensorBoard")
        assert list((tmp_path / "called" / "latest" / "tensorboard").rglob("events*"))
        return
    path = tmp_path / "called.yaml"
    path.write_text(SPEC.replace("CALLBACK", "TensorBoard").replace("RATE", "0.1"))
    done = dlcli("train", path, "--runs-dir", tmp_path, "-q")
    assert done.code == 2
    assert "called.yaml:12:" in done.err
    assert "pip install tensorboard" in done.err


def test_model_checkpoint_runs(dlcli: Command, tmp_path: Path) -> None:
    rows_after(dlcli, tmp_path, f"ModelCheckpoint: {{filepath: {tmp_path}/mine.keras}}")
    assert (tmp_path / "mine.keras").exists()
