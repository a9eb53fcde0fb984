"""All that changes while a model trains, besides its weights: the optimizer's variables, random states, metrics.

What of it is in a checkpoint is in `dlcli.training.checkpoint`; callbacks have a module of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array
from dlcli.errors import CheckpointError

Arrays = dict[str, Array]

OPTIMIZER, RANDOM, METRICS, WEIGHTS = "optimizer", "random", "metrics", "weights"


@dataclass(frozen=True)
class Snapshot:
    """The numbers of a training at one moment.

    Attributes:
        shown: variables with the values that Keras is to save for them; empty where it is to save those of now. They
            differ in a copy, and where the optimizer keeps averages of the weights (`use_ema`).
        arrays: everything else, by group and name; the weights themselves too, beside their averages.
    """

    shown: list[tuple[Any, Any]]
    arrays: Arrays


def own_optimizer(model: keras.Model) -> Any:
    """The optimizer that changes the weights: the one within Keras's `LossScaleOptimizer`, if there is such."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def has_averages(model: keras.Model) -> bool:
    """Whether what is saved are averages of the weights, and not the weights that are validated."""
    return bool(getattr(own_optimizer(model), "use_ema", False))


class TrainingState:
    """The variables of a training: of its model, its optimizer and its augmenting layers."""

    def __init__(self, model: keras.Model, augment: Iterable[Any] = ()) -> None:
        self._model = model
        weights = {id(variable) for variable in model.weights}
        metrics = {id(variable) for variable in model.metrics_variables}
        others = [variable for variable in model.variables if id(variable) not in weights | metrics]
        drawn = [variable for layer in augment for variable in layer.variables]
        self._groups: dict[str, dict[str, Any]] = {
            OPTIMIZER: _named(_variables_in(model.optimizer)),
            RANDOM: _named([*others, *drawn, *global_generator()]),
            METRICS: _named(model.metrics_variables),
            WEIGHTS: _named(model.weights),
        }

    @property
    def rate(self) -> float | None:
        """The learning rate; None where it follows a schedule."""
        rate = getattr(own_optimizer(self._model), "_learning_rate", None)
        return float(_read(rate)) if isinstance(rate, keras.Variable) else None

    def drawn(self) -> list[tuple[Any, Array]]:
        """The random states of layers now. Some draw in a test as well, as an LSTM with dropout does (Keras 3.15.1)."""
        return [(variable, _copy(variable)) for variable in self._groups[RANDOM].values()]

    def draw_again(self, drawn: list[tuple[Any, Array]]) -> None:
        """Let layers draw what they have drawn since `drawn` was called."""
        for variable, values in drawn:
            variable.assign(values)

    @property
    def size(self) -> int:
        """Of a snapshot, in bytes."""
        return sum(
            int(np.prod(variable.shape)) * np.dtype(_storable(variable.dtype)).itemsize
            for group in (OPTIMIZER, WEIGHTS)
            for variable in self._groups[group].values()
        )

    def snapshot(self, *, copied: bool, metrics: bool) -> Snapshot:
        """The state now.

        Args:
            copied: whether it stays as it is while training goes on.
            metrics: whether the metrics so far are part of it: in the middle of an epoch.
        """
        averaged = has_averages(self._model)
        read = _copy if copied else _read
        groups = [OPTIMIZER, RANDOM, *([METRICS] if metrics else []), *([WEIGHTS] if averaged else [])]
        arrays: Arrays = {}
        for group in groups:
            arrays.update({f"{group}/{name}": read(variable) for name, variable in self._groups[group].items()})
        arrays.update(_process_states())
        # Keras asks the optimizer for its configuration, in which the rate is a number of now.
        rate = getattr(own_optimizer(self._model), "_learning_rate", None)
        rates = [(rate, read(rate))] if isinstance(rate, keras.Variable) else []
        means = self._averages() if averaged else {}
        shown = [(weight, read(means.get(id(weight), weight))) for weight in self._model.weights]
        return Snapshot([*shown, *rates] if copied or averaged else [], arrays)

    def _averages(self) -> dict[int, Any]:
        # As `Optimizer.finalize_variable_values` does it, Keras 3.15.1, but without changing the model.
        optimizer = own_optimizer(self._model)
        averages = optimizer._model_variables_moving_average
        pairs = zip(optimizer._trainable_variables, averages, strict=True)
        return {id(weight): average for weight, average in pairs}

    def restore(self, arrays: Mapping[str, Array], groups: Iterable[str]) -> None:
        """Set the variables of these groups to the numbers of a snapshot.

        Raises:
            CheckpointError: they do not fit; nothing has been changed then.
        """
        found: list[tuple[Any, Array]] = []
        for group in groups:
            given = {name for name in arrays if name.startswith(f"{group}/")}
            if not given and group in (METRICS, WEIGHTS):
                continue  # only there in the middle of an epoch, and beside averages
            known = {f"{group}/{name}": variable for name, variable in self._groups[group].items()}
            for name, variable in known.items():
                if name not in given:
                    raise CheckpointError(f"The checkpoint has no `{name}`, which this training needs.")
                if tuple(arrays[name].shape) != tuple(variable.shape):
                    shapes = f"{list(arrays[name].shape)}, and the training's {list(variable.shape)}"
                    raise CheckpointError(f"`{name}` does not fit: the checkpoint's shape is {shapes}.")
                found.append((variable, arrays[name]))
            unknown = sorted(name for name in given - known.keys() if not name.startswith(f"{RANDOM}/process/"))
            if unknown:
                raise CheckpointError(f"The checkpoint has `{unknown[0]}`, which this training knows nothing of.")
        for variable, values in found:
            variable.assign(values)
        if RANDOM in groups:
            _restore_process_states(arrays)


