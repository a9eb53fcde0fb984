"""Statements that call layers, for a script: one after the other, with models within the model as functions or stacks.

A block's function is made in `dlcli.code.network`.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dlcli.code.objects import APPLICATION, Writer
from dlcli.code.outline import Block, Entry
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.graph import in_order
from dlcli.spec.keras_objects import SEVERAL_ARGUMENTS
from dlcli.spec.paths import STACK
from dlcli.spec.source import INPUT

# Names that the script uses itself, or that Python has.
_OWN = (
    "keras", "layers", "np", "tf", "datasets", "train_test_split", "hold_out", "inputs", "outputs", "model", "x", "y",
    "x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "layer", "number", "augment", "augmented", "mix",
    "mixed", "prepare", "normalize", "train", "random", "digits", "of_test", "xor", "spirals", "blobs", "shapes",
    "motion", "ratings", "pairs", "y_mean", "y_std", "in_units", "compute_metrics", "mlflow",
)  # fmt: skip
_TAKEN = frozenset((*_OWN, *dir(builtins), *keyword.kwlist))


def identifier(name: str) -> str:
    """The name as one that a Python variable may have."""
    written = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
    written = f"_{written}" if written[:1].isdigit() else written
    return f"{written}_" if written in _TAKEN else written


def is_application(entry: Entry, catalogue: Catalogue) -> bool:
    """Whether this is a network of `keras.applications`."""
    return "include_top" in (catalogue.parameters("layer", entry.class_name) or {})


def is_stackable(entry: Entry, catalogue: Catalogue) -> bool:
    """Whether the entry is one expression in a list of layers, which needs no shape of what it reads."""
    if entry.reads or entry.reuse or entry.class_name in SEVERAL_ARGUMENTS or is_application(entry, catalogue):
        return False
    if not entry.inner:
        return True
    return (
        entry.class_name == STACK and not entry.is_frozen and all(is_stackable(one, catalogue) for one in entry.inner)
    )


def stacked(entries: Sequence[Entry], writer: Writer) -> list[str]:
    """The items of a list of layers."""
    items = []
    for entry in entries:
        made = _stack(entry, writer) if entry.inner else _layer(entry, writer, is_named=True)
        items.append(f"*[{made} for {_counter(entry)} in range({entry.repeat})]" if entry.repeat > 1 else made)
    return items


def _stack(entry: Entry, writer: Writer) -> str:
    """A model within the model that is a stack, as one expression."""
    name = f", name={_name(entry)}" if entry.name is not None else ""
    items = stacked(entry.inner, writer)
    return f"keras.Sequential([{', '.join(items)}{',' if len(items) > 1 else ''}]{name})"


def _name(entry: Entry) -> str:
    return repr(entry.name) if entry.repeat == 1 else f'f"{entry.name}_{{number + 1}}"'


def _counter(entry: Entry, *, is_named: bool = True) -> str:
    return "number" if entry.name is not None and is_named else "_"


def _layer(entry: Entry, writer: Writer, *, is_named: bool) -> str:
    """The layer itself."""
    more = []
    if entry.name is not None and is_named:
        more.append(("name", _name(entry)))
    if entry.is_frozen:
        more.append(("trainable", "False"))
    return writer.made("layer", entry.layer, more)


def _is_plain_stack(entry: Entry, catalogue: Catalogue) -> bool:
    return entry.class_name == STACK and all(is_stackable(one, catalogue) for one in entry.inner)


_READ = "\0"


@dataclass
class Functions:
    """The functions that make the models within the model, in the order in which they are needed."""

    lines: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def called(self, entry: Entry) -> str:
        """A name that none of them has."""
        name = plain = f"make_{identifier(entry.name or 'inner').strip('_').lower()}"
        while name in self.names:
            name = f"{plain}_{len(self.names) + 1}"
        self.names.add(name)
        return name


@dataclass
class Body:
    """Statements that call one layer after the other.

    Attributes:
        writer: writes the layers.
        blocks: what are functions.
        known: the variable of what is called so in the list of layers.
        functions: those that make the models within the model.
        is_named: whether layers have the names that the spec gives them.
        lines: the statements.
        shared: the variables of layers, by their names, that are called again; and how many each has, one or a list.
        outputs: the names of what the model puts out, if that is not what the last layer gives.
    """

    writer: Writer
    blocks: Mapping[str, Block]
    known: dict[str, str]
    functions: Functions
    is_named: bool = True
    lines: list[str] = field(default_factory=list)
    shared: dict[str, tuple[str, int]] = field(default_factory=dict)
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
            self._again(*self.shared[entry.reuse], target, read)
        elif entry.inner:
            self._call_model(entry, reads, target, is_shared=is_shared)
        elif is_shared or is_application(entry, self.writer.catalogue):
            layer = f"{identifier(entry.name or entry.class_name.lower())}_layer"
            self._make(entry, layer, read)
            self.shared[entry.name or ""] = (layer, entry.repeat)
            self._again(layer, entry.repeat, target, read)
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

    def _again(self, layer: str, repeat: int, target: str, read: str) -> None:
        if repeat == 1:
            self.lines.append(f"{target} = {layer}({read})")
            return
        if read != target:
            self.lines.append(f"{target} = {read}")
        self.lines += [f"for layer in {layer}:", f"    {target} = layer({target})"]

    def _call_model(self, entry: Entry, reads: list[str], target: str, *, is_shared: bool) -> None:
        """Make a model within the model, and call it."""
        read = reads[0] if len(reads) == 1 else f"[{', '.join(reads)}]"
        function = None if _is_plain_stack(entry, self.writer.catalogue) else self._function(entry)
        made = self._model(entry, function, reads if entry.repeat == 1 else [target])
        if not is_shared and not entry.is_frozen:
            call = f"{made}({target if entry.repeat > 1 else read})"
            self._repeat(entry, target, [read], call, "_" if function and entry.name is None else _counter(entry))
            return
        layer = f"{identifier(entry.name or 'inner')}_layer"
        self.shared[entry.name or ""] = (layer, entry.repeat)
        frozen = [f"{layer if entry.repeat == 1 else 'layer'}.trainable = False"] if entry.is_frozen else []
        if entry.repeat == 1:
            self.lines += [f"{layer} = {made}", *frozen, f"{target} = {layer}({read})"]
            return
        steps = [f"layer = {made}", *frozen, f"{target} = layer({target})", f"{layer}.append(layer)"]
        begun = [f"{target} = {read}"] if read != target else []
        self.lines += [*begun, f"{layer} = []", f"for {_counter(entry)} in range({entry.repeat}):"]
        self.lines += [f"    {step}" for step in steps]

    def _model(self, entry: Entry, function: str | None, reads: list[str]) -> str:
        """The expression that makes a model within the model, for what it reads."""
        if function is None:
            return _stack(entry, self.writer)
        shapes = [f"{read}.shape[1:]" for read in reads]
        numbered = [f"name={_name(entry)}"] if entry.name is not None and entry.repeat > 1 else []
        return f"{function}({', '.join([*shapes, *numbered])})"

    def _function(self, entry: Entry) -> str:
        """Write a function that makes a model within the model for the shapes that it reads; its name."""
        name, inputs = self.functions.called(entry), entry.own_inputs
        known = {one: "inputs" if one == INPUT else identifier(one) for one in inputs}
        shapes = ["shape"] if len(inputs) == 1 else [f"{variable.rstrip('_')}_shape" for variable in known.values()]
        is_numbered = entry.name is not None and entry.repeat > 1
        called = f", name={'name' if is_numbered else repr(entry.name)}" if entry.name is not None else ""
        begun = [f"{each} = keras.Input(shape={shape})" for each, shape in zip(known.values(), shapes, strict=True)]
        body = Body(self.writer, self.blocks, dict(known), self.functions)
        last = body.call_all(entry.inner, known[inputs[0]], "outputs")
        given = known[inputs[0]] if len(inputs) == 1 else f"[{', '.join(known.values())}]"
        made = f"keras.Model({given}, {last}{called})"
        lines = [*begun, *body.lines, f"return {made}"]
        head = f"def {name}({', '.join([*shapes, *(['name'] if is_numbered else [])])}):"
        self.functions.lines += [head, *(f"    {line}" for line in lines), "", ""]
        return name

    def _make(self, entry: Entry, layer: str, read: str) -> None:
        if not is_application(entry, self.writer.catalogue):
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
