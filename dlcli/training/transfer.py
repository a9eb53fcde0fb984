"""A new run that begins with the weights of an earlier one: `--init-from`."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from dlcli.errors import CheckpointError
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.checkpoint_file import opened


def take_weights(model: Any, checkpoint: Checkpoint) -> tuple[str, list[str]]:
    """Give each layer of the model the weights of the checkpoint's layer of its name, where they have the same shapes.

    Returns:
        what to tell a person: a title, and lines that name the layers which keep their first weights.

    Raises:
        CheckpointError: no layer fits.
    """
    with opened(checkpoint.path) as file:
        group = file.get("model_weights", file)
        found = {name: _weights(group[name]) for name in group if isinstance(group[name], h5py.Group)}
    taken: list[Any] = []
    left: list[str] = []
    with_weights = [layer for layer in model.layers if layer.weights]
    for layer in with_weights:
        given = found.get(layer.name, {})
        shapes, wanted = [values.shape for values in given.values()], [tuple(weight.shape) for weight in layer.weights]
        fitting = _in_order(layer, given)
        if fitting is not None:
            taken.append((layer, fitting))
        elif layer.name in found and given:
            sizes = f"{_shown(wanted)}, not {_shown(shapes)}"
            left.append(f"`{layer.name}` keeps its first weights: its shapes are {sizes}.")
        else:
            left.append(f"`{layer.name}` keeps its first weights: the checkpoint has no layer of that name.")
    if not taken:
        lines = "".join(f"\n  {line}" for line in left)
        message = f"No layer of the model fits the weights in {checkpoint.path}:{lines}"
        raise CheckpointError(message, "Layers are found by their names: give those that are the same the same `name`.")
    for layer, values in taken:
        layer.set_weights(values)
    count = f"{len(taken)} of {len(with_weights)} layers with weights"
    return f"weights from {checkpoint.path}", [f"{count} begin with those of the checkpoint.", *left]


def _in_order(layer: Any, given: dict[str, Any]) -> list[Any] | None:
    """The values for the layer's weights, in the order of these; None if they do not fit.

    Keras writes what is trained first. Of a model within the model, parts of which may have been frozen or not, that
    is told by the paths of the weights, from the model on.
    """
    ours = {_path_within(layer, weight.path): weight for weight in layer.weights}
    theirs = {_path_within(layer, path): values for path, values in given.items()}
    if len(ours) == len(layer.weights) and ours.keys() == theirs.keys():
        order = list(ours.values())
        values = [theirs[path] for path in ours]
    else:
        orders = [[*layer.trainable_weights, *layer.non_trainable_weights], list(layer.weights)]
        kinds = [path.rsplit("/", 1)[-1] for path in given]
        is_model = hasattr(layer, "layers")
        fitting = (one for one in orders if not is_model or [weight.name for weight in one] == kinds)
        order, values = next(fitting, []), list(given.values())
    if [one.shape for one in values] != [tuple(weight.shape) for weight in order] or len(order) != len(layer.weights):
        return None
    by_weight = {id(weight): one for weight, one in zip(order, values, strict=True)}
    return [by_weight[id(weight)] for weight in layer.weights]


def _path_within(layer: Any, path: str) -> str:
    return path.partition(f"{layer.name}/")[2] or path


def _weights(group: Any) -> dict[str, Any]:
    """The weights of a layer by their paths, in the order in which Keras wrote them, and reads them."""
    from keras.src.legacy.saving.legacy_h5_format import load_attributes_from_hdf5_group

    names = load_attributes_from_hdf5_group(group, "weight_names")  # many names are in several attributes
    return {str(name): np.asarray(group[name][()]) for name in names}


def _shown(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "a number" for shape in shapes)
