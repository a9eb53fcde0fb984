"""Which names and arguments Keras has, as data, so that a spec is checked without importing Keras.

The catalogue is made from the installed Keras by `dlcli.model.catalogue`. The one for the tested version comes with
dlcli; for another version it is made once and kept in the user's cache folder. A line on each name and argument is in
a file of its own, `catalogue_docs.json`, which only `dlcli schema` needs.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dlcli.spec.likeness import allowed, plain, similar, suggestion

FORMAT = 3
Entries = dict[str, Any]
"""by name: the arguments, in Keras's order, with what is known of each; or, for a second name of a thing, the first"""


class Kind(NamedTuple):
    """A kind of Keras object: how a message calls it, the module of its names, and their base class."""

    label: str
    module: str
    base: str


KINDS = {
    "layer": Kind("a Keras layer", "keras.layers", "Layer"),
    "loss": Kind("a Keras loss", "keras.losses", "Loss"),
    "metric": Kind("a Keras metric", "keras.metrics", "Metric"),
    "optimizer": Kind("a Keras optimizer", "keras.optimizers", "Optimizer"),
    "schedule": Kind("a Keras learning rate schedule", "keras.optimizers.schedules", "LearningRateSchedule"),
    "initializer": Kind("a Keras initializer", "keras.initializers", "Initializer"),
    "regularizer": Kind("a Keras regularizer", "keras.regularizers", "Regularizer"),
    "constraint": Kind("a Keras constraint", "keras.constraints", "Constraint"),
    "activation": Kind("a Keras activation", "keras.activations", "Activation"),
    "callback": Kind("a Keras callback", "keras.callbacks", "Callback"),
}


class Parameter(NamedTuple):
    """What is known of one argument of a Keras object.

    Attributes:
        required: whether it must be given.
        types: what it takes, in JSON Schema's words but `mapping`, `list` and `null`; empty if anything.
        choices: the only texts that it takes; empty if any.
        any_case: whether the choices may be written in capitals, too.
        examples: texts that it takes, among others.
        items: what a list's items are, in the words of `types`; empty if anything.
        length: how many items a list has; None if any number.
        bounds: the smallest and the largest number that it takes, in JSON Schema's words.
        default: its value where it is left out; None also where that is nothing that JSON can say.
    """

    required: bool = False
    types: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    any_case: bool = False
    examples: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    length: int | None = None
    bounds: Mapping[str, float] = {}
    default: Any = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Parameter:
        """The parameter that a catalogue's file describes."""
        tuples = {name: tuple(content[name]) for name in ("types", "choices", "examples", "items") if name in content}
        return cls(**{**content, **tuples})


# Keras's function `Input`, used as if it were a layer; dlcli fills in what else it takes. And the models within a
# model: Keras makes them of layers that are called, a spec of their entries.
_GIVEN = {
    ("layer", "Model"): {
        "layers": Parameter(required=True, types=("list",)),
        "inputs": Parameter(types=("list",), items=("string",)),
    },
    ("layer", "Sequential"): {"layers": Parameter(required=True, types=("list",))},
    ("layer", "Input"): {
        "shape": Parameter(required=True, types=("list",), items=("integer", "null")),
        "dtype": Parameter(types=("null", "string")),
        "name": Parameter(types=("null", "string")),
    },
}


_RUNS_CODE = "runs code that comes with the file"
RUNS_CODE = {
    "Lambda": _RUNS_CODE,
    "TFSMLayer": "runs a program from another file",
    "JaxLayer": _RUNS_CODE,
    "FlaxLayer": _RUNS_CODE,
    "TorchModuleWrapper": _RUNS_CODE,
}
"""the layers of Keras that no file may bring, a spec or a checkpoint, and why"""


