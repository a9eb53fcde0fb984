"""One way to read a folder of images, again and again: all that dlcli does before training, or a tf.data pipeline."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from dlcli.cli.options import catalogue
from dlcli.data.loading import load_data
from dlcli.data.where import Where
from dlcli.spec.loading import load_spec
from tests.benchmarks.turns import report, wait_for_turn

_SPEC = """dataset: {{source: {{images: {{path: {folder}, size: [{height}, {width}], stream: false}}}}, test: 0}}
model: {{layers: [Flatten, Dense: {{units: 10}}]}}
loss: {{SparseCategoricalCrossentropy: {{from_logits: true}}}}
"""


def dlcli(folder: Path, height: int, width: int) -> Callable[[], int]:
    """Bytes in memory, with a fingerprint."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "spec.yaml"
        path.write_text(_SPEC.format(folder=folder, height=height, width=width), encoding="utf-8")
        loaded = load_spec(path, catalogue())
    return lambda: len(load_data(loaded, Where(None, False, lambda text: None))[0].train)


def plain_keras(folder: Path, height: int, width: int) -> Callable[[], int]:
    """Batches of float32 in a cache in memory."""

    def read() -> int:
        batches = keras.utils.image_dataset_from_directory(folder, image_size=(height, width), verbose=False)
        return sum(len(labels) for _, labels in batches.cache().prefetch(tf.data.AUTOTUNE))

    return read


def main(way: str, folder: Path, height: int, width: int) -> None:
    """Read for ever."""
    read = {"dlcli": dlcli, "plain Keras": plain_keras}[way](folder, height, width)
    while True:
        wait_for_turn()
        began, processor_began = time.perf_counter(), time.process_time()
        count = read()
        report(time.perf_counter() - began, count, processor_seconds=time.process_time() - processor_began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
