"""The spec's callbacks: checked, made, and asked what they listen to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from dlcli.errors import Problem
from dlcli.model.objects import ObjectError, make_object
from dlcli.training.engine import steps_of
from dlcli.training.job import Job
from dlcli.training.monitoring import figures_of, listed

_FILE_ARGUMENTS = ("filepath", "filename", "log_dir", "backup_dir")
_STEP_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def check_callbacks(job: Job) -> None:
    """See that the spec's callbacks can be made and get the figures that they monitor. Raises SpecError."""
    names = figures_of(job)
    for number, callback in enumerate(_made_callbacks(job, Path(), None)):
        monitored = getattr(callback, "monitor", None)
        if isinstance(monitored, str) and monitored not in (*names, "learning_rate"):
            message = f"Training gives no figure `{monitored}` for `{type(callback).__name__}` to monitor."
            path = ("train", "callbacks", number, type(callback).__name__, "monitor")
            raise job.loaded.error(Problem(message, path, listed(names)))


def make_callbacks(job: Job, run: Path, files: Path | None) -> Any:
    """The spec's callbacks, as Keras's CallbackList.

    Files that they are told to write are relative to the folder `files`, the spec's own; None for the run's folder.

    Raises:
        SpecError: Keras does not accept one of them.
    """
    spec = job.loaded.spec
    steps = steps_of(len(job.rows["train"]), spec.dataset.batch_size)
    made = _made_callbacks(job, run, files)
    return keras.callbacks.CallbackList(made, model=job.model, epochs=spec.train.epochs, steps=steps, verbose=0)


def _made_callbacks(job: Job, run: Path, files: Path | None) -> list[Any]:
    made = []
    for number, written in enumerate(job.loaded.spec.train.callbacks):
        path = ("train", "callbacks", number)
        if written.name == "TensorBoard" and find_spec("tensorboard") is None:
            message = "`TensorBoard` needs the package tensorboard, which TensorFlow 2.21 no longer brings."
            raise job.loaded.error(Problem(message, path, "Install it: pip install tensorboard."))
        arguments = {
            name: str((files or run) / value) if name in _FILE_ARGUMENTS and isinstance(value, str) else value
            for name, value in written.arguments.items()
        }
        if written.name == "TensorBoard":
            arguments.setdefault("log_dir", str(run / "tensorboard"))
        try:
            made.append(make_object("callback", {written.name: arguments}, path))
        except ObjectError as error:
            raise job.loaded.error(error.problem) from error
    return made


def hears_steps(callbacks: Any) -> bool:
    """Whether a callback of the list wants to know of each step."""
    base = keras.callbacks.Callback
    return any(
        getattr(type(callback), hook) is not getattr(base, hook)
        for callback in callbacks.callbacks
        for hook in _STEP_HOOKS
    )
