"""Models as TensorFlow's SavedModel, which holds all of the preparation: raw rows, texts and pictures go in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dlcli.data.dataset import named
from dlcli.exporting.formats import Run, Tensors
from dlcli.exporting.network import OUTPUT
from dlcli.exporting.parts import Part, Picture, Taken, taken_apart, taken_raw
from dlcli.exporting.served import front
from dlcli.exporting.subject import Subject

SERVED, FILES = "serving_default", "files"


def taken(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """See `formats.Writer`."""
    return taken_raw(parts)


def write(subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
    """See `formats.Writer`."""
    core = taken_apart(subject.parts)
    network = subject.network(core)
    archive = keras.export.ExportArchive()
    archive.track(network)
    raw = taken(subject.parts)
    has_pictures = any(isinstance(part, Picture) for part in subject.parts.values())
    for name in (SERVED, FILES) if has_pictures else (SERVED,):
        made = front(subject.parts, raw, core, files=name == FILES)
        specs = {one.name: _spec(one, files=name == FILES) for each in raw.values() for one in each}
        archive.add_endpoint(name, _serving(network, made), input_signature=[specs])
    archive.write_out(path, verbose=False)


def _serving(network: keras.Model, made: Callable[[Tensors], Tensors]) -> Callable[[Any], dict[str, Any]]:
    """What answers to the tensors that are served."""

    def serve(served: Any) -> dict[str, Any]:
        return dict(named(network(made(served), training=False), OUTPUT))

    return serve


def _spec(one: Taken, *, files: bool) -> tf.TensorSpec:
    if files and one.dtype == "uint8":
        return tf.TensorSpec((None,), tf.string, one.name)
    return tf.TensorSpec((None, *one.shape), one.dtype, one.name)


def load(path: Path, *, files: bool) -> Run:
    """See `formats.Writer`."""
    loaded = tf.saved_model.load(path)
    served = loaded.signatures[FILES if files else SERVED]

    def run(tensors: Tensors) -> dict[str, Any]:
        given = {name: tf.constant(values) for name, values in tensors.items()}
        return {name: found.numpy() for name, found in served(**given).items()}

    run.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return run
