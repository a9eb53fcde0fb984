"""How the values of a table are written down, as a spec or the first line of a file says."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from dlcli.data.table_scan import open_bytes
from dlcli.errors import DataError

_SEPARATORS = ",;\t|"
_TABS = (".tsv", ".tab")
_NAMED_SO = "Let its name end in .gz."
_OTHERS = (
    (b"PK\x03\x04", "an archive, such as .zip or .xlsx", "Unpack it; or save the sheet as .csv."),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel", "Save the sheet as .csv."),
    (b"\x1f\x8b", "packed with gzip", _NAMED_SO),
    (b"PAR1", "a table in .parquet", "Let its name end in .parquet."),
    (b"%PDF", "a .pdf", None),
    (b"BZh", "packed with bzip2", "Unpack it; or pack it with gzip."),
    (b"\xfd7zX", "packed with xz", "Unpack it; or pack it with gzip."),
    (b"(\xb5/\xfd", "packed with zstd", "Unpack it; or pack it with gzip."),
    (b"SQLi", "a database of SQLite", "Write its table as .csv."),
    (b"\x89HDF", "an HDF5 file", "The source `arrays` reads such."),
    (b"\x93NUM", "an array of NumPy's", "The source `arrays` reads such."),
    (b"\x89PNG", "a picture", "The source `images` reads such."),
    (b"\xff\xd8\xff", "a picture", "The source `images` reads such."),
    (b"version http", "a pointer to a file of Git LFS", "Fetch that file: `git lfs pull`."),
    (b"<!DOC", "a page of the web", "Often it is what a server says instead: fetch the table itself."),
    (b"<!doc", "a page of the web", "Often it is what a server says instead: fetch the table itself."),
    (b"<html", "a page of the web", "Often it is what a server says instead: fetch the table itself."),
    (b"<?xml", "XML", "Write it as .csv."),
    (b'{"', "JSON", "Write it as .csv."),
    (b"[{", "JSON", "Write it as .csv."),
)
"""how files begin that are no such tables, what they are, and what to do"""
_LONGEST = max(len(begin) for begin, _, _ in _OTHERS)


@dataclass(frozen=True)
class Layout:
    """How the values of a table are written down; see `dlcli.spec.sources_files.Table`, which has the same fields."""

    header: bool | tuple[str, ...]
    separator: str | None
    quotes: bool | None
    decimal: str
    encoding: str
    missing: tuple[str, ...]

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Layout:
        """The layout that `state` described."""
        header = state["header"]
        named = tuple(header) if isinstance(header, (list, tuple)) else header
        return cls(**{**state, "header": named, "missing": tuple(state["missing"])})


def open_text(path: Path, layout: Layout, *, errors: str = "strict") -> IO[str]:
    """A file as text, unpacked if it is a .gz; `errors` as for Python's `open`. Raises what that does."""
    encoding = "utf-8-sig" if layout.encoding.lower() in ("utf-8", "utf8") else layout.encoding
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, errors=errors, newline="")
    return path.open(encoding=encoding, errors=errors, newline="")


def has_lines_of_bytes(layout: Layout) -> bool:
    """Whether lines end as in ASCII. Raises LookupError for an encoding that is not known."""
    return "\n".encode(layout.encoding) == b"\n"


def _is_tabbed(path: Path) -> bool:
    return any(suffix.lower() in _TABS for suffix in path.suffixes)


def separation(path: Path, layout: Layout) -> tuple[str, Literal[0, 3]]:
    """What stands between the columns, and whether quotes mean anything: csv.QUOTE_MINIMAL or QUOTE_NONE.

    Raises:
        DataError: the file is empty, or is no text.
    """
    _refuse_other_files(path)
    # In text/tab-separated-values (IANA) quotes are characters like any other.
    has_quotes = layout.quotes if layout.quotes is not None else not _is_tabbed(path)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    with open_text(path, layout, errors="surrogateescape") as file:
        first = next((line for line in file if line.strip()), None)
    if first is None:
        raise DataError(f"{path} is empty.")
    return layout.separator or ("\t" if _is_tabbed(path) else _separator_of(first, quoting)), quoting


def _separator_of(line: str, quoting: int) -> str:
    """The one that the first line has most of, outside quotes."""
    outside = "".join(line.split('"')[::2]) if quoting != csv.QUOTE_NONE else line
    return max(_SEPARATORS, key=outside.count)


def _refuse_other_files(path: Path) -> None:
    """Tell of files that are no text, by how they begin. Raises DataError, and what `open` does."""
    if not path.is_file() and not path.is_dir() and path.exists():
        message = f"{path} is no file that can be read more than once."
        raise DataError(message, "Write what it gives into a file.")
    with open_bytes(path) as file:
        first = file.read(_LONGEST)
        for begin, what, hint in _OTHERS:
            if first.startswith(begin):
                is_unpacked = path.suffix.lower() == ".gz" and hint == _NAMED_SO
                hint = "It is packed twice: unpack it once." if is_unpacked else hint
                raise DataError(f"{path} is {what}, not a table as text.", hint)
