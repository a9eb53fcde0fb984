"""The network that is exported: the trained one, with as much of the preparation before it as the format holds.

All of it is Keras's own: layers and operations that any Keras loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from dlcli.data.columns import Category, Date, Fitted, Index, Number, Text
from dlcli.data.dataset import for_each, named
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings
from dlcli.data.preparation import AnyPreparation, Preparation, Preparations
from dlcli.exporting.parts import Columns, Part, Taken

OUTPUT = "output"
"""the name of the only output"""
_LARGEST_HALF = 65504.0  # of float16
_STEP = 2.0**15


def whole_network(
    model: keras.Model,
    preparation: AnyPreparation,
    encoding: AnyEncoding,
    parts: Mapping[str, Part],
    taken: Mapping[str, Sequence[Taken]],
    batch_size: int | None = None,
    *,
    is_halved: bool = False,
) -> keras.Model:
    """A model that takes tensors by name, and answers in the targets' own units.

    Args:
        model: the trained one.
        preparation: of its raw examples.
        encoding: of its targets.
        parts: what each of its inputs is made of.
        taken: the tensors for each of them: columns where there are several, or the raw examples themselves.
        batch_size: how many examples it takes at a time; None for any number.
        is_halved: whether its constants will be in float16.
    """
    tensors: dict[str, Any] = {}
    for each in taken.values():
        for one in each:
            if one.name not in tensors:
                shape = (batch_size, *one.shape)
                tensors[one.name] = keras.Input(batch_shape=shape, dtype=one.dtype, name=one.name)
    raw = {name: _raw(parts[name], [tensors[one.name] for one in each], each) for name, each in taken.items()}
    several = isinstance(preparation, Preparations)
    prepared = _layers_named(preparation).apply(raw if several else next(iter(raw.values())))
    outputs = model(prepared, training=False)
    return keras.Model(tensors, _in_units(outputs, encoding, is_halved=is_halved), name=model.name)


def _raw(part: Part, tensors: Sequence[Any], taken: Sequence[Taken]) -> Any:
    """A raw example, as the source's reader makes it."""
    if not isinstance(part, Columns) or not _is_apart(taken):
        return tensors[0]
    if isinstance(part.columns[0], (Text, Index)):
        return _numbered(part.columns[0], tensors[0])
    encoded = [_encoded(column, tensor) for column, tensor in zip(part.columns, tensors, strict=True)]
    return encoded[0] if len(encoded) == 1 else ops.concatenate(encoded, axis=-1)


def _is_apart(taken: Sequence[Taken]) -> bool:
    """Whether these are columns, which the network is to make numbers of."""
    return any(one.dtype in ("string", "float64") for one in taken) or len(taken) > 1


def _numbered(column: Text | Index, tensor: Any) -> Any:
    if isinstance(column, Text):
        return keras.layers.TextVectorization(
            max_tokens=max(column.vocabulary, len(column.words) + 2),
            output_sequence_length=column.length,
            vocabulary=list(column.words),
        )(tensor)
    return _looked_up(column.values, tensor)


def _looked_up(values: Sequence[str], tensor: Any) -> Any:
    """The position of a text among others, from 1 on; 0 for one that is not there."""
    return keras.layers.StringLookup(vocabulary=list(values), num_oov_indices=1, mask_token=None)(tensor)


def _encoded(column: Fitted, tensor: Any) -> Any:
    """A column's numbers on a new last axis, as `column.encode` has them."""
    if isinstance(column, Number):
        missing = ops.isnan(tensor)
        filled = ops.where(missing, column.mean, tensor)
        shift = column.mean if column.is_scaled else 0.0
        scaled = ops.cast((filled - shift) / column.deviation, "float32")
        numbers = [scaled, ops.cast(missing, "float32")] if column.has_missing else [scaled]
        return ops.stack(numbers, axis=-1)
    if isinstance(column, Category):
        known = [*column.values, *([""] * column.has_missing)]
        return ops.one_hot(_looked_up(known, tensor) - 1, len(known))
    if isinstance(column, Date):
        return tensor
    raise NotImplementedError(column.kind)


def _layers_named(preparation: AnyPreparation) -> AnyPreparation:
    """The same with layers of which no two have the same name, as in one model they must."""

    def renamed(name: str, one: Preparation) -> Preparation:
        layers = [
            type(layer).from_config({**layer.get_config(), "name": f"prepare{name}_{number}"})
            for number, layer in enumerate(one.layers, start=1)
        ]
        return replace(one, layers=tuple(layers))

    if isinstance(preparation, Preparations):
        return Preparations({name: renamed(f"_{name}", one) for name, one in preparation.each.items()})
    return renamed("", preparation)


def _in_units(outputs: Any, encoding: AnyEncoding, *, is_halved: bool) -> Any:
    """Outputs in the targets' own units."""

    def restored(one: Encoding, output: Any, name: str) -> Any:
        if one.kind != "standardized":
            return output
        if is_halved and max(one.deviation, abs(one.mean)) > _LARGEST_HALF:
            # In two steps, with a `maximum` that changes nothing, lest the converter makes one of them.
            near = keras.layers.Rescaling(one.deviation / _STEP, one.mean / _STEP, name=name)(output)
            return ops.maximum(near, -_LARGEST_HALF) * _STEP
        return keras.layers.Rescaling(one.deviation, one.mean, name=name)(output)

    if isinstance(encoding, Encodings):
        return {name: restored(one, outputs[name], f"{name}_in_units") for name, one in encoding.each.items()}
    [output] = named(for_each(lambda found: found, outputs)).values()
    return restored(encoding, output, "in_units")
