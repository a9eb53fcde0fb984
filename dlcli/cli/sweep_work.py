"""`dlcli sweep` once TensorFlow is there: it begins or goes on, in one process or several, and shows the result."""

from __future__ import annotations

import sys
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
from dlcli.figures import duration, seconds_of, written_time
from dlcli.runs.sweeps import SweepFolder, seconds_used
from dlcli.spec.loading import LoadedSpec, Look, load_spec
from dlcli.spec.overrides import Override, option, parse_overrides
from dlcli.sweeping.beginning import Goal, NewSweep, create_sweep, goal_of
from dlcli.sweeping.jobs import run_jobs
from dlcli.sweeping.keeping import Kept
from dlcli.sweeping.page import write_page
from dlcli.sweeping.plan import Load, Plan, Search, Seeds, planned_trials
from dlcli.sweeping.reading import is_whole
from dlcli.sweeping.rehearsing import try_models
from dlcli.sweeping.result import COMPLETE, FAILED, PRUNED, SweepResult
from dlcli.sweeping.running import SweepRequest, run_sweep
from dlcli.training.devices import DeviceChoice

if TYPE_CHECKING:
    from dlcli.cli.sweep_displays import SweepDisplay


@dataclass(frozen=True)
class How:
    """How trials are run, as the command line says.

    Attributes:
        device: "auto", "cpu", "gpu", or some GPUs, as in "gpu:0,1".
        is_plain: whether the steps run as in Keras's own `fit`.
        allow_fallback: whether `dataset.fallback` may be used.
        jobs: how many processes there are to be.
        with_report: whether a page is written at the end.
    """

    device: DeviceChoice
    is_plain: bool
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
        folder, plan, goal.metric, goal.direction, where, how.device, how.is_plain, sys.argv[1:],
        opened.spec_folder, budget_of(asked, opened), kept,
    )  # fmt: skip
    if how.jobs > 1:
        result = run_jobs(request, how.jobs, _arguments(asked, how, request), display)
    else:
        result = run_sweep(request, display, hooks_of(asked.screen, display, keep_log=True))
    _tell_of_budget(request, result, display)
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
    """The seconds after which no trial begins, of all times that the sweep was run; None for no end."""
    sweep = opened.first.spec.sweep
    return seconds_of(asked.budget) if asked.budget is not None else sweep.budget if sweep is not None else None


def budget_left(asked: Asked, opened: Opened) -> float | None:
    """The same without what a sweep that goes on has used."""
    budget = budget_of(asked, opened)
    if budget is None or opened.folder is None:
        return budget
    return max(0.0, budget - seconds_used(opened.folder))


def _tell_of_budget(request: SweepRequest, result: SweepResult, display: SweepDisplay) -> None:
    """Tell that trials are left because the time is up, if so."""
    used = seconds_used(request.folder)
    if request.budget is None or is_whole(result) or used < request.budget:
        return
    ended = sum(trial.state in (COMPLETE, PRUNED, FAILED) for trial in result.trials)
    what = f"The budget of {duration(request.budget)} is used up, with {ended} of {result.planned} trials done."
    more = f"`dlcli sweep --resume {request.folder.path} --budget {written_time(used + request.budget)}` goes on."
    display.notice("budget", [f"{what} {more}"])


def _arguments(asked: Asked, how: How, request: SweepRequest) -> list[str]:
    """Of `dlcli` for a process that is one of several."""
    given: list[tuple[str, object]] = [("--resume", request.folder.path), ("--device", how.device)]
    given += [("--engine", "keras" if how.is_plain else "graph")]
    if request.where.data_dir is not None:
        given += [("--data-dir", request.where.data_dir)]
    if request.budget is not None:
        given += [("--budget", f"{request.budget}s")]
    switches = ["--no-report", "--quiet", "--with-parent"]
    switches += ["--no-fallback"] if not how.allow_fallback else []
    switches += ["--trust-code"] if asked.screen.trusts_code else []
    return ["sweep", *(str(part) for pair in given for part in pair), *switches]
