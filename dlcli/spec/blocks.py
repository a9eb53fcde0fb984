"""`model.blocks`: named groups of layers with parameters, written out where they are used; and `reuse`.

What comes out has only layers in one list, as `dlcli.spec.graph` reads it, and every value keeps the place where it is
written: in the block, or where the block is used. This happens before variables are looked at, so a parameter may be
given as one.

The layers of a use of the block `residual` are called `residual_1_…`, or after the `name` that the use has; its last
layer is called as the use itself, so that others can read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy as copy_of
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from dlcli.errors import Path, Problem
from dlcli.spec.block_frames import LAYERS, Copies, Frame, Written, size_of, without_layers
from dlcli.spec.grammar import BlockSpec
from dlcli.spec.keras_objects import INPUT_LAYERS, LAYER_WORDS, layer_of, layers_within
from dlcli.spec.likeness import closest, suggestion
from dlcli.spec.marks import Document, Doubt
from dlcli.spec.source import INPUT
from dlcli.spec.writing import to_flow

_BLOCKS: Path = ("model", "blocks")
_MOST_LAYERS = 10_000
_MOST_NESTED = 20
UNUSED = "unused-block"


def write_out(document: Document) -> Document:
    """The document with the layers of its blocks in place of the blocks' uses, and with what `reuse` calls again."""
    model = document.data.get("model")
    entries = model.get("layers") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(entries, list):
        return document
    blocks = _sound_blocks(model.get("blocks"))
    if not blocks and not _says_reuse(entries):
        return document
    if any(problem.path[:2] == LAYERS for problem in document.problems) or document.doubt.concerns("model"):
        return _doubtful(document)
    work = _Writing(document, blocks)
    work.write(Frame(entries, LAYERS))
    if work.is_full:
        return _doubtful(replace(document, problems=(*document.problems, *work.problems)))
    places = tuple(
        {**{path: mark for path, mark in old.items() if path[:2] != LAYERS or len(path) == 2}, **new}
        for old, new in ((document.values, work.copies.values), (document.keys, work.copies.keys))
    )
    written = replace(
        document,
        data={**document.data, "model": {**model, "layers": work.written}},
        values=places[0],
        keys=places[1],
        uses={**document.uses, **work.copies.uses},
        groups=work.groups,
        problems=(*document.problems, *work.problems),
        warnings=(*document.warnings, *work.unused()),
    )
    return _doubtful(written) if work.problems or work.is_doubtful else written


def _says_reuse(entries: Sequence[Any]) -> bool:
    """Whether a layer is called again, in the model or in one within it."""
    plain = [entry for entry in entries if isinstance(entry, Mapping)]
    return any("reuse" in entry or _says_reuse(layers_within(entry)[1]) for entry in plain)


def _doubtful(document: Document) -> Document:
    """With nothing told of the layers, which are not what was meant."""
    return replace(document, doubt=document.doubt | Doubt(values=frozenset({LAYERS})))


def _sound_blocks(written: Any) -> dict[str, BlockSpec | None]:
    """The blocks by name; None for one that the grammar refuses, which says so itself."""
    blocks: dict[str, BlockSpec | None] = {}
    for name, content in written.items() if isinstance(written, Mapping) else ():
        try:
            blocks[name] = BlockSpec.model_validate(content)
        except ValidationError:
            blocks[name] = None
    return blocks


