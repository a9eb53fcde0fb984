"""The figures that an epoch gives, and by which of them the best epoch is chosen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.model.catalogue import find
from dlcli.spec.grammar import TrainSpec
from dlcli.spec.likeness import closest
from dlcli.spec.loading import LoadedSpec


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


@dataclass(frozen=True)
class Figures:
    """The figures that each epoch gives, by name, each with whether a larger one is better; None if none can tell."""

    larger_is_better: Mapping[str, bool | None]

    @classmethod
    def of(cls, model: Any, metric_names: Iterable[str], *, held_out: bool) -> Figures:
        """The figures of a compiled model; `held_out` says whether there are validation examples.

        Keras 3.15.1's own callbacks tell the direction as here: by the metric's `_direction`.
        """
        metrics = [inner for outer in model.metrics for inner in getattr(outer, "metrics", [])]
        directions = {metric.name: getattr(metric, "_direction", None) for metric in metrics}
        directions["loss"] = "down"

        def is_larger_better(figure: str) -> bool | None:
            # Of several outputs, each has its name before that of the metric.
            known = [name for name in directions if figure == name or figure.endswith(f"_{name}")]
            direction = directions[max(known, key=len)] if known else None
            return None if direction is None else direction == "up"

        larger = {name: is_larger_better(name) for name in metric_names}
        return cls({**larger, **({f"val_{name}": value for name, value in larger.items()} if held_out else {})})

    @classmethod
    def named(cls, names: Iterable[str], *, held_out: bool) -> Figures:
        """The same from the names of the metrics alone."""
        metrics = ["loss", *names]
        return cls(dict.fromkeys([*metrics, *(f"val_{name}" for name in metrics if held_out)]))

    def modes(self, best: Best) -> dict[str, str | None]:
        """Of each figure, whether "min" or "max" is better; of the monitored one, as the spec says."""
        larger = {**self.larger_is_better, best.monitor: best.larger_is_better}
        return {name: None if value is None else "max" if value else "min" for name, value in larger.items()}

    def __str__(self) -> str:
        return ", ".join(f"`{name}`" for name in self.larger_is_better)

    def missing(self, monitor: str, path: Path, who: str = "") -> Problem | None:
        """What is wrong if nothing gives the figure `monitor`, which `who` wants."""
        if monitor in self.larger_is_better:
            return None
        message = f"Training gives no figure `{monitor}`{who} to monitor."
        name = monitor.removeprefix("val_")
        if name != monitor and name in self.larger_is_better:
            hint = f"Nothing is held out: add `validation: 0.2` to `dataset`, or monitor `{name}`."
            return Problem(message, path, hint)
        # Of several outputs each has its name before that of the metric.
        wanted = re.compile(rf"{monitor.removesuffix(name)}\w+_{re.escape(name)}")
        of_output = [known for known in self.larger_is_better if wanted.fullmatch(known)]
        close = of_output[0] if len(of_output) == 1 else closest(monitor, self.larger_is_better)
        hint = f"Did you mean `{close}`? " if close else ""
        if not close and name not in self.larger_is_better and find("metric", name) is not None:
            hint = f"Add the metric: `metrics: [{name}]`. "
        return Problem(message, path, f"{hint}It gives {self}.")


def monitored(spec: TrainSpec, figures: Figures) -> str:
    """The figure that the best epoch is chosen by."""
    return spec.monitor or ("val_loss" if "val_loss" in figures.larger_is_better else "loss")


def choose_best(loaded: LoadedSpec, figures: Figures) -> Best:
    """By which figure the best epoch is chosen. Raises SpecError if training gives no such figure."""
    spec = loaded.spec.train
    monitor = monitored(spec, figures)
    missing = figures.missing(monitor, ("train", "monitor"))
    if missing is not None:
        raise loaded.error(missing)
    larger = figures.larger_is_better[monitor] if spec.mode == "auto" else spec.mode == "max"
    if larger is None:
        message = f"Keras does not say whether a larger `{monitor}` is better."
        raise loaded.error(Problem(message, ("train", "monitor"), "Say so: `mode: max` or `mode: min`."))
    return Best(monitor, larger)


def choose_goal(
    loaded: LoadedSpec, figures: Figures, metric: str | None = None, direction: str | None = None
) -> tuple[str, bool]:
    """The figure that a sweep is about, and whether a larger one is better; `metric` and `direction` if they are asked.

    Raises:
        SpecError: there is no such figure, or nothing tells which is better.
    """
    monitor = monitored(loaded.spec.train, figures)
    metric = metric or monitor
    missing = figures.missing(metric, ("sweep", "metric"))
    if missing is not None:
        raise loaded.error(missing)
    if direction is not None:
        return metric, direction == "maximize"
    larger = choose_best(loaded, figures).larger_is_better if metric == monitor else figures.larger_is_better[metric]
    if larger is None:
        message = f"Keras does not say whether a larger `{metric}` is better."
        raise loaded.error(Problem(message, ("sweep", "metric"), "Say so: `direction: maximize` or `minimize`."))
    return metric, larger
