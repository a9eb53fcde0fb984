"""Copies of a model on the devices of this machine, each of which takes its share of a batch.

They go through the layers in step with each other, so that a `BatchNormalization` that is `synchronized` sees them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend import get_keras_mask, set_keras_mask

from dlcli.training.copies import Copy, assign, in_order, kept, of_rows, portion, shares_of, variables_of
from dlcli.training.division import Undivided
from dlcli.training.moments import Moments, joined, of_share, seen_by_all
from dlcli.training.shares import share


class Devices(Undivided):
    """Copies of the model on devices of this machine; the variables themselves are on the first."""

    name = "mirrored"

    def __init__(self, devices: Sequence[str]) -> None:
        self._devices = tuple(devices)
        self.replicas = len(self._devices)

    @contextmanager
    def tracing(self, model: keras.Model) -> Iterator[None]:
        """See `Division`."""
        call, step = model.call, model.train_step
        model.call = partial(self._call, model, call)
        model.train_step = partial(self._train_step, step)
        try:
            yield
        finally:
            del model.call, model.train_step

    def _train_step(self, step: Any, data: Any) -> Any:
        with tf.compat.v1.device(_beside_its_inputs):
            return step(data)

    def _call(self, model: keras.Model, call: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        held = variables_of(model)
        rows = tf.shape(keras.tree.flatten(inputs)[0])[0]
        values = zip(*(_read(one, self._devices) for one in held), strict=True)
        copies = [
            _Copy(device, Copy(held, read, number), *share(rows, number, self.replicas))
            for number, (device, read) in enumerate(zip(self._devices, values, strict=True))
        ]
        parts = [keras.tree.map_structure(one.rows_of, inputs) for one in copies]
        graph = getattr(model, "_functional", None) or model
        if hasattr(graph, "_run_through_graph"):
            outputs = _in_step(graph, copies, parts, training)
        else:
            outputs = [one(call, (part,), {"training": training}) for one, part in zip(copies, parts, strict=True)]
        portions = [portion(one.count, rows) for one in copies]
        _merge([one.copy for one in copies], portions)
        for losses in zip(*(one.copy.scope.losses for one in copies), strict=True):
            model.add_loss(_mean(losses, portions))
        return keras.tree.map_structure(lambda *tensors: _joined(tensors, copies), *outputs)


@dataclass(frozen=True)
class _Copy:
    """A copy of a model on a device, and where its share of a batch is: `count` rows from `first` on, of tensors."""

    device: str
    copy: Copy
    first: Any
    count: Any

    def __call__(self, layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A layer's call in this copy."""
        with tf.device(self.device), self.copy.scope:
            return layer(*arguments, **named)

    def rows_of(self, tensor: Any) -> Any:
        """The rows of the share; the last one if it has none, which is left out at the end."""
        with tf.device(self.device):
            first, count = tf.minimum(self.first, tf.shape(tensor)[0] - 1), tf.maximum(self.count, 1)
            return tensor[first : first + count]


@dataclass(frozen=True)
class _Together:
    """What a tensor is in each copy of a model."""

    parts: tuple[Any, ...]


def _beside_its_inputs(operation: Any) -> str:
    """The device of an operation that none was asked for: that of what it is made from.

    So gradients are computed where the copy is that they are of. By themselves they would all be on the first device
    (TensorFlow 2.21), and those of convolutions other operations there than beside what they are gradients of.
    """
    asked = (operation.device, *(tensor.device for tensor in operation.inputs))
    return next(filter(None, asked), "")


def _read(variable: Any, devices: Sequence[str]) -> list[Any]:
    """What a variable is read as on each device."""
    value = tf.convert_to_tensor(variable.value)
    return _seen(value, devices) if variable.trainable else _moved([value] * len(devices), devices)


def _seen(tensor: Any, devices: Sequence[str]) -> list[Any]:
    """A tensor as each device has it; its gradient is the sum of theirs in their order, as it is of workers."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def seen(one: Any) -> Any:
        def gradient(*upstream: Any) -> Any:
            with tf.device(devices[0]):
                return _added(upstream)

        return [tf.identity(one) for _ in devices], gradient

    return _moved(seen(tensor), devices)


def _added(parts: Sequence[Any]) -> Any:
    """The sum of gradients, one of each copy."""
    if not all(map(of_rows, parts)):
        return in_order([tf.convert_to_tensor(part) for part in parts])
    values, indices = (
        tf.concat(every, axis=0) for every in zip(*((part.values, part.indices) for part in parts), strict=True)
    )
    return tf.IndexedSlices(values, indices, parts[0].dense_shape)


def _moved(tensors: Sequence[Any], devices: Sequence[str]) -> list[Any]:
    """Each tensor on its device."""
    found = []
    for device, tensor in zip(devices, tensors, strict=True):
        with tf.device(device):
            found.append(tf.identity(tensor))
    return found


def _in_step(model: Any, copies: Sequence[_Copy], inputs: Sequence[Any], training: Any) -> list[Any]:
    """The outputs of each copy, which go through the layers in step with each other."""
    flat = [model._standardize_inputs(part) for part in inputs]
    together = [_Together(parts) for parts in zip(*flat, strict=True)]
    outputs = model._run_through_graph(together, lambda layer: partial(_step, layer, copies, training))
    split = [_of_copy(outputs, at) for at in range(len(copies))]
    return [part[0] if isinstance(part, (list, tuple)) and len(part) == 1 else part for part in split]


def _step(layer: Any, copies: Sequence[_Copy], training: Any, /, *arguments: Any, **named: Any) -> Any:
    """A layer's call in each copy."""
    given = [_of_copy((arguments, named), at) for at in range(len(copies))]
    takes = "training" in getattr(layer, "_call_context_args", {}) and training is not None
    besides = {"training": training} if takes else {}
    calls = [partial(one, layer, most, {**names, **besides}) for one, (most, names) in zip(copies, given, strict=True)]
    if not training or not _synchronizes(layer):
        outputs = [call() for call in calls]
    elif isinstance(layer, keras.layers.BatchNormalization):
        outputs = []
        for call, moments in zip(calls, _moments(layer, copies, given), strict=True):
            with seen_by_all(lambda *_, moments=moments: moments):
                outputs.append(call())
    elif (graph := _graph_of(layer)) is not None:
        outputs = _in_step(graph, copies, [most[0] for most, _ in given], training)
    else:
        outputs = _at_once(layer, copies, (arguments, {**named, **besides}))
    return keras.tree.map_structure(lambda *parts: _Together(parts), *outputs)


