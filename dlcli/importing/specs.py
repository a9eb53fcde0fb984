"""The text of a spec for an imported model, with a stand-in for the data, which no model file says anything of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcli.errors import CheckpointError
from dlcli.importing.files import ModelFile
from dlcli.importing.graphs import Shape, entries_of, names_of, read_graph
from dlcli.importing.objects import Importer
from dlcli.importing.precision import one_precision, without_scale
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.keras_objects import layers_within
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
    shapes = {name: shape for name, shape in graph.shapes.items() if shape is not None}
    if len(shapes) < len(graph.shapes):
        raise importer.refuse("it does not say what shape its input has.", "Build the model before it is saved.")
    entries = entries_of(graph)
    names = names_of(graph)
    outputs = [names[key] for key in graph.outputs]
    endings = {name: _ending(_up_to(entries, name) if len(outputs) > 1 else entries) for name in outputs}
    called = graph.called or outputs
    losses = _losses(file.compiled, importer, {name: activation for name, (_, activation) in endings.items()}, called)
    source = _stand_in(shapes, {name: units for name, (units, _) in endings.items()}, losses)
    last = [next(_from_the_end(_up_to(entries, name) if len(outputs) > 1 else entries)) for name in outputs]
    precision = one_precision(entries, {id(entry) for entry in last})
    is_own = len(shapes) == len(outputs) == 1 and _gives_what_it_gets(entries, *shapes.values())
    name = re.sub(r"[^A-Za-z0-9_.\-]", "_", str(file.config["config"].get("name") or file.path.stem)) or "imported"
    lines = [
        f"# The model of {file.path.name}{f', saved by Keras {file.keras}' if file.keras else ''}.",
        "# It says nothing of its data: the source below only has examples of the right shape. Put yours in its place.",
        "",
        f"name: {name if name[0].isalnum() else f'model_{name}'}",
        *([f"precision: {precision}"] if precision is not None else []),
        "",
        "dataset:",
        f"  source: {to_flow(source)}",
        *(["  labels: input"] if is_own else []),
        "",
        "model:",
        "  layers:",
        *(f"    {line}" for entry in entries for line in _entry_lines(entry)),
        "",
        *_compiled(file.compiled, importer, losses, called, precision),
    ]
    return "\n".join(lines) + "\n"


def _up_to(entries: Sequence[Mapping[str, Any]], name: str) -> Sequence[Mapping[str, Any]]:
    """The entries down to that of this name."""
    at = next(number for number, entry in enumerate(entries) if entry.get("name") == name)
    return entries[: at + 1]


def _ending(entries: Sequence[Mapping[str, Any]]) -> tuple[int | None, str | None]:
    """How many numbers the model puts out for an example, and through which activation, as far as that is plain."""
    activation: str | None = None
    for entry in _from_the_end(entries):
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


def _from_the_end(entries: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The entries, the last one first, with those of a model within the model in its place."""
    for entry in reversed(entries):
        within = layers_within(entry)[1]
        yield from _from_the_end(within) if within else [entry]


def _gives_what_it_gets(entries: Sequence[Mapping[str, Any]], shape: Shape) -> bool:
    """Whether the last layer gives the input's shape, or is a convolution with as many filters as that has channels."""
    last = next(_from_the_end(entries), {})
    name, arguments = next(((key, last[key] or {}) for key in last if str(key)[:1].isupper()), ("", {}))
    if name == "Reshape":
        return list(arguments.get("target_shape", ())) == list(shape)
    return "Conv" in name and arguments.get("filters") == shape[-1]


def _stand_in(shapes: Mapping[str, Shape], units: Mapping[str, int | None], losses: Mapping[str, Any]) -> Any:
    """A source with examples of these shapes, and as many classes as the outputs have units and the losses compare."""
    sizes = {name: [size if size is not None else _OPEN_LENGTH for size in shape] for name, shape in shapes.items()}
    [shape, *more_inputs] = sizes.values()
    [count, *more_outputs] = units.values()
    known = _KNOWN_SHAPES.get((tuple(shape), count)) if count is not None else None
    if known and not (more_inputs or more_outputs):
        return known
    # One unit answers a question of yes or no, or is a number.
    answers = {name: max(each or 1, 2 if _compares_classes(losses[name]) else 1) for name, each in units.items()}
    only = next(iter(answers.values()))
    return {"random": {"shapes": sizes if more_inputs else shape, "answers": answers if more_outputs else only}}


