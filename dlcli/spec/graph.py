"""Who reads whom in `model.layers`: a stack, unless an entry says with `inputs` what it reads.

Left out, a layer reads the one above it, and the first layer the model's input, whose name is `input`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from dlcli.errors import Path, Problem
from dlcli.spec.likeness import suggestion

INPUT = "input"
_NOWHERE = -1
_LAYERS: Path = ("model", "layers")
INPUT_LAYERS = ("Input", "InputLayer")
SEVERAL_ARGUMENTS = ("MultiHeadAttention", "GroupQueryAttention")
"""the layers that are called with query, value and perhaps key, instead of a list; one tensor is all of them"""


class Node(NamedTuple):
    """One entry of `model.layers`: its number there, and the numbers of those that it reads; None is the input.

    `again` is the number of the entry whose layer it calls again, in a tuple; an empty one if it has its own.
    """

    number: int
    reads: tuple[int | None, ...]
    again: tuple[int | None, ...] = ()

    @property
    def needs(self) -> frozenset[int | None]:
        """What must come before it."""
        return frozenset((*self.reads, *self.again))


def is_stack(entries: Sequence[Any]) -> bool:
    """Whether no entry, of a spec or of its plain data, says what it reads, or is another one once more."""
    return all(
        _word(entry, "inputs") is None and _word(entry, "reuse") is None and _class_name(entry) not in SEVERAL_ARGUMENTS
        for entry in entries
    )


def nodes_in_order(entries: Sequence[Any]) -> list[Node]:
    """The entries in an order in which each comes after those that it reads: as they are written, where that is one.

    Those for which there is no order are left out.
    """
    nodes = {node.number: node for node in _nodes(entries)}
    return [nodes[number] for number in in_order({number: node.needs for number, node in nodes.items()})]


def in_order(needs: Mapping[int, Collection[int | None]]) -> list[int]:
    """Numbers in an order in which each comes after those that it needs, and before larger ones, where it can.

    None is there from the beginning. Those for which there is no order are left out.
    """
    readers: dict[int | None, list[int]] = {}
    for number, needed in needs.items():
        for one in needed:
            readers.setdefault(one, []).append(number)
    waits_for = {number: len(needed) for number, needed in needs.items()}
    ready = [number for number, count in waits_for.items() if count == 0]
    ordered: list[int] = []
    for number in readers.get(None, ()):
        waits_for[number] -= 1
        if waits_for[number] == 0:
            ready.append(number)
    heapify(ready)
    while ready:
        ordered.append(heappop(ready))
        for number in readers.get(ordered[-1], ()):
            waits_for[number] -= 1
            if waits_for[number] == 0:
                heappush(ready, number)
    return ordered


def check_graph(data: Mapping[Any, Any]) -> Iterator[Problem]:
    """Names given twice, unknown names in `inputs`, circles, and layers that nobody reads, in a spec's plain data."""
    model = data.get("model")
    entries = model.get("layers") if isinstance(model, Mapping) else None
    if not isinstance(entries, list):
        return
    yield from _repeated_names(entries)
    if is_stack(entries):
        return
    unknown = [*_unknown_names(entries), *_unlike_the_first(entries)]
    yield from unknown
    circles = [] if unknown else list(_circles(entries))
    yield from circles
    # What a circle or an unknown name keeps from being read is no mistake of its own.
    if not unknown and not circles:
        yield from _unread(entries)


def _nodes(entries: Sequence[Any]) -> list[Node]:
    numbers = _numbers(entries)
    first = 1 if entries and _class_name(entries[0]) in INPUT_LAYERS else 0
    nodes = []
    for number in range(first, len(entries)):
        written = _names_read(entries[number])
        above = number - 1 if number > first else None
        reads = tuple(numbers.get(name, _NOWHERE) for name in written) if written else (above,)
        again = _word(entries[number], "reuse")
        nodes.append(Node(number, reads, (numbers.get(again, _NOWHERE),) if again is not None else ()))
    return nodes


