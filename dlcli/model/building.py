"""From a spec to a built and compiled `keras.Model`, with errors that name the layer and its line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any, Literal

import keras

from dlcli.errors import Path, Problem
from dlcli.model.applications import applications
from dlcli.model.catalogue import find
from dlcli.model.joining import Shape
from dlcli.model.misfits import misfit, received, shape_text
from dlcli.model.objects import ObjectError, make_object
from dlcli.model.pretrained import make_application
from dlcli.spec.grammar import Spec
from dlcli.spec.graph import INPUT_LAYERS, SEVERAL_ARGUMENTS, Node, is_stack, nodes_in_order
from dlcli.spec.heads import heads_of
from dlcli.spec.keras_objects import KerasObject, LayerEntry
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT

_MOST_STEPS = 12


def build_model(
    loaded: LoadedSpec, input_shape: Shape | Mapping[str, Shape], pretrained_from: FilePath | None = None
) -> keras.Model:
    """The network of a spec, built for examples of `input_shape` (without the batch axis), not yet compiled.

    Where there are several inputs, it takes them, and has their shapes, by name; it gives several outputs by name.

    With `pretrained_from`, the spec's folder, it has the weights that the spec asks for, downloaded or from files.

    Raises:
        SpecError: Keras does not accept a layer, or a layer does not fit what comes before it.
        DataError: weights cannot be downloaded.
    """
    network = Network(loaded, input_shape, pretrained_from, pretrained=pretrained_from is not None)
    network.call_layers()
    return network.model()


@dataclass(frozen=True)
class _Step:
    """One entry of `model.layers` that is built: how it is called, what it reads, and what it puts out."""

    label: str
    reads: tuple[int | str, ...]
    output: Any
    layer: Any = None


class Network:
    """A network that is being built, layer by layer; how far it got tells where a shape comes from."""

    def __init__(
        self,
        loaded: LoadedSpec,
        input_shape: Shape | Mapping[str, Shape],
        folder: FilePath | None = None,
        *,
        pretrained: bool = False,
    ) -> None:
        self._folder = folder
        self._pretrained = pretrained
        self._loaded = loaded
        self._shapes = input_shape if isinstance(input_shape, Mapping) else {INPUT: input_shape}
        self._layers: list[Any] = []
        self._named: dict[str, list[Any]] = {}
        self._copies: list[_Step] = []
        self._steps: dict[int | str, _Step] = {}
        self.numbers: dict[str, int] = {}
        """of the entries of `model.layers`, by the names of the layers that were made for them"""

    def call_layers(self) -> None:
        """Make and call every layer, as far as the spec has them. Raises SpecError."""
        try:
            self._call_all(self._loaded.spec.model.layers)
        except ObjectError as error:
            raise self._loaded.error(error.problem) from error

    def model(self) -> keras.Model:
        """The whole model, once its layers are called."""
        spec = self._loaded.spec
        name, inputs = _identifier(spec.name), {name: self._steps[name].output for name in self._shapes}
        outputs = {head.name: self._steps[head.number].output for head in heads_of(spec).values()}
        if len(inputs) == 1 and self._ends() == [len(spec.model.layers) - 1] and is_stack(spec.model.layers):
            return keras.Sequential([*inputs.values(), *self._layers], name=name)
        return keras.Model(_only(inputs), _only(outputs), name=name)

    def _ends(self) -> list[int]:
        return [head.number for head in heads_of(self._loaded.spec).values()]

    def _call_all(self, entries: Sequence[LayerEntry]) -> None:
        if entries[0].layer.name in INPUT_LAYERS:
            _agree(entries[0], *self._shapes.values())
        source = self._loaded.spec.dataset.source.name
        for name, shape in self._shapes.items():
            data = f"the data ({source}{f', {name}' if len(self._shapes) > 1 else ''}, prepared)"
            self._steps[name] = _Step(data, (), keras.Input(shape=shape, name=name))
        for node in nodes_in_order(entries, tuple(self._shapes)):
            tensors = [self._steps[read].output for read in node.reads]
            output = tensors[0] if len(tensors) == 1 else tensors
            entry, path = entries[node.number], ("model", "layers", node.number)
            place = self._loaded.place(path)
            label = f"{entry.layer.name}, {place}" if place else entry.layer.name
            self._copies = []
            layers = self._named[entry.reuse] if entry.reuse is not None else self._new_layers(entry, path, output)
            for copy, layer in enumerate(layers, start=1):
                output = self._call(layer, output, node, entry.layer.name)
                self._copies.append(_Step(f"{label}, copy {copy} of {entry.repeat}", (), output, layer))
            self._steps[node.number] = _Step(label, node.reads, output, layers[-1])
        if not self._layers:
            raise ObjectError(Problem("The model has no layer besides its input.", ("model", "layers")))

    def _new_layers(self, entry: LayerEntry, path: Path, read: Any) -> list[Any]:
        if entry.layer.name in applications():
            layers = [self._application(entry, path, read)]
        else:
            layers = _make_layers(entry, path)
        for layer in layers:
            self._check_name(layer.name, path)
            self._layers.append(layer)
            self.numbers[layer.name] = int(path[-1])
        if entry.name is not None:
            self._named[entry.name] = layers
        return layers

    def _application(self, entry: LayerEntry, path: Path, read: Any) -> Any:
        """A network of `keras.applications` for what it reads."""
        if isinstance(read, list) or entry.repeat > 1:
            what = "be repeated" if entry.repeat > 1 else "read several layers"
            message = f"`{entry.layer.name}` is a whole network, and cannot {what}."
            raise ObjectError(Problem(message, (*path, "repeat" if entry.repeat > 1 else "inputs")))
        shape = tuple(read.shape[1:])
        network = make_application(entry.layer, shape, entry.name, path, self._folder, pretrained=self._pretrained)
        network.trainable = entry.trainable
        return network

    def _check_name(self, name: str, path: Path) -> None:
        if name in (*self._shapes, *(other.name for other in self._layers)):
            message = f"The input, or a layer before, has the name `{name}`, too."
            raise ObjectError(Problem(message, (*path, "name"), "Give it another name."))

    def _call(self, layer: Any, tensors: Any, node: Node, name: str) -> Any:
        path = ("model", "layers", node.number)
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
        before = self._copies[-1] if self._copies else self._steps[node.reads[0]]
        label = "`" + before.label.replace(", ", "` at ", 1)
        why, hint, argument = misfit(layer, shapes, error, before.layer, label)
        path: Path = ("model", "layers", node.number)
        if argument in self._loaded.spec.model.layers[node.number].layer.arguments:
            path = (*path, name, str(argument))
        message = f"`{name}` gets {received(shapes)} here, {why}"
        return Problem(message, path, hint, trail=self._way(node))

    def way_to_output(self) -> tuple[str, ...]:
        """The shapes that led to the (first) output, once the layers are called: a line each, the data's first."""
        return _as_lines(self._steps_to(self._ends()[0]))

    def _way(self, node: Node) -> tuple[str, ...]:
        """The shapes that led to an entry: of what it reads, and of what comes before that, the data first."""
        if len(node.reads) > 1:
            return _as_lines([*(self._steps[read] for read in node.reads), *self._copies])
        return _as_lines([*self._steps_to(node.reads[0]), *self._copies])

    def _steps_to(self, number: int | str) -> list[_Step]:
        """An entry, and before it what leads to it from the data, at least the last part of the way."""
        way = [self._steps[number]]
        while way[0].reads and len(way) < _MOST_STEPS:
            way.insert(0, self._steps[way[0].reads[0]])
        return way


