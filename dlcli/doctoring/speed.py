"""A test of speed that takes some seconds: products of matrices, a convolution, memory, and dlcli's own training steps.

What other machines came to is in `machines.json`: figures that were measured there with this very test, and no others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.loading import load_data
from dlcli.data.where import Where
from dlcli.spec.loading import restore_spec
from dlcli.training.engine import steps_of
from dlcli.training.job import assemble

SECONDS = 10.0
"""after so many seconds, nothing more is begun"""
_EACH, _COPIED = 0.7, 2**26
_DENSE = {"Dense": {"units": 100, "activation": "relu"}}
_TINY: dict[str, Any] = {"shapes": [2], "answers": 1, "batch_size": 16, "samples": 4096, "layers": [_DENSE] * 2}
_CONV: dict[str, Any] = {
    "shapes": [28, 28, 1], "answers": 10, "batch_size": 32, "samples": 256,
    "layers": [
        {"Conv2D": {"filters": 32, "kernel_size": 5, "activation": "relu"}}, "MaxPooling2D",
        {"Conv2D": {"filters": 64, "kernel_size": 5, "activation": "relu"}}, "MaxPooling2D",
        "Flatten", {"Dense": {"units": 128, "activation": "relu"}},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """What is measured: its name in machines.json, in words, its unit, and whether more of it is better."""

    key: str
    what: str
    unit: str
    more_is_better: bool = True


FIGURES = (
    Figure("matrix_gflops", "product of matrices, 1024²", "GFLOP/s"),
    Figure("convolution_gflops", "convolution, 32 to 64 channels", "GFLOP/s"),
    Figure("memory_gb_s", "copying memory", "GB/s"),
    Figure("tiny_step_ms", "training step, 10,501 weights", "ms", more_is_better=False),
    Figure("convolution_step_ms", "training step, mnist_cnn", "ms", more_is_better=False),
)


def measure(tell: Callable[[str], object], seconds: float = SECONDS) -> dict[str, float]:
    """The figures by key; what there was no more time for is not among them."""
    tests: Mapping[str, Callable[[], float]] = {
        "matrix_gflops": _product, "convolution_gflops": _convolution, "memory_gb_s": _copying,
        "tiny_step_ms": partial(_step, _TINY), "convolution_step_ms": partial(_step, _CONV),
    }  # fmt: skip
    until = time.perf_counter() + seconds
    found: dict[str, float] = {}
    for figure in FIGURES:
        if time.perf_counter() < until:
            tell(f"measuring: {figure.what} …")
            found[figure.key] = float(f"{tests[figure.key]():.3g}")
    return found


def reference_machines() -> list[dict[str, Any]]:
    """What other machines came to: name, processor, cores, versions, the day, and figures by key."""
    text = Path(__file__).with_name("machines.json").read_text(encoding="utf-8")
    machines: list[dict[str, Any]] = json.loads(text)
    return machines


def _best(work: Callable[[], object], least: int = 2) -> float:
    """The seconds that `work` takes, at best; the first time does not count."""
    work()
    until = time.perf_counter() + _EACH
    times: list[float] = []
    while len(times) < least or time.perf_counter() < until:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _rate(size: int, operation: Callable[[Any], Any], start: Any, operations: float) -> float:
    """How many billion operations a second, done some times in one call, as a training does."""

    def run() -> Any:
        outputs = [operation(start * (1.0 + number)) for number in range(size)]
        return tf.add_n([tf.reduce_sum(output) for output in outputs])

    in_graph = tf.function(run, autograph=False)
    return size * operations / _best(lambda: in_graph().numpy()) / 1e9


def _product() -> float:
    matrix = tf.random.stateless_normal((1024, 1024), (1, 2))
    return _rate(4, lambda start: start @ matrix, matrix, 2 * 1024**3)


def _convolution() -> float:
    images = tf.random.stateless_normal((32, 28, 28, 32), (1, 2))
    kernel = tf.random.stateless_normal((5, 5, 32, 64), (1, 3))
    operations = 2 * 32 * 24 * 24 * 64 * 5 * 5 * 32
    return _rate(2, lambda start: tf.nn.conv2d(start, kernel, 1, "VALID"), images, operations)


def _copying() -> float:
    source = np.ones(_COPIED // 8, np.float64)
    target = np.empty_like(source)
    return 2 * source.nbytes / _best(lambda: np.copyto(target, source)) / 1e9


def _step(network: Mapping[str, Any]) -> float:
    """The milliseconds of a step, by dlcli's own engine, on numbers that are drawn."""
    classes, batch_size = network["answers"], network["batch_size"]
    last = {"Dense": {"units": classes, "activation": "softmax" if classes > 1 else "linear"}}
    source = {"random": {"samples": network["samples"], "shapes": network["shapes"], "answers": classes, "seed": 0}}
    loaded = restore_spec(
        {
            "name": "speed",
            "dataset": {"source": source, "batch_size": batch_size, "test": 0.0},
            "model": {"layers": [*network["layers"], last]},
            "loss": "sparse_categorical_crossentropy" if classes > 1 else "mse",
            "optimizer": {"SGD": {"learning_rate": 1e-3, "momentum": 0.9}},
        }
    )
    job = assemble(loaded, load_data(loaded, Where(None, False, lambda text: None)))
    rows = job.rows["train"]

    def epoch() -> None:
        for _ in job.engine.train(rows, batch_size):
            pass

    return 1000 * _best(epoch) / steps_of(len(rows), batch_size)
