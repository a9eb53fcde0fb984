"""One training from beginning to end: what `dlcli train` does, as a function; a new run, or one that goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.data.dataset import Dataset
from dlcli.data.fingerprint import have_changed
from dlcli.data.loading import ReadAhead
from dlcli.data.oversampling import oversampling_of
from dlcli.errors import RunError, SpecError
from dlcli.machine import has_nvidia_driver, machine_memory
from dlcli.model.lints import lint_model
from dlcli.runs import RunFolder, check_free, check_writable, create_run
from dlcli.spec.lints import silenced
from dlcli.spec.parts import EVERYTHING, Parts
from dlcli.training.backend import Backend, make_deterministic, start_backend, use_threads
from dlcli.training.choices import Choices, choose, for_copies
from dlcli.training.devices import DeviceChoice, copies, cpu_text, device_text
from dlcli.training.listening import End, FoldsEnd, Listener
from dlcli.training.record import RunRecord, git_commit, recorded
from dlcli.training.resuming import (
    Point,
    differences,
    machine_differences,
    refuse,
    spec_then,
    version_differences,
)
from dlcli.training.stopping import Stop, StopRequest
from dlcli.training.strategies import begin, chosen_strategy
from dlcli.training.tracking import check_installed, tracked

if TYPE_CHECKING:
    from dlcli.data.dataset import Dataset
    from dlcli.data.splits import Splits
    from dlcli.data.where import Where
    from dlcli.model.summary import ModelSummary
    from dlcli.spec.loading import LoadedSpec
    from dlcli.training.checkpoint import Checkpoint
    from dlcli.training.crew import Crew
    from dlcli.training.division import Division
    from dlcli.training.final import Final
    from dlcli.training.job import DataFacts, Job
    from dlcli.training.monitoring import Best
    from dlcli.training.whole import Together


@dataclass(frozen=True)
class TrainRequest:
    """What to train, and where its files go.

    Attributes:
        loaded: the spec, with what the command line says above it.
        written: the text of the spec's file, kept in the run's folder.
        spec_folder: where the spec's file is.
        where: where data may come from.
        device: "auto", "cpu", "gpu", or some GPUs, as in "gpu:0,1".
        runs_dir: the folder of all runs.
        run_name: the name of this run's folder; None for the time.
        is_smoke: whether only a few batches go through the whole path.
        is_plain: whether the steps run as in Keras's own `fit`.
        command: the command line, for run.json.
        point: where to go on from; None for a new run.
        init_from: a checkpoint whose weights a new run begins with.
        allow_change: whether a run may go on although something has changed that decides its bits.
        max_seconds: for how long to train at most; None without a limit.
        like: where a run is that this new one is to run as: on the same device, with the same choices.
        whole: the run of all folds, or the sweep, that this one is in; None for a run that stands alone.
        crew: the workers that train together, of which this process is one; None for one alone.
    """

    loaded: LoadedSpec
    written: str
    spec_folder: Path
    where: Where
    device: DeviceChoice
    runs_dir: Path
    run_name: str | None
    is_smoke: bool
    is_plain: bool
    command: Sequence[str]
    point: Point | None = None
    init_from: Checkpoint | None = None
    allow_change: bool = False
    max_seconds: float | None = None
    like: Point | None = None
    whole: Together | None = None
    crew: Crew | None = None

    @property
    def parent(self) -> Path:
        """The folder of the runs of this name."""
        return self.runs_dir / self.loaded.spec.name

    @property
    def is_first(self) -> bool:
        """Whether nobody has been told yet what is the same for all runs of a whole."""
        return self.whole is None or not self.whole.has_begun


@dataclass(frozen=True)
class Hooks:
    """What the caller does meanwhile.

    Attributes:
        on_run: the run's folder is there.
        summary_text: the text for summary.txt.
        before_leaving: a second signal came, and the process is about to end.
        on_end: gets what a run, also that of a fold, came to, and its `Final`, when all its files are written; None if
            no one looks closer at them.
        on_folds_end: gets what all folds came to, when their files are written, also if some have failed.
    """

    on_run: Callable[[RunFolder], None]
    summary_text: Callable[[ModelSummary], str]
    before_leaving: Callable[[], object]
    on_end: Callable[[End, Any], object] | None = None
    on_folds_end: Callable[[FoldsEnd], object] | None = None


def run_training(request: TrainRequest, listener: Listener, hooks: Hooks) -> End:
    """Train as requested.

    Raises:
        SpecError, DataError, DeviceError, RunError: as their names say; before training starts,
            nothing but an empty runs folder is written.
        Interrupted: a signal came, or the time was up; the work is saved.
    """
    point = request.point
    check_installed(request.loaded)
    until = time.monotonic() + request.max_seconds if request.max_seconds is not None else None
    with ExitStack() as stack:
        if point is not None and point.run is not None:
            stack.enter_context(point.run.locked())
            point.run.remove_parts()
        elif request.whole is None:
            check_writable(request.runs_dir)
            check_free(request.parent, request.run_name)
        end, final = _train(request, _start(request, listener), listener, hooks, (stack, until))
    if hooks.on_end is not None:
        hooks.on_end(end, final)
    return end


def _train(
    request: TrainRequest, started: _Started, listener: Listener, hooks: Hooks, leaving: tuple[ExitStack, float | None]
) -> tuple[End, Final]:
    """Train once TensorFlow has started; when to leave, and what is to be left then, is in `leaving`."""
    point, whole = request.point, request.whole
    stack, until = leaving
    ready = _assemble(request, started, listener)

    from dlcli.model.summary import summarize
    from dlcli.training.board import Board
    from dlcli.training.callbacks import callback_list, check_monitored, make_callbacks
    from dlcli.training.final import Final
    from dlcli.training.monitoring import choose_best
    from dlcli.training.trainer import train
    from dlcli.training.training import Training

    job = ready.job
    best = choose_best(job.loaded, job.figures)
    check_monitored(job.loaded, make_callbacks(job.loaded), job.figures)
    summary = summarize(job.model)
    record = _make_record(request, ready, best)

    def fill(run: RunFolder) -> None:
        record.run = run
        run.best.parent.mkdir(exist_ok=True)
        record.write()
        run.write_spec(request.written, job.loaded.spec.resolved(), job.loaded.extensions)
        run.write_summary(hooks.summary_text(summary), summary.to_json())

    parent = whole.begin(record) if whole is not None else request.parent
    if point is not None and point.run is not None:
        run = point.run
        fill(run)
    else:
        run = create_run(parent, request.run_name, fill)
        record.run = run
        stack.enter_context(run.locked())
    stack.enter_context(recorded(record))
    alone = StopRequest(lambda: _leave_at_once(hooks, record), until)
    stop: Stop = whole.stop if whole is not None else stack.enter_context(alone)
    if request.crew is not None:
        stop = request.crew.stop.follow(stop)
    hooks.on_run(run)
    callbacks = callback_list(job, run.path, None if request.is_smoke else request.spec_folder)
    asked = job.loaded.spec.train
    board = [Board(run.board, job, summary)] if asked.tensorboard and not request.is_smoke else []
    is_tracked = asked.mlflow is not None and not request.is_smoke
    tracking = [stack.enter_context(tracked(job, run, listener))] if is_tracked else []
    # All workers run the same steps, though only the chief writes a report.
    keeps = job.engine.division.any(hooks.on_end is not None)
    training = Training(
        job, run, record, listener, stop, best, callbacks, summary, keeps=keeps,
        followers=[*board, *tracking],
    )  # fmt: skip
    end = train(
        training,
        point,
        device=ready.backend.device_name,
        is_smoke=request.is_smoke,
        is_changed=ready.is_changed,
    )
    for one in tracking:
        one.finished(training.history, end.metrics)
    return end, Final(_alone(job), training.outputs)


def _alone(job: Job) -> Job:
    """The job as one process runs it: the other workers, if there were some, have come to their end."""
    from dlcli.training.engine import Engine

    engine = job.engine
    if engine.division.name != "multi_worker":
        return job
    return replace(job, engine=Engine(engine.model, engine.feed, choices=engine.choices))


@dataclass(frozen=True)
class _Ready:
    """What a training needs before it has a folder.

    Attributes:
        backend: TensorFlow, started.
        job: the model, its data and its engine.
        is_plain: whether the steps run as in Keras's own `fit`.
        is_changed: whether the spec or the data are not those of the checkpoint to go on from.
        seconds: what took how long until now.
    """

    backend: Backend
    job: Job
    is_plain: bool
    is_changed: bool
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Started:
    """TensorFlow, started; the data, being read; and when that began."""

    backend: Backend
    reading: ReadAhead
    began: float


def _start(request: TrainRequest, listener: Listener) -> _Started:
    """Start TensorFlow, while the data is read.

    The functions that run meanwhile must not hold the model later: modules of TensorFlow keep errors that they have
    met, each with the frames that it came through, and those that called for the import (TensorFlow 2.21).
    """
    loaded, device, like = request.loaded, _device(request), request.like or request.point
    began = time.perf_counter()
    if like is not None and like.engine:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if like.engine["choices"]["onednn"] else "0")
    reading = ReadAhead(loaded, request.where, like.data if like is not None else None)
    listener.phase("starting TensorFlow")
    backend = start_backend(device)
    if backend.device == "cpu" and device == "auto" and has_nvidia_driver():
        lines = ["TensorFlow cannot use this machine's GPU, so the CPU trains.", "`dlcli doctor` says what is missing."]
        listener.notice_here("no GPU", lines)
    if loaded.spec.deterministic:
        make_deterministic()
    return _Started(backend, reading, began)


def _device(request: TrainRequest) -> DeviceChoice:
    """The device that is asked for; else that of an earlier run: the same GPUs, if it named some, or parts of a CPU."""
    like = request.like or request.point
    if request.device != "auto" or like is None or not like.engine:
        return request.device
    if like.engine.get("gpus"):
        return device_text(like.engine["gpus"])
    is_divided = like.engine["device"] == "cpu" and like.engine.get("strategy") == "mirrored"
    return cpu_text(like.engine["replicas"]) if is_divided else str(like.engine["device"])


def _assemble(request: TrainRequest, started: _Started, listener: Listener) -> _Ready:
    """Read the data, and make the model."""
    # Only now: what these import imports TensorFlow, which reads its environment then.
    from dlcli.training.job import assemble
    from dlcli.training.rehearsal import rehearse
    from dlcli.training.trainer import for_smoke
    from dlcli.training.transfer import take_weights

    loaded, point, backend = request.loaded, request.point, started.backend
    like = request.like or point
    began = time.perf_counter()
    strategy = chosen_strategy(loaded.spec.train.strategy, request.crew, backend.gpu_count)
    division: Division | None = None
    listener.phase("checking the model")
    is_plain = request.is_plain or (like is not None and like.is_plain)
    choices = Choices("Keras's own way was asked for")

    if strategy != "none":  # before the model is tried out, since there are layers that compute when they are made
        choices = use_threads(_for_copies(request, strategy, backend, like))
        division = begin(strategy, request.crew)

    def choose_for(model: ModelSummary) -> None:
        nonlocal choices
        if strategy == "none" and not is_plain:
            then = like.choices if like is not None else None
            dataset = loaded.spec.dataset
            besides = {layer.name for layer in (*(dataset.preparation or ()), *dataset.augment)}
            choose_here = partial(choose, besides=besides, precision=loaded.spec.precision)
            choices = use_threads(then or choose_here(model, dataset.batch_size, backend.device))

    brings_weights = point is not None and point.checkpoint is not None
    pretrained_from = None if brings_weights else request.spec_folder
    # Of several trainings, the later ones differ little from the first, and find their mistakes a moment later.
    rehearsal = rehearse(loaded, EVERYTHING, choose_for, pretrained_from, is_brief=not request.is_first)
    if rehearsal.problems:
        raise SpecError(rehearsal.problems)
    other = _see_changes(request, backend, listener, division.replicas if division is not None else 1)
    _warn_of_the_model(request, rehearsal.summary, backend, listener)
    listener.phase("loading the data and building the model")
    data = started.reading.result()
    other_data = _see_data(request, data[0], listener)
    if like is None or like.choices is None:
        steps = _examples_per_epoch(loaded, *data) // loaded.spec.dataset.batch_size
        choices = choices.for_epochs(0 if request.is_smoke else steps)
    prepared_by = point.checkpoint if point is not None and other_data else None
    job = assemble(
        loaded, data, plain=is_plain, choices=choices, prepared_by=prepared_by, pretrained_from=pretrained_from,
        division=division,
    )  # fmt: skip
    if request.crew is not None:
        request.crew.check_alike(
            {"the spec": loaded.spec.resolved(), "the data": data[0].fingerprint, **backend.versions}
        )
    del data  # TensorFlow has it now
    _tell_of_fallback(request, job.facts, listener)
    if request.init_from is not None:
        title, lines = take_weights(job.model, request.init_from)
        listener.notice(title, lines)
    job = for_smoke(job) if request.is_smoke else job
    seconds = {"starting": began - started.began, "assembling": time.perf_counter() - began}
    return _Ready(backend, job, is_plain, other or other_data, seconds)


def _for_copies(request: TrainRequest, strategy: str, backend: Backend, like: Point | None) -> Choices:
    """How steps run that are divided: as in an earlier run, if that had as many copies."""
    workers = request.crew.peers.count if request.crew is not None else 1
    count = copies(strategy, _device(request), workers, backend.gpu_count)
    if like is not None and like.choices is not None and like.engine.get("replicas") == count:
        return like.choices
    if backend.device != "cpu":
        return Choices(f"{count} copies of the model work side by side")
    return for_copies(count, count // workers)


def _examples_per_epoch(loaded: LoadedSpec, dataset: Dataset, splits: Splits) -> int:
    oversampling = oversampling_of(loaded, dataset)
    return len(splits.train) if oversampling is None else int(oversampling.counts(splits.train.indices).sum())


def _see_changes(request: TrainRequest, backend: Backend, listener: Listener, replicas: int) -> bool:
    """Whether the spec, or what runs it, is not that of the run's checkpoint; a person is told what.

    Raises:
        RunError: it is not, and that was not allowed.
    """
    point = request.point
    if point is None or point.contents is None:
        return False
    breaking, doubtful = machine_differences(point.engine, backend.device, replicas)
    changes = differences(spec_then(point.contents), request.loaded.spec.resolved())
    changes += [*version_differences(point.contents.versions, backend.versions), *breaking]
    if changes and not request.allow_change:
        raise refuse(changes, point)
    if changes:
        listener.notice("changed", [*changes, "What follows is not what the run would have come to without."])
    if doubtful:
        listener.notice("another machine", [*doubtful, "The last bits of what follows may be others."])
    return bool(changes)


def _see_data(request: TrainRequest, dataset: Dataset, listener: Listener) -> bool:
    """Whether the data is not that of the run's checkpoint. Raises RunError if that was not allowed."""
    point = request.point
    if point is None or point.contents is None:
        return False
    then, changes = point.contents.data, []
    if dataset.code != then.get("code"):
        changes.append(f"the code that makes the data: its digest was {then.get('code')} and is {dataset.code}")
    if have_changed(then["fingerprint"], dataset.fingerprint):
        changes.append(f"the data: its fingerprint was {then['fingerprint']} and is {dataset.fingerprint}")
    if not changes:
        return False
    if not request.allow_change:
        raise refuse(changes, point)
    listener.notice("changed", [*changes, "It is prepared as before, by what was learned from the earlier data."])
    return True


