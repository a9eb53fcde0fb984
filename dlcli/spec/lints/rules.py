"""What a rule is, and what the rules are told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cache
from typing import Any, NamedTuple

from dlcli.errors import Problem
from dlcli.spec.lints.network import Network, find_head
from dlcli.spec.parts import Parts

Facts = Mapping[str, Any]


def facts_of(parts: Parts) -> Facts:
    """What the rules may ask for, by name: the sections of the spec, and `network` and `head` of the model.

    It is None where a section has a mistake, or where the model ends in a way that the rules do not know.
    """
    network = Network.of(parts.model) if parts.model is not None else None
    head = find_head(network) if network is not None else None
    return {**{part.name: getattr(parts, part.name) for part in fields(parts)}, "network": network, "head": head}


class Rule(NamedTuple):
    """One lint.

    Attributes:
        code: its name, which `silence` in a spec takes.
        description: what it finds, in one line.
        check: yields the problems; its parameters are named after the facts that it asks for.
    """

    code: str
    description: str
    check: Callable[..., Iterator[Problem]]

    def asks(self) -> frozenset[str]:
        """The names of the facts that it asks for."""
        return frozenset(_parameters(self.check))

    def can_tell(self, facts: Facts) -> bool:
        """Whether all facts that it asks for are known."""
        return all(facts[name] is not None for name in _parameters(self.check))

    def problems(self, facts: Facts) -> Iterator[Problem]:
        """What it finds, each with the rule's code; nothing if it cannot tell."""
        if self.can_tell(facts):
            found = self.check(**{name: facts[name] for name in _parameters(self.check)})
            yield from (replace(problem, code=self.code) for problem in found)


@cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