def _of_copy(structure: Any, at: int) -> Any:
    found: Any = keras.tree.map_structure(
        lambda leaf: leaf.parts[at] if isinstance(leaf, _Together) else leaf, structure
    )
    return found


def _graph_of(layer: Any) -> Any:
    """A nested model as the graph of its layers; None of what is none."""
    graph = getattr(layer, "_functional", None) or layer
    return graph if hasattr(graph, "_run_through_graph") else None


def _synchronizes(layer: Any) -> bool:
    """Whether it is, or has within, a `BatchNormalization` that is synchronized."""
    if not isinstance(layer, keras.Layer):
        return False
    layers = layer._flatten_layers(include_self=True, recursive=True)
    return any(isinstance(one, keras.layers.BatchNormalization) and one.synchronized for one in layers)


def _moments(layer: Any, copies: Sequence[_Copy], given: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Mean and variance of the inputs of all copies, as each of them has it."""
    shares: list[Moments] = []
    for one, (arguments, named) in zip(copies, given, strict=True):
        with tf.device(one.device):
            inputs = layer.dtype_policy.convert_input(arguments[0], layer.autocast, layer.input_dtype)
            inputs = tf.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
            mask = named.get("mask", get_keras_mask(arguments[0]))
            shares.append(Moments(*map(kept, of_share(layer, inputs, mask, is_empty=one.count == 0))))
    devices = [one.device for one in copies]
    with tf.device(devices[0]):
        mean, variance = joined(shares, layer._reduction_axes)
    return list(zip(_seen(mean, devices), _seen(variance, devices), strict=True))


def _at_once(layer: Any, copies: Sequence[_Copy], given: tuple[Any, dict[str, Any]]) -> list[Any]:
    """A layer's outputs for each copy, from one call for the whole batch on the first device.

    So it is for what has a synchronized `BatchNormalization` somewhere within, as `TimeDistributed` may.
    """
    arguments, named = keras.tree.map_structure(
        lambda leaf: _joined(leaf.parts, copies) if isinstance(leaf, _Together) else leaf, given
    )
    first = copies[0].copy.scope
    losses_before = len(first.losses)
    output = copies[0](layer, arguments, named)
    for one in copies[1:]:
        one.copy.scope.losses.extend(first.losses[losses_before:])
        for variable in layer.non_trainable_variables:
            one.copy.scope.add_update((variable, first.get_current_value(variable)))
    return [keras.tree.map_structure(partial(_part, one), output) for one in copies]


def _part(one: _Copy, whole: Any) -> Any:
    """The rows of a copy; with the mask that they have."""
    part, mask = one.rows_of(whole), get_keras_mask(whole)
    if mask is not None:
        set_keras_mask(part, one.rows_of(mask))
    return part


def _joined(tensors: Sequence[Any], copies: Sequence[_Copy]) -> Any:
    """The rows of all copies; with the mask that they have."""
    whole = tf.concat([tensor[: one.count] for tensor, one in zip(tensors, copies, strict=True)], axis=0)
    masks = [get_keras_mask(tensor) for tensor in tensors]
    if masks[0] is not None:
        set_keras_mask(whole, tf.concat([mask[: one.count] for mask, one in zip(masks, copies, strict=True)], axis=0))
    return whole


def _merge(copies: Sequence[Copy], portions: Sequence[Any]) -> None:
    """Give the variables what the copies make of them: the mean, of what is no count and no random state."""
    updates = [copy.updates() for copy in copies]
    assign(updates[0].seeds)  # the first copy draws by the numbers of the variable itself
    assign(updates[0].counts)
    for values in zip(*(one.averaged for one in updates), strict=True):
        assign([(values[0][0], _mean([value for _, value in values], portions))])


def _mean(values: Sequence[Any], portions: Sequence[Any]) -> Any:
    return in_order([kept(shares_of([value], part)[0]) for value, part in zip(values, portions, strict=True)])
