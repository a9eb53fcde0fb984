"""`dlcli schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from dlcli.console import Screen


def schema(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; else standard output.", show_default=False)
    ] = None,
) -> None:
    """Write a JSON Schema for editors to complete and check specs with: `dlcli schema --output dlcli.schema.json`.

    Above a spec, `# yaml-language-server: $schema=dlcli.schema.json` names the file.
    """
    screen: Screen = context.obj

    from dlcli.files import to_json, write_text
    from dlcli.spec.schema import make_schema

    text = to_json(make_schema(options.catalogue(screen), options.docs(screen)), indent=1)
    if output is None:
        screen.out.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        write_text(output, f"{text}\n")
