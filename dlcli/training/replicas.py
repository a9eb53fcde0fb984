"""A batch that goes through several copies of a model: on the devices of this machine, or on the workers of a cluster.

Each copy takes its share of the examples through the layers. What they put out is put together before the loss, so that
loss, metrics, masks, weights of examples and the last, smaller batch are what they are for one copy; and the gradient
is that of the whole batch. Only layers that look beyond their example see a share where they would see a batch: a
`BatchNormalization` that is not `synchronized` takes the statistics of each share, and keeps their mean.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import tensorflow as tf
from keras.src.backend import get_keras_mask, set_keras_mask

from dlcli.training.collectives import Collectives
from dlcli.training.feeding import Data, Pace
from dlcli.training.shares import Shared, share
from dlcli.training.state import global_generator

if TYPE_CHECKING:
    from dlcli.training.crew import Crew

_HEARD_WITHIN = 5.0
_APART = 0x9E3779B1  # by which the seeds of two copies differ


class NotDivisibleError(Exception):
    """A batch cannot go through several copies of this model; the message says why."""


class Division(Protocol):
    """How a batch is divided.

    Attributes:
        name: as in `train.strategy`.
        replicas: how many copies of the model there are.
        is_chief: whether what this process writes is kept.
    """

    name: str
    replicas: int
    is_chief: bool

    def data(self, data: Data) -> Data | Shared:
        """The examples, as this process reads them."""

    def own(self, batch_size: int) -> int:
        """How many of a whole batch this process reads."""

    def pace(self, most: int | None = None) -> Pace:
        """How many steps a call runs, the same in all processes."""

    def any(self, flag: bool) -> bool:
        """Whether it is so in any of the processes."""

    def share_file(self, path: Path) -> None:
        """Let all processes have what the first one has there."""

    def waiting(self) -> AbstractContextManager[None]:
        """While entered, steps run, which wait for those of other processes."""

    def gone(self) -> str | None:
        """Why a step has failed, if the reason is that another process is gone."""

    def tracing(self, model: keras.Model) -> AbstractContextManager[None]:
        """While entered, the steps of the model are divided as they are traced."""

    def step_of(self, total: Any, batch_size: int) -> None:
        """The step that is traced next has that many examples, in all processes together; at most the second."""

    def whole(self, parts: Any) -> Any:
        """In a step: targets and weights of all processes' examples, for those of this one's."""

    def drawing_apart(self, variables: Sequence[Any]) -> AbstractContextManager[None]:
        """While entered, layers with these variables draw other random numbers than in other processes."""


class Undivided:
    """One copy of the model."""

    name, replicas, is_chief = "none", 1, True

    def data(self, data: Data) -> Data | Shared:
        """See `Division`."""
        return data

    def own(self, batch_size: int) -> int:
        """See `Division`."""
        return batch_size

    def pace(self, most: int | None = None) -> Pace:
        """See `Division`."""
        return Pace(most)

    def any(self, flag: bool) -> bool:
        """See `Division`."""
        return flag

    def share_file(self, path: Path) -> None:
        """See `Division`."""

    def waiting(self) -> AbstractContextManager[None]:
        """See `Division`."""
        return nullcontext()

    def gone(self) -> str | None:
        """See `Division`."""
        return None

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        yield

    def step_of(self, total: Any, batch_size: int) -> None:
        """See `Division`."""

    def whole(self, parts: Any) -> Any:
        """See `Division`."""
        return parts

    @contextmanager
    def drawing_apart(self, variables: Sequence[Any]) -> Iterator[None]:
        """See `Division`."""
        yield


class Workers(Undivided):
    """A copy of the model on each worker. Their variables hold the same numbers before and after each step."""

    name = "multi_worker"

    def __init__(self, crew: Crew, collectives: Collectives) -> None:
        self._crew = crew
        self._collectives = collectives
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
        return Shared(data, self._collectives.rank, self.replicas)

    def own(self, batch_size: int) -> int:
        """See `Division`."""
        return int(max(1, share(batch_size, self._collectives.rank, self.replicas)[1]))

    def step_of(self, total: Any, batch_size: int) -> None:
        """See `Division`."""
        self._total, self._batch_size = tf.cast(total, tf.int32), batch_size

    def whole(self, parts: Any) -> Any:
        """See `Division`."""
        tensors = keras.tree.flatten(parts)
        summed = self._collectives.sums([self._embedded(tensor) for tensor in tensors])
        return keras.tree.pack_sequence_as(parts, [tensor[: self._total] for tensor in summed])

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        from keras.src.backend.tensorflow import nn

        call, tracker, optimizer = model.call, getattr(model, "_loss_tracker", None), model.optimizer
        moments = nn._compute_moments_sync
        model.call = partial(self._call, model, call)
        if tracker is not None:
            tracker.update_state = partial(self._track, tracker.update_state)
        if optimizer is not None:
            optimizer.apply = partial(self._apply, optimizer.apply)
        nn._compute_moments_sync = self._moments
        try:
            yield
        finally:
            nn._compute_moments_sync = moments
            del model.call
            if tracker is not None:
                del tracker.update_state
            if optimizer is not None:
                del optimizer.apply

    @contextmanager
    def drawing_apart(self, variables: Sequence[Any]) -> Iterator[None]:
        """See `Division`."""
        with _scope(self._seeds_apart(variables)) as scope:
            yield
        for variable, value in _updates(scope, variables):
            variable.assign(value - _apart(variable, self._collectives.rank) if _is_seed(variable) else value)

    def _seeds_apart(self, variables: Sequence[Any]) -> list[tuple[Any, Any]]:
        """Random states for this worker, so that no two of them drop the same numbers of their shares."""
        return [(one, one.value + _apart(one, self._collectives.rank)) for one in variables if _is_seed(one)]

    def _share(self) -> tuple[Any, Any]:
        first, count = share(self._total, self._collectives.rank, self.replicas)
        return first, count

    def _embedded(self, tensor: Any) -> Any:
        """The rows of this worker at their place among zeros for those of the others; as many as a whole batch has.

        TensorFlow 2.21 remembers the shape of a sum's first call, and ends one with another shape.
        """
        first, count = self._share()
        around = [[first, self._batch_size - first - count], *([0, 0] for _ in tensor.shape[1:])]
        carried = tf.cast(tensor, tf.int32) if tensor.dtype == tf.bool else tensor
        padded = tf.ensure_shape(tf.pad(carried[:count], around), [self._batch_size, *tensor.shape[1:]])
        return tf.cast(padded, tensor.dtype)

    def _call(self, model: keras.Model, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The outputs for the examples of all workers, for the inputs of this one."""
        count = self._share()[1]
        portion = tf.cast(count, tf.float32) / tf.cast(self._total, tf.float32)
        held = _variables(model)
        with _scope(self._seeds_apart(held)) as scope:
            outputs = call(inputs, training=training)
        tensors = keras.tree.flatten(outputs)
        masks = [get_keras_mask(tensor) for tensor in tensors]
        seeds, averaged, counted = _sorted(_updates(scope, held))
        shares = [value * tf.cast(portion, value.dtype) for _, value in averaged]
        # Keras divides what layers add to the loss by the examples that they see (3.15.1).
        losses = [loss * tf.cast(portion, loss.dtype) for loss in scope.losses]
        is_masked = [self._embedded(one) for one in masks if one is not None]
        carried = [*map(self._embedded, tensors), *map(tf.stop_gradient, shares), *losses, *is_masked]
        summed = iter(self._summed(carried))
        whole = [next(summed)[: self._total] for _ in tensors]
        _assign([(variable, next(summed)) for variable, _ in averaged])
        _assign(counted)
        _assign([(variable, value - _apart(variable, self._collectives.rank)) for variable, value in seeds])
        for _ in losses:
            model.add_loss(next(summed))
        for tensor, one in zip(whole, masks, strict=True):
            if one is not None:
                set_keras_mask(tensor, next(summed)[: self._total])
        return keras.tree.pack_sequence_as(outputs, whole)

    def _summed(self, tensors: Sequence[Any]) -> list[Any]:
        """Sums over the workers; each of them has the whole loss, and at the end the mean of all gradients."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def summed(*parts: Any) -> Any:
            def gradient(*upstream: Any) -> list[Any]:
                return [part * tf.cast(self.replicas, part.dtype) for part in upstream]

            return self._collectives.sums(parts), gradient

        return list(summed(*tensors))

    def _track(self, update: Any, values: Any, sample_weight: Any = None) -> Any:
        # Keras weighs the loss of a step by the rows of its inputs, which are this worker's.
        return update(values, sample_weight=self._total)

    def _apply(self, apply: Any, grads: Sequence[Any], trainable_variables: Any = None) -> Any:
        given = [tf.convert_to_tensor(grad) for grad in grads if grad is not None]
        averaged = iter(self._collectives.means(given))
        return apply([None if grad is None else next(averaged) for grad in grads], trainable_variables)

    def _moments(self, tensor: Any, axes: Any, keepdims: Any) -> tuple[Any, Any]:
        """Mean and variance of all workers' examples, for a synchronized `BatchNormalization`."""
        # A worker that has no example of a batch goes through the layers with one that does not count.
        counts = tf.cast(self._share()[1] > 0, tensor.dtype)
        sums = [counts * tf.reduce_sum(value, axis=axes, keepdims=True) for value in (tensor, tf.square(tensor))]
        numbers = counts * tf.cast(tf.size(tensor), tensor.dtype) / tf.cast(tf.size(sums[0]), tensor.dtype)

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def summed(*parts: Any) -> Any:
            return self._collectives.sums(parts), lambda *upstream: self._collectives.sums(upstream)

        total, squares, number = summed(*sums, tf.stop_gradient(numbers))
        mean = total / number
        variance = tf.maximum(squares / number - tf.square(mean), 0.0)
        return (mean, variance) if keepdims else (tf.squeeze(mean, axes), tf.squeeze(variance, axes))


