"""What keeps a table from being read, as an error that a person can use: with the file, and its line where known."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from dlcli.data.skipping import has_wrong_bytes, open_quote
from dlcli.data.table_layout import Layout, has_lines_of_bytes, open_text, separation
from dlcli.errors import DataError

SKIP = "`corrupt: skip` in a spec leaves such rows out."


@contextmanager
def told(path: Path, layout: Layout) -> Iterator[None]:
    """What pandas and Python say of a file that cannot be read, as a DataError."""
    try:
        yield
    except UnicodeError as error:
        raise not_written(path, layout, _line_of_bytes(path, layout), brief(error)) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} is empty.") from error
    except pd.errors.ParserWarning as error:
        hint = "Name every column in the first line; or take out what stands above that line, or values without a name."
        raise DataError(f"{path}: the rows have more values than there are names of columns.", hint) from error
    except (pd.errors.ParserError, csv.Error) as error:
        if "EOF inside string" in str(error):
            raise open_quote(path, _line_of_quote(path, layout)) from error
        message = f"{path} is not a table with the same columns in each line: {brief(error)}."
        raise DataError(message, f"Correct the line. {SKIP}") from error
    except LookupError as error:
        raise DataError(f"`encoding: {layout.encoding}` is not known: {brief(error)}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise file_error(path, error) from error


def not_written(path: Path, layout: Layout, place: str, why: str) -> DataError:
    """The error that bytes, at a place such as `, line 3`, are not written in the encoding."""
    hint = f"Say which it is, as in `encoding: latin-1` or `encoding: utf-16`. {SKIP}"
    return DataError(f"{path}{place} is not written in {layout.encoding}: {why}.", hint)


def file_error(path: Path, error: Exception) -> DataError:
    """What keeps a file from being read."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"There is no file {path}.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{path} is a folder.", "Name the file in it.")
    reason = getattr(error, "strerror", None) or brief(error)
    return DataError(f"{path} cannot be read: {reason}.")


def brief(error: Exception) -> str:
    """The first line of what an error says."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.removeprefix("Error tokenizing data. C error: ").rstrip(".")[:200]


def _line_of_bytes(path: Path, layout: Layout) -> str:
    """Where the first wrong bytes are, `, line 3`; nothing where lines do not end as in ASCII."""
    try:
        if not has_lines_of_bytes(layout):
            return ""
        with open_text(path, layout, errors="surrogateescape") as file:
            wrong = (number for number, line in enumerate(file, start=1) if has_wrong_bytes(line))
            return f", line {line}" if (line := next(wrong, 0)) else ""
    except (UnicodeError, OSError, EOFError, zlib.error):
        return ""


def _line_of_quote(path: Path, layout: Layout) -> int:
    """The line of the last record of a file, in which a quote is open."""
    separator, quoting = separation(path, layout)
    with open_text(path, layout) as file:
        last = line = 0
        records = csv.reader(file, delimiter=separator, quoting=quoting)
        for _ in records:
            last, line = line + 1, records.line_num
    return last
