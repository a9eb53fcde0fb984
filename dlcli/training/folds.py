"""Cross-validation: a training for each fold, one after another in one process, and what they come to together."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from dlcli.errors import DivergedError, Interrupted, RunError
from dlcli.runs import RunFolder, check_free, check_writable
from dlcli.spec.loading import LoadedSpec
from dlcli.training.crew import shared_point
from dlcli.training.listening import FoldEnd, FoldsEnd, Listener
from dlcli.training.resuming import Point, find_point
from dlcli.training.session import Hooks, TrainRequest, run_training
from dlcli.training.stopping import Stop
from dlcli.training.whole import Whole

Figures = Mapping[str, Mapping[str, float]]


def run_folds(request: TrainRequest, listener: Listener, hooks: Hooks) -> FoldsEnd:
    """Train for each fold that is not done, as requested for all of them.

    The examples are read once; each fold has a model, and numbers of a table's columns, of its own.

    Raises:
        SpecError, DataError, DeviceError, RunError: as `run_training` does. A fold whose loss becomes no number does
            not keep the others from being trained; the error comes at the end.
        Interrupted: a signal came, or the time was up; the work is saved.
    """
    until = time.monotonic() + request.max_seconds if request.max_seconds is not None else None
    where = request.where
    where = replace(where, notify=_once(where.notify), beside=(*where.beside, request.spec_folder))
    request = replace(request, where=where)
    ends: list[FoldsEnd] = []
    try:
        with ExitStack() as stack:
            if request.point is not None and request.point.run is not None:
                stack.enter_context(request.point.run.locked())
                request.point.run.remove_parts()
            else:
                check_writable(request.runs_dir)
                check_free(request.parent, request.run_name)
            _train_folds(request, Whole(request, stack, until, hooks.before_leaving), listener, hooks, ends.append)
    finally:
        for end in ends:
            if hooks.on_folds_end is not None:
                hooks.on_folds_end(end)
    return ends[0]


def _train_folds(
    request: TrainRequest, whole: Whole, listener: Listener, hooks: Hooks, ended: Callable[[FoldsEnd], object]
) -> None:
    """Train for each fold in turn; `ended` gets what they came to, before it is an error that some have failed."""
    folds = request.loaded.spec.dataset.folds or 0
    failed: dict[int, DivergedError] = {}
    for number in range(1, folds + 1):
        try:
            _train_fold(request, whole, number, listener, hooks)
        except DivergedError as error:
            failed[number] = DivergedError(error.message, error.hint)  # not with all that the error has seen
            listener.notice(f"fold {number} failed", [error.message, *([error.hint] if error.hint else [])])
    end = _end(whole, request, folds)
    listener.folds_ended(end)
    ended(end)
    if failed:
        raise _failed(failed, folds)


def _train_fold(request: TrainRequest, whole: Whole, number: int, listener: Listener, hooks: Hooks) -> None:
    """Train for a fold, or go on with it, unless it is done."""
    folds = request.loaded.spec.dataset.folds or 0
    point = _point(whole.run, number, request)
    if point is not None and point.is_at_end(request.loaded.spec.train.epochs):
        return
    stop = _stop(request, whole)
    if stop.is_asked:
        raise _interrupted(f"Stopped before fold {number} of {folds}{stop.why}.", request, whole, stop.signal_number)
    listener.fold_started(number, folds)
    brings_weights = point is not None and point.checkpoint is not None
    one = replace(
        request, loaded=_of_fold(request, number, point), point=point, whole=whole, max_seconds=None,
        run_name=RunFolder.name_of_fold(number), init_from=None if brings_weights else request.init_from,
    )  # fmt: skip
    try:
        run_training(one, listener, hooks)
    except Interrupted as error:
        message = f"Fold {number} of {folds}: {error.message}"
        raise _interrupted(message, request, whole, error.exit_code - 128) from error


def _point(whole: RunFolder | None, number: int, request: TrainRequest) -> Point | None:
    """Where the fold goes on from; all workers, from where the chief does."""
    run = whole.fold(number) if whole is not None else None
    point = find_point(run.path, request.where.notify) if run is not None and run.path.exists() else None
    return point if request.crew is None else shared_point(request.crew, point)


def _stop(request: TrainRequest, whole: Whole) -> Stop:
    """Whether to stop before the next fold; of several workers, all or none."""
    if request.crew is None:
        return whole.stop
    stop = request.crew.stop.follow(whole.stop)
    stop.agree({})
    return stop


def _of_fold(request: TrainRequest, number: int, point: Point | None) -> LoadedSpec:
    """The spec of a fold, with its data where that had to be read to know it."""
    from dlcli.data.looking import look_for_fold

    recorded = point.data if point is not None and point.contents is not None else None
    if recorded is None and request.loaded.data and number == 1:
        looked = request.loaded.of_fold(number)
        looked.data.append(request.loaded.data.pop())
        return looked
    request.loaded.data.clear()  # nobody else needs it
    return look_for_fold(request.loaded, number, request.where, recorded)


def _interrupted(message: str, request: TrainRequest, whole: Whole, signal_number: int) -> Interrupted:
    is_kept = whole.run is not None and (request.crew is None or request.crew.is_chief)
    hint = f"`dlcli train --resume {whole.run.path}` goes on from there." if whole.run and is_kept else None
    return Interrupted(message, signal_number=signal_number, hint=hint)


def _end(whole: Whole, request: TrainRequest, folds: int) -> FoldsEnd:
    """What the folds came to, which metrics.json has as well."""
    if whole.run is None:
        raise RunError("No fold has begun.")
    run = whole.run
    every = [fold_end(run.fold(number), number) for number in range(1, folds + 1)]
    mean, deviation = spread([one.metrics for one in every if one.metrics is not None])
    if not whole.has_begun:
        run.write_record({**run.read_record(), "state": "done", "error": None})
    end = FoldsEnd(run.path, every, mean, deviation, request.is_smoke)
    run.write_metrics(end.to_json())
    return end


def fold_end(run: RunFolder, number: int) -> FoldEnd:
    """What a fold has come to, by its folder."""
    record = run.read_record() if run.path.exists() else {}
    if record.get("state") != "done":
        return FoldEnd(number, run.path, None, None, record.get("error") or "It is not done.")
    found = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    metrics = {
        split: {name: math.nan if value is None else float(value) for name, value in figures.items()}
        for split, figures in found.items()
        if isinstance(figures, dict)
    }
    return FoldEnd(number, run.path, int(found["epoch"]), metrics, None, record.get("without_model") or {})


def spread(every: Sequence[Figures]) -> tuple[Figures, Figures]:
    """Mean and standard deviation (of a sample: by n - 1; no number for a single one) of the same figures."""

    def of(take: Callable[[Sequence[float]], float]) -> dict[str, dict[str, float]]:
        return {
            split: {name: take([one[split][name] for one in every]) for name in figures}
            for split, figures in (every[0].items() if every else ())
        }

    return of(statistics.fmean), of(_deviation)


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan


def _failed(failed: Mapping[int, DivergedError], folds: int) -> RunError:
    numbers = ", ".join(map(str, failed))
    first = next(iter(failed.values()))
    which = f"Fold {numbers} of {folds} failed" if len(failed) == 1 else f"Folds {numbers} of {folds} failed"
    return RunError(f"{which}: {first.message}", first.hint)


def _once(notify: Callable[[str], object]) -> Callable[[str], None]:
    """Tells each sentence once, though every fold may have it to say."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            notify(text)

    return tell
