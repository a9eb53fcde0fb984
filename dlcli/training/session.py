"""One training from beginning to end: what `dlcli train` does, as a function."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlcli.data.loading import ReadAhead
from dlcli.errors import RunError, SpecError
from dlcli.model.lints import lint_model, machine_memory
from dlcli.runs import RunFolder, check_free, check_writable, create_run
from dlcli.spec.lints import silenced
from dlcli.spec.parts import EVERYTHING, Parts
from dlcli.training.backend import DeviceChoice, start_backend, use_threads
from dlcli.training.choices import Choices, choose
from dlcli.training.listening import End, Listener
from dlcli.training.record import RunRecord, git_commit, recorded
from dlcli.training.stopping import StopRequest

if TYPE_CHECKING:
    from dlcli.data.where import Where
    from dlcli.model.summary import ModelSummary
    from dlcli.spec.loading import LoadedSpec
    from dlcli.training.job import DataFacts


@dataclass(frozen=True)
class TrainRequest:
    """What to train, and where its files go.

    Attributes:
        loaded: the spec, with what the command line says above it.
        written: the text of the spec's file, kept in the run's folder.
        spec_folder: where the spec's file is.
        where: where data may come from.
        device: "auto", "cpu" or "gpu".
        runs_dir: the folder of all runs.
        run_name: the name of this run's folder; None for the time.
        is_smoke: whether only a few batches go through the whole path.
        is_plain: whether the steps run as in Keras's own `fit`.
        command: the command line, for run.json.
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


@dataclass(frozen=True)
class Hooks:
    """What the caller does meanwhile.

    Attributes:
        on_run: the run's folder is there.
        summary_text: the text for summary.txt.
        before_leaving: a second signal came, and the process is about to end.
    """

    on_run: Callable[[RunFolder], None]
    summary_text: Callable[[ModelSummary], str]
    before_leaving: Callable[[], object]


def run_training(request: TrainRequest, listener: Listener, hooks: Hooks) -> End:
    """Train as requested.

    Raises:
        SpecError, DataError, DeviceError, RunError: as their names say; before training starts,
            nothing but an empty runs folder is written.
        Interrupted: a signal came; the work is saved.
    """
    spec = request.loaded.spec
    check_writable(request.runs_dir)
    check_free(request.runs_dir, spec.name, request.run_name)
    began = time.perf_counter()
    reading = ReadAhead(request.loaded, request.where)
    listener.phase("starting TensorFlow")
    backend = start_backend(request.device)

    # Only now: what these import imports TensorFlow, which reads its environment then.
    from dlcli.model.summary import summarize
    from dlcli.training.callbacks import callback_list, check_monitored, make_callbacks
    from dlcli.training.job import assemble
    from dlcli.training.monitoring import choose_best
    from dlcli.training.rehearsal import rehearse
    from dlcli.training.trainer import Training, for_smoke, train

    started = time.perf_counter()
    listener.phase("checking the model")
    choices = Choices("Keras's own way was asked for")

    def choose_for(model: ModelSummary) -> None:
        nonlocal choices
        if not request.is_plain:
            choices = use_threads(choose(model, spec.dataset.batch_size, backend.device))

    rehearsal = rehearse(request.loaded, EVERYTHING, choose_for)
    if rehearsal.problems:
        raise SpecError(rehearsal.problems)
    _warn_of_the_model(request.loaded, rehearsal.summary, listener)
    listener.phase("loading the data and building the model")
    job = assemble(request.loaded, reading.result(), plain=request.is_plain, choices=choices)
    assembled = time.perf_counter()
    if job.facts.requested:
        _tell_of_fallback(job.facts, listener)
    job = for_smoke(job) if request.is_smoke else job
    best = choose_best(job.loaded, job.figures)
    files = None if request.is_smoke else request.spec_folder
    check_monitored(job.loaded, make_callbacks(job.loaded), job.figures)
    summary = summarize(job.model)
    run = create_run(request.runs_dir, spec.name, request.run_name)
    record = RunRecord(
        run, spec.name, list(request.command), backend, spec.seed, job.facts.record(job.sizes),
        git_commit(request.spec_folder), request.is_smoke,
    )  # fmt: skip
    record.timed("starting", started - began)
    record.timed("assembling", assembled - started)
    with recorded(record), StopRequest(lambda: _leave_at_once(hooks, record)) as stop:
        record.write()
        hooks.on_run(run)
        run.write_spec(request.written, spec.resolved())
        run.write_summary(hooks.summary_text(summary), summary.to_json())
        callbacks = callback_list(job, run.path, files)
        training = Training(job, run, record, listener, stop, best, callbacks, summary)
        return train(training, device=backend.device_name, is_smoke=request.is_smoke)


def _leave_at_once(hooks: Hooks, record: RunRecord) -> None:
    """At a second signal: leave the terminal and the run's folder as they should be."""
    with suppress(OSError, RunError):
        record.finish("interrupted")
        for part in record.run.path.rglob(".*.part*"):
            part.unlink()
    hooks.before_leaving()


def _warn_of_the_model(loaded: LoadedSpec, summary: ModelSummary | None, listener: Listener) -> None:
    if summary is None:
        return
    parts = Parts.of(loaded.spec)
    for problem in silenced(lint_model(summary, parts, machine_memory()), loaded.spec.silence, ()):
        lines = [problem.message, *problem.trail, *([problem.hint] if problem.hint else [])]
        listener.notice(f"warning[{problem.code}]", lines)


def _tell_of_fallback(facts: DataFacts, listener: Listener) -> None:
    listener.notice(
        f"{facts.source} instead of {facts.requested}",
        [
            facts.reason or "",
            f"The spec's fallback, `{facts.source}`, is used instead: scores are not those of `{facts.requested}`.",
            f"To train on `{facts.requested}`, name the folder that has it with --data-dir or DLCLI_DATA_DIR.",
            "With --no-fallback this is an error.",
        ],
    )
