"""`dlcli visualize boundary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.cli.visualize_written import check_output, write
from dlcli.errors import CheckpointError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.training.checkpoint import Checkpoint

_FEWEST = 2


def boundary(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="A .h5 file, or a run.", show_default=False)],
    split: Annotated[str, typer.Option(help="Whose examples are shown: `test`, `validation` or `train`.")] = "test",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .png, .svg or .pdf; a .gif shows all kept checkpoints.",
                     show_default=False),
    ] = None,
    data: options.DataSpec = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """What a model of two numbers says everywhere: `dlcli visualize boundary runs/spirals`.

    Of a run that has kept earlier checkpoints (`train: {checkpoint: {keep: 20}}`), how it came about, as an animation.
    """
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    check_output(output, (*options.PICTURES, ".gif"))
    options.chosen("--split", split, ("test", "validation", "train"))
    moments = _moments(checkpoint) if output is None or output.suffix.lower() == ".gif" else []
    is_animated = len(moments) >= _FEWEST and (output is not None or checkpoint.suffix != ".h5")
    if output is not None and output.suffix.lower() == ".gif" and not is_animated:
        raise CheckpointError(
            f"An animation needs checkpoints of several moments of a run, and {checkpoint} has {max(1, len(moments))}.",
            "Train with `train: {checkpoint: {keep: 20}}`; or name a .png file, for the model as it is.",
        )
    _, job = options.open_job(screen, checkpoint, data, device, data_dir, no_fallback)

    from dlcli.report.drawing import drawing
    from dlcli.visualizing import boundary as pictures

    with drawing():
        if not is_animated:
            write(screen, pictures.boundary(job, split), output or Path("boundary.png"))
            return
        path = output or Path("boundary.gif")
        pictures.write_animation(job, split, moments, path)
    screen.message(f"{len(moments)} checkpoints that the run has kept")
    screen.out.print(str(path), soft_wrap=True, markup=False)


def _moments(path: Path) -> list[Checkpoint]:
    """The checkpoints of several moments of a run, in their order; none where no run is named."""
    from dlcli.runs.finding import find_run
    from dlcli.training.checkpoint import in_time, open_checkpoint

    run = find_run(path)
    return in_time([open_checkpoint(file) for file in (*run.kept, run.last) if file.exists()]) if run else []
