"""Series: which rows a window has, what it is to tell, what is held out, and that forecasts see the same numbers."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.dataset import Dataset
from dlcli.data.loading import load_data
from dlcli.data.splits import Splits
from dlcli.data.where import Where
from dlcli.errors import DataError
from tests.config_headers import read_header
from tests.conftest import CONFIGS, DATA_DIR, Command, known_spec, run_quietly, shipped_catalogue, thorough
from tests.killing import compare, outcome
from tests.test_csv import data_of_script
from tests.test_resume import Stops

pd = pytest.importorskip("pandas")
needs_data = pytest.mark.skipif(not DATA_DIR, reason="DLCLI_DATA_DIR does not say where the tables are")
VALUES = [round(10 + (i * 7) % 13 + i / 10, 1) for i in range(60)]
DAYS = [str(date(2024, 1, 1) + timedelta(days=i)) for i in range(60)]
GOOD = "day,wind,warmth\n" + "".join(f"{DAYS[i]},{i % 5}.5,{VALUES[i]}\n" for i in range(60))
SPEC = """
name: weather
seed: 1
dataset:
  source: {series: {path: t.csv, target: warmth, time: day, length: 4}}
  validation: 0.25
  batch_size: 8
model:
  layers: [Flatten, Dropout: {rate: 0.1}, Dense: {units: 1}]
