"""Pictures that are named in a table, a row a picture, with what is asked for in another column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dlcli.data.class_folders import Listed, Listing
from dlcli.data.encoding import snake_case
from dlcli.data.fitting import fitted_target
from dlcli.data.from_tables import with_targets
from dlcli.data.image_decoding import SUFFIXES
from dlcli.data.image_reader import ImageReader
from dlcli.data.table_layout import Layout
from dlcli.data.table_reader import TargetColumn, check_columns
from dlcli.data.table_rows import HeldRows
from dlcli.data.tables import read_tables
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import TARGET
from dlcli.spec.sources_files import MISSING
from dlcli.spec.sources_images import Images

LAYOUT = Layout(header=True, separator=None, quotes=None, decimal=".", encoding="utf-8", missing=MISSING)
_LOOKED_AT = 100  # rows by which a column of file names is told
_FEW = 5


def list_tables(
    loaded: LoadedSpec,
    source: Images,
    tables: Sequence[Path],
    folder: Path | None,
    where: Where,
    reader: ImageReader | None,
) -> tuple[Listing, bool]:
    """The pictures that tables name; and whether their classes are texts as written.

    Args:
        loaded: the spec.
        source: its source.
        tables: that of the training images, and that of the test set, if there is one.
        folder: what file names are relative to; None for the table's own folder.
        where: who is told what a person must know.
        reader: what reads them for a checkpoint; None to take the classes that there are.

    Raises:
        DataError: a table cannot be read, or names what there is not.
        SpecError: the spec does not say what is asked for.
    """
    is_asked = loaded.spec.dataset.labels != "input"
    if source.target is None and is_asked:
        message = (
            f"`images` needs `target`, since {tables[0].name} is a table: the column of what the model is to tell."
        )
        raise loaded.error(Problem(message, ("dataset", "source", "images")))
    column = source.target if is_asked else None
    target = TargetColumn(column or "", reader.classes, reader.is_text) if reader is not None else None
    splits: dict[str, Listed] = {}
    for name, table in zip(("train", "test"), tables, strict=False):
        frame = read_tables([table], LAYOUT, [column] if target is not None and target.is_text and column else ())
        check_columns(frame, [each for each in (column, source.image) if each is not None], table)
        frame = with_targets(HeldRows(frame), [column] if column else [], table, where).frame
        if column is None:
            target = TargetColumn("", None, False)
        elif target is None:
            heads = heads_of(loaded.spec)
            loss = snake_case(heads[TARGET].loss.name) if TARGET in heads else ""
            target = fitted_target(column, frame[column], kind=None, loss=loss, where=str(table))
        asked = frame[column] if column else pd.Series(0.0, frame.index)
        splits[name] = Listed(_files(frame, source.image, table, folder), target.encode(asked, str(table)))
    return Listing(splits, target.classes if target is not None else None), target is not None and target.is_text


def _files(frame: pd.DataFrame, column: str | None, table: Path, folder: Path | None) -> list[Path]:
    """The file of each row, all of which are there."""
    names = frame[column or column_of_files(frame, table)]
    lacking = int(names.isna().sum())
    if lacking:
        message = f"{table}: {lacking:,} of {len(names):,} rows have no file name in `{names.name}`."
        raise DataError(message, "Name the file, or take the rows out.")
    base = folder if folder is not None else table.parent
    paths = [base / str(name).strip() for name in names]
    missing = [path for path in dict.fromkeys(paths) if not path.is_file()]
    if missing:
        few = ", ".join(map(str, missing[:_FEW])) + (" …" if len(missing) > _FEW else "")
        message = f"{table} names {len(missing):,} of {len(paths):,} images that are not there: {few}."
        raise DataError(message, f"File names are relative to {base}; `folder` in `images` can name another.")
    return paths


def column_of_files(frame: pd.DataFrame, table: Path) -> str:
    """The first column of file names of images. Raises DataError if there is none."""
    for name in frame.columns:
        values = [str(value).strip().lower() for value in frame[name].dropna().head(_LOOKED_AT)]
        if values and all(value.endswith(SUFFIXES) for value in values):
            return str(name)
    columns = ", ".join(f"`{name}`" for name in frame.columns[:10])
    message = f"{table} has no column of file names of images among {columns}."
    raise DataError(message, "Say which one it is, as in `image: file`; a name ends as in `cat.jpg`.")
