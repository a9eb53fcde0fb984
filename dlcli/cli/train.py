"""`dlcli train`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.cli.displays import Display
    from dlcli.console import Screen
    from dlcli.spec.loading import LoadedSpec
    from dlcli.spec.overrides import Override
    from dlcli.training.crew import Crew
    from dlcli.training.devices import DeviceChoice
    from dlcli.training.final import Final
    from dlcli.training.listening import End, FoldsEnd
    from dlcli.training.resuming import Point
    from dlcli.training.session import Hooks, TrainRequest

_STRATEGIES = ("auto", "none", "mirrored", "multi_worker")
_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


def train(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="The YAML file; with --resume it may be left out.", show_default=False)
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(metavar="N", help="Instead of the spec's `train.epochs`; `+N`: so many more."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the spec's `seed`.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY", help="Instead of the spec's `precision`: `float32`, `mixed_float16`, `mixed_bfloat16`."
        ),
    ] = None,
    set_: options.Set = None,
    fold: options.Fold = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on in a run, or from a checkpoint; `auto`: in CONFIG's newest unfinished run.",
        ),
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(metavar="CHECKPOINT", help="Begin a new run with the weights of this checkpoint.")
    ] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="Resume although spec, data or versions have changed.")
    ] = False,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Save and stop after this time: `30m`, `1.5h`, `90s`.")
    ] = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    runs_dir: options.RunsDir = Path("runs"),
    run_name: options.RunName = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A few batches through the whole path: build, fit, save, reload, evaluate.")
    ] = False,
    strategy: Annotated[
        str | None,
        typer.Option(help="Instead of the spec's `train.strategy`: none, mirrored, multi_worker or auto."),
    ] = None,
    engine: options.Engine = "graph",
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the page on the run at its end.")] = True,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    json: options.JsonLines = False,
) -> None:
    """Train the model of a YAML file: `dlcli train configs/mnist_cnn.yaml`."""
    import tempfile

    from dlcli.training.crew import cluster_here, crew_of
    from dlcli.training.devices import chosen_device

    screen: Screen = context.obj
    screen.trusts_code = trust_code
    max_seconds = check_words(max_time, device, engine, strategy, precision)
    asked = _Asked(
        config, epochs, seed, tuple(set_ or ()), fold, resume, init_from, allow_change, max_seconds,
        chosen_device(device), data_dir, runs_dir, run_name, no_fallback, smoke, options.is_keras_engine(engine),
        strategy, precision, report, strict, quiet, json,
    )  # fmt: skip
    check_usage(config, resume, init_from, run_name, smoke=smoke, allow_change=allow_change)
    with (
        tempfile.TemporaryDirectory(prefix="dlcli-smoke-" if smoke else "dlcli-train-") as scratch,
        crew_of(cluster_here(strategy), Path(scratch), screen.message) as crew,
    ):
        if crew is not None and not crew.is_chief:
            asked = replace(asked, runs_dir=Path(scratch) / "runs", report=False, quiet=True, is_told=True)
        elif smoke:
            asked = replace(asked, runs_dir=Path(scratch) / "runs", report=False)
        _train(screen, asked, crew)


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for: its options, by their names."""

    config: Path | None
    epochs: str | None
    seed: int | None
    sets: tuple[str, ...]
    fold: int | None
    resume: str | None
    init_from: Path | None
    allow_change: bool
    max_seconds: float | None
    device: DeviceChoice
    data_dir: Path | None
    runs_dir: Path
    run_name: str | None
    no_fallback: bool
    smoke: bool
    is_plain: bool
    strategy: str | None
    precision: str | None
    report: bool
    strict: bool
    quiet: bool
    json: bool
    is_told: bool = False