class _Writing:
    """Layers as they are written out, one after the other, with their places."""

    def __init__(self, document: Document, blocks: Mapping[str, BlockSpec | None]) -> None:
        self._document = document
        self._blocks = blocks
        self._used: set[str] = set()
        self._target = LAYERS
        self._count = 0
        self.written: list[Any] = []
        self.groups: dict[int, str] = {}
        self.copies = Copies(document, self._refuse)
        self.problems: list[Problem] = []
        self.is_doubtful = self.is_full = False

    def _write_within(self, frame: Frame, entry: Mapping[Any, Any], path: Path) -> list[Any]:
        """Write out the layers of a model within the model, which is written at `path` and comes next."""
        name, entries = layers_within(entry)
        inner = copy_of(self)  # with the same lists of problems, places and used blocks
        inner.written, inner.groups, inner._target = [], {}, (*self._target, len(self.written), name, "layers")
        source = (*path, name, "layers")
        self.copies.place(inner._target, source)
        inner.write(Frame(entries, source, parameters=frame.parameters, written_in=frame.scope, around=frame.around))
        self._count, self.is_doubtful, self.is_full = inner._count, inner.is_doubtful, inner.is_full
        return inner.written

    def unused(self) -> Iterator[Problem]:
        """A warning for each block that nothing uses."""
        for name, block in self._blocks.items():
            if block is not None and name not in self._used and not self.problems:
                message = f"The block `{name}` is never used."
                hint = f"Write `- {name}` among the layers where it is meant, or remove it."
                yield self._document.located(Problem(message, (*_BLOCKS, name), hint, at_key=True, code=UNUSED))

    def write(self, frame: Frame) -> None:
        """Write the layers of a list out."""
        self._name(frame)
        for number, entry in enumerate(frame.entries):
            if self._count >= _MOST_LAYERS and not self.is_full:
                self._refuse(f"The blocks stand for more than {_MOST_LAYERS:,} layers.", (*frame.path, number))
                self.is_full = True
            if self.is_full:
                return
            path = (*frame.path, number)
            block = self._block_of(entry)
            if block is not None:
                self._write_block(frame, entry, block, path)
            elif isinstance(entry, Mapping) and "reuse" in entry and not layer_of(entry):
                self._write_again(frame, entry, path)
            else:
                self._write_layer(frame, entry, path)

    def _refuse(self, message: str, path: Path, hint: str | None = None, *, at_key: bool = False) -> None:
        if len(self.problems) < _MOST_LAYERS:
            self.problems.append(self._document.located(Problem(message, path, hint, at_key=at_key)))

    def _block_of(self, entry: Any) -> str | None:
        """The name of the block that an entry uses."""
        name = entry if isinstance(entry, str) else layer_of(entry) if isinstance(entry, Mapping) else None
        return name if isinstance(name, str) and name in self._blocks else None

    def _write_layer(self, frame: Frame, entry: Any, path: Path) -> None:
        name = layer_of(entry) if isinstance(entry, Mapping) else entry
        likely = closest(name, self._blocks) if isinstance(name, str) and name[:1].islower() else None
        if likely:
            self._refuse(f"There is no block `{name}`.", path, f"Did you mean `{likely}`?")
            return
        target = (*self._target, len(self.written))
        copied = self.copies.copied(without_layers(entry), path, target, frame)
        if isinstance(copied, dict) and layers_within(entry)[1]:
            copied[name] = {"layers": self._write_within(frame, entry, path), **copied[name]}
        if frame.use is not None:
            self.copies.uses.setdefault(target, frame.use)
            copied = {copied: None} if isinstance(copied, str) else copied
        if isinstance(copied, dict):
            own = copied.get("name")
            if frame.is_last(path) and (frame.is_named or isinstance(own, str)):
                copied["name"] = frame.prefix
                self.copies.place((*target, "name"), frame.named_at)
            elif isinstance(own, str):
                copied["name"] = frame.called(own)
            if not frame.trainable:
                copied["trainable"] = False
            copied.update(self._read(frame, copied.get("inputs"), path))
        self.written.append(copied)
        self._count += 1

    def _read(self, frame: Frame, names: Any, path: Path) -> dict[str, Any]:
        """What the next layer reads, by names of the whole model; nothing if it is the layer above."""
        if names is not None:
            listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
            if not listed and not isinstance(names, str):
                return {}  # told by the grammar
            known = self._all_known(frame, names, path)
            return {"inputs": known[0] if isinstance(names, str) else known}
        if frame.block is None or len(self.written) > frame.start:
            return {}
        if len(frame.reads) > 1:
            names = ", ".join(f"`{name}`" for name in frame.reads)
            message = f"The first layer of `{frame.block}` must say which of {names} it reads."
            self._refuse(message, path, "Write `inputs: …` beside it.")
        [first, *_] = frame.reads.values()
        return {"inputs": first} if first else {}

    def _all_known(self, frame: Frame, names: str | list[str], path: Path) -> list[str]:
        """The names in the whole model of what the `inputs` of the entry at `path` names."""
        path = (*path, "inputs")
        if isinstance(names, str):
            return [self._known(frame, names, path)]
        return [self._known(frame, str(name), (*path, number)) for number, name in enumerate(names)]

    def _known(self, frame: Frame, name: str, path: Path) -> str:
        """The name in the whole model of what has a name in a list of layers."""
        if name in frame.reads:
            frame.reads[name] = frame.reads[name] or self._name_of(frame.start - 1, f"{frame.prefix}_input")
            return frame.reads[name]
        if frame.block is not None and name not in frame.names:
            hint = (
                f"{suggestion(name, {*frame.reads, *frame.names})} A block reads what it is given, and its own layers."
            )
            self._refuse(f"No layer of the block `{frame.block}` has the name `{name}`.", path, hint)
        return frame.names.get(name, name)

    def _name_of(self, number: int, name: str) -> str:
        """The name of a layer that has been written out, which is this one if it had none; above all is the input."""
        entry = self.written[number] if number >= 0 else None
        entry = {entry: None} if isinstance(entry, str) else entry
        if not isinstance(entry, Mapping) or layer_of(entry) in INPUT_LAYERS:
            return INPUT
        self.written[number] = {**entry, "name": entry.get("name", name)}
        return str(self.written[number]["name"])

    def _write_block(self, frame: Frame, entry: Any, name: str, path: Path) -> None:
        block = self._blocks[name]
        self._used.add(name)
        if block is None:
            self.is_doubtful = True
            return
        if name in frame.around or len(frame.around) >= _MOST_NESTED:
            names = " → ".join(f"`{each}`" for each in (*frame.around, name))
            self._refuse(f"These blocks use each other without end: {names}.", path)
            return
        words = self._words(frame, entry, path)
        given = self._arguments(frame, entry, name, block, path)
        reads = self._inputs(frame, words or {}, name, block, path)
        if words is None or given is None or reads is None:
            return
        frame.counts[name] = frame.counts.get(name, 0) + 1
        own = words.get("name")
        called = own if isinstance(own, str) else f"{name}_{frame.counts[name]}"
        # Of a block within a block, only one that has a name, or whose name the outer one needs.
        is_named = frame.block is None or isinstance(own, str) or (frame.is_last(path) and frame.is_named)
        began, copies, first_reads = len(self.written), words.get("repeat", 1), reads
        for copy in range(1, copies + 1):
            prefix = frame.called(called if copies == 1 else f"{called}_{copy}")
            if copy == copies and frame.is_last(path):
                prefix = frame.prefix
            inner = Frame(
                block.layers, (*_BLOCKS, name, "layers"), name, prefix, is_named, (*path, "name"), reads, given,
                (self._document.mark(path), f"- {name}"), words.get("trainable", True) and frame.trainable,
                (*frame.around, name), len(self.written),
            )  # fmt: skip
            self.write(inner)
            if self.is_full:
                return
            if frame.block is None:
                label = prefix if own is None else f"{prefix}: {name}"
                self.groups.update(dict.fromkeys(range(inner.start, len(self.written)), label))
            reads = dict.fromkeys(reads, "")
        if isinstance(own, str):
            frame.written_uses[own] = Written(began, len(self.written), tuple(first_reads.values()))

    def _name(self, frame: Frame) -> None:
        """Tell a list the names that its layers have in it, with those that they get in the whole model."""
        for number, entry in enumerate(frame.entries):
            own = entry.get("name") if isinstance(entry, Mapping) else None
            if not isinstance(own, str):
                continue
            copies = self.copies.plain(entry.get("repeat"), frame) if self._block_of(entry) else None
            name = frame.called(f"{own}_{copies}" if isinstance(copies, int) and copies > 1 else own)
            frame.names[own] = frame.prefix if frame.is_last((number,)) else name

    def _words(self, frame: Frame, entry: Any, path: Path) -> dict[str, Any] | None:
        """The words beside a block, checked as those beside a layer are."""
        words = {word: entry[word] for word in LAYER_WORDS if word in entry} if isinstance(entry, Mapping) else {}
        words = {word: self.copies.plain(value, frame) for word, value in words.items()}
        repeat, trainable = words.get("repeat", 1), words.get("trainable", True)
        if "reuse" in words:
            self._refuse("`reuse` calls again what is above, and stands without a block beside it.", (*path, "reuse"))
            return None
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            message = f"`repeat` of a block must be a whole number of at least 1; received `{repeat}`."
            self._refuse(message, (*path, "repeat"))
            return None
        if not isinstance(trainable, bool):
            message = f"`trainable` of a block must be `true` or `false`; received `{trainable}`."
            self._refuse(message, (*path, "trainable"))
            return None
        return words

    def _arguments(
        self, frame: Frame, entry: Any, name: str, block: BlockSpec, path: Path
    ) -> dict[str, tuple[Any, Path, Frame | None]] | None:
        """The parameters of one use of a block; None if they are wrong."""
        written = entry[name] if isinstance(entry, Mapping) else None
        if written is not None and not isinstance(written, Mapping):
            message = f"The parameters of `{name}` are written by name, as `{name}: {{parameter: value}}`."
            self._refuse(message, (*path, name), _in_full(name, block))
            return None
        unknown = [key for key in written or {} if key not in block.parameters]
        for key in unknown:
            hint = suggestion(str(key), block.parameters) if block.parameters else "It has none."
            message = f"`{key}` is not a parameter of the block `{name}`."
            self._refuse(message, (*path, name, key), hint, at_key=True)
        given: dict[str, tuple[Any, Path, Frame | None]] = {}
        for key, default in block.parameters.items():
            if written is not None and key in written:
                given[key] = (written[key], (*path, name, key), frame)
            elif default is not None:
                given[key] = (default, (*_BLOCKS, name, "parameters", key), None)
        missing = [key for key in block.parameters if key not in given]
        if missing and not unknown:
            words = ", ".join(f"`{key}`" for key in missing)
            self._refuse(f"The block `{name}` needs {words}.", path, _in_full(name, block))
        return None if missing or unknown else given

    def _inputs(
        self, frame: Frame, words: Mapping[str, Any], name: str, block: BlockSpec, path: Path
    ) -> dict[str, str] | None:
        """What a use of a block reads, by the block's names for it; None if that is wrong."""
        names, wanted = words.get("inputs"), block.inputs
        if names is None and len(wanted) == 1:
            return {wanted[0]: str(self._read(frame, None, path).get("inputs", ""))}
        written = [names] if isinstance(names, str) else names
        if names is None or not isinstance(written, list) or len(written) != len(wanted):
            shown = ", ".join(f"`{each}`" for each in wanted)
            received = len(written) if isinstance(written, list) else "none"
            number = "1 layer" if len(wanted) == 1 else f"{len(wanted)} layers"
            message = f"The block `{name}` reads {number} ({shown}); received {received}."
            self._refuse(message, path, "Name them in `inputs` beside it, in this order.")
            return None
        if len(wanted) > 1 and words.get("repeat", 1) != 1:
            message = f"The block `{name}` reads {len(wanted)} layers, and puts out one: it cannot be repeated."
            self._refuse(message, (*path, "repeat"))
            return None
        return dict(zip(wanted, self._all_known(frame, names, path), strict=True))

    def _write_again(self, frame: Frame, entry: Mapping[str, Any], path: Path) -> None:
        """Write out `reuse`: the layer, or those of the use of a block, once more, each saying which layer it is."""
        wanted = str(entry["reuse"])
        others = [key for key in entry if key not in ("reuse", "inputs", "name")]
        if others:
            message = f"Beside `reuse` only `inputs` and `name` can stand; received `{others[0]}`."
            self._refuse(message, (*path, others[0]), at_key=True)
            return
        calls = self._calls(frame, wanted)
        if calls is None:
            known = suggestion(wanted, {*frame.written_uses, *frame.names})
            hint = f"{known} A layer is given one by `name: …` beside it."
            self._refuse(f"No layer above has the name `{wanted}`.", (*path, "reuse"), hint)
            return
        own = self.copies.plain(entry.get("name"), frame)
        called = frame.called(own if isinstance(own, str) else f"{wanted}_{len(self.written)}")
        if frame.is_last(path) and (frame.is_named or isinstance(own, str)):
            called = frame.prefix
        reads = self._read(frame, entry.get("inputs"), path)
        renamed = self._reads_again(calls, reads, wanted, called, path)
        for number in range(calls.first, calls.end):
            name = self._name_of(number, f"{wanted}_layer{number - calls.first + 1}")
            again = dict(self.written[number])
            written = again.pop("inputs", None)
            again["reuse"] = again.get("reuse", name)
            again["name"] = renamed[name] = called if number == calls.end - 1 else f"{called}_{name}"
            if number == calls.first and (written is None or calls.end == calls.first + 1):
                again.update(reads)
            elif written is not None:
                each = [renamed.get(read, read) for read in ([written] if isinstance(written, str) else written)]
                again["inputs"] = each[0] if isinstance(written, str) else each
            target = (*self._target, len(self.written))
            self.copies.take_again((*self._target, number), target)
            self.copies.uses[target] = (self._document.mark(path), f"reuse: {wanted}")
            self.written.append(again)
            self._count += size_of(again)

    def _reads_again(
        self, calls: Written, reads: Mapping[str, Any], wanted: str, called: str, path: Path
    ) -> dict[str, str]:
        """What a use of a block reads by name, with what it reads instead when it is called again."""
        if not any(calls.reads):
            return {}
        names = reads.get("inputs", self._name_of(len(self.written) - 1, f"{called}_input"))
        names = [names] if isinstance(names, str) else names
        if len(names) != len(calls.reads):
            message = f"`{wanted}` reads {len(calls.reads)}; received {len(names)}."
            self._refuse(message, path, "Name as many in `inputs` beside `reuse`, in the same order.")
        return dict(zip(calls.reads, names, strict=False))

    def _calls(self, frame: Frame, wanted: str) -> Written | None:
        """The layers that `reuse` names; None if there are none."""
        if wanted in frame.written_uses:
            return frame.written_uses[wanted]
        name = frame.names.get(wanted, frame.called(wanted))
        for number, entry in enumerate(self.written):
            if isinstance(entry, Mapping) and entry.get("name") == name:
                return Written(number, number + 1, ())
        return None


def _in_full(name: str, block: BlockSpec) -> str:
    if not block.parameters:
        return f"Write `{name}` alone: it has no parameters."
    parameters = {key: "…" if value is None else value for key, value in block.parameters.items()}
    return f"Write `{name}: {to_flow(parameters)}`."
