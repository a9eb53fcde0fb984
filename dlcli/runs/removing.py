"""Removing runs: whole or not at all, never one that is being trained, and nothing that is outside the runs' folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dlcli.errors import RunError
from dlcli.runs import RunFolder
from dlcli.runs.entries import MAYBE_RUNNING, Entry, state_of
from dlcli.runs.finding import newest, runs_of
from dlcli.runs.ranking import rank
from dlcli.runs.sweeps import SweepFolder, is_sweep, state_of_sweep

_REMOVED = ".removed"


@dataclass(frozen=True)
class Rule:
    """Which runs are to go; each condition that is given must hold.

    Attributes:
        keep: how many of each name stay, the newest.
        older_than: only those that began so many seconds ago.
        keep_best: whether the best of each name, by its main figure, stays.
    """

    keep: int | None = None
    older_than: float | None = None
    keep_best: bool = False


def select(every: Sequence[Entry], chosen: Iterable[Entry], rule: Rule, now: datetime | None = None) -> list[Entry]:
    """Those of the chosen runs that go by the rule; never one that runs, or may do so elsewhere.

    Args:
        every: all runs in the folder, newest first: what stays is counted among them.
        chosen: those that may go.
        rule: which of these go.
        now: the time; that of the clock if left out.
    """
    stays: set[Path] = set()
    by_name: dict[Path, list[Entry]] = {}
    for entry in every:
        by_name.setdefault(entry.run.path.parent, []).append(entry)
    for entries in by_name.values():
        stays |= {entry.run.path for entry in entries[: rule.keep or 0]}
        stays |= _best(entries) if rule.keep_best else set()
    until = (now or datetime.now(timezone.utc)) - timedelta(seconds=rule.older_than or 0.0)
    return [
        entry for entry in chosen
        if entry.run.path not in stays and not entry.is_maybe_running and (entry.began is None or entry.began <= until)
    ]  # fmt: skip


def _best(entries: Sequence[Entry]) -> set[Path]:
    """The best run by each main figure that these have; all, where nothing tells which is better."""
    stays: set[Path] = set()
    for figure in {entry.main_figure for entry in entries} - {None}:
        runs = [entry for entry in entries if entry.main_figure == figure]
        tops = [(place.values[0], place) for place in rank(runs, figure)]
        tops.sort(key=lambda top: top[0] if top[1].is_larger_better else -top[0])
        stays |= {tops[-1][1].best.run.path} if tops else {entry.run.path for entry in runs}
    return stays


def check_inside(run: RunFolder, runs_dir: Path) -> RunFolder:
    """The run's own folder, if it is `<runs_dir>/<name>/<run>` on the disk. Raises RunError."""
    path = run.path.resolve()
    if path.parent.parent != runs_dir.resolve():
        hint = "--runs-dir names the folder of runs that it is in; what is in none is not removed."
        raise RunError(f"{path} is not a run in {runs_dir}.", hint)
    return RunFolder(runs_dir / path.parent.name / path.name)


def remove(run: RunFolder, runs_dir: Path) -> None:
    """Remove a run, and let `latest` beside it lead to the newest that is left.

    It is first renamed, so that it is there as a whole or not at all; what a removal that was cut off has left is
    removed by the next one.

    Raises:
        RunError: it is being trained, is not in `runs_dir`, or cannot be removed.
    """
    run = check_inside(run, runs_dir)
    parent = run.path.parent
    aside = parent / f".{run.path.name}.{os.getpid()}{_REMOVED}"
    with run.locked():
        _check_at_rest(run)
        try:
            run.path.rename(aside)
        except OSError as error:
            raise _not_removed(run.path, error) from error
    repair_latest(parent)
    sweep(parent)
    if aside.exists():
        raise RunError(f"{aside} could not be removed as a whole; it is no run any more.", "Remove it by hand.")
    with suppress(OSError):  # the last of its name; else there are others in it
        parent.rmdir()


def _check_at_rest(run: RunFolder) -> None:
    """Raises RunError if a process is at the run, or may be so on another machine, whose locks may not be seen here."""
    if is_sweep(run.path):
        _check_sweep_at_rest(SweepFolder(run.path))
        return
    try:
        record = run.read_record()
    except RunError:
        return  # nothing that trains has left it so
    if state_of(record) in MAYBE_RUNNING and record.get("state") == "running":
        host = (record.get("process") or {}).get("host", "another machine")
        message = f"{run.path} is being trained, or was so on {host}, where this cannot be seen."
        raise RunError(message, "Remove it there; or by hand, if that machine is no more.")


def _check_sweep_at_rest(folder: SweepFolder) -> None:
    try:
        state = state_of_sweep(folder.read_record())
    except RunError:
        return  # nothing that trains has left it so
    if state in MAYBE_RUNNING:
        raise RunError(f"Trials of {folder.path} are being run, here or elsewhere.", "Stop them first.")


def repair_latest(parent: Path) -> None:
    """Let `latest` in the folder of a name lead to the newest run with a checkpoint; remove it where there is none.

    Raises:
        RunError: it cannot be written.
    """
    latest = parent / "latest"
    found = newest(parent)
    if not (latest.is_symlink() or latest.is_file()) or (found is not None and (found / "run.json").is_file()):
        return
    runs = [run for run in runs_of(parent.parent, parent.name) if any(map(_has_checkpoint, (run, *run.folds)))]
    if runs:
        runs[0].point_latest()
        return
    try:
        latest.unlink()
    except OSError as error:
        raise _not_removed(latest, error) from error


def _has_checkpoint(run: RunFolder) -> bool:
    return run.best.exists() or run.last.exists()


def sweep(parent: Path) -> None:
    """Remove what is left of removals. Links in it are removed, not what they lead to."""
    for left in parent.glob(f".*{_REMOVED}"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


def _not_removed(path: Path, error: OSError) -> RunError:
    return RunError(f"{path} cannot be removed: {error.strerror or error}.")
