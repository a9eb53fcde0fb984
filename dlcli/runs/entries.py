"""What is known of each run in a folder of runs, from the small files in its own folder. Opens no checkpoint."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dlcli.errors import RunError
from dlcli.files import read_small
from dlcli.machine import is_process_running
from dlcli.runs import RunFolder
from dlcli.runs.figures import best_row, figure_of, figures_of_metrics, figures_of_row, main_figure
from dlcli.runs.finding import began, best_trial, short_id
from dlcli.runs.sweeps import SweepFolder, is_sweep, state_of_sweep

STATES = ("running", "done", "interrupted", "failed", "killed", "unknown")
"""`killed`: its process is gone without a word; `unknown`: it may be running on another machine"""
MAYBE_RUNNING = ("running", "unknown")


_LONGEST_ROW = 8192  # bytes of a line in history.csv


@dataclass(frozen=True)
class Entry:
    """One run, or one sweep, as it is listed.

    Attributes:
        run: its folder.
        name: of its spec.
        state: one of STATES.
        record: run.json.
        figures: by names such as `train_loss`, `val_accuracy` and `test_accuracy`: those of best.h5, or of the best
            epoch so far where the run is not done; the mean of several folds, when all are.
        better: of each of them "min" or "max"; None if that is not known.
        epochs: how many are done.
        seconds: of training; None if that is not known.
        size: of the folder, in bytes, without what is behind links; None if it was not asked for.
        tags: the words that a person has put to it.
        goal: of a sweep the figure that it was about.
    """

    run: RunFolder
    name: str
    state: str
    record: Mapping[str, Any]
    figures: Mapping[str, float]
    better: Mapping[str, str | None]
    epochs: int = 0
    seconds: float | None = None
    size: int | None = None
    tags: tuple[str, ...] = field(default=())
    goal: str | None = None

    @property
    def main_figure(self) -> str | None:
        """The figure that tells most of it; None if it has none."""
        return self.goal if self.goal in self.figures else main_figure(self.figures)

    @property
    def label(self) -> str:
        """What a person calls it, in each command: `mnist_cnn/abcd`."""
        folder = self.run.path.parent.name
        return f"{folder}/{short_id(self.run.path)}" if folder else self.run.path.name

    @property
    def began(self) -> datetime | None:
        """When it began."""
        try:
            found = datetime.fromisoformat(str(self.record.get("began")))
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)

    @property
    def is_maybe_running(self) -> bool:
        """Whether it runs, or may do so elsewhere."""
        return self.state in MAYBE_RUNNING

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        data, best = self.record.get("data"), self.record.get("monitor")
        return {
            "run": self.label, "path": str(self.run.path), "name": self.name, "state": self.state,
            "began": self.record.get("began"), "ended": self.record.get("ended"), "error": self.record.get("error"),
            "epochs": self.epochs, "seconds": self.seconds, "bytes": self.size, "tags": list(self.tags),
            "seed": self.record.get("seed"), "data": data.get("source") if isinstance(data, dict) else None,
            "monitor": best, "figures": dict(self.figures),
        }  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """The runs in a folder, newest first, and a note on each folder in it that holds none that can be read."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]


def list_runs(runs_dir: Path, *, sized: bool = True) -> Listing:
    """All runs in a folder of runs.

    Raises:
        RunError: there is no such folder, or it cannot be read.
    """
    found, notes = [], []
    try:
        parents = _folders_in(runs_dir, follow_links=True)
    except FileNotFoundError as error:
        raise RunError(
            f"There is no folder {runs_dir}.", "`dlcli train` makes it; --runs-dir names another."
        ) from error
    except OSError as error:
        raise RunError(f"{runs_dir} cannot be read: {error.strerror}.") from error
    for parent in parents:
        try:
            folders = _folders_in(parent, follow_links=False)
        except OSError as error:
            notes.append(f"{parent} cannot be read: {error.strerror}.")
            continue
        if (parent / "run.json").is_file():
            notes.append(f"{parent} is a run, but not in a folder of its name; name it by its path, or move it there.")
            continue
        for path in folders:
            try:
                found.append(read_entry(RunFolder(path), sized=sized))
            except RunError:
                what = "its run.json cannot be read" if (path / "run.json").exists() else "it has no run.json"
                notes.append(f"{path} is no run: {what}.")
    found.sort(key=lambda entry: (began(entry.record), str(entry.run.path)), reverse=True)
    return Listing(tuple(found), tuple(notes))


def _folders_in(path: Path, *, follow_links: bool) -> list[Path]:
    """The folders that may hold runs. That of a name may be a link, to a larger disk, say; a run is its own folder."""
    with os.scandir(path) as entries:
        names = [
            entry.name for entry in entries
            if not entry.name.startswith(".") and entry.name != "latest" and entry.is_dir(follow_symlinks=follow_links)
        ]  # fmt: skip
    return [path / name for name in sorted(names)]


def read_entry(run: RunFolder, *, sized: bool = True) -> Entry:
    """What is known of one run, or of a sweep. Raises RunError if its run.json cannot be read."""
    if is_sweep(run.path):
        return _of_sweep(SweepFolder(run.path), sized=sized)
    record = run.read_record()
    better = record.get("better")
    modes: Mapping[str, str | None] = better if isinstance(better, dict) else {"loss": "min"}
    state = state_of(record)
    if isinstance(record.get("folds"), int):
        return _of_folds(run, record, modes, sized=sized)
    figures = figures_of_metrics(_read_json(f"{run.path}/metrics.json")) if state == "done" else {}
    rows: list[dict[str, float]] = []
    if not figures:
        rows = read_history(run)
        figures = figures_of_row(best_row(rows, str(record.get("monitor") or ""), modes))
    return Entry(
        run, str(record.get("name") or run.path.parent.name), state, record, figures, modes,
        count_epochs(run), _seconds(record, rows, state),
        size_of(run.path) if sized else None, tuple(read_tags(run)),
    )  # fmt: skip


