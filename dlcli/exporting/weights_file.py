"""Models as Keras's weights, and the network in words of JSON: for who builds it anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from dlcli.exporting.formats import Run, Tensors
from dlcli.exporting.keras_file import nothing_registered, refuse_own_code, running
from dlcli.exporting.parts import Part, Taken, taken_whole
from dlcli.exporting.subject import Subject

NETWORK = "model.json"


def taken(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """See `formats.Writer`."""
    return taken_whole(parts)


def write(subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
    """See `formats.Writer`."""
    refuse_own_code(subject, "weights")
    network = subject.network(taken(subject.parts))
    path.with_name(NETWORK).write_text(network.to_json(), encoding="utf-8")
    network.save_weights(path)


def load(path: Path, *, files: bool) -> Run:
    """See `formats.Writer`."""
    with nothing_registered():
        model = keras.models.model_from_json(path.with_name(NETWORK).read_text(encoding="utf-8"))
        model.load_weights(path)
    return running(model)
