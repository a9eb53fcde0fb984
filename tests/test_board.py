"""What `tensorboard: true` writes is what TensorBoard reads: each epoch once, whatever has happened to the run."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlcli.training.board import Board
from dlcli.training.event_file import EventFile
from tests.conftest import run_quietly
from tests.killing import compare, outcome
from tests.test_resume import Stops, resume, stops, train, write_spec

__all__ = ["stops"]  # the fixture


def spec_in(folder: Path) -> Path:
    path = write_spec(folder, layers="[Conv2D: {filters: 2, kernel_size: 3}, Flatten, " + OUTPUT)
    path.write_text(path.read_text() + "  tensorboard: true\n")
    return path


OUTPUT = "Sequential: {layers: [Dense: {units: 10, activation: softmax}]}]"


def events_of(folder: Path) -> list[Any]:
    """Read by TensorFlow, which checks the sums."""
    [path] = folder.iterdir()
    return [tf.compat.v1.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(path))]


def values_of(folder: Path, plugin: str) -> dict[str, list[tuple[int, Any]]]:
    found = defaultdict(list)
    for event in events_of(folder):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == plugin:
                found[value.tag].append((event.step, tf.make_ndarray(value.tensor)))
    return found


def without_times(folder: Path) -> list[bytes]:
    events = events_of(folder)
    for event in events:
        event.ClearField("wall_time")
    return [event.SerializeToString(deterministic=True) for event in events]


def test_what_is_written_is_what_the_run_came_to(tmp_path: Path, stops: Stops) -> None:
    whole, stopped = spec_in(tmp_path / "whole"), spec_in(tmp_path / "stopped")
    assert train(whole) == 0
    run = whole.parent / "resumed" / "one"
    board = run / "tensorboard"
    rows = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    scalars = {split: values_of(board / split, "scalars") for split in ("train", "validation")}
    assert set(scalars["train"]) == {"epoch_loss", "epoch_accuracy", "epoch_learning_rate"}
    assert set(scalars["validation"]) == {"epoch_loss", "epoch_accuracy"}
    for split, prefix in (("train", ""), ("validation", "val_")):
        for tag, values in scalars[split].items():
            name = prefix + tag.removeprefix("epoch_")
            assert values == [(int(row["epoch"]), pytest.approx(float(row[name]), rel=1e-6)) for row in rows]

    model = keras.models.load_model(run / "checkpoints" / "last.h5")
    histograms = values_of(board / "train", "histograms")
    read_back = [weight.path.removeprefix("resumed/") for weight in model.weights]
    assert list(histograms) == [f"{path}/histogram" for path in read_back]
    for weight, values in zip(model.weights, histograms.values(), strict=True):
        assert [step for step, _ in values] == [1, 2, 3]
        (low, *_), bins = values[-1][1].T[0], values[-1][1]
        assert (low, bins[-1, 1]) == pytest.approx((np.min(weight), np.max(weight)))
        assert bins[:, 2].sum() == np.size(weight)

    [(step, (width, height, png))] = values_of(board / "train", "images")["examples"]
    picture = tf.io.decode_png(png).numpy()
    assert (step, int(width), int(height)) == (0, *picture.shape[1::-1])
    assert picture.shape == (5 * 9, 8 * 9, 1)
    [graph] = [event.graph_def for event in events_of(board / "train") if event.graph_def]
    nodes = {node.name: node for node in tf.compat.v1.GraphDef.FromString(graph).node}
    assert list(nodes) == ["input", "conv2d", "flatten", "sequential/dense"]
    assert list(nodes["sequential/dense"].input) == ["flatten"]
    assert nodes["conv2d"].attr["parameters"].i == 20

    stops.after(6)  # in the second epoch
    assert train(stopped) == 143
    stops.after(None)
    other = stopped.parent / "resumed" / "one"
    [torn] = (other / "tensorboard" / "train").iterdir()
    torn.write_bytes(torn.read_bytes() + b"\x10\x00\x00")  # as if it had been killed
    assert resume(other) == 0
    assert not compare(outcome(run), outcome(other))
    for split in ("train", "validation"):
        assert without_times(board / split) == without_times(other / "tensorboard" / split)


def test_a_smoke_run_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Board, "go_on")
    assert run_quietly("train", spec_in(tmp_path), "--smoke", "-q") == 0


def event(step: int) -> Any:
    return tf.compat.v1.Event(step=step, summary=tf.compat.v1.Summary(value=[{"tag": "x", "simple_value": step}]))


@pytest.mark.parametrize(
    ("damage", "up_to", "left"),
    [
        (lambda content: content, 3, 3),
        (lambda content: content, 1, 1),
        (lambda content: content[:-1], 3, 2),
        (lambda content: content + b"\xff" * 11, 3, 3),
        (lambda content: content + b"\xff" * 40, 3, 3),
        (lambda content: content[:-10] + b"?" + content[-9:], 3, 2),
        (lambda content: content[:30], 3, None),
        (lambda content: b"", 3, None),
    ],
)
def test_a_file_is_cut_behind_its_last_whole_event(tmp_path: Path, damage: Any, up_to: int, left: int | None) -> None:
    file = EventFile(tmp_path / "train" / "events.out.tfevents")
    assert file.cut(3) is None
    file.begin([event(1), event(1)])
    file.append([event(2), event(3)])
    file.append([])
    file.path.write_bytes(damage(file.path.read_bytes()))
    assert file.cut(up_to) == left
    if left is not None:
        file.append([event(4)])
        steps = [one.step for one in events_of(file.path.parent)]
        assert steps == [0, *(step for step in (1, 1, 2, 3) if step <= left), 4]
