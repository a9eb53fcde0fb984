"""Models in ONNX: the network and what Keras's layers do before it; strings and tables are prepared outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.exporting.formats import Run, Tensors
from dlcli.exporting.parts import Part, Taken, taken_whole
from dlcli.exporting.subject import Subject
from dlcli.exporting.tracing import traced

_OPSET = 18


def taken(parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
    """See `formats.Writer`."""
    return taken_whole(parts)


def write(subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
    """See `formats.Writer`."""
    import onnx
    import tf2onnx

    function, specs = traced(subject.network(taken(subject.parts)))
    tf2onnx.convert.from_function(
        function, input_signature=specs, opset=_OPSET, output_path=str(path), custom_op_handlers=dict(_UNKNOWN)
    )
    onnx.checker.check_model(str(path))  # tf2onnx leaves in what it does not know


def _erfc(context: Any, node: Any, name: str, arguments: Any) -> None:
    """What `gelu` computes with: 1 - Erf."""
    _replace(context, node, "Erf", lambda found, one: [one, found])


def _expm1(context: Any, node: Any, name: str, arguments: Any) -> None:
    """What `celu` computes with: Exp - 1."""
    _replace(context, node, "Exp", lambda found, one: [found, one])


def _replace(context: Any, node: Any, kind: str, differ: Callable[[str, str], list[str]]) -> None:
    """Put the difference between 1 and another operation in a node's place."""
    name, shapes, dtypes, outputs = node.name, node.output_shapes, node.output_dtypes, node.output
    found = context.make_node(kind, node.input, shapes=shapes, dtypes=dtypes).output[0]
    one = context.make_const(f"{name}_one", np.ones((), np.float32)).output[0]
    context.remove_node(name)
    context.make_node("Sub", differ(found, one), outputs=outputs, shapes=shapes, dtypes=dtypes)


_UNKNOWN: dict[str, Any] = {"Erfc": (_erfc, []), "Expm1": (_expm1, [])}
"""operations of TensorFlow that tf2onnx (1.17) has no word for"""


def load(path: Path, *, files: bool) -> Run:
    """See `formats.Writer`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]

    def run(tensors: Tensors) -> dict[str, Any]:
        given = {name: np.asarray(values) for name, values in tensors.items()}
        return dict(zip(outputs, session.run(outputs, given), strict=True))

    return run
