"""Rules about what the model gets to see: the range of the values, and what augmentation does to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import DatasetSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.network import Network, Placed
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.written import number, numbers, place_of
from dlcli.spec.source import INPUT

_LARGE = 20.0  # weights are initialized for values near 1
_NARROW = 0.05  # the differences between examples drown in the bias
_UNIT = 2.0  # a range up to here is not that of bytes
_STANDARDIZED = (-3.0, 3.0)
_KEEPING = re.compile(
    r"Reshape|Flatten|Permute|Identity|Resizing|CenterCrop|Random\w+|\w*Dropout([123]D)?|GaussianNoise"
    r"|ActivityRegularization|(ZeroPadding|Cropping|UpSampling)[123]D|(Average|Avg|Max)Pool(ing)?[123]D"
)
_STANDARDIZING = re.compile(r"(Batch|Layer|Group|Unit|RMS)Normalization")
_RECURRENT = frozenset({"SimpleRNN", "LSTM", "GRU", "Bidirectional"})
# Those whose outcome depends on their `value_range`, which is 0..255 in Keras 3.15.1 if nothing is said.
OF_A_RANGE = frozenset(
    {
        "AugMix", "AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "RandAugment",
        "RandomBrightness", "RandomColorJitter", "RandomErasing", "RandomInvert", "RandomPosterization", "Solarization",
    }
)  # fmt: skip
_DIGITS = ("mnist", "digits")
_UPRIGHT = ("fashion_mnist", "cifar10", "cifar100")


class _Values(NamedTuple):
    """The range of the values at some place, and where they were rescaled last."""

    low: float
    high: float
    rescaled_at: Path | None = None

    def after(self, layer: KerasObject, path: Path, *, is_fitted: bool) -> _Values | None:
        """The values behind a layer; None where that is not known. `is_fitted` is said of a `Normalization`."""
        if layer.name == "Rescaling":
            scale, offset = number(layer.arguments.get("scale")), number(layer.arguments.get("offset", 0))
            if scale is None or offset is None:
                return None
            ends = sorted((self.low * scale + offset, self.high * scale + offset))
            return _Values(ends[0], ends[1], path)
        if layer.name == "Normalization":
            return _Values(*_STANDARDIZED) if is_fitted or layer.arguments.get("mean") is not None else self
        if _STANDARDIZING.fullmatch(layer.name):
            return _Values(*_STANDARDIZED)
        return self if _KEEPING.fullmatch(layer.name) or layer.name in OF_A_RANGE else None


def _prepared(dataset: DatasetSpec) -> _Values | None:
    """What the model gets; None where that is not known."""
    if dataset.source.values is None:
        return None
    values: _Values | None = _Values(*dataset.source.values)
    if dataset.preparation is None:  # what the source's kind gets by default: see `dlcli.data.preparation`
        images, table = _Values(0.0, 1.0), _Values(*_STANDARDIZED)
        return {"images": images, "video": images, "table": table}.get(dataset.source.kind, values)
    for position, layer in enumerate(dataset.preparation):
        path = place_of(layer, ("dataset", "preparation", position))
        values = values.after(layer, path, is_fitted=True) if values is not None else None
    return values


def _consumers(network: Network) -> Iterator[tuple[Placed, list[Placed]]]:
    """The layers that take values of the input in, each with the layers between it and the input, in order."""
    for placed in network.layers.values():
        if not (placed.is_weighted or placed.layer.name in _RECURRENT):
            continue
        between: list[Placed] = []
        for above in network.upstream(placed):
            if above.is_weighted:
                break
            between.insert(0, above)
        if (between or [placed])[0].reads == (INPUT,):
            yield placed, between


def _consumed(dataset: DatasetSpec, network: Network) -> _Values | None:
    """What the first layer with weights gets; None where that is not known."""
    for _, between in _consumers(network):
        values = _prepared(dataset)
        for placed in between:
            values = values.after(placed.layer, placed.path, is_fitted=False) if values is not None else None
        if values is not None:
            return values
    return None


def _unscaled_inputs(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    values = _consumed(dataset, network)
    if values is None or max(abs(values.low), abs(values.high)) <= _LARGE:
        return
    is_image = dataset.source.kind == "images"
    remedy = "`Rescaling: {scale: 0.00392156862745098}`" if is_image else "`Normalization`"
    or_else = " Left out, `preparation` does that." if dataset.preparation is not None else ""
    yield Problem(
        f"The model gets values from {values.low:g} to {values.high:g}, but its weights start out for values near 1: "
        "learning is slow, or the loss becomes NaN.",
        values.rescaled_at or ("dataset", "preparation"),
        f"Add {remedy} to `dataset.preparation`.{or_else}" if values.rescaled_at is None else "Correct the scale.",
    )


def _scaled_twice(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    values = _consumed(dataset, network)
    if values is None or values.rescaled_at is None or values.high - values.low >= _NARROW:
        return
    already = (
        f" dlcli scales the {dataset.source.kind} of `{dataset.source.name}` already, since `dataset.preparation` does "
        "not say otherwise."
        if dataset.preparation is None
        else ""
    )
    yield Problem(
        f"Behind this, all values are between {values.low:g} and {values.high:g}: all examples look nearly the "
        f"same.{already}",
        values.rescaled_at,
        "Remove this layer.",
    )


def _wrong_value_range(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    values = _prepared(dataset)
    if values is None or dataset.source.kind != "images":
        return
    if dataset.preparation is not None:  # otherwise dlcli fills the right range in
        for layer, path in _augmenting(dataset):
            yield from _range_of(layer, path, values)
    for _, between in _consumers(network):
        at_layer: _Values | None = values
        for placed in between:
            if at_layer is not None:
                yield from _range_of(placed.layer, placed.path, at_layer)
                at_layer = at_layer.after(placed.layer, placed.path, is_fitted=False)


def _range_of(layer: KerasObject, path: Path, values: _Values) -> Iterator[Problem]:
    if layer.name in OF_A_RANGE and "value_range" not in layer.arguments and values.high <= _UNIT:
        yield Problem(
            f"`{layer.name}` takes the pixels for 0 to 255, but here they are {values.low:g} to {values.high:g}: it "
            "turns whole images black, white or grey.",
            path,
            f"Add `value_range: [{values.low:g}, {values.high:g}]`.",
        )


def _augmenting(dataset: DatasetSpec) -> Iterator[tuple[KerasObject, Path]]:
    for position, layer in enumerate(dataset.augment):
        yield layer, place_of(layer, ("dataset", "augment", position))


def _changed_meaning(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    in_model = [(placed.layer, placed.path) for placed in network.layers.values()]
    augmenting: Iterable[tuple[KerasObject, Path]] = [*_augmenting(dataset), *in_model]
    for layer, path in augmenting:
        if layer.name == "RandomFlip":
            yield from _flip(dataset.source.name, layer, path)
        elif layer.name == "RandomRotation":
            yield from _rotation(dataset.source.name, layer, path)


def _flip(source: str, layer: KerasObject, path: Path) -> Iterator[Problem]:
    mode = layer.arguments.get("mode", "horizontal_and_vertical")
    where = (*path, "mode") if "mode" in layer.arguments else path
    if source in _DIGITS:
        message = f"A mirrored digit is not a digit of `{source}`: the model learns from images that it never meets."
        yield Problem(message, where, "Remove `RandomFlip`; `RandomTranslation` and `RandomRotation` suit digits.")
    elif source in _UPRIGHT and mode in ("vertical", "horizontal_and_vertical"):
        default = "" if "mode" in layer.arguments else " (and that is what it does if not told)"
        message = (
            f"`RandomFlip` turns images upside down here{default}, but those of `{source}` are all upright: the model "
            "learns from images that it never meets."
        )
        yield Problem(message, where, "Write `RandomFlip: {mode: horizontal}`.")


def _rotation(source: str, layer: KerasObject, path: Path) -> Iterator[Problem]:
    factors = numbers(layer.arguments.get("factor"))
    largest = max((abs(factor) for factor in factors), default=0.0)
    allowed = {**dict.fromkeys(_DIGITS, 0.125), **dict.fromkeys(_UPRIGHT, 0.25)}.get(source)
    if allowed is None or largest <= allowed:
        return
    confused = "a 6 becomes a 9" if source in _DIGITS else "images stand on their heads"
    yield Problem(
        f"`factor` is a share of a full turn: this rotates by up to {largest * 360:.0f}°, and {confused}.",
        (*path, "factor"),
        "Use a small share, such as `factor: 0.04` for 14°.",
    )


RULES = (
    Rule("unscaled-inputs", "values far from 1 that reach the first layer with weights", _unscaled_inputs),
    Rule("scaled-twice", "a Rescaling of what is scaled already", _scaled_twice),
    Rule("wrong-value-range", "a colour augmentation for 0..255 on images of 0..1", _wrong_value_range),
    Rule("changed-meaning", "an augmentation that makes another thing of an image", _changed_meaning),
)
