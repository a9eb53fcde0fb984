"""Reads tables, .csv, .tsv and .parquet, into pandas data frames; whatever is wrong with a file is told by its line."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from dlcli.data.memory import cores
from dlcli.data.skipping import Columns, Skipped, SoundRecords, values_in
from dlcli.data.table_first import first_rows
from dlcli.data.table_layout import Layout, has_lines_of_bytes, open_text, separation
from dlcli.data.table_scan import Separator, counts_separators, scan
from dlcli.data.table_told import SKIP, brief, told
from dlcli.data.table_way import Way, way_of
from dlcli.errors import DataError

_THREADS = 3  # for each processor
_MOST_PROCESSORS = 6  # pandas itself takes no more


def read_tables(
    paths: Sequence[Path], layout: Layout, texts: Collection[str] = (), skipped: Skipped | None = None
) -> pd.DataFrame:
    """The rows of all files, in order.

    Args:
        paths: the files, which have the same columns.
        layout: how they are written.
        texts: the columns whose values stay as they are written, though they look like numbers.
        skipped: takes note of rows that are corrupt, which are then left out; None to raise an error for them.

    Raises:
        DataError: a file is missing, empty or damaged, or is no table; the message has its line where that is known.
    """
    frames: list[pd.DataFrame] = []
    for path in paths:
        frame = _read(path, layout, texts, skipped)
        if frames:
            check_same_columns(path, frame, paths[0], frames[0])
        frames.append(frame)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def check_same_columns(path: Path, frame: pd.DataFrame, first_path: Path, first: pd.DataFrame) -> None:
    """See that a table has the columns of the first one. Raises DataError."""
    if list(frame.columns) != list(first.columns):
        columns, others = ", ".join(frame.columns), ", ".join(first.columns)
        raise DataError(f"{path} has the columns {columns}, but {first_path} has {others}.")


def _read(path: Path, layout: Layout, texts: Collection[str], skipped: Skipped | None) -> pd.DataFrame:
    with told(path, layout):
        if path.suffix.lower() == ".parquet":
            frame = _parquet(path)
            if skipped is not None:
                skipped.has_rows(path, len(frame))
            return frame
        if skipped is None:
            frame = _strictly_read(path, layout, texts)
        else:
            frame = _whole(path, layout, way_of(path, layout), texts, skipped)
    if frame.empty:
        raise no_rows(path, skipped)
    return frame


def _strictly_read(path: Path, layout: Layout, texts: Collection[str]) -> pd.DataFrame:
    with bytes_told(path, layout):
        way = way_of(path, layout)
        first = first_rows(path, layout, way)
        is_seen = not first.are_numbers or _numbers_end_at_0()
        separators = look_at(path, layout, counts=first.lack_last) if is_seen else None
        every_text = {*texts, *first.texts}
        try:
            with strict(), _more_threads():  # an iterator would take a fifth longer (pandas 3.1.1)
                frame = pd.read_csv(path, **_from_file(path, layout, way, every_text))
        except pd.errors.DtypeWarning:  # a column has numbers in one part of the file, and texts in another
            frame = _whole(path, layout, way, every_text, None)
        has_texts = any(getattr(dtype, "kind", "O") not in "iuf" for dtype in frame.dtypes)
        if lacks_last_values(way, frame):
            refuse_short_rows(path, layout, way, len(frame), separators, has_texts=has_texts)
        if not is_seen and has_texts:
            look_at(path, layout)
    return frame


def _whole(path: Path, layout: Layout, way: Way, texts: Collection[str], skipped: Skipped | None) -> pd.DataFrame:
    """All rows, each column of one type."""
    with parser(path, layout, way, texts, skipped, low_memory=False) as parsed, strict():
        frame: pd.DataFrame = parsed.read()
    return frame


def look_at(path: Path, layout: Layout, *, counts: bool = False) -> int | None:
    """How many separators a file has, if `counts` and as far as bytes tell; None otherwise.

    Raises:
        DataError: it has a byte of 0, or is no text at all.
    """
    if not has_lines_of_bytes(layout):
        return None
    separator, quoting = separation(path, layout)
    return scan(path, _counted(layout, separator, quoting) if counts else None)


@contextmanager
def bytes_told(path: Path, layout: Layout) -> Iterator[None]:
    """A byte of 0 explains whatever error is raised meanwhile. Raises DataError for it."""
    try:
        yield
    except Exception:
        look_at(path, layout)
        raise


@cache
def _numbers_end_at_0() -> bool:
    """Whether pandas takes what is before a byte of 0 for a number; else its column has texts (pandas 3.1.1)."""
    return bool(pd.api.types.is_numeric_dtype(pd.read_csv(io.BytesIO(b"a\n1\0\n"))["a"]))


def _counted(layout: Layout, separator: str, quoting: int) -> Separator | None:
    """What is counted, if bytes tell where it is."""
    is_told = counts_separators(layout.encoding, separator)
    return Separator(separator, quoting != csv.QUOTE_NONE) if is_told else None


def no_rows(path: Path, skipped: Skipped | None = None) -> DataError:
    """The error that a table has only names of columns, or rows that are all corrupt."""
    if skipped is not None and skipped.count:
        return DataError(f"{path} has no row that is sound: {skipped.told(0)}")
    return DataError(f"{path} has no rows.", "Below the names of the columns each line is an example.")


@contextmanager
def parser(
    path: Path, layout: Layout, way: Way, texts: Collection[str], skipped: Skipped | None, **how: Any
) -> Iterator[Any]:
    """Yield what makes data frames of a file, all at once or part for part; `how` are arguments of pandas's."""
    with ExitStack() as stack:
        source: Any = path
        if skipped is not None:
            file = stack.enter_context(open_text(path, layout, errors="surrogateescape"))
            columns = Columns(len(way.names), way.separator, way.quoting)
            source = SoundRecords(path, file, way.skipped, columns, skipped)
            how = {"skiprows": 0, "header": None, "compression": None, **how}
        arguments = {"iterator": True, **_from_file(path, layout, way, texts), **how}
        yield stack.enter_context(pd.read_csv(source, **arguments))


