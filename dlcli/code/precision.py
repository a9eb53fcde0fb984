"""Mixed precision in a script: Keras's dtype policy while the model is made, and what the model puts out in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlcli.errors import Path, UsageError
from dlcli.spec.catalogue import Catalogue, kind_of_parameter
from dlcli.spec.grammar import Spec
from dlcli.spec.heads import output_layers
from dlcli.spec.keras_objects import split_layer, split_object


def in_policy(spec: Spec, statements: Sequence[str]) -> list[str]:
    """The statements that make the model, with those that say what its layers compute in."""
    if spec.precision == "float32":
        return list(statements)
    begun = [f"keras.config.set_dtype_policy({spec.precision!r})"]
    return [*begun, *statements, "keras.config.set_dtype_policy('float32')"]


def with_long_outputs(layers: Sequence[Any], spec: Spec, catalogue: Catalogue) -> list[Any]:
    """The entries of `model.layers` as plain data, of which those say so that are made in float32.

    Raises:
        UsageError: one of these is a network of `keras.applications`.
    """
    found = list(layers)
    if spec.precision != "float32":
        for path in output_layers(spec):
            found = _changed(found, path[2:], catalogue)
    return found


def _changed(entries: Sequence[Any], path: Path, catalogue: Catalogue) -> list[Any]:
    """The entries with another one at `path`: a number, and perhaps the way on through a model within the model."""
    number = int(path[0])
    layer, words = split_layer(dict(entries[number]) if isinstance(entries[number], dict) else entries[number])
    name, arguments = split_object(layer)
    if len(path) > 1:
        changed = {**arguments, "layers": _changed(arguments["layers"], path[3:], catalogue)}
    else:
        changed = _in_float32(name, arguments, catalogue)
    return [*entries[:number], {name: changed, **words}, *entries[number + 1 :]]


def _in_float32(name: str, arguments: dict[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The arguments of a layer that computes in float32, and with it the layers that it is given."""
    if "include_top" in (catalogue.parameters("layer", name) or {}):
        message = f"That `{name}` puts out float32 cannot be written as a script yet."
        raise UsageError(message, "Put a `Dense` layer behind it, with `include_top: false`.")
    inner = {key: _inner(key, value, catalogue) for key, value in arguments.items()}
    return inner if "dtype" in inner else {**inner, "dtype": "float32"}


def _inner(key: str, value: Any, catalogue: Catalogue) -> Any:
    if isinstance(value, list):
        return [_inner(key, item, catalogue) for item in value]
    is_layer = isinstance(value, str) and kind_of_parameter(key) == "layer"
    if not is_layer and not (isinstance(value, dict) and len(value) == 1):
        return value
    if catalogue.kind_of_name(str(value if is_layer else next(iter(value)))) != "layer":
        return value
    name, arguments = split_object(value)
    return {name: _in_float32(name, arguments, catalogue)}
