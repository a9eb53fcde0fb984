"""Calls the layers of a list of entries, each with what it reads: those of the model, or of a model within it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

import keras
from keras.src.utils.naming import auto_name

from dlcli.errors import Path, Problem
from dlcli.model.applications import applications
from dlcli.model.joining import Shape
from dlcli.model.misfits import misfit, received, shape_text
from dlcli.model.objects import ObjectError, make_object
from dlcli.model.precision import policy
from dlcli.model.pretrained import make_application
from dlcli.spec.graph import Node, nodes_in_order
from dlcli.spec.keras_objects import INPUT_LAYERS, SEVERAL_ARGUMENTS, LayerEntry
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.paths import MODELS, STACK

_MOST_STEPS = 12


@dataclass(frozen=True)
class Site:
    """What a network is built from: the spec, the folder where it looks for files of weights, and whether it does.

    What the model puts out is of float32, as Keras recommends, whatever its other layers compute in: the layers at the
    places in `in_float32` do so, unless the spec says otherwise beside them.
    """

    loaded: LoadedSpec
    folder: FilePath | None
    pretrained: bool
    in_float32: frozenset[Path] = frozenset()

    def policy(self, path: Path) -> AbstractContextManager[None]:
        """What the layer at this place is made in."""
        return policy("float32") if path in self.in_float32 else nullcontext()


@dataclass(frozen=True)
class Step:
    """One entry that is built: how it is called, what it reads, and what it puts out."""

    label: str
    reads: tuple[int | str, ...]
    output: Any
    layer: Any = None


class Calls:
    """The layers of a list of entries, made and called one after the other.

    Args:
        site: what the network is built from.
        entries: the list.
        path: where that is written.
        around: the steps that lead to what the list reads, if it is that of a model within the model.

    Attributes:
        layers: those made so far.
        steps: what each entry put out, by number, and what each input is, by name.
        numbers: of the entries, by the names of the layers that were made for them.
    """

    def __init__(self, site: Site, entries: Sequence[LayerEntry], path: Path, around: Sequence[Step] = ()) -> None:
        self._site = site
        self._entries = entries
        self._path = path
        self._around = around
        self._inputs: tuple[str, ...] = ()
        self._named: dict[str, list[Any]] = {}
        self._copies: list[Step] = []
        self.layers: list[Any] = []
        self.steps: dict[int | str, Step] = {}
        self.numbers: dict[str, int] = {}

    def begin(self, name: str, step: Step) -> None:
        """Let the entries read an input by its name."""
        self._inputs = (*self._inputs, name)
        self.steps[name] = step

    def call_all(self) -> None:
        """Make and call every layer. Raises ObjectError."""
        for node in nodes_in_order(self._entries, self._inputs):
            tensors = [self.steps[read].output for read in node.reads]
            output = tensors[0] if len(tensors) == 1 else tensors
            entry, path = self._entries[node.number], (*self._path, node.number)
            place = self._site.loaded.place(path)
            label = f"{entry.layer.name}, {place}" if place else entry.layer.name
            self._copies = []
            layers = self._named[entry.reuse] if entry.reuse is not None else self._new_layers(entry, path, output)
            count = len(layers) or entry.repeat
            for copy in range(1, count + 1):
                if len(layers) < copy:  # it is made for the shape of what it reads
                    layers.append(self._kept(self._model_within(entry, path, output, node, copy), path))
                output = self._call(layers[copy - 1], output, node, entry.layer.name)
                self._copies.append(Step(f"{label}, copy {copy} of {count}", (), output, layers[copy - 1]))
            self.steps[node.number] = Step(label, node.reads, output, layers[-1])

    def steps_to(self, number: int | str) -> list[Step]:
        """An entry, and before it what leads to it from the data, at least the last part of the way."""
        way = [self.steps[number]]
        while way[0].reads and len(way) < _MOST_STEPS:
            way.insert(0, self.steps[way[0].reads[0]])
        return way if way[0].reads else [*self._around, *way][-_MOST_STEPS:]

    def _new_layers(self, entry: LayerEntry, path: Path, read: Any) -> list[Any]:
        """The layers of an entry; a list that is still empty for models within the model."""
        if entry.layer.name in MODELS:
            layers = []
        elif entry.layer.name in applications():
            layers = [self._application(entry, path, read)]
        else:
            with self._site.policy(path):
                layers = _make_layers(entry, path)
        for layer in layers:
            self._kept(layer, path)
        if entry.name is not None:
            self._named[entry.name] = layers
        return layers

    def _kept(self, layer: Any, path: Path) -> Any:
        if layer.name in (*self._inputs, *self.numbers):
            message = f"The input, or a layer before, has the name `{layer.name}`, too."
            raise ObjectError(Problem(message, (*path, "name"), "Give it another name."))
        self.layers.append(layer)
        self.numbers[layer.name] = int(path[-1])
        return layer

    def _application(self, entry: LayerEntry, path: Path, read: Any) -> Any:
        """A network of `keras.applications` for what it reads."""
        if isinstance(read, list) or entry.repeat > 1:
            what = "be repeated" if entry.repeat > 1 else "read several layers"
            message = f"`{entry.layer.name}` is a whole network, and cannot {what}."
            raise ObjectError(Problem(message, (*path, "repeat" if entry.repeat > 1 else "inputs")))
        shape, site = tuple(read.shape[1:]), self._site
        network = make_application(entry.layer, shape, entry.name, path, site.folder, pretrained=site.pretrained)
        network.trainable = entry.trainable
        if path in site.in_float32:
            network.layers[-1].dtype_policy = keras.DTypePolicy("float32")
        return network

    def _model_within(self, entry: LayerEntry, path: Path, read: Any, node: Node, copy: int) -> Any:
        """A model within the model, for what it reads. Raises ObjectError."""
        name, is_stack = entry.layer.name, entry.layer.name == STACK
        own = _name_of_copy(entry, copy) or auto_name("Sequential" if is_stack else "Functional")
        tensors = read if isinstance(read, list) else [read]
        before = self._copies[-1:] or [self.steps[number] for number in node.reads]
        if len(tensors) != len(entry.own_inputs):
            message = f"This `{name}` reads {len(entry.own_inputs)}; received {len(tensors)}."
            raise ObjectError(Problem(message, path, "Name what it reads in `inputs` beside it."))
        around = self._steps_before(node)[:-1] if len(tensors) == 1 else []
        inner = Calls(self._site, entry.layers, (*path, name, "layers"), around)
        # Weights in a file are called by their paths, which are then others than those of another such model.
        with keras.name_scope(own):
            for one, tensor, step in zip(entry.own_inputs, tensors, before, strict=True):
                given = keras.Input(shape=tensor.shape[1:], dtype=tensor.dtype, name=one)
                inner.begin(one, replace(step, reads=(), output=given))
            inner.call_all()
            inputs = [inner.steps[one].output for one in entry.own_inputs]
            if is_stack:
                model = keras.Sequential([*inputs, *inner.layers], name=own)
            else:
                output = inner.steps[len(entry.layers) - 1].output
                model = keras.Model(inputs if len(inputs) > 1 else inputs[0], output, name=own)
        if not entry.trainable:
            model.trainable = False
        return model

    def _call(self, layer: Any, tensors: Any, node: Node, name: str) -> Any:
        path = (*self._path, node.number)
        shapes = [tensor.shape for tensor in (tensors if isinstance(tensors, list) else [tensors])]
        try:
            output = layer(*_arguments(name, tensors))
        except Exception as error:
            raise ObjectError(self._misfit(error, layer, shapes, node, name)) from error
        if not hasattr(output, "shape"):
            raise ObjectError(Problem(f"`{name}` gives several outputs, which the next layer cannot read.", path))
        if any(size is not None and size <= 0 for size in output.shape[1:]):
            message = f"`{name}` gets {received(shapes)} here, and leaves nothing of it."
            hint = "Use fewer or smaller windows before it, or `padding: same`."
            raise ObjectError(Problem(message, path, hint, trail=self._way(node)))
        return output

    def _misfit(self, error: Exception, layer: Any, shapes: list[Shape], node: Node, name: str) -> Problem:
        before = self._copies[-1] if self._copies else self.steps[node.reads[0]]
        label = "`" + before.label.replace(", ", "` at ", 1)
        why, hint, argument = misfit(layer, shapes, error, before.layer, label)
        path: Path = (*self._path, node.number)
        if argument in self._entries[node.number].layer.arguments:
            path = (*path, name, str(argument))
        message = f"`{name}` gets {received(shapes)} here, {why}"
        return Problem(message, path, hint, trail=self._way(node))

    def _way(self, node: Node) -> tuple[str, ...]:
        """The shapes that led to an entry: of what it reads, and of what comes before that, the data first."""
        return as_lines(self._steps_before(node))

    def _steps_before(self, node: Node) -> list[Step]:
        if len(node.reads) > 1:
            return [*(self.steps[read] for read in node.reads), *self._copies]
        return [*self.steps_to(node.reads[0]), *self._copies]


def _arguments(name: str, tensors: Any) -> list[Any]:
    """What a layer of this name is called with for what it reads, one tensor or a list."""
    if name not in SEVERAL_ARGUMENTS:
        return [tensors]
    return tensors if isinstance(tensors, list) else [tensors, tensors]


def as_lines(steps: Sequence[Step]) -> tuple[str, ...]:
    """The shapes that the steps put out, a line each, with where each comes from."""
    shapes = [shape_text(step.output.shape) for step in steps]
    width = max(len(shape) for shape in shapes)
    return tuple(f"{shape:<{width}}  from {step.label}" for shape, step in zip(shapes, steps, strict=True))


def _name_of_copy(entry: LayerEntry, copy: int) -> str | None:
    if entry.name is None or entry.repeat == 1:
        return entry.name
    return f"{entry.name}_{copy}"


def _make_layers(entry: LayerEntry, path: Path) -> list[Any]:
    if entry.layer.name in INPUT_LAYERS:
        raise ObjectError(Problem(f"`{entry.layer.name}` may only be the first layer.", path))
    layers = []
    for copy in range(1, entry.repeat + 1):
        name = _name_of_copy(entry, copy)
        layer = make_object("layer", entry.layer, path, **({"name": name} if name is not None else {}))
        if not entry.trainable:
            layer.trainable = False
        layers.append(layer)
    return layers
