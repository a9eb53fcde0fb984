"""Bad input: one clear message, the right exit code, no traceback, nothing written over."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.conftest import CONFIGS, Command, Done, in_new_process

GOOD = """dataset: {source: digits}
model:
  layers:
    - Flatten
    - Dense: {units: 10, activation: softmax}
loss: categorical_crossentropy
optimizer: Adam
metrics: [accuracy]
"""


def assert_refused(done: Done, code: int, *words: str) -> None:
    assert done.code == code, done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("", None, "is empty"),
        ("# only a comment\n", None, "is empty"),
        ("model: [1, 2\nloss: x\n", 1, "`[` is never closed"),
        ("- a\n- b\n", 1, "received a list"),
        (GOOD.replace("Dense:", "Dens:"), 5, "Did you mean `Dense`?"),
        (GOOD.replace("activation:", "activatoin:"), 5, "Did you mean `activation`?"),
        (GOOD.replace("units: 10, ", ""), 5, "needs `units`"),
        (GOOD.replace("softmax", "sofmax"), 5, "Did you mean `softmax`?"),
        (GOOD.replace("digits", "didgits"), 1, "is not a source"),
        (GOOD.replace("loss: cat", "los: cat"), 6, "Did you mean `loss`?"),
        (GOOD.replace("Adam", "{Adam: {learning_rat: 1}}"), 7, "Did you mean `learning_rate`?"),
        (GOOD + "train: {epochs: three}\n", 9, "whole number"),
        (GOOD + "train: {epochs: 0}\n", 9, "at least 1"),
        (GOOD + "seed: -1\n", 9, "at least 0"),
        (GOOD.replace("Adam", "{Adam: {learning_rate: {CosineDecy: {}}}}"), 7, "Did you mean `CosineDecay`?"),
        (GOOD.replace("units: 10", "units: 10, kernel_initializer: {HeNormal: 3}"), 5, "written by name"),
    ],
)
def test_a_spec_with_a_mistake_is_refused_at_its_line(
    dlcli: Command, tmp_path: Path, content: str, line: int | None, words: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    done = dlcli("train", path, "--runs-dir", tmp_path / "runs")
    assert_refused(done, 2, words)
    if line is not None:
        assert f"bad.yaml:{line}:" in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (GOOD.replace("units: 10", "units: ten"), 5, "`units` of `Dense` must be a whole number"),
        (GOOD.replace("units: 10", "units: -3"), 5, "`units` of `Dense` must be at least 1"),
        (GOOD.replace("units: 10", "units: 7"), 5, "10 classes"),
        (GOOD.replace("    - Flatten\n", ""), 4, "one label for each example"),
        (GOOD.replace("- Flatten", "- Conv2D: {filters: 2, kernel_size: 9}"), 4, "8×8×1"),
        (GOOD.replace("- Flatten", "- LSTM: {units: 3}"), 4, "8×8×1 here, 3 axes"),
        (GOOD.replace("categorical_cross", "sparse_categorical_cross").replace("digits", "diabetes"), 6, "is a number"),
        (GOOD.replace("digits}", "digits, labels: integer}"), 1, "needs one-hot labels"),
        (GOOD + "train: {monitor: val_loss}\n", 9, "no figure `val_loss`"),
        (GOOD.replace("- Flatten", "- Input: {shape: [28, 28, 1]}\n    - Flatten"), 4, "the dataset gives"),
    ],
)
def test_a_model_that_cannot_work_is_refused_before_a_run_exists(
    dlcli: Command, tmp_path: Path, content: str, line: int, words: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    done = dlcli("train", path, "--runs-dir", tmp_path / "runs", "--quiet")
    assert_refused(done, 2, words, f"bad.yaml:{line}:")
    assert not list((tmp_path / "runs").rglob("*.*"))


def test_missing_file_and_folder(dlcli: Command, tmp_path: Path) -> None:
    assert_refused(dlcli("train", tmp_path / "none.yaml"), 2, "There is no file")
    assert_refused(dlcli("train", tmp_path), 2, "is a folder")


def test_usage_errors_exit_with_2(dlcli: Command, tmp_path: Path) -> None:
    assert dlcli("train").code == 2
    assert dlcli("trian").code == 2
    assert dlcli("train", "x.yaml", "--epochs", "many").code == 2
    assert dlcli("train", "x.yaml", "--device", "tpu").code == 2


def test_gpu_without_a_gpu_is_an_error(dlcli: Command, tmp_path: Path) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert_refused(dlcli("train", path, "--device", "gpu", "--runs-dir", tmp_path, "-q"), 5, "no GPU")


def test_a_run_of_the_same_name_is_left_alone(dlcli: Command, small_spec: Path, small_run: Path) -> None:
    before = {path: path.read_bytes() for path in small_run.rglob("*") if path.is_file()}
    done = dlcli("train", small_spec, "--runs-dir", small_run.parents[1], "--run-name", "first")
    assert_refused(done, 4, "exists")
    assert {path: path.read_bytes() for path in small_run.rglob("*") if path.is_file()} == before


def test_runs_folder_that_cannot_be_written(dlcli: Command, small_spec: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(dlcli("train", small_spec, "--runs-dir", tmp_path / "file"), 4, "not a folder")
    assert_refused(dlcli("train", small_spec, "--runs-dir", tmp_path / "file" / "runs"), 4, "Cannot write")
    assert_refused(dlcli("train", small_spec, "--runs-dir", "/proc/runs"), 4, "Cannot write")


@pytest.mark.parametrize("command", ["evaluate", "predict", "summary"])
def test_damaged_checkpoints(dlcli: Command, small_run: Path, tmp_path: Path, command: str) -> None:
    more = ["--split", "test"] if command == "predict" else []
    whole = (small_run / "checkpoints" / "best.h5").read_bytes()
    half = tmp_path / "half.h5"
    half.write_bytes(whole[: len(whole) // 2])
    assert_refused(dlcli(command, half, *more), 4, "cut off")
    text = tmp_path / "text.h5"
    text.write_text("not a checkpoint")
    assert_refused(dlcli(command, text, *more), 4, "not an HDF5 file")
    assert_refused(dlcli(command, tmp_path / "none.h5", *more), 4, "no checkpoint or run")
    empty = tmp_path / "empty.h5"
    with h5py.File(empty, "w") as file:
        file["numbers"] = [1, 2, 3]
    assert_refused(dlcli(command, empty, *more), 4, "not a Keras model")
    assert_refused(dlcli(command, tmp_path, *more), 4, "not a run")


def test_a_changed_weight_is_noticed(dlcli: Command, small_run: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.h5"
    shutil.copy(small_run / "checkpoints" / "best.h5", changed)
    with h5py.File(changed, "r+") as file:
        names: list[str] = []
        file["model_weights"].visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        weight = file["model_weights"][names[0]]
        weight[...] = weight[()] + 1e-3
    assert_refused(dlcli("evaluate", changed), 4, "digest")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder of 256 KiB on a disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk(dlcli: Command, tmp_path: Path, small_disk: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(GOOD.replace("- Flatten", "- Flatten\n    - Dense: {units: 2000}"))
    done = dlcli("train", path, "--runs-dir", small_disk, "--quiet")
    assert_refused(done, 4, "disk is full")
    assert not list(small_disk.rglob("*.part*"))


def test_full_disk_keeps_the_last_whole_checkpoint(dlcli: Command, small_spec: Path, small_disk: Path) -> None:
    done = dlcli("train", small_spec, "--epochs", 1, "--runs-dir", small_disk, "--run-name", "a", "-q")
    assert done.code == 0
    checkpoint = small_disk / "small" / "a" / "checkpoints" / "best.h5"
    before = checkpoint.read_bytes()
    (small_disk / "filler").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 8192))
    assert_refused(dlcli("train", small_spec, "--runs-dir", small_disk, "--run-name", "b", "-q"), 4, "disk is full")
    assert checkpoint.read_bytes() == before


def test_what_needs_no_tensorflow_imports_none(small_run: Path) -> None:
    code = (
        "import sys\nfrom dlcli.cli.app import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    import sys

    for arguments in (
        ["--help"],
        ["train", "--help"],
        ["summary", str(small_run)],
        ["summary", str(small_run), "--json"],
        ["check", "--static", str(CONFIGS / "mnist_cnn.yaml")],
        ["check", "--help"],
        ["schema"],
    ):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_module_can_be_run() -> None:
    done = in_new_process("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("dlcli ")


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (
            GOOD.replace("- Flatten", "- Flatten: {name: one}\n    - Flatten:\n      name: one"),
            6,
            "has the name `one`, too",
        ),
        (GOOD.replace("accuracy", "F1Score"), 8, "average: macro"),
        (GOOD.replace("digits}", "digits, augment: [CenterCrop: {height: 4, width: 4}]}"), 1, "changes the shape"),
        (GOOD.replace("digits}", "digits, augment: [RandomRotation: {factor: left}]}"), 1, "RandomRotation"),
        (GOOD.replace("digits}", "digits, preparation: [Reshape: {target_shape: [3]}]}"), 1, "does not fit the data"),
        (GOOD.replace("categorical_crossentropy", "ctc"), 6, "do not work together"),
    ],
)
def test_what_only_fails_together_is_refused_at_its_line(
    dlcli: Command, tmp_path: Path, content: str, line: int, words: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    done = dlcli("train", path, "--runs-dir", tmp_path / "runs", "--quiet")
    assert_refused(done, 2, words, f"bad.yaml:{line}:")


def test_a_model_is_never_evaluated_on_the_fallback(
    dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.data_helpers import arrays

    np.savez(tmp_path / "mnist.npz", **arrays(train=200, test=50))
    spec = tmp_path / "mnist.yaml"
    spec.write_text(GOOD.replace("{source: digits}", "{source: mnist, fallback: digits}"))
    assert dlcli("train", spec, "--runs-dir", tmp_path, "--data-dir", tmp_path, "-q").code == 0
    monkeypatch.delenv("DLCLI_DATA_DIR", raising=False)
    monkeypatch.setattr("dlcli.data.keras_cache.probe", lambda url: "no network in this test")
    assert_refused(dlcli("evaluate", tmp_path / "mnist"), 3, "mnist.npz")
