"""Why layers that join several inputs, such as `Concatenate` and `Add`, do not take what they get, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

Shape = tuple[int | None, ...]

_ELEMENTWISE = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
_SAME_WAY = "Give the layers on each way to it the same `strides`, `padding` and pooling."


def misfit_of_joined(layer: Any, shapes: Sequence[Shape]) -> tuple[str, str | None, str | None] | None:
    """What is wrong with shapes, with the batch axis, that are joined, what to do, and the argument that is to blame.

    None for a layer that joins in a way of its own.
    """
    name = type(layer).__name__
    if name not in ("Concatenate", *_ELEMENTWISE):
        return None
    axes = [len(shape) - 1 for shape in shapes]
    if len(set(axes)) > 1:
        hint = "Put a `Flatten` behind the layer that gives more axes."
        return "but joins only shapes that have the same number of axes.", hint, None
    last = axes[0]
    if isinstance(layer, keras.layers.Concatenate):
        axis = layer.axis % (last + 1)
        unlike = _unlike(shapes, without=axis)
        along = "the last one" if axis == last else f"that of axis {axis}"
        why = f"but joins only shapes that have the same sizes, except {along}."
    else:
        unlike = _unlike(shapes, without=0)
        why = "but joins only shapes that have the same sizes."
    if not unlike:
        return None
    return why, _remedy(unlike, last, is_elementwise=name in _ELEMENTWISE), None


def _unlike(shapes: Sequence[Shape], *, without: int) -> list[int]:
    """The axes in which the shapes are not alike, but for one and that of the batch."""
    axes = (axis for axis in range(1, len(shapes[0])) if axis != without)
    return [axis for axis in axes if len({shape[axis] for shape in shapes}) > 1]


def _remedy(unlike: Sequence[int], last: int, *, is_elementwise: bool) -> str:
    if not is_elementwise or unlike != [last]:
        return _SAME_WAY
    word = "units" if last == 1 else "filters"
    return f"Give the layers that it reads the same number of `{word}`, or join them with `Concatenate`."
