"""`--set` and the options that stand above a spec's own values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import Problem, SpecError
from dlcli.spec.loading import LoadedSpec, load_spec
from dlcli.spec.overrides import option, parse_override
from tests.conftest import shipped_catalogue

BASE = """\
name: base
dataset:
  source: xor
model:
  layers:
    - Dense: {units: 8}
    - Dropout: {rate: 0.2}
    - Dense: {units: 4, activation: relu}
      name: middle
    - Dense: {units: 1}
loss: mse
optimizer: Adam
metrics: [mae]
train:
  epochs: 3
  callbacks:
    - EarlyStopping: {monitor: loss}
"""


def load(folder: Path, *sets: str, text: str = BASE) -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, shipped_catalogue(), [parse_override(written) for written in sets])


def refused(folder: Path, *sets: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load(folder, *sets)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("written", "path", "value"),
    [
        ("train.epochs=7", ("train", "epochs"), 7),
        ("seed=5", ("seed",), 5),
        ("dataset.batch_size=2", ("dataset", "batch_size"), 2),
        ("loss=mean_absolute_error", ("loss",), "mean_absolute_error"),
        ("loss={Huber: {delta: 0.5}}", ("loss",), {"Huber": {"delta": 0.5}}),
        ("optimizer.learning_rate=1e-2", ("optimizer", "Adam", "learning_rate"), 0.01),
        ("optimizer.Adam.learning_rate=1e-2", ("optimizer", "Adam", "learning_rate"), 0.01),
        ("optimizer.learning_rate={CosineDecay: {initial_learning_rate: 0.1, decay_steps: 9}}",
         ("optimizer", "Adam", "learning_rate", "CosineDecay", "decay_steps"), 9),
        ("dataset.source.noise=0.5", ("dataset", "source", "xor", "noise"), 0.5),
        ("model.layers.0.units=5", ("model", "layers", 0, "Dense", "units"), 5),
        ("model.layers.0.Dense.units=5", ("model", "layers", 0, "Dense", "units"), 5),
        ("model.layers.-1.units=5", ("model", "layers", 3, "Dense", "units"), 5),
        ("model.layers.middle.units=5", ("model", "layers", 2, "Dense", "units"), 5),
        ("model.layers.middle.name=centre", ("model", "layers", 2, "name"), "centre"),
        ("model.layers.Dropout.rate=0.4", ("model", "layers", 1, "Dropout", "rate"), 0.4),
        ("model.layers.0={Dense: {units: 9}}", ("model", "layers", 0, "Dense", "units"), 9),
        ("metrics=[mse, mae]", ("metrics",), ["mse", "mae"]),
        ("metrics.0=mse", ("metrics",), ["mse"]),
        ("train.callbacks.EarlyStopping.patience=4", ("train", "callbacks", 0, "EarlyStopping", "patience"), 4),
        ("train.monitor='loss=x'", ("train", "monitor"), "loss=x"),
        ("train.monitor=a=b", ("train", "monitor"), "a=b"),
        ("dataset.validation=", ("dataset", "validation"), None),
    ],
)  # fmt: skip
def test_a_value_is_set(written: str, path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    found: Any = load(tmp_path, written).spec.resolved()
    for key in path:
        found = found[key]
    assert found == value


@pytest.mark.parametrize("train", ["", "train:\n", "train: {}\n", "train: {monitor: loss}\n"])
def test_a_section_that_is_not_there_is_made(train: str, tmp_path: Path) -> None:
    text = BASE[: BASE.index("train:")] + train
    spec = load(tmp_path, "train.epochs=7", text=text).spec
    assert (spec.train.epochs, spec.train.monitor) == (7, "loss" if "monitor" in train else None)


def test_what_stands_beside_is_kept_and_the_last_one_wins(tmp_path: Path) -> None:
    spec = load(tmp_path, "train.epochs=7", "train.mode=min", "train.epochs=8").spec
    assert (spec.train.epochs, spec.train.mode, len(spec.train.callbacks)) == (8, "min", 1)


def test_short_options_agree(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(BASE, encoding="utf-8")
    short = load_spec(path, shipped_catalogue(), [option("--epochs", "train.epochs", 9)]).spec
    assert short == load(tmp_path, "train.epochs=9").spec


def test_a_mistake_that_is_overridden_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "train.epochs=7", text=BASE.replace("epochs: 3", "epochs: x")).spec.train.epochs == 7


@pytest.mark.parametrize(
    ("written", "column", "message", "hint"),
    [
        ("train.epochs=0", 14, "must be at least 1; received 0", None),
        ("train.epochs=three", 14, "must be a whole number", None),
        ("trian.epochs=3", 1, "`trian` is not a key of a spec.", "Did you mean `train`?"),
        ("train.epocs=3", 7, "`epocs` is not a key of `train`.", "Did you mean `epochs`?"),
        ("optimizer.learning_rat=3", 11, "`learning_rat` is not an argument of `Adam`.", "`learning_rate`"),
        ("model.layers.7.units=3", 14, "has 4 items", "The last one is 3"),
        ("model.layers.Dense.units=3", 14, "3 items called `Dense`: the numbers 0, 2, 3", "Use the number"),
        ("model.layers.midle.units=3", 14, "no item called `midle`", "Did you mean `middle`?"),
        ("train.epochs.x=3", 14, "`train.epochs` is `3`, which has no parts", None),
        ("train.epochs", 1, "takes a path and a value", "--set train.epochs=3"),
        ("=3", 1, "takes a path and a value", "--set train.epochs=3"),
        ("metrics=[a", 9, "This `[` is never closed", None),
    ],
)  # fmt: skip
def test_mistakes_point_into_the_option(
    written: str, column: int, message: str, hint: str | None, tmp_path: Path
) -> None:
    """The file's own `epochs: 3` is right; showing it under `received 0` sends the user to the wrong place."""
    [problem] = refused(tmp_path, written)
    assert message in problem.message
    assert problem.position is not None
    assert (problem.position.file, problem.position.line, problem.position.column) == (f"--set {written}", 0, column)
    assert hint is None or hint in str(problem.hint)
    assert problem.source_line == written


def test_mistakes_of_the_file_and_of_options_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(BASE.replace("optimizer: Adam", "optimizer: Adm"), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path, shipped_catalogue(), [parse_override("trian.epochs=3"), parse_override("seed=x")])
    files = [problem.position.file for problem in caught.value.problems if problem.position]
    assert sorted(files) == ["--set seed=x", "--set trian.epochs=3", str(path)]