class Catalogue(NamedTuple):
    """The names and arguments of one version of Keras."""

    keras: str
    kinds: dict[str, Entries]

    def parameters(self, kind: str, name: str) -> dict[str, Parameter] | None:
        """The arguments of this object, or None if there is no such name."""
        if (kind, name) in _GIVEN:
            return _GIVEN[kind, name]
        entry = self.kinds[kind].get(self.canonical(kind, name))
        return None if entry is None else {argument: Parameter.from_json(known) for argument, known in entry.items()}

    def names(self, kind: str) -> list[str]:
        """The names of a kind that a spec may have, without second names of the same thing."""
        given = [name for other, name in _GIVEN if other == kind]
        known = [name for name, entry in self.kinds[kind].items() if not isinstance(entry, str)]
        return sorted([*given, *(name for name in known if kind != "layer" or name not in RUNS_CODE)])

    def second_names(self, kind: str) -> dict[str, str]:
        """The other names of things, each with the name that Keras itself gives to it."""
        return {name: entry for name, entry in self.kinds[kind].items() if isinstance(entry, str)}

    def canonical(self, kind: str, name: str) -> str:
        """The name that Keras itself gives to what is called `name`."""
        entry = self.kinds[kind].get(name)
        return entry if isinstance(entry, str) else name

    def kind_of_name(self, name: str) -> str | None:
        """The kind that a class name belongs to when nothing else tells; the first in the order of `KINDS`."""
        return next((kind for kind, entries in self.kinds.items() if name in entries and name[:1].isupper()), None)

    def class_of_function(self, kind: str, name: str) -> str | None:
        """The class whose name is this function's but for capitals and underscores, if it takes arguments."""
        written = name.replace("_", "").lower()
        classes = (other for other in self.names(kind) if self.parameters(kind, other))
        return next((other for other in classes if other.lower() == written), None)

    def suggestion(self, kind: str, name: str) -> str:
        """What to write instead of an unknown name."""
        names = self.names(kind)
        spelt = {plain(known) for known in names}
        others = [other for other in self.second_names(kind) if plain(other) not in spelt]
        return suggestion(name, [*names, *others]) if similar(name, [*names, *others]) else allowed(names)


class Docs(NamedTuple):
    """A line on each name and each argument of one version of Keras."""

    keras: str
    kinds: dict[str, Entries]

    def of(self, kind: str, name: str) -> str:
        """What Keras says of this class or function; empty if nothing."""
        return str(self.kinds[kind].get(name, {}).get("doc", ""))

    def of_argument(self, kind: str, name: str, argument: str) -> str:
        """What Keras says of this argument; empty if nothing."""
        return str(self.kinds[kind].get(name, {}).get("arguments", {}).get(argument, ""))


def kind_of_parameter(parameter: str) -> str | None:
    """The kind of object that an argument takes, told by Keras's naming of arguments; None if it takes plain data."""
    if parameter == "learning_rate":
        return "schedule"
    if parameter in ("layer", "layers", "backward_layer", "cell", "cells"):
        return "layer"
    word = parameter.rsplit("_", 1)[-1]
    return word if word in ("initializer", "regularizer", "constraint", "activation", "optimizer") else None


def load_catalogue(make: Callable[[], dict[str, Any]]) -> Catalogue:
    """The catalogue for the installed Keras: the one that comes with dlcli, the cached one, or a new one by `make`."""
    return Catalogue(*_load("catalogue", make))


def load_docs(make: Callable[[], dict[str, Any]]) -> Docs:
    """The lines on the installed Keras's names: those that come with dlcli, the cached ones, or new ones by `make`."""
    return Docs(*_load("catalogue_docs", make))


def _load(stem: str, make: Callable[[], dict[str, Any]]) -> tuple[str, dict[str, Entries]]:
    version = importlib.metadata.version("keras")
    cached = cache_folder() / f"{stem}-{version}-{FORMAT}.json"
    for path in (Path(__file__).with_name(f"{stem}.json"), cached):
        kinds = _read_kinds(path, version)
        if kinds is not None:
            return version, kinds
    content = make()
    _keep(cached, content)
    return version, content["kinds"]


def cache_folder() -> Path:
    """Where dlcli keeps what it can make again, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlcli"


def _read_kinds(path: Path, version: str) -> dict[str, Entries] | None:
    """What a catalogue file has for this version; None if absent, damaged or foreign: it is only a cache."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or (content.get("keras"), content.get("format")) != (version, FORMAT):
        return None
    kinds = content.get("kinds")
    return kinds if isinstance(kinds, dict) and kinds.keys() == KINDS.keys() else None


def _keep(path: Path, content: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.part")
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(path)
    except OSError:
        return  # a home that cannot be written to only costs time
