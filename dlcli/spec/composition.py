"""What a spec says once everything that it stands on is put together: `extends`, the command line, and `variables`.

In this order: the file goes over the file that it extends, options go over both, and then each `${name}` becomes what
it stands for. Every value keeps the place where it is written, in whichever file that is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from dlcli.errors import Path, Problem, SpecError
from dlcli.spec.blocks import write_out
from dlcli.spec.grammar import Spec
from dlcli.spec.keras_objects import LAYER_WORDS
from dlcli.spec.likeness import closest
from dlcli.spec.marks import Document, Doubt
from dlcli.spec.overrides import Override, override
from dlcli.spec.reading import read_document
from dlcli.spec.sources import SOURCES
from dlcli.spec.translation import COMPOSING
from dlcli.spec.variables import substitute

_MOST_BASES = 20
_NOT_INHERITED = ("name", "extends")
_ELSEWHERE = frozenset(LAYER_WORDS).union(*(source.model_fields for source in SOURCES.values()))
_SECTIONS = frozenset({*Spec.model_fields, *COMPOSING}) - _ELSEWHERE


def compose(path: FilePath, overrides: Sequence[Override] = ()) -> Document:
    """The document of the spec at `path`, without `extends` and `variables`, and with a name.

    Mistakes that leave the rest readable are among its `problems`.

    Raises:
        SpecError: the file cannot be read at all.
    """
    document = substitute(write_out(_put_together(path, overrides)))
    if "name" in document.data:
        return document
    note = "The name is the file's own; `name: …` in the file gives another."
    notes = {**document.notes, ("name",): note}
    return replace(document, data={"name": path.stem, **document.data}, notes=notes)


def put_together(path: FilePath, overrides: Sequence[Override] = ()) -> dict[str, Any]:
    """The plain data of a sound spec with what it extends, and a name; blocks and variables are as they are written."""
    return {"name": path.stem, **_put_together(path, overrides).data}


def compose_blocks(path: FilePath, overrides: Sequence[Override] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain data of a sound spec with its blocks as they are written; and its variables, which they may use."""
    document = _put_together(path, overrides)
    return substitute(document).data, document.data.get("variables") or {}


def _put_together(path: FilePath, overrides: Sequence[Override]) -> Document:
    document = _extended(path, ())
    for wanted in overrides:
        document = override(document, wanted)
    return document


def _extended(path: FilePath, above: tuple[FilePath, ...]) -> Document:
    """The file at `path` over what it extends; `above` are the files that led to it."""
    document = read_document(path, _SECTIONS)
    if "extends" not in document.data:
        return document
    written = document.data["extends"]
    rest = replace(document, data={key: value for key, value in document.data.items() if key != "extends"})
    if not isinstance(written, str) or not written:
        message = "`extends` must be a text: the file that this spec goes on from."
        return _without_base(rest, Problem(message, ("extends",), "Write `extends: base.yaml`."))
    base_path = path.parent / written
    chain = (*above, path)
    if "\0" in written:
        return _without_base(rest, Problem("No file has a name with the character NUL (U+0000).", ("extends",)))
    if len(chain) > _MOST_BASES:
        return _without_base(rest, Problem(f"More than {_MOST_BASES} specs extend each other here.", ("extends",)))
    if base_path.resolve() in [other.resolve() for other in chain]:
        names = " → ".join(str(other) for other in (*chain, base_path))
        return _without_base(rest, Problem(f"These specs extend each other in a circle: {names}.", ("extends",)))
    if not os.path.exists(base_path):  # noqa: PTH110 - unlike pathlib's, it is False for a name that is too long
        return _without_base(
            rest, Problem(f"There is no file {base_path}.", ("extends",), _neighbours(base_path, path))
        )
    try:
        base = _extended(base_path, chain)
    except SpecError as error:
        return _without_base(rest, *(_at_extends(problem) for problem in error.problems))
    return _merged(base, rest)


def _neighbours(path: FilePath, itself: FilePath) -> str | None:
    """The file that may be meant, or those that there are."""
    if not path.parent.is_dir():
        return f"There is no folder {path.parent}."
    names = sorted(other.name for other in path.parent.glob("*.y*ml") if other.name != itself.name)
    close = closest(path.name, names)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"Did you mean `{close}`?" if close else f"There are {', '.join(names[:10])}{more}." if names else None


def _at_extends(problem: Problem) -> Problem:
    """A mistake of the file that is extended; what has no place in it, such as that there is none, is at `extends`."""
    return problem if problem.position is not None else replace(problem, path=("extends",))


def _without_base(document: Document, *problems: Problem) -> Document:
    located = tuple(document.located(problem) for problem in problems)
    doubt = document.doubt | Doubt(partial=frozenset({()}))
    return replace(document, problems=(*document.problems, *located), doubt=doubt)


def _merged(base: Document, over: Document) -> Document:
    """`over` above `base`: mappings are merged at every depth, all else is replaced."""
    inherited = {key: value for key, value in base.data.items() if key not in _NOT_INHERITED}
    replaced: list[Path] = [(key,) for key in _NOT_INHERITED]
    data = _merged_values(inherited, over.data, (), replaced)
    values = {path: mark for path, mark in base.values.items() if not _within(path, replaced)}
    keys = {path: mark for path, mark in base.keys.items() if not _within(path, replaced)}
    return replace(
        over,
        data=data,
        values={**values, **over.values},
        keys={**keys, **over.keys},
        problems=(*base.problems, *over.problems),
        doubt=base.doubt | over.doubt,
    )


def _merged_values(base: Any, over: Any, path: Path, replaced: list[Path]) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)) or _names_another(base, over, path):
        replaced.append(path)
        return over
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged_values(base[key], value, (*path, key), replaced) if key in base else value
    return merged


def _names_another(base: dict[Any, Any], over: dict[Any, Any], path: Path) -> bool:
    """Whether both are `Name: {arguments}` with different names: then the arguments of one are not for the other."""
    if len(base) != 1 or len(over) != 1 or base.keys() == over.keys():
        return False
    names = (*base, *over)
    is_source = path in (("dataset", "source"), ("dataset", "fallback"))
    return is_source or all(isinstance(name, str) and name[:1].isupper() for name in names)


def _within(path: Path, others: Sequence[Path]) -> bool:
    return any(path[: len(other)] == other for other in others)
