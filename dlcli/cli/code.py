"""`dlcli code`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import CheckpointError, SpecError, UsageError

if TYPE_CHECKING:
    from dlcli.code.script import Subject
    from dlcli.console import Screen


def code(
    context: typer.Context,
    what: Annotated[Path, typer.Argument(help="A YAML file, a .h5 file, or a run's folder.", show_default=False)],
    model_only: Annotated[bool, typer.Option("--model-only", help="Only what makes the model.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to this file; it must not be there.")
    ] = None,
    set_: options.Set = None,
    fold: options.Fold = None,
) -> None:
    """Show the plain Keras script that a spec stands for: `dlcli code configs/mnist_cnn.yaml > mnist_cnn.py`."""
    screen: Screen = context.obj
    is_spec = what.suffix.lower() in (".yaml", ".yml")
    if (set_ or fold is not None) and not is_spec:
        raise UsageError(
            f"--{'set' if set_ else 'fold'} changes a spec; a checkpoint is as it is.", "Name the YAML file instead."
        )
    if output is not None and output.exists():
        raise UsageError(f"There is a file {output} already.", "Name another, or remove it.")
    subject = _of_spec(screen, what, set_, fold) if is_spec else _of_checkpoint(screen, what)

    from dlcli.code.script import write_script

    script = write_script(subject, options.catalogue(screen), model_only=model_only)
    if output is None:
        screen.out.print(script, soft_wrap=True, markup=False, highlight=False, end="")
    else:
        from dlcli.files import write_text

        write_text(output, script)
        screen.message(f"script: {output}")


def _of_spec(screen: Screen, path: Path, sets: list[str] | None, fold: int | None) -> Subject:
    from dlcli.spec.composition import compose_blocks
    from dlcli.spec.overrides import parse_overrides

    short = options.of_fold(fold)
    data, variables = compose_blocks(path, [*parse_overrides(sets or ())[0], *short])
    if data.get("extensions"):
        raise UsageError(f"{path} has `extensions`: what is in files of code cannot be written as a script yet.")
    look = options.looker(screen, only_looks=True)
    loaded = options.load(screen, path, sets, short, quiet=True, look=look)
    screen.divert()

    from dlcli.training.backend import start_backend

    start_backend("cpu")

    from dlcli.code.outline import Outline
    from dlcli.code.precision import with_long_outputs
    from dlcli.code.script import Subject, outputs_of, shapes_of
    from dlcli.spec.parts import EVERYTHING
    from dlcli.training.rehearsal import rehearse

    rehearsal = rehearse(loaded, EVERYTHING, folder=path.parent)
    if rehearsal.problems or rehearsal.summary is None or rehearsal.encoding is None:
        raise SpecError(rehearsal.problems)
    outputs = outputs_of(loaded.spec)
    layers = with_long_outputs(loaded.spec.resolved()["model"]["layers"], loaded.spec, options.catalogue(screen))
    # A block at the end would need to be told to put out float32.
    outline = Outline.of(data, variables, outputs) if loaded.spec.precision == "float32" else None
    outline = outline or Outline.written_out(layers, outputs)
    shapes = shapes_of(loaded.spec, rehearsal.summary)
    read, folder = None, None
    if loaded.data:
        [(dataset, _)] = loaded.data
        read, folder = dataset.reader, dataset.folder and str(dataset.folder)
    return Subject(loaded.spec, outline, shapes, rehearsal.encoding, f"dlcli code {path}", read, folder)


def _of_checkpoint(screen: Screen, path: Path) -> Subject:
    from dlcli.code.outline import Outline
    from dlcli.code.precision import with_long_outputs
    from dlcli.code.script import Subject, outputs_of, shapes_of
    from dlcli.data.encoding import restore_encoding
    from dlcli.data.looking import restore_reader
    from dlcli.model.summary import ModelSummary
    from dlcli.spec.loading import restore_spec

    contents = options.open_checkpoint(screen, path).contents
    if contents is None:
        message = f"{path} was saved by plain Keras: it has a model, but no spec."
        raise CheckpointError(message, "`dlcli import` makes a spec of its model.")
    if contents.extensions:
        raise UsageError(f"{path} has `extensions`: what is in files of code cannot be written as a script yet.")
    spec = restore_spec(contents.spec).spec
    shapes = shapes_of(spec, ModelSummary.from_json(contents.summary))
    layers = with_long_outputs(spec.resolved()["model"]["layers"], spec, options.catalogue(screen))
    outline = Outline.written_out(layers, outputs_of(spec))
    state = contents.data.get("reader")
    read = restore_reader(state) if state else None
    encoding = restore_encoding(contents.encoding)
    return Subject(spec, outline, shapes, encoding, f"dlcli code {path}", read, contents.data.get("folder"))