def _of_folds(run: RunFolder, record: Mapping[str, Any], modes: Mapping[str, str | None], *, sized: bool) -> Entry:
    """A run of several folds: its figures are their mean, epochs and seconds are those of all. Raises RunError."""
    folds = [read_entry(fold, sized=False) for fold in run.folds]
    mean = _read_json(f"{run.path}/metrics.json").get("mean")
    state = state_of(record)
    return Entry(
        run, str(record.get("name") or run.path.parent.name), state, record,
        figures_of_metrics(mean) if state == "done" and isinstance(mean, dict) else {}, modes,
        sum(fold.epochs for fold in folds), sum(fold.seconds or 0.0 for fold in folds) or None,
        size_of(run.path) if sized else None, tuple(read_tags(run)),
    )  # fmt: skip


def _of_sweep(sweep: SweepFolder, *, sized: bool) -> Entry:
    """A sweep: its figures are those of its best trial, epochs and seconds are those of all. Raises RunError."""
    record = sweep.read_record()
    best = best_trial(sweep.path)
    found = _read_json(f"{best}/run.json") if best is not None else {}
    trials = [RunFolder(path) for path in sweep.trials.glob("[0-9]*")]
    seconds = [row.get("seconds", 0.0) for trial in trials for row in read_history(trial)]
    of_best = {"data": found.get("data"), "better": found.get("better"), "monitor": record.get("metric")}
    better = of_best["better"]
    return Entry(
        RunFolder(sweep.path), str(record.get("name") or sweep.path.parent.name), state_of_sweep(record),
        {**record, **of_best}, figures_of_metrics(_read_json(f"{best}/metrics.json")) if best is not None else {},
        better if isinstance(better, dict) else {"loss": "min"}, sum(count_epochs(trial) for trial in trials),
        sum(seconds) or None, size_of(sweep.path) if sized else None, tuple(read_tags(RunFolder(sweep.path))),
        figure_of(str(record.get("metric"))),
    )  # fmt: skip


def state_of(record: Mapping[str, Any]) -> str:
    """The state of a run: one that says that it runs must have a process that does so."""
    state = record.get("state")
    if state != "running":
        return str(state) if state in STATES else "unknown"
    process = record.get("process")
    number = process.get("id") if isinstance(process, dict) else None
    if not isinstance(process, dict) or not isinstance(number, int) or process.get("host") != platform.node():
        return "unknown"
    return "running" if is_process_running(number, process.get("started")) else "killed"


def _seconds(record: Mapping[str, Any], rows: Sequence[Mapping[str, float]], state: str) -> float | None:
    parts = record.get("seconds")
    if state == "done" and isinstance(parts, dict) and isinstance(parts.get("training"), (int, float)):
        return float(parts["training"])
    return sum(row.get("seconds", 0.0) for row in rows) if rows else None


def read_history(run: RunFolder) -> list[dict[str, float]]:
    """The rows of history.csv, an epoch each; those of a run that is being trained may end with fewer."""
    try:
        with (run.path / "history.csv").open(newline="", encoding="utf-8") as file:
            return [row for row in map(_numbers, csv.DictReader(file)) if row]
    except (OSError, ValueError, csv.Error):
        return []


def read_curves(run: RunFolder) -> list[dict[str, float]]:
    """The rows of history.csv; of several folds their mean, as far as all of them have come."""
    folds = [read_history(fold) for fold in run.folds]
    if not folds:
        return read_history(run)
    from statistics import fmean  # brings fractions and decimals along

    return [
        {name: fmean(row.get(name, math.nan) for row in rows) for name in rows[0]}
        for rows in zip(*folds, strict=False)
    ]  # fmt: skip


def count_epochs(run: RunFolder) -> int:
    """The number of the last epoch in history.csv, without the others being read; 0 if there is none."""
    try:
        with open(f"{run.path}/history.csv", "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LONGEST_ROW))
            return int(file.read().splitlines()[-1].split(b",", 1)[0])
    except (OSError, ValueError, IndexError):
        return 0


def _numbers(row: Mapping[str, str | None]) -> dict[str, float]:
    numbers = {}
    for name, text in row.items():
        with suppress(ValueError, TypeError):  # a row that is being written ends in the middle
            numbers[name] = float(text or "")
    return numbers if "epoch" in numbers else {}


def _read_json(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_small(path))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_parameters(run: RunFolder) -> int | None:
    """How many parameters the model has, that of each fold; None if its summary cannot be read."""
    of = run.folds[0] if run.folds else run
    found = _read_json(f"{of.path}/summary.json").get("totals")
    count = found.get("parameters") if isinstance(found, dict) else None
    return count if isinstance(count, int) else None


def size_of(path: Path) -> int:
    """The bytes of all files below `path`; links count as themselves, and what cannot be seen as nothing."""
    total, folders = 0, [str(path)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def read_tags(run: RunFolder) -> list[str]:
    """The words that a person has put to a run: the lines of tags.txt."""
    try:
        return read_small(f"{run.path}/tags.txt").decode().split()
    except (OSError, ValueError):
        return []
