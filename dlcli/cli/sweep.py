"""`dlcli sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError
from dlcli.machine import stop_with_parent

if TYPE_CHECKING:
    from dlcli.console import Screen


def sweep(
    context: typer.Context,
    configs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CONFIG",
            help="The YAML file (`./best`, if it is called `best`), or several with --seeds.",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Instead of the spec's `sweep.trials`.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="TIME", help="Instead of the spec's `sweep.budget`: `30m`, `2h`.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Instead of the spec's `sweep.metric`.")] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Try each combination once, not in the spec's way.")] = False,
    random: Annotated[bool, typer.Option("--random", help="Draw trials at random, not in the spec's way.")] = False,
    seeds: Annotated[
        str | None,
        typer.Option(help="Train each CONFIG as it is with each of these seeds, `0,1,2` or `0..4`, and compare."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="How many processes run trials at a time.")] = 1,
    set_: options.Set = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="SWEEP",
            help="Go on with a sweep, beside processes that run it; `auto`: with CONFIG's newest that is not done.",
        ),
    ] = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    runs_dir: options.RunsDir = Path("runs"),
    run_name: options.RunName = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    engine: options.Engine = "graph",
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the page on the sweep.")] = True,
    strict: options.Strict = False,
    quiet: options.Quiet = False,
    json: options.JsonLines = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Search for the best values of what a spec's `sweep` names: `dlcli sweep configs/mnist_mlp_sweep.yaml`.

    `dlcli sweep show SWEEP` shows what was found, and `dlcli sweep best SWEEP --write FILE` writes it as a spec.
    """
    screen: Screen = context.obj
    screen.trusts_code = trust_code

    from dlcli.training.devices import chosen_device

    chosen = chosen_device(device)
    is_plain = options.is_keras_engine(engine)

    from dlcli.cli.sweep_opening import Asked, check_optuna, open_sweep

    asked = Asked(
        screen, tuple(configs or ()), tuple(set_ or ()), trials, budget, metric, _way(grid=grid, random=random), seeds,
        resume, runs_dir, run_name, data_dir, strict, quiet or json,
    )  # fmt: skip
    check_optuna()
    if with_parent:
        stop_with_parent()
    opened = open_sweep(asked)
    screen.divert()
    if not (quiet or json):
        screen.message("starting TensorFlow …")

    # TensorFlow keeps for good what the functions have that run when it is imported: as few as can be.
    from dlcli.training.backend import start_backend

    start_backend(chosen)

    from dlcli.cli.sweep_displays import make_sweep_display
    from dlcli.cli.sweep_work import How, budget_left, work

    how = How(chosen, is_plain, not no_fallback, jobs, report)
    seconds = budget_left(asked, opened)
    with make_sweep_display(screen, quiet=quiet, json=json, budget=seconds) as display:
        work(asked, opened, how, display)


def _way(*, grid: bool, random: bool) -> str | None:
    """The sampler that is asked for. Raises UsageError."""
    if grid and random:
        raise UsageError("--grid and --random are two ways to choose the trials; name one of them.")
    return "grid" if grid else "random" if random else None
