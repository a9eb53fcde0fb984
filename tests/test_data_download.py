"""Downloads, of a set that is asked for and by `dlcli data fetch`, from a server in this process."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dlcli.data import keras_cache
from dlcli.data.download import Remote
from dlcli.data.keras_cache import DOWNLOADS, UnreachableError
from dlcli.data.sources import load_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar
from tests.conftest import Command
from tests.data_helpers import NOT_THERE, arrays, assert_holds, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


class Server:
    """Gives out `files`, by their names; of those in `short`, only the beginning."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.short: set[str] = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                if name not in outer.files:
                    self.send_error(404, "Not Found")
                    return
                content = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name in outer.short else content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def offer(self, place: str, content: bytes, *, digest: str | None = None) -> Remote:
        name = place.rpartition("/")[2]
        self.files[name] = content
        url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        return Remote(place, url, digest or hashlib.sha256(content).hexdigest())

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(keras_cache, "probe", lambda url: None)
    made = Server()
    yield made
    made.close()


Offer = Callable[..., None]


@pytest.fixture
def offered(server: Server, monkeypatch: pytest.MonkeyPatch) -> Offer:
    def offer(name: str, *remotes: Remote) -> None:
        monkeypatch.setitem(DOWNLOADS, name, remotes)

    return offer


def mnist_bytes(folder: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "mnist.npz", **arrays())
    return (folder / "mnist.npz").read_bytes()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_addresses_and_digests_are_keras_s() -> None:
    found = importlib.util.find_spec("keras")
    assert found is not None
    folder = Path(str(found.origin)).parent / "src" / "datasets"
    for name, remotes in DOWNLOADS.items():
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        for remote in remotes:
            assert remote.url.rpartition("/")[0] in text
            assert remote.url.rpartition("/")[2] in text
            assert remote.digest is None or remote.digest in text
        assert (remotes[0].digest is None) == ("file_hash" not in text)


class TestOfASetThatIsAskedFor:
    def test_it_is_put_into_keras_s_cache(self, server: Server, offered: Offer, tmp_path: Path) -> None:
        offered("mnist", server.offer("mnist.npz", mnist_bytes(tmp_path / "made")))
        said: list[str] = []
        told: list[str] = []
        assert_holds(load_dataset(grammar.Mnist(), notify=said.append, progressed=told.append), arrays())
        cache = tmp_path / "home" / ".keras" / "datasets"
        assert f"Downloading {DOWNLOADS['mnist'][0].url} into {cache}." in said[0]
        assert told[-1] == "downloading mnist.npz: 100%"
        assert names_in(cache) == ["mnist.npz"]
        server.files.clear()
        assert load_dataset(grammar.Mnist(), allow_download=False, notify=said.append).origin.startswith(str(cache))

    @pytest.mark.parametrize("wrong", ["missing", "short", "no folder"])
    def test_what_does_not_come_is_unreachable(
        self, server: Server, offered: Offer, tmp_path: Path, wrong: str
    ) -> None:
        offered("mnist", server.offer("mnist.npz", mnist_bytes(tmp_path / "made")))
        expected = {"missing": "Not Found", "short": "the connection ended after ", "no folder": "cannot be made"}
        if wrong == "missing":
            server.files.clear()
        elif wrong == "short":
            server.short.add("mnist.npz")
        else:
            (tmp_path / "home").write_text("in the way")
        with pytest.raises(UnreachableError, match=expected[wrong]):
            load_dataset(grammar.Mnist(), notify=lambda text: None)
        assert wrong == "no folder" or names_in(tmp_path / "home") == [".keras", "datasets"]
        dataset = load_dataset(grammar.Mnist(), fallback=grammar.Digits(), notify=lambda text: None)
        assert expected[wrong] in str(dataset.reason)

    def test_another_file_is_an_error_and_not_kept(self, server: Server, offered: Offer, tmp_path: Path) -> None:
        offered("mnist", server.offer("mnist.npz", mnist_bytes(tmp_path / "made"), digest="0" * 64))
        with pytest.raises(DataError, match=r"is not mnist\.npz: its digest is [0-9a-f]{64}, that of") as caught:
            load_dataset(grammar.Mnist(), fallback=grammar.Digits(), notify=lambda text: None)
        assert not isinstance(caught.value, UnreachableError)
        assert names_in(tmp_path / "home") == [".keras", "datasets"]


