"""What a checkpoint says, beside numbers, for whoever goes on from it. Imports no TensorFlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class InEpoch:
    """How far an epoch has got that is not done.

    Attributes:
        steps: how many of its steps are done.
        seconds: how long it has taken until now.
        logs: its figures after these steps.
    """

    steps: int
    seconds: float
    logs: dict[str, float]


@dataclass(frozen=True)
class GoingOn:
    """Where a training is, besides in its variables.

    Attributes:
        in_epoch: None between epochs.
        callbacks_done: whether the callbacks have heard of the end of the last epoch that is done.
        stop_training: whether a callback has ended the training.
        best_epoch: the best epoch so far; 0 if there is none.
        best_value: its monitored figure; None if there is none.
        retries: how often training has gone back after its loss was no number.
        seconds: how long the run has trained, all its processes together.
        callbacks: what they remember; see `dlcli.training.callback_state`.
        engine: how its steps ran; see `RunRecord.engine_now`.
    """

    in_epoch: InEpoch | None
    callbacks_done: bool
    stop_training: bool
    best_epoch: int
    best_value: float | None
    retries: int
    seconds: float
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    engine: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GoingOn:
        """What `to_json` gave."""
        in_epoch = data["in_epoch"]
        return cls(**{**data, "in_epoch": InEpoch(**in_epoch) if in_epoch else None})
