"""Runs the Python files that a spec or a checkpoint brings along, once a person has said that they are trusted.

Every class in them that is one of Keras's kinds (a layer, a loss, a metric, an optimizer, a callback and so on) can
then be written in the spec by its name, and every function as a loss, a metric, an activation or an initializer.
"""

from __future__ import annotations

import inspect
import linecache
import sys
import traceback
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

import keras

from dlcli.model.added import PACKAGE, add
from dlcli.model.catalogue import base_of, find_of_keras, written_arguments
from dlcli.model.objects import reason
from dlcli.spec.catalogue import KINDS, Catalogue
from dlcli.spec.extensions import ExtensionError, Files

_OF_FUNCTIONS = ("loss", "metric", "activation", "initializer")


def load_extensions(files: Files, catalogue: Catalogue) -> Catalogue:
    """Run the files, one after the other; the catalogue with what they bring.

    Raises:
        ExtensionError: a file cannot be run, or brings something under a name that Keras has.
    """
    kinds = {kind: dict(entries) for kind, entries in catalogue.kinds.items()}
    for name, text in files.items():
        module = _run(name, text)
        for thing in _things(module):
            for kind in _kinds_of(thing):
                if find_of_keras(kind, thing.__name__) is not None:
                    message = f"`{thing.__name__}` in {name} has the name of {KINDS[kind].label}: give it another one."
                    raise ExtensionError(name, message)
                add(kind, thing.__name__, _registered(thing))
                kinds[kind][thing.__name__] = written_arguments(thing) if isinstance(thing, type) else {}
    return Catalogue(catalogue.keras, kinds)


def _run(name: str, text: str) -> ModuleType:
    stem = PurePosixPath(name).with_suffix("").as_posix().replace("/", "_")
    module = ModuleType(f"dlcli_extension_{stem}")
    # TensorFlow and `inspect` read the source of functions there.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, name, "exec"), module.__dict__)
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
        lines += [error.lineno or 0] if isinstance(error, SyntaxError) else []
        where = f", line {lines[-1]}" if lines else ""
        raise ExtensionError(name, f"{name}{where}: {type(error).__name__}: {reason(error)}") from error
    return module


def _things(module: ModuleType) -> list[Any]:
    """What is defined in the file itself, but for what begins with `_`."""
    found = [thing for name, thing in vars(module).items() if not name.startswith("_")]
    return [
        thing
        for thing in found
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module.__name__
    ]


def _kinds_of(thing: Any) -> list[str]:
    if inspect.isfunction(thing):
        return list(_OF_FUNCTIONS)
    return [kind for kind in KINDS if (base := base_of(kind)) is not None and issubclass(thing, base)]


def _registered(thing: Any) -> Any:
    """The thing, known to Keras by its name, so that a checkpoint can be read; a callback is in none."""
    if isinstance(thing, type) and not hasattr(thing, "get_config"):
        return thing
    custom = keras.saving.get_custom_objects()
    custom.pop(f"{PACKAGE}>{thing.__name__}", None)  # from an earlier reading of the file
    return keras.saving.register_keras_serializable(package=PACKAGE)(thing)
