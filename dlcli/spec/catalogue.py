"""Which names and arguments Keras has, as data, so that a spec is checked without importing Keras.

The catalogue is made from the installed Keras by `dlcli.model.catalogue`. The one for the tested version comes with
dlcli; for another version it is made once and kept in the user's cache folder.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1
Entries = dict[str, dict[str, bool]]
"""by name: the arguments, each with whether it must be given"""


@dataclass(frozen=True)
class Kind:
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


@dataclass(frozen=True)
class Catalogue:
    """The names and arguments of one version of Keras."""

    keras: str
    kinds: dict[str, Entries]

    def parameters(self, kind: str, name: str) -> dict[str, bool] | None:
        """The arguments of this object, or None if there is no such name."""
        return self.kinds[kind].get(name)

    def kind_of_name(self, name: str) -> str | None:
        """The kind that a class name belongs to when nothing else tells; the first in the order of `KINDS`."""
        return next((kind for kind, entries in self.kinds.items() if name in entries and name[:1].isupper()), None)

    def class_of_function(self, kind: str, name: str) -> str | None:
        """The class whose name is this function's but for capitals and underscores, if it takes arguments."""
        written = name.replace("_", "").lower()
        return next((other for other, known in self.kinds[kind].items() if known and other.lower() == written), None)

    def suggestion(self, kind: str, name: str) -> str:
        """What to write instead of an unknown name."""
        return suggestion(name, self.kinds[kind])


def kind_of_parameter(parameter: str) -> str | None:
    """The kind of object that an argument takes, told by Keras's naming of arguments; None if it takes plain data."""
    if parameter == "learning_rate":
        return "schedule"
    if parameter in ("layer", "layers", "backward_layer", "cell", "cells"):
        return "layer"
    word = parameter.rsplit("_", 1)[-1]
    return word if word in ("initializer", "regularizer", "constraint", "activation", "optimizer") else None


def closest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that `word` is most like, if any is; of `accuracy` and `Accuracy` the one in its case."""
    names = list(allowed)
    close = difflib.get_close_matches(word.lower(), {name.lower() for name in names}, n=1, cutoff=0.7)
    alike = [name for name in names if name.lower() in close]
    return min(alike, key=lambda name: name[:1].isupper() != word[:1].isupper(), default=None)


def suggestion(word: str, allowed: Iterable[str]) -> str:
    """The closest allowed word as a question; or, where nothing is close, what is allowed."""
    names = list(allowed)
    close = closest(word, names)
    if close:
        return f"Did you mean `{close}`?"
    if not names:
        return "It takes none."
    shown = [name for name in names if name[:1].isupper()] or names
    return f"Allowed: {', '.join(f'`{name}`' for name in sorted(shown, key=str.lower))}."


def load_catalogue(make: Callable[[], dict[str, Any]]) -> Catalogue:
    """The catalogue for the installed Keras: the one that comes with dlcli, the cached one, or a new one by `make`."""
    version = importlib.metadata.version("keras")
    for path in (Path(__file__).with_name("catalogue.json"), _cached(version)):
        kinds = _read_kinds(path, version)
        if kinds is not None:
            return Catalogue(version, kinds)
    content = make()
    _keep(_cached(version), content)
    return Catalogue(version, content["kinds"])


def cache_folder() -> Path:
    """Where dlcli keeps what it can make again, by the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlcli"


def _cached(version: str) -> Path:
    return cache_folder() / f"catalogue-{version}-{FORMAT}.json"


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
