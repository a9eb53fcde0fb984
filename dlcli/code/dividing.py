"""The rows of a table in Python that are for training, validation and test, as `dlcli.data.dividing` tells them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dlcli.code.reading import read_code
from dlcli.data.columns import as_texts
from dlcli.data.dividing import split_of
from dlcli.data.finding import find_all
from dlcli.data.splits import FOLDS_DRAW, TEST_DRAW, VALIDATION_DRAW, split_seed
from dlcli.data.table_reader import TableReader
from dlcli.data.tables import read_tables
from dlcli.data.times import times_of
from dlcli.errors import UsageError
from dlcli.spec.grammar import Spec
from dlcli.spec.sources_files import Csv

_DRAWN = '''
def hold_out(table, share, seed):
    """Set a share of the rows apart{classes}."""
    rows, held_out = train_test_split(
        np.arange(len(table)), test_size=round(share * len(table)), random_state=seed{stratify}
    )
    return table.iloc[np.sort(rows)], table.iloc[np.sort(held_out)]
'''
_FOLD = '''
def hold_out_fold(table, fold, folds, seed):
    """Set one of several folds of the rows apart{classes}."""
    divided = {divider}(folds, shuffle=True, random_state=seed).split(table{labels})
    rows, held_out = list(divided)[fold - 1]
    return table.iloc[rows], table.iloc[held_out]
'''
_BY_GROUP = '''
def hold_out(table, share, seed):
    """Set a share of the groups apart, each of them whole."""
    draw = GroupShuffleSplit(1, test_size=share, random_state=seed)
    [(rows, held_out)] = draw.split(table, groups={groups})
    return table.iloc[np.sort(rows)], table.iloc[np.sort(held_out)]
'''
_BY_TIME = '''
def hold_out(table, share):
    """Set the last rows apart, as many as are that share, and whatever has the same time as the first of them."""
    times = table[{time!r}]
    begins = np.sort(times)[len(table) - round(share * len(table))]
    return table[times < begins], table[times >= begins]
'''
_FOLD_BY_GROUP = '''
def hold_out_fold(table, fold, folds, seed):
    """Set one of several folds of the groups apart, each of them whole."""
    names, groups = np.unique({groups}, return_inverse=True)
    groups = np.random.default_rng(seed).permutation(len(names))[groups]
    rows, held_out = list(GroupKFold(folds).split(table, groups=groups))[fold - 1]
    return table.iloc[rows], table.iloc[held_out]
'''
_FOLD_BY_TIME = '''
def hold_out_fold(table, fold, folds):
    """Set rows apart that come one after the other; those before them stay, and those after them are of later folds."""
    times = table[{time!r}]
    begins = np.sort(times)[len(times) - len(times) // (folds + 1) * np.arange(folds, 0, -1)]
    held_out = times >= begins[fold - 1]
    if fold < folds:
        held_out &= times < begins[fold]
    return table[times < begins[fold - 1]], table[held_out]
'''
_VARIABLES = {"train": "train", "validation": "val", "test": "test"}


class Division(NamedTuple):
    """The statements after which `train`, `val` and `test` are tables, as far as `splits` names them."""

    imports: list[str]
    functions: list[str]
    lines: list[str]
    splits: list[str]


def division_code(spec: Spec, source: Csv, reader: TableReader, folder: str | None) -> Division:
    """What divides the rows of `table`; see `dlcli.code.tables.table_code`.

    Raises:
        UsageError: nobody has said yet how a script does that.
        DataError: the table, which tells how, cannot be read.
    """
    of_test = _test_set(source, reader, folder) if source.test_path is not None else []
    functions, imported, before = _functions(source, reader, folder)
    share = 0.0 if of_test or source.split is not None else spec.dataset.test
    whole = "table" if source.split is None else "train"
    held, is_validated = _held_out(spec, whole, share, is_drawn=bool(imported))
    lines, splits = [*of_test, *held], ["train", *(["val"] if is_validated else [])]
    if source.split is not None:
        column = _column(source.split, source, reader, folder)
        named, names = _by_name(source.split, column, has_test_set=bool(of_test))
        lines, splits = [*of_test, *named, *held], [*splits, *names]
    elif not held:
        lines.append("train = table")
    splits += ["test"] if of_test or share else []
    used = [text for text in functions if any(f" {_name_of(text)}(" in line for line in lines)]
    taken = [name for name in imported if any(f"{name}(" in text for text in used)]
    imports = [f"from sklearn.model_selection import {name}" for name in taken]
    return Division(imports, used, [*(before if used else []), *lines], splits)


def _functions(source: Csv, reader: TableReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """The functions that hold rows out, what they take of scikit-learn, and what is done to the table before."""
    if source.group is not None and source.split is None:
        groups = _groups(source.group, _column(source.group, source, reader, folder))
        functions = [text.format(groups=groups) for text in (_BY_GROUP, _FOLD_BY_GROUP)]
        return functions, ["GroupShuffleSplit", "GroupKFold"], []
    if source.time is not None and source.split is None:
        _, is_date = times_of(source.time, _column(source.time, source, reader, folder), source.path[0])
        dates = f'pd.to_datetime(table[{source.time!r}], format="mixed", utc=True).dt.tz_localize(None)'
        before = [f"table[{source.time!r}] = {dates}"] if is_date else []
        return [text.format(time=source.time) for text in (_BY_TIME, _FOLD_BY_TIME)], [], before
    labels = next((one.column for one in reader.targets.values() if one.classes is not None), None)
    classes = ", with the same shares of the classes in both parts" if labels else ""
    divider = "StratifiedKFold" if labels else "KFold"
    functions = [
        _DRAWN.format(classes=classes, stratify=f", stratify=table[{labels!r}]" if labels else ""),
        _FOLD.format(classes=classes, divider=divider, labels=f", table[{labels!r}]" if labels else ""),
    ]
    return functions, ["train_test_split", divider], []


def _name_of(function: str) -> str:
    return function.split("(")[0].removeprefix("\ndef ")


def _test_set(source: Csv, reader: TableReader, folder: str | None) -> list[str]:
    """The statements that read the table of the test set."""
    asked = [target.column for target in reader.targets.values()]
    lines = [read_code("test", source.test_path or (), source, folder)]
    return [*lines, *([f"test = test.dropna(subset={asked!r}, ignore_index=True)"] if asked else [])]


def _held_out(spec: Spec, whole: str, share: float, *, is_drawn: bool) -> tuple[list[str], bool]:
    """The statements that hold rows of a table out, a share for the test set first; whether some are for validation."""
    dataset, lines, before = spec.dataset, [], whole

    def seed(draw: int) -> str:
        return f", seed={split_seed(spec.seed, draw)}" if is_drawn else ""

    if share:
        lines.append(f"train, test = hold_out({before}, {share}{seed(TEST_DRAW)})")
        before = "train"
    if dataset.held_out_fold is not None:
        fold = dataset.held_out_fold
        lines.append(f"train, val = hold_out_fold({before}, {fold.number}, {fold.of}{seed(FOLDS_DRAW)})")
        return lines, True
    if isinstance(dataset.validation, float):
        lines.append(f"train, val = hold_out({before}, {dataset.validation}{seed(VALIDATION_DRAW)})")
        return lines, True
    return lines, False


def _column(name: str, source: Csv, reader: TableReader, folder: str | None) -> pd.Series:
    """The values of the rows that are divided."""
    frame = read_tables(find_all(source.path, [Path(folder or "")]), reader.layout)
    asked = [target.column for target in reader.targets.values()]
    return frame.dropna(subset=asked)[name] if asked else frame[name]


def _by_name(column: str, values: pd.Series, *, has_test_set: bool) -> tuple[list[str], list[str]]:
    """The statements that take the rows which a column names for each split, and the splits besides `train`."""
    written: dict[str, list[object]] = {}
    for value in values.unique().tolist():
        [text] = as_texts(pd.Series([value]))
        written.setdefault(split_of(text) or "", []).append(value)
    splits = [split for split in _VARIABLES if split in written and not (split == "test" and has_test_set)]
    lines = []
    for split in splits:
        words = written[split]
        chosen = f"== {words[0]!r}" if len(words) == 1 else f".isin({words!r})"
        separator = "" if chosen.startswith(".") else " "
        lines.append(f"{_VARIABLES[split]} = table[table[{column!r}]{separator}{chosen}]")
    return lines, [_VARIABLES[split] for split in splits if split != "train"]


def _groups(column: str, values: pd.Series) -> str:
    """The groups in the script, which must be in the order that their texts have for dlcli. Raises UsageError."""
    order = np.unique(as_texts(values).astype(str), return_inverse=True)[1]
    plain, texts = values, values.astype("str")
    ways: Sequence[tuple[str, pd.Series]] = ((f"table[{column!r}]", plain), (f"table[{column!r}].astype(str)", texts))
    for written, found in ways:
        if found.notna().all() and np.array_equal(np.unique(found.to_numpy(), return_inverse=True)[1], order):
            return written
    message = f"How rows are divided by `{column}`, which some of them lack, cannot be written as a script yet."
    raise UsageError(message, "With --model-only the model is written.")
