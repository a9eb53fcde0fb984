"""The sections of a spec that are right, however wrong the others are: so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlcli.spec.grammar import DatasetSpec, ModelSpec, Spec, TrainSpec
from dlcli.spec.keras_objects import KerasObject


@dataclass(frozen=True)
class Parts:
    """The sections of a spec, with None for each that has a mistake; see `Spec` for what they are."""

    name: str | None = None
    dataset: DatasetSpec | None = None
    model: ModelSpec | None = None
    loss: KerasObject | None = None
    optimizer: KerasObject | None = None
    metrics: tuple[KerasObject, ...] | None = None
    train: TrainSpec | None = None
    silence: Mapping[str, str] | None = None

    @classmethod
    def of(cls, spec: Spec) -> Parts:
        """All sections of a spec without mistakes."""
        return cls(
            spec.name, spec.dataset, spec.model, spec.loss, spec.optimizer, spec.metrics, spec.train, spec.silence
        )
