"""Trains, tests and predicts with a compiled Keras model: the one place through which all steps of a model go.

The steps run in graph loops over blocks of examples that take about a tenth of a second: progress, signals and step
callbacks come between blocks. A model that is no graph, or a person who asks for it, gets Keras's own calls instead.
What an epoch is, and what happens between epochs, is in `dlcli.training.trainer`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.scaling import scales_of
from dlcli.errors import RunError
from dlcli.model.objects import reason
from dlcli.training.choices import EVALUATION_BATCH_SIZE, Choices
from dlcli.training.division import Division, Undivided
from dlcli.training.feeding import Block, Pace, Rows, as_floats
from dlcli.training.loops import (
    CompiledLoops,
    GraphLoops,
    KerasSteps,
    Kind,
    NotCompilableError,
    NotTraceableError,
    Ran,
    Runner,
)
from dlcli.training.towers import divisible

_MOST_NUMBERS, _FEWEST = 2**24, 32  # numbers that go into a step of testing, and examples of it

Logs = dict[str, float]
Collect = Callable[[Any], None]


@dataclass(frozen=True)
class Progress:
    """Where a pass over the data is: steps done, examples done, and the metrics so far."""

    steps: int
    examples: int
    logs: Logs


def steps_of(examples: int, batch_size: int) -> int:
    """The number of batches, the last of which may be smaller."""
    return -(-examples // batch_size)


class Engine:
    """Training, testing and predicting with one compiled model.

    Attributes:
        model: the compiled model.
        feed: makes batches for it; see `dlcli.training.feeding.Feed`.
        choices: how its graphs run.
        fallback: why the steps run through Keras's own calls, if no one asked for that; else None.
    """

    def __init__(
        self, model: keras.Model, feed: Any, *, plain: bool = False, choices: Choices | None = None,
        division: Division | None = None,
    ) -> None:  # fmt: skip
        self.model = model
        self.feed = feed
        self.division = division or Undivided()
        _measure_in_units(model, feed)
        choices = choices or Choices()
        if max(choices.towers, choices.test_towers) > 1 and not divisible(model):
            because = f"{choices.because}; but a layer of this model looks beyond its example"
            choices = replace(choices, because=because, towers=1, test_towers=1)
        self.choices = choices
        self.fallback: str | None = None
        eager = bool(getattr(model, "run_eagerly", False))
        if self.division.replicas > 1:
            if plain or eager:
                self._refuse("its steps run one by one, by Keras's own calls.")
            self._run: Runner = GraphLoops(model, feed, choices, self.division)
        elif plain or eager:
            self._run = KerasSteps(model, feed)
        else:
            self._run = (CompiledLoops if choices.compiled else GraphLoops)(model, feed, choices)
        self._paces: dict[tuple[Kind, int], Pace] = {}

    @property
    def path(self) -> str:
        """How the steps run: "graph" or "keras"."""
        return "keras" if isinstance(self._run, KerasSteps) else "graph"

    @property
    def steps_a_call(self) -> int:
        """How many steps of training a call runs now."""
        return max((pace.steps for (kind, _), pace in self._paces.items() if kind == "train"), default=1)

    def record(self) -> dict[str, Any]:
        """How the graphs run, and why, for run.json."""
        onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
        return {**asdict(self.choices), "onednn": onednn}

    def make_state(self) -> dict[str, tuple[int, ...]]:
        """Make every variable of model, optimizer and metrics, outside graphs; the shapes of the metrics by name."""
        weights = {id(weight) for weight in self.model.weights}
        others = [variable for variable in self.model.variables if id(variable) not in weights]
        before = [keras.ops.convert_to_numpy(variable) for variable in others]
        self.model.test_step(self.feed.for_testing(self.feed.stand_ins()))
        # An LSTM with dropout draws random numbers in a test, too (Keras 3.15.1); training begins as if it had not.
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)
        if self.model.optimizer is not None:
            self.model.optimizer.build(self.model.trainable_variables)
        shapes = {name: tuple(tf.shape(value).numpy()) for name, value in self.model.get_metrics_result().items()}
        self.model.reset_metrics()
        return shapes

    def train(self, rows: Rows, batch_size: int, *, one_by_one: bool = False, first: int = 0) -> Iterator[Progress]:
        """One pass of training over `rows`; yields after each block, and stops where the caller stops asking.

        It also stops after a step whose loss is no number, or infinite. With `one_by_one` each step is a block of its
        own, for callbacks that hear of steps. A pass that goes on at row `first` goes on with the metrics as they are;
        its progress counts from there.
        """
        pace = self.division.pace(1) if one_by_one else None
        yield from self._pass("train", rows, batch_size, _ignore, pace, first=first)

    def test(self, rows: Rows, batch_size: int | None = None) -> Iterator[Progress]:
        """One pass of testing over `rows`: no weight changes."""
        yield from self._pass("test", rows, batch_size or _evaluated_at_once(rows), _ignore)

    def evaluate(self, rows: Rows, collect: Collect, batch_size: int | None = None) -> Iterator[Progress]:
        """As `test`; the model's outputs go to `collect` block by block: an array, or a list where it has several."""
        yield from self._pass("evaluate", rows, batch_size or _evaluated_at_once(rows), collect)

    def predict(self, rows: Rows, collect: Collect, batch_size: int | None = None) -> Iterator[Progress]:
        """The model's outputs for `rows`, whose targets are not read."""
        yield from self._pass("predict", rows, batch_size or _evaluated_at_once(rows), collect)

    def _pass(
        self, kind: Kind, rows: Rows, batch_size: int, collect: Collect, pace: Pace | None = None, *,
        first: int = 0,
    ) -> Iterator[Progress]:  # fmt: skip
        pace = pace or self._paces.setdefault((kind, batch_size), self.division.pace())
        own = self.division.own(batch_size)
        done = 0
        for block in self.division.data(rows.data).blocks(rows.order, batch_size, pace, first):
            began = time.perf_counter()
            with self.division.waiting():
                outputs, logs, ran = self._call(kind, block, batch_size, is_first=done == 0 and first == 0)
                figures, steps = as_floats(logs), int(ran)
            if outputs:
                collect(np.asarray(outputs[0]) if len(outputs) == 1 else [np.asarray(output) for output in outputs])
            pace.ran(steps, time.perf_counter() - began)
            done = min(done + steps * batch_size, len(rows) - first)
            yield Progress(steps_of(done, batch_size), done, figures)
            if steps < steps_of(block.examples, own):
                return

    def _call(self, kind: Kind, block: Block, batch_size: int, *, is_first: bool) -> Ran:
        try:
            return self._run(kind, block, batch_size, is_first=is_first)
        except NotCompilableError as error:
            because = f"{self.choices.because}; but XLA cannot compile this model's steps: {error}"
            self.choices = replace(self.choices, because=because, compiled=False)
            self._run = GraphLoops(self.model, self.feed, self.choices)
            return self._call(kind, block, batch_size, is_first=is_first)
        except NotTraceableError as error:
            if self.division.replicas > 1:
                self._refuse(reason(error.__cause__) if isinstance(error.__cause__, Exception) else f"{error}.")
            self.fallback = str(error)
            # Keras's own steps take batches whole, and one by one.
            self.choices = replace(self.choices, towers=1, test_towers=1, compiled=False)
            self._run = KerasSteps(self.model, self.feed)
            return self._run(kind, block, batch_size, is_first=is_first)

    def _refuse(self, why: str) -> NoReturn:
        """Raises RunError: several copies of this model cannot work together."""
        message = f"This model cannot be trained with `strategy: {self.division.name}`: {why}"
        raise RunError(message, "Train it with `--strategy none`.")


def _measure_in_units(model: keras.Model, feed: Any) -> None:
    """Let the metrics, other than the loss, see targets and outputs in the targets' own units, if these are scaled.

    By the hook that Keras documents for it, so that metrics are those of the spec, in the checkpoint as well.
    """
    if not scales_of(feed.encoding):
        return

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        told, given = feed.encoding.restore(y), feed.encoding.restore(y_pred)
        return type(model).compute_metrics(model, x, told, given, sample_weight)

    model.compute_metrics = compute_metrics


def _evaluated_at_once(rows: Rows) -> int:
    """How many examples a step of testing takes: fewer than usual of large pictures, whose layers put out more."""
    numbers = sum(int(math.prod(part.shape[1:])) for part in tf.nest.flatten(rows.data.inputs))
    return max(_FEWEST, min(EVALUATION_BATCH_SIZE, _MOST_NUMBERS // max(1, numbers)))


def _ignore(outputs: Any) -> None:
    """For passes whose outputs no one wants."""
