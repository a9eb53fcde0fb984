"""Reading npz archives, idx files and class folders: real ones, small ones of the same form, and damaged ones."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.keras_cache import UnreachableError
from dlcli.data.keras_sets import IMAGE_SETS
from dlcli.data.sources import load_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar
from tests.data_helpers import REAL_DATA, arrays, assert_holds, needs_real_data, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


class TestNpz:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"x_train": arrays()["x_train"].astype(np.float32)}, r"train: the images should be uint8 .* are float32"),
            ({"x_test": arrays((8, 8))["x_test"]}, r"test: the images .*\(n, 28, 28\).* \(10, 8, 8\)"),
            ({"y_train": np.arange(19) % 10}, "20 images and 19 labels"),
            ({"y_train": np.arange(20)}, "should be 0 to 9, but go from 0 to 19"),
            ({"y_test": np.zeros(10)}, "labels should be whole numbers"),
            ({"y_test": np.array([None] * 10)}, "allow_pickle=False"),
            ({"x_train": None}, "has no x_train; it has y_train"),
            ({"x_train": arrays()["x_train"][:0], "y_train": np.zeros(0, np.uint8)}, "0 images"),
        ],
    )
    def test_wrong_content(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        content = {key: value for key, value in {**arrays(), **change}.items() if value is not None}
        np.savez(tmp_path / "mnist.npz", **content)
        with pytest.raises(DataError, match=message) as caught:
            load_dataset(grammar.Mnist(), fallback=grammar.Digits(), data_dir=tmp_path)
        assert str(tmp_path / "mnist.npz") in caught.value.message
        assert caught.value.hint
        assert not isinstance(caught.value, UnreachableError)

    @pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
    def test_truncated(self, tmp_path: Path, kept: float) -> None:
        path = tmp_path / "mnist.npz"
        np.savez_compressed(path, **arrays())
        content = path.read_bytes()
        path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
        with pytest.raises(DataError, match=r"mnist\.npz is damaged"):
            load_dataset(grammar.Mnist(), fallback=grammar.Digits(), data_dir=tmp_path)

    def test_flipped_byte_fails_the_archive_checksum(self, tmp_path: Path) -> None:
        path = tmp_path / "mnist.npz"
        np.savez(path, **arrays())
        content = bytearray(path.read_bytes())
        content[2000] ^= 1  # among the stored pixels of x_train
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            load_dataset(grammar.Mnist(), data_dir=tmp_path)

    @pytest.mark.parametrize("source", [grammar.FashionMnist(), grammar.Cifar10(), grammar.Cifar100()])
    def test_other_sets(self, tmp_path: Path, source: grammar.Source) -> None:
        assert source.shape is not None
        content = arrays(source.shape)
        content["y_train"] = content["y_train"][:, None]  # as Keras's CIFAR labels are
        np.savez(tmp_path / f"{source.name}.npz", **content)
        dataset = load_dataset(source, data_dir=tmp_path)
        assert_holds(dataset, content)
        assert dataset.class_names == IMAGE_SETS[source.name].class_names

    @needs_real_data
    def test_real_mnist(self) -> None:
        said: list[str] = []
        dataset = load_dataset(grammar.Mnist(), data_dir=Path(str(REAL_DATA)), notify=said.append)
        assert said == []
        assert dataset.test is not None
        assert dataset.train.inputs.shape == (60_000, 28, 28)
        assert dataset.test.inputs.shape == (10_000, 28, 28)
        assert dataset.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
        assert dataset.train.inputs.mean() == pytest.approx(33.318, abs=0.001)  # the well-known 0.1307 of 255
        assert dataset.fingerprint == fingerprint_of(dataset.train, dataset.test)


def write_idx(path: Path, array: np.ndarray, *, shape: tuple[int, ...] | None = None) -> None:
    shape = array.shape if shape is None else shape
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


class TestIdx:
    @staticmethod
    def _write(folder: Path, content: dict[str, Any]) -> None:
        folder.mkdir()
        for ours, theirs in (("train", "train"), ("test", "t10k")):
            write_idx(folder / f"{theirs}-images-idx3-ubyte.gz", content[f"x_{ours}"])
            write_idx(folder / f"{theirs}-labels-idx1-ubyte.gz", content[f"y_{ours}"])

    def test_four_files(self, tmp_path: Path) -> None:
        content = arrays(train=3000)  # more than one chunk of decompressing
        self._write(tmp_path / "fashion-mnist", content)
        assert_holds(load_dataset(grammar.FashionMnist(), data_dir=tmp_path), content)

    def test_missing_file(self, tmp_path: Path) -> None:
        self._write(tmp_path / "fashion-mnist", arrays())
        (tmp_path / "fashion-mnist" / "train-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(DataError, match="no train-labels-idx1"):
            load_dataset(grammar.FashionMnist(), data_dir=tmp_path)

    @pytest.mark.parametrize("rows", [19, 21])
    def test_length_that_differs_from_the_header(self, tmp_path: Path, rows: int) -> None:
        content = arrays()
        self._write(tmp_path / "fashion-mnist", content)
        images = tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz"
        write_idx(images, content["x_train"], shape=(rows, 28, 28))
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz (ends after|is longer than)"):
            load_dataset(grammar.FashionMnist(), data_dir=tmp_path)

    def test_truncated_file(self, tmp_path: Path) -> None:
        self._write(tmp_path / "fashion-mnist", arrays())
        images = tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz"
        images.write_bytes(images.read_bytes()[:-20])
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is damaged"):
            load_dataset(grammar.FashionMnist(), data_dir=tmp_path)


class TestClassFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Two pictures a class for training and one for test; the first pixel's red is the class number."""
        for part, count in (("train", 2), ("test", 1)):
            for number, name in enumerate(IMAGE_SETS["cifar10"].class_names):
                (tmp_path / "cifar10" / part / name).mkdir(parents=True)
                for index in range(count):
                    picture = Image.new("RGB", (32, 32), (number, 100 + index, 200))
                    picture.save(tmp_path / "cifar10" / part / name / f"{index}.png")
        return tmp_path

    def test_pictures(self, folder: Path) -> None:
        (folder / "cifar10" / "train" / "cat" / "notes.txt").write_text("not a picture")
        said: list[str] = []
        dataset = load_dataset(grammar.Cifar10(), data_dir=folder, notify=said.append)
        assert dataset.test is not None
        assert dataset.train.inputs.shape == (20, 32, 32, 3)
        np.testing.assert_array_equal(dataset.train.targets, np.repeat(np.arange(10), 2))
        np.testing.assert_array_equal(dataset.train.inputs[:, 0, 0, 0], dataset.train.targets)
        np.testing.assert_array_equal(dataset.test.inputs[:, 31, 31, 0], np.arange(10))
        np.testing.assert_array_equal(dataset.train.inputs[:2, 0, 0, 1], [100, 101])
        assert "30 of the 60,000 images" in said[0]
        assert dataset.origin == f"{folder / 'cifar10'} (30 of the 60,000 images)"

    def test_grey_picture_becomes_colour(self, folder: Path) -> None:
        Image.new("L", (32, 32), 7).save(folder / "cifar10" / "train" / "dog" / "0.png")
        dataset = load_dataset(grammar.Cifar10(), data_dir=folder)
        assert dataset.train.inputs[10, 0, 0].tolist() == [7, 7, 7]

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda path: Image.new("RGB", (31, 32)).save(path), "31×32 pixels, not 32×32"),
            (lambda path: path.write_bytes(path.read_bytes()[:60]), "not a readable picture"),
            (lambda path: path.write_bytes(b""), "not a readable picture"),
        ],
    )
    def test_bad_picture_is_named(self, folder: Path, damage: Callable[[Path], Any], message: str) -> None:
        path = folder / "cifar10" / "train" / "frog" / "1.png"
        damage(path)
        with pytest.raises(DataError, match=message) as caught:
            load_dataset(grammar.Cifar10(), fallback=grammar.Digits(), data_dir=folder)
        assert str(path) in caught.value.message

    def test_folders_must_be_the_classes(self, folder: Path) -> None:
        (folder / "cifar10" / "train" / "cat").rename(folder / "cifar10" / "train" / "lynx")
        with pytest.raises(DataError, match="missing or unknown: cat, lynx"):
            load_dataset(grammar.Cifar10(), data_dir=folder)

    def test_class_without_pictures(self, folder: Path) -> None:
        (folder / "cifar10" / "test" / "ship" / "0.png").unlink()
        with pytest.raises(DataError, match="ship has no pictures"):
            load_dataset(grammar.Cifar10(), data_dir=folder)

    @needs_real_data
    def test_real_part_of_cifar10(self) -> None:
        said: list[str] = []
        dataset = load_dataset(grammar.Cifar10(), data_dir=Path(str(REAL_DATA)), notify=said.append)
        assert dataset.test is not None
        np.testing.assert_array_equal(np.bincount(dataset.train.targets), np.full(10, 500))
        np.testing.assert_array_equal(np.bincount(dataset.test.targets), np.full(10, 100))
        assert dataset.train.inputs.dtype == np.uint8
        assert 110 < dataset.train.inputs.mean() < 130  # CIFAR-10's own mean is 121
        assert "6,000 of the 60,000 images" in said[0]
