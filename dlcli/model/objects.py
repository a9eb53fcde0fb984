"""Makes Keras objects from their written form. What a name means is asked of Keras itself."""

from __future__ import annotations

import inspect
import re
from typing import Any

import keras

from dlcli.errors import Path, Problem
from dlcli.model.added import added
from dlcli.model.catalogue import find
from dlcli.model.refusals import refusal_in_words
from dlcli.spec.catalogue import KINDS, kind_of_parameter
from dlcli.spec.keras_objects import KerasObject, split_object

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CALLING = re.compile(r"^Exception encountered when calling [\w.]+\(\)\. ?")

_MADE_BY_NAME = ("initializer", "regularizer", "constraint")
_TENSORS = re.compile(r" (Inputs )?[Rr]eceived: \[?<KerasTensor.*")


class ObjectError(Exception):
    """Keras refused to make an object; `problem` says which one and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def make_object(kind: str, written: KerasObject | Any, path: Path, **extra: Any) -> Any:
    """The Keras object for `written`, a KerasObject or its plain data at `path` of the spec.

    Raises:
        ObjectError: Keras does not accept the name or the arguments.
    """
    if isinstance(written, KerasObject):
        name, arguments, bare = written.name, dict(written.arguments), not written.arguments
    else:
        name, arguments = split_object(written)
        bare = isinstance(written, str)
    found = keras.layers.Input if kind == "layer" and name == "Input" else find(kind, name)
    if found is None and not (kind == "metric" and bare):
        raise ObjectError(Problem(f"`{name}` is not {KINDS[kind].label} in Keras {keras.__version__}.", path))
    if added(kind, name) is not None and not isinstance(found, type):
        return found
    if kind == "metric" and bare and name.islower():
        return name  # `Model.compile` resolves `accuracy` by the shapes; `keras.metrics.get` would give another metric
    if not isinstance(found, type) and found is not keras.layers.Input:
        return found if kind == "activation" else name  # a function, such as `relu` or `mse`
    inner = path if bare else (*path, name)
    values = {key: _value(value, (*inner, key), kind_of_parameter(key)) for key, value in arguments.items()}
    try:
        return found(**_as_declared(found, values), **extra)
    except Exception as error:
        words = refusal_in_words(name, arguments, error)
        if words is not None:
            raise ObjectError(Problem(words[0], (*inner, words[2]), words[1])) from error
        message = f"Keras does not accept this `{name}`: {reason(error)}"
        raise ObjectError(Problem(message, _blamed(error, inner, values))) from error


def _as_declared(found: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers as floats where the argument's default is one, and the reverse: `1` and `1.0` mean the same.

    Keras 3.15.1 refuses `momentum=1` and `patience=2.0`.
    """
    declared = inspect.signature(found).parameters
    converted = dict(values)
    for name, value in values.items():
        default = declared[name].default if name in declared else None
        if type(default) is float and type(value) is int:
            converted[name] = float(value)
        elif type(default) is int and type(value) is float and value.is_integer():
            converted[name] = int(value)
    return converted


def _value(value: Any, path: Path, kind: str | None) -> Any:
    if isinstance(value, list):
        return [_value(item, (*path, number), kind) for number, item in enumerate(value)]
    if isinstance(value, dict):
        if len(value) == 1:
            [name] = value
            wanted = kind or _kind_of_class(name)
            if wanted:
                return make_object(wanted, value, path)
        return {key: _value(item, (*path, key), None) for key, item in value.items()}
    if isinstance(value, str) and kind not in (None, "schedule"):
        found = find(str(kind), value) if kind in _MADE_BY_NAME else None
        # By its name, as in a script, Keras makes it when its turn comes: the seeds of a layer's initializers are then
        # drawn in Keras's order, whatever the order in the spec.
        # But for `Constant`, which it cannot make by its name alone: Keras 3.15.1.
        if isinstance(found, type) and found is not keras.initializers.Constant and added(str(kind), value) is None:
            return found.__name__
        return make_object(str(kind), value, path)
    return value


def _kind_of_class(name: Any) -> str | None:
    if not isinstance(name, str) or not name[:1].isupper():
        return None
    return next((kind for kind in KINDS if isinstance(find(kind, name), type)), None)


def reason(error: Exception) -> str:
    """Keras's message on one line, ending in a full stop, without colours and the parts that speak of Python."""
    text = " ".join(_COLOURS.sub("", str(error)).split("\n\nArguments received by")[0].split()).strip()
    text = _TENSORS.sub("", _CALLING.sub("", text))
    text = text.replace("() got an unexpected keyword argument", " has no argument")
    return (text or type(error).__name__).rstrip(".") + "."


def _blamed(error: Exception, path: Path, values: dict[str, Any]) -> Path:
    """The path of the one argument that Keras's message names, or the object's own."""
    message = str(error)
    quoted = [key for key in values if f"`{key}`" in message or f"'{key}'" in message]
    named = quoted or [key for key in values if re.search(rf"\b{re.escape(key)}=", message)]
    return (*path, named[0]) if len(named) == 1 else path
