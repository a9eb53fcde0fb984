"""Copies of a model on the workers of a cluster, each of which takes its share of a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras.src.backend import get_keras_mask, set_keras_mask

from dlcli.training.collectives import Collectives
from dlcli.training.copies import Copy, apart, assign, in_order, is_seed, of_rows, portion, shares_of, variables_of
from dlcli.training.division import Undivided
from dlcli.training.feeding import Data, Pace
from dlcli.training.moments import Moments, joined, of_share, seen_by_all
from dlcli.training.shares import Shared, share

if TYPE_CHECKING:
    from dlcli.training.crew import Crew

_HEARD_WITHIN = 5.0


class Workers(Undivided):
    """A copy of the model on each worker. Their variables hold the same numbers before and after each step."""

    name = "multi_worker"

    def __init__(self, crew: Crew, collectives: Collectives) -> None:
        self._crew = crew
        self._collectives = collectives
        self._rank = collectives.rank
        self.replicas = collectives.count
        self.is_chief = crew.is_chief
        self._total: Any = None
        self._batch_size = 0

    def pace(self, most: int | None = None) -> Pace:
        """See `Division`."""
        return _AgreedPace(self._crew, most)

    def any(self, flag: bool) -> bool:
        """See `Division`."""
        return any(told["flag"] for told in self._crew.peers.agree({"flag": flag}))

    def share_file(self, path: Path) -> None:
        """See `Division`."""
        self._crew.share_file(path)

    def waiting(self) -> AbstractContextManager[None]:
        """See `Division`."""
        return self._collectives.waiting()

    def gone(self) -> str | None:
        """See `Division`."""
        until = time.monotonic() + _HEARD_WITHIN  # TensorFlow may know before the wire does
        while self._crew.peers.gone is None and time.monotonic() < until:
            time.sleep(0.1)
        return self._crew.peers.gone or self._crew.peers.silent()

    def data(self, data: Data) -> Data | Shared:
        """See `Division`."""
        return Shared(data, self._rank, self.replicas)

    def own(self, batch_size: int) -> int:
        """See `Division`."""
        return int(max(1, share(batch_size, self._rank, self.replicas)[1]))

    def step_of(self, total: Any, batch_size: int) -> None:
        """See `Division`."""
        self._total, self._batch_size = tf.cast(total, tf.int32), batch_size

    def whole(self, parts: Any) -> Any:
        """See `Division`."""
        tensors = keras.tree.flatten(parts)
        summed = self._collectives.sums([self._embedded(tensor) for tensor in tensors])
        return keras.tree.pack_sequence_as(parts, [self._cut(tensor) for tensor in summed])

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        call, tracker = model.call, getattr(model, "_loss_tracker", None)
        model.call = partial(self._call, model, call)
        if tracker is not None:
            tracker.update_state = partial(self._track, tracker.update_state)
        try:
            with seen_by_all(self._moments):
                yield
        finally:
            del model.call
            if tracker is not None:
                del tracker.update_state

    @contextmanager
    def drawing_apart(self, variables: Sequence[Any]) -> Iterator[None]:
        """See `Division`."""
        copy = Copy(variables, [tf.convert_to_tensor(one.value) for one in variables], self._rank)
        with copy.scope:
            yield
        for group in copy.updates():
            self._take(group)

    def _share(self) -> tuple[Any, Any]:
        first, count = share(self._total, self._rank, self.replicas)
        return first, count

    def _embedded(self, tensor: Any) -> Any:
        """The rows of this worker at their place among zeros for those of the others; as many as a whole batch has.

        An example may have several rows. TensorFlow 2.21 remembers the shape of a sum's first call, and ends one with
        another shape.
        """
        first, count = self._share()
        each = tf.shape(tensor)[0] // tf.maximum(count, 1)  # who has no example has read one
        around = [[first * each, (self._batch_size - first - count) * each], *([0, 0] for _ in tensor.shape[1:])]
        carried = tf.cast(tensor, tf.int32) if tensor.dtype == tf.bool else tensor
        return tf.cast(tf.pad(carried[: count * each], around), tensor.dtype)

    def _cut(self, embedded: Any) -> Any:
        """The rows of the examples that there are."""
        return embedded[: self._total * (tf.shape(embedded)[0] // self._batch_size)]

    def _call(self, model: keras.Model, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The outputs for the examples of all workers, for the inputs of this one."""
        held = variables_of(model)
        copy = Copy(held, self._read(held), self._rank)
        with copy.scope:
            outputs = call(inputs, training=training)
        tensors = keras.tree.flatten(outputs)
        masks = [get_keras_mask(tensor) for tensor in tensors]
        updates = copy.updates()
        own = portion(self._share()[1], self._total)
        averaged = [tf.stop_gradient(one) for one in shares_of([value for _, value in updates.averaged], own)]
        # Keras divides what layers add to the loss by the examples that they see (3.15.1).
        losses = shares_of(copy.scope.losses, own)
        is_masked = [self._embedded(one) for one in masks if one is not None]
        carried = [*map(self._embedded, tensors), *map(self._among_others, [*averaged, *losses]), *is_masked]
        summed = iter(self._summed(carried))
        whole = [self._cut(next(summed)) for _ in tensors]
        assign([(variable, _added(next(summed))) for variable, _ in updates.averaged])
        for group in (updates.seeds, updates.counts):
            self._take(group)
        for _ in losses:
            model.add_loss(_added(next(summed)))
        for tensor, one in zip(whole, masks, strict=True):
            if one is not None:
                set_keras_mask(tensor, self._cut(next(summed)))
        return keras.tree.pack_sequence_as(outputs, whole)

    def _read(self, held: Sequence[Any]) -> list[Any]:
        """What the variables are read as: their gradients are of the examples of all workers."""
        values = [tf.convert_to_tensor(one.value) for one in held]
        trained = [place for place, one in enumerate(held) if one.trainable]
        for place, value in zip(trained, self._seen([values[place] for place in trained]), strict=True):
            values[place] = value
        return values

    def _seen(self, tensors: Sequence[Any]) -> list[Any]:
        """What is the same on all workers: its gradient is the sum of theirs, in their order."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def seen(*given: Any) -> Any:
            return [tf.identity(tensor) for tensor in given], self._of_all

        return list(seen(*tensors)) if tensors else []

    def _of_all(self, *gradients: Any) -> list[Any]:
        """The sums of gradients over the workers, in their order; of those of rows, the rows of all."""
        carried: list[Any] = []
        for one in gradients:
            parts = [one.values, one.indices] if of_rows(one) else []
            carried += [self._embedded(part) for part in parts] or [tf.convert_to_tensor(one)]
        summed = iter(self._collectives.sums(carried, in_order=True))
        return [
            tf.IndexedSlices(self._cut(next(summed)), self._cut(next(summed)), one.dense_shape)
            if of_rows(one)
            else next(summed)
            for one in gradients
        ]

    def _take(self, updates: Sequence[tuple[Any, Any]]) -> None:
        """Let the variables be what this worker makes of them, which is the same as what the others do."""
        own = self._rank
        assign([(one, value - apart(one, own) if is_seed(one) else value) for one, value in updates])

    def _summed(self, tensors: Sequence[Any]) -> list[Any]:
        """Sums over the workers; each of them has the whole loss, whose gradient is that of each part as well."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def summed(*parts: Any) -> Any:
            return self._collectives.sums(parts), lambda *upstream: upstream

        return list(summed(*tensors))

    def _track(self, update: Any, values: Any, sample_weight: Any = None) -> Any:
        # Keras weighs the loss of a step by the rows of its inputs, which are this worker's.
        return update(values, sample_weight=self._total)

    def _moments(self, layer: Any, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Mean and variance of all workers' examples, for a synchronized `BatchNormalization`."""
        # A worker that has no example of a batch goes through the layers with one that does not count.
        own = of_share(layer, inputs, mask, is_empty=self._share()[1] == 0)

        [every] = self._summed([self._among_others(tf.stack(own))])
        mean, variance = self._seen(
            joined([Moments(*tf.unstack(each)) for each in tf.unstack(every)], layer._reduction_axes)
        )
        return mean, variance

    def _among_others(self, own: Any) -> Any:
        """What this worker has, at its place among zeros for what the others have."""
        around = [[self._rank, self.replicas - 1 - self._rank], *([0, 0] for _ in own.shape)]
        return tf.pad(own[None], around)


def _added(every: Any) -> Any:
    """The sum of what all workers have, in their order."""
    return in_order(tf.unstack(every))


class _AgreedPace(Pace):
    """The pace of the slowest worker, agreed on after each call; and with it, whether to stop."""

    def __init__(self, crew: Crew, most: int | None) -> None:
        super().__init__(most)
        self._crew = crew

    def ran(self, steps: int, seconds: float) -> None:
        """See `Pace`."""
        every = self._crew.stop.agree({"steps": steps, "seconds": seconds})
        super().ran(steps, max(other["seconds"] for other in every))
