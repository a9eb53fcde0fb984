"""A look at a table that nobody has described: what its columns are, and which one is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from dlcli.data.columns import as_texts, sorted_values
from dlcli.data.inferring import Kind, kind_of
from dlcli.data.table_layout import Layout
from dlcli.data.tables import read_tables
from dlcli.describing.columns import ColumnSummary, summarize_column
from dlcli.errors import DataError, UsageError
from dlcli.spec.likeness import closest
from dlcli.starting.layouts import find_writing
from dlcli.starting.words import Words

TASKS = ("classes", "number")
_USUAL_NAMES = (
    "target", "label", "labels", "class", "classes", "y", "species", "category", "outcome", "output", "response",
    "diagnosis", "survived",
)  # fmt: skip
_FEW_CLASSES = 20  # whole numbers of so many values are classes
_MOST_CLASSES = 100  # of more, if they count from 0 or 1 without a gap
_FEWEST_ROWS = 5  # of each class, on average
_MOST_LISTED = 30
_FEW_MARKS = 2  # so many different texts in a column of numbers stand for missing values


@dataclass(frozen=True)
class Target:
    """What is asked for.

    Attributes:
        column: its name.
        labels: the number of the class of each row; or the number itself.
        classes: their names in order; None for a number.
        reason: why it is taken for classes, or for a number.
    """

    column: str
    labels: np.ndarray[tuple[int], np.dtype[np.int32 | np.float64]]
    classes: tuple[str, ...] | None
    reason: str

    @property
    def counts(self) -> list[tuple[str, int]]:
        """The classes with their numbers of rows, the most frequent first."""
        numbers = np.bincount(self.labels.astype(np.int64), minlength=len(self.classes or ()))
        pairs = [(name, int(count)) for name, count in zip(self.classes or (), numbers, strict=True)]
        return sorted(pairs, key=lambda pair: -pair[1])


@dataclass(frozen=True)
class TableFacts:
    """A table, looked at.

    Attributes:
        path: its file.
        layout: how it is written, with what stands for a missing value.
        no_names_because: why its first line does not name the columns.
        marks: the texts that stand for missing values in columns of numbers, besides the usual ones.
        rows: how many there are with a target.
        unanswered: how many others there are.
        target: what is asked for.
        columns: the other columns.
        words: those of the texts that go in; None where numbers do.
    """

    path: Path
    layout: Layout
    no_names_because: str
    marks: tuple[str, ...]
    rows: int
    unanswered: int
    target: Target
    columns: tuple[ColumnSummary, ...]
    words: Words | None = None

    @property
    def used(self) -> tuple[ColumnSummary, ...]:
        """The columns that go in."""
        return tuple(column for column in self.columns if column.is_used)

    @property
    def width(self) -> int:
        """How many numbers go in for each row, about."""
        return sum(_width(column) for column in self.used)


def _width(column: ColumnSummary) -> int:
    size = {"category": column.distinct, "date": 5}.get(column.kind, 1)
    return size + bool(column.missing)


def look_at_table(path: Path, target: str | None, task: str | None) -> TableFacts:
    """What is in a table.

    Args:
        path: the file.
        target: the column that is asked for; None to take one with a name that says so.
        task: whether it has "classes" or is a "number"; None to tell by its values.

    Raises:
        DataError: the file cannot be read, or there is nothing to learn from it.
        UsageError: there is no such column, or none is the obvious target.
    """
    writing = find_writing(path)
    layout = writing.layout
    frame = read_tables([path], layout)
    marks = _marks_in(frame, layout.decimal)
    if marks:
        layout = replace(layout, missing=(*layout.missing, *marks))
        frame = read_tables([path], layout)
    frame = frame.rename(columns=str)
    names = _invented_names(frame, path) if writing.no_names_because else None
    if names is not None:
        target = dict(zip(frame.columns, names, strict=True)).get(target, target) if target else None
        layout = replace(layout, header=names)
        frame.columns = pd.Index(names)
    column = _target_column(frame, target, path)
    rows = frame[frame[column].notna()].reset_index(drop=True)
    if rows.empty:
        raise DataError(f"{path}: no row has a value of `{column}`, which is what is asked for.")
    asked = _target(column, rows[column], path, task)
    columns = _columns(rows.drop(columns=column), path)
    facts = TableFacts(
        path, layout, writing.no_names_because, marks, len(rows), len(frame) - len(rows), asked, columns
    )  # fmt: skip
    if not facts.used:
        reasons = "; ".join(f"`{each.name}`: {each.reason}" for each in columns) or "it has no other column"
        raise DataError(f"{path}: no column is left to tell `{column}` by. {reasons}.")
    if facts.used[0].kind != "text":
        return facts
    return replace(facts, words=Words.of(rows[facts.used[0].name].dropna().astype("str")))


def _marks_in(frame: pd.DataFrame, decimal: str) -> tuple[str, ...]:
    """Texts in columns that are numbers otherwise, where there are so few different ones that they mean "missing"."""
    marks: dict[str, None] = {}
    for _, values in frame.items():
        known = values.dropna()
        if pd.api.types.is_numeric_dtype(known) or known.empty:
            continue
        texts = known.astype("str").str.strip()
        numbers = texts.str.replace(decimal, ".", regex=False)
        wrong = texts[pd.to_numeric(numbers, errors="coerce").isna()]
        if len(wrong) < 0.5 * len(texts) and wrong.nunique() <= _FEW_MARKS:
            marks.update(dict.fromkeys(wrong.unique().tolist()))
    return tuple(marks)


def _invented_names(frame: pd.DataFrame, path: Path) -> tuple[str, ...] | None:
    """`label` and `text` for two columns that are a class and a text; None for the numbers that they have anyway."""
    kinds = {name: kind_of(str(name), frame[name], str(path)).kind for name in frame.columns}
    if sorted(kinds.values()) != ["category", "text"]:
        return None
    return tuple("text" if kind == "text" else "label" for kind in kinds.values())


def _target_column(frame: pd.DataFrame, asked: str | None, path: Path) -> str:
    names = [str(name) for name in frame.columns]
    listed = ", ".join(names[:_MOST_LISTED]) + (f" and {len(names) - _MOST_LISTED} more" * (len(names) > _MOST_LISTED))
    if asked is not None:
        if asked in names:
            return asked
        close = closest(asked, names)
        hint = f"Did you mean `{close}`?" if close else f"It has {listed}."
        raise UsageError(f"{path} has no column `{asked}`.", hint)
    usual = [name for name in names if name.strip().lower() in _USUAL_NAMES]
    if len(usual) == 1:
        return usual[0]
    what = f"`{usual[0]}` and `{usual[1]}` both could be" if usual else "None of its columns is called as if it were"
    message = f"{path}: which column is the model to tell? {what} that one."
    raise UsageError(message, f"Say it, as in `--target {names[-1]}`. The columns are {listed}.")


def _target(column: str, values: pd.Series, path: Path, task: str | None) -> Target:
    """What is asked for: classes or a number. Raises DataError if there is nothing to learn."""
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    different = int(values.nunique())
    if different == 1:
        message = f"{path}: every row has the same `{column}`, {values.iloc[0]}: there is nothing to learn."
        raise DataError(message, "Ask for a column that differs from row to row, with `--target`.")
    if task == "number" and not is_number:
        raise UsageError(f"{path}: `{column}` has texts, such as `{values.iloc[0]}`, and no numbers.")
    has_classes, reason = _has_classes(values, different) if is_number else (True, "its values are no numbers")
    if task is not None:
        has_classes, reason = task == "classes", f"`--task {task}` says so"
    if not has_classes:
        numbers = values.to_numpy(np.float64)
        if not np.isfinite(numbers).all():
            raise DataError(f"{path}: `{column}` has a value that is not finite.")
        return Target(column, numbers, None, reason)
    if different > max(2, len(values) // 2):
        message = (
            f"{path}: `{column}` has {different:,} different values in {len(values):,} rows, too many for classes."
        )
        raise DataError(message, "A class needs several examples. Ask for another column.")
    classes = sorted_values(as_texts(values))
    positions = {name: number for number, name in enumerate(classes)}
    labels = np.asarray([positions[text] for text in as_texts(values)], np.int32)
    return Target(column, labels, classes, reason)


def _has_classes(values: pd.Series, different: int) -> tuple[bool, str]:
    """Whether numbers stand for classes, and why."""
    if (values % 1 != 0).any():
        return False, "its values have fractions"
    if different == 2:
        return True, "it has two values"
    are_many = len(values) >= _FEWEST_ROWS * different
    least, largest = int(values.min()), int(values.max())
    counts_up = least in (0, 1) and largest - least + 1 == different and different <= _MOST_CLASSES
    if are_many and (different <= _FEW_CLASSES or counts_up):
        return True, f"it has {different} whole numbers, each many times"
    return False, f"it has {different:,} different numbers"


def _columns(frame: pd.DataFrame, path: Path) -> tuple[ColumnSummary, ...]:
    kinds = {str(name): kind_of(str(name), frame[name], str(path)) for name in frame.columns}
    texts = [name for name, kind in kinds.items() if kind.kind == "text"]
    others = [name for name, kind in kinds.items() if kind.kind not in ("text", "skip")]
    kept = [] if others else sorted(texts, key=lambda name: -frame[name].astype("str").str.len().mean())[:1]
    for name in texts:
        if name not in kept:
            kinds[name] = Kind("skip", "it is free text, which needs an input of its own (`inputs`)")
    return tuple(summarize_column(name, kind.kind, frame[name], kind.reason) for name, kind in kinds.items())


def file_stem(path: Path) -> str:
    """The name of a file without `.csv`, `.tsv.gz` and the like, as a run can have it."""
    stem = re.sub(r"(\.(csv|tsv|tab|txt|parquet|tfrecords?))?(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", stem)[:100]
    return plain if plain[:1].isalnum() else f"data_{plain.lstrip('._-')}".rstrip("_")
