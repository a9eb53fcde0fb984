"""`dlcli sweep` once TensorFlow is there: it begins or goes on, in one process or several, and shows the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.cli import options
from dlcli.cli.sweep_opening import Asked, Opened
from dlcli.cli.train import hooks_of
from dlcli.data.looking import look
from dlcli.data.where import Where
from dlcli.errors import RunError, UsageError
from dlcli.figures import seconds_of
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.loading import LoadedSpec, Look, load_spec
from dlcli.spec.overrides import Override, option, parse_overrides
from dlcli.sweeping.beginning import Goal, NewSweep, create_sweep, goal_of, try_models
from dlcli.sweeping.jobs import run_jobs
from dlcli.sweeping.keeping import Kept
from dlcli.sweeping.page import write_page
from dlcli.sweeping.plan import Load, Plan, Search, Seeds, planned_trials
from dlcli.sweeping.reading import is_whole
from dlcli.sweeping.running import SweepRequest, run_sweep
from dlcli.training.devices import DeviceChoice

if TYPE_CHECKING:
    from dlcli.cli.sweep_displays import SweepDisplay


@dataclass(frozen=True)
class How:
    """How trials are run, as the command line says.

    Attributes:
        device: "auto", "cpu", "gpu", or some GPUs, as in "gpu:0,1".
        engine: "graph" or "keras".
        allow_fallback: whether `dataset.fallback` may be used.
        jobs: how many processes there are to be.
        with_report: whether a page is written at the end.
    """

    device: DeviceChoice
    engine: str
    allow_fallback: bool
    jobs: int
    with_report: bool


def work(asked: Asked, opened: Opened, how: How, display: SweepDisplay) -> None:
    """Run the sweep and show what it came to.

    Raises:
        DlcliError: as `run_sweep` does, and before the first trial for what is wrong with the spec.
    """
    where = Where(
        opened.data_dir, how.allow_fallback, lambda text: display.notice("data", [text]), display.phase,
        trusts_code=asked.screen.trusts_code,
    )  # fmt: skip
    kept = Kept()
    load = _loader(asked)
    folder, goal = opened.folder, None
    if folder is None:
        display.phase("trying out what the sweep may come to")
        goal = _try(asked, opened, load, lambda loaded: look(kept.with_kept(loaded), where))
        folder = create_sweep(_new(asked, opened, goal), asked.runs_dir, asked.run_name)
    else:
        record = folder.read_record()
        goal = Goal(str(record["metric"]), str(record["direction"]))
    plan = _plan(asked, opened, folder, load)
    request = SweepRequest(
        folder, plan, goal.metric, goal.direction, where, how.device, how.engine == "keras", sys.argv[1:],
        opened.spec_folder, _until(asked, opened), kept,
    )  # fmt: skip
    if how.jobs > 1:
        result = run_jobs(request, how.jobs, _arguments(asked, how, request), display)
    else:
        result = run_sweep(request, display, hooks_of(asked.screen, display, keep_log=True))
    page = None
    if how.with_report:
        display.phase("writing the page")
        page = write_page(result, folder.path)
    display.ended(folder.path, result, page)
    if result.trials and not result.ranked() and is_whole(result):
        first = next(iter(result.in_state("failed")), None)
        why = f": {first.reason}" if first is not None else "."
        raise RunError(f"None of the {len(result.trials)} trials came to its end{why}")


def _loader(asked: Asked) -> Load:
    catalogue, run_code = options.catalogue(asked.screen), options.code_runner(asked.screen)

    def load(path: Path, overrides: Sequence[Override], look_into: Look) -> LoadedSpec:
        return load_spec(path, catalogue, overrides, (), run_code, look_into)

    return load


def _try(asked: Asked, opened: Opened, load: Load, look_into: Look) -> Goal:
    """What the sweep is about, once all that it may come to has been tried out. Raises SpecError."""
    sets, _ = parse_overrides(asked.sets)
    if opened.seeds:
        goals = {
            loaded.spec.name: goal_of(loaded, opened.spec_folder, asked.metric) for loaded in opened.specs.values()
        }
        first, *others = goals.items()
        for name, goal in others:
            if goal != first[1]:
                message = f"`{first[0]}` is about `{first[1].metric}`, and `{name}` about `{goal.metric}`."
                raise UsageError(message, "Name the figure to compare: `--metric val_accuracy`, say.")
        return first[1]
    loaded = opened.first
    goal = goal_of(loaded, opened.spec_folder)
    no_sweep = option("sweep", "sweep", None)

    def load_with(overrides: Sequence[Override]) -> LoadedSpec:
        return load(asked.configs[0], [*sets, *overrides, no_sweep], look_into)

    try_models(loaded, load_with, opened.spec_folder)
    return goal


def _new(asked: Asked, opened: Opened, goal: Goal) -> NewSweep:
    more = {}
    if opened.seeds:
        files = dict(zip(opened.specs, map(str, asked.configs), strict=True))
        more = {"seeds": list(opened.seeds), "configs": files}
    planned = len(opened.specs) * len(opened.seeds) if opened.seeds else _planned(asked, opened)
    extensions = {name: text for loaded in opened.specs.values() for name, text in loaded.extensions.items()}
    return NewSweep(
        opened.name, opened.composed, asked.configs[0].read_text(encoding="utf-8-sig"), extensions, goal, planned,
        sys.argv[1:], opened.spec_folder, opened.data_dir, more,
    )  # fmt: skip


def _planned(asked: Asked, opened: Opened) -> int:
    sweep = opened.first.spec.sweep
    if sweep is None:
        raise RunError(f"{opened.folder.path if opened.folder else opened.name} has nothing to search for.")
    return planned_trials(sweep)


def _plan(asked: Asked, opened: Opened, folder: SweepFolder, load: Load) -> Plan:
    if opened.seeds:
        configs = {loaded.spec.name: file for file, loaded in opened.specs.items()}
        return Seeds(folder, configs, opened.seeds, load)
    sweep = opened.first.spec.sweep
    with folder.locked():
        record = folder.read_record()
        planned = int(record["trials"]["planned"])
        if asked.trials is not None and sweep is not None and asked.trials != planned:
            planned = planned_trials(sweep.model_copy(update={"trials": asked.trials}))
            folder.update_record(trials={**record["trials"], "planned": planned})
    if sweep is None:
        raise RunError(f"{folder.path} has nothing to search for: its composed.yaml has no `sweep`.")
    return Search(folder, sweep, load, planned)


def budget_of(asked: Asked, opened: Opened) -> float | None:
    """The seconds after which no trial begins; None for no end."""
    sweep = opened.first.spec.sweep
    return seconds_of(asked.budget) if asked.budget is not None else sweep.budget if sweep is not None else None


def _until(asked: Asked, opened: Opened) -> float | None:
    budget = budget_of(asked, opened)
    return time.monotonic() + budget if budget is not None else None


def _arguments(asked: Asked, how: How, request: SweepRequest) -> list[str]:
    """Of `dlcli` for a process that is one of several."""
    given: list[tuple[str, object]] = [("--resume", request.folder.path), ("--device", how.device)]
    given += [("--engine", how.engine)]
    if request.where.data_dir is not None:
        given += [("--data-dir", request.where.data_dir)]
    if request.until is not None:
        given += [("--budget", f"{max(1.0, request.until - time.monotonic()):.0f}s")]
    switches = ["--no-report", "--quiet"]
    switches += ["--no-fallback"] if not how.allow_fallback else []
    switches += ["--trust-code"] if asked.screen.trusts_code else []
    return ["sweep", *(str(part) for pair in given for part in pair), *switches]
