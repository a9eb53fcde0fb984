"""`--device`: what it may say, what is there, and what TensorFlow is let see. The GPUs here are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlcli.errors import DeviceError, UsageError
from dlcli.training.devices import chosen_device, taken
from dlcli.training.division import Undivided
from dlcli.training.record import RunRecord
from tests.conftest import Command

TWO = ["NVIDIA H100", "NVIDIA T4"]


@pytest.mark.parametrize("written", ["auto", "cpu", "gpu", "gpu:0", "gpu:1,0", "cpu:0,1"])
def test_what_may_be_written(written: str) -> None:
    assert chosen_device(written) == written


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("gpu:", "must be"), ("gpu:x", "must be"), ("gpu:-1", "must be"), ("gpu:0,", "must be"), ("GPU", "must be"),
        ("tpu", "must be"), ("gpu: 1", "must be"), ("gpu:1,1", "named twice"), ("", "must be"), ("gpu:١", "must be"),
        ("gpu:1\n", "must be"), ("cpu:1,2", "count from 0"), ("cpu:0,0", "named twice"),
    ],
)  # fmt: skip
def test_what_may_not(written: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        chosen_device(written)


@pytest.mark.parametrize(
    ("device", "numbers"),
    [("auto", [0, 1]), ("cpu", []), ("gpu", [0, 1]), ("gpu:1", [1]), ("gpu:1,0", [1, 0])],
)
def test_which_are_taken(device: str, numbers: list[int]) -> None:
    assert taken(device, TWO) == numbers


def test_what_is_not_there_is_named_with_what_is() -> None:
    assert taken("auto", []) == []
    with pytest.raises(DeviceError, match="sees no GPU") as none:
        taken("gpu:0", [])
    assert none.value.exit_code == 5
    assert "dlcli doctor" in str(none.value.hint)
    with pytest.raises(DeviceError) as caught:
        taken("gpu:1,2,7", TWO)
    assert "no gpu:2,7: TensorFlow sees gpu:0 (NVIDIA H100), gpu:1 (NVIDIA T4)." in caught.value.message


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """TensorFlow as if it saw two GPUs; what it is told."""
    import tensorflow as tf

    told: dict[str, Any] = {"growing": []}
    gpus = [SimpleNamespace(name=f"/physical_device:GPU:{number}") for number in (0, 1)]
    details = {gpu.name: {"device_name": name} for gpu, name in zip(gpus, TWO, strict=True)}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda seen, kind: told.update(seen=seen))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu.name])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: told["growing"].append(gpu.name))
    return told


@pytest.mark.parametrize(
    ("device", "seen", "name", "gpus"),
    [
        ("auto", [0, 1], "2 GPUs (NVIDIA H100, NVIDIA T4)", None), ("gpu:1", [1], "GPU (NVIDIA T4)", (1,)),
        ("gpu:0,1", [0, 1], "2 GPUs (NVIDIA H100, NVIDIA T4)", (0, 1)), ("cpu", [], "CPU (", None),
    ],
)  # fmt: skip
def test_tensorflow_sees_no_others(
    device: str, seen: list[int], name: str, gpus: tuple[int, ...] | None, two_gpus: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from dlcli.training.backend import start_backend

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    backend = start_backend(device)
    assert backend.device_name.startswith(name)
    assert (backend.device, backend.gpus) == ("gpu" if seen else "cpu", gpus)
    names = [f"/physical_device:GPU:{number}" for number in seen]
    assert two_gpus["growing"] == names
    assert [gpu.name for gpu in two_gpus.get("seen", [])] == (names if len(seen) < 2 else [])


def test_a_run_goes_on_where_it_was() -> None:
    from dlcli.training.backend import Backend
    from dlcli.training.session import _device

    def device_of(engine: dict[str, Any]) -> str:
        return _device(SimpleNamespace(device="auto", like=None, point=SimpleNamespace(engine=engine)))  # type: ignore[arg-type]

    for gpus, expected in (((1,), "gpu:1"), (None, "gpu")):
        backend = Backend("gpu", "GPU", {}, 1, gpus)
        record = RunRecord(None, "a", [], backend, 0, {}, None)  # type: ignore[arg-type]
        engine = SimpleNamespace(path="graph", fallback=None, record=dict, division=Undivided())
        assert device_of(record.engine_now(engine)) == expected  # type: ignore[arg-type]
    assert device_of({"device": "cpu"}) == "cpu"
    assert device_of({"device": "cpu", "strategy": "mirrored", "replicas": 3}) == "cpu:0,1,2"
    assert device_of({"device": "cpu", "strategy": "multi_worker", "replicas": 3}) == "cpu"


@pytest.mark.parametrize("command", ["train", "evaluate", "serve", "sweep"])
def test_every_command_refuses_what_is_no_device(command: str, small_spec: Path, dlcli: Command) -> None:
    done = dlcli(command, small_spec, "--device", "gpu:a")
    assert done.code == 2
    assert "--device gpu:a: it must be" in done.err
