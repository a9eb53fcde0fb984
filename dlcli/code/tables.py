"""A table in Python: read with pandas, split, and its columns made numbers as `dlcli.data.columns` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dlcli.code.dividing import division_code
from dlcli.code.reading import read_code
from dlcli.data.columns import Category, Date, Fitted, Index, Number, Plain, Text
from dlcli.data.table_reader import TableReader
from dlcli.spec.grammar import Spec
from dlcli.spec.sources_files import Csv

_FUNCTIONS = {
    Number: '''
def standardized(column, rows):
    """A column of numbers by mean and deviation of the training rows; and where a value is missing, if any is there."""
    known = train[column]
    scaled = ((rows[column] - known.mean()) / known.std(ddof=0)).fillna(0.0)
    return np.column_stack([scaled, rows[column].isna()]) if known.isna().any() else scaled
''',
    Plain: '''
def filled(column, rows):
    """A column of numbers, the mean of the training rows for a missing one; and where that is, if any is there."""
    known = train[column]
    values = rows[column].fillna(known.mean())
    return np.column_stack([values, rows[column].isna()]) if known.isna().any() else values
''',
    Category: '''
def one_hot(column, rows):
    """A column for each value that the training rows have, and one for a missing one, if any is there."""
    known = train[column]
    hot = [rows[column] == value for value in sorted(known.dropna().unique())]
    return np.column_stack([*hot, rows[column].isna()] if known.isna().any() else hot)
''',
    Index: '''
def numbered(column, rows):
    """The number of each value, from 1 on; 0 for what no training row has."""
    values = sorted(train[column].dropna().unique())
    return rows[column].map({value: number for number, value in enumerate(values, start=1)}).fillna(0).to_numpy("int32")
''',
    Date: '''
def date_parts(column, rows):
    """Year, month, day and so on, by mean and deviation of the training rows."""
    known, dates = pd.to_datetime(train[column]).dt, pd.to_datetime(rows[column]).dt
    parts = [(getattr(dates, part), getattr(known, part)) for part in DATE_PARTS]
    return np.column_stack([(part - all.mean()) / (all.std(ddof=0) or 1.0) for part, all in parts])
''',
}
_NO_LABELS = {"divider": "KFold", "labels": ""}
_NAMES = {Number: "standardized", Plain: "filled", Category: "one_hot", Index: "numbered", Date: "date_parts"}


class TableCode(NamedTuple):
    """The statements after which `x_train`, `y_train` and so on are there; see `dlcli.code.data.DataCode`."""

    imports: list[str]
    functions: list[str]
    lines: list[str]
    splits: list[str]


def table_code(spec: Spec, source: Csv, reader: TableReader, folder: str | None) -> TableCode:
    """What reads, splits and prepares a table.

    Args:
        spec: the spec.
        source: its source.
        reader: what its columns became.
        folder: what the paths of its files are relative to.

    Raises:
        UsageError: nobody has said yet how a script does that.
        DataError: a file cannot be read that tells how the table is divided.
    """
    imports = ["import numpy as np", "import pandas as pd"]
    columns = [column.column for column in reader.targets.values()]
    lines = [read_code("table", source.path, source, folder)]
    if columns:
        lines.append(f"table = table.dropna(subset={columns!r}, ignore_index=True)")
    divided = division_code(spec, source, reader, folder)
    lines += divided.lines
    splits = divided.splits
    imports += divided.imports
    functions = [*divided.functions, *functions_code(reader)]
    made, prepared = prepared_code(reader)
    lines += made
    names = ", ".join(splits)
    lines += ["", "", *prepared, "", ""]
    lines.append(f"{_each('x', splits)} = {_of_each('prepare(rows)', names)}")
    lines += targets_code(reader, splits, names)
    return TableCode(imports, functions, lines, splits)


def functions_code(reader: TableReader) -> list[str]:
    """The functions that make numbers of columns, those that are needed."""
    kinds = {type(column): column for columns in reader.inputs.values() for column in columns}
    return [_FUNCTIONS[kind] for kind in kinds if kind in _FUNCTIONS]


def prepared_code(reader: TableReader) -> tuple[list[str], list[str]]:
    """What is made of the training rows, and the function that makes inputs of rows."""
    made: list[str] = []
    values: dict[str, str] = {}
    for name, columns in reader.inputs.items():
        [first, *_] = columns
        if isinstance(first, Text):
            layer = "vectorize" if len(reader.inputs) == 1 else f"vectorize_{name}"
            sizes = f"max_tokens={first.vocabulary}, output_sequence_length={first.length}"
            made.append(f"{layer} = layers.TextVectorization({sizes})")
            made.append(f"{layer}.adapt({_text('train', first)})")
            values[name] = f"np.asarray({layer}({_text('rows', first)}))"
        elif isinstance(first, Index):
            values[name] = _call(first)
        else:
            values[name] = f'np.column_stack([{", ".join(map(_call, columns))}]).astype("float32")'
        if isinstance(first, Date) or any(isinstance(column, Date) for column in columns):
            parts = max((len(column.means) for column in columns if isinstance(column, Date)), default=0)
            made.append(f"DATE_PARTS = {list(Date.PARTS[:parts])!r}")
    whole = next(iter(values.values())) if len(values) == 1 else _dictionary(values)
    doc = '    """The columns as numbers, by what the training rows tell."""'
    return made, ["def prepare(rows):", doc, f"    return {whole}"]


def _text(rows: str, column: Text) -> str:
    return f'{rows}[{column.name!r}].fillna("").str.lower()'


def _dictionary(values: dict[str, str]) -> str:
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}}"


def _call(column: Fitted) -> str:
    return f"{_NAMES[type(column)]}({column.name!r}, rows)"


def _each(letter: str, splits: Sequence[str]) -> str:
    return ", ".join(f"{letter}_{split}" for split in splits)


def _of_each(what: str, names: str) -> str:
    return f"({what} for rows in ({names}))" if "," in names else what.replace("rows", names)


def targets_code(reader: TableReader, splits: Sequence[str], names: str) -> list[str]:
    """The statements that make what is asked for of the rows of each split."""
    if not reader.targets:
        return []
    lines, values = [], {}
    for number, (name, target) in enumerate(reader.targets.items()):
        if target.classes is None:
            values[name] = f'rows[{target.column!r}].to_numpy("float32")'
            continue
        classes = "classes" if number == 0 else f"classes_{number + 1}"
        lines.append(f"{classes} = np.unique(table[{target.column!r}])")
        values[name] = f"np.searchsorted({classes}, rows[{target.column!r}])"
    whole = next(iter(values.values())) if len(values) == 1 else _dictionary(values)
    return [*lines, f"{_each('y', splits)} = {_of_each(whole, names)}"]
