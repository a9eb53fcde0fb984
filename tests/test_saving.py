"""When checkpoints are written: rarely enough to cost little, and always what must not be lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.data.loading import ReadAhead
from dlcli.data.where import Where
from dlcli.errors import DataError, RunError
from dlcli.runs import RunFolder
from dlcli.spec.grammar import CheckpointSpec
from dlcli.spec.loading import load_spec
from dlcli.training import saving
from dlcli.training.checkpoint import Contents, open_checkpoint
from dlcli.training.saving import Moment, Position, Saver
from dlcli.training.state import TrainingState
from tests.conftest import shipped_catalogue


def epoch_of(path: Path) -> int:
    found = open_checkpoint(path).contents
    assert found is not None
    return int(found.position["epoch"])


class Trained:
    """A model whose weight is the number of its epoch, and what saves it."""

    def __init__(self, folder: Path, spec: CheckpointSpec) -> None:
        (folder / "checkpoints").mkdir()
        self.model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
        self.model.compile("sgd", "mse")
        self.model.optimizer.build(self.model.trainable_variables)
        self.state = TrainingState(self.model)
        self.position = Position(0, 0)
        self.saver = Saver(RunFolder(folder), self.model, self.take, self.state.size, spec)

    def take(self, *, copied: bool) -> Moment:
        position = self.position._asdict()
        contents = Contents({}, {}, {}, None, {}, position, [], {}, {}, {})
        return Moment(self.position, contents, self.state.snapshot(copied=copied, metrics=False))

    def at(self, epoch: int) -> None:
        self.model.set_weights([np.full((1, 1), float(epoch)), np.zeros(1)])
        self.position = Position(epoch, 10 * epoch)

    def epoch(self, epoch: int, *, is_best: bool = False) -> None:
        self.at(epoch)
        self.saver.epoch_ended(is_best=is_best)


def kernel_in(path: Path) -> float:
    return float(open_checkpoint(path).model().get_weights()[0][0, 0])


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    return Trained(tmp_path, CheckpointSpec())


def test_short_epochs_wait_and_the_best_is_not_lost(trained: Trained) -> None:
    run = trained.saver.run
    trained.epoch(1, is_best=True)
    assert epoch_of(run.last) == epoch_of(run.best) == 1
    trained.epoch(2, is_best=True)
    trained.epoch(3)
    assert epoch_of(run.last) == epoch_of(run.best) == 1
    trained.saver.write()
    assert (epoch_of(run.last), epoch_of(run.best)) == (3, 2)
    assert (kernel_in(run.last), kernel_in(run.best)) == (3.0, 2.0)
    assert trained.model.get_weights()[0] == 3.0


def test_long_epochs_are_written_each(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SHARE", 1e9)
    for epoch in (1, 2, 3):
        trained.epoch(epoch, is_best=epoch == 2)
        assert epoch_of(trained.saver.run.last) == epoch
    assert epoch_of(trained.saver.run.best) == 2


def test_large_ones_are_written_from_a_copy_while_training_goes_on(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "LARGE", 0)
    may_write = threading.Event()
    write = saving.save_checkpoint

    def wait_and_write(*arguments: Any) -> None:
        assert may_write.wait(60)
        write(*arguments)

    monkeypatch.setattr(saving, "save_checkpoint", wait_and_write)
    trained.epoch(1, is_best=True)
    trained.epoch(2, is_best=True)  # the first is still being written
    trained.at(3)
    may_write.set()
    trained.saver.finish()
    run = trained.saver.run
    assert (kernel_in(run.last), kernel_in(run.best)) == (1.0, 1.0)
    trained.saver.write()
    trained.saver.close()
    assert (kernel_in(run.last), kernel_in(run.best)) == (3.0, 2.0)


def test_the_writer_does_not_wait_for_this_thread(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from h5py._objects import phil

    monkeypatch.setattr(saving, "LARGE", 0)
    phil.acquire()  # as a generator over a group's items does, as long as it lives
    trained.epoch(1, is_best=True)
    trained.saver.finish()
    trained.saver.close()
    assert kernel_in(trained.saver.run.last) == 1.0


def test_what_cannot_be_written_in_the_background_is_told(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "LARGE", 0)

    def full(*arguments: Any) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr(saving, "save_checkpoint", full)
    trained.epoch(1)
    with pytest.raises(RunError, match="disk is full"):
        trained.saver.finish()
    trained.saver.close()


def test_steps_and_minutes_and_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Trained(tmp_path, CheckpointSpec(every_steps=20, keep=2))
    for epoch in range(1, 8):
        trained.at(epoch)
        trained.saver.progressed(trained.position)
    kept = [path.name for path in trained.saver.run.kept]
    assert kept == ["step-000000060.h5", "step-000000040.h5"]
    assert [kernel_in(path) for path in trained.saver.run.kept] == [6.0, 4.0]
    (tmp_path / "minutes").mkdir()
    trained = Trained(tmp_path / "minutes", CheckpointSpec(every_minutes=1.0))
    now = time.monotonic()
    trained.at(1)
    trained.saver.progressed(trained.position)
    assert not trained.saver.run.last.exists()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61.0)
    trained.saver.progressed(trained.position)
    assert epoch_of(trained.saver.run.last) == 1


def spec_of(tmp_path: Path, source: str) -> Any:
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"dataset: {{{source}}}\nmodel: {{layers: [Flatten, Dense: {{units: 10, activation: softmax}}]}}\n"
        "loss: categorical_crossentropy\noptimizer: SGD\n"
    )
    return load_spec(path, shipped_catalogue())


def test_data_is_read_ahead_and_a_fallback_waits_until_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DLCLI_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "none"))
    monkeypatch.setattr("dlcli.data.keras_cache.probe", lambda url: "no network")
    dataset, splits = ReadAhead(spec_of(tmp_path, "source: digits"), Where(None, True, print)).result()
    assert (dataset.source, splits.names) == ("digits", ("train", "test"))
    with_fallback = spec_of(tmp_path, "source: mnist, fallback: digits")
    dataset, _ = ReadAhead(with_fallback, Where(None, True, print)).result()
    assert (dataset.source, dataset.requested) == ("digits", "mnist")
    with pytest.raises(DataError, match="no network"):
        ReadAhead(with_fallback, Where(None, False, print)).result()
    with pytest.raises(DataError, match="not a folder"):
        ReadAhead(with_fallback, Where(tmp_path / "nowhere", True, print)).result()
