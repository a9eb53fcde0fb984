"""`configs/mnist_cnn.yaml` as a plain script: NumPy arrays, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
with np.load(data / "mnist.npz") as mnist:
    x, y, x_test, y_test = (mnist[name] for name in ("x_train", "y_train", "x_test", "y_test"))
x, x_test = (pixels[..., None].astype("float32") / 255 for pixels in (x, x_test))

model = keras.Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 5, activation="relu"),
        layers.Conv2D(32, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
rate = keras.optimizers.schedules.ExponentialDecay(0.001, 1875, 0.6)
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, 32, epochs, validation_data=(x_test, y_test))
loss, accuracy = model.evaluate(x_test, y_test)
model.save(out / "mnist_cnn.keras")
print(accuracy)
