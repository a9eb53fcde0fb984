"""Everything that an optimizer, a layer or the process remembers is in a snapshot, and comes back from it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from dlcli.errors import CheckpointError
from dlcli.training.callback_state import CallbackMemory
from dlcli.training.state import OPTIMIZER, RANDOM, WEIGHTS, TrainingState
from tests.conftest import some_of

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"centered": True, "momentum": 0.5},
    "Adam": {"amsgrad": True}, "AdamW": {"use_ema": True, "ema_overwrite_frequency": 3}, "Adagrad": {}, "Ftrl": {},
    "Nadam": {}, "Lion": {}, "SGD accumulating": {"gradient_accumulation_steps": 2},
    "LossScaleOptimizer": {"inner_optimizer": "Adam"},
}  # fmt: skip


def model_with(name: str) -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    if name == "SGD":
        layers.insert(1, keras.layers.BatchNormalization())
    model = keras.Sequential([keras.Input((3,)), *layers])
    arguments = dict(OPTIMIZERS[name])
    if "inner_optimizer" in arguments:
        arguments["inner_optimizer"] = getattr(keras.optimizers, arguments["inner_optimizer"])()
    optimizer = getattr(keras.optimizers, name.split()[0])(**arguments)
    model.compile(optimizer, "mse", run_eagerly=True)
    optimizer.build(model.trainable_variables)
    return model


def steps(model: keras.Model, first: int, last: int) -> None:
    draws = np.random.default_rng(7)
    inputs, targets = draws.normal(size=(9, 8, 3)).astype("float32"), draws.normal(size=(9, 8, 1)).astype("float32")
    for number in range(first, last):
        model.train_step((inputs[number], targets[number]))


def all_numbers(model: keras.Model) -> list[bytes]:
    variables = [*model.variables, *model.optimizer.variables]
    return [np.asarray(keras.ops.convert_to_numpy(variable)).tobytes() for variable in variables]


@pytest.mark.parametrize(
    "name", some_of(list(OPTIMIZERS), "SGD", "AdamW", "Nadam", "SGD accumulating", "LossScaleOptimizer")
)
def test_steps_go_on_to_the_bit(name: str, tmp_path: Path) -> None:
    whole = model_with(name)
    steps(whole, 0, 5)
    expected = all_numbers(whole)
    first = model_with(name)
    steps(first, 0, 3)
    weights, snapshot = first.get_weights(), TrainingState(first).snapshot(copied=True, metrics=True)
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        for place, values in snapshot.arrays.items():
            file[place] = values
    steps(first, 3, 4)  # a copy stays as it is
    second = model_with(name)
    second.set_weights(weights)
    with h5py.File(tmp_path / "arrays.h5") as file:
        arrays = {place: np.asarray(file[place][()]) for place in snapshot.arrays}
    TrainingState(second).restore(arrays, (OPTIMIZER, RANDOM, "metrics", WEIGHTS))
    steps(second, 3, 5)
    assert all_numbers(second) == expected


def test_the_state_of_python_and_numpy_comes_back() -> None:
    state = TrainingState(model_with("SGD"))
    arrays = state.snapshot(copied=True, metrics=False).arrays
    drawn = random.random(), random.gauss(0, 1), np.random.normal()
    state.restore(arrays, (RANDOM,))
    assert (random.random(), random.gauss(0, 1), np.random.normal()) == drawn


def test_what_does_not_fit_is_named_and_changes_nothing() -> None:
    model = model_with("Adam")
    state = TrainingState(model)
    arrays = state.snapshot(copied=True, metrics=False).arrays
    before = all_numbers(model)
    place = next(name for name in arrays if name.endswith("dense_kernel_momentum"))
    with pytest.raises(CheckpointError, match="does not fit"):
        state.restore({**arrays, place: np.zeros((2, 2))}, (OPTIMIZER,))
    with pytest.raises(CheckpointError, match="has no `optimizer"):
        state.restore({name: arrays[name] for name in arrays if name != place}, (OPTIMIZER,))
    with pytest.raises(CheckpointError, match="knows nothing of"):
        state.restore({**arrays, "optimizer/more": np.zeros(1)}, (OPTIMIZER,))
    assert all_numbers(model) == before


def test_callbacks_remember_numbers_and_nothing_else() -> None:
    def begun() -> keras.callbacks.ModelCheckpoint:
        return keras.callbacks.ModelCheckpoint("mine.keras", monitor="loss", save_best_only=True)

    first = begun()
    memory = CallbackMemory([first])
    first.best, first.filepath = np.float32(0.25), "elsewhere.keras"
    states, arrays = memory.state()
    second = begun()
    CallbackMemory([second]).restore(states, arrays)
    assert (second.best, second.filepath) == (0.25, "mine.keras")
    for harm in ({"filepath": "elsewhere.keras"}, {"on_epoch_end": 1}):
        forged = [{**states[0], "attributes": harm}]
        with pytest.raises(CheckpointError, match="which is not used"):
            CallbackMemory([second]).restore(forged, arrays)
    with pytest.raises(CheckpointError, match="callbacks were ModelCheckpoint; now they are none"):
        CallbackMemory([]).restore(states, arrays)
