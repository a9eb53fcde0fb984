"""Models for LiteRT, once TensorFlow Lite: one example at a time, in float32, float16 or int8."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.exporting.formats import FORMATS, Run, Tensors
from dlcli.exporting.parts import Part, Taken, taken_whole
from dlcli.exporting.subject import Subject
from dlcli.exporting.tracing import not_held, refuse_loops, traced


def taken(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """See `formats.Writer`."""
    return taken_whole(parts)


def write(subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
    """See `formats.Writer`; `calibration` has examples to train on, one each, for int8."""
    network = subject.network(taken(subject.parts), FORMATS["tflite"].batch_size, is_halved=precision == "float16")
    function, _ = traced(network)
    # Not the model itself: what Keras 3 tracks of it TensorFlow 2.21 does not find, and its weights become NaN.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    concrete = function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        # TensorFlow 2.21 ends the process with a segmentation fault while it calibrates a loop.
        refuse_loops(subject.model, concrete.graph)
        converter.representative_dataset = lambda: _each(calibration)
    with warnings.catch_warnings():
        # The converter itself calibrates with TensorFlow's own interpreter, which warns that it will go.
        warnings.simplefilter("ignore", UserWarning)
        try:
            path.write_bytes(converter.convert())
        except Exception as error:  # whatever the converter raises
            raise not_held(subject.model, error, "tflite", concrete.graph) from error


def _each(calibration: Sequence[Tensors]) -> Iterator[dict[str, Any]]:
    for tensors in calibration:
        yield {name: np.asarray(values) for name, values in tensors.items()}


def load(path: Path, *, files: bool) -> Run:
    """See `formats.Writer`."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    runner = interpreter.get_signature_runner()

    def run(tensors: Tensors) -> dict[str, Any]:
        found: dict[str, Any] = runner(**{name: np.asarray(values) for name, values in tensors.items()})
        return found

    run.interpreter = interpreter  # type: ignore[attr-defined]  # which the runner only borrows
    return run
