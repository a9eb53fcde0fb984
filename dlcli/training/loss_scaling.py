"""The scale of the loss in `mixed_float16`: what it came to, and when it can no longer help.

Keras's `LossScaleOptimizer` halves it after a step whose gradients overflow, which it leaves out, and doubles it after
2,000 good ones. Such a step is no divergence; that no step is any good is one.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlcli.errors import DivergedError


def loss_scaling(model: keras.Model, steps: int) -> dict[str, Any] | None:
    """The scale now, and how many of so many steps were left out; None where the loss is not scaled."""
    if not hasattr(model.optimizer, "dynamic_scale"):
        return None
    return {"scale": _scale(model), "skipped_steps": steps - steps_applied(model)}


def steps_applied(model: keras.Model) -> int:
    """How many steps have changed weights, or what is gathered for them."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return int(keras.ops.convert_to_numpy(optimizer._iterations))


def check_scale(model: keras.Model, before: int, place: str) -> None:
    """See that steps since `before` were good, if the loss is scaled down even.

    Args:
        model: in training.
        before: what `steps_applied` was.
        place: which steps these are, for a person.

    Raises:
        DivergedError: all of them were left out.
    """
    scaling = loss_scaling(model, 0)
    if scaling is None or scaling["scale"] >= 1 or steps_applied(model) > before:
        return
    message = f"All {place} were left out: their gradients are no numbers, even with the loss times "
    message += f"{scaling['scale']:.3g}."
    hint = "`precision: mixed_bfloat16` has numbers as large as those of float32; or use a smaller learning rate."
    raise DivergedError(message, hint)


def _scale(model: keras.Model) -> float:
    return float(np.asarray(keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)))
