"""`dlcli runs list` and `dlcli runs show`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.cli.columns import Column
    from dlcli.console import Screen
    from dlcli.runs.entries import Entry, Listing

Name = Annotated[
    list[str] | None, typer.Option("--name", help="Only those of this name; `mnist_*` for several.", show_default=False)
]
State = Annotated[
    list[str] | None, typer.Option("--state", help="Only those in this state, such as `failed`.", show_default=False)
]
Tag = Annotated[list[str] | None, typer.Option("--tag", help="Only those with this tag.", show_default=False)]
Metric = Annotated[
    str | None,
    typer.Option(help="The figure: `test_accuracy`; `accuracy` is that of validation, else test.", show_default=False),
]
_SORTS = ("date", "score", "time", "size", "name")
_STYLES = {
    "running": "deep_sky_blue3",
    "done": "green",
    "interrupted": "dark_orange3",
    "failed": "red",
    "killed": "red",
}


def list_(
    context: typer.Context,
    name: Name = None,
    state: State = None,
    tag: Tag = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only those begun since: `7d`, `12h`.")] = None,
    metric: Metric = None,
    sort: Annotated[str, typer.Option(help="By `date`, `score`, `time`, `size` or `name`.")] = "date",
    reverse: Annotated[bool, typer.Option("--reverse", help="In the other order.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.", show_default=False)] = None,
    no_size: Annotated[bool, typer.Option("--no-size", help="Without sizes: for a slow disk.")] = False,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """List the runs, newest first: `dlcli runs list --state done --sort score`."""
    screen: Screen = context.obj
    by = options.chosen("--sort", sort, _SORTS)
    if no_size and by == "size":
        raise UsageError("--no-size leaves nothing to --sort size by.")
    seconds = options.duration("--since", since)
    listing = open_listing(screen, runs_dir, sized=not no_size)
    chosen = choose(listing.entries, name, state, tag)
    if seconds is not None:
        first = datetime.now(timezone.utc) - timedelta(seconds=seconds)
        chosen = [entry for entry in chosen if entry.began is not None and entry.began >= first]
    if metric is not None:
        chosen = [entry for entry in chosen if score_of(entry, metric) is not None]
    ordered = _sorted(chosen, by, metric)[:: -1 if reverse else 1]
    shown = ordered[:limit]
    if json:
        from dlcli.files import to_json

        found = [{**entry.as_json(), "score": _score_json(entry, metric)} for entry in shown]
        screen.out.print(to_json(found), soft_wrap=True, markup=False)
        return
    if shown:
        from dlcli.cli.columns import joined, lines_of

        width = screen.table_width
        screen.lines(joined(line) for line in lines_of(_columns(shown, metric), width))
    _tell_of_the_rest(screen, len(shown), listing, runs_dir)


def open_listing(screen: Screen, runs_dir: Path, *, sized: bool) -> Listing:
    """The runs of a folder; what in it is none is named. Raises RunError."""
    from dlcli.runs.entries import list_runs

    listing = list_runs(runs_dir, sized=sized)
    for note in listing.notes[:_MOST_NOTES]:
        screen.message(f"note: {note}")
    if len(listing.notes) > _MOST_NOTES:
        screen.message(f"note: {len(listing.notes) - _MOST_NOTES} more folders are no runs.")
    return listing


_MOST_NOTES = 5


def choose(
    entries: Sequence[Entry], names: Sequence[str] | None, states: Sequence[str] | None, tags: Sequence[str] | None
) -> list[Entry]:
    """The runs with one of the names, one of the states, and all of the tags. Raises UsageError."""
    from dlcli.runs.entries import STATES

    for state in states or ():
        options.chosen("--state", state, STATES)
    found = [entry for entry in entries if not states or entry.state in states]
    if names:
        found = [entry for entry in found if any(fnmatchcase(entry.name, name) for name in names)]
    return [entry for entry in found if set(tags or ()) <= set(entry.tags)]


def score_of(entry: Entry, metric: str | None) -> str | None:
    """The figure that a run is listed with: the one asked for, or its main one."""
    from dlcli.runs.figures import find_figure

    return find_figure(entry.figures, metric) if metric is not None else entry.main_figure


def _score_json(entry: Entry, metric: str | None) -> dict[str, Any] | None:
    figure = score_of(entry, metric)
    return {"figure": figure, "value": entry.figures[figure]} if figure is not None else None


def _sorted(entries: list[Entry], by: str, metric: str | None) -> list[Entry]:
    keys: dict[str, Callable[[Entry], Any]] = {
        "time": lambda entry: -(entry.seconds or 0.0),
        "size": lambda entry: -(entry.size or 0),
        "name": lambda entry: entry.name,
        "score": lambda entry: _score_key(entry, metric),
    }
    return sorted(entries, key=keys[by]) if by in keys else entries


def _score_key(entry: Entry, metric: str | None) -> tuple[bool, str, float]:
    """The best first; figures of one name beside each other, whatever split they are of, and runs without one last."""
    from dlcli.runs.figures import mode_of, without_split

    figure = score_of(entry, metric)
    value = entry.figures[figure] if figure is not None else math.nan
    if figure is None or math.isnan(value):
        return True, "", 0.0
    return False, without_split(figure), -value if mode_of(figure, entry.better) == "max" else value


def _columns(entries: Sequence[Entry], metric: str | None) -> list[Column]:
    from dlcli.cli.columns import Column
    from dlcli.data.memory import readable_bytes
    from dlcli.figures import duration

    now = datetime.now(timezone.utc)
    data = [entry.record.get("data") for entry in entries]
    sizes = [readable_bytes(entry.size) if entry.size is not None else "" for entry in entries]
    return [
        run_column(entries),
        Column("state", [entry.state for entry in entries], styles=[_STYLES.get(one.state, "dim") for one in entries]),
        *score_columns(entries, metric),
        Column("trials", [_trials(entry) for entry in entries], is_right=True, rank=1),
        Column("epochs", [str(entry.epochs) for entry in entries], is_right=True, rank=2),
        Column("time", [duration(one.seconds) if one.seconds is not None else "" for one in entries], is_right=True),
        Column("size", sizes, is_right=True, rank=1),
        Column("age", [age(entry.began, now) for entry in entries], is_right=True),
        Column("tags", [" ".join(entry.tags) for entry in entries], least=6, styles=["dark_orange3"] * len(entries)),
        Column("data", [str(one.get("source", "")) if isinstance(one, dict) else "" for one in data], rank=3),
        Column("began", [local(entry.began) for entry in entries], rank=4, styles=["dim"] * len(entries)),
        Column("folder", [entry.run.path.name for entry in entries], rank=5, styles=["dim"] * len(entries)),
    ]  # fmt: skip


def _trials(entry: Entry) -> str:
    """How many trials of a sweep are done, and how many there are to be; nothing for a run."""
    counts = entry.record.get("trials")
    if not isinstance(counts, dict):
        return ""
    done = sum(count for what, count in counts.items() if what != "planned" and isinstance(count, int))
    return f"{done}/{counts.get('planned')}"


def run_column(entries: Sequence[Entry], title: str = "run") -> Column:
    """What the runs are called; of a long name the end may be missing, never that which tells the runs apart."""
    from dlcli.cli.columns import Column

    return Column(title, [entry.label for entry in entries], least=20, end="/")


def score_columns(entries: Sequence[Entry], metric: str | None) -> list[Column]:
    """The score of each run, and what it is, unless that is the same for all."""
    from dlcli.cli.columns import Column
    from dlcli.figures import number

    scores = [score_of(entry, metric) for entry in entries]
    values = [number(entry.figures[score]) if score else "" for entry, score in zip(entries, scores, strict=True)]
    figures = {score for score in scores if score}
    if len(figures) == 1:
        return [Column(figures.pop(), values, is_right=True, least=8)]
    names = Column("", [score or "" for score in scores], least=8, styles=["dim"] * len(entries))
    return [Column("score", values, is_right=True), names]


def age(began: datetime | None, now: datetime) -> str:
    """How long ago that was: `5 min`, `3 h`, `12 d`."""
    if began is None:
        return ""
    seconds = max(0.0, (now - began).total_seconds())
    for unit, size, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 48), ("d", 86_400, 730)):
        if seconds < size * most:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 31_557_600:.0f} y"


def local(time: datetime | None) -> str:
    """A time by the clock here."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time is not None else ""


