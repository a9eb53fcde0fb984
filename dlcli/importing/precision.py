"""Mixed precision of an imported model: said once for all its layers, where it is the same for all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from dlcli.spec.keras_objects import layers_within

_MIXED = ("mixed_float16", "mixed_bfloat16")


def one_precision(entries: Sequence[Mapping[str, Any]], outputs: Collection[int]) -> str | None:
    """The `precision` of a spec with these layers, which then do not say it themselves; None where it is not the same.

    A spec's outputs are float32, so that these layers go on to say what they compute in.

    Args:
        entries: of `model.layers`, as an import writes them.
        outputs: the identities of those that give the model's outputs.
    """
    hidden = [arguments for entry, arguments in _each(entries) if id(entry) not in outputs]
    found = {arguments.get("dtype") for arguments in hidden}
    precision = found.pop() if len(found) == 1 else None
    if precision not in _MIXED:
        return None
    for arguments in hidden:
        del arguments["dtype"]
    return str(precision)


def without_scale(optimizer: Any, precision: str | None) -> Any:
    """The optimizer, without the scaling of the loss that Keras adds to it in this precision."""
    if precision != "mixed_float16" or not isinstance(optimizer, Mapping):
        return optimizer
    arguments = optimizer.get("LossScaleOptimizer")
    is_usual = isinstance(arguments, Mapping) and list(arguments) == ["inner_optimizer"]
    return arguments["inner_optimizer"] if is_usual and arguments is not None else optimizer


def _each(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """The layers with their arguments, those of models within the model in their places."""
    for entry in entries:
        within = layers_within(entry)[1]
        if within:
            yield from _each(within)
            continue
        name = next((key for key in entry if str(key)[:1].isupper()), None)
        if name is not None:
            yield entry, entry[name] if isinstance(entry[name], dict) else {}
