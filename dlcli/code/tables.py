"""A table in Python: read with pandas, split, and its columns made numbers as `dlcli.data.columns` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dlcli.data.columns import Category, Date, Fitted, Index, Number, Plain, Text
from dlcli.data.splits import FOLDS_DRAW, TEST_DRAW, VALIDATION_DRAW, split_seed
from dlcli.data.table_reader import TableReader
from dlcli.spec.grammar import Spec
from dlcli.spec.sources_files import MISSING, Csv, Table

_HOLD_OUT = '''
def hold_out(table, share, seed):
    """Set a share of the rows apart{classes}."""
    rows, held_out = train_test_split(
        np.arange(len(table)), test_size=round(share * len(table)), random_state=seed{stratify}
    )
    return table.iloc[np.sort(rows)], table.iloc[np.sort(held_out)]
'''
_HOLD_OUT_FOLD = '''
def hold_out_fold(table, fold, folds, seed):
    """Set one of several folds of the rows apart{classes}."""
    divided = {divider}(folds, shuffle=True, random_state=seed).split(table{labels})
    rows, held_out = list(divided)[fold - 1]
    return table.iloc[rows], table.iloc[held_out]
'''
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
    """
    imports = ["import numpy as np", "import pandas as pd"]
    columns = [column.column for column in reader.targets.values()]
    lines = [read_code("table", source.path, source, folder)]
    if columns:
        lines.append(f"table = table.dropna(subset={columns!r}, ignore_index=True)")
    held, more, splits = _split(spec, source, reader, folder)
    lines += more
    for divider in ("train_test_split", "StratifiedKFold", "KFold"):
        if any(f" {divider}(" in function for function in held):
            imports.append(f"from sklearn.model_selection import {divider}")
    functions = [*held, *functions_code(reader)]
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


def read_code(name: str, paths: Sequence[str], source: Table, folder: str | None) -> str:
    """The statement that reads files."""
    options = _options(source)
    files = [path if folder is None else f"{folder}/{path}" for path in paths]
    calls = [f"pd.read_csv({', '.join([repr(file), *options])})" for file in files]
    return f"{name} = {calls[0]}" if len(calls) == 1 else f"{name} = pd.concat([{', '.join(calls)}], ignore_index=True)"


def _options(source: Table) -> list[str]:
    is_tabbed = any(".tsv" in path or ".tab" in path for path in source.path)
    given = {
        "sep": source.separator or ("\t" if is_tabbed else None),
        "names": list(source.header) if isinstance(source.header, tuple) else None,
        "decimal": source.decimal if source.decimal != "." else None,
        "encoding": source.encoding if source.encoding != "utf-8" else None,
        "na_values": "?" if source.missing == MISSING else list(source.missing),
    }
    options = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    if source.header is False:
        options.append("header=None")
    if source.missing != MISSING:
        options.append("keep_default_na=False")
    if source.quotes is False or (source.quotes is None and is_tabbed):
        options.append("quoting=3")
    return options


def _split(spec: Spec, source: Csv, reader: TableReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """The function that sets rows apart, the statements that do, and the names of the splits."""
    dataset, lines, splits = spec.dataset, [], ["train"]
    labels = next((one.column for one in reader.targets.values() if one.classes is not None), None)
    before = "table"
    if source.test_path is not None:
        lines.append(read_code("test", source.test_path, source, folder))
        splits.append("test")
    elif dataset.test:
        lines.append(f"train, test = hold_out(table, {dataset.test}, seed={split_seed(spec.seed, TEST_DRAW)})")
        before = "train"
        splits.append("test")
    if dataset.held_out_fold is not None:
        fold, seed = dataset.held_out_fold, split_seed(spec.seed, FOLDS_DRAW)
        lines.append(f"train, val = hold_out_fold({before}, {fold.number}, {fold.of}, seed={seed})")
        before = "train"
        splits.insert(1, "val")
    elif isinstance(dataset.validation, float):
        seed = split_seed(spec.seed, VALIDATION_DRAW)
        lines.append(f"train, val = hold_out({before}, {dataset.validation}, seed={seed})")
        before = "train"
        splits.insert(1, "val")
    if before == "table":
        lines.append("train = table")
    classes = ", with the same shares of the classes in both parts" if labels else ""
    stratify = f", stratify=table[{labels!r}]" if labels else ""
    of_folds = {"divider": "StratifiedKFold", "labels": f", table[{labels!r}]"} if labels else _NO_LABELS
    functions = {
        "hold_out(": _HOLD_OUT.format(classes=classes, stratify=stratify),
        "hold_out_fold(": _HOLD_OUT_FOLD.format(classes=classes, **of_folds),
    }
    return [text for name, text in functions.items() if any(name in line for line in lines)], lines, splits


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
