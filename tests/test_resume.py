"""A run that was stopped goes on as if it had not been: the same bits, whatever it trains, wherever it was stopped."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from dlcli.training.stopping import StopRequest
from tests.conftest import Command, run_quietly, some_of, thorough
from tests.killing import compare, outcome

# Every so manieth place at which a run can be stopped is tried; DLCLI_PLACES=1 tries all.
PLACES = int(os.environ.get("DLCLI_PLACES", "40"))
SPEC = """
name: resumed
seed: 3
dataset:
  source: digits
  validation: 0.2
  augment: {augment}
  preparation: {preparation}
  batch_size: {batch_size}
model:
  layers: {layers}
loss: sparse_categorical_crossentropy
optimizer: {optimizer}
metrics: [accuracy]
train:
  epochs: 3
  callbacks: {callbacks}
"""
OUTPUT = "Dense: {units: 10, activation: softmax}"
EMBEDDING = "Embedding: {input_dim: 256, output_dim: 3}"
LAYERS = f"[Flatten, Dropout: {{rate: 0.2}}, Dense: {{units: 8, activation: relu}}, {OUTPUT}]"
SCALED = "[Rescaling: {scale: 0.0625}, Reshape: {target_shape: [8, 8, 1]}]"
DEFAULT = {
    "augment": "[]", "preparation": SCALED, "layers": LAYERS, "optimizer": "Adam", "callbacks": "[]",
    "batch_size": "100",
}  # fmt: skip
COSINE = "{CosineDecay: {initial_learning_rate: 0.01, decay_steps: 30}}"
CASES: dict[str, dict[str, str]] = {
    "lstm, early stopping": {
        "optimizer": "SGD: {learning_rate: 0.1, momentum: 0.9, nesterov: true}",
        "layers": f"[Reshape: {{target_shape: [8, 8]}}, LSTM: {{units: 6, recurrent_dropout: 0.1}}, {OUTPUT}]",
        "callbacks": "[EarlyStopping: {monitor: accuracy, patience: 1, min_delta: 0.5, restore_best_weights: true}]",
    },
    "schedule, augmentation, table": {
        "optimizer": f"Adam: {{learning_rate: {COSINE}, amsgrad: true}}",
        "augment": "[RandomRotation: {factor: 0.1}, RandomZoom: {height_factor: 0.1}, RandomContrast: {factor: 0.1}, "
        "RandomErasing, RandomTranslation: {height_factor: 0.1, width_factor: 0.1}]",
        "callbacks": "[CSVLogger: {filename: log.csv}]",
    },
    "convolution, normalizations, averages, reduce on plateau": {
        "optimizer": "Nadam: {learning_rate: 0.01, use_ema: true}",
        "layers": "[Conv2D: {filters: 4, kernel_size: 3}, BatchNormalization, Flatten, "
        "SpectralNormalization: {layer: {Dense: {units: 8}}}, " + OUTPUT + "]",
        "callbacks": "[SwapEMAWeights, ReduceLROnPlateau: {monitor: val_loss, patience: 1, min_delta: 1.0}, "
        "ModelCheckpoint: {filepath: mine.keras, monitor: val_loss, save_best_only: true}]",
    },
    "embedding, noise, averages by epoch, backup": {
        "optimizer": "AdamW: {learning_rate: 0.01, use_ema: true, ema_overwrite_frequency: 7}",
        "preparation": "[Flatten]",
        "layers": f"[{EMBEDDING}, SpatialDropout1D: {{rate: 0.1}}, Flatten, GaussianNoise: {{stddev: 0.1}}, {OUTPUT}]",
        "callbacks": "[SwapEMAWeights: {swap_on_epoch: true}, BackupAndRestore: {backup_dir: backup}, TerminateOnNaN]",
    },
    "models within models": {
        "optimizer": "Adam: {learning_rate: 0.01}",
        "layers": "[Sequential: {layers: [Conv2D: {filters: 4, kernel_size: 3}, BatchNormalization, Flatten]}, "
        "Model: {layers: [{Dense: {units: 8}, name: a}, {Model: {layers: [{Dense: {units: 8}, name: a}, "
        "Dropout: {rate: 0.2}]}, repeat: 2, name: b}, {Add: , inputs: [a, b]}]}, " + OUTPUT + "]",
    },
    "compiled": {"batch_size": "10", "preparation": "[Rescaling: {scale: 0.0625}]"},
}
RUN = some_of(list(CASES), "schedule, augmentation, table", "compiled")
STOPPED_EARLY = {**CASES["lstm, early stopping"], "layers": LAYERS}


def write_spec(folder: Path, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "resumed.yaml"
    text = SPEC
    for name, value in {**DEFAULT, **changes}.items():
        text = text.replace(
            f"{{{name}}}", value if value.startswith("[") else f"{{{value}}}" if ":" in value else value
        )
    path.write_text(text, encoding="utf-8")
    return path


class Stops:
    """Lets the training be asked to stop at the given look at its signals, counted from 1."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.at: int | None = None

        def is_asked(request: StopRequest) -> bool:
            self.looks += 1
            return self.at is not None and self.looks >= self.at

        patch.setattr(StopRequest, "is_asked", property(is_asked))

    def after(self, looks: int | None) -> None:
        self.looks, self.at = 0, looks


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Stops:
    return Stops(monkeypatch)


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped in its first epoch; it is only looked at, and copied."""
    spec = write_spec(tmp_path_factory.mktemp("stopped") / "a")
    with pytest.MonkeyPatch.context() as patch:
        Stops(patch).after(2)
        assert train(spec) == 143
    return spec.parent / "resumed" / "one"


@pytest.fixture
def stopped(stopped_run: Path, tmp_path: Path) -> Path:
    """A copy of a run that was stopped in its first epoch."""
    return Path(shutil.copytree(stopped_run, tmp_path / "stopped"))


def train(spec: Path, *arguments: object) -> int:
    return run_quietly("train", spec, "--runs-dir", spec.parent, "--run-name", "one", "-q", *arguments)


def resume(run: Path, *arguments: object) -> int:
    return run_quietly("train", "--resume", run, "-q", *arguments)


@pytest.mark.parametrize("case", RUN)
def test_a_stopped_run_comes_to_the_same_bits(case: str, tmp_path: Path, stops: Stops) -> None:
    whole, stopped = (write_spec(tmp_path / name, **CASES[case]) for name in ("whole", "stopped"))
    assert train(whole) == 0
    run = stopped.parent / "resumed" / "one"
    stops.after(6)  # in the second epoch
    assert train(stopped) == 143
    stops.after(None)
    assert resume(run) == 0
    assert not compare(outcome(whole.parent / "resumed" / "one"), outcome(run))
    choices = json.loads((run / "run.json").read_text())["engine"]["choices"]
    assert choices["compiled"] == (case == "compiled")
    for written in whole.parent.glob("*.csv"):
        assert (stopped.parent / written.name).read_text() == written.read_text()


def test_every_place_at_which_a_run_can_be_stopped(tmp_path: Path, stops: Stops) -> None:
    changes = STOPPED_EARLY | {"augment": "[RandomRotation: {factor: 0.1}]"}
    whole = write_spec(tmp_path / "whole", **changes)
    assert train(whole) == 0
    looks, expected = stops.looks, outcome(whole.parent / "resumed" / "one")
    assert looks > 10
    for place in sorted({*range(2, looks, PLACES), looks - 1}):
        spec = write_spec(tmp_path / f"stopped{place}", **changes)
        run = spec.parent / "resumed" / "one"
        stops.after(place)
        assert train(spec) == 143
        assert json.loads((run / "run.json").read_text())["state"] == "interrupted"
        stops.after(None)
        assert resume(run) == 0
        assert not compare(expected, outcome(run)), place
        assert json.loads((run / "run.json").read_text())["state"] == "done"


def test_an_extended_run_is_one_that_was_longer(tmp_path: Path, dlcli: Command) -> None:
    callbacks = "[ReduceLROnPlateau: {monitor: val_loss, patience: 1, min_delta: 1.0}]"
    long, short = (write_spec(tmp_path / name, callbacks=callbacks) for name in ("long", "short"))
    assert train(long, "--epochs", 5) == 0
    assert train(short, "--epochs", 2) == 0
    run = short.parent / "resumed" / "one"
    assert dlcli("train", "--resume", run).err.strip().endswith(f"--resume {run} --epochs +5")
    assert resume(run, "--epochs", "+3") == 0
    assert not compare(outcome(long.parent / "resumed" / "one"), outcome(run))
    record = json.loads((run / "run.json").read_text())
    assert [(entry["epoch"], entry["step"]) for entry in record["resumed"]] == [(2, 24)]
    assert dlcli("train", "--resume", run, "--epochs", 3).code == 2


@thorough
def test_early_stopping_waits_anew_in_an_extended_run(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "short", **STOPPED_EARLY)
    assert train(spec, "--epochs", 9) == 0
    run = spec.parent / "resumed" / "one"
    assert len(outcome(run)["history"]) == 2  # type: ignore[arg-type]
    assert resume(run, "--epochs", "+9") == 0
    assert len(outcome(run)["history"]) > 2  # type: ignore[arg-type]


def test_what_has_changed_is_named_and_refused(tmp_path: Path, dlcli: Command, stopped: Path) -> None:
    run = stopped
    before = (run / "checkpoints" / "last.h5").read_bytes()
    refused = dlcli("train", "--resume", run, "--seed", 4, "--set", "optimizer.learning_rate=0.5")
    assert refused.code == 4
    assert "seed: 3 → 4" in refused.err
    assert "optimizer.Adam.learning_rate: nothing → 0.5" in refused.err
    assert "--allow-change" in refused.err
    assert (run / "checkpoints" / "last.h5").read_bytes() == before
    other = write_spec(tmp_path / "a")
    other.write_text(other.read_text().replace("batch_size: 100", "batch_size: 50"))
    assert "dataset.batch_size: 100 → 50" in dlcli("train", other, "--resume", run).err
    allowed = dlcli("train", "--resume", run, "--set", "optimizer.learning_rate=0.5", "--allow-change")
    assert allowed.code == 0, allowed.err
    said = " ".join(allowed.err.replace("│", " ").split())
    assert "not what the run would have come to" in said
    assert "Epoch 1 begins anew." in said
    assert {row["learning_rate"] for row in outcome(run)["history"]} == {"0.5"}  # type: ignore[attr-defined]


def test_another_optimizer_and_callbacks_begin_anew_where_that_is_allowed(
    tmp_path: Path, dlcli: Command, stops: Stops
) -> None:
    spec = write_spec(tmp_path / "a", callbacks="[TerminateOnNaN]")
    stops.after(6)
    assert train(spec) == 143
    stops.after(None)
    other = write_spec(tmp_path / "b", optimizer="Nadam", callbacks="[EarlyStopping: {monitor: loss}, TerminateOnNaN]")
    done = dlcli("train", other, "--resume", spec.parent / "resumed" / "one", "--allow-change")
    said = " ".join(done.err.replace("│", " ").split())
    assert done.code == 0, done.err
    assert "What the optimizer remembers begins anew" in said
    assert "`EarlyStopping` begins anew." in said
    assert "`TerminateOnNaN` begins anew." not in said


def test_other_versions_and_data_are_refused(dlcli: Command, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped
    with monkeypatch.context() as patch:
        patch.setattr("keras.__version__", "99.0")
        assert "keras" in (refused := dlcli("train", "--resume", run)).err
        assert refused.code == 4
    monkeypatch.setattr("dlcli.data.embedded.fingerprint_of", lambda *arrays: "others")
    refused = dlcli("train", "--resume", run)
    assert (refused.code, "the data: its fingerprint was" in refused.err) == (4, True)
    allowed = dlcli("train", "--resume", run, "--allow-change")
    assert (allowed.code, "prepared as before" in allowed.err) == (0, True)


def test_auto_begins_goes_on_and_begins_again(tmp_path: Path, dlcli: Command, stops: Stops) -> None:
    spec = write_spec(tmp_path / "a")
    auto = ("train", spec, "--runs-dir", tmp_path / "runs", "--resume", "auto")
    stops.after(2)
    first = dlcli(*auto)
    assert (first.code, "begins a new run" in first.err) == (143, True)
    stops.after(None)
    [run] = (tmp_path / "runs" / "resumed").glob("2*")
    other = dlcli("train", spec, "--runs-dir", tmp_path / "runs", "--resume", "auto", "--seed", 4, "--epochs", 1)
    assert "begins a new run" in other.err
    assert f"goes on in {run}" in (second := dlcli(*auto)).err
    assert second.code == 0
    assert json.loads((run / "run.json").read_text())["state"] == "done"
    assert "begins a new run" in dlcli(*auto, "--epochs", 1).err


def test_usage(tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(tmp_path / "a")
    wrong: list[tuple[Any, ...]] = [
        (), ("--resume", "auto"), (spec, "--allow-change"), (spec, "--resume", "x", "--smoke"),
        (spec, "--resume", "x", "--init-from", "y"), ("--resume", "x", "--run-name", "z"), (spec, "--epochs", "+2"),
        (spec, "--epochs", "0"), (spec, "--max-time", "soon"),
    ]  # fmt: skip
    for arguments in wrong:
        assert dlcli("train", *arguments).code == 2, arguments
    missing = dlcli("train", "--resume", tmp_path / "nowhere")
    assert (missing.code, "There is no run" in missing.err) == (4, True)


def test_an_index_that_is_too_large_is_told_with_its_layer(tmp_path: Path, dlcli: Command) -> None:
    layers = "[Embedding: {input_dim: 17, output_dim: 3}, Flatten, " + OUTPUT + "]"
    spec = write_spec(tmp_path / "a", preparation="[Flatten]", layers=layers)
    done = dlcli("train", spec, "--runs-dir", tmp_path)
    assert done.code == 4
    assert "in `embedding" in done.err
    assert "is not in [0, 17)" in done.err
