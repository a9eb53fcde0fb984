"""How a sweep looks in a terminal, from trials that are made here."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from dlcli.cli.sweep_tables import (
    Progress,
    closing_lines,
    importance_line,
    live_picture,
    seconds_left,
    seed_lines,
    trial_lines,
)
from dlcli.sweeping.result import MINIMIZE, SweepResult
from tests.test_sweep_page import LONG, RATE, UNITS, hostile, of_seeds, sweep, trial

IMPORTANCE = {UNITS.path: 0.9, RATE.path: 0.1}


def some(planned: int | None = 10) -> SweepResult:
    trials = [
        trial(0, 0.5), trial(1, 0.25, "pruned", reported={1: 0.2, 2: 0.25}), trial(2, 0.75, reported={3: 0.75}),
        trial(3, None, "failed", reason="out of memory"), trial(4, 0.6, "running", seconds=None, reported={1: 0.6}),
        trial(5, None, "waiting", seconds=None),
    ]  # fmt: skip
    return sweep(trials, planned=planned)


def picture(result: SweepResult, width: int = 80, **more: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(live_picture(result, width, **more))  # type: ignore[arg-type]
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in str(text).splitlines()]


def table(result: SweepResult, width: int | None, **more: object) -> list[str]:
    lines = trial_lines(result, width, **more)  # type: ignore[arg-type]
    return ["".join(text for text, _ in line) for line in lines]


def test_table_has_the_best_first_and_then_those_without_a_place() -> None:
    lines = table(some(), None)
    assert lines[0].split() == ["place", "trial", "state", "val_accuracy", "units", "rate", "epochs", "time", "why"]
    assert [line.split()[:3] for line in lines[1:3]] == [["1", "2", "complete"], ["2", "0", "complete"]]
    assert [line.split()[1] for line in lines[3:]] == ["pruned", "failed", "running", "waiting"]
    assert lines[4].endswith("out of memory")
    assert closing_lines(some()) == ["2 complete, 1 pruned, 1 failed, 1 running, 1 waiting"]
    assert closing_lines(some(), 3) == ["3 of 6 trials; 2 complete, 1 pruned, 1 failed, 1 running, 1 waiting"]
    assert len(table(some(), 80, most=3)) == 4
    assert table(sweep([]), 80) == []


def test_table_leaves_out_what_matters_least() -> None:
    kept = []
    for width in range(120, 30, -1):
        titles = table(some(), width, importance=IMPORTANCE)[0].split()
        if not kept or titles != kept[-1]:
            kept.append(titles)
    left_out = [next(name for name in before if name not in after) for before, after in pairwise(kept)]
    assert left_out == ["epochs", "time", "rate", "units", "place"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    result = hostile()
    assert max(map(len, picture(result, width))) <= width
    assert max(map(len, picture(replace(result, planned=1000), width))) <= width
    assert max(map(len, table(result, width))) <= max(width, 70)
    assert LONG in "".join(table(result, None, most=None))


def test_picture_while_it_runs() -> None:
    lines = picture(some(), 100, importance=IMPORTANCE, progress={4: Progress(3, 9)})
    assert "3/9" in next(line for line in lines if " running " in line)
    assert any(line.startswith("best val_accuracy 0.7500, trial 2: units ") for line in lines)
    assert "importance units ██████████ 90%  rate █ 10%" in lines
    assert any(line.startswith("4/10 trials (2 complete, ") for line in lines)
    assert "about 8.2 s left" in lines[-1]
    empty = picture(sweep([], planned=10))
    assert empty[0] == "no trial has a val_accuracy yet"
    assert importance_line(sweep([], parameters=(UNITS,)), {}).plain == ""


def test_time_that_is_left() -> None:
    assert seconds_left(some()) == pytest.approx(1.5 * 5.5)
    assert seconds_left(some(), 3.0) == 3.0
    assert seconds_left(some(None)) is None
    assert seconds_left(sweep([], planned=10), 60.0) == 60.0
    two = replace(some(), trials=(*some().trials, trial(6, None, "running", seconds=None)))
    assert seconds_left(two) == pytest.approx(1.5 * 5 / 2)


def test_table_of_seeds() -> None:
    lines = ["".join(text for text, _ in line).split() for line in seed_lines(of_seeds(0.0), 80)]
    assert lines[0] == ["config", "mean", "val_accuracy", "±", "seeds", "least", "greatest", "seeds"]
    assert lines[1] == ["<b>better</b>", "0.9100", "0.0000", "0.9100", "0.9100", "4", "of", "4"]
    assert lines[2][:2] == ["worse", "0.9000"]
    assert list(seed_lines(some(), 80)) == []


def test_direction_decides_what_is_best() -> None:
    [line] = [line for line in picture(replace(some(), direction=MINIMIZE)) if line.startswith("best")]
    assert line.startswith("best val_accuracy 0.5000, trial 0")