loss: mean_squared_error
metrics: [mean_absolute_error]
train: {epochs: 3}
"""


def write(folder: Path, table: str | None = GOOD, spec: str = SPEC) -> Path:
    folder.mkdir(exist_ok=True)
    if table is not None:
        (folder / "t.csv").write_text(table, encoding="utf-8")
    path = folder / "weather.yaml"
    path.write_text(spec, encoding="utf-8")
    return path


def with_source(more: str, spec: str = SPEC) -> str:
    return spec.replace("length: 4", more if "length" in more else f"length: 4, {more}")


def data_of(folder: Path, table: str = GOOD, more: str = "", spec: str = SPEC) -> tuple[Dataset, Splits, list[str]]:
    """The data of a spec, split; and what is told of it."""
    from dlcli.spec.loading import load_spec

    loaded = load_spec(write(folder, table, with_source(more, spec) if more else spec), shipped_catalogue())
    told: list[str] = []
    dataset, splits = load_data(loaded, Where(None, False, told.append))
    return dataset, splits, told


def inputs_of(dataset: Dataset) -> Any:
    return dataset.train.inputs


class TestWindows:
    def test_each_has_the_rows_before_what_it_is_to_tell(self, tmp_path: Path) -> None:
        dataset, splits, _ = data_of(tmp_path, more="features: warmth")
        # Of 60 rows 12 are for testing and, of the other 48, 12 for validation; the first target is row 4.
        assert [len(splits.named(name)) for name in splits.names] == [32, 12, 12]
        known = np.asarray(VALUES[:36])
        scaled = (np.asarray(VALUES) - known.mean()) / known.std()
        expected = np.stack([scaled[first : first + 4] for first in range(56)])[..., None]
        np.testing.assert_allclose(inputs_of(dataset), expected, atol=1e-6)
        assert inputs_of(dataset).dtype == np.float32
        np.testing.assert_allclose(dataset.train.targets, VALUES[4:], rtol=1e-6)
        parts = [splits.named(name).indices for name in ("train", "validation", "test")]
        assert np.concatenate(parts).tolist() == list(range(56))  # in the order of time

    def test_horizon_and_stride(self, tmp_path: Path) -> None:
        dataset, splits, _ = data_of(tmp_path, more="horizon: 3, stride: 5")
        np.testing.assert_allclose(dataset.train.targets, VALUES[6::5], rtol=1e-6)
        assert inputs_of(dataset).shape == (11, 4, 2)
        assert [len(splits.named(name)) for name in splits.names] == [6, 3, 2]  # targets before 36, 48 and the end

    def test_the_test_rows_do_not_depend_on_the_window(self, tmp_path: Path) -> None:
        for number, more in enumerate(("length: 2", "length: 20", "horizon: 9")):
            dataset, splits, _ = data_of(tmp_path / str(number), more=more)
            np.testing.assert_allclose(np.asarray(dataset.train.targets)[splits.named("test").indices], VALUES[48:])

    def test_none_has_rows_of_two_series(self, tmp_path: Path) -> None:
        rows = [f"{day},{place},{value + offset}" for day, value in zip(DAYS, VALUES, strict=True)
                for place, offset in (("b", 0), ("a", 1000))]  # fmt: skip
        table = "\n".join(["day,place,warmth", *rows, "2024-03-01,c,5", ""])
        dataset, splits, told = data_of(tmp_path, table, "group: place")
        highest = inputs_of(dataset)[..., 0].max(axis=1)
        lowest = inputs_of(dataset)[..., 0].min(axis=1)
        assert (np.sign(highest) == np.sign(lowest)).all()  # the mean is between the two series
        assert len(dataset.train) == 2 * 56
        # One moment divides both: each series has as many test rows.
        test = np.asarray(dataset.train.targets)[splits.named("test").indices]
        np.testing.assert_allclose(test, [*(v + 1000 for v in VALUES[48:]), *VALUES[48:]])
        assert told[-1] == (
            "1 of 3 series have less than 5 rows, which a window and its target need, and are left out."
        )

    def test_series_without_times_are_each_divided(self, tmp_path: Path) -> None:
        table = "place,warmth\n" + "".join(f"b,{value}\na,{value}\n" for value in VALUES)
        spec = SPEC.replace("time: day", "group: place")
        dataset, splits, _ = data_of(tmp_path, table, spec=spec)
        assert [len(splits.named(name)) for name in splits.names] == [64, 24, 24]
        np.testing.assert_allclose(np.asarray(dataset.train.targets)[splits.named("test").indices], VALUES[48:] * 2)

    def test_rows_are_put_in_order(self, tmp_path: Path) -> None:
        header, *rows = GOOD.splitlines()
        mixed = "\n".join([header, *(rows[(i * 7) % 60] for i in range(60)), ""])
        plain, mixed_up = data_of(tmp_path / "a")[0], data_of(tmp_path / "b", mixed)[0]
        assert plain.fingerprint == mixed_up.fingerprint

    def test_times_of_any_kind(self, tmp_path: Path) -> None:
        fingerprints = set()
        offsets = [f"{day}T12:00:00{'+01:00' if i % 2 else '+02:00'}" for i, day in enumerate(DAYS)]
        for number, times in enumerate((DAYS, [str(i) for i in range(60)], [f"{i / 4}" for i in range(60)], offsets)):
            table = GOOD
            for day, time in zip(DAYS, times, strict=True):
                table = table.replace(day, time)
            fingerprints.add(data_of(tmp_path / str(number), table)[0].fingerprint)
        assert len(fingerprints) == 1

    def test_times_and_series_go_in_only_where_that_is_said(self, tmp_path: Path) -> None:
        assert data_of(tmp_path)[0].feature_names == ("wind", "warmth")
        names = data_of(tmp_path, more="features: [warmth, day]")[0].feature_names
        assert names == ("warmth", *(f"day {part}" for part in ("year", "month", "day", "day of week", "day of year")))

    def test_no_column_is_fitted_to_what_is_held_out(self, tmp_path: Path) -> None:
        lines = GOOD.splitlines()
        changed = "\n".join([*lines[:40], *(f"{line}9" for line in lines[40:]), ""])
        plain, other = data_of(tmp_path / "a")[0], data_of(tmp_path / "b", changed)[0]
        assert plain.reader is not None
        assert other.reader is not None
        assert plain.reader.state() == other.reader.state()
        assert plain.fingerprint != other.fingerprint

    def test_missing_values_are_the_mean_and_say_so(self, tmp_path: Path) -> None:
        lines = GOOD.splitlines()
        lines[11] = lines[11].rsplit(",", 1)[0] + ","
        dataset, splits, told = data_of(tmp_path, "\n".join([*lines, ""]), "features: warmth")
        assert dataset.feature_names == ("warmth", "warmth missing")
        assert inputs_of(dataset)[6, 3].tolist() == [0.0, 1.0]  # the window that ends with it; that before is left out
        assert "The row to be told has no `warmth` for 1 of 56 windows: they are left out." in told
        assert len(splits.train) == 31
        assert np.isfinite(np.asarray(dataset.train.targets)).all()

    def test_gaps_are_told(self, tmp_path: Path) -> None:
        lines = GOOD.splitlines()
        _, _, told = data_of(tmp_path, "\n".join([*lines[:11], *lines[13:31], *lines[32:], ""]))
        assert told == [
            "The times in `day` are a day apart, but for 2 gaps, the first after 2024-01-10: to a window the rows "
            "before and after it are neighbours."
        ]

    def test_times_without_a_step_have_no_gaps(self, tmp_path: Path) -> None:
        months = [f"{2000 + i // 12}-{i % 12 + 1:02d}-01" for i in range(60)]
        table = GOOD
        for day, month in zip(DAYS, months, strict=True):
            table = table.replace(day, month)
        assert data_of(tmp_path, table)[2] == []

    def test_a_target_that_grows_goes_in_all_the_same(self, tmp_path: Path) -> None:
        table = "day,warmth\n" + "".join(f"{day},{i}\n" for i, day in enumerate(DAYS))
        assert data_of(tmp_path, table)[0].feature_names == ("warmth",)

    def test_no_test_set(self, tmp_path: Path) -> None:
        _, splits, _ = data_of(tmp_path, spec=SPEC.replace("validation: 0.25", "test: 0"))
        assert splits.names == ("train",)
        assert len(splits.train) == 56


BAD: dict[str, tuple[str, str, str]] = {
    "shorter than a window": (GOOD, with_source("length: 60"), "has 60 rows, but a window of 60 with its target 1"),
    "horizon beyond the end": (GOOD, with_source("horizon: 57"), "with its target 57 later needs 61"),
    "series shorter than a window": (GOOD, with_source("length: 20, group: wind"), "the longest series has 12 rows"),
    "too long for training": (GOOD, with_source("length: 36"), "among the 36 rows to train on"),
    "stride beyond a split": (GOOD, with_source("stride: 40"), "its target among the rows of the test split"),
    "no rows held out": (GOOD, SPEC.replace("0.25", "0.001"), "of 48 examples of series leaves none for validation"),
    "no time": (GOOD.replace(DAYS[2], ""), SPEC, "column `day`: row 3 has no time"),
    "unparsable time": (GOOD.replace(DAYS[2], "yesterday"), SPEC, "row 3 has `yesterday`, which is no time"),
    "ambiguous time": (GOOD.replace(DAYS[2], "03/04/2024"), SPEC, "row 3 has `03/04/2024`, which is no time"),
    "no such day": (GOOD.replace(DAYS[2], "2024-02-31"), SPEC, "row 3 has `2024-02-31`, which is no time"),
    "missing time": (GOOD, SPEC.replace("time: day", "time: hour"), "has no column `hour`"),
    "repeated time": (GOOD.replace(DAYS[2], DAYS[7]), SPEC, "2024-01-08 is there twice, in the rows 3 and 8"),
    "repeated in a series": (GOOD.replace(DAYS[2], DAYS[7]), with_source("group: wind"), "2.5 2024-01-08 is there"),
    "no series": (GOOD.replace("2.5", "", 1), with_source("group: wind"), "row 3 has no value"),
    "constant target": (re.sub(r",[\d.]+\n", ",3\n", GOOD), SPEC, "`warmth` is 3 in every row"),
    "constant in training": ("\n".join(["day,warmth", *(f"{day},{max(i, 40)}" for i, day in enumerate(DAYS)), ""]),
                             SPEC, "`warmth` is the same in all 36 rows to train on"),
    "a class that comes late": (
        "day,wind,sky\n" + "".join(f"{DAYS[i]},{i},{'snow' if i > 49 else i % 2}\n" for i in range(60)),
        SPEC.replace("warmth", "sky").replace("units: 1", "units: 3").replace("mean_squared", "sparse_categorical")
            .replace("error\nmetrics: [mean_absolute_error", "crossentropy\nmetrics: [accuracy"),
        "rows of the test split have classes that no row to train on has: `snow` (10)."),
    "no target anywhere": (re.sub(r",[\d.]+\n", ",\n", GOOD), SPEC, "no row has a value of `warmth`"),
    "missing target": (GOOD.replace("warmth", "heat"), SPEC, "has no column `warmth`"),
    "missing feature": (GOOD, with_source("features: [wnid]"), "Did you mean `wind`?"),
    "missing group": (GOOD, with_source("group: place"), "has no column `place`"),
    "out of order": (GOOD.replace(DAYS[2], "2024-12-31"), SPEC.replace("time: day, ", ""),
                     "not in order of `day`: row 4 is earlier than the one before"),
    "text in a window": (GOOD, with_source("columns: {wind: text}"), "`wind` (text) cannot be a part of a window"),
    "nothing goes in": (GOOD, with_source("columns: {wind: skip, warmth: skip}"), "no column is left to go in"),
    "word among numbers": (GOOD.replace("2.5", "two", 1), SPEC, "has numbers, but for 1 of"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_told_at_their_place(dlcli: Command, tmp_path: Path, name: str) -> None:
    table, spec, message = BAD[name]
    done = dlcli("check", write(tmp_path, table, spec))
    assert done.code == 3, done.err
    flat = " ".join(f"{done.out} {done.err}".split())
    assert message in flat
    assert "Traceback" not in flat
    assert "weather.yaml:5:" in flat  # where the source is written


def test_windows_that_memory_has_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.data.windows.machine_memory", lambda: 2000)
    with pytest.raises(DataError, match="56 windows of 4 rows with 2 numbers each take") as told:
        data_of(tmp_path)
    assert "stride" in str(told.value.hint)


@pytest.mark.parametrize("more", ["length: 0", "horizon: 0", "stride: -1", "features: []", "lenght: 3"])
def test_mistakes_in_the_source_are_the_spec_s(dlcli: Command, tmp_path: Path, more: str) -> None:
    assert dlcli("check", write(tmp_path, spec=with_source(more))).code == 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, its checkpoint moved elsewhere, and a table; they are only read."""
    folder = tmp_path_factory.mktemp("series")
    assert run_quietly("train", write(folder), "--runs-dir", folder / "runs", "-q") == 0
    shutil.copy(folder / "runs/weather/latest/checkpoints/best.h5", folder / "moved.h5")
    return folder


