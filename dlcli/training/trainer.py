"""The training of one spec, from the first step to the last file of the run: epochs, validation, callbacks, the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from dlcli.data.scaling import scales_of
from dlcli.errors import Interrupted
from dlcli.training.callback_state import begin_patience_anew, go_on_in_files
from dlcli.training.callbacks import hears_steps
from dlcli.training.checkpoint import Contents, open_checkpoint
from dlcli.training.diverging import DivergenceError, check_finite, go_back
from dlcli.training.engine import Collect, Engine, Logs, steps_of
from dlcli.training.failing import callbacks_work, kept
from dlcli.training.feeding import Rows
from dlcli.training.final import shown_split
from dlcli.training.going_on import InEpoch
from dlcli.training.job import Job
from dlcli.training.listening import End, EpochEnd, Listener, Start
from dlcli.training.loss_scaling import check_scale, loss_scaling, steps_applied
from dlcli.training.resuming import Point
from dlcli.training.state import has_averages
from dlcli.training.stopping import Stop
from dlcli.training.training import Training
from dlcli.training.trivial import gains, last_value_figures, trivial_figures

_SMOKE_STEPS = 3


def for_smoke(job: Job) -> Job:
    """The same job on the first few batches of each split."""
    most = _SMOKE_STEPS * job.loaded.spec.dataset.batch_size
    fewer = {id(rows): Rows(rows.data, rows.order[:most]) for rows in job.rows.values()}
    return replace(job, rows={name: fewer[id(rows)] for name, rows in job.rows.items()})


def train(
    training: Training, point: Point | None = None, *, device: str, is_smoke: bool = False, is_changed: bool = False
) -> End:
    """Run all epochs, evaluate the best one, and write everything into the run's folder.

    Args:
        training: with a model that is as it was made.
        point: where to go on from; None to begin.
        device: for a person.
        is_smoke: whether only a few batches are there.
        is_changed: whether the training is not the one of the point.

    Raises:
        Interrupted: a signal came, or the time was up; the running step was finished and `last.h5` written.
        RunError: something could not be written, or the loss is no number; the last whole checkpoint is kept and named.
        CheckpointError: the checkpoint does not fit the model.
    """
    job, spec = training.job, training.job.loaded.spec
    job.model.stop_training = False
    going_on = point.going_on if point is not None else None
    if point is not None:
        rows = point.contents.history if point.contents else []
        training.run.rewrite_history(rows)
        heard = len(rows) if going_on is None or going_on.callbacks_done else len(rows) - 1
        go_on_in_files(training.callbacks.callbacks, heard)
    with callbacks_work():
        training.callbacks.on_train_begin()
    training.begun()
    if point is not None and point.checkpoint is not None:
        training.resume(point.checkpoint, is_changed=is_changed)
    elif not training.saver.is_large:
        training.first = training.take(copied=True)
    training.listener.started(_start(training, device))
    with kept(training):
        if spec.train.divergence is not None and training.saver.saved is None:
            training.saver.write()  # there must be something to go back to
        for follower in training.followers:
            follower.go_on(training.history[: None if training.callbacks_done else -1])
        _hear_of_last_epoch(training)
        if point is not None and point.contents is not None and _is_extended(point.contents, spec.train.epochs):
            job.model.stop_training = False
            begin_patience_anew(training.callbacks.callbacks)
        while len(training.history) < spec.train.epochs and not job.model.stop_training:
            _run_epoch(training)
        training.saver.finish()
        # Callbacks change things after an epoch's checkpoint is written: the last one has what they did.
        if training.saver.saved != training.position or training.callbacks.callbacks:
            training.saver.write()
        training.saver.write_best()
    with callbacks_work():
        training.callbacks.on_train_end()
    training.record.timed("training", training.seconds)
    training.record.loss_scaling = loss_scaling(job.model, training.steps_done)
    training.listener.phase("evaluating the best epoch")
    evaluating = time.perf_counter()
    metrics = _evaluate_best(training)
    training.record.timed("evaluating", time.perf_counter() - evaluating)
    training.run.write_metrics({"checkpoint": "best.h5", "epoch": training.best.epoch, **metrics})
    end = _end(training, metrics, is_smoke=is_smoke)
    training.listener.ended(end)
    return end


def _end(training: Training, metrics: Mapping[str, Logs], *, is_smoke: bool) -> End:
    best, split = training.best, shown_split(metrics)
    job, figures = training.job, metrics[split]
    trivial, last_value = (
        {name: value for name, value in known.items() if name in figures}
        for known in (trivial_figures(job, job.rows[split]), last_value_figures(job, job.rows[split]))
    )
    known = {what: figures for what, figures in (("trivial", trivial), ("last value", last_value)) if figures}
    training.record.without_model = {"split": split, **known} if known else {}
    return End(
        training.run.path, metrics, trivial, split, gains(figures, trivial, last_value), best.epoch, best.monitor,
        best.value, len(training.history), training.seconds, is_smoke, last_value,
    )  # fmt: skip


def _is_extended(contents: Contents, epochs: int) -> bool:
    then: int = contents.spec["train"]["epochs"]
    return epochs > then


def _start(training: Training, device: str) -> Start:
    job, spec = training.job, training.job.loaded.spec
    return Start(
        name=spec.name,
        run=training.run.path,
        device=device,
        data=job.facts.described(),
        split_sizes=job.sizes,
        examples_per_epoch=job.examples_per_epoch,
        parameters=training.summary.parameters,
        epochs=spec.train.epochs,
        steps_per_epoch=steps_of(job.examples_per_epoch, spec.dataset.batch_size),
        batch_size=spec.dataset.batch_size,
        monitor=training.best.monitor,
        larger_is_better=training.best.larger_is_better,
        epochs_done=len(training.history),
        steps_done=training.in_epoch.steps if training.in_epoch else 0,
        is_resumed=training.saver.saved is not None,
        scales=scales_of(job.encoding),
    )


def _run_epoch(training: Training) -> None:
    job, epoch = training.job, len(training.history)
    begun = training.in_epoch
    began = time.perf_counter() - (begun.seconds if begun else 0.0)
    training.listener.epoch_started(epoch + 1)
    if begun is None:
        with callbacks_work():
            training.callbacks.on_epoch_begin(epoch)
    row: dict[str, Any] = {"epoch": epoch + 1}
    applied = steps_applied(job.model)
    try:
        row.update(_train_steps(training, job.training_rows(job.epoch_order(epoch)), began))
    except DivergenceError as error:
        go_back(training, error)
        for follower in training.followers:
            follower.go_on(training.history)
        return
    check_scale(job.model, applied, f"steps of epoch {epoch + 1}")
    if "path" not in training.record.engine:
        _tell_of_engine(training)
    drawn = training.state.drawn()
    if "validation" in job.rows:
        row.update({f"val_{name}": value for name, value in _validate(training).items()})
    if training.stop.is_asked:
        training.state.draw_again(drawn)  # the validation will be done anew
        _leave(training, f"the training steps of epoch {epoch + 1}")
    row["learning_rate"] = _number(job.model.optimizer.learning_rate)
    row["seconds"] = round(time.perf_counter() - began, 3)
    training.in_epoch, training.callbacks_done = None, False
    is_best = _keep(training, row)  # first, so that no callback can lose the epoch
    _hear_of_last_epoch(training)
    job.model.stop_training = job.engine.division.any(bool(job.model.stop_training))
    training.listener.epoch_ended(EpochEnd(epoch + 1, row, time.perf_counter() - began, is_best))


def _hear_of_last_epoch(training: Training) -> None:
    """Let the callbacks hear of the end of the last epoch that is done, unless they have."""
    if training.callbacks_done:
        return
    row = training.history[-1]
    logs = {key: value for key, value in row.items() if key not in ("epoch", "learning_rate", "seconds")}
    for follower in training.followers:
        follower.epoch_ended(row)
    with callbacks_work():
        training.callbacks.on_epoch_end(len(training.history) - 1, logs)
    training.callbacks_done = True


def _tell_of_engine(training: Training) -> None:
    engine = training.job.engine
    training.record.engine.update(training.record.engine_now(engine), steps_a_call=engine.steps_a_call)
    if engine.fallback is not None:
        lines = [
            "This model's steps cannot become a graph, so they run one by one, as in Keras's `fit`.",
            engine.fallback,
        ]
        training.listener.notice("slower steps", lines)


def _number(value: Any) -> float:
    # `float()` and NumPy take a Keras variable only through a protocol that NumPy 2 deprecates.
    return float(keras.ops.convert_to_numpy(value))


def _train_steps(training: Training, rows: Rows, began: float) -> Logs:
    """The steps of the epoch that are still to be done; the figures of all of them."""
    callbacks, batch_size = training.callbacks, training.job.loaded.spec.dataset.batch_size
    one_by_one = hears_steps(callbacks)
    before = training.in_epoch or InEpoch(0, 0.0, {})
    logs, steps_before = before.logs, training.steps_done
    first = before.steps * batch_size
    if first >= len(rows) or (first and training.job.model.stop_training):
        return logs
    passes = training.job.engine.train(rows, batch_size, one_by_one=one_by_one, first=first)
    if one_by_one:
        callbacks.on_train_batch_begin(before.steps)
    for progress in passes:
        steps, logs = before.steps + progress.steps, progress.logs
        training.steps_done = steps_before + progress.steps
        training.in_epoch = InEpoch(steps, time.perf_counter() - began, logs)
        check_finite(steps, logs)
        if one_by_one:
            with callbacks_work():
                callbacks.on_train_batch_end(steps - 1, logs)
        training.listener.progressed(steps, logs)
        if training.stop.is_asked:
            _leave(training, f"step {steps} of epoch {len(training.history) + 1}")
        if training.job.model.stop_training:
            break
        training.saver.progressed(training.position)
        if one_by_one and first + progress.examples < len(rows):
            with callbacks_work():
                callbacks.on_train_batch_begin(steps)
    return logs


def _validate(training: Training) -> Logs:
    with callbacks_work():
        training.callbacks.on_test_begin()
    collect, rows = training.validation_collector(), training.job.rows["validation"]
    logs = run_test(training.job.engine, rows, training.listener, training.stop, collect)
    with callbacks_work():
        training.callbacks.on_test_end(logs)
    return logs


def run_test(
    engine: Engine, rows: Rows, listener: Listener, stop: Stop | None = None, collect: Collect | None = None
) -> Logs:
    """The loss and metrics of the engine's model over `rows`; what it puts out goes to `collect`, if that is given."""
    logs: Logs = {}
    for progress in engine.test(rows) if collect is None else engine.evaluate(rows, collect):
        logs = progress.logs
        listener.validating(progress.examples / len(rows))
        if stop is not None and stop.is_asked:
            break
    return logs


