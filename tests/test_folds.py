"""Cross-validation: which rows each fold holds out, and that its run is like any other, to the bit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.splits import Splits, split_dataset
from dlcli.errors import DataError
from dlcli.figures import number
from dlcli.runs import RunFolder
from dlcli.spec.held_out import Fold
from dlcli.training import trainer
from dlcli.training.diverging import DivergenceError
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, known_spec, run_quietly, thorough
from tests.killing import compare, outcome
from tests.test_data_splits import dataset_of
from tests.test_report import Page

TABLE = """
name: folded
seed: 5
dataset:
  source: {csv: {path: t.csv, target: kindMORE}}
  folds: 3
  batch_size: 16
model:
  layers: [Dense: {units: 4, activation: relu}, Dropout: {rate: 0.2}, Dense: {units: 2, activation: softmax}]
loss: sparse_categorical_crossentropy
optimizer: {Adam: {learning_rate: 0.01}}
metrics: [accuracy]
train: {epochs: 2}
"""
ROWS = 100


def write(folder: Path, more: str = "", **replaced: str) -> Path:
    """A spec with a table, whose column `a` numbers the rows in some order."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    numbers = rng.permutation(ROWS)
    lines = [
        f"{number}.5,{rng.normal():.3f},{'xyz'[number % 3]},{'rare' if number % 5 == 0 else 'usual'},g{number // 7},"
        f"2024-01-{1 + number // 4:02}"
        for number in numbers
    ]
    (folder / "t.csv").write_text("a,b,c,kind,group,day\n" + "\n".join(lines), encoding="utf-8")
    text = TABLE.replace("MORE", more)
    for word, value in replaced.items():
        assert word in text
        text = text.replace(word, value)
    path = folder / "folded.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def splits_of(spec: Path, fold: int) -> Splits:
    """The rows of a fold, without TensorFlow."""
    text = spec.read_text(encoding="utf-8").replace("  folds: 3", f"  folds: 3\n  fold: {fold}")
    path = spec.parent / f"fold{fold}.yaml"
    path.write_text(text, encoding="utf-8")
    [(_, splits)] = known_spec(path).data
    return splits  # type: ignore[no-any-return]


def held_out(splits: Splits) -> set[int]:
    assert splits.validation is not None
    return set(splits.validation.indices.tolist())


@pytest.mark.parametrize("counts", [[60, 40, 23], [50]], ids=["classes", "numbers"])
def test_each_training_row_is_held_out_once(counts: list[int]) -> None:
    dataset = dataset_of(counts, regression=len(counts) == 1)
    parts = [split_dataset(dataset, validation=None, test=0.1, seed=3, fold=Fold(number, 5)) for number in range(1, 6)]
    assert len({tuple(part.named("test").indices) for part in parts}) == 1
    rows = np.concatenate([part.named("validation").indices for part in parts])
    training = np.sort(np.concatenate([parts[0].train.indices, parts[0].named("validation").indices]))
    np.testing.assert_array_equal(np.sort(rows), training)
    for part in parts:
        assert not held_out(part) & set(part.train.indices)
        assert (np.diff(part.train.indices) > 0).all()
        if len(counts) > 1:
            each = np.bincount(dataset.train.targets[part.named("validation").indices])
            np.testing.assert_allclose(each / each.sum(), np.array(counts) / sum(counts), atol=0.05)
    again = split_dataset(dataset, validation=None, test=0.1, seed=3, fold=Fold(2, 5))
    other = split_dataset(dataset, validation=None, test=0.1, seed=4, fold=Fold(2, 5))
    assert held_out(again) == held_out(parts[1]) != held_out(other)


@pytest.mark.parametrize(
    ("counts", "folds", "message"),
    [([60, 4, 40], 5, "each class at least, but b has 4"), ([3], 5, "There are 3 examples .* and 5 folds")],
)
def test_too_many_folds(counts: list[int], folds: int, message: str) -> None:
    dataset = dataset_of(counts, regression=len(counts) == 1)
    with pytest.raises(DataError, match=message) as caught:
        split_dataset(dataset, validation=None, test=0.0, seed=0, fold=Fold(1, folds))
    assert caught.value.hint


