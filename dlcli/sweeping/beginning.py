"""What comes before the first trial of a sweep: what it is about is found out, and its folder is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

import dlcli
from dlcli.errors import SpecError
from dlcli.files import write_text
from dlcli.runs import RunFolder, check_writable, create_run
from dlcli.runs.sweeps import SweepFolder, now
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.parts import EVERYTHING
from dlcli.spec.writing import to_yaml
from dlcli.sweeping.result import MAXIMIZE, MINIMIZE
from dlcli.training.monitoring import choose_goal
from dlcli.training.rehearsal import rehearse


@dataclass(frozen=True)
class Goal:
    """The figure of an epoch that a sweep makes as good as can be, and "minimize" or "maximize"."""

    metric: str
    direction: str


def goal_of(loaded: LoadedSpec, folder: Path, metric: str | None = None) -> Goal:
    """What a sweep of a sound spec is about, seen by trying it out.

    Args:
        loaded: the spec.
        folder: that of its file.
        metric: the figure, if the spec's own `sweep` is not to tell.

    Raises:
        SpecError: it cannot be trained, or there is no such figure.
    """
    rehearsal = rehearse(loaded, EVERYTHING, folder=folder)
    if rehearsal.problems or rehearsal.figures is None:
        raise SpecError(rehearsal.problems)
    sweep = loaded.spec.sweep
    if metric is None and sweep is not None:
        chosen, is_larger_better = choose_goal(loaded, rehearsal.figures, sweep.metric, sweep.direction)
    else:
        chosen, is_larger_better = choose_goal(loaded, rehearsal.figures, metric)
    return Goal(chosen, MAXIMIZE if is_larger_better else MINIMIZE)


@dataclass(frozen=True)
class NewSweep:
    """A sweep that is to begin.

    Attributes:
        name: of its spec: the folder in the folder of runs.
        composed: the specs that its trials are made from, by the names of their files: plain data.
        written: the text of the spec's file.
        extensions: the texts of the Python files that it lists, by name.
        goal: what it is about.
        planned: how many trials it is to have.
        command: the command line.
        spec_folder: where the spec's file is.
        data_dir: the folder to look for data in first.
        more: what sweep.json says besides.
    """

    name: str
    composed: Mapping[str, Mapping[str, Any]]
    written: str
    extensions: Mapping[str, str]
    goal: Goal
    planned: int
    command: Sequence[str]
    spec_folder: Path
    data_dir: Path | None
    more: Mapping[str, Any]


def create_sweep(new: NewSweep, runs_dir: Path, run_name: str | None) -> SweepFolder:
    """Make the folder of a sweep, whole or not at all. Raises RunError."""

    def fill(run: RunFolder) -> None:
        for name, text in new.extensions.items():
            (run.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_text(run.path / name, text)
        for name, data in new.composed.items():
            write_text(run.path / name, to_yaml(data))
        write_text(run.path / "spec.yaml", new.written)
        SweepFolder(run.path).write_record(_record(new))

    check_writable(runs_dir)
    return SweepFolder(create_run(runs_dir / new.name, run_name, fill).path)


def _record(new: NewSweep) -> dict[str, Any]:
    return {
        "name": new.name,
        "state": "interrupted",  # until a process runs trials
        "error": None,
        "command": list(new.command),
        "spec_folder": str(new.spec_folder),
        "data_dir": str(new.data_dir.resolve()) if new.data_dir is not None else None,
        "processes": [],
        "began": now(),
        "ended": None,
        "metric": new.goal.metric,
        "direction": new.goal.direction,
        "trials": {"planned": new.planned},
        "best": None,
        "versions": {"dlcli": dlcli.__version__, "optuna": optuna.__version__},
        **new.more,
    }
