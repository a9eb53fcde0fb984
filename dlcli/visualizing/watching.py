"""What goes into layers and what they give while a model runs, at any depth of nested models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from dlcli.data.dataset import OneOrNamed, for_each, named

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
def before_last_activation(model: Any, output: str = "") -> Iterator[None]:
    """While entered, an output is what its last softmax or sigmoid reads, if it ends in one: its scores.

    As the maps of Grad-CAM (Selvaraju et al. 2017) and saliency (Simonyan et al. 2014) are defined: a softmax mixes
    what speaks for a class with what speaks against others.
    """
    last = _last(model, output)
    if isinstance(last, keras.layers.Softmax):
        with _instead(last, "call", lambda inputs, *_, **__: inputs):
            yield
    elif getattr(getattr(last, "activation", None), "__name__", "") in _PROBABLE:
        with _instead(last, "activation", keras.activations.linear):
            yield
    else:
        yield


def _last(model: Any, output: str) -> Any:
    operation = output_tensor(model, output)._keras_history.operation
    return _last(operation, "") if isinstance(operation, keras.Model) else operation


def output_tensor(model: Any, output: str) -> Any:
    """The output of this name, or the only one, as the model's graph has it."""
    return model.output[output] if output else model.outputs[0]


def leading_to(model: Any, output: str) -> set[str]:
    """The names of the model's own layers that an output depends on."""
    found: set[str] = set()
    waiting = [output_tensor(model, output)]
    while waiting:
        history = waiting.pop()._keras_history
        if history.operation.name not in found:
            found.add(history.operation.name)
            waiting += [tensor for node in history.operation._inbound_nodes for tensor in node.input_tensors]
    return found


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


def outputs_and_seen(
    model: Any, inputs: OneOrNamed[Any], layers: Mapping[str, Any]
) -> tuple[OneOrNamed[Any], dict[str, Seen]]:
    """What the model gives for a batch, and what these layers saw meanwhile."""
    with watching(layers) as seen:
        outputs = model(for_each(tf.convert_to_tensor, inputs), training=False)
    return outputs, seen


def inputs_read(model: Any, inputs: OneOrNamed[Any], layers: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """For each call of these layers, the names of the inputs that it reads, directly or through other layers.

    As gradients tell: of inputs that are numbers of something, such as of a word, it is not known.
    """
    tensors = for_each(lambda values: tf.convert_to_tensor(values)[:1], inputs)
    with tf.GradientTape(persistent=True) as tape:
        for tensor in named(tensors).values():
            tape.watch(tensor)
        with watching(layers) as seen:
            model(tensors, training=False)
    return {
        path: [
            [name for name, tensor in named(tensors).items() if tape.gradient(given, tensor) is not None]
            for given in one.outputs
        ]
        for path, one in seen.items()
    }
