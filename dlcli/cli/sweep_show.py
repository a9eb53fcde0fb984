"""`dlcli sweep show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.cli.sweep_best import Sweep

if TYPE_CHECKING:
    from dlcli.console import Screen


def sweep_show(
    context: typer.Context,
    sweep: Sweep,
    report: Annotated[bool, typer.Option("--report", help="Write its page anew.")] = False,
    runs_dir: options.RunsDir = Path("runs"),
    json: options.Json = False,
) -> None:
    """Show the trials of a sweep, the best first: `dlcli sweep show mnist_mlp_sweep`."""
    screen: Screen = context.obj

    from dlcli.cli.sweep_opening import check_optuna

    check_optuna()

    from dlcli.cli.sweep_displays import result_json, show_result
    from dlcli.files import to_json
    from dlcli.runs.sweeps import find_sweep
    from dlcli.sweeping.reading import read_result

    folder = find_sweep(sweep, runs_dir)
    result = read_result(folder)
    if json:
        screen.out.print(to_json(result_json(folder.path, result)), soft_wrap=True, markup=False)
    else:
        show_result(screen, result)
    if report:
        from dlcli.sweeping.page import write_page

        screen.message(f"report: {write_page(result, folder.path)}")
