"""CIFAR's pickles: read from folders and archives, refused where they would run something."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.sources import load_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar
from tests.data_helpers import arrays, assert_holds, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


class Harmful:
    """What a pickle made to do harm holds: loading it with plain `pickle` makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


class TestBatches:
    """CIFAR's pickles, in a folder and in an archive."""

    @staticmethod
    def _batches(content: dict[str, Any], *, hundred: bool = False) -> dict[str, Any]:
        """The batches as the originals are made: bytes as keys, channels first, labels in a list."""

        def batch(part: str, start: int, stop: int) -> dict[bytes, Any]:
            images = content[f"x_{part}"][start:stop].transpose(0, 3, 1, 2).reshape(-1, 3072)
            labels = content[f"y_{part}"][start:stop].tolist()
            return {b"data": images, b"fine_labels" if hundred else b"labels": labels, b"coarse_labels": labels[::-1]}

        if hundred:
            return {"train": batch("train", 0, 20), "test": batch("test", 0, 10)}
        parts = {f"data_batch_{number}": batch("train", 4 * number - 4, 4 * number) for number in range(1, 6)}
        return {**parts, "test_batch": batch("test", 0, 10)}

    @staticmethod
    def _write_folder(folder: Path, batches: dict[str, Any], protocol: int = 2) -> None:
        folder.mkdir(parents=True)
        for name, batch in batches.items():
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))

    @staticmethod
    def _write_archive(path: Path, batches: dict[str, Any]) -> None:
        with tarfile.open(path, "w:gz") as archive:
            for name, batch in reversed(batches.items()):  # the original archive is in no order either
                content = pickle.dumps(batch, protocol=2)
                member = tarfile.TarInfo(f"cifar/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    @pytest.mark.parametrize("layout", ["", "cifar-10-batches-py-target"])
    def test_folder(self, tmp_path: Path, layout: str, protocol: int) -> None:
        content = arrays((32, 32, 3))
        folder = tmp_path / layout / "cifar-10-batches-py"
        self._write_folder(folder, self._batches(content), protocol)
        dataset = load_dataset(grammar.Cifar10(), data_dir=tmp_path)
        assert_holds(dataset, content)
        assert dataset.origin.startswith(str(folder))

    def test_numpy_1_spelling(self, tmp_path: Path) -> None:
        content = arrays((32, 32, 3))
        self._write_folder(tmp_path / "cifar-10-batches-py", self._batches(content))
        for path in (tmp_path / "cifar-10-batches-py").iterdir():
            old = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            assert b"numpy.core.multiarray" in old
            path.write_bytes(old)
        assert_holds(load_dataset(grammar.Cifar10(), data_dir=tmp_path), content)

    def test_archive_is_read_in_place(self, tmp_path: Path) -> None:
        content = arrays((32, 32, 3))
        self._write_archive(tmp_path / "cifar-10-python.tar.gz", self._batches(content))
        assert_holds(load_dataset(grammar.Cifar10(), data_dir=tmp_path), content)
        assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]

    def test_cifar100_reads_the_fine_labels(self, tmp_path: Path) -> None:
        content = arrays((32, 32, 3))
        content["y_train"] = np.arange(80, 100)
        self._write_archive(tmp_path / "cifar-100-python.tar.gz", self._batches(content, hundred=True))
        dataset = load_dataset(grammar.Cifar100(), data_dir=tmp_path)
        assert_holds(dataset, content)
        assert dataset.class_names is not None
        assert len(set(dataset.class_names)) == 100

    @pytest.mark.parametrize("form", ["folder", "archive"])
    def test_harmful_pickle_is_refused_and_runs_nothing(self, tmp_path: Path, form: str) -> None:
        made = tmp_path / "made by the pickle"
        batches = self._batches(arrays((32, 32, 3)))
        batches["data_batch_3"][b"data"] = Harmful(made)
        pickle.loads(pickle.dumps(batches["data_batch_3"]))
        made.rmdir()  # it was there: plain pickle runs it
        if form == "folder":
            self._write_folder(tmp_path / "cifar-10-batches-py", batches)
        else:
            self._write_archive(tmp_path / "cifar-10-python.tar.gz", batches)
        with pytest.raises(DataError, match=r"data_batch_3 is refused: it asks for (posix|nt)\.mkdir"):
            load_dataset(grammar.Cifar10(), fallback=grammar.Digits(), data_dir=tmp_path)
        assert not made.exists()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({b"data": np.zeros((4, 3072))}, "`data` should be uint8"),
            ({b"data": np.zeros((4, 3071), np.uint8)}, r"\(4, 3071\)"),
            ({b"labels": [0, 1, 2, 10]}, "0 to 9, but go from 0 to 10"),
            ({b"labels": [0, 1, 2, 2**70]}, "far beyond"),
            ({b"labels": b"abcd"}, "list of whole numbers"),
            ({b"labels": [0, 1, 2]}, "20 images and 19 labels"),
        ],
    )
    def test_wrong_content(self, tmp_path: Path, change: dict[bytes, Any], message: str) -> None:
        batches = self._batches(arrays((32, 32, 3)))
        batches["data_batch_2"].update(change)
        self._write_folder(tmp_path / "cifar-10-batches-py", batches)
        with pytest.raises(DataError, match=message):
            load_dataset(grammar.Cifar10(), data_dir=tmp_path)

    def test_truncated(self, tmp_path: Path) -> None:
        batches = self._batches(arrays((32, 32, 3)))
        archive = tmp_path / "cifar-10-python.tar.gz"
        self._write_archive(archive, batches)
        archive.write_bytes(archive.read_bytes()[:-3000])
        with pytest.raises(DataError, match="damaged"):
            load_dataset(grammar.Cifar10(), data_dir=tmp_path)
        self._write_folder(tmp_path / "cifar-10-batches-py", batches)
        batch = tmp_path / "cifar-10-batches-py" / "data_batch_4"
        batch.write_bytes(batch.read_bytes()[:500])
        with pytest.raises(DataError, match="data_batch_4 is damaged"):
            load_dataset(grammar.Cifar10(), data_dir=tmp_path)

    def test_archive_without_a_batch(self, tmp_path: Path) -> None:
        batches = self._batches(arrays((32, 32, 3)))
        del batches["data_batch_5"]
        self._write_archive(tmp_path / "cifar-10-python.tar.gz", batches)
        with pytest.raises(DataError, match="has no data_batch_5"):
            load_dataset(grammar.Cifar10(), data_dir=tmp_path)
