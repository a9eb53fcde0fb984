"""Options that several commands share, and how their values become arguments of the library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.errors import UsageError
from dlcli.figures import seconds_of

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.spec.catalogue import Catalogue, Docs
    from dlcli.spec.extensions import Extend, Files
    from dlcli.spec.loading import LoadedSpec, Look
    from dlcli.spec.overrides import Override
    from dlcli.training.checkpoint import Checkpoint
    from dlcli.training.choices import Choices
    from dlcli.training.job import Job
    from dlcli.training.resuming import Point

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="A folder to look for data in first; else $DLCLI_DATA_DIR, then Keras's cache."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="`auto`, `cpu`, `gpu`, or `gpu:0,1`: an error if not there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
NoFallback = Annotated[
    bool, typer.Option("--no-fallback", help="An error, instead of `dataset.fallback`, if the data cannot be reached.")
]

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Instead of the spec's own value: `--set train.epochs=3`."),
]
Run = Annotated[
    Path,
    typer.Argument(
        help="A run: NAME for its newest, `latest`, NAME/ID or ID as listed, or a folder.", show_default=False
    ),
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="The folder of all runs.")]
RunName = Annotated[
    str | None, typer.Option("--run-name", help="The name of the folder that is made, instead of the time.")
]
Engine = Annotated[
    str,
    typer.Option("--engine", help="`graph` runs many steps at a time; `keras` runs each as Keras's own `fit` does."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show only the result.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for programs.")]
Fold = Annotated[
    int | None, typer.Option("--fold", metavar="N", min=1, help="Of `dataset.folds`, this one alone, counted from 1.")
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code", help="Run the Python files that the spec names, as `extensions` or for its data. Read them."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings are errors.")]


PICTURES = (".png", ".svg", ".pdf")
"""the endings of files that pictures are written to"""


def load(
    screen: Screen, config: Path, sets: Sequence[str] | None = None, more: Iterable[Override] = (), *,
    strict: bool = False, quiet: bool = False, look: Look | None = None,
) -> LoadedSpec:  # fmt: skip
    """The spec of a YAML file, with the values of `--set`, and those of other options above them.

    Its warnings are shown, unless `quiet`. `look` looks into the files of its data; see `looker`.

    Raises:
        SpecError: it has mistakes; or warnings, if `strict`.
    """
    from dlcli.errors import SpecError
    from dlcli.spec.loading import load_spec
    from dlcli.spec.overrides import parse_overrides

    overrides, unread = parse_overrides(sets or ())
    loaded = load_spec(config, catalogue(screen), [*overrides, *more], unread, code_runner(screen), look)
    if loaded.warnings and strict:
        raise SpecError(loaded.warnings)
    if loaded.warnings and not quiet:
        screen.problems(loaded.warnings)
    return loaded


def of_fold(fold: int | None) -> list[Override]:
    """What `--fold` stands for."""
    from dlcli.spec.overrides import option

    return [option("--fold", "dataset.fold", fold)] if fold is not None else []


def looker(
    screen: Screen, data_dir: Path | None = None, point: Point | None = None, *, only_looks: bool = False
) -> Look:
    """What looks into the files of data that a spec names: as the run did that goes on, if there is one.

    If it `only_looks`, pictures are not decoded, since nobody is going to read them.
    """

    def look(loaded: LoadedSpec) -> LoadedSpec:
        from dlcli.data.looking import look as look_into
        from dlcli.data.where import Where

        folder = point.record.get("spec_folder") if point is not None else None
        beside = (Path(folder),) if folder else ()
        where = Where(
            data_dir, False, screen.message, screen.message, beside, only_looks, trusts_code=screen.trusts_code
        )
        return look_into(loaded, where, point.data if point is not None else None)

    return look


def code_runner(screen: Screen) -> Extend | None:
    """What runs the Python files that a spec lists; None unless a person trusts them."""
    if not screen.trusts_code:
        return None

    def run(files: Files, known: Catalogue) -> Catalogue:
        screen.divert()

        from dlcli.training.backend import set_environment

        set_environment()

        from dlcli.model.extensions import load_extensions

        return load_extensions(files, known)

    return run


def chosen(option: str, value: str, allowed: tuple[str, ...]) -> Any:
    """`value`, if it is one of `allowed`. Raises UsageError."""
    if value not in allowed:
        raise UsageError(f"{option} {value}: it must be one of {', '.join(allowed)}.")
    return value


def is_keras_engine(engine: str) -> bool:
    """Whether each step is run as Keras's own `fit` does. Raises UsageError."""
    return bool(chosen("--engine", engine, ("graph", "keras")) == "keras")


def check_picture(path: Path | None, option: str = "--plot", suffixes: tuple[str, ...] = PICTURES) -> None:
    """Raises UsageError if `--plot`, or another option, names a file that no picture can be written to."""
    if path is not None and path.suffix.lower() not in suffixes:
        raise UsageError(f"{option} {path}: the name of a {', '.join(suffixes[:-1])} or {suffixes[-1]} file is needed.")


