"""Sums over the workers of a training, inside TensorFlow graphs.

`tf.distribute.MultiWorkerMirroredStrategy` is left out; the servers and the collective operations that it would use are
used directly (TensorFlow 2.21, Keras 3.15.1). Under it, an optimizer that accumulates gradients or scales its loss
fails (`merge_call` in a `tf.cond`), gradients are clipped before they are summed, and metrics of variables that are
summed when read would make each checkpoint an operation of all workers. And where it begins, its coordination service
waits for all workers with Python's lock held, for as long as it takes: none of them can be heard of then.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from dlcli.training.cluster import Cluster
from dlcli.training.copies import in_order
from dlcli.training.peers import Peers

# The same on all workers; TensorFlow's own groups count from 1.
_GROUP = 1_000_003
_UNAVAILABLE = 14  # of the codes of errors
_BUCKET = 32 * 2**20  # bytes that are summed at once


def start_server(cluster: Cluster) -> None:
    """Let operations of this process work together with those of the other workers, once they have done the same.

    It waits for none of them. TensorFlow must not have computed anything before.
    """
    from tensorflow.python.eager import context

    here = context.context()
    here.configure_collective_ops(
        collective_leader="/job:worker/replica:0/task:0", device_filters=(f"/job:worker/task:{cluster.index}",)
    )
    server = tf.train.ServerDef(
        cluster=tf.train.ClusterSpec({"worker": list(cluster.workers)}).as_cluster_def(), job_name="worker",
        task_index=cluster.index, protocol="grpc", default_session_config=here.config,
    )  # fmt: skip
    here.enable_collective_ops(server)
    here.ensure_initialized()


class Collectives:
    """Sums over all workers. Each of them traces the same sums in the same order.

    Args:
        peers: the workers, which have started their servers; when one is gone, a sum that waits for it fails.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
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

    def sums(self, tensors: Sequence[Any], *, in_order: bool = False) -> list[Any]:
        """The sum of each tensor over the workers, which have it in the same shape; of several dtypes.

        With `in_order` the numbers of the first worker and the second are added, then those of the third, and so on, as
        `dlcli.training.copies.in_order` does. Otherwise the order is TensorFlow's, and is another one for each part of
        a tensor.
        """
        summed: list[Any] = [None] * len(tensors)
        for bucket in _buckets(tensors):
            flat = [tf.reshape(tensors[place], [-1]) for place in bucket]
            whole = self._sum(flat[0] if len(flat) == 1 else tf.concat(flat, axis=0), in_order=in_order)
            parts = tf.split(whole, [tf.size(part) for part in flat]) if len(flat) > 1 else [whole]
            for place, part in zip(bucket, parts, strict=True):
                shaped = tf.reshape(part, tf.shape(tensors[place]))
                summed[place] = tf.ensure_shape(shaped, tensors[place].shape)
        return summed

    def _abort(self, gone: str) -> None:
        """End the sums that wait for a worker that is gone: they raise UnavailableError."""
        from tensorflow.python.eager import context

        context.context().abort_collective_ops(_UNAVAILABLE, gone)
        self._peers.leave_when_stuck(gone, lambda: self._is_waiting)

    def _sum(self, flat: Any, *, in_order: bool) -> Any:
        carried = flat
        if flat.dtype == tf.bool:
            carried = tf.cast(flat, tf.int32)
        elif flat.dtype in (tf.float16, tf.bfloat16):
            carried = tf.cast(flat, tf.float32)
        elif flat.dtype in (tf.uint8, tf.int8, tf.uint16, tf.int16, tf.uint32):
            carried = tf.cast(flat, tf.int64)
        # Of two numbers the sum is the same in either order.
        is_ordered = in_order and self.count > 2 and carried.dtype.is_floating
        return tf.cast(self._ordered(carried) if is_ordered else self._reduced(carried), flat.dtype)

    def _reduced(self, flat: Any) -> Any:
        summed: Any = tf.raw_ops.CollectiveReduceV2(
            input=flat, merge_op="Add", final_op="Id", **self._group(next(self._keys))
        )
        return summed

    def _ordered(self, flat: Any) -> Any:
        """Each worker gets its part of all, adds, and gives it to all: no more bytes than `_reduced` sends."""
        size = tf.size(flat)
        each = (size + self.count - 1) // self.count
        parts = tf.reshape(tf.pad(flat, [[0, each * self.count - size]]), [self.count, each])
        exchanged = tf.raw_ops.CollectiveAllToAllV2(input=parts, **self._group(next(self._keys)))
        exchanged = tf.ensure_shape(exchanged, parts.shape)
        own = in_order(tf.unstack(exchanged, num=self.count))
        every: Any = tf.raw_ops.CollectiveGatherV2(input=own, **self._group(next(self._keys)))
        return every[:size]

    def _group(self, key: int) -> dict[str, Any]:
        return {
            "group_size": self.count, "group_key": _GROUP, "instance_key": key, "ordering_token": [],
            "communication_hint": "auto",
        }  # fmt: skip


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
