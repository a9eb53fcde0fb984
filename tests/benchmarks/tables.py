"""`python -m tests.benchmarks tables`: how fast tables of 300,000 rows are read."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.turns import Contender, compare, take_turns

_ROWS = 300_000
_COLUMNS = (
    "table", "MB", "", "µs a row", "dlcli is × as fast", "least to most", "by processor time", "least to most",
)  # fmt: skip


def numbers() -> pd.DataFrame:
    """Ten columns: whole numbers, measurements and long fractions; and a target."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({f"whole{number}": generator.integers(-10, 10_000, _ROWS) for number in range(3)})
    for number in range(4):
        frame[f"measured{number}"] = generator.normal(20, 30, _ROWS).round(2)
    for number in range(3):
        frame[f"exact{number}"] = generator.normal(size=_ROWS)
    return frame.assign(target=generator.integers(0, 2, _ROWS))


def with_texts() -> pd.DataFrame:
    """Numbers; categories, dates and names that are quoted, since they have a comma; and a target."""
    generator = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 700, _ROWS), "D")
    names = [f"Person {number}, {'MRS'[number % 3]}." for number in generator.integers(0, _ROWS, _ROWS)]
    texts = {"town": generator.choice(["Oslo", "Rome", "Nice", "Bonn"], _ROWS), "day": days.astype(str), "name": names}
    return numbers()[["whole0", "whole1", "measured0", "exact0"]].assign(**texts, target=numbers()["target"])


def with_missing_targets() -> pd.DataFrame:
    """Numbers, and a target that one row of twenty does not have."""
    return numbers().assign(target=numbers()["target"].where(np.random.default_rng(1).random(_ROWS) > 0.05))


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "numbers": numbers, "with texts": with_texts, "a target that is missing in places": with_missing_targets,
}  # fmt: skip


def main(rounds: int = 9) -> None:
    """Time dlcli and pandas by turns."""
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---" * len(_COLUMNS) + "|")
    for table, make in TABLES.items():
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "table.csv"
            make().to_csv(path, index=False)
            size = path.stat().st_size / 2**20
            ways = [
                Contender(way, [sys.executable, "-m", "tests.benchmarks.read_tables", way, str(path)], {})
                for way in ("dlcli", "pandas")
            ]
            take_turns(ways, rounds)
        by_time, by_work = compare(ways), compare(ways, "processor_seconds")
        for time, work in zip(by_time, by_work, strict=True):
            figures = [
                table, f"{size:.0f}", time.name, f"{1000 * time.milliseconds:.3g}", f"{time.ratio:.2f}",
                f"{time.least:.2f} to {time.most:.2f}", f"{work.ratio:.2f}", f"{work.least:.2f} to {work.most:.2f}",
            ]  # fmt: skip
            print(f"| {' | '.join(figures)} |", flush=True)
