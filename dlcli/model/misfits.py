"""Why a layer does not take what it gets, and what to do; in plainer words than Keras has, where there are any."""

from __future__ import annotations

import math
import re
from typing import Any

import keras

from dlcli.model.joining import Shape, misfit_of_joined
from dlcli.model.objects import reason
from dlcli.model.refusals import groups_remedy

_MEANINGS = {2: " (steps, features)", 3: " (height, width, channels)", 4: " (depth, height, width, channels)"}


def misfit(
    layer: Any, shapes: list[Shape], error: Exception, before: Any, before_label: str
) -> tuple[str, str | None, str | None]:
    """What is wrong with the shapes that `layer` gets, what to do, and the argument that is to blame, if one is.

    Args:
        layer: the layer that failed.
        shapes: what it gets, each with the batch axis.
        error: what Keras raised.
        before: the layer that it reads; None for the data.
        before_label: how a message calls that layer.
    """
    if len(shapes) > 1:
        joined = misfit_of_joined(layer, shapes)
        if joined is not None:
            return joined
    else:
        for explain in (_small_window, _lost_axis, _wrong_size, _cut_away, _undivided):
            found = explain(layer, shapes[0], error)
            if found is not None:
                return found
        axes = _axes(layer, error)
        if axes is not None:
            message, wanted, received = axes
            return message, _remedy_for_axes(layer, shapes[0], wanted, received, before, before_label), None
    return _in_the_words_of_keras(error)


def shape_text(shape: Shape) -> str:
    """A shape without its batch axis, as people write it: 28×28×1."""
    return "×".join("?" if size is None else str(size) for size in shape[1:]) or "one number"


def received(shapes: list[Shape]) -> str:
    """What a layer gets, for a sentence: "28×28×1", "64 numbers"."""
    return " and ".join(shape_text(shape) if len(shape) != 2 else f"{shape_text(shape)} numbers" for shape in shapes)


def _small_window(layer: Any, shape: Shape, error: Exception) -> tuple[str, str | None, str | None] | None:
    name = "kernel_size" if hasattr(layer, "kernel_size") else "pool_size"
    window = getattr(layer, name, None)
    if not isinstance(window, (tuple, list)) or len(shape) != len(window) + 2:
        return None
    sizes = shape[1:-1] if getattr(layer, "data_format", None) != "channels_first" else shape[2:]
    if not any(size is not None and size < wanted for size, wanted in zip(sizes, window, strict=True)):
        return None
    smallest = min(size for size in sizes if size is not None)
    kind = "kernel" if name == "kernel_size" else "window"
    hint = f"Use a `{name}` of at most {smallest}, `padding: same`, or less pooling before it."
    if kind == "window" and smallest <= 1:
        hint = "There is nothing left to pool: remove it, or use less pooling before it."
    return f"smaller than its {'×'.join(map(str, window))} {kind}.", hint, None


def _lost_axis(layer: Any, shape: Shape, error: Exception) -> tuple[str, str | None, str | None] | None:
    if not isinstance(error, (IndexError, KeyError)):
        return None
    axis = getattr(layer, "axis", None)
    if not isinstance(axis, int):
        return "which has fewer axes than it works on.", None, None
    last = len(shape) - 1
    hint = f"The axes are 0, the batch, to {last}; -1 is the last one."
    return f"which has no axis {axis}.", hint, "axis"


def _wrong_size(layer: Any, shape: Shape, error: Exception) -> tuple[str, str | None, str | None] | None:
    target = getattr(layer, "target_shape", None)
    if target is None or None in shape[1:]:
        return None
    numbers, room = math.prod(size or 0 for size in shape[1:]), math.prod(size for size in target if size >= 0)
    is_open = -1 in target
    if numbers == room or (is_open and room and numbers % room == 0):
        return None
    why = f"is {list(target)}: {room:,} does not divide {numbers:,}." if is_open else f"{list(target)} has {room:,}."
    hint = f"The sizes must come to {numbers:,}; -1 is what is left, as in `target_shape: [{shape[1]}, -1]`."
    return f"{numbers:,} numbers, but its target shape {why}", hint, "target_shape"


