"""The networks of `keras.applications`: their names and arguments, for the catalogue."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from dlcli.spec.catalogue import kind_of_parameter

# What comes from the model that the network stands in.
_GIVEN = ("input_tensor", "input_shape", "name")
IMAGENET = "imagenet"
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_TEXT_OR_NOTHING: dict[str, Any] = {"types": ["null", "string"]}
_KNOWN: dict[str, dict[str, Any]] = {
    "weights": {**_TEXT_OR_NOTHING, "examples": [IMAGENET]},
    "pooling": {**_TEXT_OR_NOTHING, "choices": ["avg", "max"]},
}


def applications() -> dict[str, Any]:
    """The functions of `keras.applications`, by name."""
    found = vars(keras.applications).items()
    return {name: thing for name, thing in found if name[:1].isupper() and inspect.isfunction(thing)}


def layers_of_applications() -> dict[str, Any]:
    """The layers that some of these networks are made of and that are not in `keras.layers`, by name.

    A .h5 file with one of them is opened in plain Keras only with `custom_objects`: Keras 3.15.1.
    """
    from keras.src.applications import convnext, inception_resnet_v2

    classes = (convnext.LayerScale, convnext.StochasticDepth, inception_resnet_v2.CustomScaleLayer)
    return {cls.__name__: cls for cls in classes}


def described_arguments(function: Any) -> dict[str, dict[str, Any]]:
    """What the catalogue says of a function's arguments."""
    described: dict[str, dict[str, Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in _GIVEN:
            continue
        if kind_of_parameter(name):
            described[name] = {}
            continue
        known = _KNOWN.get(name) or {"types": [_JSON_TYPES[type(parameter.default)]]}
        described[name] = known if parameter.default is None else {**known, "default": parameter.default}
    return described
