"""`configs/cifar10_folders.yaml` as a plain script: `image_dataset_from_directory`, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
read = {"image_size": (32, 32), "batch_size": 32, "seed": 0}
train, held_out = keras.utils.image_dataset_from_directory(
    data / "cifar10" / "train", validation_split=0.1, subset="both", **read
)
test = keras.utils.image_dataset_from_directory(data / "cifar10" / "test", shuffle=False, **read)
train, held_out, test = (part.cache().prefetch(tf.data.AUTOTUNE) for part in (train, held_out, test))

model = keras.Sequential(
    [
        layers.Input((32, 32, 3)),
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.1, 0.1),
        layers.Rescaling(1 / 255),
    ]
)
for number, filters in enumerate((32, 64, 128)):
    if number:
        model.add(layers.MaxPooling2D())
    model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
    model.add(layers.BatchNormalization())
    model.add(layers.ReLU())
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dropout(0.2))
model.add(layers.Dense(10, activation="softmax"))
rate = keras.optimizers.schedules.CosineDecay(0.003, 2820)
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, epochs=epochs, validation_data=held_out)
loss, accuracy = model.evaluate(test)
model.save(out / "cifar10_folders.keras")
print(accuracy)