def _from_file(path: Path, layout: Layout, way: Way, texts: Collection[str]) -> dict[str, Any]:
    """How pandas reads a file."""
    return {
        # By itself it would unpack whatever is named like an archive.
        "compression": "gzip" if path.suffix.lower() == ".gz" else None,
        "sep": way.separator,
        "names": way.names,
        # Where there are names, skipping their line instead makes tables of few columns a fifth slower (pandas 3.1.1).
        "header": 0 if way.skipped else None,
        "skiprows": way.above,
        "index_col": False,
        "quoting": way.quoting,
        "decimal": layout.decimal,
        "na_values": list(layout.missing),
        "keep_default_na": False,
        "encoding": layout.encoding,  # of UTF-8, pandas passes over a byte order mark itself
        "dtype": {name: "str" for name in texts if name in way.names} or None,
    }


@contextmanager
def _more_threads() -> Iterator[None]:
    """Lets pandas read a file in more threads than processors: while one makes texts, which takes Python's lock, others
    parse; and the parts are smaller, and stay near the processor. Whoever has said how many are used has their will.
    """
    if cores() == 1 or getattr(pd.options.mode, "max_threads", 0) is not None:  # before pandas 3.1 there is no such
        yield
        return
    with pd.option_context("mode.max_threads", _THREADS * min(cores(), _MOST_PROCESSORS)):
        yield


@contextmanager
def strict() -> Iterator[None]:
    """Makes errors of what pandas only warns of, while a file is parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        warnings.simplefilter("error", pd.errors.DtypeWarning)
        yield


def _parquet(path: Path) -> pd.DataFrame:
    with parquet_told(path):
        frame = pd.read_parquet(path)
    frame.columns = [str(name) for name in frame.columns]
    if frame.empty:
        raise no_rows(path)
    return frame


@contextmanager
def parquet_told(path: Path) -> Iterator[None]:
    """What keeps a .parquet file from being read, as a DataError."""
    try:
        yield
    except ImportError as error:
        raise DataError(f"{path}: to read .parquet, pyarrow is needed.", "Run `pip install pyarrow`.") from error
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path} is no table in .parquet: {brief(error)}.") from error


def lacks_last_values(way: Way, frame: pd.DataFrame) -> bool:
    """Whether a row may have fewer values than there are columns: pandas takes the rest for missing (3.1.1)."""
    return len(way.names) > 1 and bool(frame[way.names[-1]].isna().any())


def refuse_short_rows(
    path: Path, layout: Layout, way: Way, rows: int, separators: int | None, *, has_texts: bool = True
) -> None:
    """Tell of a row with fewer values than columns.

    Args:
        path: the file.
        layout: how it is written.
        way: how it is read.
        rows: how many it has; none of them has more values than columns, so that counting separators tells.
        separators: how many it has; None if they are not counted yet.
        has_texts: whether a value may have a separator in it, between quotes.

    Raises:
        DataError: there is such a row.
    """
    if separators is None:
        words = (*way.names, layout.decimal, *layout.missing)
        is_quoted = has_texts or way.separator.isspace() or any(way.separator in word for word in words)
        counted = _counted(layout, way.separator, way.quoting if is_quoted else csv.QUOTE_NONE)
        separators = scan(path, counted, only_counts=True) if counted is not None else None
    if separators == (len(way.names) - 1) * (rows + (1 if way.skipped else 0)):
        return
    with open_text(path, layout) as file:
        for _ in islice(file, way.skipped):
            pass
        records = csv.reader(file, delimiter=way.separator, quoting=way.quoting)
        for record in records:
            if record and len(record) < len(way.names):
                line = way.skipped + records.line_num
                message = f"{path}, line {line} has {values_in(record)}, but there are {len(way.names)} columns."
                hint = "Where a value is missing, its separator must still be there."
                raise DataError(message, f"{hint} {SKIP}")
