"""The layers of a serialized model, and which reads which, as the entries of `model.layers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from dlcli.importing.objects import Importer, snake_case
from dlcli.importing.operations import (
    in_order_of_inputs,
    inner_config,
    layer_of_operation,
    masks_among,
    own_name,
    place_among_inputs,
    tensors_in,
)
from dlcli.importing.repeats import repeated
from dlcli.spec.graph import in_order
from dlcli.spec.keras_objects import SEVERAL_ARGUMENTS
from dlcli.spec.paths import GRAPH, STACK
from dlcli.spec.source import INPUT

Shape = tuple[int | None, ...]
_MODELS = ("Sequential", "Functional", "Model")
# Their names depend on the data's preparation, which has such layers, too.
_ALSO_PREPARE = ("Rescaling", "Reshape", "Normalization", "Resizing")
_Key = tuple[str, int]  # a layer's name, and which of its calls


@dataclass(frozen=True)
class Call:
    """A call of a layer: which, what it reads, and how the layer is made.

    Attributes:
        key: the layer's name and the number of the call.
        reads: the calls that it reads; the model's only input has the name `input`, several have their own.
        class_name: of the layer.
        arguments: of the layer.
        is_frozen: whether its weights are not trained.
        inner: the layers of a model within the model.
    """

    key: _Key
    reads: tuple[_Key, ...]
    class_name: str
    arguments: Mapping[str, Any]
    is_frozen: bool = False
    inner: Graph | None = None


@dataclass(frozen=True)
class Graph:
    """The layers of a model in the order of their calls, each after those that it reads.

    Attributes:
        calls: the calls.
        shapes: of the model's inputs by name, without the batch axis; None if the file does not say.
        outputs: the calls that give the model's outputs.
        called: what the model calls its outputs, where it gives them by name.
    """

    calls: Sequence[Call]
    shapes: Mapping[str, Shape | None]
    outputs: tuple[_Key, ...]
    called: tuple[str, ...] = ()


def read_graph(config: Mapping[str, Any], importer: Importer) -> Graph:
    """The graph of a serialized model.

    Raises:
        CheckpointError: a spec cannot describe it.
    """
    kind, inner = str(config["class_name"]), config["config"]
    if kind not in _MODELS:
        hint = "A class of one's own is Python; only `Sequential` and functional models can be read as data."
        raise importer.refuse(f"its model is a `{kind}`.", hint)
    layers = inner if isinstance(inner, list) else inner.get("layers")
    if not isinstance(layers, list) or not all(isinstance(layer, Mapping) for layer in layers):
        raise importer.refuse("its config has no list of layers.")
    return _Reader(importer).stack(layers, inner) if kind == "Sequential" else _Reader(importer).graph(layers, inner)


class _Reader:
    def __init__(self, importer: Importer) -> None:
        self._importer = importer
        self._masks: set[str] = set()

    def stack(self, layers: Sequence[Mapping[str, Any]], config: Any) -> Graph:
        shape = _shape(config.get("build_input_shape") if isinstance(config, Mapping) else None)
        calls: list[Call] = []
        last: _Key = (INPUT, 0)
        for layer in layers:
            inner = inner_config(layer)
            written = _shape(inner.get("batch_shape") or inner.get("batch_input_shape"))
            shape = shape or written
            if layer.get("class_name") != "InputLayer":
                made = list(self._called(layer, [(0, (last,))]))
                calls += made
                last = made[-1].key
        return Graph(calls, {INPUT: shape}, (last,))

    def graph(self, layers: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> Graph:
        inputs, outputs = _keys(config.get("input_layers")), _keys(config.get("output_layers"))
        if not inputs or not outputs or len(set(outputs)) < len(outputs):
            raise self._importer.refuse(f"it has {len(inputs)} inputs and {len(set(outputs))} outputs.")
        names = {key: INPUT if len(inputs) == 1 else key[0] for key in inputs}
        shapes: dict[str, Shape | None] = dict.fromkeys(names.values())
        self._masks = masks_among(layers)
        calls: list[Call] = []
        last_calls: dict[_Key, _Key] = {key: (name, 0) for key, name in names.items()}
        for layer in layers:
            name = own_name(layer.get("name") or inner_config(layer).get("name"))
            if layer.get("class_name") == "InputLayer":
                inner = inner_config(layer)
                shapes[names[name, 0]] = _shape(inner.get("batch_shape") or inner.get("batch_input_shape"))
                continue
            if name in self._masks:
                continue
            said = [in_order_of_inputs(node, layer) for node in layer.get("inbound_nodes") or ()]
            nodes = [(number, self._reads(node, name)) for number, node in enumerate(said)]
            made = list(self._called(layer, nodes))
            for number, _ in nodes:
                last_calls[name, number] = (name, number) if len(nodes) > 1 else made[-1].key
            calls += made
        renamed = [replace(call, reads=tuple(last_calls.get(read, read) for read in call.reads)) for call in calls]
        numbers = {call.key: number for number, call in enumerate(renamed)}
        needs = {
            number: {numbers[key] for key in (*call.reads, (call.key[0], 0)) if key in numbers and key != call.key}
            for number, call in enumerate(renamed)
        }
        ends = tuple(last_calls.get(key, key) for key in outputs)
        written = config.get("output_layers")
        called = tuple(written) if isinstance(written, Mapping) else ()
        return Graph([renamed[number] for number in in_order(needs)], shapes, ends, called)

    def _called(self, layer: Mapping[str, Any], nodes: Sequence[tuple[int, tuple[_Key, ...]]]) -> Iterator[Call]:
        """The calls of a layer, which may be a model within the model."""
        inner, kind = inner_config(layer), str(layer.get("class_name"))
        name = own_name(layer.get("name") or inner.get("name"))
        graph = self._within(layer, name) if kind in _MODELS else None
        arguments: Mapping[str, Any]
        if graph is not None:
            class_name, arguments = STACK if kind == STACK else GRAPH, {}
        else:
            class_name, arguments = layer_of_operation(layer) or self._importer.named("layer", layer)
        is_frozen = inner.get("trainable") is False
        for number, read in nodes:
            is_one = class_name in SEVERAL_ARGUMENTS and len(set(read)) == 1
            reads = read[:1] if is_one else read
            if graph is not None and len(reads) != len(graph.shapes):
                raise self._importer.refuse(f"the model `{name}` in it reads {len(reads)} layers.")
            yield Call((name, number), reads, class_name, arguments, is_frozen, graph)

    def _within(self, layer: Mapping[str, Any], name: str) -> Graph:
        """The graph of a model within the model, which has one output."""
        graph = read_graph(layer, self._importer)
        if len(graph.outputs) > 1 or not graph.calls:
            what = "has several outputs" if graph.calls else "has no layers"
            raise self._importer.refuse(f"the model `{name}` in it {what}.")
        shapes = sorted(graph.shapes.items(), key=place_among_inputs(layer))
        return replace(graph, shapes=dict(shapes))

    def _reads(self, node: Any, name: str) -> tuple[_Key, ...]:
        """What one call of a layer reads, as Keras 3 or Keras 2 wrote it."""
        if isinstance(node, Mapping):
            found = list(tensors_in(node.get("args")))
            # Keras sets `training` itself at each call.
            more = {key: value for key, value in (node.get("kwargs") or {}).items() if key != "training"}
            if all(own_name(tensor[0]) in self._masks for tensor in tensors_in(more.get("mask"))):
                more.pop("mask", None)
            found_by_name = [key for key, value in more.items() if list(tensors_in(value))]
            said = {key: value for key, value in more.items() if value is not None and key not in found_by_name}
            if found_by_name:
                raise self._importer.refuse(f"`{name}` reads a layer as its `{found_by_name[0]}`, by name.")
        else:
            parts = node if node and isinstance(node[0], list) else [node]
            found = [list(part[:3]) for part in parts]
            said = {key: value for part in parts if len(part) > 3 for key, value in (part[3] or {}).items() if value}
        if said:
            listed = ", ".join(f"{key}={value}" for key, value in said.items())
            self._importer.left_out.append(f"that `{name}` is called with {listed}.")
        if any(tensor[2] != 0 for tensor in found):
            raise self._importer.refuse(f"`{name}` reads one of several outputs of a layer.")
        return tuple((own_name(tensor[0]), int(tensor[1])) for tensor in found)


def _shape(written: Any) -> Shape | None:
    if isinstance(written, Mapping):
        written = written.get("items") or next(iter(written.values()), None)
    return tuple(written[1:]) if isinstance(written, (list, tuple)) and written else None


def _keys(written: Any) -> list[_Key]:
    """The layers that `input_layers` or `output_layers` names: one or several `[name, call, output]`, or so by name."""
    if isinstance(written, Mapping):
        written = list(written.values())
    if isinstance(written, list) and written and isinstance(written[0], str):
        written = [written]
    return [(own_name(item[0]), int(item[1])) for item in written or ()]


@dataclass
class _Namer:
    """What Keras would call each layer by itself."""

    counts: dict[str, int] = field(default_factory=dict)

    def differs(self, call: Call, *, wanted: bool) -> bool:
        """Whether a layer must be given its name: since it is `wanted`, or since Keras would not give it this one."""
        class_name = "Functional" if call.class_name == GRAPH else call.class_name  # as Keras has it
        word = snake_case(class_name)
        before = self.counts.get(word, 0)
        is_given = self.next(class_name, call.arguments) != call.key[0] or class_name in _ALSO_PREPARE
        if wanted or is_given:
            self.counts[word] = before  # a layer with a name of its own is not counted
        return wanted or is_given

    def next(self, class_name: str, arguments: Any) -> str:
        """The name of the next layer of this class; those in its arguments are made before it."""
        for value in arguments.values() if isinstance(arguments, Mapping) else ():
            self._within(value)
        word = snake_case(class_name)
        number = self.counts.get(word, 0)
        self.counts[word] = number + 1
        return f"{word}_{number}" if number else word

    def _within(self, value: Any) -> None:
        if isinstance(value, Mapping) and len(value) == 1:
            [(name, arguments)] = value.items()
            if isinstance(arguments, Mapping) and "name" not in arguments and str(name)[:1].isupper():
                self.next(str(name), arguments)


def entries_of(graph: Graph, namer: _Namer | None = None, *, is_frozen: bool = False) -> list[dict[str, Any]]:
    """The entries of `model.layers`; what is the same several times in a stack is there once, with `repeat`.

    Args:
        graph: of the model, or of one within it.
        namer: knows the names that Keras has given so far.
        is_frozen: whether the model around it is frozen as a whole.
    """
    calls, is_one = list(graph.calls), len(graph.outputs) == 1
    if is_one and calls and calls[-1].key != graph.outputs[0]:  # the last layer is the model's output
        calls.sort(key=lambda call: call.key == graph.outputs[0])
    first: _Key = (next(iter(graph.shapes)), 0)
    names, namer = names_of(graph), namer or _Namer()
    needed = _read_by_name(calls, first) | {(call.key[0], 0) for call in calls if call.key[1] > 0}
    if not is_one:
        needed.update(graph.outputs)
    entries: list[dict[str, Any]] = []
    above = first
    for call in calls:
        is_first = call.key[1] == 0
        is_named = call.key in needed
        if is_first:
            is_named = namer.differs(call, wanted=is_named)
        made = {call.class_name: _arguments(call, namer, is_frozen=is_frozen)} if is_first else {"reuse": call.key[0]}
        entry: dict[str, Any] = {**made, **({"name": names[call.key]} if is_named else {})}
        if call.reads != (above,) or (not entries and len(graph.shapes) > 1):
            read = [names[key] for key in call.reads]
            entry["inputs"] = read[0] if len(read) == 1 else read
        if call.is_frozen and is_first and not is_frozen:
            entry["trainable"] = False
        entries.append(entry)
        above = call.key
    return repeated(entries, () if is_one else [names[key] for key in graph.outputs])


def _arguments(call: Call, namer: _Namer, *, is_frozen: bool) -> dict[str, Any] | None:
    """What the layer is made with."""
    if call.inner is None:
        return dict(call.arguments) or None
    inputs = {"inputs": list(call.inner.shapes)} if list(call.inner.shapes) != [INPUT] else {}
    layers = entries_of(call.inner, namer, is_frozen=is_frozen or call.is_frozen)
    if call.class_name == STACK:
        namer.next("Functional", {})  # which Keras 3.15.1 makes within it, and counts
    return {**inputs, "layers": layers}


def names_of(graph: Graph) -> dict[_Key, str]:
    """What each call is called by those that read it: as its layer, unless that was called before."""
    names = {call.key: call.key[0] for call in graph.calls if call.key[1] == 0}
    names.update({(name, 0): name for name in graph.shapes})
    for call in graph.calls:
        if call.key not in names:
            names[call.key] = _another(f"{call.key[0]}_again", set(names.values()))
    return names


def _another(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken."""
    return next(one for one in chain([name], (f"{name}_{number}" for number in count(2))) if one not in taken)


def _read_by_name(calls: Sequence[Call], first: _Key) -> set[_Key]:
    """The calls that a layer reads which does not follow directly, or which reads others, too."""
    above = first
    found: set[_Key] = set()
    for call in calls:
        if call.reads != (above,):
            found.update(call.reads)
        above = call.key
    return found
