"""Reading tables: what their bytes tell before they are parsed changes nothing in what comes of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from dlcli.data import table_scan, tables
from dlcli.data.table_layout import Layout
from dlcli.data.table_scan import Separator, scan
from dlcli.data.tables import read_tables
from dlcli.errors import DataError
from dlcli.spec.sources_files import MISSING


def layout(*, header: bool = True, missing: tuple[str, ...] = MISSING) -> Layout:
    return Layout(header, None, None, ".", "utf-8", missing)


def write(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.zip"])
@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n-nan,3\n1.#IND,-4\n",
        "a,b\n-1.5,2\n-NaN,3\n-1.#QNAN,\n",
        'a,"b, c"\n"x, y",\n"z",""\n',
        "a,b\r\n1,\r\n\r\n2,x\r\n",
        "n#N,b\n-1,2\n1,\n",
        "\n  \na,b\n1,2\n",
        "a,b\n" + "1,2\n" * 60 + "-nan,3\nx,1.#IND\n",
        "a,b\n" + "-1.5,2\n" * 60 + "-nan,-NaN\n",
        "a,b\nx,NA\n" + "1,true\n" * 60 + "-1.#IND,True\n",
        "a,b\ntrue,  \n" + "False,1\n" * 60 + "yes,-nan\n",
        'a,b\n"1,5",2\n' + f'"{"x" * 200_000}",3\n',
    ],
)
def test_it_is_what_pandas_reads(text: str, name: str, tmp_path: Path) -> None:
    ours = read_tables([write(tmp_path, text, name)], layout())
    theirs = pd.read_csv(write(tmp_path, text.lstrip(), "theirs.csv"), na_values=list(MISSING), keep_default_na=False)
    pd.testing.assert_frame_equal(ours, theirs)


def test_a_number_that_stands_for_missing_is_one_however_it_is_written(tmp_path: Path) -> None:
    frame = read_tables([write(tmp_path, "a,b\n100000,1\n2,-9\n")], layout(missing=("1e5", "-9.0")))
    assert frame.isna().to_numpy().tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a,b\n1,2\n3\n", 3), ('"a,b",c\n1,\n3\n', 3), ('a,b\n"1,1",2\n"3,3"\n', 3), ('a,b\n"1","2"\n"3"\n', 3)],
)
def test_rows_that_are_too_short_are_found(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"line {line} has 1 value, but there are 2 columns"):
        read_tables([write(tmp_path, text)], layout())


@pytest.mark.parametrize("missing", ["", "NA"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_values_that_are_missing_at_the_end_cost_no_second_parse(
    quote: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "open_text", pytest.fail)
    path = write(tmp_path, "a,b\n" + f"{quote}x, y{quote},{missing}\n".replace(", y", ", y" if quote else "") * 9)
    assert read_tables([path], layout())["b"].isna().all()


@pytest.mark.parametrize("mapped", [1, 2**22])
@pytest.mark.parametrize("size", [1, 2, 7, 2**18])
def test_separators_are_counted_outside_quotes(
    size: int, mapped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_scan, "_BLOCK", size)
    monkeypatch.setattr(table_scan, "_MAPPED", mapped)
    monkeypatch.setattr(table_scan, "cores", lambda: 3)
    for name in ("t.csv", "t.csv.gz"):
        path = write(tmp_path, 'a,"b,c"\n"1,\n,""2",3\n4,5\n', name)
        assert scan(path, Separator(",", has_quotes=True)) == 3
        assert scan(path, Separator(",", has_quotes=False)) == 6
        assert scan(path, None) is None
        with pytest.raises(DataError, match="line 3, has a byte of 0"):
            scan(write(tmp_path, "a,b\n1,2\n3,\0\n4,5\n", name), None)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,\0\n", "a\0,b\n1,2\n", "a,b\n1,2,3,4\n\0", 'a,b\n1,"\n\0\n', "a,b\n1,\n3\n\0", "a\n1\n2\n\0003\n",
        *("a,b\n" + "1,2\n" * 50 + f"{value}\0,2\n" for value in ("x", "1", "1.5", "NA", "", "inf")),
        *("a,b\n" + f"1,{value}\n" * 50 + f"1,{value}\0\n" for value in ("true", "False", "")),
    ],
)  # fmt: skip
def test_a_byte_of_0_is_told_whatever_else_is_wrong(text: str, tmp_path: Path) -> None:
    line = text[: text.index("\0")].count("\n") + 1
    with pytest.raises(DataError, match=f"line {line}, has a byte of 0"):
        read_tables([write(tmp_path, text)], layout())
