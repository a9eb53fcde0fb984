"""What a run's folder, or a checkpoint alone, tells of a training: read from files, without TensorFlow."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.errors import CheckpointError, RunError, SpecError
from dlcli.model.summary import ModelSummary
from dlcli.runs import RunFolder
from dlcli.spec.reading import read_document
from dlcli.spec.writing import to_yaml
from dlcli.training.checkpoint import Checkpoint, Contents

Row = Mapping[str, float]
NO_FIGURES = ("epoch", "learning_rate", "seconds")


@dataclass(frozen=True)
class Story:
    """What is known of a training before anything is computed.

    Attributes:
        name: of the spec.
        checkpoint: the file whose predictions are looked at; None if there is none.
        record: run.json; empty for a checkpoint alone.
        history: a row an epoch.
        metrics: the figures of the best epoch on each split, as in metrics.json; empty if there are none.
        best_epoch: counted from 1; None if none is known.
        monitor: the figure that it was chosen by.
        summary: of the model; None if none can be read.
        spec: with every default filled in.
        written: the spec's text as its user wrote it; None for a checkpoint alone.
        data: source, origin, fingerprint and sizes.
        versions: of what trained it.
        seconds: how long training took; None if that is not known.
        missing: what the report cannot tell, and why: whole sentences.
    """

    name: str
    checkpoint: Path | None
    record: Mapping[str, Any]
    history: tuple[Row, ...]
    metrics: Mapping[str, Row]
    best_epoch: int | None
    monitor: str
    summary: ModelSummary | None
    spec: Mapping[str, Any]
    written: str | None
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float | None
    missing: tuple[str, ...] = field(default_factory=tuple)

    @property
    def figures(self) -> list[str]:
        """The names of the figures of training, the loss first."""
        row = self.history[-1] if self.history else {}
        return [name for name in row if name not in NO_FIGURES and not name.startswith("val_")]


def story_of_run(run: RunFolder, checkpoint: Checkpoint | None) -> Story:
    """What a run's folder tells.

    Args:
        run: the folder.
        checkpoint: its best one; None if there is none.

    Raises:
        RunError: its run.json or its spec cannot be read.
    """
    record, contents = run.read_record(), checkpoint.contents if checkpoint is not None else None
    metrics, missing = _metrics(run)
    try:
        spec = read_document(run.resolved).data
    except SpecError as error:
        raise RunError(f"{run.path} is not a run: {run.resolved.name} cannot be read.") from error
    history = _history(run)
    if not history:
        missing.append("There is no history: no epoch was done.")
    if checkpoint is None:
        missing.append("There is no checkpoint, so there are no predictions.")
    written = run.path / "spec.yaml"
    best = metrics.pop("epoch", None) or (contents.going_on.get("best_epoch") if contents else None)
    seconds = (record.get("seconds") or {}).get("training") or (contents.going_on.get("seconds") if contents else None)
    return Story(
        name=str(record.get("name") or spec.get("name")),
        checkpoint=checkpoint.path if checkpoint is not None else None,
        record=record,
        history=history,
        metrics=metrics,
        best_epoch=best,
        monitor=_monitor(spec, history),
        summary=_summary(run, contents),
        spec=spec,
        written=written.read_text(encoding="utf-8") if written.exists() else None,
        data=record.get("data") or {},
        versions=record.get("versions") or {},
        seconds=seconds,
        missing=tuple(missing),
    )


def story_of_checkpoint(checkpoint: Checkpoint) -> Story:
    """What a checkpoint alone tells.

    Raises:
        CheckpointError: plain Keras saved it, so that it tells nothing of its training.
    """
    contents = checkpoint.contents
    if contents is None:
        message = f"{checkpoint.path} was saved by plain Keras: it does not tell how it was trained."
        raise CheckpointError(message, f"`dlcli summary {checkpoint.path}` shows its layers.")
    history = tuple(dict(row) for row in contents.history)
    return Story(
        name=str(contents.spec.get("name")),
        checkpoint=checkpoint.path,
        record={},
        history=history,
        metrics={},
        best_epoch=contents.going_on.get("best_epoch") or None,
        monitor=_monitor(contents.spec, history),
        summary=_read_summary(contents.summary),
        spec=contents.spec,
        written=None,
        data=contents.data,
        versions=contents.versions,
        seconds=contents.going_on.get("seconds"),
        missing=(
            "This is a checkpoint without its run's folder: the command, the device and the final figures of the run "
            "are not in it.",
        ),
    )


def spec_text(story: Story) -> str:
    """The spec with every default filled in, as YAML."""
    return to_yaml(story.spec)


def _metrics(run: RunFolder) -> tuple[dict[str, Any], list[str]]:
    path = run.path / "metrics.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, ["There is no metrics.json: the run has not come to its end, so its best epoch was not evaluated."]
    except (OSError, ValueError) as error:
        return {}, [f"metrics.json cannot be read ({error})."]
    found.pop("checkpoint", None)
    # JSON has no NaN: it is null there.
    return {
        name: {key: math.nan if value is None else value for key, value in figures.items()}
        if isinstance(figures, dict)
        else figures
        for name, figures in found.items()
    }, []


def _history(run: RunFolder) -> tuple[Row, ...]:
    path = run.path / "history.csv"
    if not path.exists():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path} cannot be read as a table of numbers: {error}.") from error
    return tuple(rows)


def _monitor(spec: Mapping[str, Any], history: tuple[Row, ...]) -> str:
    asked = (spec.get("train") or {}).get("monitor")
    return str(asked or ("val_loss" if history and "val_loss" in history[-1] else "loss"))


def _summary(run: RunFolder, contents: Contents | None) -> ModelSummary | None:
    try:
        return _read_summary(json.loads((run.path / "summary.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return _read_summary(contents.summary) if contents is not None else None


def _read_summary(found: Any) -> ModelSummary | None:
    try:
        return ModelSummary.from_json(found)
    except ValueError:
        return None