def test_forecasts_of_files_are_those_of_the_split(dlcli: Command, trained: Path, tmp_path: Path) -> None:
    split = dlcli("predict", trained / "runs/weather", "--split", "test", "--json").json
    assert [row["true"] for row in split] == pytest.approx(VALUES[48:])
    header, *rows = GOOD.splitlines()
    (tmp_path / "new.csv").write_text("\n".join([header, *reversed(rows[44:]), ""]))  # in any order
    shutil.copy(trained / "moved.h5", tmp_path / "moved.h5")
    done = dlcli("predict", tmp_path / "moved.h5", tmp_path / "new.csv", "--json")
    assert done.code == 0, done.err
    assert [row["input"] for row in done.json] == [*(f"new.csv[{day}]" for day in DAYS[48:]), "new.csv[2024-02-29 +1]"]
    forecasts = [row["prediction"] for row in done.json]
    assert forecasts[:-1] == pytest.approx([row["prediction"] for row in split], abs=1e-6)


def test_the_figures_are_those_of_the_forecasts(dlcli: Command, trained: Path) -> None:
    rows = dlcli("predict", trained / "runs/weather", "--split", "test", "--json").json
    error = np.mean([abs(row["prediction"] - row["true"]) for row in rows])
    figures = dlcli("evaluate", trained / "runs/weather", "--split", "test", "--json").json
    assert figures["metrics"]["mean_absolute_error"] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("day,wind,warmth\n2024-01-01,1,2\n2024-01-02,1,2\n", "has 2 rows, but a window needs 4"),
        ("wind,warmth\n" + "1,2\n" * 9, "has no column `day`"),
        ("day,wind,warmth\n" + "2024-01-01,1,2\n" * 9, "2024-01-01 is there twice, in the rows 1 and 2"),
        (GOOD.replace("2.5", "much", 1), "row 3 has `much`"),
    ],
)
def test_bad_rows_to_predict_are_told(dlcli: Command, trained: Path, tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "new.csv").write_text(table)
    done = dlcli("predict", trained / "moved.h5", tmp_path / "new.csv")
    assert done.code == 3
    assert message in " ".join(done.err.split())


