"""`dlcli init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen


def init(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FILE|FOLDER", help="A table; TFRecords; or a folder of class folders."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column, or feature, that the model is to tell.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="`classes` or `number`, if the target's values do not say it.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="A copy of a spec that comes with dlcli.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the specs that come with dlcli.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The file to write, which must not be there; `-`: show it."
        ),
    ] = None,
) -> None:
    """Write a first spec for one's data: `dlcli init --data penguins.csv --target species`."""
    screen: Screen = context.obj
    if (data is not None) + (from_ is not None) + list_ != 1:
        raise UsageError("Name one of --data, --from and --list.", "As in `dlcli init --data table.csv --target y`.")
    if data is None and (target is not None or task is not None):
        raise UsageError("--target and --task go with --data.")
    if task is not None:
        options.chosen("--task", task, ("classes", "number"))
    if data is not None:
        _for_data(screen, data, target, task, output)
    elif from_ is not None:
        _copy(screen, from_, output)
    else:
        _list(screen)


def _list(screen: Screen) -> None:
    from rich.table import Table
    from rich.text import Text

    from dlcli.starting.shipped import shipped

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="deep_sky_blue3")
    table.add_column()
    for one in shipped():
        table.add_row(one.name, Text(one.description))
    screen.show(table)


def _copy(screen: Screen, name: str, output: Path | None) -> None:
    from dlcli.starting.shipped import copies, find_shipped

    path = Path(find_shipped(name).path.name) if output is None else output
    texts = copies(name, None if str(path) == "-" else path)
    new = [file for file, text in texts.items() if file is not None and not _has(file, text)]
    for file in new:
        _refuse_existing(file)
    if str(path) != "-":
        _refuse_existing(path)
    for place, text in reversed(list(texts.items())):
        if place is None or place in new:
            _hand_out(screen, text, place)


def _has(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8", errors="replace") == text


def _for_data(screen: Screen, data: Path, target: str | None, task: str | None, output: Path | None) -> None:
    from dlcli.starting.starting import Wanted, start
    from dlcli.starting.tables import file_stem

    path = Path(f"{file_stem(data.absolute())}.yaml") if output is None else output
    is_shown = str(path) == "-"
    if not is_shown:
        _refuse_existing(path)
    started = start(Wanted(data, target, task, None if is_shown else path), options.catalogue(screen))
    if started.warnings:
        screen.problems(started.warnings)
    _hand_out(screen, started.text, None if is_shown else path)
    if not is_shown:
        screen.message(f"Read it, then run `dlcli train {path}`.")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UsageError(f"There is a file {path} already.", "Name another with --output, or remove it.")


def _hand_out(screen: Screen, text: str, path: Path | None) -> None:
    if path is None:
        screen.out.print(text, soft_wrap=True, markup=False, highlight=False, end="")
        return
    from dlcli.files import write_text

    write_text(path, text)
    screen.line(str(path))
