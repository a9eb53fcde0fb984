"""The networks that are timed, and their data: truncated MNIST, or arrays of CIFAR-10's shape."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_SEQUENCES = """dataset: {source: {blobs: {samples: 2500, centers: 2, features: 200, spread: 2.0}}, batch_size: 32}
model:
  layers:
    - Reshape: {target_shape: [200, 1]}
    - LSTM: {units: 64}
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
optimizer: Adam
metrics: [accuracy]
"""


@dataclass(frozen=True)
class Network:
    """One network at one batch size.

    Attributes:
        name: in tables.
        script: the name of its functions in the other contenders' scripts.
        config: the shipped config, or None for `spec`.
        batch_size: examples a step.
        rows: examples an epoch, so many that an epoch takes a second or more where that can be.
        spec: the text of a spec that is not shipped.
        overrides: of the config, so that all contenders do the same.
    """

    name: str
    script: str
    config: str | None
    batch_size: int
    rows: int
    spec: str = ""
    overrides: tuple[str, ...] = ()


_BARE = ("dataset.validation=null", "train.monitor=loss")
_POINTS = (*_BARE, "dataset.source.blobs.samples=40000")
NETWORKS = (
    Network("two_class_sigmoid", "two_class_sigmoid", "two_class_sigmoid", 16, 32000, overrides=_POINTS),
    Network("mnist_mlp_dropout", "mnist_mlp_dropout", "mnist_mlp_dropout", 128, 12800, overrides=_BARE),
    Network("mnist_cnn, batch 32", "mnist_cnn", "mnist_cnn", 32, 3200, overrides=_BARE),
    Network("mnist_cnn, batch 128", "mnist_cnn", "mnist_cnn", 128, 5120, overrides=_BARE),
    Network("cifar10_cnn", "cifar10_cnn", "cifar10_cnn", 32, 1600, overrides=(*_BARE, "dataset.augment=[]")),
    Network("lstm, 200 steps", "lstm", None, 32, 2000, spec=_SEQUENCES),
)


def write_data(folder: Path, rows: int) -> None:
    """Make `mnist.npz` with the first rows of MNIST, and `cifar10.npz` with random pixels, in `folder`."""
    with np.load(Path(os.environ["DLCLI_DATA_DIR"]) / "mnist.npz") as mnist:
        arrays = {name: mnist[name][:rows] for name in mnist.files}
    np.savez(folder / "mnist.npz", **arrays)
    rng = np.random.default_rng(0)
    images = {f"x_{part}": rng.integers(0, 256, (rows, 32, 32, 3), np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": (np.arange(rows) % 10).astype(np.uint8)[:, None] for part in ("train", "test")}
    np.savez(folder / "cifar10.npz", **images, **labels)


def shapes(script: str) -> tuple[tuple[int, ...], int]:
    """The shape of an example for the scripts that make up their own data, and the number of classes."""
    return {"two_class_sigmoid": ((2,), 2), "lstm": ((200, 1), 2)}[script]
