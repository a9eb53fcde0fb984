"""The scripts that a person would write in plain Keras: float32 NumPy arrays, default settings, `model.fit`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.benchmarks.networks import shapes
from tests.benchmarks.turns import report, wait_for_turn


def two_class_sigmoid(folder: Path, rows: int) -> tuple[Any, ...]:
    """Points in the plane, told apart by sigmoids."""
    (features,), _ = shapes("two_class_sigmoid")
    x = np.random.default_rng(0).normal(size=(rows, features)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    model = keras.Sequential(
        [
            layers.Input((features,)),
            layers.Dense(100, activation="sigmoid"),
            layers.Dense(100, activation="sigmoid"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="sgd", loss="mean_squared_error", metrics=["accuracy"])
    return model, x, y


def mnist_mlp_dropout(folder: Path, rows: int) -> tuple[Any, ...]:
    """Three hidden layers with dropout."""
    x, y = _images(folder, "mnist", rows)
    model = keras.Sequential([layers.Input((28, 28)), layers.Flatten()])
    for _ in range(3):
        model.add(layers.Dense(512, activation="relu"))
        model.add(layers.Dropout(0.2))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model, x, y


def mnist_cnn(folder: Path, rows: int) -> tuple[Any, ...]:
    """The lecture's convolutional network."""
    x, y = _images(folder, "mnist", rows)
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 5, activation="relu"),
            layers.Conv2D(32, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.001, 1875, 0.6)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model, x[..., None], y


def cifar10_cnn(folder: Path, rows: int) -> tuple[Any, ...]:
    """The lecture's network for CIFAR-10."""
    x, y = _images(folder, "cifar10", rows)
    model = keras.Sequential([layers.Input((32, 32, 3))])
    for filters in (32, 64):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D(2))
        model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(512, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model, x, y


def lstm(folder: Path, rows: int) -> tuple[Any, ...]:
    """Sequences of 200 numbers."""
    shape, _ = shapes("lstm")
    x = np.random.default_rng(0).normal(size=(rows, *shape)).astype("float32")
    y = (x.sum(axis=(1, 2)) > 0).astype("float32")
    model = keras.Sequential([layers.Input(shape), layers.LSTM(64), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model, x, y


def _images(folder: Path, name: str, rows: int) -> tuple[Any, Any]:
    with np.load(folder / f"{name}.npz") as data:
        return data["x_train"][:rows].astype("float32") / 255, keras.utils.to_categorical(data["y_train"][:rows], 10)


class Turns(keras.callbacks.Callback):
    """Holds each epoch back until its turn has come."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Wait."""
        wait_for_turn()
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tell the time."""
        report(time.perf_counter() - self._began, self.params["steps"])


def main(script: str, batch_size: int, rows: int, folder: Path) -> None:
    """Train for ever."""
    keras.utils.set_random_seed(0)
    model, x, y = globals()[script](folder, rows)
    model.fit(x, y, batch_size=batch_size, epochs=1_000_000, verbose=0, callbacks=[Turns()])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
