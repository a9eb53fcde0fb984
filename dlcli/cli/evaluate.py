"""`dlcli evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options

if TYPE_CHECKING:
    from dlcli.console import Screen


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
    """Evaluate a checkpoint on its own data: `dlcli evaluate runs/mnist_cnn`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    options.chosen("--split", split, ("test", "validation", "train"))
    path, job = options.open_job(screen, checkpoint, data, device, data_dir, no_fallback)

    from dlcli.cli.result import class_table, confusion_table, metrics_table, scaled_lines
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
    screen.show(metrics_table({split: evaluation.metrics}))
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
