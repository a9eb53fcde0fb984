"""The network of a spec in Python: a `Sequential` where it is a stack, calls of layers where it is a graph.

A block becomes a function with the block's parameters.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlcli.code.objects import APPLICATION, Writer
from dlcli.code.outline import Block, Entry, Outline
from dlcli.data.dataset import OneOrNamed, Shape, named
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.graph import in_order
from dlcli.spec.keras_objects import SEVERAL_ARGUMENTS
from dlcli.spec.source import INPUT

# Names that the script uses itself, or that Python has.
_OWN = (
    "keras", "layers", "np", "tf", "datasets", "train_test_split", "hold_out", "inputs", "outputs", "model", "x", "y",
    "x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "layer", "number", "augment", "augmented", "mix",
    "mixed", "prepare", "normalize", "train", "random", "digits", "of_test", "xor", "spirals", "blobs", "shapes",
    "motion", "ratings", "pairs",
)  # fmt: skip
_TAKEN = frozenset((*_OWN, *dir(builtins), *keyword.kwlist))


def network_lines(outline: Outline, catalogue: Catalogue, shape: OneOrNamed[Shape], name: str) -> list[str]:
    """The statements that make `model`, for examples of `shape`, without the batch axis; of several inputs, by name."""
    writer = Writer(catalogue)
    is_graph = (
        outline.blocks
        or outline.outputs
        or isinstance(shape, Mapping)
        or any(
            entry.reads or entry.reuse or entry.class_name in SEVERAL_ARGUMENTS or _is_application(entry, catalogue)
            for entry in outline.entries
        )
    )
    if not is_graph and not isinstance(shape, Mapping):
        return [f"model = keras.Sequential([{', '.join(_stacked(outline.entries, writer, shape))},], name={name!r})"]
    lines: list[str] = []
    for block, content in outline.blocks.items():
        lines += [*_function(block, content, outline, catalogue), "", ""]
    known = {one: identifier(one) for one in shape} if isinstance(shape, Mapping) else {INPUT: "inputs"}
    inputs = [
        f"{known[one]} = keras.Input(shape={each!r}{f', name={one!r}' if isinstance(shape, Mapping) else ''})"
        for one, each in named(shape, INPUT).items()
    ]
    body = _Body(writer, outline.blocks, dict(known), outputs=outline.outputs)
    last = body.call_all(outline.entries, next(iter(known.values())), "outputs")
    if outline.outputs:
        last = _by_name({one: body.known[one] for one in outline.outputs})
    given = _by_name(known)
    return [*lines, *inputs, *body.lines, f"model = keras.Model({given}, {last}, name={name!r})"]


def _by_name(variables: Mapping[str, str]) -> str:
    """The only variable, or all of them in a dictionary."""
    if len(variables) == 1:
        return next(iter(variables.values()))
    return f"{{{', '.join(f'{name!r}: {variable}' for name, variable in variables.items())}}}"


def _is_application(entry: Entry, catalogue: Catalogue) -> bool:
    """Whether this is a network of `keras.applications`."""
    return "include_top" in (catalogue.parameters("layer", entry.class_name) or {})


def _stacked(entries: Sequence[Entry], writer: Writer, shape: Shape) -> list[str]:
    items = [f"keras.Input(shape={shape!r})"]
    for entry in entries:
        made = _layer(entry, writer, is_named=True)
        items.append(f"*[{made} for {_counter(entry)} in range({entry.repeat})]" if entry.repeat > 1 else made)
    return items


def _counter(entry: Entry, *, is_named: bool = True) -> str:
    return "number" if entry.name is not None and is_named else "_"


def _layer(entry: Entry, writer: Writer, *, is_named: bool) -> str:
    """The layer itself."""
    more = []
    if entry.name is not None and is_named:
        more.append(("name", repr(entry.name) if entry.repeat == 1 else f'f"{entry.name}_{{number + 1}}"'))
    if entry.is_frozen:
        more.append(("trainable", "False"))
    return writer.made("layer", entry.layer, more)


def _function(name: str, block: Block, outline: Outline, catalogue: Catalogue) -> list[str]:
    known = {one: "inputs" if one == INPUT else identifier(one) for one in block.inputs}
    outer = Writer(catalogue, variables=outline.variables)
    needed = [parameter for parameter, default in block.parameters.items() if default is None]
    given = [
        f"{parameter}={outer.value(default)}" for parameter, default in block.parameters.items() if default is not None
    ]
    writer = Writer(catalogue, frozenset(block.parameters), outline.variables)
    # Layers in a block, of which there may be many, have Keras's own names.
    body = _Body(writer, outline.blocks, dict(known), is_named=False)
    last = body.call_all(block.entries, known[block.inputs[0]], "x")
    head = f"def {name}({', '.join([*known.values(), *needed, *given])}):"
    return [head, *(f"    {line}" for line in [*body.lines, f"return {last}"])]


def identifier(name: str) -> str:
    """The name as one that a Python variable may have."""
    written = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    written = f"_{written}" if written[:1].isdigit() else written
    return f"{written}_" if written in _TAKEN else written


_READ = "\0"


@dataclass
class _Body:
    """Statements that call one layer after the other.

    Attributes:
        writer: writes the layers.
        blocks: what are functions.
        known: the variable of what is called so in the list of layers.
        is_named: whether layers have the names that the spec gives them.
        lines: the statements.
        shared: the variables of layers, by their names, that are called again.
        outputs: the names of what the model puts out, if that is not what the last layer gives.
    """

    writer: Writer
    blocks: Mapping[str, Block]
    known: dict[str, str]
    is_named: bool = True
    lines: list[str] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)
    outputs: Sequence[str] = ()

    def call_all(self, entries: Sequence[Entry], first: str, last: str) -> str:
        """Call every layer; the variable of what the last one puts out, which is `last` unless others read it, too."""
        wanted = {*self.outputs, *(name for entry in entries for name in entry.reads)}
        again = {entry.reuse for entry in entries if entry.reuse is not None}
        order = _order(entries)
        above = {0: first}
        for place, number in enumerate(order):
            entry = entries[number]
            reads = [self.known[name] for name in entry.reads] or [above[number]]
            if entry.name in wanted:
                target = identifier(str(entry.name))
            elif number == len(entries) - 1:
                target = last
            else:
                follows = place + 1 < len(order) and order[place + 1] == number + 1
                target = "x" if follows else f"x_{number}"
            self._call(entry, reads, target, is_shared=entry.name is not None and entry.name in again)
            if entry.name is not None:
                self.known[entry.name] = target
            above[number + 1] = target
        return above[len(entries)]

    def _call(self, entry: Entry, reads: list[str], target: str, *, is_shared: bool) -> None:
        read = reads[0] if len(reads) == 1 else f"[{', '.join(reads)}]"
        if entry.class_name in SEVERAL_ARGUMENTS:
            if entry.repeat > 1:
                for copy in entry.copies():
                    self._call(copy, reads, target, is_shared=False)
                    reads = [target]
                return
            read = ", ".join(reads if len(reads) > 1 else reads * 2)
        if entry.class_name in self.blocks:
            more = self._arguments_of_block(entry)
            self._repeat(entry, target, reads, f"{entry.class_name}({_READ}{''.join(f', {one}' for one in more)})", "_")
        elif entry.reuse is not None:
            self._again(self.shared[entry.reuse], target, read, entry.repeat)
        elif is_shared or _is_application(entry, self.writer.catalogue):
            layer = f"{identifier(entry.name or entry.class_name.lower())}_layer"
            self._make(entry, layer, read)
            self.shared[entry.name or ""] = layer
            self._again(layer, target, read, entry.repeat)
        else:
            made = _layer(entry, self.writer, is_named=self.is_named)
            self._repeat(entry, target, [read], f"{made}({_READ})", _counter(entry, is_named=self.is_named))

    def _arguments_of_block(self, entry: Entry) -> list[str]:
        parameters = self.blocks[entry.class_name].parameters
        needed = [parameter for parameter, default in parameters.items() if default is None]
        given = {parameter: self.writer.value(value) for parameter, value in entry.arguments.items()}
        others = [f"{parameter}={value}" for parameter, value in given.items() if parameter not in needed]
        return [*(given[parameter] for parameter in needed), *others]

    def _repeat(self, entry: Entry, target: str, reads: list[str], call: str, counter: str) -> None:
        """`call` has _READ where it reads."""
        if entry.repeat == 1:
            self.lines.append(f"{target} = {call.replace(_READ, ', '.join(reads))}")
            return
        if reads[0] != target:
            self.lines.append(f"{target} = {reads[0]}")
        self.lines += [f"for {counter} in range({entry.repeat}):", f"    {target} = {call.replace(_READ, target)}"]

    def _again(self, layer: str, target: str, read: str, repeat: int) -> None:
        if repeat == 1:
            self.lines.append(f"{target} = {layer}({read})")
            return
        if read != target:
            self.lines.append(f"{target} = {read}")
        self.lines += [f"for layer in {layer}:", f"    {target} = layer({target})"]

    def _make(self, entry: Entry, layer: str, read: str) -> None:
        if not _is_application(entry, self.writer.catalogue):
            made = _layer(entry, self.writer, is_named=self.is_named)
            if entry.repeat > 1:
                made = f"[{made} for {_counter(entry)} in range({entry.repeat})]"
            self.lines.append(f"{layer} = {made}")
            return
        given = [("input_shape", f"{read}.shape[1:]"), *([("name", repr(entry.name))] if entry.name else [])]
        self.lines.append(f"{layer} = {self.writer.made(APPLICATION, entry.layer, given)}")
        if entry.is_frozen:
            self.lines.append(f"{layer}.trainable = False")


def _order(entries: Sequence[Entry]) -> list[int]:
    """An order in which each comes after those that it reads: as written, where that is one."""
    named = {entry.name: number for number, entry in enumerate(entries) if entry.name is not None}
    needs: dict[int, set[int]] = {}
    for number, entry in enumerate(entries):
        needs[number] = {named[name] for name in (*entry.reads, entry.reuse) if name in named}
        if not entry.reads and number > 0:
            needs[number].add(number - 1)
    return in_order(needs)
