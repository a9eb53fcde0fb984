"""Pictures that stay in their files, or in a file of decoded ones: the same bits as in memory, and little of it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data import image_cache, image_cache_age, image_files, image_reading
from dlcli.data.fingerprint import have_changed
from dlcli.data.from_images import load_images
from dlcli.data.image_decoding import Form
from dlcli.data.image_files import Pictures
from dlcli.data.image_reader import PICTURES
from dlcli.data.looking import restore_reader
from dlcli.data.stored import InFile
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.loading import load_spec
from dlcli.spec.sources_images import Images
from dlcli.training import engine, feeding
from dlcli.training.feeding import Pace, Rows, Streamed
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, run_quietly, shipped_catalogue, thorough
from tests.killing import compare, outcome
from tests.test_images import COLOURS, RED, _truncated, array, class_folders, load, write_spec

SOURCE = "{path: photos, size: [10, 12], fit: crop, %s}"
SPLITS = "validation: 0.2\n  test: 0.2\n  augment: [RandomFlip: {mode: horizontal}]"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dlcli"


@pytest.fixture
def little_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little that even a few pictures are read in several goes."""
    monkeypatch.setattr(feeding, "_BYTES_READ", 0)
    monkeypatch.setattr(feeding, "_LEAST_READ", 5)
    monkeypatch.setattr(image_cache, "_BYTES_AT_ONCE", 0)
    monkeypatch.setattr(image_cache, "_LEAST_AT_ONCE", 7)


def look_at(folder: Path, source: str) -> Any:
    """The data of a spec as `dlcli check` sees it."""
    loaded = load_spec(write_spec(folder, source, "test: 0"), shipped_catalogue())
    images = loaded.spec.dataset.source
    assert isinstance(images, Images)
    return load_images(loaded, images, Where(None, False, lambda text: None, only_looks=True), [folder], None)[0]


def trained(folder: Path, how: str, name: str) -> Path:
    spec = write_spec(folder, SOURCE % how, SPLITS)
    assert run_quietly("train", spec, "--runs-dir", folder / "runs", "--run-name", name, "-q") == 0
    return folder / "runs" / "pictures" / name


@pytest.mark.usefixtures("little_at_once")
@thorough
def test_pictures_come_to_the_same_bits_wherever_they_are(tmp_path: Path, dlcli: Command) -> None:
    class_folders(tmp_path / "photos", each=9, size=(24, 20), suffix="jpg")
    held = trained(tmp_path, "stream: false", "held")
    streamed = trained(tmp_path, "stream: true", "streamed")
    kept = trained(tmp_path, "stream: true, cache: true", "kept")
    assert not compare(outcome(held), outcome(streamed))
    assert not compare(outcome(held), outcome(kept))
    prints = [json.loads((run / "run.json").read_text())["data"]["fingerprint"] for run in (held, streamed, kept)]
    assert [each.startswith("sampled-") for each in prints] == [False, True, True]
    assert prints[1] == prints[2]
    # The checkpoint elsewhere, and nothing else left of the run.
    shutil.move(streamed / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    shutil.rmtree(tmp_path / "runs" / "pictures" / "streamed")
    figures = [dlcli("evaluate", place, "--json").json["metrics"] for place in (tmp_path / "moved.h5", held)]
    assert figures[0] == figures[1]
    shutil.move(tmp_path / "photos", tmp_path / "later")
    predictions = [
        dlcli("predict", place, tmp_path / "later", "--json").json for place in (tmp_path / "moved.h5", held)
    ]
    assert predictions[0] == predictions[1]
    assert len(predictions[0]) == 27


@pytest.mark.usefixtures("little_at_once")
def test_a_stopped_run_comes_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "photos", each=9, suffix="jpg")
    whole = trained(tmp_path, "stream: true", "whole")
    looks, stop = 0, 5

    def is_asked(request: StopRequest) -> bool:
        nonlocal looks
        looks += 1
        return looks >= stop

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "is_asked", property(is_asked))
        spec = tmp_path / "pictures.yaml"
        assert run_quietly("train", spec, "--runs-dir", tmp_path / "runs", "--run-name", "stopped", "-q") == 143
    stopped = tmp_path / "runs" / "pictures" / "stopped"
    monkeypatch.setattr(feeding, "_LEAST_READ", 11)  # how much is read at once is no matter
    kept = ("--set", "dataset.source.images.cache=true")  # nor is where they are
    assert run_quietly("train", "--resume", stopped, *kept, "-q") == 0
    assert not compare(outcome(whole), outcome(stopped))


