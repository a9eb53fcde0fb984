"""How one run looks in the terminal: what it was, what it came to, and how to go on with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from dlcli.cli.result import show_metrics
from dlcli.cli.runs_list import local
from dlcli.data.memory import readable_bytes
from dlcli.figures import duration, number
from dlcli.runs.figures import IN_ORDER, SPLITS, precision_text
from dlcli.runs.finding import called
from dlcli.spec.writing import to_flow

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.runs.entries import Entry

_STATES = {
    "killed": "its process is gone, and has not said why",
    "unknown": "it was begun on another machine, where it may be running",
}


def show_run(screen: Screen, entry: Entry, parameters: int | None) -> None:
    """All of it."""
    screen.show(Text.assemble((entry.label, "bold"), f"  {entry.run.path}"))
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(entry, parameters):
        table.add_row(name, Text(value))
    screen.show(table)
    if entry.figures:
        screen.out.print()
        show_metrics(screen, _by_split(entry))
    for line in _what_next(entry):
        screen.message(line)


def _facts(entry: Entry, parameters: int | None) -> Iterator[tuple[str, str]]:
    record = entry.record
    reason = _STATES.get(entry.state) or record.get("error")
    yield "state", f"{entry.state}: {reason}" if reason else entry.state
    yield "began", f"{local(entry.began)}{_times(entry)}"
    data = record.get("data")
    if isinstance(data, dict):
        splits = data.get("examples")
        counts = ", ".join(f"{count:,} {name}" for name, count in splits.items()) if isinstance(splits, dict) else ""
        yield "data", f"{data.get('source')} ({data.get('origin')}){f'; {counts}' if counts else ''}"
    if record.get("folds") is not None:
        yield "folds", f"{record['folds']}, each with a run of its own; figures are their mean"
    yield from _trials(record)
    if parameters is not None:
        yield "parameters", f"{parameters:,}"
    yield "size", readable_bytes(entry.size or 0)
    if entry.tags:
        yield "tags", " ".join(entry.tags)
    yield from _circumstances(record)


def _trials(record: Any) -> Iterator[tuple[str, str]]:
    """Of a sweep."""
    trials, best = record.get("trials"), record.get("best")
    if isinstance(trials, dict):
        yield "trials", ", ".join(f"{count} {what}" for what, count in trials.items() if count)
    if isinstance(best, dict) and isinstance(best.get("value"), (int, float)):
        metric, mean = record.get("metric"), best.get("mean")
        yield "best", f"trial {best.get('trial')}: {metric} {number(best['value'])}; the figures are those of its run"
        if isinstance(mean, (int, float)):
            yield "", f"of the best mean: {metric} {number(mean)} of {best.get('seeds')} seeds"
        for path, one in dict(best.get("values") or {}).items():
            yield "", f"{path}: {to_flow(one)}"


def _times(entry: Entry) -> str:
    epochs = f"; {entry.epochs} epoch{'s' if entry.epochs != 1 else ''}"
    if entry.seconds is not None:
        epochs += f" in {duration(entry.seconds)}"
    resumed = entry.record.get("resumed")
    times = len(resumed) if isinstance(resumed, list) else 0
    return epochs + (f"; went on {times} times" if times > 1 else "; went on once" if times else "")


def _circumstances(record: Any) -> Iterator[tuple[str, str]]:
    if isinstance(record.get("command"), list):
        yield "command", shlex.join(["dlcli", *map(str, record["command"])])
    for name, key in (("seed", "seed"), ("device", "device_name"), ("weights of", "init_from"), ("git", "git_commit")):
        if record.get(key) is not None:
            yield name, str(record[key])
    if precision_text(record):
        yield "precision", precision_text(record)
    if isinstance(record.get("versions"), dict):
        yield "versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())


def _by_split(entry: Entry) -> dict[str, dict[str, float]]:
    splits = {}
    for split in IN_ORDER:
        prefix = SPLITS[split]
        found = {name.removeprefix(prefix): one for name, one in entry.figures.items() if name.startswith(prefix)}
        if found:
            splits[split] = found
    names = list(dict.fromkeys(name for figures in splits.values() for name in figures))
    whole = {split: figures for split, figures in splits.items() if list(figures) == names}
    return whole or splits


def _what_next(entry: Entry) -> Iterator[str]:
    is_sweep = isinstance(entry.record.get("trials"), dict)
    command = "sweep" if is_sweep else "train"
    if is_sweep:
        yield f"`dlcli sweep show {called(entry.run.path)}` shows all trials."
    if entry.state in ("interrupted", "killed"):
        yield f"`dlcli {command} --resume {entry.run.path}` goes on from there."
    if entry.figures and entry.state != "done":
        monitor = entry.record.get("monitor")
        yield f"Figures of the best epoch so far{f', by {monitor}' if monitor else ''}."
