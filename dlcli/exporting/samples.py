"""Examples with which an exported model is compared: of the data, where it can be reached, else made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from dlcli.data.class_folders import named_files
from dlcli.data.columns import Category, Date, Fitted, Index, Text, as_numbers, as_texts
from dlcli.data.dataset import Array, OneOrNamed, for_each, named
from dlcli.data.finding import find_all, find_one, folders_of
from dlcli.data.image_decoding import Form, appearance, form_pixels, read_picture, set_up
from dlcli.data.image_reader import PICTURES, ImageReader
from dlcli.data.series_reader import SeriesReader
from dlcli.data.table_reader import TableReader, check_columns
from dlcli.data.tables import read_tables
from dlcli.data.text_reader import TEXTS, TextReader, read_texts
from dlcli.data.where import Where
from dlcli.data.windows import windows_of
from dlcli.errors import DataError
from dlcli.exporting.made_up import made_up
from dlcli.exporting.parts import TEXT, raw_name
from dlcli.exporting.subject import Subject
from dlcli.spec.source import INPUT
from dlcli.training.feeding import Rows
from dlcli.training.job import Job

COUNT = 256
"""how many examples are compared"""
_LARGE = 64 * 2**20  # bytes of pictures in their own sizes


@dataclass(frozen=True)
class Samples:
    """Some examples, as raw values and as the raw examples that dlcli makes of them.

    Attributes:
        raw: by the names of columns or inputs: arrays, the first axis that of the examples; or a list of pictures.
        inputs: as a reader makes them, by name where there are several inputs.
        origin: where they come from, for a person.
        is_files: whether the raw values are the contents of files of pictures.
    """

    raw: Mapping[str, Any]
    inputs: OneOrNamed[Array]
    origin: str
    is_files: bool = False

    def __len__(self) -> int:
        return len(next(iter(named(self.inputs).values())))

    def first(self) -> dict[str, Any]:
        """The raw values of the first example alone, the first axis kept."""
        return {name: np.asarray(values[0])[None] for name, values in self.raw.items()}


def samples_of(subject: Subject, where: Where, load: Callable[[], Job]) -> list[Samples]:
    """Examples for a model; those of pictures in files twice: as pixels, and as files.

    Args:
        subject: the model.
        where: where the data may be; it is told if it cannot be reached, and examples are made up.
        load: brings the data, as training has it.
    """
    try:
        if isinstance(subject.reader, TableReader):
            return [_of_table(subject, subject.reader, where)]
        if isinstance(subject.reader, SeriesReader):
            return [_of_series(subject, subject.reader, where)]
        if isinstance(subject.reader, TextReader):
            return [_of_texts(subject, subject.reader, where)]
        if isinstance(subject.reader, ImageReader) and (files := _picture_files(subject, where)):
            return _of_pictures(files, subject.reader)
        return [_of_job(load())]
    except DataError as error:
        where.notify(f"No examples of the data can be taken: {error.message} They are made up instead.")
        return [made_up_samples(subject)]


def made_up_samples(subject: Subject) -> Samples:
    """Examples such as the model takes, drawn at random."""
    raw, inputs = made_up(subject.parts, subject.preparation, subject.loaded.spec.dataset.source.input_facts, COUNT)
    return Samples(raw, inputs, "made up")


def chosen(count: int, most: int = COUNT) -> Array:
    """Evenly spaced numbers below `count`, at most so many."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _found(subject: Subject, where: Where) -> tuple[Any, tuple[Path, ...]]:
    """The source, and the folders that its paths may be relative to."""
    folder = subject.contents.data.get("folder")
    beside = (*where.beside, Path(folder)) if folder else where.beside
    return subject.loaded.spec.dataset.source, folders_of(subject.loaded, replace(where, beside=beside))


def _of_table(subject: Subject, reader: TableReader, where: Where) -> Samples:
    source, folders = _found(subject, where)
    frame, paths = _frame(reader, find_all(source.path, folders))
    frame = frame.iloc[chosen(len(frame))].reset_index(drop=True)
    columns = [column for each in reader.inputs.values() for column in each]
    raw = {raw_name(column): raw_values(column, frame[column.name]) for column in columns}
    return Samples(raw, reader.encode(frame, str(paths[0])), str(paths[0]))


