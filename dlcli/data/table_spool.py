"""Tables that are larger than the memory: parsed once, part for part, into temporary files from which rows are read."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from typing_extensions import Self

from dlcli.data.dataset import Array, OneOrNamed, one_or_named
from dlcli.data.skipping import Skipped
from dlcli.data.spool import Spool, Spooled
from dlcli.data.stored import InFile
from dlcli.data.table_first import first_rows
from dlcli.data.table_layout import Layout, open_text
from dlcli.data.table_reader import TableReader
from dlcli.data.table_rows import TableRows
from dlcli.data.table_told import told
from dlcli.data.table_way import Way, way_of
from dlcli.data.tables import (
    bytes_told,
    check_same_columns,
    lacks_last_values,
    look_at,
    no_rows,
    parquet_told,
    parser,
    refuse_short_rows,
    strict,
)
from dlcli.errors import DataError

PART_BYTES = 8 * 2**20
"""so much of a file's text is parsed at a time"""
_SECONDS = 5.0  # between two words on how far it is
_SAMPLE = 2**18  # characters, by which it is told how long a row is
_SPOOLED = 1.5  # bytes on the disk for a byte of text, at most (numbers of few digits: 8 bytes for 2 to 5)


class _ChangedError(Exception):
    """A column has numbers in one part of a file, and texts in another."""

    def __init__(self, column: str) -> None:
        self.column = column


@dataclass(frozen=True)
class _Piece:
    """Where the values of some rows are in a spool: begin and size of each column."""

    rows: int
    places: dict[str, tuple[int, int]]


@dataclass
class _Kind:
    """What the values of a column are in all parts: "int", "float", "bool", "text" or another type of pandas's."""

    name: str = ""
    dtype: Any = None
    has_missing: bool = False

    def see(self, values: pd.Series, column: str) -> None:
        """Look at some more values. Raises _ChangedError."""
        self.has_missing = self.has_missing or bool(values.isna().any())
        found = _kind_of(values)
        if not found or found == self.name:
            return
        if {found, self.name} == {"int", "float"}:
            self.name = "float"
        elif self.name:
            raise _ChangedError(column)
        else:
            self.name = found
        self.dtype = values.dtype

    def as_read_at_once(self, values: pd.Series) -> pd.Series:
        """Some values of the type that all have together."""
        if self.name in ("", "float") or (self.name == "int" and self.has_missing):
            return values.astype(np.float64)
        if self.name == "bool":
            return values.astype(object if self.has_missing else bool)
        return values.astype(self.dtype)


def _kind_of(values: pd.Series) -> str:
    """The kind of some values; "" if all are missing."""
    if values.isna().all():
        return ""
    types = pd.api.types
    if types.is_bool_dtype(values) or types.infer_dtype(values, skipna=True) == "boolean":
        return "bool"
    if types.is_signed_integer_dtype(values):
        return "int"
    if types.is_numeric_dtype(values):
        return "float"
    return "text" if types.is_object_dtype(values) or types.is_string_dtype(values) else str(values.dtype)


