"""Mixed precision: layers that compute in 16 bits, and keep their weights in 32. By Keras's own dtype policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

_SHORT = frozenset({"float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """While entered, layers and models that are made have this dtype policy; then Keras has the one from before."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(model: keras.Model) -> keras.Model:
    """The same model with the same weights, all of whose layers compute in float32: the model itself, if they do."""
    if all(layer.compute_dtype not in _SHORT for layer in model._flatten_layers(include_self=True, recursive=True)):
        return model
    same = type(model).from_config(_in_float32(model.get_config()))
    same.set_weights(model.get_weights())
    return same


def _in_float32(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {key: _long(value) if key == "dtype" else _in_float32(value) for key, value in config.items()}
    return [_in_float32(item) for item in config] if isinstance(config, (list, tuple)) else config


def _long(dtype: Any) -> Any:
    """A dtype, or a policy as Keras writes it, without those of 16 bits."""
    name = dtype["config"].get("name") if isinstance(dtype, Mapping) and "config" in dtype else dtype
    return "float32" if name in _SHORT else dtype
