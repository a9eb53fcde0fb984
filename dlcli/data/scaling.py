"""Numbers that are asked for, standardized for the loss: by mean and deviation of the training examples alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings
from dlcli.data.splits import Split
from dlcli.errors import DataError
from dlcli.spec.source import TARGET


def scales_of(encoding: AnyEncoding) -> dict[str, dict[str, float]]:
    """`mean` and `deviation` of each target that is standardized, by its name; the only one has the name `target`."""
    each = named(encoding.each if isinstance(encoding, Encodings) else encoding, TARGET)
    return {
        name: {"mean": one.mean, "deviation": one.deviation} for name, one in each.items() if one.kind == "standardized"
    }


def with_scales(encoding: AnyEncoding, train: Split) -> AnyEncoding:
    """The encoding with mean and deviation of the targets to train on, where they are standardized.

    Raises:
        DataError: a target is the same in all examples to train on.
    """

    def fitted(name: str, one: Encoding) -> Encoding:
        if one.kind != "standardized":
            return one
        every = train.examples.targets
        return _fitted(one, name, (every[name] if isinstance(every, Mapping) else every)[train.indices])

    if isinstance(encoding, Encodings):
        return Encodings({name: fitted(name, one) for name, one in encoding.each.items()})
    return fitted("", encoding)


def _fitted(encoding: Encoding, name: str, values: Array) -> Encoding:
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if deviation == 0.0 or (values == values[0]).all():
        what = f"`{name}`" if name else "The target"
        message = f"{what} is {values[0]:g} in all {len(values):,} examples to train on: it cannot be standardized."
        raise DataError(message, "Hold out less, or other examples.")
    return replace(encoding, mean=mean, deviation=deviation)


def with_scales_of(encoding: AnyEncoding, trained: AnyEncoding) -> AnyEncoding:
    """The encoding of other data for a model that was trained with `trained`: its numbers are scaled as there."""
    known = named(trained.each if isinstance(trained, Encodings) else trained)

    def scaled(name: str, one: Encoding) -> Encoding:
        then = known.get(name)
        return then if then is not None and one.classes is None and then.kind in ("number", "standardized") else one

    if isinstance(encoding, Encodings):
        return Encodings({name: scaled(name, one) for name, one in encoding.each.items()})
    return scaled("", encoding)
