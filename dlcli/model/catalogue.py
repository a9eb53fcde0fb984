"""Makes the catalogue of Keras's names and arguments from the installed Keras; `dlcli.spec.catalogue` reads it."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import keras

from dlcli.spec.catalogue import FORMAT, KINDS, Entries

# `Model.compile` understands these besides what `keras.metrics.get` does (keras/src/trainers/compile_utils.py, 3.15.1).
_COMPILE_METRICS = ("accuracy", "acc", "crossentropy", "ce")
# Keras's base layer still takes these from old code. In a spec, shapes come from the dataset.
_LEGACY = frozenset({"input_shape", "batch_input_shape", "input_dim", "batch_shape", "input_batch_shape"})


def make_catalogue() -> dict[str, Any]:
    """The names and arguments of every kind of object that the installed Keras has, as data for JSON."""
    kinds = {kind: _entries(kind) for kind in KINDS}
    for name in _COMPILE_METRICS:
        kinds["metric"].setdefault(name, {})
    return {"format": FORMAT, "keras": keras.__version__, "kinds": kinds}


def find(kind: str, name: str) -> Any:
    """The class or function of Keras with this name, or None."""
    found = getattr(_module(kind), name, None)
    if found is None or _is_helper(found):
        found = _identifiers(kind).get(name)
    return found


def _module(kind: str) -> Any:
    module = keras
    for part in KINDS[kind].module.split(".")[1:]:
        module = getattr(module, part)
    return module


def _identifiers(kind: str) -> dict[str, Any]:
    """The strings that `keras.<kind>s.get` understands; only Keras's own table has the short ones, such as `mse`."""
    try:
        source = importlib.import_module(KINDS[kind].module.replace("keras.", "keras.src.", 1))
    except ModuleNotFoundError:
        return {}
    return dict(getattr(source, "ALL_OBJECTS_DICT", {}))


def _is_helper(found: Any) -> bool:
    return inspect.ismodule(found) or getattr(found, "__name__", "") in ("get", "serialize", "deserialize")


def _entries(kind: str) -> Entries:
    found = {name: getattr(_module(kind), name) for name in dir(_module(kind)) if not name.startswith("_")}
    found = {name: thing for name, thing in {**_identifiers(kind), **found}.items() if not _is_helper(thing)}
    base = getattr(_module(kind), KINDS[kind].base, None)
    functions_too = bool(_identifiers(kind))
    return {
        name: _parameters(thing) if inspect.isclass(thing) else {}
        for name, thing in sorted(found.items())
        if (inspect.isclass(thing) and thing is not base and issubclass(thing, base or object))
        or (functions_too and inspect.isfunction(thing))
    }


def _parameters(cls: type) -> dict[str, bool]:
    """The arguments of a class, each with whether it must be given; `**kwargs` are followed to the base classes."""
    parameters: dict[str, bool] = {}
    owners = [owner for owner in cls.__mro__ if "__init__" in vars(owner)]
    for depth, owner in enumerate(owners):
        signature = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        for parameter in signature:
            required = parameter.default is parameter.empty
            # What a base class requires and the class itself does not declare, the class passes on (Conv2D: `rank`).
            hidden = depth > 0 and required
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and not hidden:
                parameters.setdefault(parameter.name, required)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature):
            break
    return {name: required for name, required in parameters.items() if name not in _LEGACY}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(make_catalogue(), sort_keys=True, separators=(",", ":")) + "\n", "utf-8")