def _arguments(name: str, tensors: Any) -> list[Any]:
    """What a layer of this name is called with for what it reads, one tensor or a list."""
    if name not in SEVERAL_ARGUMENTS:
        return [tensors]
    return tensors if isinstance(tensors, list) else [tensors, tensors]


def _only(named: dict[str, Any]) -> Any:
    """The only one, or all by name."""
    [first, *more] = named.values()
    return named if more else first


def _as_lines(steps: list[_Step]) -> tuple[str, ...]:
    shapes = [shape_text(step.output.shape) for step in steps]
    width = max(len(shape) for shape in shapes)
    return tuple(f"{shape:<{width}}  from {step.label}" for shape, step in zip(shapes, steps, strict=True))


def _identifier(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def _agree(entry: LayerEntry, input_shape: Shape) -> None:
    written = entry.layer.arguments.get("shape")
    path = ("model", "layers", 0, entry.layer.name, "shape")
    if not isinstance(written, (list, tuple)):
        message = f"The shape of `{entry.layer.name}` is a list of numbers; received {written}."
        raise ObjectError(Problem(message, path, f"Write `shape: {list(input_shape)}`, or leave the layer out."))
    if tuple(written) != tuple(input_shape):
        shapes = f"{list(written)}, but the dataset gives {list(input_shape)}"
        message = f"`{entry.layer.name}` says that an example has the shape {shapes}."
        raise ObjectError(Problem(message, path, "Correct it, or leave it out: the shape comes from the dataset."))


def _make_layers(entry: LayerEntry, path: Path) -> list[Any]:
    if entry.layer.name in INPUT_LAYERS:
        raise ObjectError(Problem(f"`{entry.layer.name}` may only be the first layer.", path))
    layers = []
    for copy in range(entry.repeat):
        extra: dict[str, Any] = {}
        if entry.name is not None:
            extra["name"] = entry.name if entry.repeat == 1 else f"{entry.name}_{copy + 1}"
        layer = make_object("layer", entry.layer, path, **extra)
        if not entry.trainable:
            layer.trainable = False
        layers.append(layer)
    return layers


def shapes_of(model: keras.Model, what: Literal["input", "output"]) -> Shape | dict[str, Shape]:
    """The shapes, with the batch axis, of what a model takes or gives; of several, by name.

    (Of several, Keras 3.15.1 has a list in the order of the names.)
    """
    # A stack that is built without values of its weights has no `output`, but a shape.
    tensors = None if isinstance(model, keras.Sequential) else getattr(model, what)
    if isinstance(tensors, Mapping):
        return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return tuple(getattr(model, f"{what}_shape"))


def by_name(model: keras.Model) -> keras.Model:
    """The model, taking several inputs, and giving several outputs, by the names that Keras has for them."""
    is_stack_of_layers = isinstance(model, keras.Sequential)
    if is_stack_of_layers or not any(isinstance(tensors, (list, tuple)) for tensors in (model.input, model.output)):
        return model
    inputs = {tensor.name: tensor for tensor in model.inputs}
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    return keras.Model(_only(inputs), _only(outputs), name=model.name)


def compile_model(loaded: LoadedSpec, model: keras.Model) -> None:
    """Give the model its loss, optimizer and metrics. Raises SpecError."""
    spec = loaded.spec
    [optimizer] = (make() for make in makers(loaded, "optimizer"))
    heads = heads_of(spec)
    losses = {name: _make(loaded, "loss", head.loss, head.loss_path) for name, head in heads.items()}
    metrics = {name: [_make(loaded, "metric", *metric) for metric in head.metrics] for name, head in heads.items()}
    weights = spec.loss_weights
    several = {"loss_weights": {name: weights.get(name, 1.0) for name in heads}} if weights else {}
    # XLA compiles whole loops of steps where that pays: see `dlcli.training.loops`.
    model.compile(optimizer=optimizer, loss=_only(losses), metrics=_only(metrics), jit_compile=False, **several)


def makers(loaded: LoadedSpec, section: str) -> list[Callable[[], Any]]:
    """What makes each Keras object of `loss`, `optimizer` or `metrics`, or raises SpecError."""
    spec = loaded.spec
    if section == "optimizer":
        return [partial(_make, loaded, "optimizer", spec.optimizer, ("optimizer",))]
    heads = heads_of(spec).values()
    if section == "loss":
        return [partial(_make, loaded, "loss", head.loss, head.loss_path) for head in heads]
    return [partial(_make, loaded, "metric", *metric) for head in heads for metric in head.metrics]


def _make(loaded: LoadedSpec, kind: str, written: KerasObject, path: Path) -> Any:
    try:
        return make_object(kind, written, path)
    except ObjectError as error:
        raise loaded.error(error.problem) from error


def make_layers(loaded: LoadedSpec, path: Path, **defaults: Any) -> list[Any]:
    """The layers listed at `dataset.preparation` or `dataset.augment`. Raises SpecError.

    `defaults` are arguments for the layers that have them and for which the spec does not give them.
    """
    made = []
    for number, written in enumerate(_listed(loaded.spec, path)):
        known = inspect.signature(find("layer", written.name)).parameters if defaults else {}
        extra = {key: value for key, value in defaults.items() if key in known and key not in written.arguments}
        try:
            made.append(make_object("layer", written, (*path, number), **extra))
        except ObjectError as error:
            raise loaded.error(error.problem) from error
    return made


def _listed(spec: Spec, path: Path) -> Any:
    value: Any = spec
    for key in path:
        value = getattr(value, str(key))
    return value or ()
