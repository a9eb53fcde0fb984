"""Which names and arguments Keras has, as data, so that a spec is checked without importing Keras.

The catalogue is made from the installed Keras by `dlcli.model.catalogue`. The one for the tested version comes with
dlcli; for another version it is made once and kept in the user's cache folder. A line on each name and argument is in
a file of its own, `catalogue_docs.json`, which only `dlcli schema` needs.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 2
Entries = dict[str, Any]
"""by name: the arguments, each with what is known of it; or, for a second name of a thing, the first, as a text"""
_SHORTEST_PART = 5
_MOST_SUGGESTED = 6


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
class Parameter:
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
    bounds: Mapping[str, float] = field(default_factory=dict)
    default: Any = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Parameter:
        """The parameter that a catalogue's file describes."""
        tuples = {name: tuple(content[name]) for name in ("types", "choices", "examples", "items") if name in content}
        return cls(**{**content, **tuples})


# Keras's function `Input`, used as if it were a layer; dlcli fills in what else it takes.
_GIVEN = {
    ("layer", "Input"): {
        "shape": Parameter(required=True, types=("list",), items=("integer", "null")),
        "dtype": Parameter(types=("null", "string")),
        "name": Parameter(types=("null", "string")),
    }
}


@dataclass(frozen=True)
class Catalogue:
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
        """The names of a kind, without second names of the same thing."""
        given = [name for other, name in _GIVEN if other == kind]
        return sorted([*given, *(name for name, entry in self.kinds[kind].items() if not isinstance(entry, str))])

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
        spelt = {_plain(known) for known in names}
        others = [other for other in self.second_names(kind) if _plain(other) not in spelt]
        return suggestion(name, [*names, *others]) if similar(name, [*names, *others]) else allowed(names)


@dataclass(frozen=True)
class Docs:
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


def closest(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is most like, if any is."""
    return next(iter(similar(word, names)), None)


def similar(word: str, names: Iterable[str]) -> list[str]:
    """The name that `word` is a misspelling of; or the names that it is a part of, or that are a part of it."""
    names = list(names)
    near = misspelt(word, names)
    if near is not None:
        return [near]
    parts = {_plain(name): name for name in _in_case_of(word, names) if _is_part(_plain(word), _plain(name))}
    return sorted(parts.values(), key=lambda name: (len(name), name)) if len(parts) <= _MOST_SUGGESTED else []


def misspelt(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is a misspelling of, if it is of any.

    Capitals and underscores count for nothing, except that of `accuracy` and `Accuracy` the one in the word's case is
    taken.
    """
    spellings = {_plain(name): name for name in _in_case_of(word, names)}
    plain = _plain(word)
    candidates = difflib.get_close_matches(plain, sorted(spellings), n=5, cutoff=0.6)
    near = [name for name in candidates if _is_near(plain, name)]
    # `Rescale` has fewer letters wrong for `Reshape` than for `Rescaling`, whose beginning it is.
    best = min(near, key=lambda name: _distance(plain, name) - _same_start(plain, name) // 2, default=None)
    return spellings[best] if best is not None else None


def _is_near(word: str, name: str) -> bool:
    is_other_ending = len(word) * 4 <= _same_start(word, name) * 5 < len(word) * 5
    return is_other_ending or _distance(word, name) <= max(1, len(word) // 3)


def _same_start(first: str, second: str) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _in_case_of(word: str, names: Iterable[str]) -> list[str]:
    """The names, those that start with a capital, or a small letter, as the word does, last."""
    return sorted(names, key=lambda name: name[:1].isupper() == word[:1].isupper())


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _is_part(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    # `XavierUniform` is not `uniform`.
    is_most_of_it = shorter == first or len(shorter) * 5 >= len(longer) * 3
    return len(shorter) >= _SHORTEST_PART and shorter in longer and is_most_of_it


def _distance(first: str, second: str) -> int:
    """How many letters to change, to insert, to drop or to swap with the next one, to get from one to the other.

    The optimal string alignment distance (Damerau 1964).
    """
    rows = [list(range(len(second) + 1))]
    for i, letter in enumerate(first, start=1):
        row = [i]
        for j, other in enumerate(second, start=1):
            steps = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and other == first[i - 2]:
                steps = min(steps, rows[-2][j - 2] + 1)
            row.append(steps)
        rows.append(row)
    return rows[-1][-1]


def suggestion(word: str, names: Iterable[str]) -> str:
    """The closest allowed words as a question; or, where nothing is close, what is allowed."""
    names = list(names)
    close = [f"`{name}`" for name in similar(word, names)]
    if not close:
        return allowed(names)
    return f"Did you mean {' or '.join([', '.join(close[:-1]), close[-1]] if close[1:] else close)}?"


def allowed(names: Iterable[str]) -> str:
    """A list of what is allowed, without the short names beside capital ones."""
    names = list(names)
    if not names:
        return "It takes none."
    shown = [name for name in names if name[:1].isupper()] or names
    return f"Allowed: {', '.join(f'`{name}`' for name in sorted(shown, key=str.lower))}."


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