def _frame(reader: TableReader, paths: list[Path]) -> tuple[pd.DataFrame, list[Path]]:
    frame = read_tables(paths, reader.layout, reader.texts)
    check_columns(frame, reader.columns, paths[0])
    return frame, paths


def raw_values(column: Fitted, values: pd.Series) -> Array:
    """A column's values as an exported model, or `prepare.py`, takes them: float64, or texts."""
    if isinstance(column, (Category, Index)):
        return np.asarray(as_texts(values), dtype=str)
    if isinstance(column, (Date, Text)):
        return np.asarray(["" if pd.isna(value) else str(value) for value in values], dtype=str)
    return as_numbers(column.name, values, column.name)


def _of_series(subject: Subject, reader: SeriesReader, where: Where) -> Samples:
    source, folders = _found(subject, where)
    frame, paths = _frame(reader.table, find_all(source.path, folders))
    check_columns(frame, reader.placed, paths[0])
    found = reader.in_order(frame, str(paths[0]))
    windows = windows_of(found, length=reader.length, horizon=reader.horizon, beyond=True)
    wanted = np.zeros(len(windows), bool)
    if len(windows):
        wanted[chosen(len(windows))] = True
    windows = windows.only(wanted)
    rows = found.order[windows.firsts[:, None] + np.arange(reader.length)]
    [columns] = reader.table.inputs.values()
    raw = {raw_name(column): raw_values(column, frame[column.name])[rows] for column in columns}
    return Samples(raw, reader.inputs(frame, found, windows, str(paths[0])), str(paths[0]))


def _of_texts(subject: Subject, reader: TextReader, where: Where) -> Samples:
    source, folders = _found(subject, where)
    origin = find_one(source.path, folders)
    files, _ = named_files([origin], TEXTS)
    texts = read_texts([files[number] for number in chosen(len(files))], reader.encoding)
    return Samples({TEXT: np.asarray(texts, dtype=str)}, reader.encode(texts), str(origin))


def _picture_files(subject: Subject, where: Where) -> list[Path]:
    """Files of pictures, evenly chosen; none if a table names them."""
    source, folders = _found(subject, where)
    origin = find_one(source.path, folders)
    if not origin.is_dir():
        return []
    files, _ = named_files([origin], PICTURES)
    return [files[number] for number in chosen(len(files))]


def _of_pictures(files: Sequence[Path], reader: ImageReader) -> list[Samples]:
    set_up()
    folder = str(files[0].parent.parent)
    inputs, _ = reader.raw_inputs(files)
    contents = [file.read_bytes() for file in files]
    as_files = Samples({INPUT: contents}, inputs[:], folder, is_files=True)
    pixels: list[Array] = []
    size = 0
    for file in files:
        own = appearance(file).size
        size += own[0] * own[1] * 3
        if pixels and size > _LARGE:
            break
        pixels.append(read_picture(file, Form(own, reader.form.color, "resize")))
    formed = np.stack([form_pixels(one, reader.form) for one in pixels])
    return [Samples({INPUT: pixels}, formed, folder), as_files]


def _of_job(job: Job) -> Samples:
    split = next(name for name in ("test", "validation", "train") if name in job.rows)
    inputs = rows_of(job.rows[split], COUNT)
    return Samples(dict(named(inputs, INPUT)), inputs, f"{job.facts.described()}, {split}")


def rows_of(rows: Rows, count: int) -> OneOrNamed[Array]:
    """The raw inputs of some rows, evenly chosen."""
    wanted = rows.order[chosen(len(rows), count)]

    def taken(values: Any) -> Array:
        found = values[wanted] if not hasattr(values, "numpy") else values.numpy()[wanted]
        return np.asarray(found)

    return cast("OneOrNamed[Array]", for_each(taken, rows.data.inputs))
