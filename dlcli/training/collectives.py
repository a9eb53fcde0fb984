"""Sums over the workers of a training, inside TensorFlow graphs.

The workers find each other by `tf.distribute.MultiWorkerMirroredStrategy`; its `run` is left out, and the collective
operations that it would use are called directly (TensorFlow 2.21, Keras 3.15.1): under it, an optimizer that
accumulates gradients or scales its loss fails (`merge_call` in a `tf.cond`), gradients are clipped before they are
summed, and metrics of variables that are summed when read would make each checkpoint an operation of all workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from dlcli.training.peers import Peers, leave_when_stuck

# The same on all workers; TensorFlow's own groups count from 1.
_GROUP = 1_000_003
_UNAVAILABLE = 14  # of the codes of errors
_BUCKET = 32 * 2**20  # bytes that are summed at once


class Collectives:
    """Sums over all workers. Each of them traces the same sums in the same order.

    Args:
        peers: the workers; when one is gone, a sum that waits for it fails.
        strategy: what has made TensorFlow's servers find each other, and keeps them.
    """

    def __init__(self, peers: Peers, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy
        self._is_waiting = False
        self.rank, self.count = peers.cluster.index, peers.count
        self._keys = itertools.count(1)
        peers.on_gone(self._abort)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While entered, sums are waited for."""
        self._is_waiting = True
        try:
            yield
        finally:
            self._is_waiting = False

    def sums(self, tensors: Sequence[Any]) -> list[Any]:
        """The sum of each tensor over the workers, which have it in the same shape; of several dtypes."""
        summed: list[Any] = [None] * len(tensors)
        for bucket in _buckets(tensors):
            flat = [tf.reshape(tensors[place], [-1]) for place in bucket]
            whole = self._sum(flat[0] if len(flat) == 1 else tf.concat(flat, axis=0))
            parts = tf.split(whole, [tf.size(part) for part in flat]) if len(flat) > 1 else [whole]
            for place, part in zip(bucket, parts, strict=True):
                shaped = tf.reshape(part, tf.shape(tensors[place]))
                summed[place] = tf.ensure_shape(shaped, tensors[place].shape)
        return summed

    def means(self, tensors: Sequence[Any]) -> list[Any]:
        """The mean of each over the workers."""
        return [part / tf.cast(self.count, part.dtype) for part in self.sums(tensors)]

    def _abort(self, gone: str) -> None:
        """End the sums that wait for a worker that is gone: they raise UnavailableError."""
        from tensorflow.python.eager import context

        context.context().abort_collective_ops(_UNAVAILABLE, gone)
        leave_when_stuck(gone, lambda: self._is_waiting)

    def _sum(self, flat: Any) -> Any:
        carried = flat
        if flat.dtype == tf.bool:
            carried = tf.cast(flat, tf.int32)
        elif flat.dtype in (tf.float16, tf.bfloat16):
            carried = tf.cast(flat, tf.float32)
        elif flat.dtype in (tf.uint8, tf.int8, tf.uint16, tf.int16, tf.uint32):
            carried = tf.cast(flat, tf.int64)
        summed = tf.raw_ops.CollectiveReduceV2(
            input=carried, group_size=self.count, group_key=_GROUP, instance_key=next(self._keys), ordering_token=[],
            merge_op="Add", final_op="Id", communication_hint="auto",
        )  # fmt: skip
        return tf.cast(summed, flat.dtype)


def _buckets(tensors: Sequence[Any]) -> list[list[int]]:
    """Places of tensors of one dtype that are summed at once, in their order."""
    buckets: list[list[int]] = []
    filled: dict[Any, int] = {}
    latest: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        size = math.prod(extent or 1 for extent in tensor.shape) * tensor.dtype.size
        if tensor.dtype not in latest or filled[tensor.dtype] + size > _BUCKET:
            latest[tensor.dtype], filled[tensor.dtype] = [], 0
            buckets.append(latest[tensor.dtype])
        latest[tensor.dtype].append(place)
        filled[tensor.dtype] += size
    return buckets
