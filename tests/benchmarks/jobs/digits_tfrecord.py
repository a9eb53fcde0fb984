"""`digits_tfrecord.yaml` as a plain script: `TFRecordDataset`, `parse_single_example`, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
description = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}


def example(record):
    found = tf.io.parse_single_example(record, description)
    return tf.cast(tf.io.decode_png(found["image"], channels=1), tf.float32) / 255, found["label"]


def records(name):
    found = tf.data.TFRecordDataset(str(data / name)).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    return found.apply(tf.data.experimental.assert_cardinality(10_000 if "train" in name else 2_000)).cache()


train = records("digits-train.tfrecord").shuffle(10_000, seed=0).batch(64).prefetch(tf.data.AUTOTUNE)
test = records("digits-test.tfrecord").batch(64).prefetch(tf.data.AUTOTUNE)

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
model.fit(train, epochs=epochs)
loss, accuracy = model.evaluate(test)
model.save(out / "digits_tfrecord.keras")
print(accuracy)
