"""What goes into layers and what they give while a model runs, at any depth of nested models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

_PROBABLE = ("softmax", "sigmoid")


@dataclass
class Seen:
    """What one layer read and gave, a tensor for each of its calls."""

    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


@contextmanager
def watching(layers: Mapping[str, Any], tape: Any = None) -> Iterator[dict[str, Seen]]:
    """While entered, what these layers read and give is kept by their names; `tape`, if given, watches it.

    The model is to be called eagerly: `model(inputs, training=False)`.
    """
    seen = {name: Seen() for name in layers}

    def watched(call: Any, found: Seen) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            given = call(*arguments, **named)
            if tape is not None:
                tape.watch(given)
            found.inputs.append(arguments[0] if arguments else None)
            found.outputs.append(given)
            return given

        return run

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(_instead(layer, "call", watched(layer.call, seen[name])))
        yield seen


@contextmanager
def before_last_activation(model: Any) -> Iterator[None]:
    """While entered, the model gives what its last softmax or sigmoid reads, if it ends in one: its scores.

    As the maps of Grad-CAM (Selvaraju et al. 2017) and saliency (Simonyan et al. 2014) are defined: a softmax mixes
    what speaks for a class with what speaks against others.
    """
    last = _last(model)
    if isinstance(last, keras.layers.Softmax):
        with _instead(last, "call", lambda inputs, *_, **__: inputs):
            yield
    elif getattr(getattr(last, "activation", None), "__name__", "") in _PROBABLE:
        with _instead(last, "activation", keras.activations.linear):
            yield
    else:
        yield


def _last(model: Any) -> Any:
    operation = model.outputs[0]._keras_history.operation
    return _last(operation) if isinstance(operation, keras.Model) else operation


@contextmanager
def _instead(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute of this object alone, past Keras's own bookkeeping, and the old one again afterwards."""
    had = name in vars(owner)
    old = getattr(owner, name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if had:
            object.__setattr__(owner, name, old)
        else:
            object.__delattr__(owner, name)


def outputs_and_seen(model: Any, inputs: Any, layers: Mapping[str, Any]) -> tuple[Any, dict[str, Seen]]:
    """What the model gives for a batch, and what these layers saw meanwhile."""
    with watching(layers) as seen:
        outputs = model(tf.convert_to_tensor(inputs), training=False)
    return outputs, seen
