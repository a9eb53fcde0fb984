"""The sections of a spec that are right, however wrong the others are: so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError

from dlcli.errors import Path
from dlcli.spec.by_output import output_names
from dlcli.spec.grammar import DatasetSpec, ModelSpec, Spec, TrainSpec
from dlcli.spec.keras_objects import KerasObject


@dataclass(frozen=True)
class Parts:
    """The sections of a spec, with None for each that has a mistake; see `Spec` for what they are.

    Where a model has several inputs or outputs, or gives what it gets, it is None, too, with its losses and metrics:
    the rules are about others. (Those about outputs are asked for each of several in `dlcli.spec.lints.heads`.)
    """

    name: str | None = None
    dataset: DatasetSpec | None = None
    model: ModelSpec | None = None
    loss: KerasObject | None = None
    optimizer: KerasObject | None = None
    metrics: tuple[KerasObject, ...] | None = None
    train: TrainSpec | None = None
    silence: Mapping[str, str] | None = None
    precision: str | None = None

    @classmethod
    def of(cls, spec: Spec, sound: Collection[str] | None = None) -> Parts:
        """The sections of a spec; only those named in `sound`, if it is given."""
        names = [part.name for part in fields(cls) if sound is None or part.name in sound]
        values = {name: getattr(spec, name) for name in names}
        source = spec.dataset.source
        outputs = output_names(source.target_classes, spec.model.outputs)
        is_one = len(source.input_facts) == len(outputs) == 1 and spec.dataset.labels != "input"
        unknown = () if is_one else ("loss", "metrics", "model")
        return cls(**{name: None if name in unknown else value for name, value in values.items()})


SHAPE = "the shape of an example"
LAYERS = "the first layers"
EVERYTHING = frozenset({*Spec.model_fields, SHAPE, LAYERS})
_HARMLESS: Mapping[str, Any] = {"name": "spec", "loss": "mse", "model": {"layers": ["Flatten"]}}


def sound_part(data: Mapping[Any, Any], wrong: Collection[Path]) -> tuple[Spec | None, frozenset[str]]:
    """The spec with something harmless in place of what is wrong in it, at the paths `wrong`; and what is as written.

    That is told by the names of whole sections; by SHAPE, if the data's source and preparation are right; and by
    LAYERS, if at least the first layer is: the model then has the layers down to the first wrong one. The spec is None
    where not even the source can be told.
    """
    bad = {path[0] for path in wrong if path}
    repaired = {key: value for key, value in data.items() if key in Spec.model_fields and key not in bad}
    repaired.update({key: value for key, value in _HARMLESS.items() if key in bad or key not in data})
    fields_of_spec = Spec.model_fields.items()
    sound = {key for key, field in fields_of_spec if key not in bad and (key in data or not field.is_required())}
    bad_data = {path[1] if len(path) > 1 else "source" for path in wrong if path[:1] == ("dataset",)}
    if bad_data:
        repaired["dataset"] = {key: value for key, value in _items(data.get("dataset")) if key not in bad_data}
    if not bad_data & {"source", "preparation"} and "dataset" in data:
        sound.add(SHAPE)
    layers = _first_layers(data.get("model"), [path for path in wrong if path[:1] == ("model",)])
    if layers:
        others = {key: value for key, value in _items(data.get("model")) if key == "outputs"}
        is_right = not any(path[:2] == ("model", "outputs") for path in wrong)
        repaired["model"] = {**(others if is_right else {}), "layers": layers}
        sound.add(LAYERS)
    try:
        return Spec.model_validate(repaired), frozenset(sound)
    except ValidationError:
        return None, frozenset()


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else ()


def _first_layers(model: Any, wrong: Collection[Path]) -> list[Any]:
    layers = model.get("layers") if isinstance(model, Mapping) else None
    if not isinstance(layers, list) or any(path[1:2] == ("layers",) and len(path) == 2 for path in wrong):
        return []
    numbers = [path[2] for path in wrong if len(path) > 2 and path[1] == "layers" and isinstance(path[2], int)]
    return layers[: min(numbers, default=len(layers))]
