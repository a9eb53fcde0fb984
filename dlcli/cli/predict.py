"""`dlcli predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.evaluation.predicting import Predictions


def predict(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="A .h5 file, or a run's folder.", show_default=False)],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Images, texts, .npy, .npz or .h5 arrays, TFRecords, or .csv tables.", show_default=False),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Instead of files: `test`, `validation` or `train`.")] = None,
    first: Annotated[int | None, typer.Option(min=1, help="With --split: only so many.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a .csv file; or all that it gives into .npy or .npz.")
    ] = None,
    data: options.DataSpec = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Predict with a checkpoint: `dlcli predict runs/mnist_cnn digit.png`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    if bool(files) == bool(split):
        raise UsageError("Name files, or a split with --split; not both, not neither.", "See `dlcli predict --help`.")
    if first is not None and not split:
        raise UsageError("--first goes with --split.")
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {output.parent} to write {output.name} into.")
    if output is not None and output.exists():
        raise UsageError(f"{output} exists; nothing was written.", "Name another file, or remove it.")
    predictions = (
        _for_split(screen, checkpoint, split, first, data, device, data_dir, no_fallback)
        if split
        else _for_files(screen, checkpoint, files or [], device)
    )
    _show(screen, predictions, output, json)


def _for_split(
    screen: Screen,
    checkpoint: Path,
    split: str,
    first: int | None,
    data: Path | None,
    device: str,
    data_dir: Path | None,
    no_fallback: bool,
) -> Predictions:
    options.chosen("--split", split, ("test", "validation", "train"))
    _, job = options.open_job(screen, checkpoint, data, device, data_dir, no_fallback)

    from dlcli.evaluation.predicting import predict_split

    return predict_split(job, split, first)


def _for_files(screen: Screen, checkpoint: Path, files: list[Path], device: str) -> Predictions:
    opened, choices = options.start(screen, checkpoint, device)

    from dlcli.evaluation.predicting import predict_files

    return predict_files(opened, files, choices)


def _show(screen: Screen, predictions: Predictions, output: Path | None, as_json: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from dlcli.files import to_json
    from dlcli.runs import write_table

    if output is not None:
        if output.suffix.lower() in (".npy", ".npz"):
            from dlcli.evaluation.outputs import write_arrays

            write_arrays(output, predictions.outputs)
        else:
            write_table(output, predictions.rows)
        screen.message(f"{len(predictions.rows):,} predictions in {output}")
        return
    if as_json:
        screen.out.print(to_json(predictions.rows), soft_wrap=True, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(predictions.rows[0])
    for name in names:
        table.add_column(name, justify="right" if name in ("probability", "prediction") else "left")
    for row in predictions.rows:
        wrong = "true" in row and "class" in row and row["true"] != row["class"]
        cells = [_cell(value) for value in row.values()]
        table.add_row(*(Text(cell, style="red" if wrong else "") for cell in cells))
    screen.show(table)


def _cell(value: Any) -> str:
    from dlcli.figures import number

    if isinstance(value, list):
        sizes = []
        while isinstance(value, list):
            sizes.append(len(value))
            value = value[0]
        return f"{'×'.join(map(str, sizes))} numbers, with --json or -o FILE.npy"
    return number(value) if isinstance(value, float) else str(value)
