"""The spec's callbacks: made, checked, and asked what they listen to."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from dlcli.data.encoding import Encodings
from dlcli.errors import Problem
from dlcli.model.objects import ObjectError, make_object
from dlcli.spec.loading import LoadedSpec
from dlcli.training.engine import steps_of
from dlcli.training.job import Job
from dlcli.training.monitoring import Figures

_FILE_ARGUMENTS = ("filepath", "filename", "log_dir", "backup_dir")
_STEP_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def check_monitored(loaded: LoadedSpec, callbacks: Sequence[Any], figures: Figures) -> None:
    """See that the spec's callbacks, in its order, get the figures that they monitor. Raises SpecError."""
    problems = []
    for number, callback in enumerate(callbacks):
        monitor, name = getattr(callback, "monitor", None), type(callback).__name__
        if isinstance(monitor, str) and monitor != "learning_rate":
            path = ("train", "callbacks", number, name, "monitor")
            problems.append(figures.missing(monitor, path, f" for `{name}`"))
    found = [problem for problem in problems if problem is not None]
    if found:
        raise loaded.error(*found)


def callback_list(job: Job, run: Path, files: Path | None) -> Any:
    """The spec's callbacks, as Keras's CallbackList.

    Files that they are told to write are relative to the folder `files`, the spec's own; None for the run's folder.

    Raises:
        SpecError: Keras does not accept one of them.
    """
    spec = job.loaded.spec
    steps = steps_of(job.examples_per_epoch, spec.dataset.batch_size)
    made = make_callbacks(job.loaded, run, files)
    if isinstance(job.encoding, Encodings):
        _say_directions(made, job.figures)
    return keras.callbacks.CallbackList(made, model=job.model, epochs=spec.train.epochs, steps=steps, verbose=0)


def _say_directions(callbacks: Sequence[Any], figures: Figures) -> None:
    """Tell callbacks which way is better: of a metric of one of several outputs, Keras 3.15.1 does not find out."""
    for callback in callbacks:
        larger = figures.larger_is_better.get(str(getattr(callback, "monitor", None)))
        if getattr(callback, "mode", None) == "auto" and larger is not None:
            callback.mode = "max" if larger else "min"


def make_callbacks(loaded: LoadedSpec, run: Path = Path(), files: Path | None = None) -> list[Any]:
    """The spec's callbacks, which know no model yet; see `callback_list`. Raises SpecError."""
    return [make_callback(loaded, number, run, files) for number in range(len(loaded.spec.train.callbacks))]


def make_callback(loaded: LoadedSpec, number: int, run: Path, files: Path | None) -> Any:
    """One of the spec's callbacks. Raises SpecError."""
    written = loaded.spec.train.callbacks[number]
    path = ("train", "callbacks", number)
    if written.name == "TensorBoard" and find_spec("tensorboard") is None:
        message = "`TensorBoard` needs the package tensorboard, which TensorFlow 2.21 no longer brings."
        raise loaded.error(Problem(message, path, "Install it: pip install tensorboard."))
    arguments = {
        name: str((files or run) / value) if name in _FILE_ARGUMENTS and isinstance(value, str) else value
        for name, value in written.arguments.items()
    }
    if written.name == "TensorBoard":
        arguments.setdefault("log_dir", str(run / "tensorboard"))
    try:
        return make_object("callback", {written.name: arguments}, path)
    except ObjectError as error:
        raise loaded.error(error.problem) from error


def hears_steps(callbacks: Any) -> bool:
    """Whether a callback of the list wants to know of each step."""
    base = keras.callbacks.Callback
    return any(
        getattr(type(callback), hook) is not getattr(base, hook)
        for callback in callbacks.callbacks
        for hook in _STEP_HOOKS
    )
