"""The text of a spec for an imported model, with a stand-in for the data, which no model file says anything of."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.errors import CheckpointError
from dlcli.importing.files import ModelFile
from dlcli.importing.graphs import Shape, entries_of, read_graph
from dlcli.importing.objects import Importer
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.writing import to_flow

_WIDTH = 120
# For a length that the model leaves open.
_OPEN_LENGTH = 32
_KNOWN_SHAPES = {
    ((28, 28, 1), 10): "mnist", ((32, 32, 3), 10): "cifar10", ((32, 32, 3), 100): "cifar100", ((8, 8, 1), 10): "digits",
    ((4,), 3): "iris", ((13,), 3): "wine", ((30,), 1): "breast_cancer", ((30,), 2): "breast_cancer",
    ((10,), 1): "diabetes", ((2,), 1): "moons", ((2,), 2): "moons",
}  # fmt: skip


def spec_of(file: ModelFile, catalogue: Catalogue) -> tuple[str, list[str]]:
    """The spec, and what of the model it does not say.

    Raises:
        CheckpointError: no spec can describe the model.
    """
    importer = Importer(catalogue, file.path)
    try:
        return _text(file, importer), importer.left_out
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{file.path} is damaged: its config is not as Keras writes it ({what}).") from error


def _text(file: ModelFile, importer: Importer) -> str:
    graph = read_graph(file.config, importer)
    if graph.shape is None:
        raise importer.refuse("it does not say what shape its input has.", "Build the model before it is saved.")
    entries = entries_of(graph)
    units, activation = _ending(entries)
    source, preparation = _stand_in(graph.shape, units)
    name = re.sub(r"[^A-Za-z0-9_.\-]", "_", str(file.config["config"].get("name") or file.path.stem)) or "imported"
    lines = [
        f"# The model of {file.path.name}{f', saved by Keras {file.keras}' if file.keras else ''}.",
        "# It says nothing of its data: the source below only has examples of the right shape. Put yours in its place.",
        "",
        f"name: {name if name[0].isalnum() else f'model_{name}'}",
        "",
        "dataset:",
        f"  source: {to_flow(source)}",
        *([f"  preparation: {to_flow(preparation)}"] if preparation else []),
        "",
        "model:",
        "  layers:",
        *(line for entry in entries for line in _entry_lines(entry)),
        "",
        *_compiled(file.compiled, importer, units, activation),
    ]
    return "\n".join(lines) + "\n"


def _ending(entries: Sequence[Mapping[str, Any]]) -> tuple[int | None, str | None]:
    """How many numbers the model puts out for an example, and through which activation, as far as that is plain."""
    activation: str | None = None
    for entry in reversed(entries):
        name = next((key for key in entry if str(key)[:1].isupper()), "")
        arguments = entry.get(name) or {}
        if name in ("Activation", "Softmax"):
            activation = activation or (arguments.get("activation") if name == "Activation" else "softmax")
        elif name == "Dense":
            written = arguments.get("activation")
            return arguments.get("units"), activation or (written if isinstance(written, str) else None)
        elif name not in ("Dropout", "Reshape"):
            break
    return None, activation


def _stand_in(shape: Shape, units: int | None) -> tuple[Any, list[Any]]:
    """A source with examples of this shape and as many classes, and what prepares them."""
    sizes = [size if size is not None else _OPEN_LENGTH for size in shape]
    known = _KNOWN_SHAPES.get((tuple(sizes), units)) if units is not None else None
    if known:
        return known, []
    centers = max(2, units or 2)
    source = {"blobs": {"samples": max(1000, 10 * centers), "centers": centers, "features": math.prod(sizes)}}
    return source, [] if len(sizes) == 1 else [{"Reshape": {"target_shape": sizes}}]


def _entry_lines(entry: Mapping[str, Any]) -> list[str]:
    """An entry of `model.layers`: on a line for the layer, and one for each word beside it."""
    (name, arguments), *words = entry.items()
    lines = _argument_lines(name, arguments) if arguments or words else [name]
    return [f"    - {lines[0]}", *(f"      {line}" for line in lines[1:]),
            *(f"      {word}: {to_flow(value)}" for word, value in words)]  # fmt: skip


def _argument_lines(name: str, arguments: Any) -> list[str]:
    line = f"{name}: {to_flow(arguments if arguments is not None else {})}"
    if len(line) + 6 <= _WIDTH or not isinstance(arguments, Mapping):
        return [line]
    return [f"{name}:", *(f"  {key}: {to_flow(value)}" for key, value in arguments.items())]


def _compiled(compiled: Mapping[str, Any], importer: Importer, units: int | None, activation: str | None) -> list[str]:
    """Loss, optimizer and metrics: those that the model was compiled with, or usual ones for its output."""
    loss = _object("loss", compiled.get("loss"), importer)
    if loss is None:
        loss = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}.get(str(activation))
        loss = loss or "mean_squared_error"
    optimizer = _object("optimizer", compiled.get("optimizer"), importer)
    metrics = [_object("metric", metric, importer) for metric in _listed(compiled.get("metrics"))]
    return [
        f"loss: {to_flow(loss)}",
        *([f"optimizer: {to_flow(optimizer)}"] if optimizer is not None else []),
        *([f"metrics: {to_flow([metric for metric in metrics if metric is not None])}"] if any(metrics) else []),
    ]


def _listed(metrics: Any) -> list[Any]:
    """Metrics as a list; Keras also writes one list for each output."""
    if not isinstance(metrics, list):
        return []
    return [item for metric in metrics for item in (metric if isinstance(metric, list) else [metric])]


def _object(kind: str, written: Any, importer: Importer) -> Any:
    """A loss, an optimizer or a metric; None if there is none, or a spec cannot say it."""
    if written is None:
        return None
    if isinstance(written, str):
        return written
    try:
        if not isinstance(written, Mapping) or "class_name" not in written:
            raise importer.refuse(f"its {kind} is written as {to_flow(written)}.")
        if written["class_name"] == "function":
            return importer.value(written)
        name, arguments = importer.named(kind, written)
    except CheckpointError as error:
        importer.left_out.append(f"the {kind}: {error.message.partition(' is not imported: ')[2]}")
        return None
    return {name: arguments} if arguments else name
