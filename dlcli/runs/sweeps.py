"""A sweep's folder: what is in it, its sweep.json, and how it is found. Imports nothing heavy.

runs/<name>/<UTC time>-<4 letters>/trials/<number>/      each an ordinary run
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dlcli.errors import RunError
from dlcli.files import write_json, writing_failed
from dlcli.machine import is_process_running, process_started
from dlcli.runs import RunFolder
from dlcli.runs.finding import RUNS, SWEEP, began, short_id


@dataclass(frozen=True)
class SweepFolder:
    """One sweep's folder and the names of what is in it."""

    path: Path

    @property
    def composed(self) -> Path:
        """The spec that all trials are made from, with what it extends and what the command line says."""
        return self.path / "composed.yaml"

    @property
    def journal(self) -> Path:
        """What Optuna knows of the trials."""
        return self.path / "journal.log"

    @property
    def trials(self) -> Path:
        """The folder of the trials' runs."""
        return self.path / "trials"

    def run(self, number: int) -> RunFolder:
        """The run of a trial; it may not be there."""
        return RunFolder(self.trials / str(number))

    def read_record(self) -> dict[str, Any]:
        """The content of sweep.json. Raises RunError if there is none that can be read."""
        path = self.path / SWEEP
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} is not a sweep: {path.name} cannot be read ({error}).") from error
        if not isinstance(record, dict):
            raise RunError(f"{self.path} is not a sweep: {path.name} holds no mapping.")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace sweep.json. Raises RunError."""
        write_json(self.path / SWEEP, record)

    def update_record(self, **changes: Any) -> dict[str, Any]:
        """Replace some of sweep.json; only for whoever is in `locked`. Raises RunError."""
        record = {**self.read_record(), **changes}
        self.write_record(record)
        return record

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While entered, no other process takes a trial; waits for others. Raises RunError."""
        from filelock import FileLock

        try:
            with FileLock(self.path / ".lock"):
                yield
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def count_time(self) -> None:
        """Note, every few seconds, that the sweep is still being run. Raises RunError."""
        if time.time() - _counted(self.read_record()) >= _COUNTED_EVERY:
            with self.locked():
                self.update_record(**time_used(self.read_record()))


_COUNTED_EVERY = 5.0  # seconds: what a process that is killed has used since is not known


def time_used(record: Mapping[str, Any]) -> dict[str, float]:
    """What a record is to say of the time for which any process has run trials, now that one does.

    `seconds` until `counted`, which is a time as `time.time` has it.
    """
    at = time.time()
    before = float(record.get("seconds") or 0.0)
    since = at - _counted(record) if running_processes(record) else 0.0
    return {"seconds": before + max(0.0, since), "counted": at}


def seconds_used(folder: SweepFolder) -> float:
    """For how long processes have run the sweep, until now if one does. Raises RunError."""
    return time_used(folder.read_record())["seconds"]


def _counted(record: Mapping[str, Any]) -> float:
    return float(record.get("counted") or 0.0)


def this_process() -> dict[str, Any]:
    """What tells this process from all others, for a record."""
    return {"id": os.getpid(), "host": platform.node(), "started": process_started(os.getpid())}


def now() -> str:
    """The time, for a record."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def running_processes(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of a record's processes that run; of other machines, all, since nothing tells."""
    found = record.get("processes")
    return [process for process in found if _may_run(process)] if isinstance(found, list) else []


def _may_run(process: Any) -> bool:
    if not isinstance(process, dict) or not isinstance(process.get("id"), int):
        return False
    is_here = process.get("host") == platform.node()
    return not is_here or is_process_running(process["id"], process.get("started"))


def state_of_sweep(record: Mapping[str, Any]) -> str:
    """The state of a sweep, in the words for runs: one that says that it runs must have a process that does so."""
    state = str(record.get("state"))
    if state != "running":
        return state
    processes = running_processes(record)
    if not processes:
        return "killed"
    return "running" if any(one.get("host") == platform.node() for one in processes) else "unknown"


def is_sweep(path: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (path / SWEEP).is_file()


def sweeps_of(runs_dir: Path, name: str) -> list[SweepFolder]:
    """The sweeps of a spec's name, newest first by when they began."""
    found = []
    for record in (runs_dir / name).glob(f"[!.]*/{SWEEP}"):
        sweep = SweepFolder(record.parent)
        with suppress(RunError):  # what cannot be read is no sweep
            found.append((began(sweep.read_record()), sweep))
    return [sweep for _, sweep in sorted(found, key=lambda pair: (pair[0], str(pair[1].path)), reverse=True)]


def find_sweep(path: Path, runs_dir: Path = RUNS) -> SweepFolder:
    """The sweep that a person means: its folder, its spec's name for the newest, NAME/ID or ID.

    Raises:
        RunError: there is none, or several are called so.
    """
    if is_sweep(path):
        return SweepFolder(path)
    name = path.name if path.parent in (Path(), runs_dir) else ""
    if name and (newest := sweeps_of(runs_dir, name)):
        return newest[0]
    found = []
    if not path.is_absolute() and 1 <= len(path.parts) <= 2:
        of = path.parts[0] if len(path.parts) == 2 else "*"
        every = [record.parent for record in runs_dir.glob(f"{of}/[!.]*/{SWEEP}")]
        found = [one for one in every if path.name in (one.name, short_id(one))]
    if len(found) > 1:
        raise RunError(f"Several sweeps are called {path}: {', '.join(map(str, found[:10]))}.", "Name one of these.")
    if not found:
        raise RunError(f"There is no sweep {path}.", "`dlcli runs` lists what is here; name a sweep's folder.")
    return SweepFolder(found[0])
