"""`dlcli data fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.data.fetching import Held

_OF_WORDS = ("imdb", "reuters")


def fetch(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The name of a data set.", show_default=False)] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="The folder to put it into; else $DLCLI_DATA_DIR, or Keras's cache."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the sets, and which of them are here.")] = False,
    json: options.Json = False,
) -> None:
    """Download a data set of Keras's once, for later: `dlcli data fetch mnist --data-dir data`."""
    screen: Screen = context.obj
    if name is not None and list_:
        raise UsageError("--list lists all sets: name none with it.")

    from dlcli.data.fetching import fetch_set, held_sets
    from dlcli.data.keras_cache import Reach

    if name is None:
        _list(screen, held_sets(data_dir), as_json=json)
        return
    held = fetch_set(name, Reach(data_dir, True, screen.message, screen.message))
    if json:
        _print_json(screen, _as_json(held))
        return
    from dlcli.data.memory import readable_bytes
    from dlcli.spec.writing import to_flow

    screen.line(f"{held.name} is {'now' if held.is_new else 'already'} in {held.path} ({readable_bytes(held.size)}).")
    arguments = {"length": 200, "num_words": 10_000}
    source = f"{{{held.name}: {to_flow(arguments)}}}" if held.name in _OF_WORDS else held.name
    screen.message(f"In a spec:  source: {source}")
    if data_dir is not None:
        screen.message(f"With it:    --data-dir {data_dir}, or DLCLI_DATA_DIR={data_dir.absolute()}")


def _list(screen: Screen, sets: list[Held], *, as_json: bool) -> None:
    if as_json:
        _print_json(screen, [_as_json(held) for held in sets])
        return
    from rich.table import Table
    from rich.text import Text

    from dlcli.data.memory import readable_bytes

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("set", "size", "where"):
        table.add_column(column, no_wrap=column != "where", justify="right" if column == "size" else "left")
    for held in sets:
        is_here = held.path is not None
        size = readable_bytes(held.size) if is_here else "·"
        table.add_row(held.name, size, Text(str(held.path) if is_here else "not here", style="" if is_here else "dim"))
    screen.show(table)
    screen.message("`dlcli data fetch NAME` downloads one that is not here.")


def _as_json(held: Held) -> dict[str, object]:
    path = None if held.path is None else str(held.path)
    return {"name": held.name, "what": held.what, "path": path, "bytes": held.size, "is_new": held.is_new}


def _print_json(screen: Screen, value: object) -> None:
    from dlcli.files import to_json

    screen.out.print(to_json(value), soft_wrap=True, markup=False)
