"""How the contenders take turns: each waits for a line, runs one epoch, and answers with a line of JSON."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def wait_for_turn() -> None:
    """In a contender: wait until the next epoch may begin; leave when there is none."""
    if not sys.stdin.readline():
        os._exit(0)


def report(seconds: float, steps: int, **more: float) -> None:
    """In a contender: say how long an epoch took, and what else is to be compared."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "steps": steps, "peak_mb": peak, **more}), file=sys.__stdout__, flush=True)


class Contender:
    """A process that trains one epoch at a time."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        self.epochs: list[dict[str, Any]] = []

    def epoch(self) -> None:
        """Let it run one epoch."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            self.epochs.append(json.loads(self._process.stdout.readline()))
        except (BrokenPipeError, json.JSONDecodeError) as error:
            command = " ".join(map(str, self._process.args))
            raise SystemExit(f"{self.name} has failed; run it by hand to see why:\n{command} < /dev/zero") from error

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Result:
    """Milliseconds a step, over the rounds; how many times as fast dlcli is; first epoch in seconds; peak in MB."""

    name: str
    milliseconds: float
    ratio: float
    least: float
    most: float
    first_epoch: float
    peak_mb: float


def take_turns(contenders: Sequence[Contender], rounds: int) -> None:
    """Let the contenders run epochs by turns, and two more to warm up."""
    try:
        for _ in range(rounds + 2):
            for contender in contenders:
                contender.epoch()
    finally:
        for contender in contenders:
            contender.close()


def compare(contenders: Sequence[Contender], measure: str = "seconds") -> list[Result]:
    """What came of it, by a figure that they have reported; dlcli is the first, and what warmed up is not counted."""
    ours = contenders[0].epochs[2:]
    results = []
    for contender in contenders:
        theirs = contender.epochs[2:]
        steps = [1000 * epoch[measure] / epoch["steps"] for epoch in theirs]
        ratios = [(b[measure] / b["steps"]) / (a[measure] / a["steps"]) for a, b in zip(ours, theirs, strict=True)]
        first, peak = contender.epochs[0]["seconds"], theirs[-1]["peak_mb"]
        median = statistics.median
        results.append(Result(contender.name, median(steps), median(ratios), min(ratios), max(ratios), first, peak))
    return results
