"""`configs/temperatures.yaml` as a plain script: pandas, `timeseries_dataset_from_array`, `fit`, `evaluate`, `save`."""

import sys
from pathlib import Path

import keras
import pandas as pd
from keras import layers

LENGTH = 30
data, out, epochs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(0)
values = pd.read_csv(data / "daily_min_temperatures.csv", parse_dates=["Date"])["Temp"].to_numpy("float32")
test_from = int(len(values) * 0.8)
validation_from = int(test_from * 0.9)
mean, deviation = values[:validation_from].mean(), values[:validation_from].std()
inputs = ((values - mean) / deviation)[:, None]


def windows(start, end, shuffle):
    """Windows of 30 days, and the day after each, of the days from start on."""
    return keras.utils.timeseries_dataset_from_array(
        inputs[start : end - 1], values[start + LENGTH : end], LENGTH, batch_size=32, shuffle=shuffle
    ).cache()


model = keras.Sequential([layers.Input((LENGTH, 1)), layers.GRU(16), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.005), "mean_squared_error", metrics=["mean_absolute_error"])
train, held_out = windows(0, validation_from, True), windows(validation_from - LENGTH, test_from, False)
model.fit(train, epochs=epochs, validation_data=held_out)
loss, error = model.evaluate(windows(test_from - LENGTH, len(values), False))
model.save(out / "temperatures.keras")
print(error)
