"""The training of one spec, from the first step to the last file of the run: epochs, best and last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras

from dlcli.data.shuffling import epoch_order
from dlcli.errors import Interrupted, RunError
from dlcli.model.objects import reason
from dlcli.model.summary import ModelSummary
from dlcli.runs import RunFolder
from dlcli.training.callbacks import hears_steps
from dlcli.training.checkpoint import Contents, load_keras_model, verify
from dlcli.training.engine import Engine, Logs, steps_of
from dlcli.training.feeding import Rows
from dlcli.training.job import Job
from dlcli.training.listening import End, EpochEnd, Listener, Start
from dlcli.training.monitoring import Best
from dlcli.training.record import RunRecord
from dlcli.training.saving import Position, Saver, has_averages
from dlcli.training.stopping import StopRequest

_SMOKE_STEPS = 3


@dataclass
class Training:
    """One training under way."""

    job: Job
    run: RunFolder
    record: RunRecord
    listener: Listener
    stop: StopRequest
    best: Best
    callbacks: Any
    summary: ModelSummary
    history: list[dict[str, Any]] = field(default_factory=list)
    steps_done: int = 0
    saver: Saver = field(init=False)

    def __post_init__(self) -> None:
        self.saver = Saver(self.run, self.job.model, partial(_contents, self))

    @property
    def position(self) -> Position:
        """Epochs done, and steps in all."""
        return Position(len(self.history), self.steps_done)

    @property
    def kept(self) -> str:
        """What a person still has of the run, if it ends here."""
        saved = self.saver.saved
        return f"{self.run.last} holds epoch {saved.epoch}." if saved else "Nothing is saved yet."


def for_smoke(job: Job) -> Job:
    """The same job on the first few batches of each split."""
    most = _SMOKE_STEPS * job.loaded.spec.dataset.batch_size
    fewer = {id(rows): Rows(rows.data, rows.order[:most]) for rows in job.rows.values()}
    return replace(job, rows={name: fewer[id(rows)] for name, rows in job.rows.items()})


def train(training: Training, *, device: str, is_smoke: bool = False) -> End:
    """Run all epochs, evaluate the best one, and write everything into the run's folder.

    Raises:
        Interrupted: a signal came; the running step was finished and `last.h5` written.
        RunError: something could not be written; the last whole checkpoint is kept and named.
    """
    began = time.perf_counter()
    job, spec = training.job, training.job.loaded.spec
    training.listener.started(_start(training, device))
    job.model.stop_training = False
    with _callbacks_work(training):
        training.callbacks.on_train_begin()
    with _kept(training):
        for epoch in range(spec.train.epochs):
            _run_epoch(training, epoch)
            if job.model.stop_training:
                break
        if training.saver.saved != training.position:
            training.saver.write(training.position)
    with _callbacks_work(training):
        training.callbacks.on_train_end()
    training.record.timed("training", time.perf_counter() - began)
    training.listener.phase("evaluating the best epoch")
    evaluating = time.perf_counter()
    metrics = _evaluate_best(training)
    training.record.timed("evaluating", time.perf_counter() - evaluating)
    training.run.write_metrics({"checkpoint": "best.h5", "epoch": training.best.epoch, **metrics})
    seconds = time.perf_counter() - began
    best = training.best
    end = End(
        training.run.path, metrics, best.epoch, best.monitor, best.value, len(training.history), seconds, is_smoke
    )
    training.listener.ended(end)
    return end


def _start(training: Training, device: str) -> Start:
    job, spec = training.job, training.job.loaded.spec
    return Start(
        name=spec.name,
        run=training.run.path,
        device=device,
        data=job.facts.described(),
        split_sizes=job.sizes,
        parameters=training.summary.parameters,
        epochs=spec.train.epochs,
        steps_per_epoch=steps_of(len(job.rows["train"]), spec.dataset.batch_size),
        batch_size=spec.dataset.batch_size,
        monitor=training.best.monitor,
        larger_is_better=training.best.larger_is_better,
    )


@contextmanager
def _callbacks_work(training: Training) -> Iterator[None]:
    """Says that a callback failed, and not dlcli."""
    try:
        yield
    except Exception as error:
        message = f"A callback of the spec failed: {type(error).__name__}: {reason(error)}"
        raise RunError(message, "Look at `train.callbacks`.") from error


@contextmanager
def _kept(training: Training) -> Iterator[None]:
    """Whatever ends the training, the best epoch is written, and a person told what there is."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        with suppress(RunError):  # the disk may be what failed
            training.saver.write_best()
        if isinstance(error, RunError):
            raise RunError(f"{error.message} {training.kept}", error.hint) from error
        raise


def _run_epoch(training: Training, epoch: int) -> None:
    job, spec = training.job, training.job.loaded.spec
    began = time.perf_counter()
    training.listener.epoch_started(epoch + 1)
    with _callbacks_work(training):
        training.callbacks.on_epoch_begin(epoch)
    order = job.rows["train"].order
    if spec.dataset.shuffle:
        order = epoch_order(order, seed=spec.seed, epoch=epoch)
    row: dict[str, Any] = {"epoch": epoch + 1}
    row.update(_train_steps(training, Rows(job.rows["train"].data, order)))
    if epoch == 0:
        _tell_of_engine(training)
    if "validation" in job.rows:
        row.update({f"val_{name}": value for name, value in _validate(training).items()})
    if training.stop.signal_number is not None:
        _leave(training, f"the training steps of epoch {epoch + 1}")
    row["learning_rate"] = _number(job.model.optimizer.learning_rate)
    row["seconds"] = round(time.perf_counter() - began, 3)
    is_best = _keep(training, row)  # first, so that no callback can lose the epoch
    with _callbacks_work(training):
        logs = {key: value for key, value in row.items() if key not in ("epoch", "learning_rate", "seconds")}
        training.callbacks.on_epoch_end(epoch, logs)
    training.listener.epoch_ended(EpochEnd(epoch + 1, row, time.perf_counter() - began, is_best))


