"""Training on arrays that stay in their files: the same figures, well shuffled, and to the same bits when resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from dlcli.data import array_reader, streaming
from dlcli.data.array_inputs import ArrayInput
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.shuffling import Windows, epoch_order
from dlcli.data.stored import InFile
from dlcli.errors import DataError
from dlcli.training.choices import Choices
from dlcli.training.engine import Engine
from dlcli.training.feeding import Pace, Rows, Streamed
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, run_quietly, thorough
from tests.killing import compare, outcome
from tests.test_arrays import NUMBER, X, Y, known, known_of, write_h5, write_spec
from tests.test_engine import PlainFeed

X_MANY = np.arange(5000 * 6, dtype="float32").reshape(5000, 6)


def in_file(path: Path, **how: Any) -> InFile:
    write_h5(path, {"x": X_MANY}, **how)
    [stored] = array_reader.open_arrays([path]).values()
    return ArrayInput.of("x", stored, "points").on(stored)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that even a few rows have several of them."""
    monkeypatch.setattr(streaming, "RUN_BYTES", 48)
    monkeypatch.setattr(streaming, "WINDOW_BYTES", 256)


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (7, 6)}, {"chunks": (512, 3), "compression": "gzip"}, {"chunks": (5000, 6)}]
)
def test_any_rows_are_read_in_any_order(how: dict[str, Any], tmp_path: Path) -> None:
    rows = in_file(tmp_path / "a.h5", **how)
    generator = np.random.default_rng(0)
    for chosen in (
        generator.permutation(5000), generator.permutation(5000)[:40], np.sort(generator.permutation(5000)[:900]),
        np.asarray([4999, 0, 0, 17]), np.arange(10), np.empty(0, np.int64),
    ):  # fmt: skip
        assert np.array_equal(rows[chosen], X_MANY[chosen])
    assert np.array_equal(rows[5:4000], X_MANY[5:4000])
    assert np.array_equal(rows.whole(), X_MANY)
    assert (len(rows), rows.shape, rows.dtype, rows.nbytes) == (5000, (5000, 6), "float32", X_MANY.nbytes)


@pytest.mark.parametrize("first", [0, 16, 400, 1008])
def test_blocks_are_the_rows_of_the_order(first: int, tmp_path: Path) -> None:
    rows = in_file(tmp_path / "a.h5")
    data = Streamed(rows, np.arange(5000), windows=Windows(7, 333))
    order = data.shuffled(np.arange(0, 5000, 3), seed=1, epoch=2)
    pace, seen = Pace(), []
    for block in data.blocks(order, 16, pace, first):
        inputs, targets = (np.asarray(part)[block.order.numpy()] for part in block.tensors)
        assert np.array_equal(inputs, X_MANY[targets])
        assert len(targets) == block.examples
        assert (block.whole, block.first) == (5000, 0)
        seen.append(targets)
        pace.ran(pace.steps, 0.001)
    assert all(len(targets) % 16 == 0 for targets in seen[:-1])
    assert np.array_equal(np.concatenate(seen), order[first:])


def test_rows_come_with_their_weights(tmp_path: Path) -> None:
    weights = np.arange(5000, dtype=np.float32) / 7
    data = Streamed(in_file(tmp_path / "a.h5"), np.arange(5000), windows=Windows(7, 333)).weighing(weights)
    for block in data.blocks(data.shuffled(np.arange(5000), seed=1, epoch=2), 16, Pace()):
        _, targets, weighed = (np.asarray(part) for part in block.tensors)
        assert np.array_equal(weighed, weights[targets])


def test_each_run_of_neighbours_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, reads = in_file(tmp_path / "a.h5"), []
    region = type(rows.stored)
    original = region._read  # type: ignore[attr-defined]

    def read(self: Any, file: Any, first: int, count: int) -> Any:
        reads.append(count)
        return original(self, file, first, count)

    monkeypatch.setattr(region, "_read", read)
    monkeypatch.setattr("dlcli.data.stored._BYTES_WORTH_READING", 24 * 10)
    data = Streamed(rows, np.arange(5000), windows=Windows(100, 1000))
    order = data.shuffled(np.arange(5000), seed=0, epoch=0)
    for _ in data.blocks(order, 32, Pace()):
        pass
    assert sum(reads) == 5000
    assert len(reads) <= 50


