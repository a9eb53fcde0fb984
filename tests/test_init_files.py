"""`dlcli init` for TFRecords and for folders of films: what it sees in them, and specs without mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.conftest import Command
from tests.test_records import MESSAGES, NUMBERS, bytes_of, floats, framed, message, whole
from tests.test_videos import FILM, two_classes, write_frames, write_gif


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(dlcli: Command, *arguments: object) -> tuple[str, Any]:
    done = dlcli("init", "--data", *arguments, "-o", "-")
    assert done.code == 0, done.err
    return done.out, yaml.safe_load(done.out)


def numbers_of(row: int, **others: Any) -> bytes:
    kept = {"image": None, "pixels": None, "listed": None, "hot": None, "more/a": floats(row % 4)}
    return message(row, **{**kept, "label": floats(float(NUMBERS[row][0])), **others})


def test_a_picture_of_records_goes_in(dlcli: Command, work: Path) -> None:
    (work / "shards").mkdir()
    for shard in range(2):
        (work / "shards" / f"own.tfrecord-{shard}").write_bytes(framed(MESSAGES[20 * shard :][:20]))
    text, spec = written(dlcli, "shards")
    source = spec["dataset"]["source"]["tfrecord"]
    assert source == {"path": "shards", "features": {"image": {"encoding": "image", "size": [8, 8]}}, "target": "label"}
    assert "label    is asked for: classes, 3: 0 14, 1 13, 2 13" in text
    assert spec["model"]["layers"][-1] == {"Dense": {"units": 3, "activation": "softmax"}}
    assert dlcli("init", "--data", "shards").code == 0
    assert dlcli("check", "--strict", "shards.yaml").code == 0


def test_numbers_of_records_go_in_together(dlcli: Command, work: Path) -> None:
    (work / "own.tfrecords").write_bytes(framed([numbers_of(row % 40) for row in range(200)]))
    text, spec = written(dlcli, "own.tfrecords")
    source = spec["dataset"]["source"]["tfrecord"]
    assert source["features"] == {"input_1": {"feature": "more/a"}, "numbers": {}}
    assert spec["model"]["layers"][0] == {"Concatenate": {}, "inputs": ["input_1", "numbers"]}
    assert (spec["dataset"]["labels"], spec["train"]["monitor"]) == ("standardized", "loss")
    assert "colour   left out: 4 bytes" in text
    assert dlcli("init", "--data", "own.tfrecords").out == "own.yaml\n"
    assert dlcli("check", "--strict", "own.yaml").code == 0
    _, named = written(dlcli, "own.tfrecords", "--target", "colour")
    assert named["model"]["layers"][-1] == {"Dense": {"units": 3, "activation": "softmax"}}


@pytest.mark.parametrize(
    ("features", "arguments", "code", "said"),
    [
        ({"label": whole(1)}, [], 3, "every record has the same `label`, 1"),
        ({"label": None}, [], 2, "which feature is the model to tell?"),
        ({}, ["--target", "lable"], 2, "Did you mean `label`?"),
        ({"label": bytes_of(b"a")}, ["--task", "number"], 3, "every record has the same"),
        ({"numbers": None, "more/a": None}, [], 3, "no feature of numbers, and none that is a picture"),
    ],
)
def test_records_that_say_too_little_are_told(
    features: dict[str, Any], arguments: list[str], code: int, said: str, dlcli: Command, work: Path
) -> None:
    (work / "own.tfrecord").write_bytes(framed([numbers_of(row, **features) for row in range(40)]))
    done = dlcli("init", "--data", "own.tfrecord", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err


def test_films_of_every_kind_are_described(dlcli: Command, work: Path) -> None:
    two_classes(work / "films")
    for number in range(12):
        np.save(work / "films" / "down" / f"{number}.npy", FILM)
        write_gif(work / "films" / "up" / f"{number}.gif", FILM[:5])
    text, spec = written(dlcli, "films")
    assert spec["dataset"]["source"] == {"video": {"path": "films", "frames": 7, "size": [9, 8]}}
    assert "classes  2: down 14, up 13" in text
    assert "4 to 11 in a film" in text
    assert dlcli("init", "--data", "films").code == 0
    assert dlcli("check", "--strict", "films.yaml").code == 0


def test_films_that_cannot_be_read_are_told(dlcli: Command, work: Path) -> None:
    for name in ("up", "down"):
        write_frames(work / "films" / name / "one", FILM)
    (work / "films" / "down" / "one" / "frame0.png").write_bytes(b"x")
    done = dlcli("init", "--data", "films")
    assert done.code == 3
    assert "films/down/one is not a film that can be read: its frame frame0.png is no image" in done.err
