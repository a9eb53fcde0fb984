"""The engine does what Keras does: the same weights, the same figures, on the same batches."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from dlcli.cli.options import catalogue
from dlcli.data.loading import load_data
from dlcli.data.shuffling import epoch_order
from dlcli.data.where import Where
from dlcli.spec.loading import load_spec
from dlcli.training.engine import steps_of
from dlcli.training.feeding import Rows
from dlcli.training.job import Job, assemble

SPEC = """dataset: {{source: {source}, validation: 0.2, batch_size: 32}}
model:
  layers:
    - Flatten
    - Dense: {{units: 16, activation: tanh}}
    - Dense: {{units: {units}, activation: {activation}}}
loss: {loss}
optimizer: {{Adam: {{learning_rate: 0.01}}}}
metrics: [{metric}]
"""
CASES = [
    ("digits", 10, "softmax", "categorical_crossentropy", "accuracy"),
    ("digits", 10, "softmax", "sparse_categorical_crossentropy", "accuracy"),
    ("digits", 10, "softmax", "mean_squared_error", "accuracy"),
    ("moons", 1, "sigmoid", "binary_crossentropy", "accuracy"),
    ("diabetes", 1, "linear", "mean_squared_error", "mean_absolute_error"),
]


def job_at(path: Path) -> Job:
    loaded = load_spec(path, catalogue())
    return assemble(loaded, load_data(loaded, Where(None, True, print)))


def job_of(tmp_path: Path, source: str, units: int, activation: str, loss: str, metric: str) -> Job:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.format(source=source, units=units, activation=activation, loss=loss, metric=metric))
    return job_at(path)


def batch(job: Job, rows: np.ndarray, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    data = job.rows[split].data
    inputs, targets = np.asarray(data.inputs)[rows], np.asarray(data.targets)[rows]
    return np.asarray(job.preparation.apply(inputs)), np.asarray(job.encoding.apply(targets))


@pytest.mark.parametrize("case", CASES)
def test_training_gives_the_weights_of_train_on_batch(tmp_path: Path, case: tuple) -> None:
    ours, theirs = job_of(tmp_path, *case), job_of(tmp_path, *case)
    assert all(np.array_equal(a, b) for a, b in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True))
    for epoch in range(2):
        order = epoch_order(ours.rows["train"].order, seed=0, epoch=epoch)
        progress = list(ours.engine.train(Rows(ours.rows["train"].data, order), 32))
        assert progress[-1].steps == steps_of(len(order), 32)
        assert progress[-1].examples == len(order)
        for start in range(0, len(order), 32):
            theirs.model.train_on_batch(*batch(theirs, order[start : start + 32]))
    for a, b in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_testing_gives_the_figures_of_evaluate(tmp_path: Path, case: tuple) -> None:
    job = job_of(tmp_path, *case)
    rows = job.rows["validation"]
    inputs, targets = batch(job, rows.order, "validation")
    theirs = job.model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert list(job.engine.test(rows, 32))[-1].logs == pytest.approx(theirs, rel=1e-5)
    parts: list[np.ndarray] = []
    evaluated = list(job.engine.evaluate(rows, parts.append))[-1]
    assert evaluated.logs == pytest.approx(theirs, rel=1e-5)
    np.testing.assert_allclose(np.concatenate(parts), job.model.predict(inputs, verbose=0), rtol=1e-4, atol=1e-6)
    parts.clear()
    list(job.engine.predict(rows, parts.append, 32))
    np.testing.assert_allclose(np.concatenate(parts), job.model.predict(inputs, verbose=0), rtol=1e-4, atol=1e-6)


def test_steps_one_by_one_are_the_same_steps(tmp_path: Path) -> None:
    many, one = job_of(tmp_path, *CASES[0]), job_of(tmp_path, *CASES[0])
    list(many.engine.train(many.rows["train"], 32))
    progress = list(one.engine.train(one.rows["train"], 32, one_by_one=True))
    assert len(progress) == steps_of(len(one.rows["train"]), 32)
    assert all(np.array_equal(a, b) for a, b in zip(many.model.get_weights(), one.model.get_weights(), strict=True))


def test_a_table_is_standardized_by_its_training_rows_only(tmp_path: Path) -> None:
    job = job_of(tmp_path, *CASES[4])
    rows = job.rows["train"].order
    raw = np.asarray(job.rows["train"].data.inputs)[rows].astype("float64")
    prepared = np.asarray(job.preparation.apply(raw.astype("float32")))
    np.testing.assert_allclose(prepared, (raw - raw.mean(axis=0)) / raw.std(axis=0), rtol=1e-3, atol=1e-4)
    everything = np.asarray(job.rows["train"].data.inputs)
    assert len(everything) > len(rows)
    assert not np.allclose(np.asarray(job.preparation.apply(everything)).mean(axis=0), 0.0, atol=1e-6)


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    indices = np.arange(100)
    assert np.array_equal(epoch_order(indices, seed=1, epoch=2), epoch_order(indices, seed=1, epoch=2))
    assert not np.array_equal(epoch_order(indices, seed=1, epoch=2), epoch_order(indices, seed=1, epoch=3))
    assert not np.array_equal(epoch_order(indices, seed=1, epoch=2), epoch_order(indices, seed=2, epoch=2))
    assert np.array_equal(np.sort(epoch_order(indices, seed=1, epoch=2)), indices)


def test_dropout_and_augmentation_are_only_for_training(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    text = SPEC.format(
        source="digits", units=10, activation="softmax", loss="categorical_crossentropy", metric="accuracy"
    )
    text = text.replace(
        "batch_size: 32", "batch_size: 32, augment: [RandomTranslation: {height_factor: 0.4, width_factor: 0.4}]"
    )
    path.write_text(text.replace("- Flatten", "- Dropout: {rate: 0.5}\n    - Flatten"))
    job = job_at(path)
    first = list(job.engine.test(job.rows["validation"], 32))[-1].logs
    again = list(job.engine.test(job.rows["validation"], 32))[-1].logs
    assert first == again
    states = [variable.numpy() for variable in job.model.variables if "seed" in variable.path]
    list(job.engine.train(Rows(job.rows["train"].data, job.rows["train"].order[:64]), 32))
    after = [variable.numpy() for variable in job.model.variables if "seed" in variable.path]
    assert not all(np.array_equal(a, b) for a, b in zip(states, after, strict=True))
    assert keras.backend.backend() == "tensorflow"
