"""Data for the whole jobs that are made here: arrays in .h5 and TFRecords of MNIST's digits, and films of squares."""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from dlcli.data.drawn import motion

_TRAIN, _TEST = 10_000, 2_000  # digits
_FILMS = 600


def write_generated(folder: Path) -> None:
    """All of it, about 30 MB, into a folder."""
    digits = np.load(Path(os.environ["DLCLI_DATA_DIR"]) / "mnist.npz")
    counts = {"train": _TRAIN, "test": _TEST}
    parts = {part: (digits[f"x_{part}"][:count], digits[f"y_{part}"][:count]) for part, count in counts.items()}
    with h5py.File(folder / "digits.h5", "w") as file:
        for part, (images, labels) in parts.items():
            file[f"x_{part}"], file[f"y_{part}"] = images, labels
    for part, (images, labels) in parts.items():
        _write_records(folder / f"digits-{part}.tfrecord", images, labels)
    films, directions = motion(_FILMS, frames=8, side=16, noise=25.0, seed=0)
    for number, (film, direction) in enumerate(zip(films, directions, strict=True)):
        place = folder / "films" / ("test" if number % 5 == 0 else "train") / f"direction{direction}"
        place.mkdir(parents=True, exist_ok=True)
        np.save(place / f"{number}.npy", film)


def _write_records(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    import tensorflow as tf  # takes long

    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(images, labels, strict=True):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "PNG")
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[stream.getvalue()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