def _train(screen: Screen, asked: _Asked, crew: Crew | None) -> None:
    """Train as asked, together with the other workers if there are some."""
    if crew is not None:
        asked = replace(asked, init_from=crew.share_run(asked.init_from))
    initial = options.open_checkpoint(screen, asked.init_from) if asked.init_from is not None else None
    point = _named_point(screen, asked, crew)
    data_folder = options.data_folder(asked.data_dir, point)
    look = options.looker(screen, data_folder, point)
    more = _short_options(asked, point)
    read = functools.partial(options.load, screen, sets=asked.sets, more=more, strict=asked.strict, look=look)
    loaded, written, folder = _spec(read, asked.config, point, quiet=asked.quiet or asked.json)
    if loaded.spec.sweep is not None and not (asked.quiet or asked.json):
        screen.message("`sweep` is not heeded: the spec's own values are trained; `dlcli sweep` searches.")
    loaded = _for_copies(loaded, asked, crew)
    if asked.resume == "auto":
        point = _find_unfinished(screen, asked, loaded, crew)
        if point is not None:
            loaded.data.clear()  # it is read as that run has read it
    if point is not None and _is_at_end(screen, point, loaded):
        return
    if point is not None and point.checkpoint is None:
        initial = options.initial(screen, point)  # it begins again
    screen.divert()

    from dlcli.cli.displays import make_display
    from dlcli.data.where import Where
    from dlcli.training.session import TrainRequest

    with make_display(screen, quiet=asked.quiet, json=asked.json, is_told=asked.is_told) as display:
        if asked.json and not asked.quiet and loaded.warnings:
            display.notice("warnings", [f"{problem.position}: {problem.message}" for problem in loaded.warnings])
        where = Where(
            data_folder,
            not asked.no_fallback,
            lambda text: display.notice_here("data", [text]),
            display.phase,
            trusts_code=screen.trusts_code,
        )
        request = TrainRequest(
            loaded, written, folder, where, asked.device, asked.runs_dir, asked.run_name, asked.smoke, asked.is_plain,
            sys.argv[1:], point, initial, asked.allow_change, asked.max_seconds, crew=crew,
        )  # fmt: skip
        _run(screen, display, request, with_report=asked.report)


def _for_copies(loaded: LoadedSpec, asked: _Asked, crew: Crew | None) -> LoadedSpec:
    """The spec, with what grows by the number of copies of the model that there are going to be."""
    from dlcli.machine import gpus_here
    from dlcli.spec.replicated import for_copies
    from dlcli.training.devices import copies

    workers = crew.peers.count if crew is not None else 1
    return for_copies(loaded, copies(loaded.spec.train.strategy, asked.device, workers, len(gpus_here())))


def _short_options(asked: _Asked, point: Point | None) -> list[Override]:
    """What the options that stand for a `--set` set."""
    from dlcli.spec.overrides import option

    short: list[Override] = options.of_fold(_fold_of(point) or asked.fold)
    if asked.seed is not None:
        short.append(option("--seed", "seed", asked.seed))
    if asked.precision is not None:
        short.append(option("--precision", "precision", asked.precision))
    if asked.strategy is not None:
        short.append(option("--strategy", "train.strategy", asked.strategy))
    wanted = _wanted_epochs(asked.epochs, point, is_auto=asked.resume == "auto")
    if wanted is not None or asked.smoke:
        option_name, epochs = ("--smoke", 1) if asked.smoke else ("--epochs", wanted)
        short.append(option(option_name, "train.epochs", epochs))
    return short


def _run(screen: Screen, display: Display, request: TrainRequest, *, with_report: bool) -> None:
    """Train, for each of several folds if there are such; and write a report on the run, if it is one."""
    from dlcli.cli.result import next_line
    from dlcli.training.folds import run_folds
    from dlcli.training.session import run_training

    hooks = hooks_of(screen, display, keep_log=not request.is_smoke, with_report=with_report)
    train = run_folds if request.loaded.spec.dataset.has_all_folds else run_training
    end = train(request, display, hooks)
    if not request.is_smoke:
        display.closing(next_line(end.run, has_report=with_report))


