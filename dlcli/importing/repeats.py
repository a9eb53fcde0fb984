"""Entries that are the same one after the other, as one with `repeat`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

Entry = dict[str, Any]


def repeated(entries: Sequence[Entry], kept: Collection[str]) -> list[Entry]:
    """The entries with each row of equal ones as one: of such without names, or whose names are the same but counted.

    Args:
        entries: of a list of layers.
        kept: names that must stay as they are, since other than layers ask for them.
    """
    written, at = list(entries), 0
    while at < len(written):
        length, base = _row(written, at, kept)
        if length > 1:
            last = written[at + length - 1].get("name")
            words = {word: value for word, value in written[at].items() if word not in ("name", "inputs")}
            inputs = {"inputs": written[at]["inputs"]} if "inputs" in written[at] else {}
            name = {"name": base} if base is not None else {}
            (layer, arguments), *others = words.items()
            row = {layer: arguments, "repeat": length, **name, **inputs, **dict(others)}
            behind = [_renamed(entry, last, base) for entry in written[at + length :]]
            written = [*(_renamed(entry, last, base) for entry in written[:at]), row, *behind]
        at += 1
    return written


def _row(entries: Sequence[Entry], at: int, kept: Collection[str]) -> tuple[int, str | None]:
    """How many entries from this one on are the same, and what their names have in common, if they have any."""
    first = entries[at]
    if "reuse" in first or isinstance(first.get("inputs"), list):
        return 1, None
    same = {word: value for word, value in first.items() if word not in ("name", "inputs")}
    base = re.sub(r"_1\Z", "", first["name"]) if "name" in first else None
    length = 1
    for number, entry in enumerate(entries[at + 1 :], start=2):
        name = {} if base is None else {"name": f"{base}_{number}"}
        if entry != {**same, **name}:
            break
        length += 1
    if base is None:
        return length, None
    names = [f"{base}_{number}" for number in range(1, length + 1)]
    others = {entry.get("name") for entry in entries} - set(names)
    asked = {*kept, *(one for entry in entries for one in _names_in(entry, last=names[-1]))}
    return (1, None) if first["name"] == base or base in others or asked & set(names) else (length, base)


def _names_in(entry: Mapping[str, Any], *, last: str) -> Iterator[str]:
    """The names that an entry reads or calls again; but for the last of the row, where it is only read."""
    read = entry.get("inputs", [])
    yield from (one for one in ([read] if isinstance(read, str) else read) if one != last)
    if "reuse" in entry:
        yield entry["reuse"]


def _renamed(entry: Entry, old: Any, new: str | None) -> Entry:
    if new is None or "inputs" not in entry:
        return entry
    read = entry["inputs"]
    names = [new if one == old else one for one in ([read] if isinstance(read, str) else read)]
    return {**entry, "inputs": names[0] if isinstance(read, str) else names}