class _AgreedPace(Pace):
    """The pace of the slowest worker, agreed on after each call; and with it, whether to stop."""

    def __init__(self, crew: Crew, most: int | None) -> None:
        super().__init__(most)
        self._crew = crew

    def ran(self, steps: int, seconds: float) -> None:
        """See `Pace`."""
        every = self._crew.stop.agree({"steps": steps, "seconds": seconds})
        super().ran(steps, max(other["seconds"] for other in every))


class Devices(Undivided):
    """Copies of the model on devices of this machine; the variables themselves are on the first."""

    name = "mirrored"

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = tuple(devices)
        self.replicas = len(self._devices)

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        call = model.call
        model.call = partial(self._call, model, call)
        try:
            yield
        finally:
            del model.call

    def _call(self, model: keras.Model, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        held = _variables(model)
        rows = tf.shape(keras.tree.flatten(inputs)[0])[0]
        shares = [share(rows, number, self.replicas) for number in range(self.replicas)]
        copies = [_Copy(device, held, number) for number, device in enumerate(self._devices)]
        parts = [keras.tree.map_structure(partial(_rows, *_never_empty(one, rows)), inputs) for one in shares]
        graph = getattr(model, "_functional", None) or model
        if hasattr(graph, "_run_through_graph"):
            outputs = _in_step(graph, copies, parts, training)
        else:
            pairs = zip(copies, parts, strict=True)
            outputs = [_in_copy(copy, call, (part,), {"training": training}) for copy, part in pairs]
        counts = [one[1] for one in shares]
        portions = [tf.cast(count, tf.float32) / tf.cast(rows, tf.float32) for count in counts]
        updates = [_sorted(_updates(copy.scope, held, copy.given)) for copy in copies]
        _merge(updates, portions)
        for losses in zip(*(copy.scope.losses for copy in copies), strict=True):
            shares = [loss * tf.cast(part, loss.dtype) for loss, part in zip(losses, portions, strict=True)]
            model.add_loss(tf.add_n(shares))
        return keras.tree.map_structure(lambda *tensors: _joined(tensors, counts), *outputs)


class _Copy:
    """A copy of a model on a device: what its variables are read as there, and what they are to become."""

    def __init__(self, device: str, held: Sequence[Any], number: int) -> None:
        self.device = device
        with tf.device(device):
            self.given = {
                id(one): one.value + _apart(one, number) if _is_seed(one) else tf.identity(one.value) for one in held
            }
        self.scope = keras.StatelessScope(
            [(one, self.given[id(one)]) for one in held], collect_losses=True, initialize_variables=False
        )

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While entered, layers are those of this copy."""
        with tf.device(self.device), self.scope:
            yield


@dataclass(frozen=True)
class _Together:
    """What a tensor is in each copy of a model."""

    parts: tuple[Any, ...]


def _in_step(model: Any, copies: Sequence[_Copy], inputs: Sequence[Any], training: Any) -> list[Any]:
    """The outputs of each copy, which go through the layers in step with each other.

    A `BatchNormalization` that is `synchronized` can so be called once, on what all copies have come to.
    """
    flat = [model._standardize_inputs(part) for part in inputs]
    together = [_Together(parts) for parts in zip(*flat, strict=True)]
    outputs = model._run_through_graph(together, lambda layer: partial(_step, layer, copies, training))
    split = [keras.tree.map_structure(lambda one, at=at: one.parts[at], outputs) for at in range(len(copies))]
    return [part[0] if isinstance(part, (list, tuple)) and len(part) == 1 else part for part in split]


def _step(layer: Any, copies: Sequence[_Copy], training: Any, /, *arguments: Any, **named: Any) -> Any:
    """A layer's call in each copy."""
    given = [_of_copy((arguments, named), at) for at in range(len(copies))]
    if isinstance(layer, keras.layers.BatchNormalization) and layer.synchronized and training:
        return _Together(tuple(_at_once(layer, copies, [positional[0] for positional, _ in given])))
    if isinstance(layer, keras.Model) and _synchronizes(layer):
        inner = getattr(layer, "_functional", None) or layer
        outputs = _in_step(inner, copies, [positional[0] for positional, _ in given], training)
    else:
        takes = "training" in getattr(layer, "_call_context_args", {}) and training is not None
        besides = {"training": training} if takes else {}
        outputs = [
            _in_copy(copy, layer, positional, {**names, **besides})
            for copy, (positional, names) in zip(copies, given, strict=True)
        ]
    return keras.tree.map_structure(lambda *parts: _Together(parts), *outputs)


def _in_copy(copy: _Copy, layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    with copy.entered():
        return layer(*arguments, **named)


def _of_copy(structure: Any, at: int) -> Any:
    found: Any = keras.tree.map_structure(
        lambda leaf: leaf.parts[at] if isinstance(leaf, _Together) else leaf, structure
    )
    return found


def _at_once(layer: Any, copies: Sequence[_Copy], parts: Sequence[Any]) -> list[Any]:
    """A layer's outputs for each copy, from one call on the first."""
    output = _in_copy(copies[0], layer, (tf.concat(parts, axis=0),), {"training": True})
    for copy in copies[1:]:
        for variable in layer.non_trainable_variables:
            copy.scope.add_update((variable, copies[0].scope.get_current_value(variable)))
    return list(tf.split(output, [tf.shape(part)[0] for part in parts]))


def _synchronizes(model: Any) -> bool:
    layers = model._flatten_layers(include_self=False, recursive=True)
    return any(isinstance(one, keras.layers.BatchNormalization) and one.synchronized for one in layers)


def _never_empty(at: tuple[Any, Any], rows: Any) -> tuple[Any, Any]:
    """A share, or the last row if it has none, which is left out at the end."""
    return tf.minimum(at[0], rows - 1), tf.maximum(at[1], 1)


def _rows(first: Any, count: Any, tensor: Any) -> Any:
    return tensor[first : first + count]


def _joined(tensors: Sequence[Any], counts: Sequence[Any]) -> Any:
    """The rows of all copies; with the mask that they have."""
    whole = tf.concat([tensor[:count] for tensor, count in zip(tensors, counts, strict=True)], axis=0)
    masks = [get_keras_mask(tensor) for tensor in tensors]
    if masks[0] is not None:
        set_keras_mask(whole, tf.concat([one[:count] for one, count in zip(masks, counts, strict=True)], axis=0))
    return whole


def _merge(updates: Sequence[tuple[Any, ...]], portions: Sequence[Any]) -> None:
    """Give the variables what the copies make of them: the mean, of what is no count and no random state."""
    for group in (0, 2):  # the first copy draws by the numbers of the variable itself
        _assign(updates[0][group])
    for values in zip(*(averaged for _, averaged, _ in updates), strict=True):
        shares = [value * tf.cast(part, value.dtype) for (_, value), part in zip(values, portions, strict=True)]
        _assign([(values[0][0], tf.add_n(shares))])


def _variables(model: keras.Model) -> list[Any]:
    """What the layers of a model may read, and change."""
    measured = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in measured] + global_generator()


def _scope(values: Sequence[tuple[Any, Any]]) -> keras.StatelessScope:
    return keras.StatelessScope(values, collect_losses=True, initialize_variables=False)


def _updates(
    scope: keras.StatelessScope, variables: Sequence[Any], given: Mapping[int, Any] | None = None
) -> list[tuple[Any, Any]]:
    """The variables that were given another value in a scope than they came with, and that value."""
    known = given or {}
    values = [(variable, scope.get_current_value(variable)) for variable in variables]
    return [(one, value) for one, value in values if value is not None and value is not known.get(id(one))]


def _sorted(updates: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any], list[Any]]:
    """Random states, numbers of which a mean can be taken, and counts.

    Raises:
        NotDivisibleError: a layer changes a weight while it is called.
    """
    groups: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for variable, value in updates:
        if variable.trainable:
            raise NotDivisibleError(f"`{variable.path}` is changed by its layer, and trained")
        is_float = tf.as_dtype(variable.dtype).is_floating
        groups[0 if _is_seed(variable) else 1 if is_float else 2].append((variable, value))
    return groups


def _assign(updates: Sequence[tuple[Any, Any]]) -> None:
    for variable, value in updates:
        variable.assign(value)


def _is_seed(variable: Any) -> bool:
    return bool(variable.name == "seed_generator_state")


def _apart(seed: Any, number: int) -> Any:
    """What makes a random state, a seed and how often it was drawn from, that of the copy with this number."""
    return tf.constant([number * _APART % 2**31, 0], seed.dtype)
