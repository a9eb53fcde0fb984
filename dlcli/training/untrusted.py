"""Looks at a stranger's model, as data, before Keras makes it: nothing but Keras's own layers, and no code.

Keras's safe mode refuses code too, but has been got round before (CVE-2025-1550, -8747, -9905, -9906: a config that
names any function of any module, or one of Keras's that downloads; a vocabulary that names a file to be read).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from dlcli.errors import CheckpointError
from dlcli.model.added import is_added
from dlcli.model.applications import layers_of_applications
from dlcli.model.objects import reason
from dlcli.spec.catalogue import RUNS_CODE

_REFUSED = {**RUNS_CODE, "__lambda__": RUNS_CODE["Lambda"]}
# What Keras writes for values that JSON does not have; nothing in them is looked up by name.
_VALUES = {
    "__tensor__", "__numpy__", "__complex__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__", "__typespec__",
    "__keras_tensor__", "TensorShape", "CompositeTensor",
}  # fmt: skip
_NAMESPACES = (
    keras.layers, keras.models, keras.initializers, keras.regularizers, keras.constraints, keras.losses, keras.metrics,
    keras.optimizers, keras.optimizers.schedules, keras.dtype_policies, keras.quantizers,
)  # fmt: skip
_FUNCTIONS = (keras.activations, keras.losses, keras.metrics)
_LOOKUPS = ("StringLookup", "IntegerLookup", "TextVectorization")
_HINT = "dlcli uses models that are made of Keras's own layers, and runs no code from a file."


def check_model(file: h5py.File, path: Path) -> None:
    """See that the model in an open file is one of Keras's own layers, and not larger than the file.

    Raises:
        CheckpointError: it is not; no object of the file's has been made then, but for shapes.
    """
    text = file.attrs.get("model_config")
    if text is None:
        raise CheckpointError(f"{path} has weights, but no model: it has no `model_config`.")
    try:
        config = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: its `model_config` is not JSON.") from error
    check_config(config, path)
    size = path.stat().st_size
    needed = _bytes_of_weights(config, path)
    if needed > size:
        message = f"{path} describes a model of {needed:,} bytes of weights, but has only {size:,} bytes."
        raise CheckpointError(message, "It is not whole, or was made to exhaust the memory.")


def check_config(config: Any, path: Path) -> None:
    """See that a Keras config, as data from JSON, names nothing but Keras's own classes and functions.

    Raises:
        CheckpointError: it names something else, or a class that runs code or reads files.
    """
    if isinstance(config, Mapping):
        if "class_name" in config:
            _check_class(config, path)
        for value in config.values():
            check_config(value, path)
    elif isinstance(config, list):
        for value in config:
            check_config(value, path)


def _check_class(config: Mapping[str, Any], path: Path) -> None:
    name, module, registered = (config.get(key) for key in ("class_name", "module", "registered_name"))
    inner = config.get("config")
    if not isinstance(name, str):
        raise CheckpointError(f"{path} is damaged: a class in its model has no name.")
    if name in _REFUSED:
        raise CheckpointError(f"{path} is not used: its model has a `{name}`, which {_REFUSED[name]}.", _HINT)
    if name in _VALUES or is_added(name):  # the latter is of a file that a person trusts
        return
    if name == "function":
        _check_function(inner, path)
        return
    # A class that is registered under a package's name is looked up among those, and not among Keras's.
    if not _is_of_keras(name, module) or (isinstance(registered, str) and ">" in registered):
        whole = f"{module}.{name}" if module else name
        raise CheckpointError(f"{path} is not used: its model has a `{whole}`, which is no class of Keras's.", _HINT)
    if name in _LOOKUPS and isinstance(inner, Mapping):
        for argument in ("vocabulary", "idf_weights"):
            if isinstance(inner.get(argument), str):
                message = f"{path} is not used: its `{name}` would read the file {inner[argument]}."
                raise CheckpointError(message, _HINT)


def _check_function(name: Any, path: Path) -> None:
    if isinstance(name, str) and is_added(name):
        return
    if not isinstance(name, str) or not any(callable(getattr(space, name, None)) for space in _FUNCTIONS):
        raise CheckpointError(f"{path} is not used: its model names the function `{name}`, not Keras's.", _HINT)


def _is_of_keras(name: str, module: Any) -> bool:
    if module is not None and not (isinstance(module, str) and f"{module}.".startswith("keras.")):
        return False
    is_operation = module is not None and module.startswith("keras.src.ops.")
    known = any(isinstance(getattr(space, name, None), type) for space in _NAMESPACES)
    return known or is_operation or name == "Functional" or name in layers_of_applications()


def _bytes_of_weights(config: Any, path: Path) -> int:
    """What the weights of the model would take, which is built without giving them any values."""
    from keras.src.legacy.saving import saving_options, saving_utils
    from keras.src.saving.serialization_lib import SafeModeScope

    try:
        # As Keras 3.15.1 reads an HDF5 file; it has no public function that leaves the weights out.
        with (
            keras.StatelessScope(initialize_variables=False),
            saving_options.keras_option_scope(use_legacy_config=True),
            SafeModeScope(True),
            keras.saving.custom_object_scope(layers_of_applications()),
        ):
            model = saving_utils.model_from_config(config)
            return sum(math.prod(weight.shape) * 4 for weight in model.weights)
    except Exception as error:
        raise CheckpointError(f"Keras cannot make the model of {path}: {reason(error)}.") from error
    finally:
        keras.utils.clear_session(free_memory=False)
