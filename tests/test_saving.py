"""When checkpoints are written: rarely enough to cost little, and always what must not be lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.data.loading import ReadAhead
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.runs import RunFolder
from dlcli.spec.loading import load_spec
from dlcli.training import saving
from dlcli.training.checkpoint import Contents, load_keras_model, read_contents
from dlcli.training.saving import Position, Saver
from tests.conftest import shipped_catalogue


def contents(position: Position) -> Contents:
    empty: dict[str, Any] = {}
    return Contents({}, {}, {}, None, empty, {"epoch": position.epoch, "step": position.step}, [], {}, {})


def epoch_of(path: Path) -> int:
    found = read_contents(path)
    assert found is not None
    return int(found.position["epoch"])


@pytest.fixture
def saver(tmp_path: Path) -> Saver:
    (tmp_path / "checkpoints").mkdir()
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return Saver(RunFolder(tmp_path), model, contents)


def at(saver: Saver, epoch: int, *, is_best: bool) -> None:
    saver.model.set_weights([np.full((1, 1), float(epoch)), np.zeros(1)])
    saver.epoch_ended(Position(epoch, epoch), is_best=is_best)


def test_short_epochs_wait_and_the_best_is_not_lost(saver: Saver) -> None:
    at(saver, 1, is_best=True)
    assert epoch_of(saver.run.last) == epoch_of(saver.run.best) == 1
    at(saver, 2, is_best=True)
    at(saver, 3, is_best=False)
    assert epoch_of(saver.run.last) == epoch_of(saver.run.best) == 1
    saver.write(Position(3, 3))
    assert (epoch_of(saver.run.last), epoch_of(saver.run.best)) == (3, 2)
    for path, value in ((saver.run.last, 3.0), (saver.run.best, 2.0)):
        assert load_keras_model(path).get_weights()[0] == value
    assert saver.model.get_weights()[0] == 3.0


def test_long_epochs_are_written_each(saver: Saver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SHARE", 1e9)
    for epoch in (1, 2, 3):
        at(saver, epoch, is_best=epoch == 2)
        assert epoch_of(saver.run.last) == epoch
    assert epoch_of(saver.run.best) == 2


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
    monkeypatch.setattr("dlcli.data.keras_sets.probe", lambda url: "no network")
    dataset, splits = ReadAhead(spec_of(tmp_path, "source: digits"), Where(None, True, print)).result()
    assert (dataset.source, splits.names) == ("digits", ("train", "test"))
    with_fallback = spec_of(tmp_path, "source: mnist, fallback: digits")
    dataset, _ = ReadAhead(with_fallback, Where(None, True, print)).result()
    assert (dataset.source, dataset.requested) == ("digits", "mnist")
    with pytest.raises(DataError, match="no network"):
        ReadAhead(with_fallback, Where(None, False, print)).result()
    with pytest.raises(DataError, match="not a folder"):
        ReadAhead(with_fallback, Where(tmp_path / "nowhere", True, print)).result()
