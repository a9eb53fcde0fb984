"""Several workers: they meet, agree, hear of each other's end, and train what one process would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlcli.cli.displays import make_display
from dlcli.console import Screen
from dlcli.errors import DataError, DlcliError, RunError, UsageError
from dlcli.training.cluster import Cluster
from dlcli.training.crew import Crew, crew_of
from dlcli.training.meeting import meet
from dlcli.training.peers import PeerGoneError, Peers
from tests.conftest import run_quietly, thorough


def _addresses(count: int) -> tuple[str, ...]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    names = tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    for one in sockets:
        one.close()
    return names


met: dict[int, list[Peers]] = defaultdict(list)  # by each worker of a test


def _each(count: int, act: Callable[[int, tuple[str, ...]], Any]) -> list[Any]:
    """What `act` gives or raises for each worker, all of them at once."""
    addresses = _addresses(count)
    results: list[Any] = [None] * count
    met.clear()

    def run(number: int) -> None:
        try:
            results[number] = act(number, addresses)
        except (DlcliError, OSError) as error:
            results[number] = error
        finally:
            for peers in met[number]:
                peers.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def _met(number: int, addresses: tuple[str, ...]) -> Peers:
    peers = meet(Cluster(addresses, number, "TF_CONFIG"), lambda text: None, seconds=20)
    met[number].append(peers)
    return peers


def test_workers_agree_and_share(tmp_path: Path) -> None:
    def act(number: int, addresses: tuple[str, ...]) -> Any:
        peers = _met(number, addresses)
        crew = Crew(peers, tmp_path / str(number))
        file = tmp_path / f"{number}.bin"
        if number == 0:
            file.write_bytes(b"\x00chief" * 100_000)
        told = peers.agree({"number": number})
        crew.share_file(file)
        crew.check_alike({"the spec": {"a": 1}})
        return [one["number"] for one in told], file.read_bytes()

    results = _each(3, act)
    assert results == [([0, 1, 2], b"\x00chief" * 100_000)] * 3


def test_a_difference_is_named() -> None:
    def act(number: int, addresses: tuple[str, ...]) -> None:
        Crew(_met(number, addresses), Path()).check_alike({"the data": "abc" if number < 2 else "xyz"})

    for error in _each(3, act):
        assert isinstance(error, UsageError)
        assert "Worker 2 (127.0.0.1:" in error.message
        assert "differs from worker 0 in the data: xyz, and abc" in error.message


@pytest.mark.parametrize("who", [0, 1])
def test_who_is_gone_is_named_to_all(who: int) -> None:
    def act(number: int, addresses: tuple[str, ...]) -> Any:
        peers = _met(number, addresses)
        if number == who:
            time.sleep(0.2)
            for line in peers._lines.values():
                line.connection.shutdown(socket.SHUT_RDWR)  # as when the process is killed
            return None
        peers.agree({})
        return None

    results = _each(3, act)
    for number, error in enumerate(results):
        if number != who:
            assert isinstance(error, PeerGoneError), results
            assert "is gone" in error.message
            assert (
                who == 0 or "Worker 1 (127.0.0.1:" in error.message
            )  # the chief tells of both lines that are cut here


@pytest.mark.parametrize("who", [0, 1])
def test_nobody_waits_for_a_worker_that_has_come_to_its_end(who: int) -> None:
    def act(number: int, addresses: tuple[str, ...]) -> Any:
        peers = _met(number, addresses)
        told = peers.agree({"number": number})
        return told if number == who else peers.agree({})

    results = _each(2, act)
    assert results[who] == [{"number": 0}, {"number": 1}]
    assert isinstance(results[1 - who], PeerGoneError)
    assert "has come to its end, and this worker has not" in results[1 - who].message


def test_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.training.peers._SILENCE", 0.5)
    monkeypatch.setattr("dlcli.training.peers._BEAT", 60.0)

    def act(number: int, addresses: tuple[str, ...]) -> Any:
        peers = _met(number, addresses)
        while peers.gone is None:
            time.sleep(0.05)
        with pytest.raises(PeerGoneError, match=r"nothing was heard of it for 0\.5 seconds"):
            peers.check()

    assert _each(2, act) == [None, None]


@pytest.mark.parametrize("late", [0, 1])
def test_a_mistake_that_all_make_is_told_by_the_chief(tmp_path: Path, late: int) -> None:
    def act(number: int, addresses: tuple[str, ...]) -> Any:
        with crew_of(Cluster(addresses, number, "TF_CONFIG"), tmp_path, lambda text: None):
            time.sleep(0.3 if number == late else 0.0)
            raise DataError("There is no table.csv.", "Look for it.")

    every = _each(2, act)
    assert [(type(error), error.is_told) for error in every] == [(DataError, False), (DataError, True)]


def test_what_all_workers_see_is_told_by_the_chief(capsys: pytest.CaptureFixture[str]) -> None:
    with make_display(Screen(), quiet=True, json=False, is_told=True) as display:
        display.notice("fold 2 failed", ["The loss is no number."])
        display.notice_here("no GPU", ["The CPU trains."])
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "no GPU: The CPU trains.\n")


def test_why_a_worker_stopped_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.training.crew._TOLD_WITHIN", 0.1)

    def act(number: int, addresses: tuple[str, ...]) -> Any:
        cluster = Cluster(addresses, number, "TF_CONFIG")
        with crew_of(cluster, tmp_path, lambda text: None) as crew:
            if crew is not None and number == 1:
                raise RunError("The disk is full.")
            if crew is not None:
                crew.peers.agree({})

    chief, other = _each(2, act)
    assert isinstance(other, RunError)
    assert isinstance(chief, PeerGoneError)
    assert chief.message.endswith("stopped: The disk is full..") or "stopped: The disk is full." in chief.message


def test_who_does_not_come_is_named() -> None:
    addresses = _addresses(2)
    told: list[str] = []
    with pytest.raises(RunError, match=r"worker 1 \(127.0.0.1:\d+\) did not come"):
        meet(Cluster(addresses, 0, "TF_CONFIG"), told.append, seconds=0.1)
    with pytest.raises(RunError, match=r"worker 0 \(127.0.0.1:\d+\) does not answer"):
        meet(Cluster(addresses, 1, "TF_CONFIG"), told.append, seconds=0.1)


def test_workers_of_other_clusters_are_refused() -> None:
    def act(number: int, addresses: tuple[str, ...]) -> Any:
        names = addresses if number == 0 else (addresses[0], "127.0.0.1:9")
        return _met(number, names)

    for error in _each(2, act):
        assert isinstance(error, UsageError)
        assert "The workers do not fit together: worker 0 has the workers" in error.message


def test_what_is_no_worker_is_not_heeded() -> None:
    addresses = _addresses(2)
    host, port = addresses[0].split(":")

    def probe() -> None:
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"", b"j\x00\x00\x00\x00\x00\x00\x00\x02[]"):
            with socket.socket() as one:
                while one.connect_ex((host, int(port))):
                    time.sleep(0.02)
                one.sendall(content)

    def act(number: int, ignored: tuple[str, ...]) -> Any:
        if number == 1:
            probe()
        return _met(number, addresses).agree({"number": number})

    assert _each(2, act) == [[{"number": 0}, {"number": 1}]] * 2


def _workers(count: int, folder: Path, *arguments: object) -> list[subprocess.Popen[str]]:
    addresses = _addresses(count)
    return [_worker(addresses, number, folder, *arguments) for number in range(count)]


def _worker(addresses: tuple[str, ...], number: int, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dlcli", "train", *map(str, arguments), "--runs-dir", str(folder)]
    config = Cluster(addresses, number, "TF_CONFIG").tf_config()
    return subprocess.Popen(
        command, env={**os.environ, "TF_CONFIG": config}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def _weights(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(run / "checkpoints" / "last.h5") as file:
        file["model_weights"].visititems(take)
    return found


_SPEC = """
dataset: {source: digits, validation: 0.2, batch_size: 30}
model:
  layers:
    - Flatten
    - Dense: {units: 16, use_bias: false}
    - BatchNormalization: {synchronized: true}
    - Activation: {activation: relu}
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: {Adam: {global_clipnorm: 1.0}}
metrics: [accuracy]
train: {epochs: 2}
"""


# Columns of zeros are masked.
_MASKED = """    - Reshape: {target_shape: [8, 8]}
    - Permute: {dims: [2, 1]}
    - Masking
    - BatchNormalization: {synchronized: true}
    - SimpleRNN: {units: 8, return_sequences: true}
    - TimeDistributed: {layer: {BatchNormalization: {synchronized: true}}}
    - Bidirectional: {layer: {SimpleRNN: {units: 4}}}
