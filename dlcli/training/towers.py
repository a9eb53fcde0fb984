"""Takes a batch through a model in parts that run side by side, each on a thread of its own.

The loss, the metrics and the regularization see the whole batch, as in Keras; only the calls of the layers are divided,
and with them, by the rules of differentiation, their gradients, whose sum is the whole batch's. It pays where each
operation would otherwise be divided among the threads, which then wait for each other at the end of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


def divisible(model: keras.Model) -> bool:
    """Whether each example goes through the model's layers by itself, and leaves nothing behind but its output.

    `dlcli.training.choices` knows the classes for which that can be; this looks at the layers themselves.
    """
    layers = model._flatten_layers(include_self=True, recursive=True)
    return all(
        type(layer).__module__.startswith("keras.")
        and getattr(layer, "activity_regularizer", None) is None
        and not getattr(layer, "mask_zero", False)
        and getattr(layer, "noise_shape", None) is None
        and layer.compute_dtype == "float32"
        for layer in layers
    )


@contextmanager
def divided(model: keras.Model, towers: int) -> Iterator[None]:
    """While entered, a call of the model divides its batch; for tracing. With one tower nothing changes."""
    if towers == 1:
        yield
        return
    whole = model.call

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        rows = tf.shape(tf.nest.flatten(inputs)[0])[0]
        size = (rows + towers - 1) // towers
        outputs = []
        for tower in range(towers):
            # No part is empty: in a batch of fewer examples than towers the last is taken again, and left out below.
            first = tf.minimum(tower * size, rows - 1)
            part = tf.nest.map_structure(lambda tensor, first=first: tensor[first : first + size], inputs)
            outputs.append(whole(part, training=training))
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0)[:rows], *outputs)

    model.call = call
    try:
        yield
    finally:
        del model.call
