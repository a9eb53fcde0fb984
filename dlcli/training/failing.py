"""What a person is told when a training fails: whose fault it was, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import tensorflow as tf

from dlcli.errors import Interrupted, RunError
from dlcli.model.objects import reason
from dlcli.training.callback_state import close_files
from dlcli.training.peers import AGAIN, PeerGoneError

if TYPE_CHECKING:
    from dlcli.training.training import Training

_LOST = (
    tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
)  # fmt: skip


@contextmanager
def callbacks_work() -> Iterator[None]:
    """Says that a callback failed, and not dlcli."""
    try:
        yield
    except Exception as error:
        message = f"A callback of the spec failed: {type(error).__name__}: {reason(error)}"
        raise RunError(message, "Look at `train.callbacks`.") from error


@contextmanager
def kept(training: Training) -> Iterator[None]:
    """Whatever ends the training, the best epoch is written, and a person told what there is."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        with suppress(RunError):  # the disk may be what failed
            training.saver.write_best()
        if isinstance(error, tf.errors.OpError) and (gone := _gone(training, error)) is not None:
            raise PeerGoneError(f"{gone}. {training.kept}", AGAIN) from error
        if isinstance(error, RunError):
            raise type(error)(f"{error.message} {training.kept}", error.hint) from error
        if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
            hint = "A smaller `dataset.batch_size` needs less; so does a smaller model."
            raise RunError(f"There is not enough memory for a step of training. {training.kept}", hint) from error
        if isinstance(error, tf.errors.OpError):
            place, why = spoken(error)
            hint = "The data, as it is prepared, and the arguments of that layer do not fit together."
            raise RunError(f"A step cannot be computed{place}: {why}. {training.kept}", hint) from error
        raise
    finally:
        training.saver.close()
        close_files(training.callbacks.callbacks)


def _gone(training: Training, error: tf.errors.OpError) -> str | None:
    """Which worker a step has waited for in vain; None if that is not why it failed."""
    division = training.job.engine.division
    found = division.gone()
    if found is None and division.name == "multi_worker" and isinstance(error, _LOST):
        return f"TensorFlow has lost another worker: {spoken(error)[1]}"
    return found


def spoken(error: tf.errors.OpError) -> tuple[str, str]:
    """Where in the model a computation failed, and why, out of TensorFlow's message of many lines."""
    node = re.search(r"Detected at node (\S+)", error.message)
    parts = node.group(1).split("/") if node else []
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    ends = [number for number, line in enumerate(lines) if line.startswith("[[{{node")]
    why = lines[ends[0] - 1] if ends and ends[0] > 0 else lines[0]
    return (f", in `{parts[-2]}`" if len(parts) > 1 else ""), why.rstrip(".")