def check_words(
    max_time: str | None, device: str, engine: str, strategy: str | None, precision: str | None
) -> float | None:
    """The seconds of `max_time`. Raises UsageError for what an option cannot be."""
    from dlcli.training.devices import chosen_device

    chosen_device(device)
    options.is_keras_engine(engine)
    for name, word, words in (("--strategy", strategy, _STRATEGIES), ("--precision", precision, _PRECISIONS)):
        if word is not None:
            options.chosen(name, word, words)
    return options.duration("--max-time", max_time)


def check_usage(
    config: Path | None, resume: str | None, init_from: Path | None, run_name: str | None, *, smoke: bool,
    allow_change: bool,
) -> None:  # fmt: skip
    """Raises UsageError for options that do not go together."""
    if config is None and resume in (None, "auto"):
        raise UsageError("Name the YAML file to train.", "`dlcli train configs/mnist_cnn.yaml`, say.")
    if resume is None and allow_change:
        raise UsageError("--allow-change goes with --resume.")
    if resume is not None and smoke:
        raise UsageError("--smoke begins a run of its own and throws it away; it cannot --resume one.")
    if resume is not None and init_from is not None:
        raise UsageError("--resume goes on in a run, and --init-from begins a new one; name one of them.")
    if resume not in (None, "auto") and run_name is not None:
        raise UsageError("--run-name is for a new run; --resume goes on in the folder that there is.")


def _named_point(screen: Screen, asked: _Asked, crew: Crew | None) -> Point | None:
    """Where the run goes on from that --resume names; all workers, from where the chief does."""
    if asked.resume in (None, "auto"):
        return None
    if crew is None:
        return _find_point(screen, asked)
    from dlcli.training.crew import shared_point

    return shared_point(crew, _find_point(screen, asked) if crew.is_chief else None)


def _find_point(screen: Screen, asked: _Asked) -> Point:
    from dlcli.runs.finding import find_run
    from dlcli.training.resuming import find_point

    path = Path(str(asked.resume))
    run = find_run(path, asked.runs_dir) if asked.fold is not None else None
    if run is not None and run.folds:
        path = run.fold(asked.fold or 1).path
        if not path.exists():
            raise UsageError(
                f"Fold {asked.fold} of {run.path} has not begun.", "Without --fold, --resume trains all that is left."
            )
    return find_point(path, lambda text: screen.panel("damaged", [text]), asked.runs_dir)


def _fold_of(point: Point | None) -> int | None:
    """Which fold the run is of that goes on; None if it is of none."""
    dataset = point.contents.spec["dataset"] if point is not None and point.contents is not None else {}
    fold: int | None = dataset.get("fold")
    return fold


def _find_unfinished(screen: Screen, asked: _Asked, loaded: LoadedSpec, crew: Crew | None) -> Point | None:
    """Where `--resume auto` goes on from; all workers, from where the chief does."""
    from dlcli.training.crew import shared_point
    from dlcli.training.resuming import find_unfinished

    if crew is not None and not crew.is_chief:
        return shared_point(crew, None)
    point = find_unfinished(asked.runs_dir, loaded.spec, lambda text: screen.panel("damaged", [text]))
    found = f"goes on in {point.run.path}" if point is not None and point.run is not None else "begins a new run"
    screen.message(f"--resume auto {found}")
    return point if crew is None else shared_point(crew, point)


def _wanted_epochs(written: str | None, point: Point | None, *, is_auto: bool) -> int | None:
    """The epochs of `--epochs 5` or, of a run, `--epochs +5`. Raises UsageError."""
    if written is None:
        return None
    number = written.removeprefix("+")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 10**9):
        raise UsageError(f"--epochs {written}: a whole number from 1 on, or `+` and one, is needed.")
    if not written.startswith("+"):
        return int(number)
    if point is None or is_auto:
        hint = "Name the run: `--resume runs/NAME/latest --epochs +5`."
        raise UsageError(f"--epochs {written} is for a run that goes on, and that is named.", hint)
    if point.run is not None and point.run.folds:
        hint = "Say how many epochs each is to have, as in `--epochs 20`; or name a fold's own folder."
        raise UsageError(f"--epochs {written}: {point.run.path} has several folds, each with epochs of its own.", hint)
    planned = point.contents.spec["train"]["epochs"] if point.contents else None
    if planned is None:
        raise UsageError(f"--epochs {written}: nothing of the run is saved yet; say how many epochs it is to have.")
    return int(number) + int(point.epochs_done if point.is_done else planned)