@dataclass
class SpooledRows(TableRows):
    """Rows whose columns are on the disk, each of its own, part for part.

    Attributes:
        spool: the file.
        path: of the table, or of the first one.
        kinds: what the values of a column are; of the columns that are there.
    """

    names: tuple[str, ...]
    skipped: Skipped | None
    spool: Spool
    path: Path
    kinds: dict[str, _Kind]
    _pieces: list[_Piece] = field(default_factory=list)
    _kept: Array | None = None
    _numbers: frozenset[str] = frozenset()

    @property
    def kept_names(self) -> tuple[str, ...]:
        """See `TableRows.kept_names`."""
        return tuple(self.kinds)

    def __len__(self) -> int:
        return sum(piece.rows for piece in self._pieces) if self._kept is None else int(self._kept.sum())

    def add(self, frame: pd.DataFrame) -> None:
        """Take some more rows. Raises _ChangedError, or DataError if there is no room."""
        places = {}
        for name, kind in self.kinds.items():
            kind.see(frame[name], name)
            data = pickle.dumps(_compact(frame[name]), 5)
            places[name] = self.spool.append(data), len(data)
        self._pieces.append(_Piece(len(frame), places))

    def parts(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """See `TableRows.parts`."""
        first, given = 0, 0
        for piece in self._pieces:
            frame = pd.DataFrame({name: self._values(piece, name) for name in names})
            if self._kept is not None:
                frame = frame[self._kept[first : first + piece.rows]]
            first += piece.rows
            if not len(frame):
                continue
            frame.index = pd.RangeIndex(given, given + len(frame))
            given += len(frame)
            yield frame.assign(**{name: pd.to_numeric(frame[name]) for name in names if name in self._numbers})

    def _values(self, piece: _Piece, name: str) -> pd.Series:
        # Of a file that this process alone has written, and that has no name.
        values = _expanded(pickle.loads(self.spool.read(*piece.places[name])))
        return self.kinds[name].as_read_at_once(values)

    def whole(self, name: str) -> pd.Series:
        """See `TableRows.whole`; equal texts are there once."""
        parts = [part[name] for part in self.parts([name])]
        kind = parts[0].dtype
        if not (pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind)):
            return pd.concat(parts)
        different: dict[Any, Any] = {}
        values = np.concatenate(
            [np.asarray([different.setdefault(value, value) for value in part], object) for part in parts]
        )
        return pd.Series(values, dtype=kind)

    def only(self, kept: Array, numbers: Collection[str] = ()) -> Self:
        """See `TableRows.only`."""
        every = kept
        if self._kept is not None:
            every = self._kept.copy()
            every[self._kept] = kept
        return replace(self, _kept=every, _numbers=self._numbers | frozenset(numbers))

    def inputs(self, reader: TableReader, where: str) -> OneOrNamed[Array]:
        """See `TableRows.inputs`: what is read from other temporary files."""
        sizes = {name: reader.packed_size(name) for name in reader.inputs}
        needed = 4 * len(self) * sum(sizes.values())
        spools = {name: Spool(needed) for name in sizes}
        digests = {name: hashlib.blake2b(digest_size=16) for name in sizes}
        for part in self.parts(reader.columns):
            for name, packed in reader.pack(part, where).items():
                data = np.ascontiguousarray(packed).reshape(-1).view(np.uint8).data
                spools[name].append(data)
                digests[name].update(data)

        def rows(name: str) -> Any:
            digest = digests[name].hexdigest()
            stored = Spooled(self.path, name, (len(self), sizes[name]), np.dtype(np.int32), spools[name], digest)
            shape = (len(self), *reader.facts[name].shape)
            return InFile(stored, shape, reader.dtype_of(name), lambda packed, _: reader.unpack(name, packed))

        return one_or_named((name, rows(name)) for name in sizes)


def _compact(values: pd.Series) -> Any:
    """Values for a file: numbers as they are, all else by the different ones that there are."""
    if pd.api.types.is_numeric_dtype(values) and isinstance(values.dtype, np.dtype):
        return values.to_numpy()
    numbers, different = pd.factorize(values)
    return numbers.astype(np.min_scalar_type(-len(different) - 1)), different


def _expanded(stored: Any) -> pd.Series:
    if isinstance(stored, np.ndarray):
        return pd.Series(stored)
    numbers, different = stored
    return pd.Series(pd.api.extensions.take(different.array, numbers, allow_fill=True))


def spool_tables(
    paths: Sequence[Path],
    layout: Layout,
    texts: Collection[str],
    *,
    skips: bool,
    look: Callable[[pd.DataFrame], Sequence[str]],
    progressed: Callable[[str], None],
) -> SpooledRows:
    """The rows of all files, in order, on the disk.

    Args:
        paths: the files, which have the same columns.
        layout: how they are written.
        texts: the columns whose values stay as they are written, though they look like numbers.
        skips: whether rows that are corrupt are left out.
        look: gets the first rows, before all others are read, and says which columns are needed. It may raise
            DataError.
        progressed: is told how far this is, in a few words.

    Raises:
        DataError: as `dlcli.data.tables.read_tables`; or there is no room on the disk.
    """
    texts = set(texts)
    while True:
        skipped = Skipped() if skips else None
        try:
            return _spooled(paths, layout, texts, skipped, look, progressed)
        except _ChangedError as changed:
            if changed.column in texts:
                raise DataError(f"{paths[0]}: `{changed.column}` has values of different types.") from changed
            texts.add(changed.column)  # as all of it is where a file is read at once


