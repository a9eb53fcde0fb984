"""`dlcli export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.exporting.exporting import Exported


def export(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="A .h5 file, or a run's folder.", show_default=False)],
    form: Annotated[
        str,
        typer.Option("--format", "-f", help="`keras`, `savedmodel`, `weights`, `onnx` or `tflite`.",
                     show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Instead of `export/FORMAT` in the run's folder."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write an exported model anew.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="For tflite: weights of half the size.")] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="For tflite: whole numbers, fitted to examples to train on.")
    ] = False,
    data_dir: options.DataDir = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Write a model for other programs, and see that it answers alike: `dlcli export runs/mnist_cnn --format onnx`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    if float16 and int8:
        raise UsageError("--float16 and --int8: a model is one or the other.")
    precision = "float16" if float16 else "int8" if int8 else "float32"

    from dlcli.exporting.formats import the_format

    chosen = the_format(form, precision)
    found = options.open_checkpoint(screen, checkpoint)
    folder = output if output is not None else _usual_folder(found.path, form, precision)

    from dlcli.exporting.places import check_place

    check_place(folder, overwrite=overwrite)
    opened, choices = options.start(screen, checkpoint, "cpu")

    from dlcli.data.where import Where
    from dlcli.exporting.exporting import Request
    from dlcli.exporting.exporting import export as export_model

    where = Where(data_dir, not no_fallback, screen.message, screen.message, trusts_code=trust_code)
    _show(screen, export_model(opened, Request(chosen, precision, folder, overwrite), where, choices), json)


def _usual_folder(checkpoint: Path, form: str, precision: str) -> Path:
    """`export/FORMAT` in the run's folder, or beside a checkpoint that is in none."""
    parent = checkpoint.parent
    run = parent.parent if parent.name == "checkpoints" else parent
    return run / "export" / (form if precision == "float32" else f"{form}-{precision}")


def _show(screen: Screen, exported: Exported, as_json: bool) -> None:
    if as_json:
        from dlcli.files import to_json

        found = {**asdict(exported), "folder": str(exported.folder)}
        screen.out.print(to_json(found), soft_wrap=True, markup=False)
        return
    from dlcli.figures import number

    screen.line(f"{exported.folder}: {exported.size / 2**20:,.2f} MiB")
    for one in exported.compared:
        screen.line(
            f"largest difference to dlcli {one.largest_difference:.2g} (tolerated: {one.tolerance:g}), "
            f"{one.examples} {one.what}: {one.origin}"
        )
    for score in exported.scores:
        change = score.exported - score.own
        screen.line(
            f"{score.name}: {number(score.exported)}, {change:+.4g} against float32's {number(score.own)} "
            f"({score.examples:,} examples)"
        )
    screen.message(f"python example.py in {exported.folder} runs it")
