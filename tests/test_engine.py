"""The engine does what Keras does: the same weights, the same figures, on the same batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.cli.options import catalogue
from dlcli.data.encoding import Encoding
from dlcli.data.loading import load_data
from dlcli.data.shuffling import epoch_order
from dlcli.data.where import Where
from dlcli.spec.loading import load_spec
from dlcli.training.choices import Choices
from dlcli.training.engine import Engine, steps_of
from dlcli.training.feeding import Pace, Resident, Rows, Streamed
from dlcli.training.job import Job, assemble
from dlcli.training.loops import GraphLoops, NotTraceableError
from tests.conftest import IS_THOROUGH, some_of, thorough

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
CHOSEN = CASES if IS_THOROUGH else CASES[1::2]


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


@pytest.mark.parametrize("case", CHOSEN)
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


@pytest.mark.parametrize("case", CHOSEN)
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


class PlainFeed:
    """Hands on what it gets: for models whose examples need no preparation."""

    encoding = Encoding("number", None)

    def for_training(self, raw: Any) -> Any:
        return raw

    def for_testing(self, raw: Any) -> Any:
        return raw

    def augmenting_layers(self) -> list[Any]:
        return []


def made(optimizer: Any, **compiled: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((5,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer, loss="mean_squared_error", metrics=["mean_absolute_error"], **compiled)
    model.optimizer.build(model.trainable_variables)
    return model


def points(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(count, 5)).astype("float32")
    return inputs, (inputs.sum(axis=1, keepdims=True) + rng.normal(size=(count, 1))).astype("float32")


def assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


OPTIMIZERS = sorted(
    name
    for name, made_of in vars(keras.optimizers).items()
    if isinstance(made_of, type)
    and issubclass(made_of, keras.optimizers.Optimizer)
    and name not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")  # these wrap others
)


@pytest.mark.parametrize("name", some_of(OPTIMIZERS, "Adam", "ScheduleFreeAdamW"))
def test_every_optimizer_takes_the_steps_of_train_on_batch(name: str) -> None:
    ours, theirs = made(getattr(keras.optimizers, name)()), made(getattr(keras.optimizers, name)())
    inputs, targets = points(100)
    rows = Rows(Resident(tf.constant(inputs), tf.constant(targets)), np.arange(100))
    engine = Engine(ours, PlainFeed())
    for _ in range(10):
        list(engine.train(rows, 10))
        for start in range(0, 100, 10):
            theirs.train_on_batch(inputs[start : start + 10], targets[start : start + 10])
    assert engine.fallback is None
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("kind", [Streamed, pytest.param(Resident, marks=thorough)])
def test_examples_with_weights_resident_or_streamed(kind: type) -> None:
    ours, theirs = made("adam"), made("adam")
    inputs, targets = points(103)
    weights = np.linspace(0.0, 2.0, 103, dtype="float32")
    order = np.random.default_rng(1).permutation(103)
    data = kind(*((inputs, targets, weights) if kind is Streamed else map(tf.constant, (inputs, targets, weights))))
    engine = Engine(ours, PlainFeed())
    for _ in range(3):
        progress = list(engine.train(Rows(data, order), 16))[-1]
    for _ in range(3):
        for start in range(0, 103, 16):
            chosen = order[start : start + 16]
            theirs.train_on_batch(inputs[chosen], targets[chosen], sample_weight=weights[chosen])
    assert (progress.steps, progress.examples, engine.fallback) == (7, 103, None)
    assert_same_weights(ours, theirs)


def test_keras_s_own_steps_give_the_same() -> None:
    graph, plain = made("adam"), made("adam")
    inputs, targets = points(70)
    rows = Rows(Resident(tf.constant(inputs), tf.constant(targets)), np.arange(70))
    engines = Engine(graph, PlainFeed()), Engine(plain, PlainFeed(), plain=True)
    assert [engine.path for engine in engines] == ["graph", "keras"]
    logs = [[list(engine.train(rows, 16))[-1].logs for _ in range(2)] for engine in engines]
    assert logs[0] == [pytest.approx(each, rel=1e-5) for each in logs[1]]
    assert_same_weights(graph, plain)
    outputs: list[list[np.ndarray]] = [[], []]
    tested = [
        list(engine.evaluate(rows, collected.append, 16))[-1].logs
        for engine, collected in zip(engines, outputs, strict=True)
    ]
    assert tested[0] == pytest.approx(tested[1], rel=1e-5)
    np.testing.assert_allclose(*(np.concatenate(collected) for collected in outputs), rtol=1e-5, atol=1e-6)


def test_several_inputs_and_outputs() -> None:
    def several() -> keras.Model:
        keras.utils.set_random_seed(2)
        left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
        joined = keras.layers.Concatenate()([left, right])
        outputs = {"sum": keras.layers.Dense(1, name="sum")(joined), "sign": keras.layers.Dense(2, name="sign")(joined)}
        model = keras.Model({"left": left, "right": right}, outputs)
        model.compile("adam", loss={"sum": "mean_squared_error", "sign": "mean_absolute_error"})
        return model

    ours, theirs = several(), several()
    inputs, targets = points(50)
    x = {"left": inputs[:, :3], "right": inputs[:, 3:]}
    y = {"sum": targets, "sign": np.sign(inputs[:, :2])}
    for model in (ours, theirs):
        model.optimizer.build(model.trainable_variables)
    rows = Rows(Resident(*tf.nest.map_structure(tf.constant, (x, y))), np.arange(50))
    engine = Engine(ours, PlainFeed())
    list(engine.train(rows, 20))
    for start in range(0, 50, 20):
        part = slice(start, start + 20)
        theirs.train_on_batch({k: v[part] for k, v in x.items()}, {k: v[part] for k, v in y.items()})
    assert engine.fallback is None
    assert_same_weights(ours, theirs)
    parts: list[list[np.ndarray]] = []
    list(engine.predict(rows, parts.append, 20))
    predicted = keras.tree.flatten(theirs.predict(x, verbose=0))
    for mine, their in zip(map(np.concatenate, zip(*parts, strict=True)), predicted, strict=True):
        np.testing.assert_allclose(mine, their, rtol=1e-5, atol=1e-6)


def test_accumulated_gradients_are_those_of_the_large_batch() -> None:
    small = made(keras.optimizers.SGD(0.05, gradient_accumulation_steps=4))
    large = made(keras.optimizers.SGD(0.05))
    inputs, targets = points(80)
    rows = Rows(Resident(tf.constant(inputs), tf.constant(targets)), np.arange(80))
    list(Engine(small, PlainFeed()).train(rows, 5))
    list(Engine(large, PlainFeed()).train(rows, 20))
    assert_same_weights(small, large)


def test_steps_that_are_no_graph_run_one_by_one_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotTraceableError("this layer asks for numbers")

    monkeypatch.setattr(GraphLoops, "__call__", refuse)
    ours, theirs = made("sgd"), made("sgd")
    inputs, targets = points(40)
    engine = Engine(ours, PlainFeed(), choices=Choices("so", towers=2, test_towers=2))
    list(engine.train(Rows(Resident(tf.constant(inputs), tf.constant(targets)), np.arange(40)), 20))
    assert (engine.record()["towers"], engine.record()["test_towers"]) == (1, 1)
    for start in (0, 20):
        theirs.train_on_batch(inputs[start : start + 20], targets[start : start + 20])
    assert (engine.path, engine.fallback) == ("keras", "this layer asks for numbers")
    assert_same_weights(ours, theirs)


def test_a_call_takes_about_a_tenth_of_a_second() -> None:
    pace = Pace()
    for _ in range(5):
        pace.ran(pace.steps, 0.001 * pace.steps)
    assert pace.steps == 100
    pace.ran(100, 1.0)
    assert pace.steps == 10
    alone = Pace(1)
    alone.ran(1, 0.0001)
    assert alone.steps == 1