def _numbers(entries: Sequence[Any]) -> dict[str, int | None]:
    named = {_word(entry, "name"): number for number, entry in enumerate(entries)}
    return {**{name: number for name, number in named.items() if isinstance(name, str)}, INPUT: None}


def _repeated_names(entries: Sequence[Any]) -> Iterator[Problem]:
    first: dict[Any, int] = {}
    for number, entry in enumerate(entries):
        name = _word(entry, "name")
        if isinstance(name, str) and (name == INPUT or first.setdefault(name, number) != number):
            whose = "The model's input" if name == INPUT else "A layer above"
            message = f"{whose} has the name `{name}`, too."
            yield Problem(message, (*_LAYERS, number, "name"), "Give it another name.")


def _unknown_names(entries: Sequence[Any]) -> Iterator[Problem]:
    known = _numbers(entries)
    for number, entry in enumerate(entries):
        written = _word(entry, "inputs")
        for at, name in enumerate(_names_read(entry)):
            if name not in known:
                path = (*_LAYERS, number, "inputs")
                message = f"No layer above or below has the name `{name}`."
                hint = f"{suggestion(name, known)} A layer is given one by `name: …` beside it."
                yield Problem(message, (*path, at) if isinstance(written, (list, tuple)) else path, hint)


def _unlike_the_first(entries: Sequence[Any]) -> Iterator[Problem]:
    """Entries that are another one once more, as `reuse` says, and are not written like it."""
    known = _numbers(entries)
    for number, entry in enumerate(entries):
        name = _word(entry, "reuse")
        if name is None:
            continue
        first, path = known.get(name), (*_LAYERS, number, "reuse")
        if first is None or _word(entries[first], "reuse") is not None:
            hint = suggestion(str(name), [other for other in known if other != INPUT])
            yield Problem(f"No layer that can be called again has the name `{name}`.", path, hint)
        elif _itself(entries[first]) != _itself(entry):
            message = f"The layer `{name}` is written in another way; `reuse` calls it again as it is."
            yield Problem(message, path, f"Write `reuse: {name}` alone.")


def _itself(entry: Any) -> dict[Any, Any]:
    """The layer without what stands beside it."""
    plain = entry if isinstance(entry, Mapping) else {entry: None}
    return {key: value or None for key, value in plain.items() if str(key)[:1].isupper()}


def _circles(entries: Sequence[Any]) -> Iterator[Problem]:
    ordered = {node.number for node in nodes_in_order(entries)}
    stuck = {node.number: node for node in _nodes(entries) if node.number not in ordered}
    while stuck:
        # From a stuck layer back to what it waits for, until a layer comes a second time.
        way = [min(stuck)]
        while way.count(way[-1]) == 1:
            way.append(next(read for read in (*stuck[way[-1]].reads, *stuck[way[-1]].again) if read in stuck))
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


def _unread(entries: Sequence[Any]) -> Iterator[Problem]:
    nodes = _nodes(entries)
    read = {number for node in nodes for number in node.reads}
    if None not in read:
        yield Problem("No layer reads the model's input.", _LAYERS, f"Give the first layer `inputs: {INPUT}`.")
    for node in nodes[:-1]:
        if node.number not in read:
            message = f"Nobody reads what {_shown(entries, node.number)} puts out: it is not the last layer."
            hint = "Name it in the `inputs` of a later layer, or remove it."
            yield Problem(message, (*_LAYERS, node.number), hint)


def _names_read(entry: Any) -> tuple[str, ...]:
    written = _word(entry, "inputs")
    names = (written,) if isinstance(written, str) else written if isinstance(written, (list, tuple)) else ()
    return tuple(name for name in names if isinstance(name, str))


def _shown(entries: Sequence[Any], number: int) -> str:
    name = _word(entries[number], "name")
    return f"`{name or _class_name(entries[number])}`"


def _word(entry: Any, word: str) -> Any:
    return entry.get(word) if isinstance(entry, Mapping) else getattr(entry, word, None)


def _class_name(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return next((str(key) for key in entry if str(key)[:1].isupper()), "?")
    return entry if isinstance(entry, str) else str(getattr(getattr(entry, "layer", None), "name", "?"))
