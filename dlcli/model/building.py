"""From a spec to a built and compiled `keras.Model`, with errors that name the layer and its line."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from dlcli.errors import Path, Problem
from dlcli.model.catalogue import find
from dlcli.model.objects import ObjectError, make_object, reason
from dlcli.spec.grammar import Spec
from dlcli.spec.keras_objects import LayerEntry
from dlcli.spec.loading import LoadedSpec

Shape = tuple[int | None, ...]


def build_model(loaded: LoadedSpec, input_shape: Shape) -> keras.Sequential:
    """The network of a spec, built for examples of `input_shape` (without the batch axis), not yet compiled.

    Raises:
        SpecError: Keras does not accept a layer, or a layer does not fit what comes before it.
    """
    spec = loaded.spec
    entries = list(enumerate(spec.model.layers))
    try:
        if entries[0][1].layer.name in ("Input", "InputLayer"):
            _agree(entries.pop(0)[1], input_shape)
        inputs = keras.Input(shape=input_shape, name="input")
        layers: list[Any] = []
        tensor = inputs
        for number, entry in entries:
            for layer in _make_layers(entry, ("model", "layers", number)):
                if layer.name in ("input", *(other.name for other in layers)):
                    message = f"The input, or a layer above, has the name `{layer.name}`, too."
                    raise ObjectError(Problem(message, ("model", "layers", number, "name"), "Give it another name."))
                tensor = _call(layer, tensor, ("model", "layers", number), entry.layer.name)
                layers.append(layer)
        if not layers:
            raise ObjectError(Problem("The model has no layer besides its input.", ("model", "layers")))
        return keras.Sequential([inputs, *layers], name=_identifier(spec.name))
    except ObjectError as error:
        raise loaded.error(error.problem) from error


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
    if entry.layer.name in ("Input", "InputLayer"):
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


def _call(layer: Any, tensor: Any, path: Path, name: str) -> Any:
    incoming = shape_text(tensor.shape)
    try:
        output = layer(tensor)
    except Exception as error:
        too_small = _too_small(layer, tensor.shape)
        message = f"`{name}` does not fit what comes before it, of shape {incoming}: {too_small or reason(error)}"
        raise ObjectError(Problem(message, path, _shape_hint(layer, tensor.shape))) from error
    if not hasattr(output, "shape"):
        raise ObjectError(Problem(f"`{name}` gives several outputs, which a stack of layers cannot pass on.", path))
    empty = [size for size in output.shape[1:] if size is not None and size <= 0]
    if empty:
        message = f"`{name}` leaves nothing of what comes before it, of shape {incoming}."
        raise ObjectError(Problem(message, path, "Use fewer or smaller windows before it, or `padding: same`."))
    return output


def shape_text(shape: Shape) -> str:
    """A shape without its batch axis, as people write it: 28×28×1."""
    return "×".join("?" if size is None else str(size) for size in shape[1:]) or "one number"


def _too_small(layer: Any, shape: Shape) -> str | None:
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if not isinstance(kernel, (tuple, list)) or len(shape) != len(kernel) + 2:
        return None
    sizes = shape[1:-1] if getattr(layer, "data_format", None) != "channels_first" else shape[2:]
    if any(size is not None and size < wanted for size, wanted in zip(sizes, kernel, strict=True)):
        return f"that is smaller than the {'×'.join(map(str, kernel))} window."
    return None


def _shape_hint(layer: Any, shape: Shape) -> str | None:
    rank = getattr(layer, "rank", None)
    if isinstance(rank, int) and len(shape) != rank + 2:
        return f"It needs {rank} axes and channels; a `Reshape` before it can give them."
    return None


def compile_model(loaded: LoadedSpec, model: keras.Model) -> None:
    """Give the model its loss, optimizer and metrics. Raises SpecError."""
    spec = loaded.spec
    try:
        optimizer = make_object("optimizer", spec.optimizer, ("optimizer",))
        loss = make_object("loss", spec.loss, ("loss",))
        metrics = [make_object("metric", metric, ("metrics", number)) for number, metric in enumerate(spec.metrics)]
    except ObjectError as error:
        raise loaded.error(error.problem) from error
    # XLA on the CPU is ten times slower on matrices and convolutions; see the README's notes on speed.
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=False)


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
