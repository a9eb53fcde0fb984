"""`dlcli runs compare` and `dlcli runs leaderboard`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.cli.runs_list import Metric, Name, Tag, choose, open_listing
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.runs.differences import Difference
    from dlcli.runs.entries import Entry


def compare(
    context: typer.Context,
    run: Annotated[
        list[Path], typer.Argument(help="Two runs or more: NAME for its newest, NAME/ID or ID as listed, or a folder.")
    ],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the curves of all in one picture.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="What to draw, such as `accuracy`; the loss and the first metric if left out."),
    ] = None,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Compare runs: `dlcli runs compare optimizer_sgd optimizer_adam --plot optimizers.png`."""
    screen: Screen = context.obj
    options.check_picture(plot)
    if metric and plot is None:
        raise UsageError("--metric says what to draw: --plot FILE.png is needed, too.")

    from dlcli.runs.differences import differences
    from dlcli.runs.entries import read_entry
    from dlcli.runs.finding import the_run

    entries = [read_entry(the_run(path, runs_dir)) for path in run]
    if len({entry.run.path.resolve() for entry in entries}) < max(2, len(entries)):
        raise UsageError("Two different runs, or more, are needed to compare.", "`dlcli runs` lists them.")
    found = differences(entries)

    from dlcli.cli.runs_compared import comparison_json, show_comparison

    if json:
        from dlcli.files import to_json

        screen.out.print(to_json(comparison_json(entries, found)), soft_wrap=True, markup=False)
    else:
        show_comparison(screen, entries, found)
    if plot is not None:
        _draw(screen, entries, found, plot, metric or ())


def _draw(
    screen: Screen, entries: Sequence[Entry], found: Sequence[Difference], plot: Path, metrics: Sequence[str]
) -> None:
    screen.divert()  # matplotlib tells of the fonts that it looks for

    from dlcli.describing.curves import Curves, draw_curves
    from dlcli.runs.differences import labels
    from dlcli.runs.entries import read_curves
    from dlcli.runs.figures import best_row, without_split

    curves = []
    for entry, label in zip(entries, labels(entries, found), strict=True):
        rows = read_curves(entry.run)
        best = best_row(rows, str(entry.record.get("monitor") or ""), entry.better)
        main = entry.main_figure
        epoch = int(best["epoch"]) if best else None
        curves.append(Curves(label, rows, epoch, without_split(main) if main else None))
    draw_curves(curves, plot, metrics)
    screen.message(f"picture: {plot}")


def leaderboard(
    context: typer.Context,
    metric: Metric = None,
    mode: Annotated[
        str | None,
        typer.Option(help="`min` or `max` is better; by the metric's name if left out.", show_default=False),
    ] = None,
    each_spec: Annotated[
        bool, typer.Option("--all", help="A place for each spec, instead of the best one of each name.")
    ] = False,
    name: Name = None,
    tag: Tag = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many places.", show_default=False)] = None,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Rank the runs on the same data, with the spread over seeds: `dlcli runs leaderboard --metric accuracy`."""
    screen: Screen = context.obj
    if mode is not None:
        options.chosen("--mode", mode, ("min", "max"))

    from dlcli.runs.ranking import make_boards

    listing = open_listing(screen, runs_dir, sized=False)
    boards = make_boards(choose(listing.entries, name, None, tag), metric, mode, each_spec=each_spec)
    if json:
        from dlcli.files import to_json

        screen.out.print(to_json([board.as_json(limit) for board in boards]), soft_wrap=True, markup=False)
        return
    from dlcli.cli.runs_compared import show_board

    for board in boards:
        show_board(screen, board, limit)
    if not boards:
        screen.message("No run is done: there is nothing to rank.")
