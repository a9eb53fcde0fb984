"""What a sweep's folder says of it. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dlcli.errors import RunError, SpecError
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.composition import compose
from dlcli.spec.reading import read_document
from dlcli.spec.sweep import SweepSpec
from dlcli.sweeping.journal import Journal
from dlcli.sweeping.plan import parameters_of
from dlcli.sweeping.result import CHOICE, COMPLETE, FAILED, PRUNED, Parameter, SweepResult


def read_result(folder: SweepFolder) -> SweepResult:
    """What is known of all trials of a sweep. Raises RunError if it is none that can be read."""
    record = folder.read_record()
    try:
        journal = Journal(folder, str(record["direction"]))
        return make_result(folder, journal, str(record["metric"]), _parameters(folder, record))
    except KeyError as error:
        raise RunError(f"{folder.path} is not a sweep: its sweep.json has no {error}.") from error


def make_result(folder: SweepFolder, journal: Journal, metric: str, parameters: tuple[Parameter, ...]) -> SweepResult:
    """The same, where the journal is open. Raises RunError."""
    record = folder.read_record()
    planned = record["trials"].get("planned") if isinstance(record.get("trials"), dict) else None
    return SweepResult(
        str(record.get("name")), metric, str(record.get("direction")), parameters, journal.trials(), planned, record
    )


def _parameters(folder: SweepFolder, record: Mapping[str, Any]) -> tuple[Parameter, ...]:
    try:
        if record.get("seeds"):
            names = tuple(str(read_document(folder.path / file).data["name"]) for file in record["configs"])
            return (Parameter("config", CHOICE, choices=names),)
        return parameters_of(read_sweep(folder))
    except (SpecError, ValidationError) as error:
        raise RunError(f"{folder.path} is not a sweep: its spec cannot be read ({error}).") from error


def read_sweep(folder: SweepFolder) -> SweepSpec:
    """What is searched for. Raises SpecError, ValidationError."""
    return SweepSpec.model_validate(compose(folder.composed).data.get("sweep") or {})


def is_whole(result: SweepResult) -> bool:
    """Whether as many trials have ended as were planned."""
    ended = sum(trial.state in (COMPLETE, PRUNED, FAILED) for trial in result.trials)
    return ended == len(result.trials) and ended >= (result.planned or 0)
