"""Reads tables, .csv, .tsv and .parquet, into pandas data frames; whatever is wrong with a file is told by its line."""

from __future__ import annotations

import csv
import gzip
import math
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

import pandas as pd

from dlcli.data.skipping import Columns, Skipped, SoundRecords, has_wrong_bytes, open_quote, values_in
from dlcli.data.table_scan import NOTHING_SEEN, Scan, open_bytes, scan, separators_outside_quotes
from dlcli.errors import DataError

_SEPARATORS = ",;\t|"
_TABS = (".tsv", ".tab")
_MOST_SHOWN = 60
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
    (b'{"', "JSON", "Write it as .csv."),
    (b"[{", "JSON", "Write it as .csv."),
)
"""how files begin that are no such tables, what they are, and what to do"""
_LONGEST = max(len(begin) for begin, _, _ in _OTHERS)
_SKIP = "`corrupt: skip` in a spec leaves such rows out."


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
class Way:
    """How one file is read.

    Attributes:
        names: of its columns.
        above: how many lines stand above the names of the columns, if it has them.
        skipped: how many lines stand above the first row.
        separator: what stands between columns.
        quoting: csv.QUOTE_MINIMAL or csv.QUOTE_NONE.
        seen: what its bytes tell.
    """

    names: list[str]
    above: int
    skipped: int
    separator: str
    quoting: Literal[0, 3]
    seen: Scan


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
        way = way_of(path, layout, is_strict=skipped is None)
        try:
            if skipped is None:  # an iterator would take a fifth longer (pandas 3.1.1)
                with strict():
                    frame = pd.read_csv(path, **_from_file(path, layout, way, texts))
            else:
                with parser(path, layout, way, texts, skipped, low_memory=False) as parsed, strict():
                    frame = parsed.read()
        except pd.errors.DtypeWarning:  # a column has numbers in one part of the file, and texts in another
            with parser(path, layout, way, texts, skipped, low_memory=False) as parsed, strict():
                frame = parsed.read()
    if frame.empty:
        raise no_rows(path, skipped)
    if skipped is None and _may_have_short_rows(path, way, frame):
        refuse_short_rows(path, layout, way)
    return frame


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
        # A word such as `-nan` makes pandas look twice at each number that begins like it.
        "na_values": [word for word in layout.missing if _sign(word) not in way.seen.absent],
        "keep_default_na": False,
        "encoding": layout.encoding,  # of UTF-8, pandas passes over a byte order mark itself
        "dtype": {name: "str" for name in texts if name in way.names} or None,
    }


def _sign(word: str) -> str | None:
    """Of a word that begins like a number and is none, such as `-1.#IND`, the first character that tells."""
    rest = word.lstrip("+-.0123456789")
    return rest[0] if rest and rest != word and rest.isascii() and not _is_finite(word) else None


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
        raise DataError(f"{path} is no table in .parquet: {_brief(error)}.") from error


@contextmanager
def told(path: Path, layout: Layout) -> Iterator[None]:
    """What pandas and Python say of a file that cannot be read, as a DataError."""
    try:
        yield
    except UnicodeError as error:
        raise _not_written(path, layout, _line_of_bytes(path, layout), _brief(error)) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.") from error
    except pd.errors.ParserWarning as error:
        hint = "Name every column in the first line; or take out what stands above that line, or values without a name."
        raise DataError(f"{path}: the rows have more values than there are names of columns.", hint) from error
    except (pd.errors.ParserError, csv.Error) as error:
        if "EOF inside string" in str(error):
            raise open_quote(path, _line_of_quote(path, layout)) from error
        message = f"{path} is not a table with the same columns in each line: {_brief(error)}."
        raise DataError(message, f"Correct the line. {_SKIP}") from error
    except LookupError as error:
        raise DataError(f"`encoding: {layout.encoding}` is not known: {_brief(error)}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise file_error(path, error) from error


def _not_written(path: Path, layout: Layout, place: str, why: str) -> DataError:
    hint = f"Say which it is, as in `encoding: latin-1` or `encoding: utf-16`. {_SKIP}"
    return DataError(f"{path}{place} is not written in {layout.encoding}: {why}.", hint)


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


def open_text(path: Path, layout: Layout, *, errors: str = "strict") -> IO[str]:
    """A file as text, unpacked if it is a .gz; `errors` as for Python's `open`. Raises what that does."""
    encoding = "utf-8-sig" if layout.encoding.lower() in ("utf-8", "utf8") else layout.encoding
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=encoding, errors=errors, newline="")
    return path.open(encoding=encoding, errors=errors, newline="")


def _has_lines_of_bytes(layout: Layout) -> bool:
    """Whether lines end as in ASCII. Raises LookupError for an encoding that is not known."""
    return "\n".encode(layout.encoding) == b"\n"


def _line_of_bytes(path: Path, layout: Layout) -> str:
    """Where the first wrong bytes are, `, line 3`; nothing where lines do not end as in ASCII."""
    try:
        if not _has_lines_of_bytes(layout):
            return ""
        with open_text(path, layout, errors="surrogateescape") as file:
            wrong = (number for number, line in enumerate(file, start=1) if has_wrong_bytes(line))
            return f", line {line}" if (line := next(wrong, 0)) else ""
    except (UnicodeError, OSError, EOFError, zlib.error):
        return ""


