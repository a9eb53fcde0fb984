"""`dlcli evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.runs.finding import find_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlcli.console import Screen
    from dlcli.runs import RunFolder
    from dlcli.training.job import Job


def evaluate(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="A .h5 file, or a run's folder.", show_default=False)],
    split: Annotated[str, typer.Option(help="`test`, `validation` or `train`.")] = "test",
    data: options.DataSpec = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    no_fallback: options.NoFallback = False,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Evaluate a checkpoint on its own data: `dlcli evaluate runs/mnist_cnn`.

    Of a run of several folds, each fold's best checkpoint: their mean, and how much they differ.
    """
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    options.chosen("--split", split, ("test", "validation", "train"))
    whole = find_run(checkpoint)
    if whole is not None and whole.folds:
        _evaluate_folds(
            screen,
            whole,
            split,
            lambda one: options.open_job(screen, one, data, device, data_dir, no_fallback),
            json=json,
        )
        return
    path, job = options.open_job(screen, checkpoint, data, device, data_dir, no_fallback)

    from dlcli.cli.result import class_table, confusion_table, scaled_lines, show_metrics
    from dlcli.data.scaling import scales_of
    from dlcli.evaluation import evaluating
    from dlcli.evaluation.by_class import ByClass
    from dlcli.files import to_json

    evaluation, scales = evaluating.evaluate(job, split), scales_of(job.encoding)
    if json:
        print_json = {"checkpoint": str(path), "data": job.facts.described(), "scales": scales, **asdict(evaluation)}
        screen.out.print(to_json(print_json), soft_wrap=True, markup=False)
        return
    lines = [str(path), f"{job.facts.described()}, {len(job.rows[split]):,} examples", *scaled_lines(scales)]
    screen.out.print("\n".join(lines), markup=False, soft_wrap=True)
    screen.show("")
    show_metrics(screen, {split: evaluation.metrics})
    only = ByClass(evaluation.classes, evaluation.confusion)
    for name, figures in {"": only, **evaluation.outputs}.items():
        if figures.classes:
            screen.show("")
            if name:
                screen.show(f"{name}:")
            screen.show(class_table(figures.classes))
            matrix = confusion_table([row["class"] for row in figures.classes], figures.confusion)
            screen.show("")
            screen.show(matrix or "The confusion matrix of so many classes is shown with --json.")


def _evaluate_folds(
    screen: Screen, whole: RunFolder, split: str, open_job: Callable[[Path], tuple[Path, Job]], *, json: bool
) -> None:
    """The best checkpoint of each fold on a split, one after another."""
    from dlcli.cli.folds import show_figures
    from dlcli.files import to_json
    from dlcli.training.folds import spread
    from dlcli.training.listening import FoldEnd

    ends, found = [], []
    for run in whole.folds:
        number = int(run.path.name.rpartition("-")[2])
        contents = options.open_checkpoint(screen, run.path).contents
        path, job = open_job(run.path)

        from dlcli.evaluation import evaluating  # TensorFlow is started now

        evaluation = evaluating.evaluate(job, split)
        del job  # before there is another model
        epoch = contents.position["epoch"] if contents is not None else None
        ends.append(FoldEnd(number, run.path, epoch, {split: evaluation.metrics}, None))
        found.append({"fold": number, "checkpoint": str(path), **asdict(evaluation)})
    mean, deviation = spread([{split: one["metrics"]} for one in found])
    if json:
        result = {"folds": found, "mean": mean[split], "standard_deviation": deviation[split]}
        screen.out.print(to_json(result), soft_wrap=True, markup=False)
        return
    screen.out.print(str(whole.path), markup=False, soft_wrap=True)
    screen.show("")
    show_figures(screen, ends, mean, deviation, split=split)
