"""The figures that an epoch gives, and by which of them the best epoch is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlcli.errors import Problem
from dlcli.training.job import Job


@dataclass
class Best:
    """The best epoch so far, by the monitored figure."""

    monitor: str
    larger_is_better: bool
    epoch: int = 0
    value: float = math.nan

    def beaten_by(self, value: float) -> bool:
        """Whether `value` is better. Any first value is, so that there is always a best epoch; later, NaN never is."""
        if self.epoch == 0 or math.isnan(self.value):
            return self.epoch == 0 or not math.isnan(value)
        return value > self.value if self.larger_is_better else value < self.value


def choose_best(job: Job) -> Best:
    """By which figure the best epoch is chosen. Raises SpecError if training gives no such figure."""
    spec = job.loaded.spec.train
    names = figures_of(job)
    monitor = spec.monitor or ("val_loss" if "validation" in job.rows else "loss")
    if monitor not in names:
        message = f"Training gives no figure `{monitor}` to monitor."
        raise job.loaded.error(Problem(message, ("train", "monitor"), listed(names)))
    larger = _larger_is_better(job, monitor) if spec.mode == "auto" else spec.mode == "max"
    if larger is None:
        message = f"Keras does not say whether a larger `{monitor}` is better."
        raise job.loaded.error(Problem(message, ("train", "monitor"), "Say so: `mode: max` or `mode: min`."))
    return Best(monitor, larger)


def figures_of(job: Job) -> list[str]:
    """The names of the figures that each epoch gives."""
    held_out = job.metric_names if "validation" in job.rows else ()
    return [*job.metric_names, *(f"val_{name}" for name in held_out)]


def listed(names: list[str]) -> str:
    """What training gives, as a sentence of a message."""
    return f"It gives {', '.join(f'`{name}`' for name in names)}."


def _larger_is_better(job: Job, monitor: str) -> bool | None:
    """As Keras 3.15.1's own callbacks tell it: by the metric's `_direction`; None where it has none."""
    name = monitor.removeprefix("val_")
    metrics = [inner for outer in job.model.metrics for inner in getattr(outer, "metrics", [])]
    directions = {metric.name: getattr(metric, "_direction", None) for metric in metrics}
    direction = "down" if name == "loss" else directions.get(name)
    return None if direction is None else direction == "up"
