"""How fast this machine multiplies at its best, and how many operations a step of each network takes."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from dlcli.model.summary import summarize
from tests.benchmarks import plain_scripts
from tests.benchmarks.networks import NETWORKS, write_data

_SIZE = 1024
# The second layer of the lecture's network for MNIST: batch, height, width, channels; window; filters.
_IMAGES, _FILTERS = (32, 24, 24, 32), (5, 5, 32, 32)


def _fastest(run: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(50):
        began = time.perf_counter()
        run().numpy()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def peaks() -> dict[str, float]:
    """Billions of operations a second (a multiplication and an addition are two): the fastest of fifty."""
    matrix, images, filters = (tf.random.normal(shape) for shape in ((_SIZE, _SIZE), _IMAGES, _FILTERS))
    convolve = tf.function(lambda: tf.nn.conv2d(images, filters, 1, "VALID"))
    batch, height, width, _ = _IMAGES
    places = batch * (height - _FILTERS[0] + 1) * (width - _FILTERS[1] + 1)
    products = places * _FILTERS[0] * _FILTERS[1] * _FILTERS[2] * _FILTERS[3]
    return {
        "matrix products": 2e-9 * _SIZE**3 / _fastest(lambda: tf.matmul(matrix, matrix)),
        "convolutions": 2e-9 * products / _fastest(convolve),
    }


def operations() -> dict[str, float]:
    """Billions of operations a step of training: forward, and twice as many for the gradients."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), 128)
        models = {
            script: getattr(plain_scripts, script)(Path(folder), 128)[0]
            for script in {network.script for network in NETWORKS}
        }
    return {
        network.name: 6e-9 * network.batch_size * summarize(models[network.script]).multiply_adds
        for network in NETWORKS
    }


if __name__ == "__main__":
    json.dump({"peaks": peaks(), "operations": operations()}, sys.stdout)
