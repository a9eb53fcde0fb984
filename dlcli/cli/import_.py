"""`dlcli import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen


def import_(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="A .keras, .h5 or .json file that Keras wrote.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file; it must not be there.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE.h5", help="Write the weights, too, for `dlcli train --init-from FILE.h5`."),
    ] = None,
) -> None:
    """Show the spec of a model that Keras saved: `dlcli import model.keras > model.yaml`."""
    screen: Screen = context.obj
    for path in (output, weights):
        if path is not None and path.exists():
            raise UsageError(f"There is a file {path} already.", "Name another, or remove it.")
    if weights is not None and weights.suffix.lower() != ".h5":
        raise UsageError(f"--weights {weights}: the name of a .h5 file is needed.")

    from dlcli.importing.files import read_model_file
    from dlcli.importing.specs import spec_of

    file = read_model_file(model)
    text, left_out = spec_of(file, options.catalogue(screen))
    if weights is not None:
        _write_weights(screen, model, weights)
    if left_out:
        screen.panel("the spec does not say", list(dict.fromkeys(left_out)))
    if output is None:
        screen.out.print(text, soft_wrap=True, markup=False, highlight=False, end="")
    else:
        from dlcli.files import write_text

        write_text(output, text)
        screen.message(f"spec: {output}")


def _write_weights(screen: Screen, model: Path, weights: Path) -> None:
    screen.divert()

    from dlcli.training.backend import start_backend

    start_backend("cpu")

    from dlcli.importing.weights import convert

    convert(model, weights)
    screen.message(f"weights: {weights}")
