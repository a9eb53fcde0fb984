"""What converters read: the network as one TensorFlow function; and which layer they could not convert."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.dataset import named
from dlcli.errors import UsageError
from dlcli.exporting.network import OUTPUT


def traced(network: keras.Model) -> tuple[Any, list[tf.TensorSpec]]:
    """A function of the network's inputs in their order, giving its outputs by name; and what it takes."""
    for layer in _layers([network]):
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None:
            # As tensors that were made outside the function they would be inputs of an ONNX model (tf2onnx 1.17).
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    names = list(network.input)
    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name) for name, tensor in network.input.items()]

    def answers(*tensors: Any) -> dict[str, Any]:
        outputs = network(dict(zip(names, tensors, strict=True)), training=False)
        return dict(named(outputs, OUTPUT))

    return tf.function(answers, input_signature=specs), specs


def not_held(model: keras.Model, error: Exception, name: str, graph: Any = None) -> UsageError:
    """The error that a format cannot hold a layer.

    Args:
        model: the network.
        error: a converter's own, which names an operation of the layer, or its kind.
        name: of the format.
        graph: what was converted, where the error names kinds only.
    """
    text = str(error)
    scopes = re.findall(r"[\w.]+(?:/[\w.]+)+", text)
    if graph is not None:
        kinds = set(re.findall(r"'?tf\.(\w+)'? op", text))
        scopes += [operation.name for operation in _operations(graph) if operation.type in kinds]
    own = _of_scopes(model, scopes)
    where = f": its layer {_named(own[0])} has operations that it lacks" if own else ""
    said = re.search(r"error: (.+)", text) or re.search(r"(.+)", text)
    says = f" The converter says: {said[1].strip()[:300]}" if said is not None else ""
    message = f"The format {name} cannot hold this model{where}.{says}"
    return UsageError(message, "savedmodel and keras hold every layer of Keras's.")


def refuse_loops(model: keras.Model, graph: Any) -> None:
    """Raises UsageError for layers that run in a loop, which the converter cannot fit int8 to."""
    scopes = [operation.name for operation in _operations(graph) if operation.type in ("While", "StatelessWhile")]
    if scopes:
        own = _of_scopes(model, scopes)
        which = f": {', '.join(map(_named, own))}" if own else ""
        message = f"--int8 cannot be fitted to layers that go through an example step by step{which}."
        raise UsageError(message, "--float16 halves the size; or give the layer `unroll: true`, and train again.")


def _of_scopes(model: keras.Model, scopes: Sequence[str]) -> list[Any]:
    """The layers in whose scopes operations are; Keras puts a number behind a name where it comes again."""
    parts = {re.sub(r"_\d+$", "", part) for scope in scopes for part in scope.split("/")}
    held = [layer for layer in _layers([model]) if {layer.name, re.sub(r"_\d+$", "", layer.name)} & parts]
    return [layer for layer in held if layer.name in parts] or held


def _named(layer: Any) -> str:
    return f"`{layer.name}`, {type(layer).__name__}"


def _operations(graph: Any) -> Iterator[Any]:
    """Those of a graph, and of the graphs of the functions that it calls."""
    yield from graph.get_operations()
    for function in graph._functions.values():
        inner = getattr(function, "graph", None)
        if inner is not None:
            yield from inner.get_operations()


def _layers(models: Sequence[Any]) -> Iterator[Any]:
    for layer in models:
        inner = getattr(layer, "layers", None)
        if inner:
            yield from _layers(inner)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
