"""How the steps run on a machine: what is chosen for which model, and that a divided batch gives Keras's figures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.model.summary import summarize
from dlcli.training.backend import use_threads
from dlcli.training.choices import Choices, choose, for_copies
from dlcli.training.engine import Engine
from dlcli.training.feeding import Resident, Rows
from dlcli.training.towers import divisible
from tests.conftest import thorough
from tests.test_engine import PlainFeed

layers = keras.layers


def stack(*parts: Any, shape: tuple[int, ...] = (28, 28, 1)) -> keras.Model:
    return keras.Sequential([layers.Input(shape), *parts])


def convolutional(*more: Any) -> keras.Model:
    after = (layers.MaxPooling2D(), layers.Flatten(), layers.Dense(3))
    return stack(layers.Conv2D(4, 3, activation="relu"), *more, *after)


def attending(*more: Any) -> keras.Model:
    rows = layers.Input((28, 64))
    seen = layers.MultiHeadAttention(4, 64)(rows, rows)
    outputs = layers.Flatten()(layers.Add()([rows, seen]))
    for layer in (*more, layers.Dense(3)):
        outputs = layer(outputs)
    return keras.Model(rows, outputs)


def chosen(model: keras.Model, batch_size: int = 32, device: str = "cpu", processors: int = 2) -> tuple[Any, ...]:
    choices = choose(summarize(model), batch_size, device, processors=processors)
    return choices.intra_op_threads, choices.inter_op_threads, choices.towers, choices.test_towers


class Mine(layers.Dense):
    """A layer of one's own, of which nothing is known."""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (stack(layers.Dense(100), layers.Dense(1), shape=(2,)), (1, 1, 1, 1)),
        (stack(layers.Dense(8), layers.BatchNormalization(), shape=(2,)), (1, 1, 1, 1)),
        (stack(layers.Flatten(), layers.Dense(1024), layers.Dense(1024)), (1, 2, 1, 2)),
        (stack(layers.Flatten(), layers.Dense(1024), layers.BatchNormalization()), (1, 2, 1, 1)),
        (convolutional(), (1, 2, 2, 2)),
        (convolutional(layers.BatchNormalization()), (None, None, 1, 1)),
        (stack(layers.LSTM(64), layers.Dense(1), shape=(200, 1)), (1, 1, 1, 1)),
        (stack(layers.LSTM(512), layers.Dense(1), shape=(200, 1)), (1, 2, 1, 1)),
        (stack(Mine(3), shape=(2,)), (None, None, 1, 1)),
        (attending(), (1, 2, 2, 2)),
        (attending(layers.Dense(2048)), (1, 2, 1, 2)),
    ],
)
def test_what_is_chosen_for_two_processors(model: keras.Model, expected: tuple[Any, ...]) -> None:
    assert chosen(model) == expected


def test_what_was_not_measured_is_left_to_tensorflow() -> None:
    nothing = (None, None, 1, 1)
    assert chosen(convolutional(), processors=16) == nothing
    assert chosen(convolutional(), batch_size=4) == nothing
    assert chosen(convolutional(), batch_size=1_000_000) == nothing
    assert chosen(stack(layers.Dense(3), shape=(2,)), device="gpu") == nothing


@pytest.mark.parametrize(
    ("here", "asked", "threads"), [(1, "", 8), (3, "", 2), (16, "", 1), (3, "4", 4), (3, "0", 2), (3, "all", 2)]
)
def test_copies_have_their_part_of_the_processors(
    monkeypatch: pytest.MonkeyPatch, here: int, asked: str, threads: int
) -> None:
    monkeypatch.setattr("dlcli.training.choices.cores", lambda: 8)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", asked)
    chosen = for_copies(3, here)
    assert (chosen.intra_op_threads, chosen.inter_op_threads) == (threads, max(here, 8))
    assert chosen.because == "3 copies of the model work side by side"


def test_threads_are_not_said_to_be_what_they_are_not() -> None:
    tf.zeros(1)  # TensorFlow has its threads now
    used = use_threads(Choices("so", 7, 7, towers=2))
    assert (used.intra_op_threads, used.inter_op_threads, used.towers) == (None, None, 2)
    assert "begun" in used.because


