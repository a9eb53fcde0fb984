"""Lists of layers that are written out, and what is copied from them, with parameters in it and all places kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dlcli.errors import Path
from dlcli.spec.keras_objects import layers_within
from dlcli.spec.likeness import suggestion
from dlcli.spec.marks import Document, Mark

LAYERS: Path = ("model", "layers")
_USE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")


@dataclass
class Frame:
    """A list of layers that is written out: that of the model, or that of one use of a block.

    Attributes:
        entries: the layers as they are written.
        path: where that list is written.
        block: the block's name; None for the model itself.
        prefix: what the names of its layers begin with.
        is_named: whether its last layer is called as the prefix, for others to read.
        named_at: where that name is written, if it is.
        reads: what it reads, by its own names for it: names of the whole model, or "" for the layer above.
        parameters: the value of each parameter, the path where it is written, and the frame that it is written in.
        use: where it is used, and how.
        trainable: whether its layers are trained, unless they say otherwise.
        around: the blocks that it is in, the outermost first.
        start: how many layers are written out before it.
        names: the layers' own names in the list, with those that they get.
        written_uses: what each use of a block that has a name was written out as.
        counts: how often each block was used in it.
        written_in: the block that a model within the model stands in, if the list is that model's.
    """

    entries: list[Any]
    path: Path
    block: str | None = None
    prefix: str = ""
    is_named: bool = True
    named_at: Path = ()
    reads: dict[str, str] = field(default_factory=dict)
    parameters: Mapping[str, tuple[Any, Path, Frame | None]] = field(default_factory=dict)
    use: tuple[Mark, str] | None = None
    trainable: bool = True
    around: tuple[str, ...] = ()
    start: int = 0
    names: dict[str, str] = field(default_factory=dict)
    written_uses: dict[str, Written] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    written_in: str | None = None

    @property
    def scope(self) -> str | None:
        """The block whose parameters may be used in it."""
        return self.block or self.written_in

    def is_last(self, path: Path) -> bool:
        """Whether what is written at `path` is what the block puts out."""
        return self.block is not None and path[-1] == len(self.entries) - 1

    def called(self, name: str) -> str:
        """The name in the whole model of what is called `name` in this list."""
        return f"{self.prefix}_{name}" if self.prefix else name


class Written(NamedTuple):
    """Layers that have been written out: the number of the first, that behind the last, and what they read by name."""

    first: int
    end: int
    reads: tuple[str, ...]


class Copies:
    """The places of what is copied, by the paths where it ends up.

    Args:
        document: where it is written.
        refuse: called with a mistake, its path and what to do.
    """

    def __init__(self, document: Document, refuse: Callable[[str, Path, str | None], None]) -> None:
        self._document = document
        self._refuse = refuse
        variables = document.data.get("variables")
        self._variables = set(variables) if isinstance(variables, Mapping) else set()
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.uses: dict[Path, tuple[Mark, str]] = {}

    def place(self, path: Path, written_at: Path) -> None:
        """Let the value at `path` have the place of another one, if that is written anywhere."""
        for places, copies in ((self._document.values, self.values), (self._document.keys, self.keys)):
            if written_at in places:
                copies[path] = places[written_at]

    def copied(self, value: Any, source: Path, target: Path, frame: Frame | None) -> Any:
        """A value with the block's parameters in it, and its places brought to where it ends up."""
        for places, copies in ((self._document.values, self.values), (self._document.keys, self.keys)):
            if source in places and not (copies is self.keys and isinstance(target[-1], int)):
                copies.setdefault(target, places[source])
        if isinstance(value, Mapping):
            return {key: self.copied(item, (*source, key), (*target, key), frame) for key, item in value.items()}
        if isinstance(value, list):
            return [self.copied(item, (*source, at), (*target, at), frame) for at, item in enumerate(value)]
        if not isinstance(value, str) or frame is None or frame.scope is None or "${" not in value:
            return value
        for name in _USE.findall(value):
            if name not in frame.parameters and name not in self._variables:
                hint = suggestion(name, {*frame.parameters, *self._variables})
                self._refuse(
                    f"The block `{frame.scope}` has no parameter `{name}`, nor is it a variable.", source, hint
                )
                return None
        whole = _USE.fullmatch(value)
        if whole and whole[1] in frame.parameters:
            self.uses[target] = (self._document.mark(source), value)
            self.values.pop(target, None)
            inner, written_at, outer = frame.parameters[whole[1]]
            return self.copied(inner, written_at, target, outer)
        return _USE.sub(lambda found: self._in_text(found, frame), value)

    def _in_text(self, found: re.Match[str], frame: Frame) -> str:
        if found[1] not in frame.parameters:
            return found[0]
        value = self.plain(found[0], frame)
        return str(value).lower() if isinstance(value, bool) else str(value)

    def plain(self, value: Any, frame: Frame | None) -> Any:
        """A word's value with the parameters of the block that it is written in."""
        whole = _USE.fullmatch(value) if isinstance(value, str) else None
        if whole and frame is not None and whole[1] in frame.parameters:
            inner, _, outer = frame.parameters[whole[1]]
            return self.plain(inner, outer)
        return value

    def take_again(self, old: Path, new: Path) -> None:
        """Let a layer that is called again have the places of the first call."""
        for places in (self.values, self.keys):
            inside = [(path, mark) for path, mark in places.items() if path[: len(old)] == old]
            places.update({(*new, *path[len(old) :]): mark for path, mark in inside})


def size_of(entry: Any) -> int:
    """How many layers an entry stands for: itself, and those within it."""
    return 1 + sum(map(size_of, layers_within(entry)[1]))


def without_layers(entry: Any) -> Any:
    """An entry without the layers of the model within the model, if it is one."""
    name, layers = layers_within(entry)
    if not layers:
        return entry
    return {**entry, name: {key: value for key, value in entry[name].items() if key != "layers"}}
