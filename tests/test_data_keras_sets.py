"""Where the sets that Keras knows are looked for."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dlcli.data import keras_cache
from dlcli.data.keras_cache import UnreachableError
from dlcli.data.sources import load_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar
from tests.conftest import seconds_here
from tests.data_helpers import NOT_THERE, arrays, assert_holds, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


class TestPlaces:
    def test_folders_are_searched_in_their_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = {}
        for place in ("given", "environment", "keras/datasets"):
            (tmp_path / place).mkdir(parents=True)
            content[place] = arrays(train=10 + len(place))
            np.savez(tmp_path / place / "mnist.npz", **content[place])
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
        assert_holds(load_dataset(grammar.Mnist()), content["keras/datasets"])
        monkeypatch.setenv("DLCLI_DATA_DIR", str(tmp_path / "environment"))
        assert_holds(load_dataset(grammar.Mnist()), content["environment"])
        assert_holds(load_dataset(grammar.Mnist(), data_dir=tmp_path / "given"), content["given"])

    def test_keras_cache_in_the_home_folder(self, tmp_path: Path) -> None:
        cache = tmp_path / "home" / ".keras" / "datasets"
        cache.mkdir(parents=True)
        np.savez(cache / "mnist.npz", **arrays())
        dataset = load_dataset(grammar.Mnist(), allow_download=False)
        assert dataset.origin.startswith(str(cache / "mnist.npz"))

    def test_given_folder_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is not a folder") as caught:
            load_dataset(grammar.Mnist(), fallback=grammar.Digits(), data_dir=tmp_path / "absent")
        assert not isinstance(caught.value, UnreachableError)

    def test_part_of_a_set_is_said(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "mnist.npz", **arrays())
        said: list[str] = []
        dataset = load_dataset(grammar.Mnist(), data_dir=tmp_path, notify=said.append)
        assert len(said) == 1
        assert "30 of the 70,000 images (20 for training, 10 for test)" in said[0]
        assert "30 of the 70,000 images" in dataset.origin


class TestUnreachable:
    def test_message_says_where_and_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DLCLI_DATA_DIR", str(tmp_path))
        with pytest.raises(UnreachableError) as caught:
            load_dataset(grammar.Mnist())
        assert str(tmp_path) in caught.value.message
        assert NOT_THERE in caught.value.message
        assert caught.value.hint is not None
        for word in ("mnist.npz", "--data-dir", "DLCLI_DATA_DIR", "fallback: digits"):
            assert word in caught.value.hint

    def test_no_ten_class_fallback_is_suggested_for_cifar100(self) -> None:
        with pytest.raises(UnreachableError) as caught:
            load_dataset(grammar.Cifar100())
        assert "digits" not in str(caught.value.hint)

    def test_download_can_be_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keras_cache, "probe", lambda url: pytest.fail("the network was asked"))
        with pytest.raises(UnreachableError, match="switched off"):
            load_dataset(grammar.FashionMnist(), allow_download=False)

    def test_fallback_stands_in_loudly(self) -> None:
        said: list[str] = []
        dataset = load_dataset(grammar.Mnist(), fallback=grammar.Digits(), notify=said.append)
        assert (dataset.source, dataset.requested) == ("digits", "mnist")
        assert dataset.reason is not None
        assert NOT_THERE in dataset.reason
        assert dataset.example_shape == (28, 28)
        assert dataset.train.inputs.dtype == np.uint8
        assert len(dataset.train) == 1797
        assert said == []  # the data set itself tells; whoever shows it does so once

    def test_real_network_answers_or_fails_within_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()  # the real probe
        start = time.monotonic()
        reason = keras_cache.probe("https://nothing.invalid/mnist.npz")  # RFC 6761: never resolves
        assert time.monotonic() - start < seconds_here(10)
        assert reason is not None
        assert "nothing.invalid" in reason

    def test_name_server_that_never_answers_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        over = threading.Event()

        def wait(*args: object, **kwargs: object) -> None:
            over.wait(60)
            raise OSError

        monkeypatch.setattr(socket, "create_connection", wait)
        start = time.monotonic()
        assert "does not answer" in str(keras_cache.probe("https://nothing.invalid/", seconds=0.2))
        assert time.monotonic() - start < seconds_here(10)
        over.set()

    def test_host_that_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert keras_cache.probe(f"http://127.0.0.1:{port}/") is None
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            assert keras_cache.probe("https://nothing.invalid/") is None  # it is the proxy that is asked
