"""Reads tables, .csv, .tsv and .parquet, into pandas data frames; whatever is wrong with a file is told by its line."""

from __future__ import annotations

import csv
import gzip
import warnings
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from dlcli.errors import DataError

_SEPARATORS = ",;\t|"
_TABS = (".tsv", ".tab")
_MOST_SHOWN = 60


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


@dataclass(frozen=True)
class _Way:
    """How one file is read: the names of its columns, how many lines stand above the first row, and its separator."""

    names: list[str]
    skipped: int
    separator: str
    quoting: Literal[0, 3]  # csv.QUOTE_MINIMAL or csv.QUOTE_NONE


def read_tables(paths: Sequence[Path], layout: Layout, texts: Collection[str] = ()) -> pd.DataFrame:
    """The rows of all files, in order.

    Args:
        paths: the files, which have the same columns.
        layout: how they are written.
        texts: the columns whose values stay as they are written, though they look like numbers.

    Raises:
        DataError: a file is missing, empty or damaged, or is no table; the message has its line where that is known.
    """
    frames: list[pd.DataFrame] = []
    for path in paths:
        frame = _read(path, layout, texts)
        if frames and list(frame.columns) != list(frames[0].columns):
            columns, first = ", ".join(frame.columns), ", ".join(frames[0].columns)
            raise DataError(f"{path} has the columns {columns}, but {paths[0]} has {first}.")
        frames.append(frame)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read(path: Path, layout: Layout, texts: Collection[str]) -> pd.DataFrame:
    with _told(path, layout):
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        way = _way(path, layout)
        try:
            frame = _parsed(path, layout, way, texts)
        except pd.errors.DtypeWarning:  # a column has numbers in one part of the file, and texts in another
            frame = _parsed(path, layout, way, texts, low_memory=False)
    if frame.empty:
        raise DataError(f"{path} has no rows.", "Below the names of the columns each line is an example.")
    if len(way.names) > 1 and frame[way.names[-1]].isna().any():
        _refuse_short_rows(path, layout, way)
    return frame


def _parsed(path: Path, layout: Layout, way: _Way, texts: Collection[str], **more: bool) -> pd.DataFrame:
    # In parts, as pandas does it unless it is told otherwise: nearly twice as fast as in one (3.1.1).
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        return pd.read_csv(
            path,
            sep=way.separator,
            names=way.names,
            header=None,
            skiprows=way.skipped,
            index_col=False,
            quoting=way.quoting,
            decimal=layout.decimal,
            na_values=list(layout.missing),
            keep_default_na=False,
            encoding=layout.encoding,  # of UTF-8, pandas passes over a byte order mark itself
            dtype={name: "str" for name in texts if name in way.names} or None,
            **more,
        )


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise DataError(f"{path}: to read .parquet, pyarrow is needed.", "Run `pip install pyarrow`.") from error
    except Exception as error:
        raise DataError(f"{path} is no table in .parquet: {_brief(error)}.") from error
    frame.columns = [str(name) for name in frame.columns]
    return frame


