"""When the loss is no longer a number: where that began, and either the end, or a way back with a smaller rate."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.errors import DivergedError
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.feeding import Pace

if TYPE_CHECKING:
    from dlcli.training.engine import Logs
    from dlcli.training.going_on import GoingOn
    from dlcli.training.training import Training

# Steps are done again one by one to find the first bad one, if there are not more, and only for so long.
_MOST_STEPS = 5000
_MOST_SECONDS = 60.0


class DivergenceError(Exception):
    """The loss of a step was no number.

    Attributes:
        steps: of the epoch, up to that step.
        loss: what it was.
    """

    def __init__(self, steps: int, loss: float) -> None:
        super().__init__(f"the loss is {loss} at step {steps}")
        self.steps = steps
        self.loss = loss


def check_finite(steps: int, logs: Logs) -> None:
    """Raise DivergenceError if the loss after so many steps is no number, or infinite."""
    loss = logs.get("loss", 0.0)
    if not math.isfinite(loss):
        raise DivergenceError(steps, loss)


@dataclass(frozen=True)
class _Found:
    """The first step after which weights were no numbers.

    Attributes:
        epoch, step: which, both from 1.
        layers: whose weights these are.
        is_all: whether no other layer has weights.
        largest: of all weights before it, by size: the layer, and the weight's absolute value.
    """

    epoch: int
    step: int
    layers: list[str]
    is_all: bool
    largest: tuple[str, float]


def go_back(training: Training, error: DivergenceError) -> None:
    """Go back to the last good moment, with a smaller rate, as the spec says.

    Raises:
        DivergedError: the spec does not say so, or it has been done as often as it says; the message has what is known.
    """
    training.listener.phase("looking for where it began")
    rate = float(keras.ops.convert_to_numpy(training.job.model.optimizer.learning_rate))
    epoch = len(training.history) + 1
    place = f"step {error.steps} of epoch {epoch}"
    message = f"The loss is {_spoken(error.loss)} at {place}, at a learning rate of {rate:g}."
    in_data = _bad_data(training, epoch, error.steps)
    spec = training.job.loaded.spec.train.divergence
    if spec is not None and in_data is None and training.retries < spec.retries:
        _with_smaller_rate(training, message, spec.factor)
        return
    if in_data is not None:
        raise DivergedError(f"{message} {in_data}", "Mend the data, or take these examples out.")
    where = _where(training, error)
    raise DivergedError(f"{message} {where}", _remedies(training, rate))


def _spoken(loss: float) -> str:
    return "no number (NaN)" if math.isnan(loss) else "infinite"


def _remedies(training: Training, rate: float) -> str:
    spec = training.job.loaded.spec
    written = spec.optimizer
    place = f"optimizer.{written.name}"
    clips = any(name in written.arguments for name in ("clipnorm", "clipvalue", "global_clipnorm"))
    parts = [f"Try a smaller learning rate ({rate / 10:g})", *([] if clips else [f"`clipnorm: 1.0` in `{place}`"])]
    if spec.precision == "mixed_float16":
        parts.append("`precision: mixed_bfloat16`, since float16 has no number beyond 65,504")
    again = f"`{place}.learning_rate={rate / 10:g}`"
    return f"{', or '.join(parts)}. To go on from the last checkpoint: --resume, --set {again} and --allow-change."


def _batch(training: Training, epoch: int, step: int) -> Any:
    rows, spec = training.job.rows["train"], training.job.loaded.spec
    order = training.job.epoch_order(epoch - 1)
    size = spec.dataset.batch_size
    chosen = order[(step - 1) * size : step * size]
    [block] = rows.data.blocks(chosen, len(chosen), Pace(1))
    positions = block.order[block.first : block.first + block.examples]
    return tf.nest.map_structure(lambda part: tf.gather(part, positions), block.tensors), chosen


def _bad_data(training: Training, epoch: int, step: int) -> str | None:
    """What is wrong with the examples of a step, as the model gets them; None if they are all numbers."""
    raw, rows = _batch(training, epoch, step)
    inputs, targets = training.job.engine.feed.for_testing(raw)[:2]
    for name, values in (("inputs", inputs), ("targets", targets)):
        numbers = np.asarray(values)
        if numbers.dtype.kind != "f":
            continue
        bad = ~np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1)
        if bad.any():
            examples = ", ".join(str(row) for row in rows[bad][:5])
            more = f" and {int(bad.sum()) - 5} more" if bad.sum() > 5 else ""
            return f"The {name} of that step are not all numbers: those of the training examples {examples}{more}."
    return None


def _where(training: Training, error: DivergenceError) -> str:
    layers, is_all, _ = _look(training.job.model)
    found = _first(training, error)
    if found is None:
        if not layers:
            return "All weights are still numbers."
        return f"Now {_those_of(layers, is_all)} are no numbers."
    place = f"step {found.step} of epoch {found.epoch}"
    layer, largest = found.largest
    return (
        f"The first that became no numbers were {_those_of(found.layers, found.is_all)}, in the update of {place}; "
        f"before it, the largest weight was {largest:.3g}, in `{layer}`."
    )


def _those_of(layers: list[str], is_all: bool) -> str:
    if is_all:
        return "the weights of all layers"
    named = ", ".join(f"`{name}`" for name in layers[:5])
    return f"the weights of {named}{f' and {len(layers) - 5} more layers' if len(layers) > 5 else ''}"


def _look(model: keras.Model) -> tuple[list[str], bool, tuple[str, float]]:
    """The layers with weights that are no numbers; whether all are such; the largest weight of the others."""
    bad: dict[str, None] = {}
    good: dict[str, float] = {}
    for weight in model.weights:
        layer = str(weight.path).rsplit("/", 1)[0] or str(weight.path)
        values = keras.ops.convert_to_numpy(weight)
        if values.dtype.kind not in "f" or not values.size:
            continue
        largest = float(np.abs(values).max())
        if math.isfinite(largest):
            good[layer] = max(largest, good.get(layer, 0.0))
        else:
            bad[layer] = None
    largest_of_all = max(good.items(), key=lambda pair: pair[1], default=("", 0.0))
    return list(bad), not good.keys() - bad.keys(), largest_of_all


def _first(training: Training, error: DivergenceError) -> _Found | None:
    """The first step after which weights were no numbers, by doing the steps since the last good moment again.

    None if there is none to begin from, if they are too many, or if callbacks may have changed things between them.
    """
    epochs, steps = len(training.history), training.steps_done
    if _go_to_last_good(training) is None:
        return None
    began = training.position
    if steps - began.step > _MOST_STEPS or (began.epoch < epochs and training.callbacks.callbacks):
        return None
    until = time.monotonic() + _MOST_SECONDS
    before = training.in_epoch.steps if training.in_epoch else 0
    spec = training.job.loaded.spec
    largest = _look(training.job.model)[2]
    for epoch in range(began.epoch, epochs + 1):
        order = training.job.epoch_order(epoch)
        first = before * spec.dataset.batch_size if epoch == began.epoch else 0
        again = training.job.engine.train(
            training.job.training_rows(order), spec.dataset.batch_size, one_by_one=True, first=first
        )
        for progress in again:
            layers, is_all, now = _look(training.job.model)
            if layers:
                step = progress.steps + first // spec.dataset.batch_size
                return _Found(epoch + 1, step, layers, is_all, largest)
            largest = now
            if time.monotonic() > until or (epoch == epochs and progress.steps + before >= error.steps):
                return None
    return None


def _go_to_last_good(training: Training) -> GoingOn | None:
    """Let the training be where it was at the last moment that is kept; None if there is none."""
    training.saver.finish()
    training.job.engine.division.share_file(training.run.last)
    if training.saver.saved is not None:
        return training.go_to_checkpoint(open_checkpoint(training.run.last))
    return training.go_to_moment(training.first) if training.first is not None else None


def _with_smaller_rate(training: Training, message: str, factor: float) -> None:
    """Go on from the last good moment."""
    then = _go_to_last_good(training)
    training.saver.forget_best()
    training.retries += 1
    optimizer = training.job.model.optimizer
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    rate *= factor ** (training.retries - (then.retries if then else 0))
    optimizer.learning_rate = rate
    training.run.rewrite_history(training.history)
    place = f"epoch {len(training.history)}, step {training.steps_done}"
    training.listener.notice("back with a smaller rate", [message, f"Training goes on from {place} at {rate:g}."])
