"""The formats that a model is exported to: what each takes, how it is written, and how its own runtime runs it.

What is in a format's module is imported only when the format is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.exporting.parts import Part, Taken
    from dlcli.exporting.subject import Subject

Tensors: TypeAlias = Mapping[str, Any]
Run: TypeAlias = Callable[[Tensors], dict[str, Any]]
"""what a loaded model makes of tensors by name: arrays by the outputs' names"""


class Writer(Protocol):
    """What a format's module has."""

    def taken(self, parts: Mapping[str, Part]) -> dict[str, list[Taken]]:
        """The tensors that the exported model takes, for each input of the network."""

    def write(self, subject: Subject, path: Path, precision: str, calibration: Sequence[Tensors]) -> None:
        """Write the model to a path. Raises whatever a converter does, if the format cannot hold it."""

    def load(self, path: Path, *, files: bool) -> Run:
        """Load it again by the format's own runtime; of pictures, what takes files."""


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as --format has it.
        says: what it is, for a person.
        file: the name of the file or folder with the model.
        module: where its `Writer` is.
        needs: the packages that must be there, as they are imported, by the names that pip has for them.
        batch_size: how many examples it takes at a time; None for any number.
        example: the script that is written beside it.
    """

    name: str
    says: str
    file: str
    module: str
    needs: Mapping[str, str]
    batch_size: int | None
    example: str

    @property
    def writer(self) -> Any:
        """What writes and loads it, a `Writer`; imports TensorFlow."""
        return import_module(f"dlcli.exporting.{self.module}")


_KERAS = """import keras, numpy
{imports}model = keras.models.load_model("model.keras")
{example}
print(model({name: keras.ops.convert_to_tensor(values) for name, values in example.items()}))
"""
_WEIGHTS = """import keras, numpy, pathlib
{imports}model = keras.models.model_from_json(pathlib.Path("model.json").read_text())
model.load_weights("model.weights.h5")
{example}
print(model(example))
"""
_SAVED = """import numpy, tensorflow
{imports}model = tensorflow.saved_model.load("model").signatures["serving_default"]
{example}
print(model(**{name: tensorflow.constant(values) for name, values in example.items()}))
"""
_ONNX = """import numpy, onnxruntime
{imports}model = onnxruntime.InferenceSession("model.onnx")
{example}
print([output.name for output in model.get_outputs()], model.run(None, example))
"""
_TFLITE = """import numpy
from ai_edge_litert.interpreter import Interpreter
{imports}model = Interpreter("model.tflite").get_signature_runner()
{example}
print(model(**example))
"""

FORMATS = {
    one.name: one
    for one in (
        Format("keras", "one file that plain Keras loads", "model.keras", "keras_file", {}, None, _KERAS),
        Format("savedmodel", "for TensorFlow and TensorFlow Serving", "model", "saved_model", {}, None, _SAVED),
        Format("weights", "Keras's weights, and the network as JSON", "model.weights.h5", "weights_file", {}, None,
               _WEIGHTS),
        Format("onnx", "for onnxruntime and others", "model.onnx", "onnx_file",
               {"onnx": "onnx", "tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}, None, _ONNX),
        Format("tflite", "for phones and small machines: LiteRT, once TensorFlow Lite", "model.tflite", "tflite_file",
               {"ai_edge_litert": "ai-edge-litert"}, 1, _TFLITE),
    )
}  # fmt: skip
"""by their names"""
PRECISIONS = {"float32": 1e-5, "float16": 2e-2, "int8": 0.5}
"""how weights are kept; and how far an answer may be from dlcli's: as it is up to 1, else as a part of it, and for int8
of the largest answer"""


def the_format(name: str, precision: str) -> Format:
    """The format of a name, if it can be written here.

    Raises:
        UsageError: there is no such format, a package is missing, or the format has no such numbers.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"--format {name}: it must be one of {known}.", _hint(name))
    found = FORMATS[name]
    if precision != "float32" and name != "tflite":
        raise UsageError(f"--{precision} is for --format tflite; a {name} model keeps float32.")
    missing = [package for module, package in found.needs.items() if find_spec(module) is None]
    if missing:
        message = (
            f"--format {name} needs {' and '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not here."
        )
        raise UsageError(message, "pip install 'dlcli[export]'")
    return found


def _hint(name: str) -> str | None:
    from dlcli.spec.likeness import suggestion

    others = {"tf": "savedmodel", "saved_model": "savedmodel", "h5": "weights", "litert": "tflite", "lite": "tflite"}
    if name.lower() in others:
        return f"Did you mean {others[name.lower()]}?"
    if name.lower() in ("tfjs", "tensorflowjs"):
        return "tensorflowjs 4.22 does not go with this TensorFlow; elsewhere its converter takes a SavedModel."
    return suggestion(name.lower(), list(FORMATS))
