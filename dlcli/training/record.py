"""run.json: what ran, when, on what, with which versions, and how it ended."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlcli
from dlcli.data.memory import cores
from dlcli.errors import Interrupted, RunError
from dlcli.machine import process_started
from dlcli.runs import RunFolder
from dlcli.training.backend import Backend

if TYPE_CHECKING:
    from dlcli.training.engine import Engine
    from dlcli.training.resuming import Point


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass
class RunRecord:
    """The content of run.json; written anew at each change of state.

    `monitor` is the figure that the best epoch is chosen by, `better` says of each figure of an epoch whether "min" or
    "max" is better; None if that is not known.
    """

    run: RunFolder
    name: str
    command: list[str]
    backend: Backend
    seed: int
    data: dict[str, Any]
    git_commit: str | None
    is_smoke: bool = False
    state: str = "running"
    error: str | None = None
    began: str = field(default_factory=_now)
    ended: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    monitor: str = ""
    better: dict[str, str | None] = field(default_factory=dict)
    spec_folder: str = ""
    data_dir: str | None = None
    deterministic: bool = False
    precision: str = "float32"
    loss_scaling: dict[str, Any] | None = None
    init_from: str | None = None
    resumed: list[dict[str, Any]] = field(default_factory=list)
    folds: int | None = None
    without_model: dict[str, Any] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, str]:
        """Of dlcli, Python and the libraries that decide the numbers."""
        return {"dlcli": dlcli.__version__, "python": platform.python_version(), **self.backend.versions}

    def engine_now(self, engine: Engine) -> dict[str, Any]:
        """How the steps run, of what decides their bits."""
        return {
            "path": engine.path,
            "fallback": engine.fallback,
            "choices": engine.record(),
            "strategy": engine.division.name,
            "replicas": engine.division.replicas,
            "device": self.backend.device,
            "gpus": list(self.backend.gpus) if self.backend.gpus is not None else None,
            "processors": cores(),
            "deterministic": self.deterministic,
        }

    def went_on(self, point: Point, command: list[str]) -> None:
        """Note where this process goes on from, and with which command."""
        position = point.contents.position if point.contents else {"epoch": 0, "step": 0}
        checkpoint = str(point.checkpoint.path) if point.checkpoint else None
        self.resumed = [
            *(point.record.get("resumed") or ()),
            {"began": _now(), "command": command, "checkpoint": checkpoint, **position},
        ]

    def timed(self, part: str, seconds: float) -> None:
        """Note how long a part of the run took."""
        self.seconds[part] = round(seconds, 3)

    def write(self) -> None:
        """Replace run.json. Raises RunError."""
        self.run.write_record(
            {
                "name": self.name,
                "state": self.state,
                "error": self.error,
                "smoke": self.is_smoke,
                "command": self.command,
                "spec_folder": self.spec_folder,
                "data_dir": self.data_dir,
                "process": {"id": os.getpid(), "host": platform.node(), "started": process_started(os.getpid())},
                "init_from": self.init_from,
                "resumed": self.resumed,
                "began": self.began,
                "ended": self.ended,
                "seconds": self.seconds,
                "device": self.backend.device,
                "device_name": self.backend.device_name,
                "gpus": list(self.backend.gpus) if self.backend.gpus is not None else None,
                "precision": self.precision,
                **({"loss_scaling": self.loss_scaling} if self.loss_scaling is not None else {}),
                "engine": self.engine,
                "monitor": self.monitor,
                "better": self.better,
                "platform": platform.platform(),
                "versions": self.versions,
                "seed": self.seed,
                "git_commit": self.git_commit,
                "data": self.data,
                **({"folds": self.folds} if self.folds is not None else {}),
                **({"without_model": self.without_model} if self.without_model else {}),
            }
        )

    def finish(self, state: str, error: str | None = None) -> None:
        """Note how the run ended: "done", "interrupted" or "failed". Raises RunError."""
        self.state, self.error, self.ended = state, error, _now()
        self.write()


@contextmanager
def recorded(record: RunRecord) -> Iterator[None]:
    """Keeps run.json's state true, whatever happens inside."""
    try:
        yield
    except Interrupted:
        record.finish("interrupted")
        raise
    except BaseException as error:
        with suppress(RunError):  # the disk may be what failed
            record.finish("failed", str(error) or type(error).__name__)
        raise
    record.finish("done")


def git_commit(folder: Path) -> str | None:
    """The commit of the work tree that holds `folder`; None where there is none, or no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
