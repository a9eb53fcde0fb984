"""The files of a table in Python, read with pandas as `dlcli.data.tables` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlcli.data.finding import find_all
from dlcli.data.table_reading import layout_of
from dlcli.data.table_way import columns_of, separator_of
from dlcli.spec.sources_files import MISSING, Table


def read_code(name: str, paths: Sequence[str], source: Table, folder: str | None) -> str:
    """The statement that reads files. Raises DataError if one cannot be looked into."""
    calls = [_call(file, source) for file in _files(paths, folder)]
    return f"{name} = {calls[0]}" if len(calls) == 1 else f"{name} = pd.concat([{', '.join(calls)}], ignore_index=True)"


def _files(paths: Sequence[str], folder: str | None) -> list[str]:
    """The files themselves, where a path stands for several."""
    written = [path if folder is None else f"{folder}/{path}" for path in paths]
    if not any(sign in path for path in written for sign in "*?["):
        return written
    return [str(path) for path in find_all(paths, [Path(folder or "")])]


def _call(file: str, source: Table) -> str:
    if file.endswith(".parquet"):
        return f"pd.read_parquet({file!r})"
    is_tabbed = ".tsv" in file or ".tab" in file
    separator, names = source.separator or ("\t" if is_tabbed else ","), source.header
    if Path(file).exists():
        separator = separator_of(Path(file), layout_of(source))
    if names is False:
        names = tuple(str(number) for number in range(1, columns_of(Path(file), layout_of(source)) + 1))
    given = {
        "sep": separator if separator != "," else None,
        "names": list(names) if isinstance(names, tuple) else None,
        "decimal": source.decimal if source.decimal != "." else None,
        "encoding": source.encoding if source.encoding != "utf-8" else None,
        "na_values": "?" if source.missing == MISSING else list(source.missing),
    }
    options = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    if source.missing != MISSING:
        options.append("keep_default_na=False")
    if source.quotes is False or (source.quotes is None and is_tabbed):
        options.append("quoting=3")
    return f"pd.read_csv({', '.join([repr(file), *options])})"
