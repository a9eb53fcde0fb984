"""From a spec to a built and compiled `keras.Model`, with errors that name the layer and its line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path as FilePath
from typing import Any, Literal

import keras

from dlcli.errors import Path, Problem
from dlcli.model.calling import Calls, Site, Step, as_lines
from dlcli.model.catalogue import find
from dlcli.model.joining import Shape
from dlcli.model.objects import ObjectError, make_object
from dlcli.model.precision import policy
from dlcli.spec.grammar import Spec
from dlcli.spec.graph import is_stack
from dlcli.spec.heads import heads_of, output_layers
from dlcli.spec.keras_objects import INPUT_LAYERS, KerasObject, LayerEntry
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT


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
        self._loaded = loaded
        self._shapes = input_shape if isinstance(input_shape, Mapping) else {INPUT: input_shape}
        self._precision = loaded.spec.precision
        outputs = output_layers(loaded.spec) if self._precision != "float32" else ()
        self._site = Site(loaded, folder, pretrained, frozenset(outputs))
        self._calls = Calls(self._site, loaded.spec.model.layers, ("model", "layers"))

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of the entries of `model.layers`, by the names of the layers that were made for them."""
        return self._calls.numbers

    def call_layers(self) -> None:
        """Make and call every layer, as far as the spec has them. Raises SpecError."""
        try:
            with policy(self._precision):
                self._call_all(self._loaded.spec.model.layers)
        except ObjectError as error:
            raise self._loaded.error(error.problem) from error

    def model(self) -> keras.Model:
        """The whole model, once its layers are called."""
        spec, calls = self._loaded.spec, self._calls
        name, inputs = _identifier(spec.name), {name: calls.steps[name].output for name in self._shapes}
        outputs = {head.name: calls.steps[head.number].output for head in heads_of(spec).values()}
        with policy(self._precision):
            if len(inputs) == 1 and self._ends() == [len(spec.model.layers) - 1] and is_stack(spec.model.layers):
                return keras.Sequential([*inputs.values(), *calls.layers], name=name)
            return keras.Model(_only(inputs), _only(outputs), name=name)

    def way_to_output(self) -> tuple[str, ...]:
        """The shapes that led to the (first) output, once the layers are called: a line each, the data's first."""
        return as_lines(self._calls.steps_to(self._ends()[0]))

    def _ends(self) -> list[int]:
        return [head.number for head in heads_of(self._loaded.spec).values()]

    def _call_all(self, entries: Sequence[LayerEntry]) -> None:
        if entries[0].layer.name in INPUT_LAYERS:
            _agree(entries[0], *self._shapes.values())
        source = self._loaded.spec.dataset.source.name
        for name, shape in self._shapes.items():
            data = f"the data ({source}{f', {name}' if len(self._shapes) > 1 else ''}, prepared)"
            self._calls.begin(name, Step(data, (), keras.Input(shape=shape, name=name)))
        self._calls.call_all()
        if not self._calls.layers:
            raise ObjectError(Problem("The model has no layer besides its input.", ("model", "layers")))


def _only(named: dict[str, Any]) -> Any:
    """The only one, or all by name."""
    [first, *more] = named.values()
    return named if more else first


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
    # XLA compiles whole loops of steps where that pays: see `dlcli.training.loops`. Where the model's policy is
    # `mixed_float16`, Keras itself puts its `LossScaleOptimizer` around the optimizer.
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