def duration(option: str, value: str | None) -> float | None:
    """The seconds of `90s`, `30m`, `1.5h` or `2d`; of a number alone, too. Raises UsageError."""
    if value is None:
        return None
    seconds = seconds_of(value)
    if seconds is None:
        raise UsageError(f"{option} {value}: a time is needed, such as 90s, 30m or 1.5h.")
    return seconds


def catalogue(screen: Screen | None = None) -> Catalogue:
    """The catalogue of Keras names; Keras itself is imported only if the installed version is a new one."""
    from dlcli.spec.catalogue import load_catalogue

    return load_catalogue(lambda: _look_at_keras(screen, "make_catalogue"))


def docs(screen: Screen | None = None) -> Docs:
    """A line on each Keras name and argument; Keras itself is imported only if the installed version is a new one."""
    from dlcli.spec.catalogue import load_docs

    return load_docs(lambda: _look_at_keras(screen, "make_docs"))


def _look_at_keras(screen: Screen | None, function: str) -> dict[str, Any]:
    """What this function of `dlcli.model.catalogue` makes of the installed Keras."""
    if screen is not None:
        screen.message("looking at the installed Keras, once …")
        screen.divert()

    from dlcli.training.backend import set_environment

    set_environment()

    from dlcli.model import catalogue as keras_catalogue

    made: dict[str, Any] = getattr(keras_catalogue, function)()
    return made


DataSpec = Annotated[
    Path | None,
    typer.Option("--data", help="A spec whose data is used; needed for a .h5 file that plain Keras saved."),
]


def open_checkpoint(screen: Screen, checkpoint: Path) -> Checkpoint:
    """The checkpoint that a person means; the best whole one of a run. Raises CheckpointError."""
    from dlcli.runs.finding import find_checkpoints
    from dlcli.training.checkpoint import open_first_whole

    def damaged(text: str) -> None:
        screen.panel("damaged", [text])

    return open_first_whole(find_checkpoints(checkpoint), damaged)


def data_folder(asked: Path | None, point: Point | None) -> Path | None:
    """The folder to look for data in first: what is asked for, or else what the run that goes on was told."""
    then = point.record.get("data_dir") if point is not None else None
    return asked or (Path(then) if then else None)


def initial(screen: Screen, point: Point) -> Checkpoint | None:
    """The checkpoint with whose weights a run began; None if it began with new ones. Raises CheckpointError."""
    path = point.record.get("init_from")
    return open_checkpoint(screen, Path(path)) if path else None


def start(screen: Screen, checkpoint: Path, device: str) -> tuple[Checkpoint, Choices]:
    """Find the checkpoint, see that it can be read, and start the backend for it; it, and how its model will run.

    Raises:
        CheckpointError: there is no readable checkpoint.
        DeviceError: the device is not there.
    """
    from dlcli.training.devices import chosen_device

    wanted = chosen_device(device)
    opened = open_checkpoint(screen, checkpoint)  # before the slow start of TensorFlow
    contents = opened.contents
    screen.divert()

    from dlcli.model.summary import ModelSummary
    from dlcli.training.backend import start_backend, use_threads
    from dlcli.training.choices import EVALUATION_BATCH_SIZE, Choices, choose

    backend = start_backend(wanted)
    if contents is not None and contents.extensions:
        _run_extensions(screen, opened, contents.extensions)
    if contents is None:
        return opened, Choices()
    precision = contents.spec.get("precision", "float32")
    summary = ModelSummary.from_json(contents.summary)
    choices = choose(summary, EVALUATION_BATCH_SIZE, backend.device, precision=precision)
    return opened, use_threads(choices)


def _run_extensions(screen: Screen, checkpoint: Checkpoint, files: Files) -> None:
    """Run the Python files that a checkpoint brings. Raises CheckpointError if they are not trusted, or fail."""
    from dlcli.errors import CheckpointError
    from dlcli.model.extensions import load_extensions
    from dlcli.spec.extensions import TRUST, ExtensionError

    if not screen.trusts_code:
        raise CheckpointError(f"The model in {checkpoint.path} runs code of its own: {', '.join(files)}.", TRUST)
    try:
        load_extensions(files, catalogue(screen))
    except ExtensionError as error:
        raise CheckpointError(f"{checkpoint.path}: {error.message}") from error


def open_job(
    screen: Screen, checkpoint: Path, data: Path | None, device: str, data_dir: Path | None, no_fallback: bool
) -> tuple[Path, Job]:
    """The checkpoint's path, and the job for its model on its data, or on that of the spec `data`."""
    data_spec = None
    if data is not None:
        data_spec = load(screen, data, quiet=True)
    opened, choices = start(screen, checkpoint, device)

    from dlcli.data.where import Where
    from dlcli.evaluation.evaluating import job_of

    where = Where(data_dir, not no_fallback, screen.message, screen.message, trusts_code=screen.trusts_code)
    job = job_of(opened, data_spec, where, choices)
    if job.facts.requested:
        screen.panel(f"{job.facts.source} instead of {job.facts.requested}", [job.facts.reason or ""])
    return opened.path, job