def _read(variable: Any) -> Array:
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    return values.astype(_storable(variable.dtype), copy=False)


def _copy(variable: Any) -> Array:
    return np.array(_read(variable), copy=True)


def _storable(dtype: str) -> str:
    # HDF5 has no bfloat16 and no float8; float32 holds each of their numbers exactly.
    return "float32" if "float" in dtype and dtype not in ("float16", "float32", "float64") else dtype


def _named(variables: Iterable[Any]) -> dict[str, Any]:
    """Variables by their paths; where several have the same one, all but the first get a number."""
    named: dict[str, Any] = {}
    for variable in variables:
        path = name = str(variable.path).strip("/") or "variable"
        number = 1
        while name in named:
            number += 1
            name = f"{path}#{number}"
        named[name] = variable
    return named


def _variables_in(optimizer: Any) -> list[Any]:
    """The variables of an optimizer, and those that it holds but does not name, as Nadam its product (Keras 3.15.1)."""
    found = {id(variable): variable for variable in optimizer.variables}
    for holder in (optimizer, getattr(optimizer, "inner_optimizer", None)):
        held = vars(holder).values() if holder is not None else ()
        found.update({id(value): value for value in held if isinstance(value, keras.Variable)})
    return list(found.values())


def global_generator() -> list[Any]:
    """The state of Keras's own generator, for layers that have none; empty if it was never used."""
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return [generator.state] if generator is not None else []


def _process_states() -> Arrays:
    """The states of Python's and NumPy's own generators, from which a callback or a layer may draw."""
    version, numbers, following = random.getstate()
    _, key, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        f"{RANDOM}/process/python": np.asarray([version, *numbers], np.uint64),
        f"{RANDOM}/process/python_gauss": np.asarray(np.nan if following is None else following),
        f"{RANDOM}/process/numpy": np.asarray(key, np.uint32),
        f"{RANDOM}/process/numpy_rest": np.asarray([position, has_gauss, gauss], np.float64),
    }


def _restore_process_states(arrays: Mapping[str, Array]) -> None:
    states = {name: arrays[f"{RANDOM}/process/{name}"] for name in ("python", "python_gauss", "numpy", "numpy_rest")}
    version, *numbers = (int(number) for number in states["python"])
    following = float(states["python_gauss"])
    random.setstate((version, tuple(numbers), None if np.isnan(following) else following))
    position, has_gauss, gauss = states["numpy_rest"]
    np.random.set_state(("MT19937", states["numpy"], int(position), int(has_gauss), float(gauss)))
