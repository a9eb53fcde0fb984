"""Where data may come from, as the command line says it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Where:
    """Where data may come from.

    Attributes:
        data_dir: a folder to look in first.
        allow_fallback: whether `dataset.fallback` may stand in for the source.
        notify: is told, in whole sentences, what a person must know about the data.
        progressed: is told how far a download is, in a few words.
        only_looks: whether nobody is going to read all examples, so that looking into pictures' headers is enough.
        beside: folders that the paths of a source may be relative to, such as that of a run's first spec.
        trusts_code: whether a function that a spec names for its data may be run.
    """

    data_dir: Path | None
    allow_fallback: bool
    notify: Callable[[str], None]
    progressed: Callable[[str], None] = lambda text: None
    beside: tuple[Path, ...] = ()
    only_looks: bool = False
    trusts_code: bool = False


def quiet(where: Where) -> Where:
    """The same for who reads data again, of which a person has been told already."""
    return replace(where, notify=lambda text: None)