@contextmanager
def _told(path: Path, layout: Layout) -> Iterator[None]:
    """What pandas and Python say of a file that cannot be read, as a DataError."""
    try:
        yield
    except UnicodeError as error:
        raise DataError(
            f"{path} is not written in {layout.encoding}: {_brief(error)}.",
            "Say which it is, as in `encoding: latin-1` or `encoding: utf-16`.",
        ) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.") from error
    except pd.errors.ParserWarning as error:
        hint = "Name every column in the first line; or take the values without a name out."
        raise DataError(f"{path}: the rows have more values than there are names of columns.", hint) from error
    except (pd.errors.ParserError, csv.Error) as error:
        raise DataError(f"{path} is not a table with the same columns in each line: {_brief(error)}.") from error
    except LookupError as error:
        raise DataError(f"`encoding: {layout.encoding}` is not known: {_brief(error)}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: Exception) -> DataError:
    """What keeps a file from being read."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"There is no file {path}.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a folder.", "Name the file in it.")
    reason = getattr(error, "strerror", None) or _brief(error)
    return DataError(f"{path} cannot be read: {reason}.")


def _brief(error: Exception) -> str:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.removeprefix("Error tokenizing data. C error: ").rstrip(".")[:200]


def _open(path: Path, layout: Layout) -> IO[str]:
    encoding = "utf-8-sig" if layout.encoding.lower() in ("utf-8", "utf8") else layout.encoding
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _is_tabbed(path: Path) -> bool:
    return any(suffix.lower() in _TABS for suffix in path.suffixes)


def _way(path: Path, layout: Layout) -> _Way:
    separator, quoting = _separation(path, layout)
    with _open(path, layout) as file:
        records = csv.reader(file, delimiter=separator, quoting=quoting, strict=False)
        record = next(record for record in records if record and any(map(str.strip, record)))
        lines = records.line_num
    if layout.header is True:
        names = [name.strip() for name in record]
        _refuse_numbers(path, names)
        return _Way(_checked_names(path, names), lines, separator, quoting)
    names = list(layout.header or ()) or [str(number) for number in range(1, len(record) + 1)]
    if len(names) != len(record):
        raise DataError(f"{path} has {len(record)} columns, but `header` names {len(names)}: {', '.join(names)}.")
    return _Way(_checked_names(path, names), 0, separator, quoting)


def columns_of(path: Path, layout: Layout) -> int:
    """How many columns a file has that does not name them. Raises DataError."""
    with _told(path, layout):
        return len(_way(path, replace(layout, header=False)).names)


def separator_of(path: Path, layout: Layout) -> str:
    """What stands between the columns of a file. Raises DataError."""
    with _told(path, layout):
        return _separation(path, layout)[0]


def _separation(path: Path, layout: Layout) -> tuple[str, Literal[0, 3]]:
    """What stands between the columns, and whether quotes mean anything."""
    # In text/tab-separated-values (IANA) quotes are characters like any other.
    has_quotes = layout.quotes if layout.quotes is not None else not _is_tabbed(path)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    with _open(path, layout) as file:
        first = next((line for line in file if line.strip()), None)
    if first is None:
        raise DataError(f"{path} is empty.")
    return layout.separator or ("\t" if _is_tabbed(path) else _separator_of(first, quoting)), quoting


def first_records(path: Path, layout: Layout, count: int) -> list[list[str]]:
    """The first so many records as they are written, names of columns among them. Raises DataError."""
    with _told(path, layout):
        separator, quoting = _separation(path, layout)
        with _open(path, layout) as file:
            records = csv.reader(file, delimiter=separator, quoting=quoting, strict=False)
            return list(islice((record for record in records if any(map(str.strip, record))), count))


def _separator_of(line: str, quoting: int) -> str:
    """The one that the first line has most of, outside quotes."""
    outside = "".join(line.split('"')[::2]) if quoting != csv.QUOTE_NONE else line
    return max(_SEPARATORS, key=outside.count)


def _refuse_numbers(path: Path, names: list[str]) -> None:
    """Tell of a first line that is a row already."""
    if all(_is_number(name) for name in names):
        shown = ", ".join(names)[:_MOST_SHOWN]
        raise DataError(
            f"{path} begins with numbers ({shown}), where the names of the columns are expected.",
            "Write `header: false` if it has no names; the columns are then called 1, 2, 3 …",
        )


def _checked_names(path: Path, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise DataError(f"{path} has two columns with the name `{twice[0]}`.", "Give each a name of its own.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _refuse_short_rows(path: Path, layout: Layout, way: _Way) -> None:
    """Tell of a row with fewer values than columns; pandas takes the rest for missing (3.1.1)."""
    with _open(path, layout) as file:
        for _ in islice(file, way.skipped):
            pass
        records = csv.reader(file, delimiter=way.separator, quoting=way.quoting)
        for record in records:
            if record and len(record) < len(way.names):
                line = way.skipped + records.line_num
                message = f"{path}, line {line} has {len(record)} values, but there are {len(way.names)} columns."
                raise DataError(message, "Where a value is missing, its separator must still be there.")
