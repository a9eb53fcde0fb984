"""What converters read: the network as one TensorFlow function; and which layer they could not convert."""

from __future__ import annotations

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


def not_held(model: keras.Model, error: Exception, name: str) -> UsageError:
    """The error that a format cannot hold a layer, which a converter's own error names somewhere."""
    text = str(error)
    layers = [layer for layer in _layers([model]) if f"/{layer.name}" in text or f"'{layer.name}" in text]
    own = max(layers, key=lambda layer: len(layer.name), default=None)
    where = f": its layer `{own.name}`, {type(own).__name__}, has operations that it lacks" if own is not None else ""
    first = next((line for line in text.splitlines() if "error" in line.lower()), text.splitlines()[0] if text else "")
    message = f"The format {name} cannot hold this model{where}. The converter says: {first.strip()[:300]}"
    return UsageError(message, "savedmodel and keras hold every layer of Keras's.")


def _layers(models: Sequence[Any]) -> Iterator[Any]:
    for layer in models:
        inner = getattr(layer, "layers", None)
        if inner:
            yield from _layers(inner)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
