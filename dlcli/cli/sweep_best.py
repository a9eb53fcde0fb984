"""`dlcli sweep best`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import RunError

if TYPE_CHECKING:
    from dlcli.console import Screen

Sweep = Annotated[
    Path, typer.Argument(help="A sweep: NAME for its newest, NAME/ID or ID as listed, or a folder.", show_default=False)
]


def sweep_best(
    context: typer.Context,
    sweep: Sweep,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the best trial's spec, without `sweep`, to this file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write it although the file exists.")] = False,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Show the best trial of a sweep, or write its spec: `dlcli sweep best mnist_mlp_sweep --write best.yaml`.

    Of several seeds the best is what has the best mean.
    """
    screen: Screen = context.obj

    from dlcli.cli.sweep_opening import check_optuna

    check_optuna()

    from dlcli.cli.sweep_displays import show_best, trial_json
    from dlcli.files import to_json
    from dlcli.runs.sweeps import find_sweep
    from dlcli.sweeping.best import check_free, other_folder, write_best
    from dlcli.sweeping.reading import read_result

    folder = find_sweep(sweep, runs_dir)
    result = read_result(folder)
    best = result.best()
    if best is None:
        raise RunError(f"No trial of {folder.path} has come to its end.", "`dlcli sweep show` says why.")
    if write is not None:
        check_free(write, is_forced=force)
        if not write_best(folder, result, best, write):
            screen.message("The spec's comments are not kept: its text has no place for these values.")
        elsewhere = other_folder(folder, write)
        if elsewhere is not None:
            screen.message(f"The files that it names are looked for from {write.parent} now, not from {elsewhere}.")
    if json:
        written = str(write) if write is not None else None
        screen.out.print(to_json({**trial_json(best), "written": written}), soft_wrap=True, markup=False)
        return
    show_best(screen, result)
    if write is not None:
        screen.line(str(write))
        screen.message(f"next: dlcli train {write}")
