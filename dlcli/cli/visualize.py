"""`dlcli visualize`: pictures of what a model has learned, a command each under one roof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options
from dlcli.cli.visualize_boundary import boundary
from dlcli.cli.visualize_written import check_output, title_of, write
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.visualizing.subject import Subject

CheckpointArgument = Annotated[Path, typer.Argument(help="A .h5 file, or a run.", show_default=False)]
Files = Annotated[list[Path] | None, typer.Argument(help="Pictures, as in training.", show_default=False)]
Layer = Annotated[str | None, typer.Option(help="The layer, as `dlcli summary` names it.", show_default=False)]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Instead of PICTURE.png: .png, .svg or .pdf.",
                 show_default=False),
]  # fmt: skip
Split = Annotated[str | None, typer.Option(help="Instead of files: `test`, `validation` or `train`.")]
OneSplit = Annotated[str, typer.Option(help="`test`, `validation` or `train`.")]
ClassName = Annotated[
    str | None,
    typer.Option("--class", metavar="NAME", help="For this class, not the predicted one.", show_default=False),
]

visualize = typer.Typer(
    help="Pictures of what a model has learned: `dlcli visualize filters runs/mnist_cnn`.",
    add_completion=False,
    no_args_is_help=True,
)


def filters(
    context: typer.Context, checkpoint: CheckpointArgument, layer: Layer = None, output: Output = None,
) -> None:  # fmt: skip
    """The filters of a convolution: `dlcli visualize filters runs/mnist_cnn`."""
    _of_weights(context.obj, "filters", checkpoint, layer, output)


def weights(
    context: typer.Context, checkpoint: CheckpointArgument, layer: Layer = None, output: Output = None,
) -> None:  # fmt: skip
    """Histograms of the weights by layer: `dlcli visualize weights runs/mnist_cnn`."""
    _of_weights(context.obj, "weights", checkpoint, layer, output)


def _of_weights(screen: Screen, picture: str, path: Path, layer: str | None, output: Path | None) -> None:
    check_output(output)
    opened = options.open_checkpoint(screen, path)
    screen.divert()  # matplotlib tells of the fonts that it looks for

    from dlcli.report.drawing import drawing
    from dlcli.visualizing import filters as pictures
    from dlcli.visualizing.stored_weights import read_weights

    with drawing():
        figure = getattr(pictures, picture)(title_of(opened), read_weights(opened.path), layer)
        write(screen, figure, output or Path(f"{picture}.png"))


def features(
    context: typer.Context, checkpoint: CheckpointArgument, image: Files = None, split: Split = None,
    number: Annotated[int, typer.Option(min=0, help="With --split: which of its examples, from 0.")] = 0,
    layer: Layer = None, output: Output = None, data: options.DataSpec = None, device: options.Device = "auto",
    data_dir: options.DataDir = None, no_fallback: options.NoFallback = False, trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """What the layers make of a picture: `dlcli visualize features runs/mnist_cnn digit.png`."""
    check_output(output)
    where = (data, device, data_dir, no_fallback)
    subject = _subject(context.obj, checkpoint, image, split, number + 1, where, trust_code=trust_code)
    if split:
        subject = subject.only(number)

    from dlcli.visualizing.features import features as draw

    _draw(context.obj, "features", output, lambda: draw(subject, layer))


def activations(
    context: typer.Context, checkpoint: CheckpointArgument, layer: Layer = None,
    filter_: Annotated[int | None, typer.Option("--filter", min=1, help="This one alone, from 1.")] = None,
    split: OneSplit = "test", first: Annotated[int, typer.Option(min=1, help="Of so many examples.")] = 2000,
    output: Output = None, data: options.DataSpec = None, device: options.Device = "auto",
    data_dir: options.DataDir = None, no_fallback: options.NoFallback = False, trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """The pictures that most excite each filter: `dlcli visualize activations runs/mnist_cnn --layer conv2d_1`."""
    check_output(output)
    where = (data, device, data_dir, no_fallback)
    subject = _subject(context.obj, checkpoint, None, split, first, where, trust_code=trust_code)

    from dlcli.visualizing.features import activations as draw

    _draw(context.obj, "activations", output, lambda: draw(subject, layer, filter_))


def saliency(
    context: typer.Context, checkpoint: CheckpointArgument, images: Files = None, split: Split = None,
    first: Annotated[int, typer.Option(min=1, help="With --split: so many.")] = 12, class_: ClassName = None,
    output: Output = None, data: options.DataSpec = None, device: options.Device = "auto",
    data_dir: options.DataDir = None, no_fallback: options.NoFallback = False, trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """How much each pixel matters for the answer: `dlcli visualize saliency runs/mnist_cnn digit.png`."""
    check_output(output)
    where = (data, device, data_dir, no_fallback)
    subject = _subject(context.obj, checkpoint, images, split, first, where, trust_code=trust_code)

    from dlcli.visualizing.attention import saliency as draw

    _draw(context.obj, "saliency", output, lambda: draw(subject, class_))


def gradcam(
    context: typer.Context, checkpoint: CheckpointArgument, images: Files = None, split: Split = None,
    first: Annotated[int, typer.Option(min=1, help="With --split: so many.")] = 12, class_: ClassName = None,
    layer: Layer = None, output: Output = None, data: options.DataSpec = None, device: options.Device = "auto",
    data_dir: options.DataDir = None, no_fallback: options.NoFallback = False, trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """Where in a picture a class is seen, by Grad-CAM: `dlcli visualize gradcam runs/mnist_cnn digit.png`."""
    check_output(output)
    where = (data, device, data_dir, no_fallback)
    subject = _subject(context.obj, checkpoint, images, split, first, where, trust_code=trust_code)

    from dlcli.visualizing.attention import gradcam as draw

    _draw(context.obj, "gradcam", output, lambda: draw(subject, layer, class_))


def embedding(
    context: typer.Context, checkpoint: CheckpointArgument, layer: Layer = None,
    method: Annotated[str, typer.Option(help="`pca` or `tsne`.")] = "pca",
    split: OneSplit = "test", first: Annotated[int, typer.Option(min=1, help="So many examples.")] = 2000,
    output: Output = None, data: options.DataSpec = None, device: options.Device = "auto",
    data_dir: options.DataDir = None, no_fallback: options.NoFallback = False, trust_code: options.TrustCode = False,
) -> None:  # fmt: skip
    """Where examples lie in the last hidden layer: `dlcli visualize embedding runs/mnist_cnn --method tsne`."""
    check_output(output)
    options.chosen("--method", method, ("pca", "tsne"))
    where = (data, device, data_dir, no_fallback)
    subject = _subject(context.obj, checkpoint, None, split, first, where, trust_code=trust_code)

    from dlcli.visualizing.embedding import embedding as draw

    _draw(context.obj, "embedding", output, lambda: draw(subject, layer, method))


for command in (filters, features, activations, saliency, gradcam, embedding, boundary, weights):
    visualize.command()(command)

Where = tuple[Path | None, str, Path | None, bool]


def _subject(
    screen: Screen, checkpoint: Path, files: list[Path] | None, split: str | None, first: int, where: Where, *,
    trust_code: bool,
) -> Subject:  # fmt: skip
    """The model, and the examples that are named: files, or the first of a split. Raises UsageError."""
    screen.trusts_code = trust_code
    data, device, data_dir, no_fallback = where
    if bool(files) == bool(split):
        raise UsageError("Name pictures, or a split with --split; not both, not neither.", "See --help.")
    if split:
        options.chosen("--split", split, ("test", "validation", "train"))
        _, job = options.open_job(screen, checkpoint, data, device, data_dir, no_fallback)

        from dlcli.visualizing.subject import of_split

        return of_split(job, split, first)
    opened, _ = options.start(screen, checkpoint, device)

    from dlcli.visualizing.subject import of_files

    return of_files(opened, files or [])


def _draw(screen: Screen, picture: str, output: Path | None, draw: Any) -> None:
    from dlcli.report.drawing import drawing

    with drawing():
        write(screen, draw(), output or Path(f"{picture}.png"))