class TestFetch:
    def test_it_is_downloaded_once(self, server: Server, offered: Offer, tmp_path: Path, dlcli: Command) -> None:
        index, texts = server.offer("imdb_word_index.json", b"{}"), server.offer("imdb.npz", b"1234567890")
        offered("imdb", index, texts)
        done = dlcli("data", "fetch", "imdb", "--data-dir", tmp_path / "new" / "data")
        assert done.code == 0, done.err
        assert done.out == f"imdb is now in {tmp_path}/new/data/imdb.npz (10 bytes).\n"
        assert "downloading imdb.npz: 100%" in done.err
        assert "source: {imdb: {length: 200, num_words: 10000}}" in done.err
        assert f"--data-dir {tmp_path}/new/data" in done.err
        assert names_in(tmp_path / "new" / "data") == ["imdb.npz", "imdb_word_index.json"]
        server.files.clear()
        again = dlcli("data", "fetch", "imdb", "--data-dir", tmp_path / "new" / "data", "--json").json
        assert (again["path"], again["is_new"]) == (f"{tmp_path}/new/data/imdb.npz", False)

    def test_of_a_set_that_was_broken_off_the_rest_is_downloaded(
        self, server: Server, offered: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command
    ) -> None:
        monkeypatch.setenv("DLCLI_DATA_DIR", str(tmp_path / "data"))
        names = [remote.place for remote in DOWNLOADS["fashion_mnist"]]
        remotes = [server.offer(name, name.encode()) for name in names]
        offered("fashion_mnist", *remotes)
        server.short.add("t10k-images-idx3-ubyte.gz")
        done = dlcli("data", "fetch", "fashion_mnist")
        assert (done.code, "the connection ended after" in done.err) == (3, True)
        assert len(names_in(tmp_path / "data")) == 4  # the folder, and three files
        server.short.clear()
        for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
            del server.files[name]
        done = dlcli("data", "fetch", "fashion_mnist")
        assert done.code == 0, done.err
        assert done.out.startswith(f"fashion_mnist is now in {tmp_path}/data/fashion-mnist (")

    def test_without_a_network_nothing_is_left(self, tmp_path: Path, dlcli: Command) -> None:
        done = dlcli("data", "fetch", "california_housing", "--data-dir", tmp_path / "data")
        assert done.code == 3
        assert NOT_THERE in done.err
        assert "Put california_housing.npz into a folder" in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "data").exists()

    def test_the_list_says_what_is_here(self, tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cifar10" / "train").mkdir(parents=True)
        (tmp_path / "cifar10" / "train" / "a.png").write_bytes(b"12345")
        monkeypatch.chdir(tmp_path)
        for arguments in ((), ("--list",)):
            done = dlcli("data", "fetch", *arguments, "--data-dir", ".")
            assert done.code == 0
            lines = {line.split()[0]: line for line in done.out.splitlines()}
            assert lines.keys() >= DOWNLOADS.keys()
            assert "5 bytes  cifar10" in lines["cifar10"]
            assert "not here" in lines["imdb"]
        every = json.loads(dlcli("data", "fetch", "--json", "--data-dir", tmp_path).out)
        assert [held["name"] for held in every] == list(DOWNLOADS)

    @pytest.mark.parametrize(
        ("arguments", "code", "expected"),
        [
            (("mnits",), 2, "Did you mean `mnist`?"),
            (("iris",), 2, "There is no set `iris` to download."),
            (("mnist", "--list"), 2, "--list lists all sets"),
            (("mnist", "--data-dir", "FILE"), 3, "is not a folder"),
            (("--data-dir", "nowhere"), 3, "is not a folder"),
        ],
    )
    def test_usage(self, arguments: tuple[str, ...], code: int, expected: str, tmp_path: Path, dlcli: Command) -> None:
        (tmp_path / "file").write_text("x")
        done = dlcli("data", "fetch", *(str(tmp_path / "file") if each == "FILE" else each for each in arguments))
        assert done.code == code
        assert expected in " ".join(done.err.split())

    def test_a_spec_may_be_called_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command, small_spec: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "fetch").write_text(small_spec.read_text(encoding="utf-8"), encoding="utf-8")
        assert dlcli("data", "./fetch", "--json").json["source"] == "digits"
