"""The heads of a model: for each thing that the data asks for, the layer that answers it, its loss and its metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.by_output import output_names
from dlcli.spec.grammar import Spec
from dlcli.spec.graph import output_numbers
from dlcli.spec.keras_objects import KerasObject, LayerEntry
from dlcli.spec.likeness import suggestion
from dlcli.spec.paths import value_at
from dlcli.spec.sources import source_of


class Head(NamedTuple):
    """One output of a model, and what is asked of it.

    Attributes:
        name: of what the data asks for.
        number: of the layer in `model.layers` whose output it is; -1 if there is none.
        layer_path: where that is written; of a model within the model, its last layer.
        beside: the list of layers in which that stands.
        classes: how many the data has, as far as the source knows; None for a number.
        loss: what training makes small of it.
        loss_path: where that is written.
        metrics: what is measured of it, each with where it is written.
    """

    name: str
    number: int
    layer_path: Path
    beside: tuple[LayerEntry, ...]
    classes: int | None
    loss: KerasObject
    loss_path: Path
    metrics: tuple[tuple[KerasObject, Path], ...]


def heads_of(spec: Spec) -> dict[str, Head]:
    """The heads by name."""
    targets = spec.dataset.source.target_classes
    numbers = output_numbers(spec.model.layers, spec.model.outputs, tuple(targets))
    heads = {}
    for name, number in numbers.items():
        key = (name,) if isinstance(spec.loss, Mapping) else ()
        if isinstance(spec.loss, Mapping) and name not in spec.loss:
            continue  # which is a mistake
        loss = spec.loss[name] if isinstance(spec.loss, Mapping) else spec.loss
        metrics = spec.metrics.get(name, ()) if isinstance(spec.metrics, Mapping) else spec.metrics
        paths = [(metric, ("metrics", *key, place)) for place, metric in enumerate(metrics)]
        path, beside = _last_layer(spec, number)
        heads[name] = Head(name, number, path, beside, targets[name], loss, ("loss", *key), tuple(paths))
    return heads


def output_layers(spec: Spec) -> dict[Path, LayerEntry]:
    """The entries whose layers give what the model puts out, by where they are written."""
    found = {}
    for head in heads_of(spec).values():
        if head.number >= 0:
            number = int(head.layer_path[-1])
            again = head.beside[number].reuse
            if again is not None:
                number = next(place for place, entry in enumerate(head.beside) if entry.name == again)
            found[(*head.layer_path[:-1], number)] = head.beside[number]
    return found


def _last_layer(spec: Spec, number: int) -> tuple[Path, tuple[LayerEntry, ...]]:
    """Where an output is written, and the list that it stands in."""
    entries = spec.model.layers
    path: Path = ("model", "layers", number)
    while entries[number].layers:
        path = (*path, entries[number].layer.name, "layers", len(entries[number].layers) - 1)
        entries, number = entries[number].layers, -1
    return path, entries


def names_of_outputs(data: Mapping[Any, Any]) -> tuple[str, ...]:
    """The names of the outputs in a spec's plain data, which may have mistakes; none where they cannot be told."""
    source, model = source_of(data), data.get("model")
    written = model.get("outputs") if isinstance(model, Mapping) else None
    is_list = isinstance(written, list) and all(isinstance(name, str) for name in written)
    if source is None or not (written is None or isinstance(written, str) or is_list):
        return ()
    names = output_names(source.target_classes, written)
    is_own = value_at(data, ("dataset", "labels")) == "input"
    return () if len(set(names)) < len(names) or (is_own and len(names) > 1) else names


def check_heads(data: Mapping[Any, Any]) -> Iterator[Problem]:
    """Losses, metrics and loss weights of outputs that are not there, and outputs without a loss, in plain data."""
    names = names_of_outputs(data)
    if len(names) > 1:
        yield from _check_losses(data.get("loss"), names)
        yield from _check_metrics(data.get("metrics"), names)
    if names:
        yield from _check_weights(data.get("loss_weights"), names)


def _check_losses(loss: Any, names: Collection[str]) -> Iterator[Problem]:
    each = ", ".join(f"{name}: …" for name in names)
    if isinstance(loss, Mapping):
        yield from _unknown(loss, "loss", names)
        missing = [name for name in names if name not in loss]
        if missing:
            words = " and ".join(f"`{name}`" for name in missing)
            yield Problem(f"There is no loss for the output {words}.", ("loss",), f"Write `loss: {{{each}}}`.")
    elif loss is not None:
        message = f"The model has {len(names)} outputs, and each needs a loss of its own."
        yield Problem(message, ("loss",), f"Write `loss: {{{each}}}`.")


def _check_metrics(metrics: Any, names: Collection[str]) -> Iterator[Problem]:
    each = ", ".join(f"{name}: …" for name in names)
    if isinstance(metrics, Mapping):
        yield from _unknown(metrics, "metrics", names)
    elif metrics:
        message = f"The model has {len(names)} outputs, and it is not said which of them these metrics are for."
        yield Problem(message, ("metrics",), f"Write `metrics: {{{each}}}`.")


def _check_weights(weights: Any, names: Collection[str]) -> Iterator[Problem]:
    if weights is not None and len(names) == 1:
        message = "`loss_weights` says how much each of several outputs counts, but the model has one output."
        yield Problem(message, ("loss_weights",), "Leave it out.", at_key=True)
    elif isinstance(weights, Mapping):
        yield from _unknown(weights, "loss_weights", names)
        if all(weights.get(name, 1) == 0 for name in names):
            message = "The losses of all outputs have the weight 0: nothing is trained."
            yield Problem(message, ("loss_weights",), "Leave out what is to count as it is.")


def _unknown(written: Mapping[Any, Any], key: str, names: Collection[str]) -> Iterator[Problem]:
    for name in written:
        if name not in names:
            yield Problem(f"The model has no output `{name}`.", (key, name), suggestion(str(name), names), at_key=True)
