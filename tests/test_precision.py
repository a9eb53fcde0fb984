"""Layers that compute in 16 bits: trained, resumed, evaluated, exported and written as a script like any others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.errors import DivergedError, SpecError
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.choices import choose
from dlcli.training.resuming import differences, spec_then
from tests.conftest import Command, known_spec, run_quietly, thorough
from tests.killing import compare, outcome
from tests.test_code import new_weights, run_script, script_of, weights_of
from tests.test_resume import Stops

# The loss is scaled until the gradients of these large inputs are numbers: the first steps are left out.
SPEC = """name: mixed
seed: 3
precision: mixed_float16
dataset:
  source: digits
  validation: 0.2
  preparation: [Rescaling: {scale: 0.1}, Reshape: {target_shape: [8, 8, 1]}]
  augment: [RandomTranslation: {height_factor: 0.1, width_factor: 0.1}]
  batch_size: 100
model:
  layers:
    - Flatten
    - Dense: {units: 8, activation: relu}
    - Dropout: {rate: 0.1}
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer:
  SGD:
    learning_rate: {CosineDecay: {initial_learning_rate: 0.01, decay_steps: 30}}
    momentum: 0.9
    clipnorm: 1.0
    use_ema: true
    gradient_accumulation_steps: 2
metrics: [accuracy]
train: {epochs: 3}
"""
HEADS = {
    "a stack's": ["Flatten", "Dense: {units: 8}", "Dense: {units: 10, activation: softmax}"],
    "an activation": ["Flatten", "Dense: {units: 10}", "Softmax"],
    "a nested model's": ["Flatten", "Sequential: {layers: [Dense: {units: 4}, Dense: {units: 10}]}"],
    "a nested graph's": ["Flatten", "Model: {layers: [Dense: {units: 4}, Dense: {units: 10}]}"],
    "within a wrapper": ["Reshape: {target_shape: [1, 64]}", "TimeDistributed: {layer: {Dense: {units: 10}}}"],
    "both ways": ["Reshape: {target_shape: [8, 8]}", "Bidirectional: {layer: {LSTM: {units: 5}}}"],
    "called again": [
        "Flatten", "{Dense: {units: 64}, name: a}", "{Dense: {units: 64}, name: b}", "{reuse: a, name: c}",
    ],
    "repeated": ["Flatten", "{Dense: {units: 10}, repeat: 2}"],
}  # fmt: skip


def write_spec(path: Path, text: str = SPEC) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def train(spec: Path, *arguments: object) -> int:
    return run_quietly("train", spec, "--runs-dir", spec.parent, "--run-name", "one", "-q", *arguments)


def record_of(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "run.json").read_text()))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in mixed_float16; it is only looked at."""
    spec = write_spec(tmp_path_factory.mktemp("mixed") / "mixed.yaml")
    assert train(spec) == 0
    return spec.parent / "mixed" / "one"


@pytest.fixture
def policy_as_before() -> Iterator[None]:
    import keras

    yield
    assert keras.config.dtype_policy().name == "float32"


def test_steps_that_overflow_are_left_out(run: Path, dlcli: Command) -> None:
    record = record_of(run)
    assert (record["state"], record["precision"]) == ("done", "mixed_float16")
    scaling = record["loss_scaling"]
    assert scaling["skipped_steps"] > 0
    assert scaling["scale"] == 2.0 ** (15 - scaling["skipped_steps"])
    assert record["engine"]["choices"]["because"].startswith("for layers that compute in 16 bits")
    assert all(np.isfinite(row["loss"]) for row in open_checkpoint(run / "checkpoints" / "last.h5").contents.history)  # type: ignore[union-attr]
    shown = dlcli("runs", "show", run).out
    assert f"mixed_float16; the loss times {scaling['scale']:g} in the end" in shown


