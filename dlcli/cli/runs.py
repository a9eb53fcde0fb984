"""`dlcli runs`: the commands on runs under one roof; without a command it lists them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from dlcli.cli.runs_compare import compare, leaderboard
from dlcli.cli.runs_list import list_, show
from dlcli.cli.runs_remove import prune, rm, tag
from dlcli.cli.runs_repeat import repeat


class _OrList(TyperGroup):
    """`dlcli runs` alone, or with options, is `dlcli runs list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        is_command = bool(args) and (not args[0].startswith("-") or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, args if is_command else ["list", *args])


runs = typer.Typer(
    cls=_OrList,
    help="What runs there are, how they compare, and what becomes of them: `dlcli runs`.",
    add_completion=False,
)
runs.command("list")(list_)
for command in (show, compare, leaderboard, repeat, tag, rm, prune):
    runs.command()(command)


@runs.callback()
def _group() -> None:
    """What runs there are, how they compare, and what becomes of them: `dlcli runs`."""
