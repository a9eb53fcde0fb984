"""`configs/sms_spam.yaml` as a plain script: pandas, `TextVectorization`, `fit`, `evaluate`, `save`."""

import csv
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.model_selection import train_test_split

data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
table = pd.read_csv(data / "sms_spam.tsv", sep="\t", header=None, names=["label", "message"], quoting=csv.QUOTE_NONE)
rest, test = train_test_split(table, test_size=0.2, stratify=table["label"], random_state=0)
train, held_out = train_test_split(rest, test_size=0.1, stratify=rest["label"], random_state=0)

tokens = layers.TextVectorization(
    max_tokens=10000, output_sequence_length=int(train["message"].str.split().str.len().max())
)
tokens.adapt(train["message"].to_numpy(str))


def prepared(rows):
    """The inputs and targets of rows of the table."""
    return np.asarray(tokens(rows["message"].to_numpy(str))), (rows["label"] == "spam").to_numpy("float32")


model = keras.Sequential(
    [
        layers.Embedding(10000, 16),
        layers.GlobalAveragePooling1D(),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(*prepared(train), 32, epochs, validation_data=prepared(held_out))
loss, accuracy = model.evaluate(*prepared(test))
model.save(out / "sms_spam.keras")
print(accuracy)