def test_a_stopped_run_comes_to_the_same_bits(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_spec(tmp_path / "mixed.yaml")
    stopped = tmp_path / "mixed" / "one"
    stops = Stops(monkeypatch)
    stops.after(3)  # in the first epoch, before the scale has settled
    assert train(spec) == 143
    stops.after(None)
    assert run_quietly("train", "--resume", stopped, "-q") == 0
    assert not compare(outcome(run), outcome(stopped))
    assert record_of(stopped)["loss_scaling"] == record_of(run)["loss_scaling"]


def test_another_precision_is_refused_or_begins_anew(run: Path, tmp_path: Path, dlcli: Command) -> None:
    again = shutil.copytree(run, tmp_path / "again")
    refused = dlcli("train", "--resume", again, "--epochs", "+1", "--precision", "mixed_bfloat16")
    assert refused.code == 4
    assert "precision: mixed_float16 → mixed_bfloat16" in refused.err
    assert "--precision half: it must be one of float32" in dlcli("train", again, "--precision", "half").err
    done = dlcli("train", "--resume", again, "--epochs", "+1", "--precision", "mixed_bfloat16", "--allow-change")
    assert done.code == 0, done.err
    assert "What the optimizer remembers begins anew" in done.err
    assert "loss_scaling" not in record_of(again)


def test_a_checkpoint_of_before_goes_on(run: Path) -> None:
    contents = open_checkpoint(run / "checkpoints" / "last.h5").contents
    assert contents is not None
    now = {**contents.spec, "precision": "float32"}
    of_before = replace(contents, spec={key: value for key, value in now.items() if key != "precision"})
    assert differences(spec_then(of_before), now) == []


def test_a_checkpoint_is_used_as_it_was_trained(
    run: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch, policy_as_before: None
) -> None:
    import keras

    found = dlcli("evaluate", run, "--json").json["metrics"]
    assert found == json.loads((run / "metrics.json").read_text())["test"]
    assert dlcli("summary", run).code == 0
    best = run / "checkpoints" / "best.h5"
    plain = keras.models.load_model(best)
    assert type(plain.optimizer).__name__ == "LossScaleOptimizer"
    checkpoint = open_checkpoint(best)
    kinds = {layer.compute_dtype for layer in checkpoint.model().layers}
    assert kinds == {"float16", "float32"}
    # A GPU's model on a CPU, which has no fast ways for float16.
    assert checkpoint.contents is not None
    monkeypatch.setitem(checkpoint.contents.going_on["engine"], "device", "gpu")
    model = checkpoint.model()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    inputs = np.ones((2, *model.input_shape[1:]), "float32")
    np.testing.assert_allclose(plain(inputs), model(inputs), atol=2e-3)


def test_weights_of_another_precision_begin_a_run(run: Path, tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(tmp_path / "mixed.yaml")
    checkpoint = run / "checkpoints" / "best.h5"
    begun = dlcli("train", spec, "--init-from", checkpoint, "--precision", "float32", "--smoke")
    assert begun.code == 0, begun.err
    assert "2 of 2 layers with weights begin with those of the checkpoint" in begun.err


def test_an_exported_model_computes_in_float32(run: Path, tmp_path: Path, dlcli: Command) -> None:
    import keras

    done = dlcli("export", run, "--format", "keras", "--output", tmp_path / "exported")
    assert done.code == 0, done.err
    model = keras.models.load_model(next((tmp_path / "exported").glob("*.keras")))
    kinds = {layer.compute_dtype for layer in model._flatten_layers(include_self=True, recursive=True)}
    assert "float16" not in kinds


def test_an_imported_model_says_it_once(run: Path, tmp_path: Path, dlcli: Command) -> None:
    text = dlcli("import", run / "checkpoints" / "best.h5").out
    assert "precision: mixed_float16\n" in text
    assert "dtype" not in text
    assert "LossScaleOptimizer" not in text


@thorough
@pytest.mark.parametrize("form", ["savedmodel", "onnx", "tflite"])
def test_other_formats_hold_it(run: Path, form: str, tmp_path: Path, dlcli: Command) -> None:
    done = dlcli("export", run, "--format", form, "--output", tmp_path / "exported")
    assert done.code == 0, done.err


def test_the_script_makes_the_same_layers(tmp_path: Path, dlcli: Command, policy_as_before: None) -> None:
    text = SPEC.replace("    - Flatten\n", "    - Reshape: {target_shape: [8, 8]}\n    - LSTM: {units: 4}\n")
    text = text.replace("Dense: {units: 10, activation: softmax}", "{Sequential: {layers: [Dense: {units: 10}]}}")
    spec = write_spec(tmp_path / "mixed.yaml", text)
    script = script_of(dlcli, spec, "--model-only")
    assert 'keras.config.set_dtype_policy("mixed_float16")' in script
    made = run_script(script, tmp_path)["model"]
    for ours, theirs in zip(new_weights(spec), weights_of(made), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [layer.compute_dtype for layer in made.layers] == ["float16"] * 5
    assert made(np.ones((1, 8, 8, 1), "float32")).dtype == "float32"


def test_a_script_of_a_whole_application_is_refused(tmp_path: Path, dlcli: Command) -> None:
    text = SPEC.split("dataset:")[0] + (
        "dataset: {source: cifar10}\nmodel:\n  layers:\n    - MobileNetV2: {weights: , classes: 10, alpha: 0.35}\n"
        "loss: sparse_categorical_crossentropy\n"
    )
    done = dlcli("code", write_spec(tmp_path / "mixed.yaml", text))
    assert done.code == 2
    assert "That `MobileNetV2` puts out float32 cannot be written" in done.err


@pytest.mark.parametrize("case", HEADS)
def test_what_a_model_puts_out_is_float32(case: str, tmp_path: Path, policy_as_before: None) -> None:
    from dlcli.model.precision import in_float32
    from dlcli.training.job import model_without_data

    layers = "".join(f"    - {layer}\n" for layer in HEADS[case])
    before, rest = SPEC.replace("mixed_float16", "mixed_bfloat16").split("    - Flatten\n")
    spec = write_spec(tmp_path / "mixed.yaml", f"{before}{layers}loss:{rest.partition('loss:')[2]}")
    model = model_without_data(known_spec(spec))
    inputs = np.ones((2, *model.input_shape[1:]), "float32")
    outputs = model(inputs)
    assert outputs.dtype == "float32"
    assert model.dtype_policy.name == "mixed_bfloat16"
    leaves = [layer for layer in model._flatten_layers(include_self=False) if layer.weights]
    assert case in ("within a wrapper", "both ways", "repeated", "called again") or any(
        layer.compute_dtype == "bfloat16" for layer in leaves
    ) or len(leaves) == 1  # fmt: skip
    np.testing.assert_allclose(in_float32(model)(inputs), outputs, atol=0.3)


def test_the_policy_is_as_before_after_a_mistake(tmp_path: Path, policy_as_before: None) -> None:
    from dlcli.training.job import model_without_data

    text = SPEC.replace("Dense: {units: 8", "Conv2D: {filters: 2, kernel_size: 3")
    spec = known_spec(write_spec(tmp_path / "mixed.yaml", text))
    with pytest.raises(SpecError):
        model_without_data(spec)


def test_a_scale_that_cannot_help_ends_the_run(tmp_path: Path) -> None:
    import keras

    from dlcli.training.loss_scaling import check_scale, loss_scaling

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse")
    model.optimizer.build(model.trainable_variables)
    check_scale(model, 0, "steps of epoch 1")  # it may still be halved
    model.optimizer.dynamic_scale.assign(0.5)
    assert loss_scaling(model, 3) == {"scale": 0.5, "skipped_steps": 3}
    with pytest.raises(DivergedError, match=r"All steps of epoch 1 were left out: .* the loss times 0\.5\.") as caught:
        check_scale(model, 0, "steps of epoch 1")
    assert "mixed_bfloat16" in str(caught.value.hint)
    check_scale(model, -1, "steps of epoch 1")
    model.compile("sgd", "mse")
    assert loss_scaling(model, 3) is None


def test_a_number_that_is_too_large_for_float16_is_a_divergence(tmp_path: Path, dlcli: Command) -> None:
    text = SPEC.replace("{scale: 0.1}", "{scale: 1000}").replace("{epochs: 3}", "{epochs: 1}")
    done = dlcli("train", write_spec(tmp_path / "mixed.yaml", text), "--runs-dir", tmp_path, "-q")
    assert done.code == 4
    assert "`precision: mixed_bfloat16`, since float16 has no number beyond 65,504" in " ".join(done.err.split())


def test_nothing_is_chosen_that_was_not_measured(run: Path) -> None:
    from dlcli.model.summary import ModelSummary

    contents = open_checkpoint(run / "checkpoints" / "last.h5").contents
    assert contents is not None
    summary = ModelSummary.from_json(contents.summary)
    assert choose(summary, 32, "cpu", besides=(), processors=2).compiled_from is not None
    assert choose(summary, 32, "cpu", besides=(), processors=2, precision="mixed_float16").intra_op_threads is None
