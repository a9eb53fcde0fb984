"""`dlcli train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.spec.overrides import Override
    from dlcli.training.session import Hooks


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the spec's `train.epochs`.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the spec's `seed`.")] = None,
    set_: options.Set = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    runs_dir: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs"),
    run_name: Annotated[str | None, typer.Option(help="The name of this run's folder, instead of the time.")] = None,
    no_fallback: options.NoFallback = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A few batches through the whole path: build, fit, save, reload, evaluate.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="`graph` runs many steps at a time; `keras` runs each as Keras's own `fit` does.")
    ] = "graph",
    strict: options.Strict = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only the result.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for programs.")] = False,
) -> None:
    """Train the model of a YAML file: `dlcli train configs/mnist_cnn.yaml`."""
    import tempfile

    from dlcli.cli.displays import make_display
    from dlcli.spec.overrides import option

    screen: Screen = context.obj
    chosen_device = options.chosen("--device", device, ("auto", "cpu", "gpu"))
    is_plain = options.chosen("--engine", engine, ("graph", "keras")) == "keras"
    short: list[Override] = []
    if epochs is not None or smoke:
        short.append(option("--smoke" if smoke else "--epochs", "train.epochs", 1 if smoke else epochs))
    if seed is not None:
        short.append(option("--seed", "seed", seed))
    loaded = options.load(screen, config, set_, short, strict=strict, quiet=quiet or json)
    written = config.read_text(encoding="utf-8-sig")
    screen.divert()

    from dlcli.data.where import Where
    from dlcli.training.session import TrainRequest, run_training

    with (
        tempfile.TemporaryDirectory(prefix="dlcli-smoke-") as smoke_dir,
        make_display(screen, quiet=quiet, json=json) as display,
    ):
        if json and not quiet and loaded.warnings:
            display.notice("warnings", [f"{problem.position}: {problem.message}" for problem in loaded.warnings])
        where = Where(data_dir, not no_fallback, lambda text: display.notice("data", [text]), display.phase)
        request = TrainRequest(
            loaded, written, config.resolve().parent, where, chosen_device, Path(smoke_dir) if smoke else runs_dir,
            run_name, smoke, is_plain, sys.argv[1:],
        )  # fmt: skip
        run_training(request, display, _hooks(screen, display, keep_log=not smoke))


def _hooks(screen: Screen, display: Any, *, keep_log: bool) -> Hooks:
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
    )
