"""Models as one .keras file, which any Keras loads: columns of tables and words of texts are made numbers inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from dlcli.data.dataset import named
from dlcli.errors import CheckpointError, UsageError
from dlcli.exporting.formats import Run, Tensors
from dlcli.exporting.network import OUTPUT
from dlcli.exporting.parts import Part, Taken, taken_apart
from dlcli.exporting.subject import Subject


def taken(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """See `formats.Writer`."""
    return taken_apart(parts)


def write(subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
    """See `formats.Writer`."""
    refuse_own_code(subject, "keras")
    subject.network(taken(subject.parts)).save(path)


def refuse_own_code(subject: Subject, name: str) -> None:
    """Raises UsageError for a model with layers of a person's own: the file would name them, and not have them."""
    if subject.contents.extensions:
        files = ", ".join(subject.contents.extensions)
        message = f"The model runs code of its own, {files}, which a {name} file names but does not hold."
        raise UsageError(message, "savedmodel, onnx and tflite hold what that code computes.")


def load(path: Path, *, files: bool) -> Run:
    """See `formats.Writer`."""
    with nothing_registered():
        try:
            model = keras.models.load_model(path, compile=False)
        except Exception as error:
            raise CheckpointError(f"Keras does not load what it has written: {str(error).splitlines()[0]}") from error
    return running(model)


def running(model: keras.Model) -> Run:
    """What a model of Keras's makes of tensors."""

    def run(tensors: Tensors) -> dict[str, Any]:
        given = {name: keras.ops.convert_to_tensor(values) for name, values in tensors.items()}
        return {name: keras.ops.convert_to_numpy(found) for name, found in named(model(given), OUTPUT).items()}

    return run


@contextmanager
def nothing_registered() -> Iterator[None]:
    """No classes of dlcli's, or of others, are known to Keras: as in a program that has only Keras."""
    registered = keras.saving.get_custom_objects()
    kept = dict(registered)
    registered.clear()
    try:
        yield
    finally:
        registered.update(kept)