"""


def test_two_workers_train_what_one_process_does(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_SPEC.replace("    - Flatten\n", _MASKED).replace("validation: 0.2", "validation: test"))
    both = _workers(2, tmp_path / "runs", spec, "--run-name", "both")
    assert run_quietly("train", spec, "--run-name", "alone", "--runs-dir", tmp_path / "runs") == 0
    ended = _ended(both)
    assert [code for code, _ in ended] == [0, 0], ended
    assert sorted(path.name for path in (tmp_path / "runs" / "spec").iterdir()) == ["alone", "both", "latest"]
    runs = {name: tmp_path / "runs" / "spec" / name for name in ("both", "alone")}
    weights = {name: _weights(run) for name, run in runs.items()}
    for name, values in weights["alone"].items():
        np.testing.assert_allclose(weights["both"][name], values, atol=1e-5)
    figures = {name: np.genfromtxt(run / "history.csv", delimiter=",", names=True) for name, run in runs.items()}
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(figures["both"][name], figures["alone"][name], atol=1e-5)
    engine = json.loads((runs["both"] / "run.json").read_text())["engine"]
    assert (engine["strategy"], engine["replicas"]) == ("multi_worker", 2)


@thorough
def test_the_chief_alone_reports_what_all_have_trained(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_SPEC.replace("validation: 0.2", "validation: test"))
    run = tmp_path / "runs" / "spec" / "both"
    assert [code for code, _ in _ended(_workers(2, tmp_path / "runs", spec, "--run-name", "both"))] == [0, 0]
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "state": "interrupted"}))
    shutil.rmtree(run / "report")
    ended = _ended(_workers(2, tmp_path / "runs", "--resume", run))
    assert [code for code, _ in ended] == [0, 0], ended
    assert (run / "report" / "report.html").exists()


_CONVOLUTIONS = """
dataset: {source: digits, validation: 0.5, batch_size: 32}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, use_bias: false}
    - BatchNormalization: {synchronized: true}
    - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
    - MaxPooling2D
    - Flatten
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: Adam
metrics: [accuracy]
train: {epochs: 2}
"""


@thorough
def test_one_process_repeats_three_workers_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_CONVOLUTIONS)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    there = _workers(3, tmp_path / "there", spec, "--run-name", "one")
    options = ["--runs-dir", tmp_path / "here", "--run-name", "one", "--strategy", "mirrored", "--device", "cpu:0,1,2"]
    command = [sys.executable, "-m", "dlcli", "train", *map(str, [spec, *options])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ended = _ended(there)
    assert [code for code, _ in ended] == [0] * 3, ended
    runs = [tmp_path / where / "spec" / "one" for where in ("there", "here")]
    expected, weights = map(_weights, runs)
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values)
    figures = [np.genfromtxt(run / "history.csv", delimiter=",", names=True) for run in runs]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_array_equal(figures[0][name], figures[1][name])


def test_a_worker_that_dies_as_tensorflow_starts_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_SPEC)
    addresses = _addresses(2)
    chief = _worker(addresses, 0, tmp_path / "runs", spec)
    peers = meet(Cluster(addresses, 1, "TF_CONFIG"), lambda text: None, seconds=200)
    Crew(peers, tmp_path).share_run(None)  # whose weights to begin with
    peers.agree({})  # that TensorFlow's servers are there, which is not so of this one
    for line in peers._lines.values():
        line.connection.shutdown(socket.SHUT_RDWR)
    [(code, said)] = _ended([chief])
    assert code == 4, said
    assert f"Worker 1 ({addresses[1]}) is gone: the connection to it broke" in " ".join(said.split())
    assert "Traceback" not in said


@thorough
def test_a_killed_worker_ends_the_other_and_both_go_on_to_the_same_bits(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_SPEC.replace("epochs: 2", "epochs: 60"))
    assert [code for code, _ in _ended(_workers(2, tmp_path / "undisturbed", spec, "--run-name", "one"))] == [0, 0]
    processes = _workers(2, tmp_path / "killed", spec, "--run-name", "one")
    last = tmp_path / "killed" / "spec" / "one" / "checkpoints" / "last.h5"
    while not last.exists():
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGKILL)
    began = time.monotonic()
    (code, said), _ = _ended(processes)
    assert code == 4, said
    assert time.monotonic() - began < 60
    assert "Worker 1 (127.0.0.1:" in " ".join(said.split())
    assert [code for code, _ in _ended(_workers(2, tmp_path / "killed", spec, "--resume", "auto"))] == [0, 0]
    expected = _weights(tmp_path / "undisturbed" / "spec" / "one")
    for name, values in _weights(last.parents[1]).items():
        np.testing.assert_array_equal(values, expected[name])


@thorough
def test_folds_on_two_workers_go_on_where_they_were(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(_SPEC.replace("validation: 0.2", "folds: 2"))
    both = _workers(2, tmp_path / "runs", spec, "--run-name", "both")
    assert run_quietly("train", spec, "--run-name", "alone", "--runs-dir", tmp_path / "runs") == 0
    ended = _ended(both)
    assert [code for code, _ in ended] == [0, 0], ended
    runs = {name: tmp_path / "runs" / "spec" / name for name in ("both", "alone")}
    figures = {name: json.loads((run / "metrics.json").read_text()) for name, run in runs.items()}
    for split, mean in figures["alone"]["mean"].items():
        assert figures["both"]["mean"][split] == pytest.approx(mean, abs=1e-5)
    shutil.rmtree(runs["both"] / "fold-2")
    record = json.loads((runs["both"] / "run.json").read_text())
    (runs["both"] / "run.json").write_text(json.dumps({**record, "state": "interrupted"}))
    ended = _ended(_workers(2, tmp_path / "runs", "--resume", runs["both"]))
    assert [code for code, _ in ended] == [0, 0], ended
    again = json.loads((runs["both"] / "metrics.json").read_text())
    assert again == figures["both"]
