"""Steps that XLA compiles: the figures of single operations, whatever the block, and what is done where it cannot."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.model.summary import summarize
from dlcli.training.choices import Choices, choose
from dlcli.training.engine import Engine
from dlcli.training.feeding import Resident, Rows
from dlcli.training.loops import CompiledLoops, GraphLoops
from tests.conftest import some_of, thorough
from tests.test_engine import PlainFeed, made, points

layers = keras.layers
COMPILED = Choices(compiled=True)


def rows_of(count: int, *, order: Any = None, weighted: bool = False) -> Rows:
    parts = [*points(count), *([np.linspace(0.0, 2.0, count, dtype="float32")] if weighted else [])]
    return Rows(Resident(*map(tf.constant, parts)), np.arange(count) if order is None else order)


def assert_close(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("optimizer", some_of(["sgd", "adam", "rmsprop", "lion"], "adam"))
def test_compiled_steps_are_those_of_single_operations(optimizer: str) -> None:
    order = np.random.default_rng(1).permutation(103)
    results = []
    for choices in (Choices(), COMPILED):
        model = made(optimizer)
        engine = Engine(model, PlainFeed(), choices=choices)
        logs = [list(engine.train(rows_of(103, order=order, weighted=True), 16))[-1] for _ in range(3)]
        assert [(each.steps, each.examples) for each in logs] == 3 * [(7, 103)]
        assert engine.fallback is None
        assert engine.choices.compiled == choices.compiled
        results.append((model, [each.logs for each in logs]))
    assert_close(results[0][0], results[1][0])
    assert results[1][1] == [pytest.approx(each, rel=1e-4) for each in results[0][1]]


@thorough
def test_a_block_may_end_anywhere() -> None:
    weights = []
    for one_by_one in (False, True):
        keras.utils.set_random_seed(4)
        stack = [layers.Input((5,)), layers.Dense(64, "relu"), layers.Dropout(0.3), layers.BatchNormalization()]
        model = keras.Sequential([*stack, layers.Dense(1)])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        engine = Engine(model, PlainFeed(), choices=COMPILED)
        for _ in range(2):
            progress = list(engine.train(rows_of(70), 16, one_by_one=one_by_one))
        assert progress[-1].examples == 70
        assert list(engine.test(rows_of(70), 16))[-1].logs["loss"] > 0
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


@thorough
def test_a_pass_can_go_on_in_the_middle() -> None:
    whole, parted = made("adam"), made("adam")
    list(Engine(whole, PlainFeed(), choices=COMPILED).train(rows_of(70), 16))
    engine = Engine(parted, PlainFeed(), choices=COMPILED)
    list(engine.train(Rows(rows_of(70).data, np.arange(48)), 16))
    logs = list(engine.train(rows_of(70), 16, first=48))[-1].logs
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), parted.get_weights(), strict=True))
    assert logs["loss"] > 0


def test_each_block_is_not_compiled_anew() -> None:
    engine = Engine(made("adam"), PlainFeed(), choices=COMPILED)
    passes = engine.train(rows_of(640), 16, one_by_one=True)
    began = time.perf_counter()
    next(passes)
    compiling = time.perf_counter() - began
    began = time.perf_counter()
    assert len(list(passes)) == 39
    assert time.perf_counter() - began < compiling  # each of them would take as long


def test_it_stops_at_a_loss_that_is_no_number() -> None:
    inputs, targets = points(64)
    targets[37] = np.nan
    for choices in (COMPILED, Choices()):
        engine = Engine(made("sgd"), PlainFeed(), choices=choices)
        progress = list(engine.train(Rows(Resident(tf.constant(inputs), tf.constant(targets)), np.arange(64)), 8))
        assert (progress[-1].steps, np.isnan(progress[-1].logs["loss"])) == (5, True)


class Outside(layers.Layer):
    """Computes in Python, where XLA cannot go."""

    def call(self, inputs: Any) -> Any:
        ones = tf.stop_gradient(tf.numpy_function(np.ones_like, [inputs], tf.float32))
        return inputs * tf.ensure_shape(ones, inputs.shape)


def test_what_xla_cannot_compile_runs_without_it() -> None:
    results = []
    for choices in (Choices(), Choices("so", compiled=True)):
        keras.utils.set_random_seed(4)
        model = keras.Sequential([layers.Input((5,)), layers.Dense(3), Outside(), layers.Dense(1)])
        model.compile("sgd", "mse")
        engine = Engine(model, PlainFeed(), choices=choices)
        results.append((list(engine.train(rows_of(40), 16))[-1].logs, engine))
    assert results[0][0] == results[1][0]
    chosen = results[1][1].choices
    assert not chosen.compiled
    assert "so; but XLA cannot compile this model's steps:" in chosen.because
    assert results[1][1].path == "graph"
    assert isinstance(results[1][1]._run, GraphLoops)


def test_what_is_no_graph_is_not_said_to_be_compiled() -> None:
    class OutsideOfGraphs(PlainFeed):
        def for_training(self, raw: Any) -> Any:
            if not tf.executing_eagerly():
                raise TypeError("only outside of graphs")
            return raw

    engine = Engine(made("sgd"), OutsideOfGraphs(), choices=COMPILED)
    assert list(engine.train(rows_of(40), 16))[-1].steps == 3
    assert (engine.path, engine.choices.compiled) == ("keras", False)
    assert engine.fallback == "TypeError: only outside of graphs"


@pytest.mark.parametrize(
    ("stack", "besides", "steps"),
    [
        ([layers.Dense(100, "sigmoid"), layers.Dense(1)], (), 64),
        ([layers.Dense(1024), layers.Dropout(0.5), layers.Dense(1024)], {"Normalization"}, 64),
        ([layers.Dense(8)], {"RandomFlip"}, None),
        ([layers.Dense(8)], None, None),
        ([layers.Reshape((3, 1)), layers.Conv1D(4, 2)], (), None),
        ([layers.Reshape((3, 1)), layers.MaxPooling1D(2)], (), None),
        ([layers.Reshape((3, 1)), layers.LSTM(64)], (), 16),
        ([layers.Reshape((3, 1)), layers.LSTM(256)], (), None),
        ([layers.Embedding(4, 2), layers.Flatten(), layers.Dense(1)], (), None),
    ],
)
def test_what_is_compiled(stack: list[Any], besides: Any, steps: int | None) -> None:
    summary = summarize(keras.Sequential([layers.Input((3,)), *stack]))
    choices = choose(summary, 32, "cpu", besides=besides)
    assert (choices.compiled_from, choices.compiled) == (steps, False)
    assert choose(summary, 32, "gpu", besides=besides).compiled_from is None


def test_short_epochs_are_not_worth_it() -> None:
    choices = Choices("so", 1, 1, compiled_from=64)
    assert choices.for_epochs(63) == choices
    compiled = choices.for_epochs(64)
    assert (compiled.compiled, compiled.intra_op_threads) == (True, 1)
    assert compiled.because == "so; XLA makes one pass over memory of what would be many"
    assert isinstance(Engine(made("sgd"), PlainFeed(), choices=compiled)._run, CompiledLoops)


def test_dropout_is_as_often_as_it_should_be() -> None:
    keras.utils.set_random_seed(4)
    model = keras.Sequential([layers.Input((1000,)), layers.Dropout(0.25), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    rows = Rows(Resident(tf.ones((64, 1000)), tf.fill((64, 1), 1000.0)), np.arange(64))
    logs = list(Engine(model, PlainFeed(), choices=COMPILED).train(rows, 8))[-1].logs
    # The sum of 1000 numbers that are 4/3 with a chance of 3/4 has a variance of 1000/3.
    assert 150 < logs["loss"] < 700
    assert tf.nn.experimental.stateless_dropout.__name__ == "stateless_dropout"
