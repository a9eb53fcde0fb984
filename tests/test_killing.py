"""Trainings that are killed at random moments. More of that: `python -m tests.killing 200`, also with `--term`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, some_of

DATA = {"in memory": [], "streamed": ["--streamed"]}


@pytest.mark.parametrize("data", some_of([*DATA], "in memory"))
def test_killed_runs_come_to_the_same_bits(data: str) -> None:
    # In a process of its own: it forks, which one that has threads should not.
    command = [sys.executable, "-m", "tests.killing", "1", *DATA[data]]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