def _compares_classes(loss: Any) -> bool:
    return re.search("cross_?entropy|hinge", to_flow(loss), re.IGNORECASE) is not None


def _entry_lines(entry: Mapping[str, Any]) -> list[str]:
    """An entry of `model.layers`: on a line for the layer, and one for each word beside it."""
    (name, arguments), *words = entry.items()
    lines = _argument_lines(name, arguments) if arguments or words else [name]
    if layers_within(entry)[1]:
        inner = [f"    {line}" for one in arguments["layers"] for line in _entry_lines(one)]
        inputs = [f"  inputs: {to_flow(arguments['inputs'])}"] if "inputs" in arguments else []
        lines = [f"{name}:", *inputs, "  layers:", *inner]
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:]),
            *(f"  {word}: {to_flow(value)}" for word, value in words)]  # fmt: skip


def _argument_lines(name: str, arguments: Any) -> list[str]:
    line = f"{name}: {to_flow(arguments if arguments is not None else {})}"
    if len(line) + 6 <= _WIDTH or not isinstance(arguments, Mapping):
        return [line]
    return [f"{name}:", *(f"  {key}: {to_flow(value)}" for key, value in arguments.items())]


def _losses(
    compiled: Mapping[str, Any], importer: Importer, endings: Mapping[str, str | None], called: Sequence[str]
) -> dict[str, Any]:
    """The losses that the model was compiled with, or usual ones for the activations of its outputs, by name.

    `called` is what the model itself calls these.
    """
    written = zip(endings.items(), _each(compiled.get("loss"), called), strict=True)
    return {name: _object("loss", loss, importer) or _usual_loss(activation) for (name, activation), loss in written}


def _compiled(
    compiled: Mapping[str, Any],
    importer: Importer,
    losses: Mapping[str, Any],
    called: Sequence[str],
    precision: str | None,
) -> list[str]:
    """Loss, optimizer and metrics: those that the model was compiled with."""
    optimizer = without_scale(_object("optimizer", compiled.get("optimizer"), importer), precision)
    metrics = {
        name: [made for one in _listed(written) if (made := _object("metric", one, importer)) is not None]
        for name, written in zip(losses, _each(compiled.get("metrics"), called), strict=True)
    }
    some_metrics = {name: some for name, some in metrics.items() if some}
    lines = [f"loss: {to_flow(losses if len(losses) > 1 else next(iter(losses.values())))}"]
    if len(losses) > 1 and compiled.get("loss_weights") is not None:
        weights = dict(zip(losses, _each(compiled["loss_weights"], called), strict=True))
        weights = {name: weight for name, weight in weights.items() if weight is not None}
        lines.append(f"loss_weights: {to_flow(weights)}")
    if optimizer is not None:
        lines.append(f"optimizer: {to_flow(optimizer)}")
    if some_metrics:
        lines.append(f"metrics: {to_flow(some_metrics if len(losses) > 1 else next(iter(some_metrics.values())))}")
    return lines


def _usual_loss(activation: str | None) -> str:
    usual = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}
    return usual.get(str(activation), "mean_squared_error")


def _each(written: Any, outputs: Sequence[str]) -> list[Any]:
    """What is written for each output: for all, in their order, or by their names."""
    if isinstance(written, Mapping) and set(written) <= set(outputs):
        return [written.get(name) for name in outputs]
    if len(outputs) > 1 and isinstance(written, list):
        return [written[number] if number < len(written) else None for number in range(len(outputs))]
    return [written] * len(outputs)


def _listed(metrics: Any) -> list[Any]:
    """Metrics as a list; Keras also writes one list for each output."""
    if not isinstance(metrics, list):
        return [] if metrics is None else [metrics]
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