def _make_record(request: TrainRequest, ready: _Ready, best: Best) -> RunRecord:
    job, point = ready.job, request.point
    then = point.record if point is not None else {}
    command = list(request.command)
    counted = {"examples_per_epoch": job.examples_per_epoch, "sortedness": job.sortedness}
    data = {**job.facts.record(job.sizes), **counted}
    record = RunRecord(
        RunFolder(Path()), job.loaded.spec.name, list(then.get("command") or command), ready.backend,
        job.loaded.spec.seed, data, git_commit(request.spec_folder), request.is_smoke,
    )  # fmt: skip
    record.engine = {"asked": "keras" if ready.is_plain else "graph"}
    record.monitor, record.better = best.monitor, job.figures.modes(best)
    folder = request.where.data_dir
    record.data_dir = str(folder.resolve()) if folder is not None else then.get("data_dir")
    record.spec_folder, record.deterministic = str(request.spec_folder), job.loaded.spec.deterministic
    record.precision = job.loaded.spec.precision
    record.init_from = str(request.init_from.path.resolve()) if request.init_from else then.get("init_from")
    if point is not None:
        record.began = then.get("began") or record.began
        record.went_on(point, command)
    for part, seconds in ready.seconds.items():
        record.timed(part, seconds)
    return record


def _leave_at_once(hooks: Hooks, record: RunRecord) -> None:
    """At a second signal: leave the terminal and the run's folder as they should be."""
    with suppress(OSError, RunError):
        record.finish("interrupted")
        record.run.remove_parts()
    hooks.before_leaving()


def _warn_of_the_model(
    request: TrainRequest, summary: ModelSummary | None, backend: Backend, listener: Listener
) -> None:
    if summary is None or not request.is_first:
        return
    loaded = request.loaded
    parts = Parts.of(loaded.spec)
    problems = lint_model(summary, parts, machine_memory(), backend.device)
    for problem in silenced(problems, loaded.spec.silence, ()):
        lines = [problem.message, *problem.trail, *([problem.hint] if problem.hint else [])]
        listener.notice(f"warning[{problem.code}]", lines)


def _tell_of_fallback(request: TrainRequest, facts: DataFacts, listener: Listener) -> None:
    if not facts.requested or not request.is_first:
        return
    listener.notice(
        f"{facts.source} instead of {facts.requested}",
        [
            facts.reason or "",
            f"The spec's fallback, `{facts.source}`, is used instead: scores are not those of `{facts.requested}`.",
            f"To train on `{facts.requested}`, name the folder that has it with --data-dir or DLCLI_DATA_DIR.",
            "With --no-fallback this is an error.",
        ],
    )