def _spooled(
    paths: Sequence[Path],
    layout: Layout,
    texts: Collection[str],
    skipped: Skipped | None,
    look: Callable[[pd.DataFrame], Sequence[str]],
    progressed: Callable[[str], None],
) -> SpooledRows:
    every = ((path, part) for path in paths for part in _parts_of(path, layout, texts, skipped))
    path, first = next(every)
    kinds = {name: _Kind() for name in look(first)}
    rows = SpooledRows(tuple(first.columns), skipped, Spool(spooled_bytes(paths)), paths[0], kinds)
    rows.add(first)
    first, last_told = first.head(0), time.monotonic()
    for path, part in every:
        check_same_columns(path, part, paths[0], first)
        rows.add(part)
        if time.monotonic() - last_told > _SECONDS:
            last_told = time.monotonic()
            progressed(f"{len(rows):,} rows of {path.name} read")
    return rows


def _parts_of(path: Path, layout: Layout, texts: Collection[str], skipped: Skipped | None) -> Iterator[pd.DataFrame]:
    """The rows of a file, some megabytes at a time; there are some. Raises DataError."""
    is_parquet = path.suffix.lower() == ".parquet"
    made = _of_parquet(path, skipped) if is_parquet else _of_text(path, layout, texts, skipped)
    has_rows = False
    for part in made:
        if len(part):
            has_rows = True
            yield part
    if not has_rows:
        raise no_rows(path, skipped)


def _of_text(path: Path, layout: Layout, texts: Collection[str], skipped: Skipped | None) -> Iterator[pd.DataFrame]:
    if skipped is not None:
        with told(path, layout):
            way = way_of(path, layout)
            yield from _parsed(path, layout, way, texts, skipped)
        return
    rows, may_be_short = 0, False
    with told(path, layout), bytes_told(path, layout):
        way = way_of(path, layout)
        separators = look_at(path, layout, counts=first_rows(path, layout, way).lack_last)
        for part in _parsed(path, layout, way, texts, None):
            rows, may_be_short = rows + len(part), may_be_short or lacks_last_values(way, part)
            yield part
        if may_be_short:
            refuse_short_rows(path, layout, way, rows, separators)


def _parsed(
    path: Path, layout: Layout, way: Way, texts: Collection[str], skipped: Skipped | None
) -> Iterator[pd.DataFrame]:
    with open_text(path, layout, errors="replace") as file:
        sample = file.read(_SAMPLE)
    size = max(1, PART_BYTES * max(1, sample.count("\n")) // max(1, len(sample)))
    with parser(path, layout, way, texts, skipped, low_memory=False) as parsed:
        while True:
            try:
                with strict():
                    part = parsed.get_chunk(size)
            except StopIteration:
                return
            yield part


def _of_parquet(path: Path, skipped: Skipped | None) -> Iterator[pd.DataFrame]:
    with parquet_told(path):
        from pyarrow import Table  # type: ignore[import-not-found,unused-ignore]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-not-found,unused-ignore]

        with ParquetFile(path) as file:
            if skipped is not None:
                skipped.has_rows(path, file.metadata.num_rows)
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            rows = max(1, PART_BYTES * file.metadata.num_rows // max(1, size))
            for batch in file.iter_batches(batch_size=rows):
                part = Table.from_batches([batch]).to_pandas()
                part.columns = [str(name) for name in part.columns]
                yield part


def text_bytes(paths: Sequence[Path]) -> int:
    """How many bytes of text files have, about: more than their size, where they are compressed."""
    packed = {".gz": 5, ".parquet": 4}
    return sum(path.stat().st_size * packed.get(path.suffix.lower(), 1) for path in paths)


def spooled_bytes(paths: Sequence[Path]) -> int:
    """How many bytes on the disk the columns of files take, about."""
    return int(_SPOOLED * text_bytes(paths))
