"""`configs/penguins.yaml` as a plain script: pandas, Keras's preprocessing layers, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.model_selection import train_test_split

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
table = pd.read_csv(data / "penguins.csv")
species = keras.layers.StringLookup(num_oov_indices=0)
species.adapt(table["species"])
numbers = list(table.select_dtypes("number").columns)
words = [name for name in table.columns if name not in [*numbers, "species"]]
rest, test = train_test_split(table, test_size=0.2, stratify=table["species"], random_state=0)
train, held_out = train_test_split(rest, test_size=0.15, stratify=rest["species"], random_state=0)

normalization = layers.Normalization()
means = train[numbers].mean()
normalization.adapt(train[numbers].fillna(means).to_numpy("float32"))
lookups = {name: layers.StringLookup(output_mode="one_hot") for name in words}
for name, lookup in lookups.items():
    lookup.adapt(train[name].fillna("").to_numpy(str))


def prepared(rows):
    """The inputs and targets of rows of the table."""
    columns = [np.asarray(normalization(rows[numbers].fillna(means).to_numpy("float32"))), rows[numbers].isna()]
    columns += [np.asarray(lookup(rows[name].fillna("").to_numpy(str))) for name, lookup in lookups.items()]
    return np.concatenate(columns, axis=1, dtype="float32"), np.asarray(species(rows["species"].to_numpy(str)))


x, y = prepared(train)
model = keras.Sequential(
    [layers.Input(x.shape[1:]), layers.Dense(32, activation="relu"), layers.Dense(3, activation="softmax")]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, 16, epochs, validation_data=prepared(held_out))
loss, accuracy = model.evaluate(*prepared(test))
model.save(out / "penguins.keras")
print(accuracy)