def test_each_series_of_a_file_is_forecast_as_far_as_the_horizon(dlcli: Command, tmp_path: Path) -> None:
    rows = [f"{place},{value}" for place in ("b", "a") for value in VALUES]
    table = "\n".join(["place,warmth", *rows, ""])
    source = "target: warmth, group: place, length: 4, horizon: 2, stride: 3"
    spec = write(tmp_path, table, SPEC.replace("target: warmth, time: day, length: 4", source))
    end = json.loads(dlcli("train", spec, "--runs-dir", tmp_path, "--json").out.splitlines()[-1])
    test = len(VALUES) - len(VALUES) // 5
    change = np.mean([abs(VALUES[row] - VALUES[row - 2]) for row in range(test, len(VALUES)) if (row - 5) % 3 == 0])
    assert end["last_value"]["mean_absolute_error"] == pytest.approx(change, rel=1e-5)
    best = min(end["last_value"]["mean_absolute_error"], end["trivial"]["mean_absolute_error"])
    assert end["gain"]["mean_absolute_error"] == best - end["metrics"]["test"]["mean_absolute_error"]
    new = "\n".join(["place,warmth", *(f"c,{value}" for value in VALUES[:6]), *(f"d,{v}" for v in VALUES[:2]), ""])
    (tmp_path / "new.csv").write_text(new)
    rows = dlcli("predict", tmp_path / "weather", tmp_path / "new.csv", "--json").json
    assert [row["input"] for row in rows] == ["new.csv[c 5]", "new.csv[c 5 +1]", "new.csv[c 5 +2]"]


