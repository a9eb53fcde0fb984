"""A batch that is divided among copies of a model gives the weights and figures of one copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.errors import DeviceError, RunError
from dlcli.training.engine import Engine
from dlcli.training.feeding import Pace, Resident, Rows
from dlcli.training.on_devices import Devices
from dlcli.training.shares import Shared, share
from dlcli.training.strategies import begin
from tests.test_engine import PlainFeed

layers = keras.layers
_CPU = "/device:CPU:0"
_RANDOM = np.random.default_rng(0)
_INPUTS = (_RANDOM.normal(size=(47, 12)) * (_RANDOM.random((47, 12)) > 0.3)).astype(np.float32)
_TARGETS = _RANDOM.integers(0, 3, 47)


class _Feed(PlainFeed):
    def stand_ins(self) -> Any:
        return tf.zeros((2, 12)), tf.zeros((2,), tf.int64)


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [1, 2, 5, 6, 7, 64])
def test_shares_are_neighbours_without_gaps_and_even(total: int, replicas: int) -> None:
    shares = [share(total, number, replicas) for number in range(replicas)]
    assert [first for first, _ in shares] == list(np.cumsum([0, *(count for _, count in shares)])[:-1])
    assert sum(count for _, count in shares) == total
    assert max(count for _, count in shares) - min(count for _, count in shares) <= 1


@pytest.mark.parametrize(("rows", "batch_size", "workers"), [(20, 6, 2), (20, 6, 3), (7, 3, 5), (1, 4, 2), (9, 9, 2)])
def test_each_example_is_read_by_one_worker(rows: int, batch_size: int, workers: int) -> None:
    order = np.random.default_rng(1).permutation(rows)
    seen: Counter[int] = Counter()
    for number in range(workers):
        data = Shared(Resident(tf.range(rows), tf.range(rows)), number, workers)
        taken = first = 0
        for block in data.blocks(order, batch_size, Pace(2)):
            chosen = block.order.numpy()[block.first : block.first + block.examples]
            own = data.own(batch_size)
            for start in range(0, len(chosen), own):
                is_last = start + own >= len(chosen)
                total = block.last if is_last else batch_size
                _, count = share(total, number, workers)
                assert set(chosen[start : start + count]) <= set(order[first : first + total])
                seen.update(chosen[start : start + count].tolist())
                first, taken = first + total, taken + 1
        assert (first, taken) == (rows, -(-rows // batch_size))
    assert seen == Counter(range(rows))


def _stack(*parts: Any, optimizer: Any = None) -> keras.Model:
    model = keras.Sequential([layers.Input((12,)), *parts, layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def _graph() -> keras.Model:
    given = layers.Input((12,))
    left = layers.Dense(4, activation="relu")(given)
    inner = keras.Sequential([layers.Input((4,)), layers.BatchNormalization(synchronized=True), layers.Dense(4)])
    model = keras.Model(given, layers.Dense(3)(layers.Add()([left, inner(left)])))
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


_MODELS: dict[str, Callable[[], keras.Model]] = {
    "regularized": lambda: _stack(layers.Dense(8, activation="relu", kernel_regularizer="l2")),
    "regularized activity": lambda: _stack(layers.Dense(8, activity_regularizer="l2")),
    "masks": lambda: _stack(layers.Reshape((12, 1)), layers.Masking(0.0), layers.SimpleRNN(4, return_sequences=True),
                            layers.GlobalAveragePooling1D()),
    "clipped and accumulated": lambda: _stack(
        layers.Dense(8), optimizer=keras.optimizers.Adam(0.01, global_clipnorm=0.1, gradient_accumulation_steps=2)
    ),
    "averages of weights": lambda: _stack(
        layers.Dense(8), optimizer=keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=3)
    ),
    "synchronized": lambda: _stack(layers.Dense(8, use_bias=False), layers.BatchNormalization(synchronized=True)),
    "synchronized, with masks": lambda: _stack(
        layers.Reshape((12, 1)), layers.Masking(0.0), layers.LSTM(4, return_sequences=True),
        layers.BatchNormalization(synchronized=True), layers.GlobalAveragePooling1D()
    ),
    "synchronized in a wrapper": lambda: _stack(
        layers.Reshape((4, 3)), layers.TimeDistributed(layers.BatchNormalization(synchronized=True)),
        layers.TimeDistributed(layers.Dense(2, activity_regularizer="l2")), layers.Flatten()
    ),
    "synchronized, frozen": lambda: _stack(layers.BatchNormalization(synchronized=True, trainable=False)),
    "a graph, synchronized within": _graph,
    "rows of a table": lambda: _stack(layers.Activation("relu"), layers.Embedding(5, 3), layers.Flatten()),
}  # fmt: skip


def _trained(make: Callable[[], keras.Model], division: Any) -> tuple[list[float], list[Any], Any]:
    keras.utils.set_random_seed(0)
    model = make()
    engine = Engine(model, _Feed(), division=division)
    engine.make_state()
    rows = Rows(Resident(tf.constant(_INPUTS), tf.constant(_TARGETS)), np.random.default_rng(1).permutation(47))
    figures: list[float] = []
    for _ in range(2):
        *_, last = engine.train(rows, 9)  # the last batch has two examples, for three copies
        figures += last.logs.values()
    outputs: list[Any] = []
    *_, last = engine.evaluate(rows, outputs.append, 16)
    return [*figures, *last.logs.values()], model.get_weights(), np.concatenate(outputs)


@pytest.mark.parametrize("name", _MODELS)
def test_copies_on_devices_give_what_one_gives(name: str) -> None:
    alone = _trained(_MODELS[name], None)
    divided = _trained(_MODELS[name], Devices([_CPU] * 3))
    np.testing.assert_allclose(divided[0], alone[0], rtol=1e-5)
    for one, other in zip(divided[1], alone[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(divided[2], alone[2], atol=1e-5)


def test_statistics_that_are_not_synchronized_are_the_mean_of_the_shares() -> None:
    means = [_INPUTS[:5].mean(axis=0), _INPUTS[5:10].mean(axis=0)]
    model = _stack(layers.BatchNormalization(momentum=0.0))
    engine = Engine(model, _Feed(), division=Devices([_CPU] * 2))
    engine.make_state()
    rows = Rows(Resident(tf.constant(_INPUTS), tf.constant(_TARGETS)), np.arange(10))
    list(engine.train(rows, 10))
    np.testing.assert_allclose(model.layers[0].moving_mean, np.mean(means, axis=0), atol=1e-6)


def test_copies_draw_other_numbers_and_each_training_the_same() -> None:
    def outputs() -> Any:
        model = _stack(layers.Dropout(0.5, seed=3))
        model.layers[-1].set_weights([np.ones((12, 3), np.float32), np.zeros(3, np.float32)])
        with Devices([_CPU] * 2).tracing(model):
            return model(tf.ones((2, 12)), training=True).numpy()

    first, second = outputs(), outputs()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_what_cannot_be_divided_is_refused() -> None:
    model = _stack(layers.SpectralNormalization(layers.Dense(4)))
    engine = Engine(model, _Feed(), division=Devices([_CPU] * 2))
    engine.make_state()
    rows = Rows(Resident(tf.constant(_INPUTS), tf.constant(_TARGETS)), np.arange(10))
    with pytest.raises(RunError, match=r"`strategy: mirrored`: `.*/kernel` is changed by its layer, and trained\.$"):
        list(engine.train(rows, 10))
    with pytest.raises(RunError, match="one by one"):
        Engine(model, _Feed(), plain=True, division=Devices([_CPU] * 2))


def test_one_device_is_not_several() -> None:
    with pytest.raises(DeviceError, match="sees one CPU") as caught:
        begin("mirrored", None)
    assert "--device cpu:0,1" in str(caught.value.hint)
