"""One way to read a table, again and again: as dlcli does, with what it looks for; or `pandas.read_csv` by itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from dlcli.data.table_reading import layout_of
from dlcli.data.tables import read_tables
from dlcli.spec.sources_files import Csv
from tests.benchmarks.turns import report, wait_for_turn


def main(way: str, path: Path) -> None:
    """Read for ever."""
    layout = layout_of(Csv(path=(str(path),)))
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "dlcli": lambda: read_tables([path], layout),
        "pandas": lambda: pd.read_csv(path),
    }
    while True:
        wait_for_turn()
        began, processor_began = time.perf_counter(), time.process_time()
        rows = len(ways[way]())
        report(time.perf_counter() - began, rows, processor_seconds=time.process_time() - processor_began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
