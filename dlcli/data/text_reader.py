"""Reads files of text as in training, each as the numbers of its words; what that takes is kept with the model."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dlcli.data.class_folders import files_with, named_files
from dlcli.data.columns import Text, restore_column
from dlcli.data.dataset import Array, ClassNames
from dlcli.data.memory import available_memory, readable_bytes
from dlcli.errors import DataError
from dlcli.spec.source import INPUT, InputFacts

TEXTS = files_with((".txt",), "text", "; or write them into a table, as in `csv: {path: texts.csv, target: class}`")
"""the files that are taken for texts"""
_NUMBERS = (".npy", ".npz", ".csv")
_SHARE = 0.5
_COPIES = 2  # a file's bytes and its characters
_SECONDS = 5.0  # between two lines that say how far it is
_FEW = 5


@dataclass(frozen=True)
class TextReader:
    """Makes numbers of texts as in training.

    Attributes:
        column: the words and their numbers, as those of a column of a table.
        classes: the classes in the order of their numbers; None if none are asked for.
        encoding: how characters were written in the files.
    """

    column: Text
    classes: ClassNames
    encoding: str

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of the input."""
        return {INPUT: InputFacts("indices", (self.column.length,), self.column.vocabulary)}

    def encode(self, texts: Sequence[str]) -> Array:
        """The numbers of the words of texts, int32 of shape (n, length)."""
        return self.column.encode(pd.Series(texts, dtype=object), "")

    def reads(self, path: Path) -> bool:
        """Whether this is not an array or a table, which may hold numbers of words as well."""
        return path.suffix.lower() not in _NUMBERS

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[Array, list[str]]:
        """The texts of files, and of all those in folders, with a name for each. Raises DataError."""
        files, names = named_files(paths, TEXTS)
        return self.encode(read_texts(files, self.encoding)), names

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        classes = None if self.classes is None else list(self.classes)
        return {"kind": "texts", "column": self.column.state(), "classes": classes, "encoding": self.encoding}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> TextReader:
        """The reader that `state` described."""
        column = restore_column(state["column"])
        if not isinstance(column, Text):
            raise DataError("The checkpoint's texts have no words.")
        return cls(column, None if state["classes"] is None else tuple(state["classes"]), state["encoding"])


def read_texts(
    paths: Sequence[Path], encoding: str, progressed: Callable[[str], None] = lambda text: None
) -> list[str]:
    """The texts of files.

    Args:
        paths: the files.
        encoding: how characters are written in them.
        progressed: is told how far it is.

    Raises:
        DataError: the encoding is not known, the texts do not fit into memory, or some cannot be read; all are told.
    """
    _check_encoding(encoding)
    unfit = {path: reason for path in paths if (reason := _no_file(path)) is not None}
    if not unfit:
        _check_memory(paths)
    texts: list[str] = []
    told = time.monotonic()
    for number, path in enumerate(paths):
        if path in unfit:
            continue
        try:
            texts.append(_read(path, encoding))
        except _UnfitError as error:
            unfit[path] = str(error)
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            progressed(f"{number:,} of {len(paths):,} texts read")
    if unfit:
        raise _unfit_error(unfit)
    return texts


class _UnfitError(Exception):
    """A file has no text that can be read; says why, as the end of a sentence that begins with its name."""


def _read(path: Path, encoding: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _UnfitError(f"cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start + 1:,} of {len(content):,} is 0x{content[error.start]:02x}"
        raise _UnfitError(f"is not written in {encoding}: {byte}") from error
    except UnicodeError as error:
        raise _UnfitError(f"is not written in {encoding}: {error}") from error
    if "\0" in text:
        raise _UnfitError(f"is no text in {encoding}: character {text.index(chr(0)) + 1:,} is 0, which no text has")
    return text


def _no_file(path: Path) -> str | None:
    """Why a path leads to nothing that can be read; None if it does."""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if stat.S_ISREG(status.st_mode) else "is no ordinary file"


def _unfit_error(unfit: Mapping[Path, str]) -> DataError:
    [(path, reason), *others] = unfit.items()
    message = f"{path} {reason}."
    if others:
        few = "; ".join(f"{other} {why}" for other, why in others[: _FEW - 1])
        more = f"; and {len(others) - _FEW + 1:,} more" if len(others) >= _FEW else ""
        message += f" Nor can {len(others):,} other{'s' if len(others) > 1 else ''} be read: {few}{more}."
    is_encoding = any(" in " in why for why in unfit.values())
    hint = "Say how they are written, as in `encoding: latin-1` or `encoding: utf-16`; or remove what is no text."
    return DataError(message, hint if is_encoding else None)


def _check_encoding(encoding: str) -> None:
    try:
        b"a".decode(encoding)
    except UnicodeError:
        return  # one character has more bytes
    except (LookupError, ValueError) as error:
        message = f"`encoding: {encoding}` is not known: {error}."
        raise DataError(message, "Such are `utf-8`, `utf-16`, `latin-1` and `cp1252`.", ("encoding",)) from error


def _check_memory(paths: Sequence[Path]) -> None:
    """Raises DataError if the texts do not fit into memory."""
    sizes = {path: path.stat().st_size for path in paths}
    total, available = sum(sizes.values()), available_memory()
    if available is None or _COPIES * total <= _SHARE * available:
        return
    largest = max(sizes, key=lambda path: sizes[path])
    raise DataError(
        f"{len(paths):,} texts are {readable_bytes(total)}, the largest of them {largest} with "
        f"{readable_bytes(sizes[largest])}: with the {readable_bytes(available)} of memory that are free, no more than "
        f"{readable_bytes(int(_SHARE * available / _COPIES))} can be read.",
        "Take some of them out, or divide the large ones.",
    )
