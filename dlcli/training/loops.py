"""Ways of running a compiled Keras model's own steps over a block of examples: graph loops, the same compiled by XLA,
and Keras's calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from dlcli.training.choices import Choices
from dlcli.training.division import Division, Undivided
from dlcli.training.feeding import Block
from dlcli.training.lean import lean_updates
from dlcli.training.towers import divided

Kind = Literal["train", "test", "evaluate", "predict"]

_BYTES_COMPILED = 2 * 2**20


class Ran(NamedTuple):
    """What came of a block.

    Attributes:
        outputs: of the model, an array each, if the kind collects them.
        logs: the figures after the last batch.
        steps: how many batches were run.
    """

    outputs: list[Any]
    logs: dict[str, Any]
    steps: Any


class Runner(Protocol):
    """Runs steps of a model, in one way or another."""

    def __call__(self, kind: Kind, block: Block, batch_size: int, *, is_first: bool) -> Ran:
        """Run the batches of a block; with `is_first`, the first one begins the metrics anew.

        Training ends at a step whose loss is no number, or infinite, which is then the last that was run.
        """


class NotTraceableError(Exception):
    """The steps of this model cannot become a graph; the message says why."""


class NotCompilableError(Exception):
    """XLA cannot compile the steps of this model; the message says why."""


class GraphLoops:
    """All steps of a block in one `tf.while_loop` in one `tf.function`: batches are gathered, prepared and augmented
    in the graph too, so that no float copy of the data ever exists and nothing but a block's end waits for Python.

    One function a kind serves whole and smaller batches, so that each is traced once.
    """

    def __init__(self, model: keras.Model, feed: Any, choices: Choices, division: Division | None = None) -> None:
        self._model = model
        self._feed = feed
        self._choices = choices
        self._division = division or Undivided()
        self._functions: dict[tuple[Kind, int], Any] = {}

    def __call__(self, kind: Kind, block: Block, batch_size: int, *, is_first: bool) -> Ran:
        """See `Runner`. Raises NotTraceableError before any step has run."""
        bounds = np.int64(block.first), np.int64(block.first + block.examples)
        arguments = (block.tensors, block.order, *bounds, np.int64(block.last or batch_size), np.bool_(is_first))
        key = (kind, batch_size)
        towers = self._choices.towers if kind == "train" else self._choices.test_towers
        if key not in self._functions:
            run = partial(self._run, kind, batch_size)
            # With a signature: another split of the data, of another length, would be traced again.
            signature = tf.nest.map_structure(_any_length, arguments)
            function = tf.function(run, autograph=False, input_signature=signature)
            try:
                with divided(self._model, towers), lean_updates(self._model), self._division.tracing(self._model):
                    self._functions[key] = function.get_concrete_function()
            except Exception as error:
                raise NotTraceableError(f"{type(error).__name__}: {error}") from error
        return Ran(*self._functions[key](*arguments))

    def _run(
        self, kind: Kind, batch_size: int, tensors: Any, order: Any, first: Any, end: Any, last: Any, is_first: Any
    ) -> tuple[Any, Any, Any]:
        """In a graph: the steps from position `first` of `order` to `end`; see `Ran`.

        The batches of all processes together have `batch_size` examples, and the last one has `last`.
        """
        own = self._division.own(batch_size)
        step: Callable[[Any], Any] = getattr(self, f"_{kind}_step")
        collects = kind in ("evaluate", "predict")
        _begin_metrics(self._model, is_first)
        shapes = [(None, *output.shape[1:]) for output in self._model.outputs] if collects else []
        steps = tf.cast(-((first - end) // own), tf.int32)
        arrays = tuple(tf.TensorArray(tf.float32, steps, element_shape=shape, infer_shape=False) for shape in shapes)

        def body(number: Any, is_finite: Any, arrays: Any) -> tuple[Any, Any, Any]:
            start = first + tf.cast(number, tf.int64) * own
            size = tf.minimum(tf.constant(own, tf.int64), end - start)
            chosen = tf.slice(order, [start], [size])
            self._division.step_of(tf.where(number == steps - 1, last, batch_size), batch_size)
            result = step(tf.nest.map_structure(lambda part: tf.gather(part, chosen), tensors))
            written = zip(arrays, keras.tree.flatten(result), strict=True) if collects else ()
            if kind == "train":
                is_finite = tf.math.is_finite(result["loss"]) if "loss" in result else is_finite
            return (
                number + 1,
                is_finite,
                tuple(array.write(number, tf.cast(output, tf.float32)) for array, output in written),
            )

        def goes_on(number: Any, is_finite: Any, arrays: Any) -> Any:
            return tf.logical_and(number < steps, is_finite)

        number, _, arrays = tf.while_loop(goes_on, body, [0, tf.constant(True), arrays], parallel_iterations=1)
        outputs = [array.concat() for array in arrays]
        return outputs, {} if kind == "predict" else self._model.get_metrics_result(), number

    def _train_step(self, raw: Any) -> Any:
        with self._division.drawing_apart(self._drawn):
            inputs, *told = self._feed.for_training(raw)
        return self._model.train_step((inputs, *self._division.whole(told)))

    def _test_step(self, raw: Any) -> None:
        inputs, *told = self._feed.for_testing(raw)
        self._model.test_step((inputs, *self._division.whole(told)))

    @property
    def _drawn(self) -> list[Any]:
        return [variable for layer in self._feed.augmenting_layers() for variable in layer.variables]

    def _evaluate_step(self, raw: Any) -> Any:
        # `compute_metrics` is the hook that Keras documents for seeing a step's predictions; set while tracing only.
        original, is_own = self._model.compute_metrics, "compute_metrics" in vars(self._model)
        seen: list[Any] = []

        def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            seen.append(y_pred)
            return original(x, y, y_pred, sample_weight)

        self._model.compute_metrics = compute_metrics
        try:
            self._test_step(raw)
        finally:
            del self._model.compute_metrics
            if is_own:
                self._model.compute_metrics = original
        return seen[0]

    def _predict_step(self, raw: Any) -> Any:
        return self._model(self._feed.for_testing(raw)[0], training=False)


class CompiledLoops:
    """As `GraphLoops`, with the loop of training compiled by XLA as a whole: no single operations that are handed from
    thread to thread, and one pass over memory for what belongs together.

    XLA knows shapes only when they are fixed: whole batches have one function, a smaller last one has another. Each is
    handed some megabytes of batches: with all examples, a step of mnist_mlp_dropout took 8.8 ms instead of 7.2.
    """

    def __init__(self, model: keras.Model, feed: Any, choices: Choices) -> None:
        self._model = model
        self._feed = feed
        self._loops = GraphLoops(model, feed, choices)
        self._functions: dict[int, tuple[Any, int]] = {}

    def __call__(self, kind: Kind, block: Block, batch_size: int, *, is_first: bool) -> Ran:
        """See `Runner`. Raises NotCompilableError, or NotTraceableError, before any step has run."""
        if kind != "train":
            return self._loops(kind, block, batch_size, is_first=is_first)
        whole, rest = divmod(block.examples, batch_size)
        logs: dict[str, Any] = {}
        done = 0
        if whole:
            logs, done = self._train(block, batch_size, block.first, whole, is_first=is_first)
        if rest and done == whole and np.isfinite(np.asarray(logs.get("loss", 0.0))):
            first = block.first + whole * batch_size
            logs, _ = self._train(block, rest, first, 1, is_first=is_first and not whole)
            done += 1
        return Ran([], logs, done)

    def _train(
        self, block: Block, batch_size: int, first: int, steps: int, *, is_first: bool
    ) -> tuple[dict[str, Any], int]:
        """Steps of whole batches from position `first` on; the figures, and how many steps were run."""
        if batch_size not in self._functions:
            self._functions[batch_size] = self._compile(block, batch_size)
        function, most = self._functions[batch_size]
        logs: dict[str, Any] = {}
        done = 0
        while done < steps:
            wanted = min(most, steps - done)
            start = np.int64(first + done * batch_size)
            logs, ran = function(block.tensors, block.order, start, np.int32(wanted), np.bool_(is_first and not done))
            done += int(ran)
            if int(ran) < wanted:
                break
        return logs, done

    def _compile(self, block: Block, batch_size: int) -> tuple[Any, int]:
        """What runs steps of that many examples, and how many steps it takes at once."""
        parts = tf.nest.flatten(block.tensors)
        size = sum(part.dtype.size * math.prod(part.shape[1:]) for part in map(tf.convert_to_tensor, parts))
        most = max(1, min(_BYTES_COMPILED // max(1, size * batch_size), block.whole // batch_size))
        compiled = tf.function(partial(self._run, batch_size), autograph=False, jit_compile=True)

        def run(tensors: Any, order: Any, first: Any, steps: Any, is_first: Any) -> Any:
            chosen = tf.slice(order, [first], [tf.cast(steps, tf.int64) * batch_size])
            missing = (most - steps) * batch_size

            def take(part: Any) -> Any:
                rows = tf.gather(part, chosen)
                padded = tf.pad(rows, [[0, missing], *([0, 0] for _ in part.shape[1:])])
                return tf.ensure_shape(padded, [most * batch_size, *part.shape[1:]])

            return compiled(tf.nest.map_structure(take, tensors), steps, is_first)

        arguments = (block.tensors, block.order, np.int64(block.first), np.int32(0), np.bool_(False))
        signature = tf.nest.map_structure(_any_length, arguments)
        try:
            with _quick_dropout(), lean_updates(self._model):
                function = tf.function(run, autograph=False, input_signature=signature).get_concrete_function()
        except Exception as error:
            raise NotTraceableError(f"{type(error).__name__}: {error}") from error
        try:
            function(*arguments)  # compiles, and runs no step
        except tf.errors.OpError as error:
            raise NotCompilableError(error.message.splitlines()[0]) from error
        return function, most

    def _run(self, batch_size: int, tensors: Any, steps: Any, is_first: Any) -> tuple[dict[str, Any], Any]:
        """In a graph: that many steps of whole batches, one after the other; figures, and steps."""
        _begin_metrics(self._model, is_first)

        def body(number: Any, is_finite: Any) -> tuple[Any, Any]:
            # By `tf.slice`, XLA may take what it begins at for a constant, and compile each call anew.
            chosen = number * batch_size + tf.range(batch_size)
            raw = tf.nest.map_structure(lambda part: tf.gather(part, chosen), tensors)
            result = self._model.train_step(self._feed.for_training(raw))
            return number + 1, tf.math.is_finite(result["loss"]) if "loss" in result else is_finite

        def goes_on(number: Any, is_finite: Any) -> Any:
            return tf.logical_and(number < steps, is_finite)

        number, _ = tf.while_loop(goes_on, body, [0, tf.constant(True)], parallel_iterations=1)
        return self._model.get_metrics_result(), number


@contextmanager
def _quick_dropout() -> Iterator[None]:
    """While entered, dropout that is traced draws by ThreeFry.

    XLA on the CPU needs 18 ns a number for Philox, which it takes otherwise, and 4 for ThreeFry (TensorFlow 2.21): a
    third of a step of mnist_mlp_dropout.
    """
    original = tf.nn.experimental.stateless_dropout
    tf.nn.experimental.stateless_dropout = partial(original, rng_alg="threefry")
    try:
        yield
    finally:
        tf.nn.experimental.stateless_dropout = original


def _begin_metrics(model: keras.Model, is_first: Any) -> None:
    """In a graph: the metrics begin anew if `is_first`.

    From Python, each of the assignments would take as long as a small network's step. Keras's metrics only assign to
    their variables, which needs no condition: tracing one takes a tenth of what tracing a small network's steps does.
    """
    metrics = [inner for outer in model.metrics for inner in getattr(outer, "metrics", [outer])]
    if not all(type(metric).__module__.startswith("keras.") for metric in metrics):
        tf.cond(is_first, partial(_reset_metrics, model), lambda: 0)
        return
    with keras.StatelessScope(initialize_variables=False) as scope:
        model.reset_metrics()
    for variable in model.metrics_variables:
        value = scope.get_current_value(variable)
        if value is not None:
            variable.assign(tf.where(is_first, value, variable.value))


def _reset_metrics(model: keras.Model) -> int:
    model.reset_metrics()
    return 0


def _any_length(value: Any) -> Any:
    """What a value of any number of rows is like."""
    tensor = tf.convert_to_tensor(value)
    return tf.TensorSpec([None, *tensor.shape[1:]] if tensor.shape.rank else [], tensor.dtype)


class KerasSteps:
    """The functions that Keras's own `fit`, `evaluate` and `predict` call for each batch: the plain path.

    They also run what is no graph. (`train_on_batch` and its kind would reset the metrics at each batch: Keras 3.15.1.)
    """

    def __init__(self, model: keras.Model, feed: Any) -> None:
        self._model = model
        self._feed = feed
        model.make_train_function()
        model.make_test_function()

    def __call__(self, kind: Kind, block: Block, batch_size: int, *, is_first: bool) -> Ran:
        """See `Runner`."""
        if is_first:
            self._model.reset_metrics()
        parts: list[list[Any]] = []
        logs: dict[str, Any] = {}
        steps = 0
        end = block.first + block.examples
        for start in range(block.first, end, batch_size):
            chosen = block.order[start : min(start + batch_size, end)]
            raw = tf.nest.map_structure(lambda part, chosen=chosen: tf.gather(part, chosen), block.tensors)
            if kind == "train":
                logs = self._model.train_function(iter([self._feed.for_training(raw)]))
                steps += 1
                if not np.isfinite(np.asarray(logs.get("loss", 0.0))):
                    break
                continue
            batch = self._feed.for_testing(raw)
            if kind != "predict":
                logs = self._model.test_function(iter([batch]))
            if kind != "test":
                parts.append(keras.tree.flatten(self._model.predict_on_batch(batch[0])))
            steps += 1
        return Ran([np.concatenate(arrays) for arrays in zip(*parts, strict=True)], logs, steps)