def _cut_away(layer: Any, shape: Shape, error: Exception) -> tuple[str, str | None, str | None] | None:
    cropping = getattr(layer, "cropping", None)
    if not isinstance(cropping, (tuple, list)):
        return None
    sides = [side if isinstance(side, (tuple, list)) else cropping for side in cropping][: len(shape) - 2]
    sizes = shape[1:-1] if getattr(layer, "data_format", None) != "channels_first" else shape[2:]
    for (first, last), size in zip(sides, sizes, strict=False):
        if size is not None and first + last >= size:
            hint = f"Cut off less than {size} in all, such as `cropping: {(size - 1) // 2}`."
            return f"and cuts off {first} and {last} of {size}: nothing is left.", hint, "cropping"
    return None


def _undivided(layer: Any, shape: Shape, error: Exception) -> tuple[str, str | None, str | None] | None:
    groups = getattr(layer, "groups", None)
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else -1
    channels = shape[axis]
    if not isinstance(groups, int) or groups < 1 or channels is None or channels % groups == 0:
        return None
    many = f"{channels} channel{'s' if channels > 1 else ''}"
    return f"{many}, which `groups: {groups}` does not divide.", groups_remedy(channels), "groups"


def _axes(layer: Any, error: Exception) -> tuple[str, int, int] | None:
    """What Keras says of the number of axes, which it counts with the batch, in words without it."""
    found = re.search(r"expected (min_|max_)?ndim=(\d+), found (?:ndim=)?(\d+)", str(error))
    shapes = re.search(r"received kernel of shape .* and input of shape \(([^)]*)\)", str(error))
    if found:
        least, wanted, have = {"min_": "at least ", "max_": "at most "}.get(found[1], ""), int(found[2]), int(found[3])
    elif shapes and isinstance(getattr(layer, "rank", None), int):
        least, wanted, have = "", layer.rank + 2, shapes[1].count(",") + 1
    else:
        return None
    axes = "axis" if have == 2 else "axes"
    return f"{have - 1} {axes}; it takes {least}{wanted - 1}{_MEANINGS.get(wanted - 1, '')}.", wanted - 1, have - 1


def _remedy_for_axes(layer: Any, shape: Shape, wanted: int, have: int, before: Any, before_label: str) -> str | None:
    name = type(layer).__name__
    fitting = re.sub(r"\dD$", f"{have - 1}D", name)
    if fitting != name and hasattr(keras.layers, fitting):
        return f"`{fitting}` takes {have} axes."
    if wanted < have:
        return _remedy_for_too_many(layer, shape, wanted)
    if getattr(before, "return_sequences", None) is False:
        return f"Give {before_label} `return_sequences: true`."
    if isinstance(before, keras.layers.Flatten) or type(before).__name__.startswith("Global"):
        return f"{before_label} takes the axes away: move it below `{name}`."
    if have == 1 and wanted >= 3:
        return "`Dense` is the layer for rows of numbers; or make an image of them by a `Reshape` before it."
    return "A `Reshape` before it can give more axes."


def _remedy_for_too_many(layer: Any, shape: Shape, wanted: int) -> str:
    if isinstance(layer, keras.layers.Permute):
        return f"Name every axis in `dims`, as in `{list(range(len(shape) - 1, 0, -1))}`."
    if wanted == 2 and None not in shape[1:]:
        rest = math.prod(size or 0 for size in shape[2:])
        return f"Put `Reshape: {{target_shape: [{shape[1]}, {rest}]}}` before it."
    return "`Flatten`, a global pooling layer or `Reshape` before it takes axes away."


def _in_the_words_of_keras(error: Exception) -> tuple[str, str | None, str | None]:
    text = str(error)
    if re.search(r"expects 1 input\(s\), but it received \d+", text):
        return "but reads one input.", "Join them first, with `Concatenate` or `Add`.", None
    if "should be called on a list" in text:
        return "but joins several inputs.", "Name what it reads: `inputs: [a, b]`.", None
    if "missing a required argument" in text:
        hint = (
            "A spec cannot give a layer several arguments; layers that take a list, such as `Attention`, can be used."
        )
        return "but takes several inputs as arguments of their own.", hint, None
    return f"which does not fit: {brief(error)}", None, None


def brief(error: Exception) -> str:
    """Keras's reason without the shapes and tensors that it received: they are not the spec's."""
    if isinstance(error, (IndexError, KeyError)):
        return "it works on inputs with more axes."
    if "Expected image tensor to have rank" in str(error):
        return "it works on images (height, width, channels)."
    if "total size of the tensor must be unchanged" in str(error):
        return "its target shape has another number of values."
    text = re.sub(r"[ ,]*\(?[Rr]eceived:? .*$", "", reason(error)).rstrip(".")
    return f"{text or type(error).__name__}."
