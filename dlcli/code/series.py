"""Series in Python: read with pandas, put in order, divided at moments, and cut into windows, as `dlcli.data` does."""

from __future__ import annotations

from dlcli.code.reading import read_code
from dlcli.code.tables import TableCode, functions_code, prepared_code, targets_code
from dlcli.data.series_reader import SeriesReader
from dlcli.errors import UsageError
from dlcli.spec.grammar import Spec
from dlcli.spec.sources_series import Series

_BEGINS = '''
def begins(moments, share):
    """When the last share of some rows begins."""
    return np.sort(moments)[len(moments) - round(share * len(moments))]
'''


_FOLD = '''
def begins_and_ends(moments, fold, folds):
    """When some rows begin and end that are one of several folds; there is one part more, before all of them."""
    size = len(moments) // (folds + 1)
    begins = np.sort(moments)[len(moments) - size * np.arange(folds, 0, -1)]
    return begins[fold - 1], begins[fold] if fold < folds else None
'''


def series_code(spec: Spec, source: Series, reader: SeriesReader, folder: str | None) -> TableCode:
    """What reads, orders, splits and prepares series.

    Args:
        spec: the spec.
        source: its source.
        reader: what its columns became.
        folder: what the paths of its files are relative to.

    Raises:
        UsageError: nobody has said yet how a script does that.
    """
    columns = [target.column for target in reader.table.targets.values()]
    if any(target.classes is not None for target in reader.table.targets.values()):
        message = "How classes of a series come from a table cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    cuts, splits = _cuts(spec)
    made, prepared = prepared_code(reader.table)
    lines = [read_code("table", source.path, source, folder), *_ordered(reader), *cuts, *made]
    lines += ["", "", *prepared, "", ""]
    lines += _windows(source, reader, columns)
    names = ", ".join(splits)
    fold = spec.dataset.held_out_fold
    lines += _divided(splits, names, is_last=fold is None or fold.number == fold.of)
    lines += targets_code(reader.table, splits, names)
    used = [
        text for name, text in (("begins(", _BEGINS), ("begins_and_ends(", _FOLD)) if any(name in line for line in cuts)
    ]
    functions = [*used, *functions_code(reader.table)]
    return TableCode(["import numpy as np", "import pandas as pd"], functions, lines, splits)


def _ordered(reader: SeriesReader) -> list[str]:
    """The rows in order, and the moment of each."""
    time, group = reader.time, reader.group
    lines = []
    if time is not None and reader.is_dated:
        dates = f'pd.to_datetime(table[{time!r}], format="mixed", utc=True)'
        lines.append(f"table[{time!r}] = {dates}.dt.tz_localize(None)")
    keys = [name for name in (group, time) if name is not None]
    if keys:
        lines.append(f'table = table.sort_values({keys!r}, kind="stable", ignore_index=True)')
    if group is not None:
        lines.append(f"places = table.groupby({group!r}).cumcount()")
    if time is not None:
        return [*lines, f"moments = table[{time!r}]"]
    if group is None:
        return [*lines, "moments = np.arange(len(table))"]
    return [*lines, f'moments = places / table.groupby({group!r})[{group!r}].transform("size")']


def _cuts(spec: Spec) -> tuple[list[str], list[str]]:
    """Where splits begin and which rows are for training, and the splits."""
    dataset, lines, splits, before = spec.dataset, [], ["train"], "moments"
    if dataset.test:
        lines.append(f"test_begins = begins(moments, {dataset.test})")
        splits.append("test")
        before = "moments[moments < test_begins]"
    if dataset.held_out_fold is not None:
        fold = dataset.held_out_fold
        lines.append(f"val_begins, val_ends = begins_and_ends({before}, {fold.number}, {fold.of})")
        splits.insert(1, "val")
    elif isinstance(dataset.validation, float):
        lines.append(f"val_begins = begins({before}, {dataset.validation})")
        splits.insert(1, "val")
    first = f"{splits[1]}_begins" if len(splits) > 1 else None
    return [*lines, f"train = table[moments < {first}]" if first else "train = table"], splits


def _windows(source: Series, reader: SeriesReader, columns: list[str]) -> list[str]:
    """The windows, the row that each is to tell, and its moment."""
    last, horizon = reader.length + reader.horizon - 1, reader.horizon
    places = "places" if reader.group is not None else "np.arange(len(table))"
    conditions = [f"({places} >= {last})"]
    if source.stride > 1:
        conditions.append(f"(({places} - {last}) % {source.stride} == 0)")
    conditions.append(f"table[{columns!r}].notna().all(axis=1)")
    whole = " & ".join(conditions)
    return [
        f"targets = np.flatnonzero({whole})",
        f"windows = prepare(table)[targets[:, None] + np.arange({-last}, {1 - horizon})]",
        "whens = np.asarray(moments)[targets]",
    ]


def _divided(splits: list[str], names: str, *, is_last: bool) -> list[str]:
    """The windows of each split, and the rows that they are to tell."""
    if len(splits) == 1:
        return ["x_train, train = windows, table.iloc[targets]"]
    return [
        f"chosen = {', '.join(_rows_of(split, splits, is_last=is_last) for split in splits)}",
        f"{', '.join(f'x_{split}' for split in splits)} = (windows[rows] for rows in chosen)",
        f"{names} = (table.iloc[targets[rows]] for rows in chosen)",
    ]


def _rows_of(split: str, splits: list[str], *, is_last: bool) -> str:
    if split == "train":
        return f"whens < {splits[1]}_begins"
    if split == "val" and not is_last:
        return "(whens >= val_begins) & (whens < val_ends)"
    if split == "val" and "test" in splits:
        return "(whens >= val_begins) & (whens < test_begins)"
    return f"whens >= {split}_begins"
