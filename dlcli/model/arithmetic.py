"""The multiply-adds of a forward pass of one example, counted from shapes; and the calls a model's graph is made of.

What is counted: every product of an activation with a weight that is then added up, the two products of attention, and
the product of `Dot`. What is not: biases, activations, pooling, dropout, merging, reshaping, anything else without
weights. Zeros from padding count as any other value, as is usual. Where a length is known only once data arrives, or
where it is not known what a class computes, there is no count: None, never a guess.

Keras is not imported: classes are told by their names and modules.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int | None, ...]
Shapes = tuple[Shape, ...]
Rule = Callable[[Any, Shapes, Shapes], int]

_KNOWN_CELLS = frozenset({"SimpleRNNCell", "LSTMCell", "GRUCell"})
_MATRIX_OPERATIONS = frozenset({"Matmul", "Einsum", "Dot", "Vdot", "Tensordot", "Inner", "Conv", "ConvTranspose"})


class _UnknownCountError(Exception):
    """A length is not known before data is seen, or what a class computes is not known."""


@dataclass(frozen=True)
class Call:
    """One call of one operation in a model's graph.

    Attributes:
        operation: the keras.Operation that is called, mostly a keras.Layer.
        input_shapes: the shapes of the tensors it is given, in the order of the arguments of its `call`.
        output_shapes: the shapes of the tensors it returns.
        reads: the names of the operations that it reads, each once.
    """

    operation: Any
    input_shapes: Shapes
    output_shapes: Shapes
    reads: tuple[str, ...]


def graph_calls(model: Any) -> tuple[Call, ...]:
    """List the calls of a built Functional or Sequential model, in the order of its layers, without its InputLayers.

    Raises:
        ValueError: the model has no graph: it is not built yet, or is a subclass with a `call` of its own.
    """
    graph = getattr(model, "_functional", None) or model
    nodes_by_depth = getattr(graph, "_nodes_by_depth", None)
    if nodes_by_depth is None:
        raise ValueError(f"the model {model.name!r} has no graph of layers: it is not built, or has its own call()")
    nodes = [node for depth in sorted(nodes_by_depth, reverse=True) for node in nodes_by_depth[depth]]
    return tuple(
        _call_of(node)
        for operation in graph.operations
        if type(operation).__name__ != "InputLayer"
        for node in nodes
        if node.operation is operation
    )


def multiply_adds(operation: Any, input_shapes: Shapes, output_shapes: Shapes) -> int | None:
    """Count the multiply-adds of one call of a layer for one example; None where the count is not known.

    Args:
        operation: a built keras.Layer, or another keras.Operation.
        input_shapes: shapes of the inputs with the batch axis, in the order of the arguments of `call`.
        output_shapes: shapes of the outputs with the batch axis.
    """
    try:
        return _count(operation, input_shapes, output_shapes)
    except _UnknownCountError:
        return None


def with_free_batch(shape: Iterable[int | None]) -> Shape:
    """Give the shape as a tuple whose first axis, the batch, is None."""
    return tuple(None if axis == 0 else size for axis, size in enumerate(shape))


def values_per_example(shape: Shape) -> int | None:
    """Count the numbers in a tensor of this shape for one example; None where a length is known only with the data."""
    try:
        return _size(shape[1:])
    except _UnknownCountError:
        return None


def _call_of(node: Any) -> Call:
    tensors = tuple(_tensors_in_order(node))
    return Call(
        operation=node.operation,
        input_shapes=tuple(with_free_batch(tensor.shape) for tensor in tensors),
        output_shapes=tuple(with_free_batch(tensor.shape) for tensor in node.output_tensors),
        reads=tuple(dict.fromkeys(tensor._keras_history.operation.name for tensor in tensors)),
    )


def _tensors_in_order(node: Any) -> Iterator[Any]:
    """Yield the tensors that a call is given in the order of its arguments, also where it was given keywords."""
    call = inspect.signature(node.operation.call)
    bound = call.bind(*node.arguments.args, **node.arguments.kwargs)
    known = {id(tensor) for tensor in node.input_tensors}
    return (leaf for leaf in _leaves(bound.arguments) if id(leaf) in known)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        yield value
        return
    for item in value:
        yield from _leaves(item)


def _count(operation: Any, inputs: Shapes, outputs: Shapes) -> int:
    rule = _rule_for(type(operation))
    if rule is not None:
        return rule(operation, inputs, outputs)
    if getattr(operation, "weights", ()) or type(operation).__name__ in _MATRIX_OPERATIONS:
        raise _UnknownCountError
    return 0


def _rule_for(layer_class: type) -> Rule | None:
    """Find the rule of the class or of the nearest ancestor; none if a class before that has its own `call`."""
    for ancestor in layer_class.__mro__:
        if ancestor.__module__.startswith("keras.") and ancestor.__name__ in _RULES:
            return _RULES[ancestor.__name__]
        if "call" in vars(ancestor):
            return None
    return None


def _size(dimensions: Iterable[int | None]) -> int:
    product = 1
    for dimension in dimensions:
        if dimension is None:
            raise _UnknownCountError
        product *= dimension
    return product


def _kernel_size(layer: Any) -> int:
    """Count the entries of all kernels: of "kernel", "recurrent_kernel", "depthwise_kernel", ..."""
    return sum(math.prod(weight.shape) for weight in layer.weights if weight.name.endswith("kernel"))


def _spatial(layer: Any, shape: Shape) -> Shape:
    """Leave out the batch axis and the channels."""
    return shape[2:] if getattr(layer, "data_format", None) == "channels_first" else shape[1:-1]


def _dense(_layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return _size(outputs[0][1:]) * _size(inputs[0][-1:])


def _einsum_dense(layer: Any, _inputs: Shapes, outputs: Shapes) -> int:
    operands, output_labels = layer.equation.replace(" ", "").split("->")
    input_labels, kernel_labels = operands.split(",")
    if set(input_labels) - set(kernel_labels) - set(output_labels):
        raise _UnknownCountError  # an axis that is only added up: how, is left to the backend
    kernel_shape = next(weight.shape for weight in layer.weights if weight.name == "kernel")
    added_up = (size for label, size in zip(kernel_labels, kernel_shape, strict=True) if label not in output_labels)
    return _size(outputs[0][1:]) * _size(added_up)


def _convolution(layer: Any, _inputs: Shapes, outputs: Shapes) -> int:
    return _size(_spatial(layer, outputs[0])) * _kernel_size(layer)


def _transposed_convolution(layer: Any, inputs: Shapes, _outputs: Shapes) -> int:
    """Each input position is multiplied with the whole kernel; what "same" then cuts off counts too."""
    return _size(_spatial(layer, inputs[0])) * _kernel_size(layer)


def _one_per_value(_layer: Any, _inputs: Shapes, outputs: Shapes) -> int:
    return _size(outputs[0][1:])


def _nothing(_layer: Any, _inputs: Shapes, _outputs: Shapes) -> int:
    return 0


def _recurrent(layer: Any, inputs: Shapes, _outputs: Shapes) -> int:
    cells = getattr(layer.cell, "cells", [layer.cell])
    if not all(type(cell).__name__ in _KNOWN_CELLS for cell in cells):
        raise _UnknownCountError
    return _size(inputs[0][1:2]) * _kernel_size(layer)


def _convolutional_recurrent(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    frame = (None, *outputs[0][2:]) if layer.return_sequences else outputs[0]
    return _size(inputs[0][1:2]) * _size(_spatial(layer, frame)) * _kernel_size(layer)


def _bidirectional(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return sum(_count(inner, inputs, outputs) for inner in (layer.forward_layer, layer.backward_layer))


def _time_distributed(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    def at_one_time(shapes: Shapes) -> Shapes:
        return tuple((None, *shape[2:]) for shape in shapes)

    return _size(inputs[0][1:2]) * _count(layer.layer, at_one_time(inputs), at_one_time(outputs))


def _wrapped(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    return _count(layer.layer, inputs, outputs)


def _projected_attention(layer: Any, inputs: Shapes, _outputs: Shapes) -> int:
    """Count the projections, and the products of queries with keys and of scores with values, of all heads."""
    query, value = inputs[0], inputs[1]
    axes = getattr(layer, "_attention_axes", (1,))
    positions, attended = _size(query[1:-1]), _size(value[axis] for axis in axes)
    gate = getattr(layer, "_gate_dense", None)
    on_queries = [layer._query_dense, layer._output_dense, *([gate] if gate is not None else [])]
    on_values = [layer._key_dense, layer._value_dense]
    projections = positions * sum(_kernel_size(dense) for dense in on_queries)
    projections += _size(value[1:-1]) * sum(_kernel_size(dense) for dense in on_values)
    query_heads, head_width = layer._query_dense.kernel.shape[-2:]
    value_width = layer._value_dense.kernel.shape[-1]
    return projections + positions * attended * int(query_heads * (head_width + value_width))


def _attention(layer: Any, inputs: Shapes, _outputs: Shapes) -> int:
    query, value = inputs[0], inputs[1]
    if getattr(layer, "score_mode", "dot") != "dot":
        raise _UnknownCountError
    return _size(query[1:-1]) * _size(value[-2:-1]) * (_size(query[-1:]) + _size(value[-1:]))


def _additive_attention(layer: Any, inputs: Shapes, _outputs: Shapes) -> int:
    query, value = inputs[0], inputs[1]
    scored = _size(query[-1:]) if layer.use_scale else 0
    return _size(query[1:-1]) * _size(value[-2:-1]) * (scored + _size(value[-1:]))


def _dot(layer: Any, inputs: Shapes, outputs: Shapes) -> int:
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return _size(outputs[0][1:]) * _size((inputs[0][axis],))


def _model(model: Any, _inputs: Shapes, _outputs: Shapes) -> int:
    try:
        calls = graph_calls(model)
    except ValueError as error:
        raise _UnknownCountError from error
    return sum(_count(call.operation, call.input_shapes, call.output_shapes) for call in calls)


_RULES: Mapping[str, Rule] = {
    "AdditiveAttention": _additive_attention,
    "Attention": _attention,
    "BaseConv": _convolution,
    "BaseConvTranspose": _transposed_convolution,
    "BaseDepthwiseConv": _convolution,
    "BaseSeparableConv": _convolution,
    "BatchNormalization": _one_per_value,
    "Bidirectional": _bidirectional,
    "Conv1D": _convolution,
    "ConvLSTM": _convolutional_recurrent,
    "Dense": _dense,
    "Dot": _dot,
    "EinsumDense": _einsum_dense,
    "Embedding": _nothing,
    "Functional": _model,
    "GRU": _recurrent,
    "GroupNormalization": _one_per_value,
    "GroupedQueryAttention": _projected_attention,
    "LSTM": _recurrent,
    "LayerNormalization": _one_per_value,
    "MultiHeadAttention": _projected_attention,
    "Normalization": _one_per_value,
    "PReLU": _one_per_value,
    "RMSNormalization": _one_per_value,
    "RNN": _recurrent,
    "Sequential": _model,
    "SimpleRNN": _recurrent,
    "SpectralNormalization": _wrapped,
    "TimeDistributed": _time_distributed,
}
