"""`dlcli runs repeat`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import RunError

if TYPE_CHECKING:
    from dlcli.console import Screen


def repeat(
    context: typer.Context,
    run: options.Run,
    data_dir: options.DataDir = None,
    runs_dir: Annotated[
        Path | None, typer.Option(help="The folder of all runs; the run's own if left out.", show_default=False)
    ] = None,
    quiet: options.Quiet = False,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Train a run again, in the same way, and compare to the bit: `dlcli runs repeat runs/mnist_cnn`.

    What is compared: history.csv but for its times, metrics.json, and every number in last.h5 and best.h5. Exit code 0
    if all is equal, 4 if not; the new run is kept beside the old one.
    """
    from dlcli.cli.displays import make_display
    from dlcli.cli.train import hooks_of
    from dlcli.runs.finding import RUNS, the_run
    from dlcli.training.comparing import compare_runs
    from dlcli.training.resuming import find_point

    screen: Screen = context.obj
    screen.trusts_code = trust_code
    found = the_run(run, runs_dir or RUNS)
    if found.folds:
        raise RunError(f"{found.path} has a run for each of its folds.", f"Name one: {found.folds[0].path}.")
    point = find_point(found.path, lambda text: screen.panel("damaged", [text]))
    if not point.is_done or point.contents is None:
        raise RunError(
            f"{found.path} is not done: there is nothing to compare with.", f"--resume {found.path} ends it."
        )
    initial = options.initial(screen, point)
    folder = Path(point.record.get("spec_folder") or found.path)
    look = options.looker(screen, options.data_folder(data_dir, point), point)
    loaded = options.load(screen, found.resolved, quiet=True, look=look)
    written = (found.path / "spec.yaml").read_text(encoding="utf-8")
    screen.divert()

    from dlcli.data.where import Where
    from dlcli.files import to_json
    from dlcli.training.session import TrainRequest, run_training

    with make_display(screen, quiet=quiet, json=False, silent=json) as display:
        where = Where(
            options.data_folder(data_dir, point),
            False,
            lambda text: display.notice("data", [text]),
            display.phase,
            trusts_code=trust_code,
        )
        place = runs_dir or (found.whole or found).path.resolve().parent.parent
        request = TrainRequest(
            loaded, written, folder, where, "auto", place, None, False, point.is_plain, sys.argv[1:],
            init_from=initial, like=point,
        )  # fmt: skip
        end = run_training(request, display, hooks_of(screen, display, keep_log=True))
    from dlcli.runs import RunFolder

    comparison = compare_runs(found, RunFolder(end.run))
    if json:
        result = {"run": str(found.path), "again": str(end.run), "equal": comparison.is_equal}
        screen.out.print(to_json({**result, "differences": comparison.differences}), soft_wrap=True, markup=False)
    elif comparison.is_equal:
        screen.out.print(f"{end.run} is equal to {found.path}, to the bit.", markup=False, soft_wrap=True)
    if not comparison.is_equal:
        lines = "".join(f"\n  {line}" for line in comparison.differences)
        raise RunError(f"{end.run} is not equal to {found.path}:{lines}", _why(loaded.spec.deterministic))


def _why(deterministic: bool) -> str:
    other = "run.json of both tells versions, devices and processors"
    return f"{other}." if deterministic else f"{other}; `deterministic: true` in the spec leaves less to chance."
