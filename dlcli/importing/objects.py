"""Keras's serialized objects as a spec writes them: a name, and the arguments that are not the default ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlcli.errors import CheckpointError
from dlcli.spec.catalogue import KINDS, RUNS_CODE, Catalogue, Parameter, kind_of_parameter
from dlcli.spec.likeness import plain
from dlcli.spec.paths import MODELS

# What every layer's config has, and what a spec says beside the layer or not at all.
_OF_EACH = ("name", "trainable", "dtype", "build_config", "batch_input_shape", "batch_shape", "registered_name")
# What configs of Keras 2 say, and Keras 3 no longer has, where it was the only choice.
_OF_OLD = {"time_major": (False,), "implementation": (1, 2), "ragged": (False,), "sparse": (False,), "decay": (0.0,),
           "jit_compile": (False, True), "is_legacy_optimizer": (False, True), "input_length": (None,),
           "reset_after": (True,)}  # fmt: skip

# Classes that Keras 3.15.1 has under another name.
_OTHER_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
# What Keras makes of None.
_USUAL = {"data_format": "channels_last", "activation": "linear"}


@dataclass
class Importer:
    """Reads the objects of one model.

    Attributes:
        catalogue: the names and arguments of the installed Keras.
        path: of the file, for messages.
        left_out: what a spec cannot say, a sentence each.
    """

    catalogue: Catalogue
    path: Any
    left_out: list[str] = field(default_factory=list)

    def refuse(self, message: str, hint: str | None = None) -> CheckpointError:
        """The error for a model that no spec can describe."""
        return CheckpointError(f"{self.path} is not imported: {message}", hint)

    def named(self, kind: str, config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The name and the arguments of a serialized object.

        Raises:
            CheckpointError: it is of no class of Keras's, or of one that runs code.
        """
        name = str(config.get("class_name"))
        name = _OTHER_NAMES.get(name, name)
        if name in RUNS_CODE:
            raise self.refuse(f"it has a `{name}`, which {RUNS_CODE[name]}.", "Write it as a layer of Keras's own.")
        if name in (*MODELS, "Functional"):
            hint = "A model within the model is imported where it is a layer by itself."
            raise self.refuse(f"it has a `{name}` as an argument of a layer.", hint)
        known = self.catalogue.parameters(kind, name)
        module = str(config.get("module") or "keras")
        if known is None or not f"{module}.".startswith("keras.") or ".ops." in module:
            whole = name if module == "keras" else f"{module}.{name}"
            raise self.refuse(f"it has a `{whole}`, which is not {KINDS[kind].label}.")
        inner = config.get("config")
        return name, self._arguments(kind, name, inner if isinstance(inner, Mapping) else {}, known)

    def _arguments(
        self, kind: str, name: str, config: Mapping[str, Any], known: Mapping[str, Parameter]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        dtype = _policy(config.get("dtype"))
        if kind == "layer" and dtype not in (None, "float32"):
            arguments["dtype"] = dtype
        for key, value in config.items():
            is_old = key in _OF_EACH or value in _OF_OLD.get(key, ())
            if key not in known and value is not None and not is_old:
                self.left_out.append(f"`{key}: {value}` of `{name}`, which Keras does not know.")
        for key in (key for key in known if key in config and key not in _OF_EACH):
            value = config[key]
            written = self.value(value, kind_of_parameter(key))
            written = _short(written) if kind in ("optimizer", "schedule") else written
            default = known[key].default
            is_usual = self._is_same(kind_of_parameter(key), written, default) or (
                default is None and written == _USUAL.get(key)
            )
            if known[key].required or not is_usual:
                arguments[key] = _once(written, known[key])
        own = config.get("name")
        usual = (snake_case(name), known["name"].default if "name" in known else own)
        if kind == "metric" and isinstance(own, str) and own not in usual and re.sub(r"_\d+\Z", "", own) not in usual:
            arguments["name"] = own  # by which its figures are called
        if name == "Bidirectional":
            _as_given(arguments)
        if "Pooling" in name and arguments.get("strides") == arguments.get("pool_size", 2):
            arguments.pop("strides", None)  # what Keras takes where none are given
        return arguments

    def _is_same(self, kind: str | None, value: Any, default: Any) -> bool:
        if isinstance(value, str) and isinstance(default, str) and kind is not None:
            return plain(self.catalogue.canonical(kind, value)) == plain(self.catalogue.canonical(kind, default))
        return _same(value, default)

    def value(self, value: Any, kind: str | None = None) -> Any:
        """Any value of a config."""
        if isinstance(value, list):
            return [self.value(item, kind) for item in value]
        if not isinstance(value, Mapping):
            return value
        if "class_name" not in value:
            return {key: self.value(item) for key, item in value.items()}
        if value["class_name"] == "__tuple__":
            return self.value(list(value.get("items", ())), kind)
        if value["class_name"] == "function":
            return self._function(value)
        if value["class_name"] == "DTypePolicy":
            return _policy(value)
        kind = kind or self._kind(value)
        name, arguments = self.named(kind, value)
        inner = value.get("config")
        own = inner.get("name") if kind == "layer" and isinstance(inner, Mapping) else None
        if isinstance(own, str) and not re.fullmatch(rf"{snake_case(name)}(_\d+)?", own):
            arguments["name"] = own
        return {name: arguments} if arguments or kind in ("layer", "schedule") else name

    def _kind(self, value: Mapping[str, Any]) -> str:
        module, name = str(value.get("module") or ""), str(value["class_name"])
        for kind, about in KINDS.items():
            if about.module == module:
                return kind
        found = self.catalogue.kind_of_name(name)
        if found is None:
            raise self.refuse(f"it has a `{module}.{name}`, which is not known to Keras.")
        return found

    def _function(self, value: Mapping[str, Any]) -> str:
        name = str(value.get("config"))
        if str(value.get("module") or "builtins") not in ("builtins", "keras", "keras.activations"):
            raise self.refuse(f"it names the function `{value.get('module')}.{name}`, which is not Keras's.")
        return name


def snake_case(name: str) -> str:
    """What Keras calls a layer of this class by itself (`keras.src.utils.naming.to_snake_case`, 3.15.1)."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _policy(value: Any) -> str | None:
    inner = value.get("config") if isinstance(value, Mapping) else None
    return str(inner.get("name")) if isinstance(inner, Mapping) else value


def _short(value: Any) -> Any:
    """A number that was kept as float32, as it was written before: 0.001, not 0.0010000000474974513."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return value


def _as_given(arguments: dict[str, Any]) -> None:
    """A `Bidirectional` (Keras 3.15.1) saves the layer under another name, and the one that it made of it, too."""
    ((name, forward),) = arguments["layer"].items()
    own = str(forward.get("name", "")).removeprefix("forward_")
    forward = {key: value for key, value in forward.items() if key != "name"}
    if forward.get("return_sequences"):
        forward.pop("zero_output_for_mask", None)
    turned = {**forward, "go_backwards": not forward.get("go_backwards", False)}
    back = {"zero_output_for_mask": None, **(arguments.get("backward_layer") or {}).get(name, {})}
    is_made = back.pop("name", None) == f"backward_{own}"
    back.pop("zero_output_for_mask")
    if is_made and {"go_backwards": False, **back} == turned:
        arguments.pop("backward_layer", None)
    if own and not re.fullmatch(rf"{snake_case(name)}(_\d+)?", own):
        forward["name"] = own
    arguments["layer"] = {name: forward}


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, list) and isinstance(default, (list, tuple)):
        return list(value) == list(default)
    if isinstance(value, list) and value and all(item == value[0] for item in value):
        return type(default) is int and value[0] == default
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


def _once(value: Any, known: Parameter) -> Any:
    """`3` for `[3, 3]`, where Keras takes either."""
    is_list = isinstance(value, list) and value and all(type(item) is int and item == value[0] for item in value)
    return value[0] if is_list and "integer" in known.types and known.length == len(value) else value
