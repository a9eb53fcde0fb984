"""Runs a compiled Keras model's own steps over data that is resident in memory as stored bytes, many steps a call.

The steps are the model's `train_step` and `test_step`, inside one `tf.while_loop` in one `tf.function`; batches are
gathered, prepared and augmented in the same graph, so no float copy of the data ever exists. A call runs as many steps
as take about a tenth of a second: progress, signals and step callbacks come between calls. What an epoch is, and what
happens between epochs, is in `dlcli.training.trainer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array, Examples
from dlcli.data.encoding import Encoding
from dlcli.data.preparation import Preparation

Logs = dict[str, float]

_SECONDS_A_CALL = 0.1
_EVALUATION_BATCHES = range(256, 63, -1)


@dataclass(frozen=True)
class Resident:
    """Raw examples as tensors: inputs of shape (n, ...) and targets of shape (n,)."""

    inputs: Any
    targets: Any


@dataclass(frozen=True)
class Rows:
    """Some rows of resident examples, in the order in which they are read."""

    data: Resident
    order: Array

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Progress:
    """Where a pass over the data is: steps done, examples done, and the metrics so far."""

    steps: int
    examples: int
    logs: Logs


def make_resident(examples: Examples) -> Resident:
    """Hand the examples to TensorFlow, which copies the bytes once; the caller may let go of its own."""
    return Resident(tf.constant(examples.inputs), tf.constant(examples.targets))


def steps_of(examples: int, batch_size: int) -> int:
    """The number of batches, the last of which may be smaller."""
    return -(-examples // batch_size)


def evaluation_batch_size(examples: int) -> int:
    """A batch size that divides the number of examples, where there is one: a smaller last batch is traced apart."""
    return next((size for size in _EVALUATION_BATCHES if examples % size == 0), min(256, max(1, examples)))


class Engine:
    """Training, testing and predicting with one compiled model and one way of preparing its inputs."""

    def __init__(
        self, model: keras.Model, preparation: Preparation, encoding: Encoding, augment: Sequence[Any] = ()
    ) -> None:
        self.model = model
        self.preparation = preparation
        self.encoding = encoding
        self._augment = tuple(augment)
        self._functions: dict[tuple[str, int], Any] = {}

    def make_state(self) -> dict[str, tuple[int, ...]]:
        """Make every variable of model, optimizer and metrics, outside graphs; the shapes of the metrics by name."""
        inputs = self.preparation.apply(tf.zeros((2, *self.preparation.raw_shape), self.preparation.raw_dtype))
        targets = self.encoding.apply(tf.zeros((2,), tf.int32 if self.encoding.classes else tf.float32))
        self.model.test_step((inputs, targets))
        if self.model.optimizer is not None:
            self.model.optimizer.build(self.model.trainable_variables)
        shapes = {name: tuple(tf.shape(value).numpy()) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return shapes

    def train(self, rows: Rows, batch_size: int, *, most_steps_a_call: int | None = None) -> Iterator[Progress]:
        """One pass of training over `rows`; yields after each call, and stops where the caller stops asking."""
        self.model.reset_metrics()
        yield from self._passes("train", rows, batch_size, most_steps_a_call, lambda part: None)

    def test(self, rows: Rows, batch_size: int, *, most_steps_a_call: int | None = None) -> Iterator[Progress]:
        """One pass of testing over `rows`: no weight changes."""
        self.model.reset_metrics()
        yield from self._passes("test", rows, batch_size, most_steps_a_call, lambda part: None)

    def evaluate(self, rows: Rows, batch_size: int, collect: Callable[[Array], None]) -> Iterator[Progress]:
        """As `test`; the model's outputs, shape (examples, units), go to `collect` part by part."""
        self.model.reset_metrics()
        yield from self._passes("evaluate", rows, batch_size, None, collect)

    def predict(self, rows: Rows, batch_size: int, collect: Callable[[Array], None]) -> Iterator[Progress]:
        """The model's outputs for `rows`, whose targets are not read."""
        yield from self._passes("predict", rows, batch_size, None, collect)

    def _passes(
        self, kind: str, rows: Rows, batch_size: int, most: int | None, collect: Callable[[Array], None]
    ) -> Iterator[Progress]:
        whole, rest = divmod(len(rows), batch_size)
        order = tf.constant(rows.order, tf.int64)
        done = 0
        if whole:
            for steps, logs, outputs in self._calls(self._function(kind, batch_size), rows.data, order, whole, most):
                collect(outputs)
                done = steps
                yield Progress(steps, steps * batch_size, logs)
        if rest:
            function = self._function(kind, rest)
            outputs, logs = function(
                rows.data.inputs, rows.data.targets, order[whole * batch_size :], np.int64(0), np.int64(1)
            )
            collect(outputs.numpy())
            yield Progress(done + 1, len(rows), _floats(logs))

    @staticmethod
    def _calls(
        function: Any, data: Resident, order: Any, total: int, most: int | None
    ) -> Iterator[tuple[int, Logs, Array]]:
        done, chunk = 0, 1
        while done < total:
            count = min(chunk, total - done, most or total)
            start = time.perf_counter()
            outputs, logs = function(data.inputs, data.targets, order, np.int64(done), np.int64(count))
            values = _floats(logs)  # waits for the device
            seconds = max(time.perf_counter() - start, 1e-6)
            chunk = max(1, min(count * 4, int(count * _SECONDS_A_CALL / seconds)))
            done += count
            yield done, values, outputs.numpy()

    def _function(self, kind: str, batch_size: int) -> Any:
        key = (kind, batch_size)
        if key not in self._functions:
            step = {
                "train": self._train_step,
                "test": self._test_step,
                "evaluate": self._evaluate_step,
                "predict": self._predict_step,
            }[kind]
            collects = kind in ("evaluate", "predict")
            run = partial(self._run_steps, step, batch_size, collects)
            self._functions[key] = tf.function(run, autograph=False, reduce_retracing=True)
        return self._functions[key]

    def _run_steps(
        self, step: Any, batch_size: int, collects: bool, inputs: Any, targets: Any, order: Any, first: Any, count: Any
    ) -> tuple[Any, Any]:
        """In a graph: `count` steps from step `first`; the collected outputs, and the metrics after the last step."""

        def body(number: Any, outputs: Any) -> tuple[Any, Any]:
            chosen = tf.slice(order, [(first + number) * batch_size], [batch_size])
            output = step(tf.gather(inputs, chosen), tf.gather(targets, chosen))
            return number + 1, outputs.write(tf.cast(number, tf.int32), output) if collects else outputs

        size = tf.cast(count, tf.int32) if collects else 0
        collected = tf.TensorArray(tf.float32, size=size, element_shape=(batch_size, *self._output_shape()))
        zero = tf.constant(0, tf.int64)
        _, collected = tf.while_loop(lambda number, _: number < count, body, [zero, collected], parallel_iterations=1)
        outputs = collected.concat() if collects else tf.zeros((0,))
        return outputs, self.model.get_metrics_result() if step != self._predict_step else {}

    def _output_shape(self) -> tuple[int | None, ...]:
        return tuple(self.model.output_shape[1:])

    def _train_step(self, inputs: Any, targets: Any) -> None:
        prepared = self.preparation.apply(inputs)
        for layer in self._augment:
            prepared = layer(prepared, training=True)
        self.model.train_step((prepared, self.encoding.apply(targets)))

    def _test_step(self, inputs: Any, targets: Any) -> None:
        self.model.test_step((self.preparation.apply(inputs), self.encoding.apply(targets)))

    def _evaluate_step(self, inputs: Any, targets: Any) -> Any:
        # `compute_metrics` is the hook that Keras documents for seeing a step's predictions; set while tracing only.
        original = self.model.compute_metrics
        seen: list[Any] = []

        def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            seen.append(y_pred)
            return original(x, y, y_pred, sample_weight)

        self.model.compute_metrics = compute_metrics
        try:
            self._test_step(inputs, targets)
        finally:
            del self.model.compute_metrics
        return tf.cast(seen[0], tf.float32)

    def _predict_step(self, inputs: Any, targets: Any) -> Any:
        return tf.cast(self.model(self.preparation.apply(inputs), training=False), tf.float32)


def _floats(logs: dict[str, Any]) -> Logs:
    return {name: float(np.asarray(value)) for name, value in logs.items()}
