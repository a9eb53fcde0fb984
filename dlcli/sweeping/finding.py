"""Which sweep `--resume auto` means. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import RunError, SpecError
from dlcli.runs.sweeps import SweepFolder, state_of_sweep, sweeps_of
from dlcli.spec.reading import read_document


def find_unfinished(
    runs_dir: Path, name: str, composed: Mapping[str, Mapping[str, Any]], seeds: Sequence[int]
) -> SweepFolder | None:
    """The newest sweep of these very specs, with these seeds, that is not done; None if there is none."""
    for sweep in sweeps_of(runs_dir, name):
        try:
            record = sweep.read_record()
            then = {file: read_document(sweep.path / file).data for file in composed}
        except (RunError, SpecError):
            continue  # what cannot be read is no sweep of these
        is_same = _same(then, composed) and list(record.get("seeds") or ()) == list(seeds)
        if is_same and state_of_sweep(record) != "done":
            return sweep
    return None


def _same(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the same is tried, for however long."""
    return all(_tried(then[file]) == _tried(now[file]) for file in now)


def _tried(spec: Mapping[str, Any]) -> dict[str, Any]:
    sweep = spec.get("sweep")
    kept = {key: value for key, value in (sweep or {}).items() if key not in ("trials", "budget")}
    return {**spec, "sweep": kept}
