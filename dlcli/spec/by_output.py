"""What is written once for a model with one output, or for each output by its name where there are several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.refusals import within
from dlcli.spec.source import TARGET

Item = TypeVar("Item")
WORD = r"^[A-Za-z_][A-Za-z0-9_]*$"


def output_names(targets: Iterable[str], written: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names of what a model puts out, for a source with these targets; `written` is `model.outputs`."""
    names = tuple(targets)
    if len(names) == 1 or written is None:
        return names
    return (written,) if isinstance(written, str) else tuple(written)


def each_loss(raw: Any, info: ValidationInfo) -> KerasObject | Mapping[str, KerasObject]:
    """The loss, or that of each output."""
    return _each_output(raw, info, _object)


def each_metrics(raw: Any, info: ValidationInfo) -> tuple[KerasObject, ...] | Mapping[str, tuple[KerasObject, ...]]:
    """The metrics, or those of each output, of which one needs no list."""
    return _each_output(raw, info, _one_or_more, _objects)


def _each_output(
    raw: Any, info: ValidationInfo, make: Callable[[Any], Item], make_only: Callable[[Any], Item] | None = None
) -> Item | Mapping[str, Item]:
    """`make` of what is written for each of several outputs, or `make_only` of what is written for the only one."""
    dataset, model = info.data.get("dataset"), info.data.get("model")
    if dataset is None or model is None:
        # They have mistakes, so nothing is trained; how many outputs there are cannot be told.
        names: tuple[str, ...] = tuple(raw) if isinstance(raw, Mapping) else ()
    else:
        names = output_names(dataset.source.target_classes, model.outputs)
    if len(names) == 1 and isinstance(raw, Mapping) and list(raw) == [names[0]] and names[0] != TARGET:
        return within(names, partial(make, raw[names[0]]))  # the only one is named all the same
    if len(names) < 2 or not isinstance(raw, Mapping):
        return (make_only or make)(raw)
    return {str(name): within((str(name),), partial(make, value)) for name, value in raw.items()}


def _object(raw: Any) -> KerasObject:
    return KerasObject.model_validate(raw)


def _objects(raw: Any) -> tuple[KerasObject, ...]:
    if not isinstance(raw, (list, tuple)):
        raise PydanticCustomError("tuple_type", "must be a list")
    return tuple(within((number,), partial(_object, item)) for number, item in enumerate(raw))


def _one_or_more(raw: Any) -> tuple[KerasObject, ...]:
    return _objects(raw) if isinstance(raw, (list, tuple)) else (_object(raw),)


def plain(value: Any) -> Any:
    """An object, several, or such by name, as data for YAML."""
    if isinstance(value, KerasObject):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value]
