"""Operations of `keras.ops` among the layers of a saved model, and the parts of its config that tell of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any


def layer_of_operation(layer: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The layer that does what an operation of `keras.ops` does, as `x + 3` in Python leaves one; None for others."""
    name, nodes = str(layer.get("class_name")), layer.get("inbound_nodes") or [{}]
    if layer.get("module") != "keras.src.ops.numpy" or len(nodes) != 1 or not isinstance(nodes[0], Mapping):
        return None
    arguments = nodes[0].get("args") or []
    numbers = [value for value in arguments if isinstance(value, (int, float)) and not isinstance(value, bool)]
    tensors = list(tensors_in(arguments))
    if len(tensors) == 2 == len(arguments) and name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum"):
        return name, {}
    if len(tensors) != 1 or len(numbers) != 1 or len(arguments) != 2:
        return None
    number, is_behind = float(numbers[0]), not isinstance(arguments[1], Mapping)
    if name == "Add":
        return "Rescaling", {"scale": 1.0, "offset": number}
    if name == "Multiply":
        return "Rescaling", {"scale": number}
    if name == "Subtract":
        return "Rescaling", {"scale": 1.0, "offset": -number} if is_behind else {"scale": -1.0, "offset": number}
    return None


def masks_among(layers: Sequence[Mapping[str, Any]]) -> set[str]:
    """The operations that only make the masks of `Embedding` and `Masking`, which Keras makes again by itself.

    Keras 3.15.1 saves them among the layers of a functional model, and who reads them as arguments called `mask`.
    """
    if not any(layer.get("class_name") == "Masking" or inner_config(layer).get("mask_zero") for layer in layers):
        return set()
    operations = {own_name(layer.get("name")): layer for layer in layers if ".ops." in str(layer.get("module"))}
    others = [layer for layer in layers if own_name(layer.get("name")) not in operations]
    read = {own_name(tensor[0]) for layer in others for tensor in tensors_in(_positional(layer))}
    wanted = [name for name in operations if name in read]
    while wanted:  # what makes something that a layer reads is no mask, nor is what that is made of
        name = wanted.pop()
        layer = operations.pop(name)
        wanted += [found for tensor in tensors_in(_positional(layer)) if (found := own_name(tensor[0])) in operations]
    return set(operations)


def _positional(layer: Mapping[str, Any]) -> list[Any]:
    nodes = layer.get("inbound_nodes") or ()
    return [node.get("args") for node in nodes if isinstance(node, Mapping)]


def inner_config(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a layer was made with; empty if the file does not say."""
    inner = layer.get("config")
    return inner if isinstance(inner, Mapping) else {}


def own_name(written: Any) -> str:
    """A layer's name, with the signs that a spec's names may have: Keras 2 had slashes in some."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", str(written))


def tensors_in(value: Any) -> Iterator[list[Any]]:
    """The `[layer, call, output]` of each tensor among the arguments of a call."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            yield list(value["config"]["keras_history"])
        else:
            for item in value.values():
                yield from tensors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from tensors_in(item)


def in_order_of_inputs(node: Any, layer: Mapping[str, Any]) -> Any:
    """A call of a model that is given its inputs by name, as if they were given in Keras's order: by name."""
    names, given = inner_config(layer).get("input_layers"), node.get("args") if isinstance(node, Mapping) else None
    if not (isinstance(names, Mapping) and given and isinstance(given[0], Mapping) and set(names) == set(given[0])):
        return node
    return {**node, "args": [[given[0][name] for name in sorted(names)], *given[1:]]}


def place_among_inputs(layer: Mapping[str, Any]) -> Callable[[tuple[str, Any]], int]:
    """The order of the items of a mapping by the names of a model's inputs: as `in_order_of_inputs` has them."""
    names = inner_config(layer).get("input_layers")
    ordered = [own_name(names[name][0]) for name in sorted(names)] if isinstance(names, Mapping) else []
    return lambda item: ordered.index(item[0]) if item[0] in ordered else 0