@pytest.mark.parametrize("count", [pytest.param(65, marks=thorough), 33])
def test_a_divided_batch_trains_and_tests_as_a_whole_one(count: int) -> None:
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(count, 28, 28, 1)).astype("float32"), rng.integers(0, 3, count)
    weights = rng.uniform(0.5, 1.5, count).astype("float32")
    rows = Rows(Resident(*(tf.constant(part) for part in (inputs, targets, weights))), np.arange(count))
    results = []
    for choices in (Choices(), Choices(towers=2, test_towers=2), Choices(towers=3, test_towers=3)):
        keras.utils.set_random_seed(3)  # before the layers are made, which draw their seeds
        model = convolutional()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
        engine = Engine(model, PlainFeed(), choices=choices)
        trained = [list(engine.train(rows, 32))[-1].logs for _ in range(3)][-1]
        outputs: list[Any] = []
        tested = list(engine.evaluate(rows, outputs.append, 32))[-1].logs
        predicted: list[Any] = []
        list(engine.predict(rows, predicted.append, 32))
        assert engine.fallback is None
        np.testing.assert_allclose(np.concatenate(outputs), np.concatenate(predicted), rtol=1e-5, atol=1e-6)
        results.append((model.get_weights(), trained, tested, np.concatenate(outputs)))
    for other in results[1:]:
        for whole, divided in zip(results[0][0], other[0], strict=True):
            np.testing.assert_allclose(whole, divided, rtol=1e-4, atol=1e-6)
        assert other[1] == pytest.approx(results[0][1], rel=1e-5)
        assert other[2] == pytest.approx(results[0][2], rel=1e-5)
        np.testing.assert_allclose(results[0][3], other[3], rtol=1e-4, atol=1e-5)


def test_a_divided_batch_of_several_inputs_and_outputs() -> None:
    first, second = layers.Input((3,)), layers.Input((5,))
    joined = layers.Concatenate()([layers.Dense(4)(first), layers.Dense(4)(second)])
    model = keras.Model([first, second], [layers.Dense(1, name="a")(joined), layers.Dense(2, name="b")(joined)])
    model.compile("adam", loss=["mse", "mae"])
    data = [np.ones((9, size), "float32") for size in (3, 5, 1, 2)]
    rows = Rows(Resident(tuple(map(tf.constant, data[:2])), tuple(map(tf.constant, data[2:]))), np.arange(9))
    engine = Engine(model, PlainFeed(), choices=Choices(towers=2, test_towers=2))
    outputs: list[Any] = []
    before = model.predict(data[:2], verbose=0)
    list(engine.predict(rows, outputs.append, 4))
    for ours, theirs in zip(outputs[-1], before, strict=True):
        np.testing.assert_allclose(ours, theirs[-len(ours) :], rtol=1e-5)
    assert [*list(engine.train(rows, 4))[-1].logs] == ["loss", "a_loss", "b_loss"]


def test_halves_of_a_batch_attend_as_a_whole_one() -> None:
    inputs, results = np.random.default_rng(0).normal(size=(9, 28, 64)).astype("float32"), []
    for choices in (Choices(), Choices(towers=2)):
        keras.utils.set_random_seed(3)
        model = attending()
        model.compile("sgd", "mse")
        engine = Engine(model, PlainFeed(), choices=choices)
        list(engine.train(Rows(Resident(tf.constant(inputs), tf.ones((9, 3))), np.arange(9)), 9))
        assert engine.choices == choices
        results.append(model.get_weights())
    for whole, divided in zip(*results, strict=True):
        np.testing.assert_allclose(whole, divided, rtol=1e-4, atol=1e-6)


def test_regularization_counts_once() -> None:
    losses = []
    for choices in (Choices(), Choices(towers=2)):
        keras.utils.set_random_seed(3)
        model = stack(layers.Flatten(), layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5)))
        model.compile("sgd", "mse")
        rows = Rows(Resident(tf.ones((16, 28, 28, 1)), tf.ones((16, 3))), np.arange(16))
        losses.append(list(Engine(model, PlainFeed(), choices=choices).train(rows, 16))[-1].logs["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dense(3, activity_regularizer="l2"),
        layers.Embedding(10, 3, mask_zero=True),
        Mine(3),
        layers.Dense(3, dtype="mixed_float16"),
        layers.Dropout(0.5, noise_shape=(8, 1)),
    ],
)
def test_what_looks_beyond_its_example_is_never_divided(layer: Any) -> None:
    model = stack(layer, shape=(4,))
    model.compile("sgd", "mse")
    assert not divisible(model)
    assert Engine(model, PlainFeed(), choices=Choices("so", towers=2, test_towers=2)).choices.towers == 1
