"""Whether each `Embedding` has a row for every number that the data may hand to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlcli.errors import Problem
from dlcli.spec.graph import nodes_in_order
from dlcli.spec.paths import value_at
from dlcli.spec.source import Source
from dlcli.spec.sources import source_of


def check_indices(data: Mapping[Any, Any], known: Source | None = None) -> Iterator[Problem]:
    """The `Embedding` layers that read an input of the model, and have fewer rows than it has numbers.

    Args:
        data: the spec's plain data.
        known: its source, once it is known; left out, what shows of it without a look at its files.
    """
    source, entries = known or source_of(data), value_at(data, ("model", "layers"))
    if source is None or not isinstance(entries, list) or value_at(data, ("dataset", "preparation")) is not None:
        return
    facts = source.input_facts
    for node in nodes_in_order(entries, tuple(facts)):
        path = ("model", "layers", node.number, "Embedding", "input_dim")
        rows = value_at(data, path)
        count = facts[node.reads[0]].numbers if isinstance(node.reads[0], str) else None
        if count is None or not isinstance(rows, int) or rows >= count:
            continue
        name = node.reads[0]
        message = f"This `Embedding` has {rows} rows, one for each number from 0 on; `{name}` has {count} numbers."
        yield Problem(message, path, f"Write `input_dim: {count}`.")