def _is_tabbed(path: Path) -> bool:
    return any(suffix.lower() in _TABS for suffix in path.suffixes)


def _line_of_quote(path: Path, layout: Layout) -> int:
    """The line of the last record of a file, in which a quote is open."""
    separator, quoting = _separation(path, layout)
    with open_text(path, layout) as file:
        last = line = 0
        records = csv.reader(file, delimiter=separator, quoting=quoting)
        for _ in records:
            last, line = line + 1, records.line_num
    return last


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


def way_of(path: Path, layout: Layout, *, is_strict: bool = True) -> Way:
    """How a file is read, by its first lines; if that `is_strict`, it has no bytes of 0 anywhere.

    Raises:
        DataError: it has no names of columns, or is no text.
    """
    _refuse_other_files(path)
    separator, quoting = _separation(path, layout)
    seen = NOTHING_SEEN
    if is_strict and _has_lines_of_bytes(layout):
        sought = {sign for word in layout.missing if (sign := _sign(word))}
        seen = scan(path, layout.encoding, separator, sought, is_headed=layout.header is True)
    with open_text(path, layout, errors="surrogateescape") as file:
        records = csv.reader(file, delimiter=separator, quoting=quoting, strict=False)
        above = lines = 0
        for record in records:
            above, lines = lines, records.line_num
            if any(map(str.strip, record)):
                break
        if any("\n" in name for name in record) and next(records, None) is None:
            raise open_quote(path, 1)
    if any(map(has_wrong_bytes, record)):
        raise _not_written(path, layout, f", line {lines}", "a name of a column has bytes that are no characters")
    if layout.header is True:
        names = [name.strip() for name in record]
        _refuse_numbers(path, names)
        return Way(_checked_names(path, names), above, lines, separator, quoting, seen)
    names = list(layout.header or ()) or [str(number) for number in range(1, len(record) + 1)]
    if len(names) != len(record):
        raise DataError(f"{path} has {len(record)} columns, but `header` names {len(names)}: {', '.join(names)}.")
    return Way(_checked_names(path, names), 0, 0, separator, quoting, seen)


def columns_of(path: Path, layout: Layout) -> int:
    """How many columns a file has that does not name them. Raises DataError."""
    with told(path, layout):
        return len(way_of(path, replace(layout, header=False)).names)


def separator_of(path: Path, layout: Layout) -> str:
    """What stands between the columns of a file. Raises DataError."""
    with told(path, layout):
        return _separation(path, layout)[0]


def _separation(path: Path, layout: Layout) -> tuple[str, Literal[0, 3]]:
    """What stands between the columns, and whether quotes mean anything."""
    # In text/tab-separated-values (IANA) quotes are characters like any other.
    has_quotes = layout.quotes if layout.quotes is not None else not _is_tabbed(path)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    with open_text(path, layout, errors="surrogateescape") as file:
        first = next((line for line in file if line.strip()), None)
    if first is None:
        raise DataError(f"{path} is empty.")
    return layout.separator or ("\t" if _is_tabbed(path) else _separator_of(first, quoting)), quoting


def first_records(path: Path, layout: Layout, count: int) -> list[list[str]]:
    """The first so many records as they are written, names of columns among them. Raises DataError."""
    with told(path, layout):
        separator, quoting = _separation(path, layout)
        with open_text(path, layout) as file:
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
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if twice:
        raise DataError(f"{path} has two columns with the name `{twice[0]}`.", "Give each a name of its own.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _is_finite(text: str) -> bool:
    return _is_number(text) and math.isfinite(float(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _may_have_short_rows(path: Path, way: Way, frame: pd.DataFrame) -> bool:
    """Whether a row of a file may have fewer values than columns; there is none with more, so counting does."""
    if len(way.names) == 1:
        return False
    wanted = (len(way.names) - 1) * (len(frame) + (1 if way.skipped else 0))
    has_quotes = way.quoting != csv.QUOTE_NONE and way.seen.has_quotes
    if not has_quotes and way.seen.separators == wanted:
        return False
    if not frame[way.names[-1]].isna().any():
        return False
    is_counted = has_quotes and way.seen.separators is not None
    return not is_counted or separators_outside_quotes(path, way.separator) != wanted


def refuse_short_rows(path: Path, layout: Layout, way: Way) -> None:
    """Tell of a row with fewer values than columns; pandas takes the rest for missing (3.1.1). Raises DataError."""
    with open_text(path, layout) as file:
        for _ in islice(file, way.skipped):
            pass
        records = csv.reader(file, delimiter=way.separator, quoting=way.quoting)
        for record in records:
            if record and len(record) < len(way.names):
                line = way.skipped + records.line_num
                message = f"{path}, line {line} has {values_in(record)}, but there are {len(way.names)} columns."
                hint = "Where a value is missing, its separator must still be there."
                raise DataError(message, f"{hint} {_SKIP}")
