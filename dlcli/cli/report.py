"""`dlcli report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import DataError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.report.story import Story
    from dlcli.report.writing import Report
    from dlcli.runs import RunFolder
    from dlcli.training.checkpoint import Checkpoint
    from dlcli.training.final import Final


def report(
    context: typer.Context,
    what: Annotated[Path, typer.Argument(help="A run, as listed or its folder; or a .h5 file.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Instead of the run's own `report`.", show_default=False),
    ] = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    trust_code: options.TrustCode = False,
    json: options.Json = False,
) -> None:
    """Write a page on a run, with its charts: `dlcli report runs/mnist_cnn`.

    The page is one file that opens in any browser without a network. If the data of the run is gone, it tells what the
    run's folder, or the checkpoint alone, still knows. Of several folds it tells how far they differ.
    """
    from dlcli.runs.finding import find_run

    screen: Screen = context.obj
    screen.trusts_code = trust_code
    whole = find_run(what)
    if whole is not None and whole.folds:
        screen.divert()  # matplotlib tells of the fonts that it looks for

        from dlcli.report.folds import write_folds_report

        _show(screen, write_folds_report(whole, output or whole.path / "report"), as_json=json)
        return
    run, opened, story = _found(screen, what, whole)
    missing: list[str] = []
    final = None
    if opened is not None:
        story, final, missing = _with_data(screen, opened, story, device, data_dir)
    screen.divert()

    from dlcli.report.writing import write_report

    own = run.path / "report" if run is not None else what.with_name(f"{what.stem}-report")
    _show(screen, write_report(story, final, output or own, missing), as_json=json)


def _found(screen: Screen, what: Path, run: RunFolder | None) -> tuple[RunFolder | None, Checkpoint | None, Story]:
    """The run, if it is one; its checkpoint, if it has one; and their story. Raises CheckpointError, RunError."""
    from dlcli.report.story import story_of_checkpoint, story_of_run

    if run is not None and (what.suffix != ".h5" or what.resolve() == run.best.resolve()):
        has_checkpoint = run.best.exists() or run.last.exists()
        opened = options.open_checkpoint(screen, run.path) if has_checkpoint else None
        return run, opened, story_of_run(run, opened)
    opened = options.open_checkpoint(screen, what)
    return None, opened, story_of_checkpoint(opened)


def _with_data(
    screen: Screen, opened: Checkpoint, story: Story, device: str, data_dir: Path | None
) -> tuple[Story, Final | None, list[str]]:
    """The story, with predictions if the data can be had; and what is missing if not."""
    from dlcli.data.fingerprint import have_changed
    from dlcli.report.writing import evaluated
    from dlcli.training.resuming import Point

    folder = options.data_folder(data_dir, Point(None, opened, story.record))
    gone = "so there are no predictions, and nothing is compared with the trivial predictor"
    try:
        _, job = options.open_job(screen, opened.path, None, device, folder, True)
        if have_changed(story.data.get("fingerprint", ""), job.facts.fingerprint):
            line = f"{job.facts.origin} has changed since training: predictions are of what is there now."
            return *evaluated(story, job), [line]
        return *evaluated(story, job), []
    except DataError as error:
        return story, None, [f"The data cannot be had, {gone}: {error.message}"]


def _show(screen: Screen, written: Report, *, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        from dlcli.files import to_json

        findings = [asdict(finding) for finding in written.findings]
        found = {"page": str(written.page), "findings": findings, "missing": list(written.missing)}
        screen.out.print(to_json(found), soft_wrap=True, markup=False)
        return
    for line in written.missing:
        screen.message(f"missing: {line}")
    screen.message("; ".join(finding.title for finding in written.findings))
    screen.out.print(str(written.page), soft_wrap=True, markup=False)
