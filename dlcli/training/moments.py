"""Mean and variance of a batch that is in shares, for a `BatchNormalization` that is `synchronized`.

Each share has them of its own, and they are put together: by Chan, Golub and LeVeque, "Updating formulae and a pairwise
algorithm for computing sample variances" (1979), which loses fewer digits than the mean of squares.

Their gradients are given in one piece, and sums are kept as they are: a tape, and TensorFlow's graph optimizer, would
add in an order, and so to bits, that depend on where the shares are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dlcli.training.copies import in_order, kept


class Moments(NamedTuple):
    """Of a share; each of the shape of the inputs, with 1 for the axes that are summed over.

    Attributes:
        number: how many values there are.
        mean: their mean.
        spread: the sum of their squared distances from it.
    """

    number: Any
    mean: Any
    spread: Any


def of_share(layer: Any, inputs: Any, mask: Any, *, is_empty: Any) -> Moments:
    """What a `BatchNormalization` sees of a share.

    Args:
        layer: the layer.
        inputs: as its `call` makes them.
        mask: of the inputs; None for none.
        is_empty: a tensor: whether the share has no examples, and its rows are not to count.
    """
    axes = layer._reduction_axes
    weights = tf.cast(tf.expand_dims(mask, -1), inputs.dtype) if mask is not None else tf.ones([], inputs.dtype)
    counted = tf.cast(tf.logical_not(is_empty), inputs.dtype)
    number = tf.reduce_sum(weights * tf.ones_like(inputs), axes, keepdims=True)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def measured(values: Any) -> Any:
        mean = tf.reduce_sum(weights * values, axes, keepdims=True) / tf.maximum(number, 1.0)
        distances = values - mean
        spread = tf.reduce_sum(weights * tf.square(distances), axes, keepdims=True)

        def gradient(of_mean: Any, of_spread: Any) -> Any:
            return kept(weights * (of_mean / tf.maximum(number, 1.0) + 2.0 * distances * of_spread))

        return (mean, spread), gradient

    mean, spread = measured(inputs)
    return Moments(counted * number, mean, counted * spread)


def joined(shares: Sequence[Moments], axes: Sequence[int]) -> tuple[Any, Any]:
    """Mean and variance of all shares together, without these axes."""
    numbers = [share.number for share in shares]
    total = tf.maximum(in_order(numbers), 1.0)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def measured(*parts: Any) -> Any:
        means, spreads = parts[: len(shares)], parts[len(shares) :]
        mean = in_order([number * one for number, one in zip(numbers, means, strict=True)]) / total
        apart = [one - mean for one in means]
        between = [number * tf.square(distance) for number, distance in zip(numbers, apart, strict=True)]
        variance = in_order([*spreads, *between]) / total

        def gradient(of_mean: Any, of_variance: Any) -> Any:
            of_means = [
                number * (of_mean + 2.0 * distance * of_variance) / total
                for number, distance in zip(numbers, apart, strict=True)
            ]
            return [*of_means, *[of_variance / total] * len(shares)]

        return (mean, variance), gradient

    mean, variance = measured(*(share.mean for share in shares), *(share.spread for share in shares))
    return tf.squeeze(mean, axes), tf.squeeze(variance, axes)


@contextmanager
def seen_by_all(moments: Callable[[Any, Any, Any], tuple[Any, Any]]) -> Iterator[None]:
    """While entered, a synchronized layer takes mean and variance from `moments`, for itself, inputs and mask.

    By the method that it calls for them (Keras 3.15.1); its own `synchronized` is for `tf.distribute`, without masks.
    """
    original = keras.layers.BatchNormalization._moments

    def _moments(layer: Any, inputs: Any, mask: Any) -> Any:
        return moments(layer, inputs, mask) if layer.synchronized else original(layer, inputs, mask)

    keras.layers.BatchNormalization._moments = _moments
    try:
        yield
    finally:
        keras.layers.BatchNormalization._moments = original
