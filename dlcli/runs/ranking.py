"""Which runs are the best: by one figure, on the same data, with the spread over seeds of the same spec."""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dlcli.runs.entries import Entry
from dlcli.runs.figures import SPLITS, mode_of, without_split
from dlcli.runs.finding import began

_SEED = re.compile(rb"^seed: .*$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """One row of a board: a spec, with all its runs.

    Attributes:
        entries: its runs, the best first.
        values: the figure of each.
        is_larger_better: of the figure.
    """

    entries: tuple[Entry, ...]
    values: tuple[float, ...]
    is_larger_better: bool

    @property
    def best(self) -> Entry:
        """The run with the best figure."""
        return self.entries[0]

    @property
    def seeds(self) -> int:
        """How many seeds it was trained with."""
        return len({str(entry.record.get("seed")) for entry in self.entries})

    @property
    def mean(self) -> float:
        """Over its runs: what a board is ranked by."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation over its seeds (that of a sample: n - 1); None of one seed alone."""
        return statistics.stdev(self.values) if self.seeds > 1 else None

    @property
    def worth(self) -> float:
        """Larger for a better place."""
        return self.mean if self.is_larger_better else -self.mean

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.best.name, "mean": self.mean, "deviation": self.deviation, "seeds": self.seeds,
            "best": self.best.label, "best_value": self.values[0],
            "runs": [{"run": entry.label, "path": str(entry.run.path), "seed": entry.record.get("seed"), "value": value}
                     for entry, value in zip(self.entries, self.values, strict=True)],
        }  # fmt: skip


@dataclass(frozen=True)
class Board:
    """The places of all runs on the same data, the best first.

    Attributes:
        data: what the data is called.
        figure: what they are ranked by; None if the runs have none in common.
        places: the best first.
        left_out: how many runs have no such figure, or one that does not tell which is better.
    """

    data: str
    figure: str | None
    places: tuple[Place, ...]
    left_out: int

    def as_json(self, limit: int | None = None) -> dict[str, Any]:
        """For programs; with so many places at most."""
        places = [{"rank": rank, **place.as_json()} for rank, place in enumerate(self.places[:limit], start=1)]
        return {"data": self.data, "figure": self.figure, "left_out": self.left_out, "places": places}


def make_boards(
    entries: Iterable[Entry], metric: str | None = None, mode: str | None = None, *, each_spec: bool = False
) -> list[Board]:
    """A board for all runs on the same data that are done.

    Args:
        entries: the runs.
        metric: the figure to rank by, with or without its split; None for the one that most of the runs have first.
        mode: "min" or "max" is better; None for what the runs say.
        each_spec: whether each spec has a place, rather than the best of each name.
    """
    done = [entry for entry in entries if entry.state == "done"]
    boards = []
    for title, runs in _by_data(done):
        figure = common_figure(runs, metric)
        places = rank(runs, figure, mode)
        if not each_spec:
            best = {place.best.name: place for place in reversed(places)}
            places = [place for place in places if place is best[place.best.name]]
        ranked = [entry for entry in runs if _value(entry, figure, mode) is not None]
        boards.append(Board(title, figure, tuple(places), len(runs) - len(ranked)))
    return sorted(boards, key=lambda board: (not board.places, board.data))


def common_figure(entries: Sequence[Entry], metric: str | None) -> str | None:
    """The figure that most of these runs have: what a person names, or the main one; held out, if they have that."""
    name = metric
    if name is None:
        mains = Counter(without_split(main) for entry in entries if (main := entry.main_figure) is not None)
        name = mains.most_common(1)[0][0] if mains else ""
    full = [name, *(f"{prefix}{name}" for prefix in SPLITS.values())]
    counts = {figure: sum(figure in entry.figures for entry in entries) for figure in full}
    return max(full, key=lambda figure: counts[figure]) if any(counts.values()) else None


def rank(entries: Iterable[Entry], figure: str | None, mode: str | None = None) -> list[Place]:
    """The specs of these runs, the best first; runs without the figure have no place."""
    by_spec: dict[str, list[tuple[float, Entry]]] = {}
    larger = mode == "max"
    for entry in entries:
        value = _value(entry, figure, mode)
        if value is not None:
            larger = (mode or mode_of(str(figure), entry.better)) == "max"
            by_spec.setdefault(spec_key(entry), []).append((value, entry))
    places = []
    for pairs in by_spec.values():
        pairs.sort(key=lambda pair: (-pair[0] if larger else pair[0], began(pair[1].record)))
        places.append(Place(tuple(entry for _, entry in pairs), tuple(value for value, _ in pairs), larger))
    return sorted(places, key=lambda place: place.worth, reverse=True)


def _value(entry: Entry, figure: str | None, mode: str | None) -> float | None:
    value = entry.figures.get(figure or "", math.nan)
    return None if math.isnan(value) or (mode or mode_of(str(figure), entry.better)) is None else value


def spec_key(entry: Entry) -> str:
    """Equal for runs of the same spec but for its seed, on the same data."""
    try:
        text = entry.run.resolved.read_bytes()
    except OSError:
        return str(entry.run.path)
    return hashlib.sha256(_SEED.sub(b"", text, count=1) + _data(entry, "fingerprint").encode()).hexdigest()


def _by_data(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """The runs on the same data, by what that is called; with its fingerprint, where others have that name as well."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((_data(entry, "source"), _data(entry, "fingerprint")), []).append(entry)
    often = Counter(source for source, _ in groups)
    return [
        (source if often[source] == 1 else f"{source} ({fingerprint[:6]})", runs)
        for (source, fingerprint), runs in groups.items()
    ]


def _data(entry: Entry, key: str) -> str:
    data = entry.record.get("data")
    return str(data.get(key) or "unknown") if isinstance(data, dict) else "unknown"