def _tell_of_engine(training: Training) -> None:
    engine = training.job.engine
    training.record.engine = {
        "path": engine.path,
        "fallback": engine.fallback,
        "steps_a_call": engine.steps_a_call,
        "choices": engine.record(),
    }
    if engine.fallback is not None:
        lines = [
            "This model's steps cannot become a graph, so they run one by one, as in Keras's `fit`.",
            engine.fallback,
        ]
        training.listener.notice("slower steps", lines)


def _number(value: Any) -> float:
    # `float()` and NumPy take a Keras variable only through a protocol that NumPy 2 deprecates.
    return float(keras.ops.convert_to_numpy(value))


def _train_steps(training: Training, rows: Rows) -> Logs:
    callbacks, batch_size = training.callbacks, training.job.loaded.spec.dataset.batch_size
    one_by_one = hears_steps(callbacks)
    logs: Logs = {}
    passes = training.job.engine.train(rows, batch_size, one_by_one=one_by_one)
    before = training.steps_done
    if one_by_one:
        callbacks.on_train_batch_begin(0)
    for progress in passes:
        logs, training.steps_done = progress.logs, before + progress.steps
        if one_by_one:
            with _callbacks_work(training):
                callbacks.on_train_batch_end(progress.steps - 1, logs)
        training.listener.progressed(progress.steps, logs)
        if training.stop.signal_number is not None:
            _leave(training, f"step {progress.steps} of epoch {len(training.history) + 1}")
        if training.job.model.stop_training:
            break
        if one_by_one and progress.examples < len(rows):
            with _callbacks_work(training):
                callbacks.on_train_batch_begin(progress.steps)
    return logs


def _validate(training: Training) -> Logs:
    with _callbacks_work(training):
        training.callbacks.on_test_begin()
    logs = run_test(training.job.engine, training.job.rows["validation"], training.listener, training.stop)
    with _callbacks_work(training):
        training.callbacks.on_test_end(logs)
    return logs


def run_test(engine: Engine, rows: Rows, listener: Listener, stop: StopRequest | None = None) -> Logs:
    """The loss and metrics of the engine's model over `rows`."""
    logs: Logs = {}
    for progress in engine.test(rows):
        logs = progress.logs
        listener.validating(progress.examples / len(rows))
        if stop is not None and stop.signal_number is not None:
            break
    return logs


def _keep(training: Training, row: dict[str, Any]) -> bool:
    """Write the epoch into the run's folder; whether it is the best so far."""
    best, monitored = training.best, row[training.best.monitor]
    is_best = best.beaten_by(monitored)
    if is_best:
        best.epoch, best.value = row["epoch"], monitored
    training.history.append(row)
    training.saver.epoch_ended(training.position, is_best=is_best)
    training.run.append_history(row)
    if len(training.history) == 1:
        training.run.point_latest()
    return is_best


def _contents(training: Training, position: Position) -> Contents:
    job = training.job
    names = job.facts.class_names
    return Contents(
        spec=job.loaded.spec.resolved(),
        preparation=job.preparation.state(),
        encoding={"kind": job.encoding.kind, "classes": job.encoding.classes},
        class_names=list(names) if names else None,
        summary=training.summary.to_json(),
        position={"epoch": position.epoch, "step": position.step},
        history=training.history[: position.epoch],
        data=job.facts.record(job.sizes),
        versions=training.record.versions,
    )


def _leave(training: Training, where: str) -> None:
    """Save after a signal, in the middle of an epoch, and leave."""
    training.saver.write(training.position)
    training.run.point_latest()
    raise Interrupted(
        f"Stopped after {where}; everything up to there is saved in {training.run.last}.",
        signal_number=training.stop.signal_number or 0,
        hint=f"`dlcli evaluate {training.run.last}` shows how far it got.",
    )


def _evaluate_best(training: Training) -> dict[str, Logs]:
    """The figures of best.h5, read back from the file, on each split; the live model has its weights afterwards.

    Validation is not done again: the best epoch's own has the same weights, unless the checkpoint has averages of them.
    """
    job = training.job
    verify(training.run.best)
    job.model.set_weights(load_keras_model(training.run.best).get_weights())
    known: dict[str, Logs] = {}
    if "validation" in job.rows and not has_averages(job.model):
        row = training.history[training.best.epoch - 1]
        known["validation"] = {name: row[f"val_{name}"] for name in job.metric_names}
    metrics: dict[str, Logs] = {}
    for name, rows in job.rows.items():
        same = next((other for other in known if job.rows[other] is rows), None)
        known[name] = known[same] if same else run_test(job.engine, rows, training.listener, training.stop)
        metrics[name] = known[name]
        if training.stop.signal_number is not None:
            raise Interrupted(
                "Stopped while the best epoch was evaluated; all checkpoints are saved.",
                signal_number=training.stop.signal_number,
                hint=f"`dlcli evaluate {training.run.best}` does it again.",
            )
    return metrics