def _spec(
    read: Callable[..., LoadedSpec], config: Path | None, point: Point | None, *, quiet: bool
) -> tuple[LoadedSpec, str, Path]:
    """The spec to train, its text, and the folder that its paths are relative to."""
    if config is not None:
        loaded = read(config, quiet=quiet)
        return loaded, config.read_text(encoding="utf-8-sig"), config.resolve().parent
    if point is not None and point.run is not None:
        loaded = read(point.run.resolved, quiet=True)
        written = point.run.path / "spec.yaml"
        folder = Path(point.record.get("spec_folder") or point.run.path)
        return loaded, (written if written.exists() else point.run.resolved).read_text(encoding="utf-8"), folder
    return _bare_spec(read, point)


def _bare_spec(read: Callable[..., LoadedSpec], point: Point | None) -> tuple[LoadedSpec, str, Path]:
    """The spec of a checkpoint that is in no run's folder."""
    import tempfile

    from dlcli.spec.writing import to_yaml

    text = to_yaml(point.contents.spec) if point is not None and point.contents is not None else ""
    with tempfile.TemporaryDirectory(prefix="dlcli-spec-") as folder:
        path = Path(folder) / "resolved.yaml"
        path.write_text(text, encoding="utf-8")
        return read(path, quiet=True), text, Path.cwd()


def _is_at_end(screen: Screen, point: Point, loaded: LoadedSpec) -> bool:
    """Whether there is nothing more to train, and a person has been told so. Raises UsageError."""
    if loaded.spec.dataset.has_all_folds or not point.is_at_end(loaded.spec.train.epochs):
        return False  # which of its folds are at their ends, is seen one after another
    where = point.run.path if point.run else ""
    screen.message(f"{where} is done: {point.epochs_done} epochs. To train on: --resume {where} --epochs +5")
    return True


def _write_report(display: Display, end: End, final: Final) -> None:
    """The page on the run, from what its last evaluation left. Raises RunError if it cannot be written."""
    from dlcli.report.story import story_of_run
    from dlcli.report.writing import write_report
    from dlcli.runs import RunFolder
    from dlcli.training.checkpoint import open_checkpoint

    run = RunFolder(end.run)
    written = write_report(story_of_run(run, open_checkpoint(run.best)), final, run.path / "report")
    display.reported(written)


def _write_folds_report(display: Display, end: FoldsEnd) -> None:
    """The page on all folds. Raises RunError if it cannot be written."""
    from dlcli.report.folds import write_folds_report
    from dlcli.runs import RunFolder

    display.reported(write_folds_report(RunFolder(end.run), end.run / "report"))


def hooks_of(screen: Screen, display: Any, *, keep_log: bool, with_report: bool = False) -> Hooks:
    """What the command line does while a training runs."""
    from dlcli.cli.layer_table import layer_table
    from dlcli.training.session import Hooks

    def summary_text(summary: Any) -> str:
        from rich.console import Console

        plain = Console(width=120, no_color=True, force_terminal=False, emoji=False)
        with plain.capture() as captured:
            plain.print(layer_table(summary, explain=True))
        return captured.get()

    def before_leaving() -> None:
        display.close()
        screen.restore()

    return Hooks(
        on_run=lambda run: screen.keep_log(run.log) if keep_log else None,
        summary_text=summary_text,
        before_leaving=before_leaving,
        on_end=functools.partial(_write_report, display) if with_report else None,
        on_folds_end=functools.partial(_write_folds_report, display) if with_report else None,
    )
