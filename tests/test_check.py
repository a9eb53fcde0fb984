"""`dlcli check` and `dlcli schema` as commands; what is said of each mistake is in tests/broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.conftest import CONFIGS, DATA_DIR, OF_FILES, Command

GOOD = """\
dataset: {source: digits, validation: 0.2}
model:
  layers:
    - Flatten
    - Dense: {units: 10, activation: softmax}
loss: categorical_crossentropy
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_shipped_configs_have_no_mistakes_and_no_warnings(dlcli: Command) -> None:
    every = sorted(CONFIGS.glob("*.yaml"))
    paths = [path for path in every if DATA_DIR or path.stem not in OF_FILES]
    done = dlcli("check", "--strict", *paths)
    assert done.code == 0, done.out
    assert done.out.count("no mistakes, ") == len(paths)
    assert "mnist_cnn.yaml: no mistakes, 437,482 parameters" in done.out


def test_static_builds_no_model(dlcli: Command, spec: Path) -> None:
    done = dlcli("check", "--static", spec)
    assert (done.code, done.out) == (0, f"{spec}: no mistakes\n")


def test_warnings_are_errors_only_if_strict(dlcli: Command, spec: Path) -> None:
    spec.write_text(GOOD.replace("validation: 0.2", "shuffle: false"), encoding="utf-8")
    assert dlcli("check", "--static", spec).code == 0
    done = dlcli("check", "--static", "--strict", spec)
    assert done.code == 2
    assert "warning[no-shuffle]" in done.out


def test_several_files_are_counted(dlcli: Command, spec: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(GOOD.replace("Dense", "Dens").replace("loss", "los"), encoding="utf-8")
    done = dlcli("check", "--static", spec, wrong, tmp_path / "none.yaml")
    assert done.code == 2
    assert "3 mistakes in 2 of 3 files." in done.out


def test_a_network_of_any_size_is_checked_in_no_memory(dlcli: Command, spec: Path) -> None:
    """A trillion parameters: their values would take four terabytes."""
    huge = "    - Dense: {units: 1000000}\n    - Dense: {units: 1000000}\n    - Dense: {units: 10,"
    spec.write_text(GOOD.replace("    - Dense: {units: 10,", huge), encoding="utf-8")
    done = dlcli("check", spec)
    assert "warning[out-of-memory]" in done.out


def test_resolved_has_everything_and_says_where_from(dlcli: Command, spec: Path) -> None:
    done = dlcli("check", "--resolved", spec, "--set", "train.epochs=3")
    assert done.code == 0
    resolved = yaml.safe_load(done.out)
    assert (resolved["train"]["epochs"], resolved["optimizer"], resolved["name"]) == (3, "RMSprop", "spec")
    origins = dlcli("check", "--resolved", "--origins", spec, "--set", "train.epochs=3").out
    assert "# --set train.epochs=3" in origins
    assert f"# {spec}:6:7" in origins
    assert yaml.safe_load(origins) == resolved


def test_resolved_of_a_wrong_spec_is_its_mistakes(dlcli: Command, spec: Path) -> None:
    done = dlcli("check", "--resolved", spec, "--set", "train.epochs=x")
    assert (done.code, done.out) == (2, "")
    assert "must be a whole number" in done.err


def test_codes_are_listed(dlcli: Command) -> None:
    done = dlcli("check", "--codes")
    assert done.code == 0
    assert {"unused-silence", "no-shuffle", "out-of-memory"} <= {line.split()[0] for line in done.out.splitlines()}


def test_train_and_summary_check_and_set_as_well(dlcli: Command, spec: Path, tmp_path: Path) -> None:
    for command in (["summary", spec], ["train", spec, "--runs-dir", tmp_path, "--quiet"]):
        done = dlcli(*command, "--set", "trian.epochs=3")
        assert done.code == 2
        assert "Did you mean `train`?" in done.err
    assert dlcli("summary", spec, "--set", "model.layers.Dense.activation=sigmoid").code == 0


def test_train_tells_all_mistakes_of_the_model_at_once(dlcli: Command, spec: Path, tmp_path: Path) -> None:
    text = GOOD.replace("units: 10", "units: 7") + "metrics: [accuracy]\ntrain: {monitor: val_acuracy}\n"
    spec.write_text(text, encoding="utf-8")
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs", "--quiet")
    assert done.code == 2
    assert "10 classes" in done.err
    assert "Did you mean `val_accuracy`?" in done.err
    assert not (tmp_path / "runs" / "spec").exists()


def test_schema_is_printed_or_written(dlcli: Command, tmp_path: Path) -> None:
    printed = json.loads(dlcli("schema").out)
    assert dlcli("schema", "--output", tmp_path / "a.json").code == 0
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == printed
