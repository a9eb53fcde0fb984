"""What a rule is, and how the rules are asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dlcli.errors import Problem
from dlcli.spec.parts import Parts


@dataclass(frozen=True)
class Rule:
    """One lint.

    Attributes:
        code: its name, which `silence` in a spec takes.
        description: what it finds, in one line.
        check: yields the problems; its parameters are named after the sections of a spec that it reads.
    """

    code: str
    description: str
    check: Callable[..., Iterator[Problem]]

    def sections(self, parts: Parts) -> dict[str, Any] | None:
        """The sections that it reads; None if one of them has a mistake."""
        found = {name: getattr(parts, name) for name in inspect.signature(self.check).parameters}
        return None if any(section is None for section in found.values()) else found

    def problems(self, parts: Parts) -> Iterator[Problem]:
        """What it finds, each with the rule's code; nothing if it cannot be asked."""
        sections = self.sections(parts)
        if sections is not None:
            yield from (replace(problem, code=self.code) for problem in self.check(**sections))