def test_groups_stay_together(tmp_path: Path) -> None:
    spec = write(tmp_path, ", group: group")
    groups = [line.split(",")[4] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    parts = [splits_of(spec, fold) for fold in (1, 2, 3)]
    assert len(set.union(*map(held_out, parts))) == sum(len(held_out(part)) for part in parts)
    for part in parts:
        outside = {groups[row] for split in (part.train, part.named("test")) for row in split.indices}
        assert not {groups[row] for row in held_out(part)} & outside
        assert 20 <= len(held_out(part)) <= 34
    with pytest.raises(DataError, match=r"12 different values of `group` to train on .* and 30 folds"):
        known_spec(write(tmp_path, ", group: group", **{"folds: 3": "folds: 30"}))


def test_times_go_on(tmp_path: Path) -> None:
    spec = write(tmp_path, ", time: day")
    days = [line.split(",")[5] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    parts = [splits_of(spec, fold) for fold in (1, 2, 3)]
    for part in parts:
        train, validation, test = ([days[row] for row in part.named(name).indices] for name in part.names)
        assert max(train) < min(validation) <= max(validation) < min(test)
    assert [len(part.train) for part in parts] == [20, 40, 60]
    assert len(set.union(*map(held_out, parts))) == sum(len(held_out(part)) for part in parts) == 60
    with pytest.raises(DataError, match=r"20 different times cannot be divided into 25 folds, and a part before them"):
        known_spec(write(tmp_path, ", time: day", **{"folds: 3": "folds: 25"}))


def test_windows_of_a_series_go_on(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("v\n" + "\n".join(f"{i * 37 % 100}.5" for i in range(100)), encoding="utf-8")
    spec = write(tmp_path, **{"{csv: {path: t.csv, target: kind}}": "{series: {path: s.csv, target: v, length: 3}}"})
    spec.write_text(
        spec.read_text().replace("metrics: [accuracy]", "").replace("sparse_categorical_crossentropy", "mse")
    )
    parts = [splits_of(spec, fold) for fold in (1, 2, 3)]
    assert [(len(part.train), len(part.named("validation")), len(part.named("test"))) for part in parts] == [
        (17, 20, 20), (37, 20, 20), (57, 20, 20)
    ]  # fmt: skip
    for part in parts:
        assert part.train.indices.max() < min(held_out(part)) < part.named("test").indices.min()


def test_a_column_of_splits_is_divided_further(tmp_path: Path) -> None:
    spec = write(tmp_path, ", split: group")
    table = tmp_path / "t.csv"
    text = table.read_text()
    for group in range(15):
        text = text.replace(f",g{group},", ",test," if group % 5 == 0 else ",train,")
    table.write_text(text)
    parts = [splits_of(spec, fold) for fold in (1, 2, 3)]
    assert len({tuple(part.named("test").indices) for part in parts}) == 1
    assert sum(len(held_out(part)) for part in parts) == ROWS - len(parts[0].named("test"))
    table.write_text(text.replace(",test,", ",validation,"))
    assert run_quietly("check", "--static", spec) == 0
    assert run_quietly("data", spec) == 2


def test_columns_are_fitted_to_what_the_fold_trains_on(tmp_path: Path) -> None:
    spec = write(tmp_path, **{"target: kind": "target: kind, features: [a]"})
    values = np.array([float(line.split(",")[0]) for line in (tmp_path / "t.csv").read_text().splitlines()[1:]])
    for fold in (1, 2, 3):
        splits = splits_of(spec, fold)
        inputs = splits.train.examples.inputs
        assert np.asarray(inputs)[splits.train.indices].mean() == pytest.approx(0.0, abs=1e-5)
        scaled = (values - values[splits.train.indices].mean()) / values[splits.train.indices].std()
        np.testing.assert_allclose(np.asarray(inputs)[:, 0], scaled, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three folds of a table; it is only looked at, and copied."""
    spec = write(tmp_path_factory.mktemp("folds") / "a")
    reads = 0
    from dlcli.data import table_reading

    read_tables = table_reading.read_tables

    def counted(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        return read_tables(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_reading, "read_tables", counted)
        assert run_quietly("train", spec, "--runs-dir", spec.parent, "--run-name", "one", "-q") == 0
    assert reads == 1
    return spec.parent / "folded" / "one"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_for_each_fold(whole: Path, dlcli: Command) -> None:
    record, metrics = read_json(whole / "run.json"), read_json(whole / "metrics.json")
    assert (record["state"], record["folds"]) == ("done", 3)
    assert (whole.parent / "latest").resolve() == whole.resolve()
    assert [one.path.name for one in RunFolder(whole).folds] == ["fold-1", "fold-2", "fold-3"]
    for split in ("train", "validation", "test"):
        values = [read_json(one.path / "metrics.json")[split]["accuracy"] for one in RunFolder(whole).folds]
        assert values == [fold[split]["accuracy"] for fold in metrics["folds"]]
        assert metrics["mean"][split]["accuracy"] == pytest.approx(np.mean(values))
        assert metrics["standard_deviation"][split]["accuracy"] == pytest.approx(np.std(values, ddof=1))
    states = [read_json(one.path / "run.json") for one in RunFolder(whole).folds]
    assert [state["data"]["examples"]["validation"] for state in states] == [27, 27, 26]
    done = dlcli("evaluate", whole / "fold-2", "--split", "validation", "--json")
    assert done.json["metrics"] == pytest.approx(metrics["folds"][1]["validation"], abs=1e-6)
    for command in ("predict", "summary", "code"):
        more = ("--split", "test") if command == "predict" else ()
        refused = dlcli(command, whole.parent, *more)
        assert refused.code == 4
        assert "fold-1, fold-2, fold-3" in refused.err
        assert dlcli(command, whole / "fold-3", *more).code == 0


def test_a_page_on_all_folds_says_what_their_files_say(whole: Path, tmp_path: Path, dlcli: Command) -> None:
    done = dlcli("report", whole, "-o", tmp_path / "page", "--json")
    assert [finding["kind"] for finding in done.json["findings"]] == ["even"]
    page = Page(Path(done.json["page"]).read_text(encoding="utf-8"))
    page.assert_whole()
    without = [read_json(one.path / "run.json")["without_model"] for one in RunFolder(whole).folds]
    assert number(float(np.mean([one["trivial"]["accuracy"] for one in without]))) in page.text
    assert f"measured on {without[0]['split']}" in page.text
    metrics = read_json(whole / "metrics.json")
    known = {
        f"{part}.{split}.{name}": value
        for part in ("mean", "standard_deviation")
        for split, figures in metrics[part].items()
        for name, value in figures.items()
    }
    known |= {
        f"folds.{at}.validation.{name}": value
        for at, fold in enumerate(metrics["folds"], start=1)
        for name, value in fold["validation"].items()
    }
    assert {key: value for key, value, _ in page.figures} == known
    assert all(shown == number(value) for _, value, shown in page.figures)
    assert str(whole / "fold-1") in page.text
    assert {path.stem for path in (tmp_path / "page").glob("*.png")} == {
        "loss", "accuracy", "loss_by_fold", "accuracy_by_fold"
    }  # fmt: skip


def test_one_fold_alone_is_the_one_of_the_whole(whole: Path) -> None:
    spec = whole.parent.parent / "folded.yaml"
    runs = ["--runs-dir", spec.parent, "--run-name", "alone", "-q"]
    assert run_quietly("train", spec, "--fold", 2, *runs) == 0
    assert not compare(outcome(whole / "fold-2"), outcome(whole.parent / "alone"))


def test_a_stopped_run_of_folds_comes_to_the_same_bits(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write(tmp_path / "b")
    run = spec.parent / "folded" / "one"
    monkeypatch.setattr(StopRequest, "is_asked", property(lambda stop: (run / "fold-2" / "history.csv").exists()))
    assert run_quietly("train", spec, "--runs-dir", spec.parent, "--run-name", "one", "-q") == 143
    states = [read_json(folder / "run.json")["state"] for folder in (run, run / "fold-1", run / "fold-2")]
    assert states == ["interrupted", "done", "interrupted"]
    assert not (run / "fold-3").exists()
    monkeypatch.undo()
    assert run_quietly("train", spec, "--resume", "auto", "--runs-dir", spec.parent, "-q") == 0
    assert read_json(run / "run.json")["state"] == "done"
    assert read_json(run / "metrics.json") == read_json(whole / "metrics.json")
    for fold in ("fold-1", "fold-2", "fold-3"):
        assert not compare(outcome(whole / fold), outcome(run / fold))


@thorough
def test_a_fold_that_fails_is_told_and_the_others_are_trained(
    tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write(tmp_path)
    looked = 0

    def check_finite(steps: int, logs: Any) -> None:
        nonlocal looked
        looked += 1
        if looked == 1:
            raise DivergenceError(steps, float("nan"))

    monkeypatch.setattr(trainer, "check_finite", check_finite)
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "--epochs", 1, "--json", "--report")
    assert done.code == 4
    assert "Fold 1 of 3 failed: The loss is no number (NaN)" in done.err
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["fold"] for event in events if event["event"] == "end"] == [2, 3]
    assert any(event["event"] == "notice" and event["title"] == "fold 1 failed" for event in events)
    run = tmp_path / "folded" / "one"
    metrics = read_json(run / "metrics.json")
    assert events[-2] == {"event": "folds", "run": str(run), **metrics}
    [finding] = events[-1]["findings"]
    assert finding["evidence"] == [f"Fold 1: {metrics['folds'][0]['error']}"]
    text = Path(events[-1]["page"]).read_text(encoding="utf-8")
    ways = re.findall(r'<a href="([^"]*)"', text)
    assert ways == ["../fold-2/report/report.html", "../fold-3/report/report.html"]
    assert all((run / "report" / way).exists() for way in ways)
    assert "The loss is no number" in metrics["folds"][0]["error"]
    values = [fold["validation"]["loss"] for fold in metrics["folds"][1:]]
    assert metrics["mean"]["validation"]["loss"] == pytest.approx(np.mean(values))
    assert read_json(run / "run.json")["state"] == "failed"
    assert run_quietly("train", "--resume", run, "-q") == 0
    assert read_json(run / "run.json")["state"] == "done"
    assert read_json(run / "metrics.json")["folds"][1:] == metrics["folds"][1:]
    for words, said in (
        (("--epochs", "+2"), "several folds, each with epochs of its own"),
        (("--fold", 4), "has not begun"),
    ):
        refused = dlcli("train", "--resume", run, *words)
        assert refused.code == 2
        assert said in " ".join(refused.err.split())


@pytest.mark.parametrize("is_series", [False, True], ids=["a table", "a series"])
def test_a_script_holds_out_the_same(tmp_path: Path, dlcli: Command, is_series: bool) -> None:
    spec = write(tmp_path)
    if is_series:
        (tmp_path / "s.csv").write_text("v\n" + "\n".join(f"{i * 37 % 100}.5" for i in range(100)), encoding="utf-8")
        text = spec.read_text().replace(
            "{csv: {path: t.csv, target: kind}}", "{series: {path: s.csv, target: v, length: 3}}"
        )
        text = text.replace("metrics: [accuracy]", "").replace("sparse_categorical_crossentropy", "mse")
        spec.write_text(
            text.replace("units: 2, activation: softmax", "units: 1").replace(
                "model:\n  layers: [", "model:\n  layers: [Flatten, "
            )
        )
    refused = dlcli("code", spec)
    assert refused.code == 2
    assert "trains for each of 3 folds; a script trains for one" in refused.err
    done = dlcli("code", spec, "--fold", 2)
    assert done.code == 0, done.err
    found: dict[str, Any] = {}
    exec(done.out.split("\nmodel = ")[0].split("\ninputs = ")[0], found)
    splits = splits_of(spec, 2)
    for letter, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        split = splits.named(name)
        np.testing.assert_allclose(
            found[f"x_{letter}"], np.asarray(split.examples.inputs)[split.indices], rtol=1e-5, atol=1e-6
        )


def test_sizes_of_folds(tmp_path: Path, dlcli: Command) -> None:
    spec = write(tmp_path)
    found = dlcli("data", spec, "--json").json
    assert [one["validation"] for one in found["folds"]] == [27, 27, 26]
    assert [one["train"] for one in found["folds"]] == [53, 53, 54]
    alone = dlcli("data", spec, "--fold", 3, "--json").json
    assert alone["folds"] == []
    assert alone["splits"] == found["folds"][2]
    assert "fold 3" in dlcli("data", spec).out