def test_classes_and_numbers_are_forecast_together(dlcli: Command, tmp_path: Path) -> None:
    table = "day,sky,warmth\n" + "".join(f"{DAYS[i]},{'grey' if i % 3 else 'blue'},{VALUES[i]}\n" for i in range(60))
    spec = """
name: weather
dataset:
  source: {series: {path: t.csv, target: [sky, warmth], time: day, length: 4}}
model:
  layers:
    - {Flatten: {}, name: read}
    - {Dense: {units: 2, activation: softmax}, inputs: read, name: sky}
    - {Dense: {units: 1}, inputs: read, name: warmth}
loss: {sky: sparse_categorical_crossentropy, warmth: mean_squared_error}
"""
    path = write(tmp_path, table, spec)
    assert run_quietly("train", path, "--runs-dir", tmp_path, "-q") == 0
    split = dlcli("predict", tmp_path / "weather", "--split", "test", "--json").json
    files = dlcli("predict", tmp_path / "weather", tmp_path / "t.csv", "--json").json
    assert [row["true_sky"] for row in split] == ["grey" if i % 3 else "blue" for i in range(48, 60)]
    assert [row["warmth"] for row in files[-13:-1]] == pytest.approx([row["warmth"] for row in split], abs=1e-6)
    assert "How classes of a series come from a table cannot be written" in dlcli("code", path).err


