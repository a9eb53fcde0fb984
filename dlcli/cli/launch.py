"""`dlcli launch`."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen

_FORM = "`dlcli launch --workers 2 -- train configs/mnist_cnn.yaml`"

launch = typer.Typer(add_completion=False)


# Options end where `train` begins, also without `--`: those after it are its own.
@launch.command("launch", context_settings={"allow_interspersed_args": False})
def _launch(
    context: typer.Context,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="How many processes train together on this machine.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="train CONFIG", help="What each of them runs, with its options.", show_default=False),
    ] = None,
) -> None:
    """Train on several workers on this machine: `dlcli launch --workers 2 -- train configs/mnist_cnn.yaml`."""
    screen: Screen = context.obj
    arguments = command or []
    if not arguments:
        raise UsageError("Name what the workers are to run.", f"{_FORM}, say.")
    if arguments[0] != "train":
        raise UsageError(f"Workers run `train`; received `{shlex.join(arguments)}`.", f"{_FORM}, say.")
    asked = _checked(context, arguments[1:])
    if workers > 1 and asked["strategy"] in ("none", "mirrored"):
        message = f"Workers train together; the strategy `{asked['strategy']}` is for one process."
        raise UsageError(message, "Say `--strategy multi_worker` after `train`, or leave it to `auto`.")

    from dlcli.machine import gpus_here
    from dlcli.training.launching import launch as run

    gpus = gpus_here() if ":" not in asked["device"] else []  # else they are named, by their numbers
    moves = screen.can_redraw and not (asked["quiet"] or asked["json"])
    command = [sys.executable, "-m", "dlcli", *arguments]
    run(command, workers, tell=screen.message, show=screen.passed_on, gpus=gpus, chief_moves=moves)


def _checked(context: typer.Context, arguments: list[str]) -> dict[str, Any]:
    """The options of `train`, by their names. Raises what each worker would of usage and spec: here it is told once."""
    from dlcli.cli.options import load
    from dlcli.cli.train import check_usage, check_words

    group: Any = context.parent
    with group.command.get_command(group, "train").make_context("train", arguments, parent=group) as parsed:
        asked: dict[str, Any] = parsed.params
    config, resume = asked["config"], asked["resume"]
    check_words(*(asked[name] for name in ("max_time", "device", "engine", "strategy", "precision")))
    check_usage(
        config, resume, asked["init_from"], asked["run_name"], smoke=asked["smoke"], allow_change=asked["allow_change"]
    )
    if config is not None and resume in (None, "auto") and not asked["trust_code"]:
        loaded = load(context.obj, config, asked["set_"], strict=asked["strict"], quiet=True)
        asked["strategy"] = asked["strategy"] or loaded.spec.train.strategy
    return asked
