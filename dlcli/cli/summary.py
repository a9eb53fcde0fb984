"""`dlcli summary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.model.summary import ModelSummary


def summary(
    context: typer.Context,
    what: Annotated[Path, typer.Argument(help="A YAML file, a .h5 file, or a run's folder.", show_default=False)],
    explain: Annotated[bool, typer.Option("--explain", help="Show how each count comes about.")] = False,
    style: Annotated[str, typer.Option(help="`table`, or `ascii` for a drawing of a stack of layers.")] = "table",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the layers as a picture: FILE.png, .svg, .pdf, or .dot for Graphviz."),
    ] = None,
    set_: options.Set = None,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Show a model's layers and where its parameters are: `dlcli summary configs/mnist_cnn.yaml`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    options.chosen("--style", style, ("table", "ascii"))
    is_spec = what.suffix.lower() in (".yaml", ".yml")
    if set_ and not is_spec:
        raise UsageError("--set changes a spec; a checkpoint is as it is.", "Name the YAML file instead.")
    found, groups = _of_spec(screen, what, set_) if is_spec else (_of_checkpoint(screen, what), {})

    from dlcli.cli.layer_table import ascii_drawing, layer_table

    if plot is not None:
        from dlcli.model.picture import draw

        draw(found, plot, groups)
        screen.message(f"picture: {plot}")
    if json:
        from dlcli.files import to_json

        screen.out.print(to_json(found.to_json()), soft_wrap=True, markup=False)
    elif style == "ascii":
        screen.out.print(ascii_drawing(found), markup=False, soft_wrap=True)
    else:
        screen.show(layer_table(found, explain=explain))


def _of_spec(screen: Screen, path: Path, sets: list[str] | None) -> tuple[ModelSummary, dict[str, str]]:
    loaded = options.load(screen, path, sets, quiet=True, look=options.looker(screen, only_looks=True))
    screen.divert()

    from dlcli.training.backend import start_backend

    start_backend("cpu")

    from dlcli.model.summary import summarize
    from dlcli.training.job import model_with_groups

    model, groups = model_with_groups(loaded)
    return summarize(model), groups


def _of_checkpoint(screen: Screen, path: Path) -> ModelSummary:
    from dlcli.model.summary import ModelSummary

    checkpoint = options.open_checkpoint(screen, path)
    if checkpoint.contents is not None:
        try:
            return ModelSummary.from_json(checkpoint.contents.summary)
        except ValueError as error:
            raise CheckpointError(f"{checkpoint.path} holds no summary that this dlcli can read: {error}.") from error
    screen.divert()

    from dlcli.model.summary import summarize
    from dlcli.training.backend import start_backend

    start_backend("cpu")
    return summarize(checkpoint.model())
