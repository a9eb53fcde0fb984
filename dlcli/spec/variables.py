"""Variables: what stands under `variables`, and `${name}` where it is used.

A text that is nothing but `${name}` becomes the variable's value, whatever its type; within a longer text the value is
written out. `$${` stands for `${` itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.spec.likeness import suggestion
from dlcli.spec.marks import Document, Mark
from dlcli.spec.reading import MAX_DEPTH, MAX_VALUES

_USE = re.compile(r"(?<!\$)\$\{([^{}]*)\}")
_ESCAPED = "$${"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MAX_TEXT = 10_000
_MOST_OPENED = 20
_MOST_TOLD = 300
UNUSED = "unused-variable"
BLOCKS: Path = ("model", "blocks")


def substitute(document: Document) -> Document:
    """The document without its `variables`, and with what they stand for in their places."""
    work = _Substitution(document)
    data = {key: work.replaced(value, (key,)) for key, value in document.data.items() if key != "variables"}
    return replace(
        document,
        data=data,
        values={**document.values, **work.values},
        keys={**document.keys, **work.keys},
        uses={**document.uses, **work.uses},
        problems=(*document.problems, *work.problems),
        warnings=(*document.warnings, *work.unused()),
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@dataclass
class _Substitution:
    document: Document
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    uses: dict[Path, tuple[Mark, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    count: int = 0
    opened: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        written = self.document.data.get("variables")
        self.variables: dict[str, Any] = {}
        if written is None:
            return
        if not isinstance(written, dict):
            self._refuse("`variables` must be a mapping of names to values.", ("variables",), "Write `name: value`.")
            return
        for name, value in written.items():
            if isinstance(name, str) and _NAME.match(name):
                self.variables[name] = value
            else:
                message = f"`{name}` cannot be the name of a variable: letters, digits and `_`, not a digit first."
                self._refuse(message, ("variables", name), None, at_key=True)

    def _refuse(self, message: str, path: Path, hint: str | None, *, at_key: bool = False) -> None:
        self._tell(self.document.located(Problem(message, path, hint, at_key=at_key)))

    def _tell(self, problem: Problem) -> None:
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(problem)

    def unused(self) -> list[Problem]:
        if self.document.doubt:  # what could not be read may use them
            return []
        return [
            self.document.located(
                Problem(
                    f"The variable `{name}` is set and never used.", ("variables", name),
                    f"Write `${{{name}}}` where it is meant, or remove it.", at_key=True, code=UNUSED,
                )
            )
            for name in self.variables
            if name not in self.used
        ]  # fmt: skip

    def replaced(self, value: Any, path: Path) -> Any:
        """`value`, which ends up at `path`, without uses of variables."""
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            if self.count <= MAX_VALUES + 1:
                self.count = MAX_VALUES + 2
                self._refuse(f"The variables stand for more than {MAX_VALUES:,} values here.", path, None)
            return None
        if path == BLOCKS:
            # Written out before; what is left says `${…}` of parameters, and of variables in blocks that nobody uses.
            self.used.update(name for text in _texts(value) for name in _USE.findall(text))
            return value
        if isinstance(value, dict):
            return {key: self.replaced(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item, (*path, number)) for number, item in enumerate(value)]
        return self._replaced_text(value, path) if isinstance(value, str) and "${" in value else value

    def _replaced_text(self, text: str, path: Path) -> Any:
        whole = _USE.fullmatch(text)
        if whole:
            return self._value(whole[1], path)
        if len(text) > _MAX_TEXT:
            self._refuse(f"This text with variables is longer than {_MAX_TEXT:,} characters.", path, None)
            return ""
        parts: list[str] = []
        size = end = 0
        for found in _USE.finditer(text):
            parts += [text[end : found.start()], self._written_out(found[1], path)]
            end = found.end()
            size += len(parts[-2]) + len(parts[-1])
            if size > _MAX_TEXT:
                break
        if size + len(text) - end > _MAX_TEXT:
            self._refuse(f"With its variables this text is longer than {_MAX_TEXT:,} characters.", path, None)
            return ""
        return "".join([*parts, text[end:]]).replace(_ESCAPED, "${")

    def _value(self, name: str, path: Path) -> Any:
        """What the variable stands for, with its places brought to `path`."""
        if not self._is_known(name, path):
            return None
        here = self._place(path)
        source: Path = ("variables", name)
        for places, target in ((self.document.values, self.values), (self.document.keys, self.keys)):
            for inside, mark in places.items():
                if inside[:2] == source and (len(inside) > 2 or places is self.document.values):
                    target[(*path, *inside[2:])] = mark
        self.uses[path] = (here, f"${{{name}}}")
        return self._opened(name, path)

    def _place(self, path: Path) -> Mark:
        return self.values.get(path) or self.document.mark(path)

    def _opened(self, name: str, path: Path) -> Any:
        outer, self.opened = self.opened, (*self.opened, name)
        try:
            return self.replaced(self.variables[name], path)
        finally:
            self.opened = outer

    def _is_known(self, name: str, path: Path) -> bool:
        self.used.add(name)
        if name in self.opened:
            circle = " → ".join(f"`{other}`" for other in (*self.opened[self.opened.index(name) :], name))
            problem = Problem(f"These variables stand for each other in a circle: {circle}.", path)
        elif len(self.opened) >= _MOST_OPENED:
            problem = Problem(f"More than {_MOST_OPENED} variables stand for each other here.", path)
        elif not name:
            problem = Problem("`${}` names no variable.", path, "Write the name: `${name}`; or `$${}` for the text.")
        elif name not in self.variables:
            hint = suggestion(name, self.variables) if self.variables else f"Set it: `variables: {{{name}: …}}`."
            if not _NAME.match(name):
                hint = "The name of a variable is letters, digits and `_`: it is no path, and nothing of the shell's."
            problem = Problem(f"There is no variable `{name}`.", path, hint)
        else:
            return True
        if name in self.variables or not self.document.doubt.concerns("variables"):
            self._tell(self._place(path).put(problem))
        return False

    def _written_out(self, name: str, path: Path) -> str:
        if not self._is_known(name, path):
            return ""
        value = self._opened(name, path)
        if isinstance(value, (dict, list)):
            message = f"`{name}` is {'a mapping' if isinstance(value, dict) else 'a list'}, which no text can hold."
            self._tell(self._place(path).put(Problem(message, path, f"Write `${{{name}}}` alone.")))
            return ""
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
