"""A run's folder: making it, writing into it, finding one again. Imports nothing heavy.

runs/<name>/<UTC time>-<4 letters>/      runs/<name>/latest: the newest
"""

from __future__ import annotations

import csv
import os
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from dlcli.errors import CheckpointError, RunError, UsageError
from dlcli.files import replacing, write_json, write_text, writing_failed


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
    def log(self) -> Path:
        """What TensorFlow had to say."""
        return self.path / "log.txt"

    def write_spec(self, written: str, resolved: Mapping[str, Any]) -> None:
        """Keep the spec as the user wrote it, and with everything filled in."""
        from dlcli.spec.writing import to_yaml

        write_text(self.path / "spec.yaml", written)
        write_text(self.path / "resolved.yaml", to_yaml(resolved))

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
        """Let `latest` beside the run point to it; called when it has a checkpoint. Raises RunError."""
        beside = self.path.parent / f".latest.{os.getpid()}"
        try:
            beside.symlink_to(self.path.name)
            beside.replace(self.path.parent / "latest")
        except OSError:
            # A file system without links: `find_checkpoint` reads a text file as well.
            beside.unlink(missing_ok=True)
            write_text(self.path.parent / "latest", self.path.name)

    def append_history(self, row: Mapping[str, Any]) -> None:
        """Append one epoch to history.csv; the first one brings the names of the columns.

        It is not forced to the disk, which takes longer than a small network's epoch: a checkpoint is, and has it all.

        Raises:
            RunError: the file cannot be written.
        """
        path = self.path / "history.csv"
        try:
            is_new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if is_new:
                    writer.writerow(row)
                writer.writerow(row.values())
        except OSError as error:
            raise writing_failed(path, error) from error


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


def check_free(runs_dir: Path, name: str, run_name: str | None) -> None:
    """Make sure that no run of this name exists. Raises RunError."""
    if run_name is None:
        return
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}", run_name) or run_name == "latest":
        message = f"`{run_name}` cannot be a run's name."
        raise UsageError(
            message, "Use up to 100 letters, digits, `_`, `-` and `.`; `latest` is taken for the newest run."
        )
    path = runs_dir / name / run_name
    if path.exists():
        raise RunError(f"The run {path} exists; nothing was written.", "Give another --run-name, or leave it out.")


def create_run(runs_dir: Path, name: str, run_name: str | None = None) -> RunFolder:
    """Make a new run's folder.

    Raises:
        RunError: the run exists, or the folder cannot be made.
    """
    check_free(runs_dir, name, run_name)
    parent = runs_dir / name
    path = parent / (run_name or _new_name())
    try:
        (path / "checkpoints").mkdir(parents=True, exist_ok=False)
    except OSError as error:
        raise writing_failed(path, error) from error
    return RunFolder(path)


def _new_name() -> str:
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    return f"{time}-{''.join(secrets.choice(string.ascii_lowercase) for _ in range(4))}"


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a person means: a .h5 file; a run's folder (its best.h5); `runs/<name>` (the newest run's).

    Raises:
        CheckpointError: there is none.
    """
    if not path.is_dir():
        if not path.exists():
            raise CheckpointError(f"There is no checkpoint or run {path}.", "`ls runs/*` shows the runs that are here.")
        return path
    for folder in (path, _newest(path)):
        for name in ("best.h5", "last.h5"):
            found = folder / "checkpoints" / name if folder else None
            if found is not None and found.exists():
                return found
    raise CheckpointError(f"{path} is not a run: it has no checkpoints/best.h5.", "Name a run's folder or a .h5 file.")


def _newest(path: Path) -> Path | None:
    latest = path / "latest"
    if latest.is_file():
        return path / latest.read_text(encoding="utf-8").strip()
    return latest if latest.is_dir() else None


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as a CSV file, whole or not at all."""
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
