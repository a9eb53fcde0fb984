"""The layers of a spec as they are written, with blocks and variables: what a script is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlcli.spec.keras_objects import INPUT_LAYERS, split_layer, split_object
from dlcli.spec.paths import MODELS, STACK
from dlcli.spec.source import INPUT


@dataclass(frozen=True)
class Entry:
    """One entry of a list of layers, as plain data.

    Attributes:
        layer: the layer, or the use of a block, as `Name` or `Name: {arguments}`; None if it only says `reuse`.
        words: dlcli's own words beside it.
    """

    layer: Any
    words: Mapping[str, Any]

    @property
    def class_name(self) -> str:
        """Of the layer; or the name of the block."""
        return split_object(self.layer)[0] if self.layer is not None else ""

    @property
    def arguments(self) -> dict[str, Any]:
        """What the layer, or the block, is given."""
        return split_object(self.layer)[1] if self.layer is not None else {}

    @property
    def name(self) -> str | None:
        """By which others read it."""
        return self.words.get("name")

    @property
    def reuse(self) -> str | None:
        """The name of the entry whose layer it calls again."""
        return self.words.get("reuse")

    @property
    def reads(self) -> tuple[str, ...]:
        """The names that it reads; none for what stands above."""
        written = self.words.get("inputs")
        return (written,) if isinstance(written, str) else tuple(written or ())

    @property
    def inner(self) -> list[Entry]:
        """The entries of a model within the model; none of any other layer."""
        return entries_of(self.arguments["layers"]) if self.class_name in MODELS else []

    @property
    def own_inputs(self) -> tuple[str, ...]:
        """The names that a model within the model has for what it reads."""
        return tuple(self.arguments.get("inputs") or (INPUT,))

    @property
    def repeat(self) -> int:
        """How many follow one another."""
        return int(self.words.get("repeat") or 1)

    def copies(self) -> list[Entry]:
        """Each of those that follow one another by itself."""
        words = {word: value for word, value in self.words.items() if word not in ("repeat", "name")}
        names = [{"name": f"{self.name}_{copy + 1}"} if self.name else {} for copy in range(self.repeat)]
        return [Entry(self.layer, {**words, **name}) for name in names]

    @property
    def is_frozen(self) -> bool:
        """Whether training leaves its weights alone."""
        return self.words.get("trainable") is False


def entries_of(written: Sequence[Any]) -> list[Entry]:
    """The entries of a list of layers, without an `Input`."""
    found = []
    for entry in written:
        if isinstance(entry, Mapping) and "reuse" in entry and not any(str(key)[:1].isupper() for key in entry):
            found.append(Entry(None, entry))
        else:
            found.append(Entry(*split_layer(dict(entry) if isinstance(entry, Mapping) else entry)))
    return found[1:] if found[0].class_name in INPUT_LAYERS else found


@dataclass(frozen=True)
class Block:
    """A block: its parameters with what they are if a use says nothing, None if it must say; what it reads; layers."""

    parameters: Mapping[str, Any]
    inputs: tuple[str, ...]
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Outline:
    """The network as it is written.

    Attributes:
        entries: of `model.layers`.
        blocks: those that are used, by name.
        variables: what `${…}` in a block stands for, besides the block's parameters.
        outputs: the names of what the model puts out, if that is not what the last layer gives.
    """

    entries: Sequence[Entry]
    blocks: Mapping[str, Block] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[str] = ()

    @classmethod
    def of(cls, data: Mapping[str, Any], variables: Mapping[str, Any], outputs: Sequence[str]) -> Outline | None:
        """The outline of a spec's plain data; None if its blocks say what functions that make layers cannot say."""
        model = data["model"]
        entries = entries_of(model["layers"])
        blocks = {
            name: Block(
                content.get("parameters") or {},
                tuple(content.get("inputs") or ("input",)),
                entries_of(content["layers"]),
            )
            for name, content in (model.get("blocks") or {}).items()
        }
        used = _used(entries, blocks)
        outline = cls(entries, {name: block for name, block in blocks.items() if name in used}, variables, outputs)
        return outline if outline._is_plain() else None

    @classmethod
    def written_out(cls, layers: Sequence[Any], outputs: Sequence[str]) -> Outline:
        """The outline of layers among which are no blocks."""
        return cls(entries_of(layers), outputs=outputs)

    def _is_plain(self) -> bool:
        in_blocks = [block.entries for block in self.blocks.values()]
        if any(entry.inner for written in in_blocks for entry in written):
            return False  # its function would need the parameters of the block's
        lists = [*_lists(self.entries), *in_blocks]
        return all(self._is_plain_entry(entry, written) for written in lists for entry in written)

    def _is_plain_entry(self, entry: Entry, written: Sequence[Entry]) -> bool:
        if "${" in str(dict(entry.words)):
            return False
        if entry.class_name == STACK and any(inner.class_name in self.blocks for inner in entry.inner):
            return False  # whose functions are no items of a list
        if entry.class_name in self.blocks:
            return "trainable" not in entry.words
        # A use of a block has a function's layers, which no name in the script stands for.
        return entry.reuse is None or (
            not any(written is block.entries for block in self.blocks.values())
            and any(other.name == entry.reuse and other.class_name not in self.blocks for other in written)
        )


def _lists(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """The entries, and those of the models among them."""
    yield entries
    for entry in entries:
        if entry.inner:
            yield from _lists(entry.inner)


def _used(entries: Sequence[Entry], blocks: Mapping[str, Block]) -> set[str]:
    found: set[str] = set()
    left = [entry.class_name for written in _lists(entries) for entry in written]
    while left:
        name = left.pop()
        if name in blocks and name not in found:
            found.add(name)
            left += [entry.class_name for written in _lists(blocks[name].entries) for entry in written]
    return found