def test_any_pictures_are_decoded_in_any_order(tmp_path: Path) -> None:
    files = PICTURES.below(class_folders(tmp_path / "photos", each=5), None)
    pictures = Pictures(tmp_path, files, Form((12, 10), "rgb", "resize"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    assert (len(pictures), pictures.shape, pictures.dtype, pictures.nbytes) == (
        15,
        pixels.shape,
        "uint8",
        pixels.nbytes,
    )
    for chosen in (np.array([14, 0, 0, 7]), np.empty(0, np.int64), slice(3, 9), np.arange(15)):
        np.testing.assert_array_equal(pictures[chosen], pixels[chosen])
    np.testing.assert_array_equal(pictures.whole(), pixels)


def test_only_a_few_pictures_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = PICTURES.below(class_folders(tmp_path / "photos", each=4), None) * 50
    monkeypatch.setattr(feeding, "_BYTES_READ", 20 * 360)
    monkeypatch.setattr(feeding, "_LEAST_READ", 1)
    alive = most = 0
    original = image_files.read_pictures

    def read_pictures(paths: Any, form: Form) -> Any:
        nonlocal alive, most

        def gone(count: int) -> None:
            nonlocal alive
            alive -= count

        read = original(paths, form)
        alive += len(paths)
        most = max(most, alive)
        weakref.finalize(read.images, gone, len(paths))
        return read

    monkeypatch.setattr(image_files, "read_pictures", read_pictures)
    data = Streamed(Pictures(tmp_path, files, Form((12, 10), "rgb", "resize")), np.arange(600))
    order = data.shuffled(np.arange(600), seed=1, epoch=2)
    seen = [np.asarray(block.tensors[1]) for block in data.blocks(order, 8, Pace(1))]
    gc.collect()
    assert np.array_equal(np.concatenate(seen), order)
    assert np.array_equal(order, np.random.default_rng([1, 2]).permutation(600))  # as if they were in memory
    assert most <= 60  # what is used, what comes next, and what is being read: 20 each


@pytest.mark.parametrize(("size", "expected"), [((32, 32), 256), ((224, 224), 111), ((1500, 2000), 32)])
def test_of_large_pictures_fewer_are_evaluated_at_a_time(tmp_path: Path, size: tuple[int, int], expected: int) -> None:
    pictures = Pictures(tmp_path, [tmp_path / "a.jpg"], Form(size, "rgb", "resize"))
    assert engine._evaluated_at_once(Rows(Streamed(pictures, np.zeros(1)), np.arange(1))) == expected


def test_what_does_not_fit_stays_in_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = class_folders(tmp_path / "photos", each=4)
    held, _, _ = load(tmp_path, "{path: photos}")
    monkeypatch.setattr(image_files, "available_memory", lambda: 1000)
    dataset, _, told = load(tmp_path, "{path: photos}")
    assert "12 images of 12×10 pixels are 4.3 kB, more than half of the 1.0 kB" in told[0]
    assert isinstance(dataset.train.inputs, Pictures)
    np.testing.assert_array_equal(dataset.train.inputs[:], array(held.train.inputs))
    assert not have_changed(held.fingerprint, dataset.fingerprint)  # nothing can be said
    assert dataset.reader is not None
    reader = restore_reader(json.loads(json.dumps(dataset.reader.state())))
    found, names = reader.raw_inputs([root])
    assert isinstance(found, Pictures)
    assert (names[0], len(found)) == ("blue/0.png", 12)
    (root / "red" / "9.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"9.png is not an image that can be read: the file is empty"):
        reader.raw_inputs([root])
    monkeypatch.undo()  # there is memory again; but in training there was none
    again, _, _ = load(tmp_path, "{path: photos, corrupt: skip}", reader=reader)  # type: ignore[arg-type]
    assert isinstance(again.train.inputs, Pictures)


def test_headers_tell_what_they_can(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=4, suffix="jpg")
    for change in (lambda: picture_of_another_size(root), lambda: (root / "red" / "1.jpg").write_bytes(b"")):
        change()
        for source in ("{path: photos}", "{path: photos, stream: true}"):
            with pytest.raises(DataError, match=r"9.jpg is 20×14 pixels|1.jpg is not an image") as in_memory:
                load(tmp_path, source)
            with pytest.raises(DataError) as looked:
                look_at(tmp_path, source)
            assert looked.value.message == in_memory.value.message
        (root / "red" / "9.jpg").unlink(missing_ok=True)


def picture_of_another_size(root: Path) -> None:
    RED.resize((14, 20)).save(root / "red" / "9.jpg")


def test_a_truncated_picture_is_found_in_training(tmp_path: Path, dlcli: Command) -> None:
    root = class_folders(tmp_path / "photos", each=6)
    _truncated(root)
    assert len(look_at(tmp_path, "{path: photos}").train) == 18
    spec = write_spec(tmp_path, "{path: photos, stream: true}", "test: 0")
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs", "-q")
    assert done.code == 3
    said = " ".join(done.err.split())
    assert f"{root}/red/0.png is not an image that can be read" in said
    assert "`corrupt: skip`" in said
    [record] = (tmp_path / "runs" / "pictures").glob("2*/run.json")
    assert json.loads(record.read_text())["state"] == "failed"


def test_what_is_skipped_is_known_before_the_first_epoch(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=3)
    _truncated(root)
    (root / "blue" / "1.png").write_bytes(b"")
    held, splits, told = load(tmp_path, "{path: photos, corrupt: skip}")
    for how in ("stream: true", "stream: true, cache: true", "stream: false, cache: true", "cache: true"):
        dataset, its_splits, its_told = load(tmp_path, f"{{path: photos, corrupt: skip, {how}}}")
        assert told[0] in its_told
        np.testing.assert_array_equal(array(dataset.train.inputs)[:], array(held.train.inputs))
        np.testing.assert_array_equal(array(dataset.train.targets), array(held.train.targets))
        np.testing.assert_array_equal(its_splits.train.indices, splits.train.indices)
    with pytest.raises(DataError, match="Nor are 1 others"):
        load(tmp_path, "{path: photos, cache: true}")  # also where it is known already
    assert len(look_at(tmp_path, "{path: photos, corrupt: skip}").train) == 8


def test_the_fingerprint_of_pictures_in_files_tells_changes(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    first = load(tmp_path, "{path: photos, stream: true}")[0].fingerprint
    (root / "red" / "list.txt").write_text("no picture")
    shutil.move(root, tmp_path / "moved")
    assert load(tmp_path, "{path: moved, stream: true}")[0].fingerprint == first
    os.utime(tmp_path / "moved" / "red" / "0.png")
    assert have_changed(first, load(tmp_path, "{path: moved, stream: true}")[0].fingerprint)


@pytest.mark.usefixtures("little_at_once")
def test_the_second_time_nothing_is_decoded(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, each in (("train", 6), ("test", 2)):
        class_folders(tmp_path / "photos" / name, each=each)
    held, _, _ = load(tmp_path, "{path: photos}")
    source = "{path: photos, stream: true, cache: true}"
    first, _, told = load(tmp_path, source)
    assert len(told) == 2
    files = sorted(cache.glob("*.npy"))
    assert str(files[0]) in told[0] + told[1]
    assert sorted(map(len, map(np.load, files))) == [6, 18]
    for dataset in (first, load(tmp_path, source)[0]):
        assert isinstance(dataset.train.inputs, InFile)
        order = np.random.default_rng(0).permutation(18)
        np.testing.assert_array_equal(dataset.train.inputs[order], array(held.train.inputs)[order])

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "read_pictures", never)
        patch.setattr(image_reading, "read_picture", never)
        again, _, told = load(tmp_path, "{path: photos, cache: true}")
        assert told == []
        assert again.fingerprint == held.fingerprint
        with pytest.raises(AssertionError):
            load(tmp_path, "{path: photos, cache: true, color: grayscale}")
        os.utime(tmp_path / "photos" / "train" / "red" / "0.png")
        with pytest.raises(AssertionError):
            load(tmp_path, source)
    [file] = (file for file in files if len(np.load(file)) == 6)
    os.truncate(file, 200)
    file.with_name(f".{file.stem}.1.part.npy").write_bytes(b"left by one who was killed")
    load(tmp_path, source)
    load(tmp_path, "{path: photos, cache: true, color: grayscale}")
    assert not list(cache.glob(".*.part.npy"))


def test_decoded_pictures_that_are_out_of_date_are_removed_unless_somebody_reads_them(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: dict[Path, int] = {}
    monkeypatch.setattr(image_cache_age, "_HELD", held)
    root, sources = (
        class_folders(tmp_path / "photos", each=2),
        ("{path: photos, cache: true}", "{path: o, cache: true}"),
    )
    shutil.copytree(root, tmp_path / "o")
    kept = load(tmp_path, sources[1]) and next(iter(held))
    for step, is_read in enumerate((False, True)):
        load(tmp_path, "{path: photos, cache: true, color: grayscale}")
        load(tmp_path, sources[0])
        before = set(cache.glob("*.npy"))
        if not is_read:
            for path in set(held) - {kept}:
                os.close(held.pop(path))
        os.utime(root / "red" / "0.png", (step, step))
        _, _, told = load(tmp_path, sources[0])
        gone = before - set(cache.glob("*.npy"))
        assert gone == (set() if is_read else before - {kept})
        assert len([line for line in told if "have changed" in line]) == len(gone)
        assert all(not path.with_suffix(".json").exists() for path in gone)
    for file in held.values():
        os.close(file)


def test_where_nothing_can_be_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "photos", each=2)
    source = "{path: photos, cache: true}"
    look_at(tmp_path, source)
    assert not cache.exists()  # nothing is decoded for a look
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 0, 10))  # type: ignore[attr-defined]
        with pytest.raises(DataError, match=r"take 2.2 kB, but .* has 10 bytes free") as caught:
            load(tmp_path, source)
    assert "XDG_CACHE_HOME" in str(caught.value.hint)
    shutil.rmtree(cache)
    cache.write_text("no folder")
    with pytest.raises(DataError, match="cannot be made: File exists"):
        load(tmp_path, source)


def test_data_tells_of_pictures_in_files(tmp_path: Path, dlcli: Command) -> None:
    class_folders(tmp_path / "photos", each=4)
    shutil.copy(tmp_path / "photos" / "red" / "0.png", tmp_path / "photos" / "red" / "9.png")
    told = {}
    for stream in ("true", "false"):
        spec = write_spec(tmp_path, f"{{path: photos, stream: {stream}}}")
        done = dlcli("data", spec, "--json", "--plot", tmp_path / f"{stream}.png")
        assert done.code == 0, done.err
        told[stream] = done.json
    assert told["true"] == told["false"]
    with Image.open(tmp_path / "true.png") as one, Image.open(tmp_path / "false.png") as other:
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert len(told["true"]["targets"]["target"]["classes"]["train"]) == len(COLOURS)
