"""How a table that nobody has described is written down: its encoding, whether its first line names the columns, …"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from dlcli.data.table_layout import Layout
from dlcli.data.table_told import file_error
from dlcli.data.table_way import first_records
from dlcli.errors import DataError
from dlcli.spec.sources_files import MISSING

_LOOKED_AT = 200  # records
_PIECE = 1 << 20  # bytes
_LONGEST_NAME = 40  # characters; a name of more words is a sentence
_MOST_WORDS = 4
_COMMA = re.compile(r"-?\d+,\d+")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}.*")


@dataclass(frozen=True)
class Writing:
    """How a table is written.

    Attributes:
        layout: as a spec says it.
        no_names_because: why the first line cannot name the columns; empty where it does.
    """

    layout: Layout
    no_names_because: str = ""


def find_writing(path: Path) -> Writing:
    """How a table is written, by its first lines. Raises DataError if it cannot be read at all."""
    layout = Layout(True, None, None, ".", "utf-8", MISSING)
    if path.suffix.lower() == ".parquet":
        return Writing(layout)
    layout = replace(layout, encoding=encoding_of(path))
    records = first_records(path, layout, _LOOKED_AT)
    cells = [cell.strip() for record in records[1:] for cell in record if cell.strip()]
    commas = sum(bool(_COMMA.fullmatch(cell)) for cell in cells)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", cell)) for cell in cells)
    if commas > points:
        layout = replace(layout, decimal=",")
    reason = _no_names_because(records)
    return Writing(replace(layout, header=not reason), reason)


def _no_names_because(records: Sequence[Sequence[str]]) -> str:
    first, rest = [cell.strip() for cell in records[0]], records[1:]
    if any(_names_numbers(at, cell, rest) for at, cell in enumerate(first)):
        return ""
    for cell in filter(None, first):
        if _NUMBER.fullmatch(cell) or _DATE.fullmatch(cell):
            return f"`{cell}` in the first line is a value"
        if len(cell) > _LONGEST_NAME or len(cell.split()) > _MOST_WORDS:
            return "the first line has a sentence"
    for at, cell in enumerate(first):
        # Names are not among the values; two rows that have it are no accident.
        if cell and sum(at < len(record) and record[at].strip() == cell for record in rest) > 1:
            return f"`{cell}` in the first line comes again below it"
    return ""


def _names_numbers(at: int, cell: str, rest: Sequence[Sequence[str]]) -> bool:
    """Whether a cell that is no number stands above numbers."""
    below = [record[at].strip() for record in rest if at < len(record)]
    known = [value for value in below if value not in MISSING]
    return cell not in MISSING and not _NUMBER.fullmatch(cell) and bool(known) and all(map(_NUMBER.fullmatch, known))


def encoding_of(path: Path) -> str:
    """UTF-8, unless there are bytes that it does not have. Raises DataError if it is no text, or cannot be read."""
    try:
        with _opened(path) as file:
            start = file.read(2)
        if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        return next((name for name in ("utf-8", "cp1252") if _is_in(path, name)), "latin-1")
    except (OSError, EOFError) as error:
        raise file_error(path, error) from error


def _is_in(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with _opened(path) as file:
        try:
            while piece := file.read(_PIECE):
                if b"\0" in piece:
                    raise DataError(f"{path} is no text: it has bytes that no text has.")
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")
