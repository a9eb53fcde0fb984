"""Augmentation: Keras layers that change the training examples, and some that mix them, with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from dlcli.data.dataset import OneOrNamed, Shape
from dlcli.data.encoding import AnyEncoding, Encoding
from dlcli.errors import Problem
from dlcli.model.building import make_layers
from dlcli.model.misfits import brief
from dlcli.spec.keras_objects import MIXING
from dlcli.spec.loading import LoadedSpec


def augmented(layers: Sequence[Any], inputs: Any, targets: Any) -> tuple[Any, Any]:
    """A batch of prepared inputs and encoded targets after these layers."""
    for layer in layers:
        if type(layer).__name__ in MIXING:
            mixed = layer({"images": inputs, "labels": targets}, training=True)
            inputs, targets = mixed["images"], mixed["labels"]
        else:
            inputs = layer(inputs, training=True)
    return inputs, targets


def make_augment(loaded: LoadedSpec, shape: OneOrNamed[Shape]) -> OneOrNamed[list[Any]]:
    """The augmenting layers, tried out on examples of `shape`; for each of several inputs. Raises SpecError."""
    kinds = {name: facts.kind for name, facts in loaded.spec.dataset.source.input_facts.items()}
    if not isinstance(shape, Mapping):
        [kind] = kinds.values()
        return _augmenting(loaded, shape, kind)
    return {name: _augmenting(loaded, each, kinds[name]) for name, each in shape.items()}


def _augmenting(loaded: LoadedSpec, shape: Shape, kind: str) -> list[Any]:
    # Keras's colour layers take pixels for 0..255 unless they are told; prepared images are 0..1.
    scaled = kind in ("images", "video") and loaded.spec.dataset.preparation is None
    layers = make_layers(loaded, ("dataset", "augment"), **({"value_range": [0.0, 1.0]} if scaled else {}))
    tensor, labels = keras.ops.zeros((2, *shape)), keras.ops.eye(2)
    for number, layer in enumerate(layers):
        path = ("dataset", "augment", number)
        try:
            tensor, labels = augmented([layer], tensor, labels)
        except Exception as error:
            message = f"`{type(layer).__name__}` does not fit the data: {brief(error)}"
            raise loaded.error(Problem(message, path)) from error
        if tuple(tensor.shape[1:]) != tuple(shape):
            change = f"from {list(shape)} to {list(tensor.shape[1:])}"
            message = f"`{type(layer).__name__}` changes the shape of an example {change}."
            hint = "A layer that changes it belongs into `dataset.preparation` or into the model."
            raise loaded.error(Problem(message, path, hint))
    return layers


def check_mixing(loaded: LoadedSpec, encoding: AnyEncoding) -> None:
    """See that labels can be mixed, if examples are. Raises SpecError."""
    dataset = loaded.spec.dataset
    is_one = isinstance(encoding, Encoding) and len(dataset.source.input_facts) == 1
    if isinstance(encoding, Encoding) and is_one and encoding.kind == "one_hot":
        return
    for number, layer in enumerate(dataset.augment):
        if layer.name in MIXING:
            message = f"`{layer.name}` mixes two examples and their labels, which it can do to one-hot labels only."
            hint = "Use the loss `categorical_crossentropy`, with one output for each class."
            if not is_one:
                hint = "It is for models with one input and one output."
            raise loaded.error(Problem(message, ("dataset", "augment", number), hint))
