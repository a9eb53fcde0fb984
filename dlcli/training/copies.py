"""A copy of a model, wherever it is: what its layers read, what they draw, and what becomes of its variables.

How the copies on several devices, or workers, are put together is in `dlcli.training.on_devices` and `.on_workers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dlcli.training.state import global_generator

_APART = 0x9E3779B1  # by which the seeds of two copies differ


class NotDivisibleError(Exception):
    """A batch cannot go through several copies of this model; the message says why."""


class Updates(NamedTuple):
    """What a copy makes of its variables: each with its value.

    Attributes:
        seeds: random states.
        averaged: numbers of which a mean can be taken.
        counts: whole numbers.
    """

    seeds: list[tuple[Any, Any]]
    averaged: list[tuple[Any, Any]]
    counts: list[tuple[Any, Any]]


class Copy:
    """A copy of a model, or of some layers; while its `scope` is entered, layers are those of this copy.

    Args:
        held: their variables.
        values: what those are read as, in their order.
        number: of the copy; each draws random numbers of its own.
    """

    def __init__(self, held: Sequence[Any], values: Sequence[Any], number: int) -> None:
        self._held = held
        self._given = [
            value + apart(one, number) if is_seed(one) else value for one, value in zip(held, values, strict=True)
        ]
        self.scope = keras.StatelessScope(
            list(zip(held, self._given, strict=True)), collect_losses=True, initialize_variables=False
        )

    def updates(self) -> Updates:
        """The variables that have another value than they came with.

        Raises:
            NotDivisibleError: a layer changes a weight while it is called.
        """
        updates = Updates([], [], [])
        for variable, given in zip(self._held, self._given, strict=True):
            value = self.scope.get_current_value(variable)
            if value is given:
                continue
            if variable.trainable:
                raise NotDivisibleError(f"`{variable.path}` is changed by its layer, and trained")
            is_float = tf.as_dtype(variable.dtype).is_floating
            group = updates.seeds if is_seed(variable) else updates.averaged if is_float else updates.counts
            group.append((variable, value))
        return updates


def variables_of(model: keras.Model) -> list[Any]:
    """What the layers of a model may read, and change."""
    measured = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in measured] + global_generator()


def assign(updates: Sequence[tuple[Any, Any]]) -> None:
    """Give the variables their values."""
    for variable, value in updates:
        variable.assign(value)


def is_seed(variable: Any) -> bool:
    """Whether it is a random state."""
    return bool(variable.name == "seed_generator_state")


def apart(seed: Any, number: int) -> Any:
    """What makes a random state, a seed and how often it was drawn from, that of the copy with this number."""
    return tf.constant([number * _APART % 2**31, 0], seed.dtype)


def portion(count: Any, total: Any) -> Any:
    """Which part of a batch a copy has."""
    return tf.cast(count, tf.float32) / tf.cast(total, tf.float32)


def shares_of(values: Sequence[Any], part: Any) -> list[Any]:
    """What a copy adds to means over the whole batch."""
    return [value * tf.cast(part, value.dtype) for value in values]


def of_rows(gradient: Any) -> bool:
    """Whether it is that of rows of a table, which each example names; all of them make the whole batch's.

    Added up, it would be another one for Keras 3.15.1: its Adam squares such rows one by one, also where two are the
    same row. What does not grow with the batch, as for a table of positions, is named by all copies alike.
    """
    return isinstance(gradient, tf.IndexedSlices) and gradient.values.shape[0] is None


def kept(value: Any) -> Any:
    """The value as it is computed: TensorFlow 2.21 would put sums into one another, and take out common factors."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def kept(one: Any) -> Any:
        return tf.raw_ops.Snapshot(input=one), lambda upstream: upstream

    return kept(value)


def in_order(parts: Sequence[Any]) -> Any:
    """Their sum in this order.

    `tf.add_n` begins with the one whose memory it can take for the sum, which is another one at another moment
    (TensorFlow 2.21), and is put together with others by what is known of their shapes.
    """
    return reduce(lambda whole, part: kept(whole + part), parts)
