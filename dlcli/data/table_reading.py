"""How the files of a source of tables are read: into memory or onto the disk, with or without rows that are corrupt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dlcli.data.corrupt_rows import without_corrupt
from dlcli.data.skipping import Checks, Skipped
from dlcli.data.table_layout import Layout
from dlcli.data.table_reader import TableReader
from dlcli.data.table_rows import HeldRows, TableRows
from dlcli.data.table_spool import spool_tables, text_bytes
from dlcli.data.tables import read_tables
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.sources_files import Table

_HELD = 9  # bytes of memory for a byte of text: 9.4 GB for 1.06 GB of numbers, categories and dates (pandas 3.1.1)


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        layout: how they are written.
        skips: whether rows that are corrupt are left out.
        stays: whether rows stay on the disk.
        where: who is told what a person must know.
    """

    layout: Layout
    skips: bool
    stays: bool
    where: Where

    def rows(
        self,
        paths: Sequence[Path],
        texts: Collection[str],
        needed: Callable[[pd.DataFrame], Sequence[str]],
        checks: Checks,
    ) -> tuple[TableRows, dict[str, str]]:
        """The rows of all files; and by which columns it was told which are sound, if others are left out.

        Args:
            paths: the files, which have the same columns.
            texts: the columns whose values stay as they are written, though they look like numbers.
            needed: gets rows, and says which columns are needed; it may raise DataError.
            checks: what is known of the columns.

        Raises:
            DataError: a file cannot be read.
        """
        rows: TableRows
        if self.stays:
            told = self.where.progressed
            rows = spool_tables(paths, self.layout, texts, skips=self.skips, look=needed, progressed=told)
        else:
            skipped = Skipped() if self.skips else None
            try:
                frame = read_tables(paths, self.layout, texts, skipped)
            except MemoryError as error:
                message = f"There is not enough memory for {paths[0]}."
                raise DataError(message, "With `stream: true` it stays on the disk.") from error
            needed(frame)
            rows = HeldRows(frame, skipped)
        rows, checked = without_corrupt(rows, checks, str(paths[0]))
        if rows.skipped is not None and rows.skipped.count:
            self.where.notify(rows.skipped.told(len(rows)))
        return rows, checked

    def again(self, paths: Sequence[Path], reader: TableReader, besides: Sequence[str] = ()) -> TableRows:
        """The rows of files with the columns that a reader knows, and `besides` these. Raises DataError."""
        return self.rows(paths, reader.texts, lambda frame: reader.needed(frame, paths[0], besides), reader.checks)[0]


def layout_of(source: Table) -> Layout:
    """How a source's tables are written."""
    return Layout(source.header, source.separator, source.quotes, source.decimal, source.encoding, source.missing)


def held_bytes(paths: Sequence[Path]) -> int:
    """How many bytes of memory files take, about, while they are read and made numbers."""
    return _HELD * text_bytes(paths)
