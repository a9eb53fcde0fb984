"""What a model's outputs say: the class and its probability, or a number; and files of the outputs themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, OneOrNamed
from dlcli.data.encoding import Encoding
from dlcli.errors import RunError
from dlcli.files import replacing


@dataclass(frozen=True)
class Outcome:
    """The model's answers for n examples.

    Attributes:
        classes: class numbers, shape (n,).
        probabilities: of those classes, shape (n,); as the model gives them.
    """

    classes: Array
    probabilities: Array


def outcome_of(outputs: Array, encoding: Encoding, *, from_logits: bool) -> Outcome:
    """Classes from outputs of shape (n, units). One unit: the second class where it is over one half."""
    scores = scores_of(outputs, encoding, from_logits=from_logits)
    classes = scores.argmax(axis=1)
    return Outcome(classes, scores[np.arange(len(scores)), classes])


def scores_of(outputs: Array, encoding: Encoding, *, from_logits: bool) -> Array:
    """The probability of each class, as the model gives them, shape (n, classes), of outputs of shape (n, units).

    One unit, where there are two classes, is the probability of the second.
    """
    if encoding.kind == "binary":
        positive = outputs[:, 0]
        if from_logits:
            positive = 1.0 / (1.0 + np.exp(-positive))
        return np.column_stack([1.0 - positive, positive])
    if from_logits:
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
    return outputs


def write_arrays(path: Path, arrays: OneOrNamed[Array]) -> None:
    """Write an array as .npy, or several by name as .npz. Raises RunError."""
    several: dict[str, Any] = dict(arrays) if isinstance(arrays, Mapping) else {"prediction": arrays}
    if path.suffix.lower() == ".npy" and len(several) > 1:
        raise RunError(f"{path}: a .npy file holds one array, but the model gives {', '.join(several)}.", "Use .npz.")
    with replacing(path) as beside:
        if path.suffix.lower() == ".npy":
            np.save(beside, next(iter(several.values())))
        else:
            np.savez(beside, **several)