def _keep(training: Training, row: dict[str, Any]) -> bool:
    """Write the epoch into the run's folder; whether it is the best so far."""
    best, monitored = training.best, row[training.best.monitor]
    is_best = best.beaten_by(monitored)
    if is_best:
        training.found_best(row["epoch"], monitored)
    training.history.append(row)
    training.saver.epoch_ended(is_best=is_best)
    training.run.append_history(row)
    if len(training.history) == 1:
        training.run.point_latest()
    return is_best


def _leave(training: Training, where: str) -> None:
    """Save after a signal, in the middle of an epoch, and leave."""
    training.saver.write()
    training.run.point_latest()
    raise Interrupted(
        f"Stopped after {where}{training.stop.why}; everything up to there is saved in {training.run.last}.",
        signal_number=training.stop.signal_number,
        hint=f"`dlcli train --resume {training.run.path}` goes on from there.",
    )


def _evaluate_best(training: Training) -> dict[str, Logs]:
    """The figures of best.h5, read back from the file, on each split; the live model has its weights afterwards.

    Validation is not done again: the best epoch's own has the same weights, unless the checkpoint has averages of them.
    """
    job = training.job
    open_checkpoint(training.run.best).load_weights(job.model)
    known: dict[str, Logs] = {}
    if training.outputs_of != training.best.epoch:
        training.outputs = []
    if "validation" in job.rows and not has_averages(job.model):
        row = training.row_of(training.best.epoch)
        known["validation"] = {name: row[f"val_{name}"] for name in job.metric_names}
    metrics: dict[str, Logs] = {}
    for name, rows in job.rows.items():
        same = next((other for other in known if job.rows[other] is rows), None)
        collect = training.collector(name)
        known[name] = known[same] if same else run_test(job.engine, rows, training.listener, training.stop, collect)
        metrics[name] = known[name]
        if training.stop.is_asked:
            raise Interrupted(
                f"Stopped while the best epoch was evaluated{training.stop.why}; all checkpoints are saved.",
                signal_number=training.stop.signal_number,
                hint=f"`dlcli train --resume {training.run.path}` does it again.",
            )
    return metrics
