"""`dlcli doctor` on the workers that the environment names. No address is asked for over a network."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from dlcli.doctoring.workers import judge_workers, look_at_workers
from tests.conftest import Command


def _said(environ: dict[str, str], patience: float = 5.0) -> list[tuple[str, str, str]]:
    return [(one.name, one.state, one.found) for one in judge_workers(look_at_workers(environ, patience))]


def _tf_config(workers: list[str], index: int) -> dict[str, str]:
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    return {"TF_CONFIG": json.dumps(config)}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of names, only `here` and `there` are known; and `slow` is asked for in vain."""

    def known(host: str, port: int, **options: Any) -> Any:
        if host == "slow":
            time.sleep(60)
        if host == "gone":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        address = {"here": "127.0.0.1", "there": "192.0.2.1"}.get(host, host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("dlcli.doctoring.workers.socket.getaddrinfo", known)


def test_workers_that_can_train(names: None) -> None:
    port = _free_port()
    named, *said = _said(_tf_config([f"here:{port}", "there:2222"], 0))
    assert named[:2] == ("workers", "ok")
    assert named[2] == f"TF_CONFIG names 2: here:{port}, there:2222. This is worker 0, which writes the run's folder."
    assert said == [
        ("addresses", "ok", "all known here"),
        ("own port", "ok", f"here:{port} is free."),
    ]  # fmt: skip


def test_what_is_wrong_is_found_without_waiting_long(names: None) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _said(_tf_config(["slow:1", f"here:{port}", "gone:3"], 1), patience=0.2)
    assert time.monotonic() - began < 30
    assert [state for _, state, _ in said] == ["ok", "bad", "bad"]
    assert said[0][2].endswith("This is worker 1, which writes nothing: worker 0 does.")
    assert said[1][2] == (
        "Not known here: worker 0 (slow:1): nothing has answered within 0.2 seconds; "
        "worker 2 (gone:3): Name or service not known."
    )
    assert said[2][2] == f"This worker cannot listen at here:{port}: Address already in use."
    [*_, (name, state, found)] = _said(_tf_config(["here:1", "there:2"], 1))
    assert (name, state) == ("own port", "bad")
    assert found == "This worker cannot listen at there:2: Cannot assign requested address."


@pytest.mark.parametrize(
    ("environ", "state", "says"),
    [
        ({"TF_CONFIG": "{"}, "bad", "TF_CONFIG is not JSON"),
        (_tf_config(["a:1"], 3), "bad", "this is worker 3, but names 1 worker"),
        (_tf_config(["a:1"], 0), "ok", "TF_CONFIG names one: it trains alone here."),
        ({"TF_CONFIG": "{}"}, "ok", "TF_CONFIG names no `cluster`"),
        ({"SLURM_JOB_ID": "7"}, "ok", "no step of it: it trains alone here. `srun dlcli train …` starts workers."),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "bad", "Slurm is to set SLURM_PROCID"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "ok", "a pod of Kubernetes without DLCLI_WORKERS"),
        ({"DLCLI_WORKERS": "2", "HOSTNAME": "pod"}, "bad", "not which of them this is"),
    ],
)
def test_what_is_read_from_the_environment(environ: dict[str, str], state: str, says: str) -> None:
    [(name, found_state, found)] = _said(environ)
    assert (name, found_state) == ("workers", state)
    assert says in found


def test_nothing_is_said_where_there_is_nothing() -> None:
    assert _said({}) == []


def test_many_workers_are_told_of_in_a_few_words(names: None) -> None:
    said = _said(_tf_config([f"gone:{port}" for port in range(1, 13)], 0))
    assert "gone:8, …. This is worker 0" in said[0][2]
    assert said[1][2].endswith("worker 7 (gone:8): Name or service not known; and 4 more.")
    assert len(said) == 2


def test_the_command_tells_of_them(dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str) -> Any:
        raise ImportError("which takes less time")

    monkeypatch.setattr("dlcli.training.backend.start_backend", broken)
    monkeypatch.setenv("TF_CONFIG", "[]")
    done = dlcli("doctor", "--no-speed", "--json", "--runs-dir", tmp_path)
    assert done.code == 5
    [finding] = [one for one in done.json["findings"] if one["area"] == "workers"]
    assert finding["found"] == "TF_CONFIG is to be an object with keys; received []."
    assert "host1:2222" in finding["advice"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port
