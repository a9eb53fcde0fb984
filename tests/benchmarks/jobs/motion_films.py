"""`motion_films.yaml` as a plain script: `numpy.load`, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)


def films(part):
    paths = sorted((data / "films" / part).glob("*/*.npy"))
    pixels = np.stack([np.load(path).reshape(8, 16, 16, 1) for path in paths]).astype("float32") / 255
    return pixels, np.asarray([int(path.parent.name.removeprefix("direction")) for path in paths])


model = keras.Sequential(
    [
        layers.Input((8, 16, 16, 1)),
        layers.Conv3D(8, 3, activation="relu"),
        layers.Conv3D(16, 3, activation="relu"),
        layers.GlobalAveragePooling3D(),
        layers.Dense(4, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*films("train"), batch_size=32, epochs=epochs)
loss, accuracy = model.evaluate(*films("test"))
model.save(out / "motion_films.keras")
print(accuracy)
