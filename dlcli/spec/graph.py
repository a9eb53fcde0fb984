"""Who reads whom in `model.layers`: a stack, unless an entry says with `inputs` what it reads.

Left out, a layer reads the one above it, and the first layer the model's input, whose name is `input`; where the data
has several, they have its names. What the model puts out is the last layer, or what `model.outputs` names; where the
data asks for several things, the layers that have their names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.keras_objects import INPUT_LAYERS, LAYER_WORDS, SEVERAL_ARGUMENTS
from dlcli.spec.likeness import suggestion
from dlcli.spec.paths import value_at
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources import source_of

_NOWHERE = -1
_LAYERS: Path = ("model", "layers")


class Node(NamedTuple):
    """One entry of `model.layers`: its number there, and the numbers of those that it reads; a text is an input's name.

    `again` is the number of the entry whose layer it calls again, in a tuple; an empty one if it has its own.
    """

    number: int
    reads: tuple[int | str, ...]
    again: tuple[int | str, ...] = ()

    @property
    def needs(self) -> frozenset[int | str]:
        """What must come before it."""
        return frozenset((*self.reads, *self.again))


def is_stack(entries: Sequence[Any]) -> bool:
    """Whether no entry, of a spec or of its plain data, says what it reads, or is another one once more."""
    return all(
        _word(entry, "inputs") is None and _word(entry, "reuse") is None and _class_name(entry) not in SEVERAL_ARGUMENTS
        for entry in entries
    )


def nodes_in_order(entries: Sequence[Any], inputs: Sequence[str] = (INPUT,)) -> list[Node]:
    """The entries in an order in which each comes after those that it reads: as they are written, where that is one.

    Those for which there is no order are left out. `inputs` are the names of the model's.
    """
    nodes = {node.number: node for node in _nodes(entries, inputs)}
    return [nodes[number] for number in in_order({number: node.needs for number, node in nodes.items()})]


def in_order(needs: Mapping[int, Collection[int | str]]) -> list[int]:
    """Numbers in an order in which each comes after those that it needs, and before larger ones, where it can.

    What is a text is there from the beginning. Those for which there is no order are left out.
    """
    readers: dict[int, list[int]] = {}
    waits_for: dict[int, int] = {}
    for number, needed in needs.items():
        waited = [one for one in needed if isinstance(one, int)]
        waits_for[number] = len(waited)
        for one in waited:
            readers.setdefault(one, []).append(number)
    ready = [number for number, count in waits_for.items() if count == 0]
    ordered: list[int] = []
    heapify(ready)
    while ready:
        ordered.append(heappop(ready))
        for number in readers.get(ordered[-1], ()):
            waits_for[number] -= 1
            if waits_for[number] == 0:
                heappush(ready, number)
    return ordered


def check_graph(data: Mapping[Any, Any]) -> Iterator[Problem]:
    """What is wrong with who reads whom in a spec's plain data.

    Names given twice, unknown names in `inputs`, circles, layers that nobody reads, and outputs that are not there.
    """
    model = data.get("model")
    entries = model.get("layers") if isinstance(model, Mapping) else None
    if not isinstance(model, Mapping) or not isinstance(entries, list):
        return
    source = source_of(data)
    inputs = tuple(source.input_facts) if source is not None else (INPUT,)
    targets = tuple(source.target_classes) if source is not None else (TARGET,)
    yield from _repeated_names(entries, inputs)
    is_plain = source is not None and not any(_misspelt_words(entry) for entry in entries)
    is_own = value_at(data, ("dataset", "labels")) == "input"
    if is_own and len(targets) > 1:
        message = "`labels: input` is for data that asks for one thing; this asks for " + " and ".join(targets) + "."
        yield Problem(message, ("dataset", "labels"), "Take a source of images with classes, such as `digits`.")
        return
    outputs = list(_wrong_outputs(entries, model.get("outputs"), targets)) if is_plain else []
    yield from outputs
    if len(inputs) > 1:
        yield from _first_reads(entries, inputs)
    elif is_stack(entries) and model.get("outputs") is None and len(targets) == 1:
        return
    ends = () if outputs else output_numbers(entries, model.get("outputs"), targets).values()
    yield from _check_reads(entries, inputs, ends, is_plain=is_plain)


def check_layers(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    """As `check_graph`, for the layers of a model within the model: the problems have paths as if it were the model.

    Args:
        entries: its layers.
        inputs: its names for what it reads.
    """
    yield from _repeated_names(entries, inputs)
    is_plain = not any(_misspelt_words(entry) for entry in entries)
    yield from _check_reads(entries, inputs, [len(entries) - 1], is_plain=is_plain)


def _check_reads(
    entries: Sequence[Any], inputs: Sequence[str], ends: Collection[int], *, is_plain: bool
) -> Iterator[Problem]:
    """Unknown names, circles, and layers that nobody reads, unless they are the `ends`; without any, not these."""
    unknown = [*_unknown_names(entries, inputs), *_unlike_the_first(entries, inputs)]
    if unknown and not is_plain:
        return  # there may be inputs, or layers, of these names
    yield from unknown
    circles = [] if unknown else list(_circles(entries, inputs))
    yield from circles
    # What a circle or an unknown name keeps from being read is no mistake of its own.
    if is_plain and ends and not (unknown or circles):
        yield from _unread(entries, inputs, ends)


def output_numbers(entries: Sequence[Any], written: Any, targets: Sequence[str]) -> dict[str, int]:
    """The numbers of the entries that give what is asked for, by the names of the `targets`; -1 where there is none.

    Args:
        entries: of `model.layers`.
        written: `model.outputs`.
        targets: the names of what the data asks for.
    """
    names, named = (written,) if isinstance(written, str) else tuple(written or ()), _named(entries)
    if len(targets) == 1:
        return {targets[0]: named.get(names[0], _NOWHERE) if names else len(entries) - 1}
    return {name: named.get(name, _NOWHERE) for name in names or targets}


def _wrong_outputs(entries: Sequence[Any], written: Any, targets: Sequence[str]) -> Iterator[Problem]:
    """Outputs that no layer gives, or that the data does not ask for."""
    names = [written] if isinstance(written, str) else written
    if names is not None and not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        return  # pydantic tells
    named, path = _named(entries), ("model", "outputs")
    if len(targets) == 1:
        if names and len(names) > 1:
            message = f"The model has {len(names)} outputs, but the data asks for one thing."
            yield Problem(message, path, "Name one layer.")
        elif names and names[0] not in named:
            hint = f"{suggestion(names[0], named)} A layer is given one by `name: …` beside it."
            yield Problem(f"No layer has the name `{names[0]}`.", path, hint)
        return
    if names is not None and len(set(names)) < len(names):
        yield Problem("An output is named twice.", path, f"Write `outputs: [{', '.join(dict.fromkeys(names))}]`.")
        return
    for at, name in enumerate(names or targets):
        where: Path = _LAYERS if names is None else (*path, at) if isinstance(written, (list, tuple)) else path
        if name not in targets:
            asked = " and ".join(f"`{target}`" for target in targets)
            yield Problem(f"The data does not ask for `{name}`: it asks for {asked}.", where, suggestion(name, targets))
        elif name not in named:
            message = f"The data asks for `{name}`, and no layer has that name."
            hint = f"Give the layer that answers it `name: {name}`"
            hint += "." if names else f"; or name the others alone, as in `outputs: {others_of(name, targets)}`."
            yield Problem(message, where, hint)


def others_of(name: str, names: Sequence[str]) -> str:
    """The other names, as a list in a spec."""
    return f"[{', '.join(other for other in names if other != name)}]"


def _first_reads(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    """The first layer must say what it reads, where there are several inputs."""
    given = ", ".join(f"`{name}`" for name in inputs)
    if entries and _class_name(entries[0]) in INPUT_LAYERS:
        message = f"The data has several inputs, {given}, whose shapes it knows."
        yield Problem(message, (*_LAYERS, 0), f"Leave `{_class_name(entries[0])}` out.")
    elif entries and not _names_read(entries[0]):
        message = f"The data has several inputs, {given}, and the first layer does not say which it reads."
        yield Problem(message, (*_LAYERS, 0), f"Write `inputs: {inputs[0]}` beside it.")


def _nodes(entries: Sequence[Any], inputs: Sequence[str]) -> list[Node]:
    numbers = _numbers(entries, inputs)
    first = 1 if entries and _class_name(entries[0]) in INPUT_LAYERS else 0
    nodes = []
    for number in range(first, len(entries)):
        written = _names_read(entries[number])
        above: int | str = number - 1 if number > first else inputs[0]
        reads = tuple(numbers.get(name, _NOWHERE) for name in written) if written else (above,)
        again = _word(entries[number], "reuse")
        nodes.append(Node(number, reads, (numbers.get(again, _NOWHERE),) if again is not None else ()))
    return nodes


def _named(entries: Sequence[Any]) -> dict[str, int]:
    names = ((_word(entry, "name"), number) for number, entry in enumerate(entries))
    return {name: number for name, number in names if isinstance(name, str)}


def _numbers(entries: Sequence[Any], inputs: Sequence[str]) -> dict[str, int | str]:
    return {**_named(entries), **{name: name for name in inputs}}


def _repeated_names(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    first: dict[Any, int] = {}
    for number, entry in enumerate(entries):
        name = _word(entry, "name")
        if isinstance(name, str) and (name in inputs or first.setdefault(name, number) != number):
            whose = "The model's input" if name in inputs else "A layer above"
            whose = "An input of the model" if name in inputs and len(inputs) > 1 else whose
            message = f"{whose} has the name `{name}`, too."
            yield Problem(message, (*_LAYERS, number, "name"), "Give it another name.")


def _unknown_names(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    known = _numbers(entries, inputs)
    for number, entry in enumerate(entries):
        written = _word(entry, "inputs")
        for at, name in enumerate(_names_read(entry)):
            if name not in known:
                path = (*_LAYERS, number, "inputs")
                message = f"No layer above or below has the name `{name}`."
                hint = f"{suggestion(name, known)} A layer is given one by `name: …` beside it."
                yield Problem(message, (*path, at) if isinstance(written, (list, tuple)) else path, hint)


def _unlike_the_first(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    """Entries that are another one once more, as `reuse` says, and are not written like it."""
    known = _numbers(entries, inputs)
    for number, entry in enumerate(entries):
        name = _word(entry, "reuse")
        if name is None:
            continue
        first, path = known.get(name), (*_LAYERS, number, "reuse")
        if not isinstance(first, int) or _word(entries[first], "reuse") is not None:
            hint = suggestion(str(name), [other for other in known if other not in inputs])
            yield Problem(f"No layer that can be called again has the name `{name}`.", path, hint)
        elif _itself(entries[first]) != _itself(entry):
            message = f"The layer `{name}` is written in another way; `reuse` calls it again as it is."
            yield Problem(message, path, f"Write `reuse: {name}` alone.")


def _itself(entry: Any) -> dict[Any, Any]:
    """The layer without what stands beside it."""
    plain = entry if isinstance(entry, Mapping) else {entry: None}
    return {key: value or None for key, value in plain.items() if str(key)[:1].isupper()}


def _circles(entries: Sequence[Any], inputs: Sequence[str]) -> Iterator[Problem]:
    ordered = {node.number for node in nodes_in_order(entries, inputs)}
    stuck = {node.number: node for node in _nodes(entries, inputs) if node.number not in ordered}
    while stuck:
        # From a stuck layer back to what it waits for, until a layer comes a second time.
        way = [min(stuck)]
        while way.count(way[-1]) == 1:
            waits_for = (*stuck[way[-1]].reads, *stuck[way[-1]].again)
            way.append(next(read for read in waits_for if isinstance(read, int) and read in stuck))
        circle = way[way.index(way[-1]) :]
        # Named from the layer that reads onwards, as data would flow.
        names = " → ".join(_shown(entries, number) for number in reversed(circle))
        message = f"These layers read each other in a circle: {names}."
        at = next((number for number in circle if _names_read(entries[number])), circle[0])
        yield Problem(message, (*_LAYERS, at, "inputs"), "Each must lead back to the model's input.")
        stuck = _without_descendants(stuck, set(circle))


def _without_descendants(stuck: dict[int, Node], gone: set[int]) -> dict[int, Node]:
    """What is stuck for another reason than these layers."""
    while more := {number for number, node in stuck.items() if number not in gone and gone & node.needs}:
        gone |= more
    return {number: node for number, node in stuck.items() if number not in gone}


def _unread(entries: Sequence[Any], inputs: Sequence[str], outputs: Collection[int]) -> Iterator[Problem]:
    nodes = _nodes(entries, inputs)
    read = {number for node in nodes for number in node.reads}
    for name in inputs:
        if name in read:
            continue
        if len(inputs) == 1:
            yield Problem("No layer reads the model's input.", _LAYERS, f"Give the first layer `inputs: {INPUT}`.")
        else:
            yield Problem(f"No layer reads the input `{name}`.", _LAYERS, "Name it in the `inputs` of a layer.")
    for node in nodes:
        if node.number not in read and node.number not in outputs:
            what = "the last layer" if list(outputs) == [len(entries) - 1] else "an output of the model"
            message = f"Nobody reads what {_shown(entries, node.number)} puts out: it is not {what}."
            hint = "Name it in the `inputs` of a later layer, or remove it."
            yield Problem(message, (*_LAYERS, node.number), hint)


def _names_read(entry: Any) -> tuple[str, ...]:
    written = _word(entry, "inputs")
    names = (written,) if isinstance(written, str) else written if isinstance(written, (list, tuple)) else ()
    return tuple(name for name in names if isinstance(name, str))


def _misspelt_words(entry: Any) -> list[str]:
    """What stands beside a layer and is none of dlcli's words: it may be meant for one."""
    words = entry if isinstance(entry, Mapping) else ()
    return [str(word) for word in words if not str(word)[:1].isupper() and word not in LAYER_WORDS]


def _shown(entries: Sequence[Any], number: int) -> str:
    name = _word(entries[number], "name")
    return f"`{name or _class_name(entries[number])}`"


def _word(entry: Any, word: str) -> Any:
    return entry.get(word) if isinstance(entry, Mapping) else getattr(entry, word, None)


def _class_name(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return next((str(key) for key in entry if str(key)[:1].isupper()), "?")
    return entry if isinstance(entry, str) else str(getattr(getattr(entry, "layer", None), "name", "?"))
