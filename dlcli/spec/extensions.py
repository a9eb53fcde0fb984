"""Python files that a spec brings along, as texts: `dlcli.model.extensions` runs them, if a person trusts them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from dlcli.errors import Problem
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.characters import shortened
from dlcli.spec.marks import Document
from dlcli.spec.sources_arrays import FUNCTION

Files = Mapping[str, str]
"""the names of files, as a spec has them, each with its text"""
Extend = Callable[[Files, Catalogue], Catalogue]
"""runs the files, and gives the catalogue with what they bring; raises ExtensionError"""
TRUST = "Read it; if you trust it, add --trust-code."


class ExtensionError(Exception):
    """A file of code cannot be run, or brings what cannot be used.

    Attributes:
        name: of the file.
        message: what is wrong.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


def extend(document: Document, catalogue: Catalogue, run: Extend | None) -> tuple[Catalogue, Files, list[Problem]]:
    """The catalogue with what the files of a spec bring; those files; and what is wrong with them.

    Args:
        document: the spec.
        catalogue: of Keras.
        run: runs the files; None if they are not trusted.
    """
    makes_data = _runs_for_data(document.data)
    if run is None and makes_data is not None:
        function = f"This spec runs a function of its own for its data: `{shortened(makes_data)}`."
        return catalogue, {}, [Problem(function, ("dataset", "source", "python", "function"), TRUST)]
    written = document.data.get("extensions")
    if not written or not isinstance(written, list) or not all(isinstance(name, str) for name in written):
        return catalogue, {}, []  # where it has another form, pydantic tells
    files: dict[str, str] = {}
    problems = []
    for number, name in enumerate(written):
        path = ("extensions", number)
        folder = Path(document.mark(path).text.name).parent
        text = _read(folder, name)
        if isinstance(text, str):
            files[name] = text
        else:
            problems.append(Problem(text[0], path, text[1]))
    if run is None:
        names = " and ".join(f"`{shortened(name)}`" for name in written)
        it = "a file" if len(written) == 1 else "files"
        return catalogue, files, [*problems, Problem(f"This spec runs {it} of code: {names}.", ("extensions",), TRUST)]
    if problems:
        return catalogue, files, problems
    try:
        return run(files, catalogue), files, []
    except ExtensionError as error:
        return catalogue, files, [Problem(error.message, ("extensions", written.index(error.name)))]


def _runs_for_data(data: Mapping[str, Any]) -> str | None:
    """The function that a spec's source `python` names."""
    value: Any = data
    for key in ("dataset", "source", "python", "function"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) and re.fullmatch(FUNCTION, value) else None  # else pydantic tells


def _read(folder: Path, name: str) -> str | tuple[str, str | None]:
    """The text of a file; or what is wrong with it, and what to do."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or parts.suffix != ".py":
        return (
            f"`{shortened(name)}` is not the name of a Python file beside the spec.",
            "Write `layers.py`, for example.",
        )
    try:
        return (folder / parts).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        return f"{folder / parts} cannot be read: {reason}.", None
