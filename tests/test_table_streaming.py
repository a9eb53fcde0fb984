"""Tables that are larger than the memory: the numbers of those in memory, in little of it, and resumed exactly."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from dlcli.data import spool, streaming, table_reading, table_spool  # noqa: E402
from dlcli.data.dataset import named  # noqa: E402
from dlcli.data.stored import InFile  # noqa: E402
from dlcli.errors import DataError  # noqa: E402
from dlcli.training.stopping import StopRequest  # noqa: E402
from tests.conftest import Command, known_spec, run_quietly, thorough  # noqa: E402
from tests.killing import compare, outcome  # noqa: E402
from tests.test_csv import GOOD, MANY_KINDS, OF_MANY_KINDS, SPEC, for_numbers, write  # noqa: E402


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a few lines are several."""
    monkeypatch.setattr(table_spool, "PART_BYTES", 400)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """For temporary files: nothing may be left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert not list(folder.iterdir())


def streamed(spec: str, stream: str = "true", more: str = "") -> str:
    if "{path: t.csv" in spec:
        return spec.replace("{path: t.csv", f"{{path: t.csv, stream: {stream}{more}")
    return spec.replace("path: t.csv", f"path: t.csv\n      stream: {stream}")


def loaded(folder: Path, table: str | bytes | None, spec: str) -> tuple[Any, Any]:
    data: tuple[Any, Any] = known_spec(write(folder, table, spec)).data[0]
    return data


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    (held, held_splits), (streamed_, splits) = one, other
    assert held_splits.names == splits.names
    for name in splits.names:
        assert np.array_equal(held_splits.named(name).indices, splits.named(name).indices)
    assert streamed_.train.windows is not None
    assert held.train.windows is None
    for examples, others in ((held.train, streamed_.train), (held.test, streamed_.test)):
        if examples is None:
            continue
        for name, inputs in named(examples.inputs).items():
            rows = named(others.inputs)[name]
            assert isinstance(rows, InFile)
            assert (rows.shape, rows.dtype) == (inputs.shape, inputs.dtype)
            np.testing.assert_allclose(rows[:], inputs, rtol=1e-6, atol=1e-6)
        for name, targets in named(examples.targets).items():
            assert np.array_equal(named(others.targets)[name], targets)
        assert np.array_equal(examples.weights, others.weights) or examples.weights is None
    states = [json.dumps({**one.reader.state(), "windows": None}) for one in (held, streamed_)]
    assert_near(*map(json.loads, states))


def assert_near(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_near(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for value, another in zip(one, other, strict=True):
            assert_near(value, another)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6)
    else:
        assert one == other


# A column that is a number in its first half only; others that are missing, or true, or false, in some parts.
ODD = "a,b,c,flag,late,kind\n" + "".join(
    f"{i if i < 60 else f'x{i % 3}'},{i % 4 if i % 50 else ''},{i * 1.5 + (i % 7) / 3},"
    f"{['True', 'False', ''][i % 3 if i > 50 else i % 2]},{'' if i < 70 else 'no' if i % 2 else 'yes'},"
    f"{'cat' if i % 2 else 'dog'}\n"
    for i in range(100)
)
DIVIDED = "size,colour,kind,who,set,day,heavy\n" + "".join(
    f"{i % 7 + 0.5},{'red' if i % 3 else 'blue'},{'cat' if i % 2 else 'dog' if i % 9 else ''},{i // 4},"
    f"{['train', 'Train', 'val', 'test'][i % 4]},2024-{i % 12 + 1:02d}-{i % 5 + 1:02d},{i % 3 / 2}\n"
    for i in range(60)
)
SAME = {
    "many kinds": (MANY_KINDS, OF_MANY_KINDS),
    "types that change": (ODD, SPEC.replace("target: kind", "target: kind, columns: {a: category}")),
    "a number for each target": (GOOD.replace("cat", "2.5").replace("dog", "1"), for_numbers()),
    "own preparation": (MANY_KINDS, OF_MANY_KINDS.replace("validation: 0.2", "validation: 0.2\n  preparation: []")),
    "split": (DIVIDED, SPEC.replace("kind}", "kind, split: set}").replace("  validation: 0.2\n", "")),
    "group": (DIVIDED, SPEC.replace("kind}", "kind, group: who, features: [size, colour]}")),
    "time and weight": (DIVIDED, SPEC.replace("kind}", "kind, time: day, weight: heavy, features: [size, colour]}")),
}


@pytest.mark.parametrize("name", SAME)
def test_streamed_tables_become_the_numbers_of_those_in_memory(name: str, tmp_path: Path) -> None:
    table, spec = SAME[name]
    both = [loaded(tmp_path / stream, table, streamed(spec, stream)) for stream in ("false", "true")]
    assert_same(*both)


def test_several_files_packed_ones_and_test_sets_are_streamed(tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    (tmp_path / "a1.csv").write_text("\n".join(lines[:20]))
    (tmp_path / "a2.csv.gz").write_bytes(gzip.compress("\n".join([lines[0], *lines[20:]]).encode()))
    (tmp_path / "u.csv").write_text("size,colour,kind\n1,red,dog\n2,green,cat\n3,blue,cat\n")
    spec = SPEC.replace("path: t.csv", "path: 'a*', test_path: u.csv, stream: %s")
    assert_same(*(loaded(tmp_path, None, spec % stream) for stream in ("false", "true")))


@thorough
def test_the_memory_does_not_grow_with_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_spool, "PART_BYTES", 2**16)
    generator = np.random.default_rng(0)
    columns = {f"x{number}": generator.normal(size=16_000) for number in range(12)}
    frame = pd.DataFrame({**columns, "colour": generator.choice(["red", "blue", "green"], 16_000)})
    frame = frame.assign(kind=np.where(frame.x0 > 0, "yes", "no"))
    loaded(tmp_path / "before", GOOD, streamed(SPEC))  # what is imported or read once does not count
    more = {}
    for stream in ("true", "false"):
        peaks = []
        for rows in (4_000, 16_000):
            frame[:rows].to_csv(tmp_path / "t.csv", index=False)
            spec = write(tmp_path, None, streamed(SPEC, stream))
            tracemalloc.start()
            known_spec(spec)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        more[stream] = (peaks[1] - peaks[0]) / 12_000
    assert more["false"] > 100  # bytes a row: 14 columns, and 15 numbers that are made of them
    assert more["true"] < 50


def test_a_table_that_does_not_fit_stays_on_the_disk(
    tmp_path: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command
) -> None:
    monkeypatch.setattr(streaming, "available_memory", lambda: 1000)
    done = dlcli("check", write(tmp_path))
    assert done.code == 0
    told = " ".join(done.err.split())
    assert "In memory the table would take" in told
    assert f"What goes in stays in temporary files in {own_folder}, which are gone at the end." in told
    monkeypatch.setattr(table_spool, "_SPOOLED", 10**15)
    done = dlcli("check", write(tmp_path))
    assert done.code == 3
    assert "are free there" in done.out


def test_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    for name in ("TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(DataError, match="no folder for temporary files"):
        spool.folder()


@pytest.mark.parametrize("stopped_at", [4])
def test_a_stopped_run_comes_to_the_same_bits_and_can_be_evaluated(
    stopped_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command
) -> None:
    monkeypatch.setattr(streaming, "RUN_BYTES", 48)
    monkeypatch.setattr(streaming, "WINDOW_BYTES", 256)
    lines = GOOD.splitlines()
    table = "\n".join([*lines[:20], "two,red,cat", "1,red", *lines[20:]]) + "\n"
    spec = write(tmp_path, table, streamed(SPEC, more=", corrupt: skip"))
    looks, stop = 0, 10**9

    def is_asked(request: StopRequest) -> bool:
        nonlocal looks
        looks += 1
        return looks >= stop

    monkeypatch.setattr(StopRequest, "is_asked", property(is_asked))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "--run-name", "whole", "-q") == 0
    looks, stop = 0, stopped_at
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "--run-name", "stopped", "-q") == 143
    stop = 10**9
    monkeypatch.setattr(streaming, "WINDOW_BYTES", 10**9)
    monkeypatch.setattr(table_spool, "PART_BYTES", 10**6)
    assert run_quietly("train", "--resume", tmp_path / "pets" / "stopped", "-q") == 0
    assert not compare(outcome(tmp_path / "pets" / "whole"), outcome(tmp_path / "pets" / "stopped"))

    recorded = json.loads((tmp_path / "pets/whole/metrics.json").read_text())["test"]
    done = dlcli("evaluate", tmp_path / "pets" / "whole", "--json")
    assert done.json["metrics"] == pytest.approx(recorded, abs=1e-6)
    assert "2 of 42 rows are corrupt and are left out" in done.err
    checkpoint = tmp_path / "moved.h5"
    shutil.copy(tmp_path / "pets/whole/checkpoints/best.h5", checkpoint)
    (tmp_path / "new.csv").write_text(GOOD)
    assert len(dlcli("predict", checkpoint, tmp_path / "new.csv", "--json").json) == 40
    # Each row of a file to predict for has an answer, so that none is left out.
    done = dlcli("predict", checkpoint, tmp_path / "t.csv")
    assert done.code == 3
    assert "line 22 has 2 values" in done.err
    told = dlcli("data", spec).out
    assert "0.5 to 6.5" in told
    done = dlcli("code", spec)
    assert done.code == 2
    assert "How corrupt rows of a table are left out" in done.err


def lines_with(*lines: str) -> str:
    every = GOOD.splitlines()
    return "\n".join([*every[:10], *lines, *every[10:]]) + "\n"


CORRUPT: dict[str, tuple[str | bytes, str, int]] = {
    "nothing": (GOOD, "", 40),
    "longer and shorter rows": (
        lines_with("1,2,3,4", "", "1,red"),
        "2 of 42 rows are corrupt and are left out: t.csv line 11 has 4 values, but there are 3 columns; t.csv line 13",
        40,
    ),
    "words among numbers": (
        lines_with("two,red,cat", "inf,red,dog", "nan,red,dog"),
        "t.csv line 11 has `two` for `size`, which is no finite number; t.csv line 12 has `inf`",
        41,
    ),
    "wrong bytes": (
        lines_with("1,gr\xfcn,cat").encode("latin-1"),
        "1 of 41 rows is corrupt and is left out: t.csv line 11 has bytes that are no characters.",
        40,
    ),
    "bytes of 0": (lines_with("1,r\0d,cat"), "line 11 has a byte of 0", 40),
    "lines in quotes": (lines_with('1.5,"re\nd",cat', "1"), "t.csv line 13 has 1 value, but", 41),
    "a quote too many": (lines_with('1.5,"re', "d,cat", 'a"'), "t.csv line 11 to 13 has 2 values", 40),
}


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize("name", CORRUPT)
def test_corrupt_rows_are_left_out_and_told(
    name: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, message, left = CORRUPT[name]
    dataset, splits = loaded(tmp_path, table, streamed(SPEC, stream, ", corrupt: skip"))
    told = capsys.readouterr().out
    assert message in told
    assert ("left out" in told) == bool(message)
    assert sum(len(splits.named(each)) for each in splits.names) == len(dataset.train) == left
    assert dataset.reader.checked == {"size": "number"}


@pytest.mark.parametrize("stream", ["false", "true"])
@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        ("a,b,kind\n1,2\n2,3\n", "", "has no row that is sound: 2 of 2 rows"),
        (GOOD.replace(".5", "x"), ", columns: {size: number}", "no row is sound. 40 of 40 rows are corrupt"),
        (lines_with('1,"red,cat'), "", "line 11: a quote begins there that does not end"),
    ],
)
def test_what_cannot_be_left_out_is_an_error(stream: str, table: str, more: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        loaded(tmp_path, table, streamed(SPEC, stream, f", corrupt: skip{more}"))


def test_rows_that_are_left_out_of_series_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = pd.date_range("2024-01-01", periods=80)
    table = "day,warm\n" + "".join(
        f"{day.date()},{'?x' if number == 30 else number % 7}\n" for number, day in enumerate(days)
    )
    spec = for_numbers().replace("csv: {path: t.csv, target: kind}", "series: {path: t.csv, target: warm, %s}")
    spec = spec.replace("layers: [", "layers: [Flatten, ")
    loaded(tmp_path, table, spec % "time: day, length: 4, corrupt: skip")
    told = capsys.readouterr().out
    assert (
        "1 of 80 rows is corrupt and is left out: t.csv line 32 has `?x` for `warm`, which is no finite number." in told
    )
    assert "The times in `day` are a day apart, but for a gap after 2024-01-30" in told
    loaded(tmp_path, table, spec % "features: warm, length: 4, corrupt: skip")
    assert "To a window the rows before and after one that is left out are neighbours." in capsys.readouterr().out


def test_memory_for_a_table_is_guessed_by_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x" * 1000)
    (tmp_path / "a.csv.gz").write_bytes(b"x" * 1000)
    assert table_reading.held_bytes([tmp_path / "a.csv"]) < table_reading.held_bytes([tmp_path / "a.csv.gz"])
