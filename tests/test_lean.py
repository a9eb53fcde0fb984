"""What is traced in fewer operations than Keras takes: the same bits."""

from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.training import loops
from dlcli.training.engine import Engine
from dlcli.training.feeding import Resident, Rows
from dlcli.training.lean import lean_updates
from tests.test_engine import PlainFeed

ROWS = 50


def trained(optimizer: Any, is_lean: bool, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """All numbers of a small network, its optimizer and its metrics, after two passes, the last batches smaller."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Embedding(7, 4), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.layers.Input((5,), dtype="int32"), *layers])
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    data = Resident(tf.constant(rng.integers(0, 7, (ROWS, 5))), tf.constant(rng.integers(0, 3, ROWS)))
    with monkeypatch.context() as patch:
        if not is_lean:
            patch.setattr(loops, "lean_updates", lambda model: nullcontext())
        engine = Engine(model, PlainFeed())
        model.optimizer.build(model.trainable_variables)
        for _ in range(2):
            list(engine.train(Rows(data, np.arange(ROWS)), 8))
    assert engine.fallback is None
    assert "update_step" not in vars(model.optimizer)
    return [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in model.variables]


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.02, "beta_1": 0.8, "epsilon": 1e-6},
        {"global_clipnorm": 0.1, "use_ema": True, "ema_momentum": 0.9, "weight_decay": 0.01},
        {"gradient_accumulation_steps": 3, "amsgrad": True},
        {"gradient_accumulation_steps": 3},
    ],
    ids=str,
)
def test_adam_comes_to_the_same_bits(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kind = keras.optimizers.AdamW if "weight_decay" in settings else keras.optimizers.Adam
    ours, kerass = (trained(kind(**settings), is_lean, monkeypatch) for is_lean in (True, False))
    for one, other in zip(ours, kerass, strict=True):
        np.testing.assert_array_equal(one, other)


def test_adam_is_traced_in_fewer_operations_and_others_as_they_are() -> None:
    def operations(optimizer: Any, *, is_lean: bool) -> int:
        model = keras.Sequential([keras.layers.Input((3,)), *(keras.layers.Dense(4) for _ in range(4))])
        model.compile(optimizer=optimizer, loss="mse")
        model.optimizer.build(model.trainable_variables)
        with lean_updates(model) if is_lean else nullcontext():
            step = tf.function(model.train_step, autograph=False)
            traced = step.get_concrete_function((tf.zeros((2, 3)), tf.zeros((2, 4))))
        return len(traced.graph.get_operations())

    adam, sgd = (
        [operations(kind(), is_lean=is_lean) for is_lean in (True, False)]
        for kind in (keras.optimizers.Adam, keras.optimizers.SGD)
    )
    assert adam[0] < 0.75 * adam[1]
    assert sgd[0] == sgd[1]


class LastOnes(keras.metrics.Metric):
    """Counts steps in a variable that is not Keras's."""

    def __init__(self) -> None:
        super().__init__(name="steps")
        self.count = tf.Variable(0.0)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.count.assign_add(1.0)

    def result(self) -> Any:
        return self.count + 0.0

    def reset_state(self) -> None:
        self.count.assign(0.0)


@pytest.mark.parametrize("own", [[], [LastOnes]], ids=["Keras's metrics", "one of somebody's own"])
def test_metrics_begin_anew_in_each_pass_and_not_in_each_block(own: list[Any]) -> None:
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse", metrics=["mae", *(metric() for metric in own)])
    model.optimizer.build(model.trainable_variables)
    inputs = np.arange(6, dtype="float32")[:, None]
    rows = Rows(Resident(tf.constant(inputs), tf.constant(0 * inputs)), np.arange(6))
    engine = Engine(model, PlainFeed())
    for _ in range(2):
        seen = list(engine.train(rows, 2, one_by_one=True))
        assert [step.logs["mae"] for step in seen] == [0.5, 1.5, 2.5]
        if own:
            assert [step.logs["steps"] for step in seen] == [1.0, 2.0, 3.0]