def _tell_of_the_rest(screen: Screen, shown: int, listing: Listing, runs_dir: Path) -> None:
    from dlcli.data.memory import readable_bytes

    total = len(listing.entries)
    if not total:
        screen.message(f"There are no runs in {runs_dir}; `dlcli train` makes one.")
        return
    sizes = [entry.size for entry in listing.entries if entry.size is not None]
    size = f", {readable_bytes(sum(sizes))}" if sizes else ""
    count = f"{total:,} run{'s' if total != 1 else ''}"
    screen.message(f"{f'{shown:,} of ' if shown < total else ''}{count} in {runs_dir}{size}")


def show(
    context: typer.Context,
    run: options.Run,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Show all that is known of a run: `dlcli runs show mnist_cnn`."""
    screen: Screen = context.obj

    from dlcli.runs.entries import read_entry, read_parameters
    from dlcli.runs.finding import the_run

    entry = read_entry(the_run(run, runs_dir))
    parameters = read_parameters(entry.run)
    if json:
        from dlcli.files import to_json

        found = {**entry.as_json(), "parameters": parameters, "record": dict(entry.record)}
        screen.out.print(to_json(found), soft_wrap=True, markup=False)
        return
    from dlcli.cli.runs_shown import show_run

    show_run(screen, entry, parameters)
