"""Tables that are bad in some way that is not that of `tests/test_csv.py`: each is told, with its place and what to do.

They are read as `dlcli check` reads them, but without a network.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from dlcli.data.columns import as_texts  # noqa: E402
from dlcli.errors import DataError, SpecError  # noqa: E402
from tests.conftest import Command, known_spec  # noqa: E402
from tests.test_csv import GOOD, SPEC, for_numbers, with_source, write  # noqa: E402

PACKED = gzip.compress(GOOD.encode())
GZ = SPEC.replace("t.csv", "t.csv.gz")
DATES = "day,x,kind\n" + "".join(f"2024-02-{i % 28 + 1:02d},{i % 5}.5,{'ab'[i % 2]}\n" for i in range(40))
LATE = "size,kind,set\n" + "".join(f"{i % 3}.5,{'ab'[i % 2]},train\n" for i in range(8)) + "0.5,c,test\n1.5,c,test\n"
NUMBERS = "size,kind\n" + "".join(f"{i % 7}.5,{i}.0\n" for i in range(40))

BAD: dict[str, tuple[str | bytes | None, str, str]] = {
    "byte of 0": (GOOD.replace("2.5", "2\0.5", 1), SPEC, r"t.csv, line 4, has a byte of 0"),
    "only bytes of 0": (b"\0" * 999, SPEC, "line 1, has a byte of 0"),
    "a block of 0 at the end": (GOOD.encode() + b"\0" * 512, SPEC, "line 42, has a byte of 0"),
    "utf-16": (GOOD.encode("utf-16"), SPEC, "line 1, has a byte of 0, which is no text"),
    "utf-8 as utf-16": (GOOD, with_source("encoding: utf-16"), "is not written in utf-16"),
    "bytes in a row": (GOOD.replace("red", "rød").encode("latin-1"), SPEC, "t.csv, line 3 is not written in utf-8"),
    "bytes in a name": (GOOD.replace("colour", "größe").encode("latin-1"), SPEC, "line 1 is not written in utf-8"),
    "gz that is truncated": (PACKED[:-20], GZ, "ended before the end"),
    "gz that is damaged": (PACKED[:30] + b"xx" + PACKED[32:], GZ, "t.csv.gz cannot be read"),
    "gz that is none": (GOOD, GZ, "Not a gzipped file"),
    "packed under another name": (PACKED, SPEC, "is packed with gzip, not a table as text"),
    "workbook": (b"PK\x03\x04" + b"abc\n" * 20, SPEC, "is an archive, such as .zip or .xlsx"),
    "parquet under another name": (b"PAR1" + b"abc\n" * 20, SPEC, "is a table in .parquet"),
    "parquet that is none": (GOOD, SPEC.replace("t.csv", "t.parquet"), "is no table in .parquet|pyarrow is needed"),
    "device": (None, SPEC.replace("t.csv", "/dev/null"), "is no file that can be read more than once"),
    "packed twice": (gzip.compress(PACKED), GZ, "is packed with gzip, not a table"),
    "packed with zstd": (b"(\xb5/\xfd" + b"abc,\n" * 20, SPEC, "is packed with zstd, not a table"),
    "JSON": ('[{"size": 1, "kind": "a"}]\n', SPEC, "is JSON, not a table as text"),
    "pointer": ("version https://git-lfs.github.com/spec/v1\nsize 12\n", SPEC, "is a pointer to a file of Git LFS"),
    "a line above the names": ("sep=;\n" + GOOD.replace(",", ";"), SPEC, "more values than there are names"),
    "page of a web site": ("<html>\n<body>404</body>\n</html>\n", SPEC, "is a page of the web, not a table as text"),
    "names again": (GOOD + GOOD, SPEC, "row 41 has the names of the columns again"),
    "a target of blanks": (GOOD.replace("cat", "  ").replace("dog", " "), SPEC, "the same `kind`, a blank: there is"),
    "thousands": (GOOD.replace("2.5", '"1,234.5"'), SPEC, "has numbers, but for"),
    "decimal commas": (GOOD.replace(",", ";").replace(".", ","), SPEC, "`size` has numbers with commas, such as `0,5`"),
    "impossible date": (DATES.replace("02-07", "02-30", 1), SPEC, "row 7 has `2024-02-30`, which is no date"),
    "quote that is never closed": (GOOD.replace("2.5,red", '2.5,"red', 1), SPEC, "line 4: a quote begins there"),
    "quote in the first line": ('"size,colour,kind\n1,2,3\n', SPEC, "line 1: a quote begins there"),
    "one value in a row": (GOOD + "1\n", SPEC, "line 42 has 1 value, but there are 3 columns"),
    "too large for float32": (GOOD.replace("2.5", "1e39"), SPEC, "not a finite number in float32"),
    "target too large for float32": (GOOD.replace("cat", "1e300").replace("dog", "1"), for_numbers(), "in float32"),
    "one row": ("size,kind\n1,a\n", SPEC, "every row has the same `kind`"),
    "fewer rows than classes": ("a,kind\n" + "".join(f"{i}.5,{i % 9}\n" for i in range(9)), SPEC, "needs at least 2"),
    "another separator": (GOOD, with_source("separator: ';'"), "has no column `kind`"),
    "weight below 0": (GOOD.replace("2.5", "-2"), with_source("weight: size"), "which is no weight"),
    "weight that is missing": (GOOD.replace("2.5,", ",", 2), with_source("weight: size"), "which is no weight"),
    "weights that are words": (GOOD.replace(".5,", "x,"), with_source("weight: size"), "row 1 has `0x`, which is no w"),
    "split that is missing": ("size,kind,set\n1,a,train\n2,b,\n", with_source("split: set"), "row 2 has no value"),
    "a class that is only tested on": (LATE, with_source("split: set"), r"no row to train on has: `c` \(2\)"),
    "one class in training": (LATE.replace("b,", "a,"), with_source("split: set"), "class a in all 6 rows to train on"),
    "one number in training": (
        re.sub("[ab],", "4,", LATE).replace("c", "5"), for_numbers(with_source("split: set")), "is 4 in all 6 rows to",
    ),
    "a number that is none": (
        NUMBERS.replace("7.0", "seven"), for_numbers(), "`mean_squared_error` compares numbers, but `kind` has `seven`",
    ),
    "identifiers as classes": (NUMBERS.replace(".0", "%"), SPEC, r"0% has 1, 1% has 1, .* and 35 more have as few"),
    "texts without a word": (
        "note,kind\n" + ",a\n,b\n" * 20, with_source("columns: {note: text}"), "`note` has no word in any row",
    ),
    "target as group": (GOOD, with_source("group: kind"), "all have the same `kind`"),
    "all columns skipped": (GOOD, with_source("columns: {size: skip, colour: skip}"), "no column is left to go in"),
    "named twice": (GOOD, SPEC.replace("path: t.csv", "path: [t.csv, t.csv]"), "is named twice"),
    "trained and tested on": (GOOD, with_source("test_path: t.csv"), "both to train and to test on"),
    "another table": (GOOD, SPEC.replace("path: t.csv", "path: [t.csv, u.csv]"), "u.csv has the columns a, b, but"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_told(name: str, tmp_path: Path) -> None:
    table, spec, message = BAD[name]
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    file = next((each for each in ("t.csv.gz", "t.parquet") if each in spec), "t.csv")
    with pytest.raises(DataError, match=message) as told:
        known_spec(write(tmp_path, table, spec, file))
    assert told.value.exit_code == 3


@pytest.mark.parametrize(("old", "new"), [(",", "  "), ("\n", '"\n"')])
def test_lines_that_are_taken_for_one_value_are_told(old: str, new: str, tmp_path: Path) -> None:
    table = GOOD.replace(old, new)
    with pytest.raises(DataError, match="has no column `kind`") as told:
        known_spec(write(tmp_path, f'"{table[:-1]}' if '"' in table else table))
    assert "is taken for one name: say what stands between" in (told.value.hint or "")


def test_a_long_message_has_the_exit_code_of_data_as_well(tmp_path: Path, dlcli: Command) -> None:
    names = [f"{number:03d}{'x' * 90}" for number in range(40)]
    table = "size,kind\n" + "".join(f"{i % 7}.5,{name}\n" for i, name in enumerate(names))
    assert dlcli("check", write(tmp_path, table)).code == 3


def test_a_target_is_a_number_or_a_category(tmp_path: Path) -> None:
    for kind in ("skip", "date", "text", "index"):
        with pytest.raises(SpecError, match="which is a number or a category"):
            known_spec(write(tmp_path, GOOD, with_source(f"columns: {{kind: {kind}}}")))


def test_dates_of_two_meanings_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = DATES.replace("2024-02-", "01/04/20")
    dataset, _ = known_spec(write(tmp_path, table)).data[0]
    assert dataset.feature_names == ("x",)
    assert "dates such as `01/04/2001` can be read in two ways" in capsys.readouterr().out


def test_numbers_that_are_said_to_be_texts_are_read_as_written(tmp_path: Path) -> None:
    dataset, _ = known_spec(write(tmp_path, GOOD, with_source("inputs: {a: size}, columns: {size: text}"))).data[0]
    assert sorted(dataset.reader.inputs["a"][0].words) == ["05", "15", "25", "35", "45", "55", "65"]


def test_a_value_that_is_missing_is_none_of_zero() -> None:
    assert as_texts(pd.Series([0.0, np.nan, 2.5])).tolist() == ["0", "", "2.5"]