OF_PLACES = "place,warmth\n" + "".join(f"b,{value}\na,{value + 3}\n" for value in VALUES)
SCRIPTS = {
    "plain": (GOOD, SPEC),
    "horizon, stride, a date that goes in": (GOOD, with_source("horizon: 2, stride: 3, features: [day, warmth]")),
    "missing values": (GOOD.replace(",2.5,", ",,").replace(f",{VALUES[9]}\n", ",\n"), SPEC),
    "series without times": (OF_PLACES, SPEC.replace("time: day", "group: place")),
    "series with times": (GOOD.replace(",4.5,", ",3.5,"), with_source("group: wind")),
    "validation alone": (GOOD, SPEC.replace("validation: 0.25", "validation: 0.25\n  test: 0")),
    "in order already": (GOOD, SPEC.replace("time: day, ", "")),
    "nothing held out": (GOOD, SPEC.replace("validation: 0.25", "test: 0")),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_prepares_the_same_numbers(dlcli: Command, tmp_path: Path, name: str) -> None:
    table, spec = SCRIPTS[name]
    path = write(tmp_path, table, spec)
    done = dlcli("code", path)
    assert done.code == 0, done.err
    script = data_of_script(done.out, tmp_path)
    dataset, splits = known_spec(path).data[0]
    for split, letter in (("train", "train"), ("validation", "val"), ("test", "test")):
        if split not in splits.names:
            assert f"x_{letter}" not in script
            continue
        rows = splits.named(split).indices
        np.testing.assert_allclose(script[f"x_{letter}"], dataset.train.inputs[rows], atol=1e-5)
        np.testing.assert_array_equal(np.ravel(script[f"y_{letter}"]), dataset.train.targets[rows])


@thorough
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stops = Stops(monkeypatch)
    runs = {name: tmp_path / name / "weather/one" for name in ("whole", "parts")}
    for name, looks, code in (("whole", None, 0), ("parts", 4, 143)):
        stops.after(looks)
        run = [write(tmp_path / name), "--runs-dir", tmp_path / name, "--run-name", "one", "-q"]
        assert run_quietly("train", *run) == code
    stops.after(None)
    assert run_quietly("train", "--resume", runs["parts"], "-q") == 0
    assert not compare(outcome(runs["whole"]), outcome(runs["parts"]))


def test_the_sizes_that_warnings_know_are_those_of_the_splits(tmp_path: Path) -> None:
    from dlcli.data.looking import look
    from dlcli.spec.lints.sizes import split_sizes
    from dlcli.spec.loading import load_spec

    loaded = load_spec(write(tmp_path, spec=with_source("length: 20")), shipped_catalogue())
    assert split_sizes(look(loaded, Where(None, False, lambda text: None)).spec.dataset) == (16, 12, 12)


@needs_data
def test_the_header_says_what_as_yesterday_would_score(tmp_path: Path) -> None:
    from dlcli.spec.loading import load_spec

    config = CONFIGS / "temperatures.yaml"
    dataset, splits = load_data(load_spec(config, shipped_catalogue()), Where(None, False, lambda text: None))
    warmth = pd.read_csv(Path(str(DATA_DIR)) / "daily_min_temperatures.csv")["Temp"].to_numpy()
    test = splits.named("test").indices
    np.testing.assert_allclose(np.asarray(dataset.train.targets)[test], warmth[-730:], rtol=1e-6)
    yesterday = np.abs(np.diff(warmth))[-730:].mean()
    assert f"as yesterday: {yesterday:.2f}" in read_header(config).fields["Expected"]


@needs_data
@pytest.mark.slow
@thorough
def test_temperatures_are_forecast_better_than_as_yesterday(tmp_path: Path) -> None:
    assert run_quietly("train", CONFIGS / "temperatures.yaml", "--runs-dir", tmp_path, "-q") == 0
    metrics = json.loads((tmp_path / "temperatures/latest/metrics.json").read_text())
    assert metrics["test"]["mean_absolute_error"] < 1.8  # as yesterday: 1.95, for the same rows
