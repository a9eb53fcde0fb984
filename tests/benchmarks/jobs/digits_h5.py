"""`digits_h5.yaml` as a plain script: `h5py`, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import h5py
import keras
from keras import layers

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
with h5py.File(data / "digits.h5") as file:
    x_train, y_train, x_test, y_test = (file[name][:] for name in ("x_train", "y_train", "x_test", "y_test"))
x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))

model = keras.Sequential(
    [
        layers.Input((28, 28, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=64, epochs=epochs)
loss, accuracy = model.evaluate(x_test, y_test)
model.save(out / "digits_h5.keras")
print(accuracy)