class TestOrder:
    WINDOWS = Windows(20, 1000)

    def test_has_every_row_once_and_is_a_function_of_seed_and_epoch(self) -> None:
        rows = np.flatnonzero(np.arange(9000) % 10)
        order = epoch_order(rows, seed=1, epoch=2, windows=self.WINDOWS)
        assert np.array_equal(np.sort(order), rows)
        assert np.array_equal(order, epoch_order(rows, seed=1, epoch=2, windows=self.WINDOWS))
        for seed, epoch in ((1, 3), (2, 2)):
            assert not np.array_equal(order, epoch_order(rows, seed=seed, epoch=epoch, windows=self.WINDOWS))

    def test_a_window_is_like_the_whole_also_where_the_file_is_sorted(self) -> None:
        labels = np.repeat(np.arange(10), 10_000)
        windows = Windows(20, 20_000)
        order = labels[epoch_order(np.arange(100_000), seed=0, epoch=0, windows=windows)]
        for first in range(0, 100_000, 20_000):
            shares = np.bincount(order[first : first + 20_000], minlength=10) / 20_000
            assert np.abs(shares - 0.1).max() < 0.04  # 1,000 runs: 0.1 ± 0.01
        batches = order.reshape(-1, 100)
        assert (np.asarray([len(set(batch)) for batch in batches]) >= 8).all()

    def test_what_fits_into_a_window_is_shuffled_as_a_whole(self) -> None:
        order = epoch_order(np.arange(1000), seed=0, epoch=0, windows=Windows(20, 1000))
        assert np.abs(np.diff(order)).mean() == pytest.approx(1000 / 3, rel=0.1)

    def test_neighbours_come_from_far_apart(self) -> None:
        order = epoch_order(np.arange(100_000), seed=0, epoch=0, windows=Windows(20, 10_000))
        assert np.abs(np.diff(order)).mean() == pytest.approx(100_000 / 3, rel=0.1)


SPLIT = "{path: a.h5, stream: %s}"


def test_streamed_training_comes_to_the_figures_of_training_in_memory(tmp_path: Path, dlcli: Command) -> None:
    write_h5(tmp_path / "a.h5", {"x": X.astype("float64") * 50, "y": Y}, chunks=True)
    runs = {}
    for stream in ("true", "false"):
        folder = tmp_path / stream
        folder.mkdir()
        spec = write_spec(folder, SPLIT.replace("a.h5", "../a.h5") % stream)
        text = spec.read_text().replace("batch_size: 16", "batch_size: 16\n  shuffle: false\n  validation: 0.2")
        spec.write_text(text)
        assert dlcli("train", spec, "--runs-dir", folder, "--run-name", "one", "-q").code == 0
        runs[stream] = folder / "own" / "one"
    assert not compare(outcome(runs["true"]), outcome(runs["false"]))
    records = {name: json.loads((run / "run.json").read_text())["data"] for name, run in runs.items()}
    assert records["true"]["fingerprint"].startswith("sampled-")
    assert not records["false"]["fingerprint"].startswith("sampled-")
    by_split = [dlcli("predict", run, "--split", "test", "--json").json for run in runs.values()]
    assert by_split[0] == by_split[1]
    assert dlcli("evaluate", runs["true"], "--json").json["metrics"] == pytest.approx(
        dlcli("evaluate", runs["false"], "--json").json["metrics"]
    )


@pytest.mark.parametrize("stopped_at", [pytest.param(3, marks=thorough), 6, pytest.param(9, marks=thorough)])
@pytest.mark.usefixtures("small_windows")
def test_a_stopped_run_comes_to_the_same_bits(stopped_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_h5(tmp_path / "a.h5", {"x": X, "y": Y})
    spec = write_spec(tmp_path, SPLIT % "true")
    text = spec.read_text().replace("batch_size: 16", "batch_size: 4\n  validation: 0.2")
    spec.write_text(text.replace("epochs: 2", "epochs: 3"))
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
    # How much is read at once may be another in a later version: the run goes on as it began.
    monkeypatch.setattr(streaming, "WINDOW_BYTES", 10**9)
    assert run_quietly("train", "--resume", tmp_path / "own" / "stopped", "-q") == 0
    assert not compare(outcome(tmp_path / "own" / "whole"), outcome(tmp_path / "own" / "stopped"))


def test_what_does_not_fit_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command) -> None:
    monkeypatch.setattr(streaming, "available_memory", lambda: 1000)
    np.savez_compressed(tmp_path / "a.npz", x=X, y=Y)
    with pytest.raises(DataError, match="compressed, so that it can only be read as a whole"):
        known(tmp_path, "{path: a.npz}")
    by_columns = {"x": np.asfortranarray(X), "y": Y}
    with pytest.raises(DataError, match="written by columns"):
        known_of(tmp_path, by_columns)
    assert isinstance(known_of(tmp_path, by_columns, "{path: a.npz, stream: false}").train.inputs, np.ndarray)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    for path in ("a.npz", "[x.npy, y.npy]"):
        dataset, _ = known(tmp_path, f"{{path: {path}}}")
        assert isinstance(dataset.train.inputs, InFile)
        assert np.array_equal(dataset.train.inputs[:], X)
        assert isinstance(dataset.train.targets, np.ndarray)
    spec = write_spec(tmp_path, "{path: a.npz}")
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one")
    assert done.code == 0
    assert "they stay in their file" in " ".join(done.err.split())
    assert len(dlcli("predict", tmp_path / "own" / "one", tmp_path / "x.npy", "--json").json) == 60


