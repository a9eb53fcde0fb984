"""A run's folder: making it, and writing into it. Imports nothing heavy.

runs/<name>/<UTC time>-<4 letters>/      runs/<name>/latest: the newest
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dlcli.errors import RunError, UsageError
from dlcli.files import read_small, replacing, write_json, write_text, writing_failed


@dataclass(frozen=True)
class RunFolder:
    """One run's folder and the names of what is in it."""

    path: Path

    @property
    def best(self) -> Path:
        """The checkpoint of the best epoch."""
        return self.path / "checkpoints" / "best.h5"

    @property
    def last(self) -> Path:
        """The checkpoint of the last epoch."""
        return self.path / "checkpoints" / "last.h5"

    @property
    def kept(self) -> list[Path]:
        """Earlier checkpoints that the spec asked to keep, newest first."""
        return sorted(self.path.glob("checkpoints/step-*.h5"), reverse=True)

    def kept_at(self, step: int) -> Path:
        """Where a checkpoint that is to be kept goes, by the steps done."""
        return self.path / "checkpoints" / f"step-{step:09}.h5"

    @property
    def resolved(self) -> Path:
        """The spec with everything filled in."""
        return self.path / "resolved.yaml"

    @property
    def board(self) -> Path:
        """The folder of what TensorBoard shows."""
        return self.path / "tensorboard"

    @property
    def mlflow(self) -> Path:
        """Which run of MLflow's goes with it, and where that is kept."""
        return self.path / "mlflow.json"

    @property
    def tags(self) -> Path:
        """The words that a person has put to it, a line each."""
        return self.path / "tags.txt"

    @property
    def log(self) -> Path:
        """What TensorFlow had to say."""
        return self.path / "log.txt"

    @property
    def whole(self) -> RunFolder | None:
        """The run of all folds, of which this one is a fold; None for a run that stands alone."""
        return RunFolder(self.path.parent) if (self.path.parent / "run.json").is_file() else None

    @staticmethod
    def name_of_fold(number: int) -> str:
        """What the folder of a fold is called, which is in that of all folds."""
        return f"fold-{number}"

    def fold(self, number: int) -> RunFolder:
        """The run of a fold, counted from 1; it may not be there."""
        return RunFolder(self.path / self.name_of_fold(number))

    @property
    def folds(self) -> list[RunFolder]:
        """The runs of folds that are in this one, in their order; none in a run that stands alone."""
        found = (RunFolder(record.parent) for record in self.path.glob(f"{self.name_of_fold(0)[:-1]}[0-9]*/run.json"))
        return sorted(found, key=lambda run: int(run.path.name.rpartition("-")[2]))

    def write_spec(
        self, written: str, resolved: Mapping[str, Any], extensions: Mapping[str, str] | None = None
    ) -> None:
        """Keep the spec as the user wrote it, and with everything filled in; and the files of code that it lists."""
        from dlcli.spec.writing import to_yaml

        for name, text in (extensions or {}).items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_text(self.path / name, text)

        write_text(self.path / "spec.yaml", written)
        write_text(self.resolved, to_yaml(resolved))

    def read_record(self) -> dict[str, Any]:
        """The content of run.json. Raises RunError if there is none that can be read."""
        try:
            record = json.loads(read_small(f"{self.path}/run.json"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} is not a run: run.json cannot be read ({error}).") from error
        if not isinstance(record, dict):
            raise RunError(f"{self.path} is not a run: run.json holds no mapping.")
        return record

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json."""
        write_json(self.path / "run.json", record)

    def write_summary(self, text: str, data: Mapping[str, Any]) -> None:
        """Write summary.txt and summary.json."""
        write_text(self.path / "summary.txt", text)
        write_json(self.path / "summary.json", data)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write metrics.json."""
        write_json(self.path / "metrics.json", metrics)

    def point_latest(self) -> None:
        """Let `latest` beside the run point to it; called when it has a checkpoint. Raises RunError.

        Of a fold's run, to that of all folds.
        """
        path = (self.whole or self).path.resolve()  # it may be named by `latest` itself
        beside = path.parent / f".latest.{os.getpid()}"
        try:
            beside.symlink_to(path.name)
            beside.replace(path.parent / "latest")
        except OSError:
            # A file system without links: `newest` reads a text file as well.
            beside.unlink(missing_ok=True)
            write_text(path.parent / "latest", path.name)

    def append_history(self, row: Mapping[str, Any]) -> None:
        """Append one epoch to history.csv; the first one brings the names of the columns.

        It is not forced to the disk, which takes longer than a small network's epoch: a checkpoint is, and has it all.

        Raises:
            RunError: the file cannot be written.
        """
        path = self._history
        try:
            is_new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if is_new:
                    writer.writerow(row)
                writer.writerow(row.values())
        except OSError as error:
            raise writing_failed(path, error) from error

    def rewrite_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Let history.csv have these epochs and no others. Raises RunError."""
        if rows:
            write_table(self._history, rows)
        else:
            self._history.unlink(missing_ok=True)

    @property
    def _history(self) -> Path:
        return self.path / "history.csv"

    def remove_parts(self) -> None:
        """Remove what a process that was killed has left half-written. Only for whoever has the lock."""
        for part in self.path.rglob(".*.part*"):
            with suppress(OSError):
                part.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While entered, no other process writes into this run; the lock of a process that has died is free again.

        Raises:
            RunError: another process is at it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            writer = f"process {self._writer()}"
            raise RunError(f"{self.path} is being trained by {writer}.", "Wait for it to end, or stop it.") from error
        except OSError as error:
            raise writing_failed(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def _writer(self) -> str:
        try:
            process = self.read_record().get("process") or {}
        except RunError:
            process = {}
        return f"{process.get('id', 'of unknown number')} on {process.get('host', 'this machine')}"


def check_writable(runs_dir: Path) -> None:
    """Make sure that runs can be written to `runs_dir`, before anything slow begins. Raises RunError."""
    probe = runs_dir / f".write-test-{os.getpid()}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except FileExistsError as error:
        raise RunError(f"{runs_dir} is a file, not a folder.", "Name a folder with --runs-dir.") from error
    except OSError as error:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        raise writing_failed(runs_dir, error) from error


def check_free(parent: Path, run_name: str | None) -> None:
    """Make sure that no run of this name exists in `parent`. Raises RunError."""
    if run_name is None:
        return
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}", run_name) or run_name == "latest":
        message = f"`{run_name}` cannot be a run's name."
        raise UsageError(
            message, "Use up to 100 letters, digits, `_`, `-` and `.`; `latest` is taken for the newest run."
        )
    path = parent / run_name
    if path.exists():
        raise RunError(f"The run {path} exists; nothing was written.", "Give another --run-name, or leave it out.")


def create_run(parent: Path, run_name: str | None, fill: Callable[[RunFolder], None]) -> RunFolder:
    """Make a new run's folder in `parent`, which is there with all that `fill` writes into it, or not at all.

    Raises:
        RunError: the run exists, or the folder cannot be made.
    """
    check_free(parent, run_name)
    path = parent / (run_name or _new_name())
    beside = parent / f".{path.name}.{os.getpid()}.part"
    try:
        beside.mkdir(parents=True, exist_ok=False)
        fill(RunFolder(beside))
        beside.rename(path)
    except OSError as error:
        raise writing_failed(path, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return RunFolder(path)


def _new_name() -> str:
    import secrets  # brings a good part of the standard library along

    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return f"{time}-{''.join(secrets.choice(string.ascii_lowercase) for _ in range(4))}"


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as a CSV file, whole or not at all."""
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
