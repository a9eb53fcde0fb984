"""The command line: one file a command. Each reads its arguments, calls one function, and shows the result."""

from __future__ import annotations


def main() -> None:
    """The `dlcli` command."""
    from dlcli.cli.app import app

    app()