def test_a_bad_row_is_told_when_it_is_read(tmp_path: Path, dlcli: Command) -> None:
    values = X.copy()
    values[33, 1] = np.inf
    write_h5(tmp_path / "a.h5", {"x": values, "y": Y})
    for kind in ("table", "points"):  # while the preparation is fitted, and while a step is done
        spec = write_spec(tmp_path, f"{{path: a.h5, stream: true, kind: {kind}}}")
        spec.write_text(spec.read_text().replace("batch_size: 16", "batch_size: 16\n  test: 0"))
        done = dlcli("train", spec, "--runs-dir", tmp_path / kind, "-q")
        assert done.code == 3
        assert "row 33, counted from 0, has the value infinite" in " ".join(done.err.split())


def test_the_fingerprint_of_files_tells_changes(tmp_path: Path) -> None:
    arguments = SPLIT % "true"
    write_h5(tmp_path / "a.h5", {"x": X, "y": Y})
    status = (tmp_path / "a.h5").stat()
    first = known(tmp_path, arguments)[0]
    assert first.fingerprint == known(tmp_path, arguments)[0].fingerprint
    write_h5(tmp_path / "a.h5", {"x": X + 1, "y": Y})
    os.utime(tmp_path / "a.h5", ns=(status.st_atime_ns, status.st_mtime_ns))
    changed = known(tmp_path, arguments)[0]
    assert changed.fingerprint != first.fingerprint
    os.utime(tmp_path / "a.h5")
    assert fingerprint_of(changed.train, None) != changed.fingerprint


def test_indices_and_numbers_are_streamed_too(tmp_path: Path, dlcli: Command) -> None:
    write_h5(tmp_path / "a.h5", {"x": np.arange(60) % 7, "y": X[:, 0]})
    dataset, _ = known(tmp_path, "{path: a.h5, stream: true, kind: indices}", **NUMBER)
    assert dataset.reader is not None
    assert dataset.reader.facts["input"].numbers == 7


@thorough
def test_compiled_loops_take_streamed_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(0).normal(size=(1000, 6)).astype("float32")
    [stored] = array_reader.open_arrays([path]).values()
    rows = ArrayInput.of("x", stored, "points").on(stored)
    targets = rows[:].sum(axis=1, keepdims=True)

    def made() -> keras.Model:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        model.compile("adam", "mean_squared_error")
        model.optimizer.build(model.trainable_variables)
        return model

    weights = []
    for compiled in (False, True):
        model = made()
        engine = Engine(model, PlainFeed(), choices=Choices("so", compiled=compiled))
        data = Streamed(rows, targets, windows=Windows(10, 200))
        order = data.shuffled(np.arange(1000), seed=0, epoch=0)
        progress = list(engine.train(Rows(data, order), 16))[-1]
        assert (progress.steps, progress.examples, engine.choices.compiled) == (63, 1000, compiled)
        if compiled:
            [whole, rest] = engine._run._functions.values()  # type: ignore[attr-defined]
            assert (whole[1], rest[1]) == (62, 125)
        weights.append([np.asarray(weight) for weight in model.get_weights()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_reading_does_not_wait_for_this_thread(tmp_path: Path, dlcli: Command) -> None:
    from h5py._objects import phil

    write_h5(tmp_path / "a.h5", {"x": X.astype("float64"), "y": Y}, chunks=True)
    spec = write_spec(tmp_path, SPLIT % "true")
    phil.acquire()  # as a generator over a group's items does, as long as it lives
    assert dlcli("train", spec, "--runs-dir", tmp_path, "-q").code == 0
