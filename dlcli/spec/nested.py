"""Models within the model, in a spec's plain data: what each reads, and who reads whom in it.

Each is one layer of the model around it, with names of its own. (How one is written is checked in
`dlcli.spec.keras_objects`, its layers in `dlcli.spec.checking`.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.graph import check_layers, is_stack
from dlcli.spec.keras_objects import layers_within
from dlcli.spec.paths import STACK, value_at
from dlcli.spec.source import INPUT

_LAYERS: Path = ("model", "layers")


class Inner(NamedTuple):
    """A model within the model.

    Attributes:
        entry: as it is written, with the words beside it.
        path: of the entry.
        class_name: `Model` or `Sequential`.
        layers: its entries.
        inputs: its names for what it reads.
    """

    entry: Mapping[Any, Any]
    path: Path
    class_name: str
    layers: Sequence[Any]
    inputs: tuple[str, ...]


def models_within(entries: Any, path: Path = _LAYERS) -> Iterator[Inner]:
    """The models within the model whose entries are at `path`, at any depth, each before those in it."""
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        name, layers = layers_within(entry)
        if layers:
            at = (*path, number)
            written = entry[name].get("inputs")
            is_list = isinstance(written, list) and all(isinstance(one, str) for one in written)
            yield Inner(entry, at, name, layers, tuple(written) if is_list and written else (INPUT,))
            yield from models_within(layers, (*at, name, "layers"))


def check_nested(data: Mapping[Any, Any]) -> Iterator[Problem]:
    """What is wrong with what the models within the model read, and with who reads whom in them."""
    for inner in models_within(value_at(data, _LAYERS)):
        yield from _check_inputs(inner)
        if inner.class_name == STACK and not is_stack(inner.layers):
            continue  # which the grammar refuses
        for problem in check_layers(inner.layers, inner.inputs):
            path = (*inner.path, inner.class_name, "layers", *problem.path[len(_LAYERS) :])
            hint = problem.hint
            if problem.message.startswith("No layer above or below"):
                hint = f"{hint} A model within the model reads what it is given, and its own layers."
            yield replace(problem, path=path, hint=hint)


def _check_inputs(inner: Inner) -> Iterator[Problem]:
    written, wanted = inner.entry.get("inputs"), inner.inputs
    count = len(written) if isinstance(written, list) else 1
    if count != len(wanted):
        shown = ", ".join(f"`{name}`" for name in wanted)
        number = "1 layer" if len(wanted) == 1 else f"{len(wanted)} layers"
        message = f"This `{inner.class_name}` reads {number} ({shown}); received {count}."
        hint = "Name them in `inputs` beside it, in this order."
        if len(wanted) == 1:
            hint = "Give it as many names: `Model: {inputs: [left, right], layers: […]}`, or join them before."
        yield Problem(message, (*inner.path, "inputs") if written is not None else inner.path, hint)
    elif count > 1 and inner.entry.get("repeat", 1) != 1:
        message = f"This `{inner.class_name}` reads {count} layers, and puts out one: it cannot be repeated."
        yield Problem(message, (*inner.path, "repeat"))
