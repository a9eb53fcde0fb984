"""The layers of a model as the rules see them: what each applies, what it reads, and how the model ends.

Nothing is known here of shapes. The layers of a model within the model stand among the others; but not those of one
that is repeated, which is then a layer of a class that the rules do not know. Where a layer reads several others, or is
of such a class, no rule looks beyond it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from dlcli.errors import Path
from dlcli.spec.grammar import ModelSpec
from dlcli.spec.graph import nodes_in_order, output_numbers
from dlcli.spec.keras_objects import KerasObject, LayerEntry
from dlcli.spec.lints.written import canonical, nested, number, place_of
from dlcli.spec.source import INPUT, TARGET

LINEAR = "linear"
_WEIGHTED = re.compile(r"Dense|EinsumDense|(Separable|Depthwise)?Conv(olution)?[123]D(Transpose)?")
# What changes neither the kind of the numbers nor, taken with the weighted layers around it, what can be learned.
_PASSING = re.compile(
    r"((Alpha|Gaussian)?Dropout|SpatialDropout[123]D|GaussianNoise|ActivityRegularization|Identity|BatchNormalization"
    r"|Flatten|Reshape|Permute|(ZeroPadding|Cropping|UpSampling)[123]D|(Global|Adaptive)?(AveragePooling|AvgPool)[123]D"
    r"|Rescaling|Normalization)"
)
_ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "prelu", "ELU": "elu", "Softmax": "softmax"}


class Placed(NamedTuple):
    """One entry of `model.layers`, or of a model within the model.

    Attributes:
        number: its place in the network.
        layer: the Keras layer.
        repeat: how often it comes, each reading the one before.
        reads: the numbers of the entries it reads; the names of inputs.
        entry: where it is written.
    """

    number: int
    layer: KerasObject
    repeat: int
    reads: tuple[int | str, ...]
    entry: Path

    @property
    def path(self) -> Path:
        """Where the layer's name is written."""
        return place_of(self.layer, self.entry)

    def argument(self, name: str) -> Path:
        """Where an argument is written; where the layer is, if the argument is left out."""
        return (*self.path, name) if name in self.layer.arguments else self.path

    @property
    def is_weighted(self) -> bool:
        """Whether it multiplies with weights and adds up: `Dense` and convolutions."""
        return _WEIGHTED.fullmatch(self.layer.name) is not None

    @property
    def is_activation(self) -> bool:
        """Whether it is a layer that only applies an activation."""
        return self.layer.name == "Activation" or self.layer.name in _ACTIVATIONS

    @property
    def is_passing(self) -> bool:
        """Whether it hands on what it reads: reshaped, averaged, dropped out, scaled."""
        return _PASSING.fullmatch(self.layer.name) is not None

    @property
    def activation(self) -> str | None:
        """The activation that it applies, `linear` if none; None where that is not known."""
        if self.layer.name in _ACTIVATIONS:
            return _ACTIVATIONS[self.layer.name]
        if not (self.is_weighted or self.layer.name == "Activation"):
            return None
        written = self.layer.arguments.get("activation")
        if written is None:
            return LINEAR if self.is_weighted else None
        found = nested(written)
        return canonical(found.name) if found else None

    @property
    def units(self) -> int | None:
        """How many outputs, or channels, a weighted layer has."""
        found = number(self.layer.arguments.get("units", self.layer.arguments.get("filters")))
        return None if found is None else int(found)


class Network(NamedTuple):
    """The layers of a model by their numbers, each after those that it reads."""

    layers: Mapping[int, Placed]
    last: int | None = None

    @classmethod
    def of(cls, model: ModelSpec, inputs: Sequence[str] = (INPUT,), last: int | None = None) -> Network:
        """The network of a spec; an `Input` is left out. `last` is the number of one of several outputs."""
        if last is None:
            [last] = output_numbers(model.layers, model.outputs, (TARGET,)).values()
        placed: dict[int, Placed] = {}
        numbers = _place(model.layers, {name: name for name in inputs}, ("model", "layers"), placed)
        end = numbers.get(last)
        return cls(placed, end if isinstance(end, int) else None)

    @property
    def output(self) -> Placed | None:
        """The layer whose output is the model's."""
        return self.layers.get(self.last) if self.last is not None else None

    @property
    def weighted(self) -> list[Placed]:
        """The `Dense` layers and convolutions."""
        return [placed for placed in self.layers.values() if placed.is_weighted]

    def upstream(self, placed: Placed) -> Iterator[Placed]:
        """The layers that lead to this one, nearest first, as long as each reads only one."""
        while len(placed.reads) == 1 and isinstance(placed.reads[0], int) and placed.reads[0] in self.layers:
            placed = self.layers[placed.reads[0]]
            yield placed


def _place(
    entries: Sequence[LayerEntry], given: Mapping[int | str, int | str], path: Path, placed: dict[int, Placed]
) -> dict[int | str, int | str]:
    """Add the entries of a list to the network; for each its number there, and for each input what that is.

    Args:
        entries: the list.
        given: what its inputs are: numbers in the network, or the names of the model's own inputs.
        path: where the list is written.
        placed: the network so far.
    """
    known = dict(given)
    for node in nodes_in_order(entries, tuple(map(str, given))):
        entry, at = entries[node.number], (*path, node.number)
        reads = tuple(known[read] for read in node.reads)
        if entry.layers and entry.repeat == 1 and len(reads) == len(entry.own_inputs):
            inputs: dict[int | str, int | str] = dict(zip(entry.own_inputs, reads, strict=True))
            inner = _place(entry.layers, inputs, (*at, entry.layer.name, "layers"), placed)
            if len(entry.layers) - 1 in inner:
                known[node.number] = inner[len(entry.layers) - 1]
                continue
        known[node.number] = number_here = len(placed)
        placed[number_here] = Placed(number_here, entry.layer, entry.repeat, reads, at)
    return known


class Head(NamedTuple):
    """How a model ends.

    Attributes:
        last: the last weighted layer.
        after: the layers behind it, the last one first.
        activation: what is applied last, `linear` if nothing.
        path: where that is written; where the last weighted layer is, if nothing is.
        units: how many outputs there are; None where it takes shapes to tell.
    """

    last: Placed
    after: tuple[Placed, ...]
    activation: str
    path: Path
    units: int | None


def find_head(network: Network) -> Head | None:
    """The model's head; None if it ends with layers that the rules do not know."""
    after: list[Placed] = []
    for placed in [network.output, *network.upstream(network.output)] if network.output else []:
        if placed.is_weighted:
            return _head(placed, tuple(after))
        if not (placed.is_passing or placed.is_activation):
            return None
        after.append(placed)
    return None


def _head(last: Placed, after: tuple[Placed, ...]) -> Head | None:
    applied = [placed for placed in (*after, last) if placed.is_activation or placed.is_weighted]
    if any(placed.activation is None for placed in applied):
        return None
    final = next((placed for placed in applied if placed.activation != LINEAR), last)
    keeps_units = not any(placed.layer.name in ("Flatten", "Reshape", "Permute") for placed in after)
    path = final.argument("activation")
    return Head(last, after, final.activation or LINEAR, path, last.units if keeps_units else None)
