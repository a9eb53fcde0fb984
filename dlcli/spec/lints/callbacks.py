"""Rules about callbacks and the choice of the best epoch: whether they can do what they are there for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import DatasetSpec, TrainSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.written import counted, number, place_of

# As in Keras 3.15.1: what they monitor, and for how many epochs they wait, where the spec does not say.
_MONITOR = {"EarlyStopping": "val_loss", "ReduceLROnPlateau": "val_loss", "ModelCheckpoint": "val_loss"}
_PATIENCE = {"EarlyStopping": 0, "ReduceLROnPlateau": 10}
_FALLING = re.compile(r"loss|error|entropy|divergence|hinge")
_RISING = re.compile(r"accuracy|acc|auc|precision|recall|f1|r2|iou|io_u")


def monitor_of(callback: KerasObject) -> str | None:
    """The figure that a callback monitors; None if it monitors none."""
    written = callback.arguments.get("monitor", _MONITOR.get(callback.name))
    return written if isinstance(written, str) else None


def _earliest(callback: KerasObject) -> int | None:
    """In which epoch, from 0, a callback that waits can act at the earliest; None if it does not wait.

    The first epoch that it looks at is the best so far, so that it takes at least one more.
    """
    if callback.name not in _PATIENCE:
        return None
    patience = number(callback.arguments.get("patience", _PATIENCE[callback.name]))
    start = number(callback.arguments.get("start_from_epoch", 0))
    return None if patience is None or start is None else int(start + max(1.0, patience))


def _placed(train: TrainSpec, *names: str) -> Iterator[tuple[KerasObject, Path]]:
    for position, callback in enumerate(train.callbacks):
        if callback.name in names:
            yield callback, place_of(callback, ("train", "callbacks", position))


def _at(callback: KerasObject, path: Path, argument: str) -> Path:
    return (*path, argument) if argument in callback.arguments else path


def _beyond_run(train: TrainSpec) -> Iterator[Problem]:
    for callback, path in _placed(train, *_PATIENCE):
        earliest = _earliest(callback)
        if earliest is not None and earliest >= train.epochs - 1:
            does = "stop the training" if callback.name == "EarlyStopping" else "lower the learning rate"
            shorter = f", or use `patience: {train.epochs // 5}`" if train.epochs >= 10 else ""
            yield Problem(
                f"`{callback.name}` can {does} after {counted(earliest + 1, 'epoch')} at the earliest, but the run has "
                f"{train.epochs:,}: it never comes to that.",
                _at(callback, path, "patience"),
                f"Train for longer{shorter}.",
            )


def _is_impatient(callback: KerasObject) -> bool:
    return callback.name == "EarlyStopping" and number(callback.arguments.get("patience", 0)) == 0


def _no_patience(train: TrainSpec) -> Iterator[Problem]:
    for callback, path in _placed(train, "EarlyStopping"):
        if _is_impatient(callback) and train.epochs > 2:
            by_default = "" if "patience" in callback.arguments else ", which is what it is when left out"
            yield Problem(
                f"With a patience of 0{by_default}, training stops after the first epoch in which "
                f"`{monitor_of(callback)}` does not improve, though it goes up and down by chance.",
                _at(callback, path, "patience"),
                f"Add `patience: {max(2, train.epochs // 10)}`.",
            )


def _stops_first(train: TrainSpec) -> Iterator[Problem]:
    for reducing, path in _placed(train, "ReduceLROnPlateau"):
        for stopping, _ in _placed(train, "EarlyStopping"):
            reduced, stopped = _earliest(reducing), _earliest(stopping)
            if reduced is None or stopped is None or monitor_of(reducing) != monitor_of(stopping):
                continue
            if stopped <= reduced < train.epochs - 1 and not _is_impatient(stopping):
                yield Problem(
                    f"`EarlyStopping` stops after {counted(stopped, 'epoch')} without improvement, before "
                    f"`ReduceLROnPlateau`, which waits for {reduced}, can make use of a lower learning rate.",
                    _at(reducing, path, "patience"),
                    f"Let it wait for about half as long: `patience: {max(1, stopped // 2)}`.",
                )


def _wrong_mode(train: TrainSpec) -> Iterator[Problem]:
    asked: list[tuple[str | None, object, Path]] = [(train.monitor, train.mode, ("train", "mode"))]
    for callback, path in _placed(train, *_MONITOR):
        asked.append((monitor_of(callback), callback.arguments.get("mode"), (*path, "mode")))
    for monitor, mode, path in asked:
        better = _better(monitor or "loss")
        if better and mode in ("min", "max") and mode != better:
            is_better = "a smaller" if better == "min" else "a larger"
            yield Problem(
                f"With `mode: {mode}`, the worst `{monitor or 'loss'}` counts as the best: {is_better} one is better.",
                path,
                f"Remove `mode`, or write `mode: {better}`.",
            )


def _better(figure: str) -> str | None:
    """ "min" or "max", as far as a figure's name tells."""
    if _FALLING.search(figure):
        return "min"
    return "max" if _RISING.search(figure) else None


def _monitors_training(dataset: DatasetSpec, train: TrainSpec) -> Iterator[Problem]:
    if not dataset.is_validated or dataset.validation == "test":
        return
    asked: list[tuple[str | None, str, Path]] = [(train.monitor, "the best epoch is chosen", ("train", "monitor"))]
    for callback, path in _placed(train, "EarlyStopping"):
        asked.append((monitor_of(callback), "it is decided when to stop", _at(callback, path, "monitor")))
    for callback, path in _placed(train, "ModelCheckpoint"):
        if callback.arguments.get("save_best_only") is True:
            asked.append((monitor_of(callback), "the best epoch is saved", _at(callback, path, "monitor")))
    for monitor, what, path in asked:
        if monitor and not monitor.startswith("val_") and _better(monitor):
            yield Problem(
                f"By `{monitor}`, {what} from the examples that were trained on, which goes on improving when the "
                "model only learns them by heart; the validation examples are not asked.",
                path,
                f"Use `val_{monitor}`.",
            )


RULES = (
    Rule("patience-beyond-run", "a callback that waits longer than the run lasts", _beyond_run),
    Rule("no-patience", "early stopping at the first epoch that is not better", _no_patience),
    Rule("stops-before-reducing", "early stopping before the learning rate can be reduced", _stops_first),
    Rule("wrong-mode", "the best taken for the worst, such as `mode: min` for an accuracy", _wrong_mode),
    Rule("monitors-training", "a choice by the training loss, with validation examples at hand", _monitors_training),
)
