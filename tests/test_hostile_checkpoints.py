"""Checkpoints that are damaged, or made to do harm: told by name, and never used."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlcli.errors import CheckpointError
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.checkpoint_file import digest_of
from dlcli.training.sealing import seal
from tests.conftest import REPOSITORY, Command

MUTATIONS = 40


@pytest.fixture
def stranger(small_run: Path, tmp_path: Path) -> Path:
    """A whole checkpoint, to be changed."""
    path = tmp_path / "stranger.h5"
    shutil.copy(small_run / "checkpoints" / "best.h5", path)
    return path


def forged(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """The checkpoint with a change, and a digest and a seal that fit to it, as whoever means harm would make them."""
    with h5py.File(path, "r+") as file:
        change(file)
        del file["dlcli/digest"]
        try:
            file["dlcli/digest"] = digest_of(file)
        except (OSError, KeyError, MemoryError, RecursionError):
            file["dlcli/digest"] = "what it would be cannot be read"
    seal(path)
    return path


def with_layer(layer: dict[str, Any]) -> Callable[[h5py.File], None]:
    """Puts a layer into the model's config."""

    def change(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].insert(2, layer)
        file.attrs["model_config"] = json.dumps(config)

    return change


def with_text(name: str, change: Callable[[Any], Any]) -> Callable[[h5py.File], None]:
    """Changes one of dlcli's own texts."""

    def rewrite(file: h5py.File) -> None:
        content = change(json.loads(file[f"dlcli/{name}"].asstr()[()]))
        del file[f"dlcli/{name}"]
        file[f"dlcli/{name}"] = json.dumps(content)

    return rewrite


def external_dataset(file: h5py.File) -> None:
    del file["model_weights/dense"]
    group = file["model_weights"].create_group("dense")
    group.create_dataset("kernel", (100,), "u1", external=[("/etc/passwd", 0, 100)])


def petabyte(file: h5py.File) -> None:
    file["dlcli/state"].create_dataset("huge", (2**47,), "f8", chunks=(2**20,))


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    file["dlcli/state"].create_virtual_dataset("elsewhere", layout)


def external_link(file: h5py.File) -> None:
    file["model_weights/other"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: h5py.File) -> None:
    file["model_weights/other"] = h5py.SoftLink("/dlcli/spec")


def loop(file: h5py.File) -> None:
    file["model_weights/again"] = file["model_weights"]


def enormous_layer(file: h5py.File) -> None:
    config = json.loads(file.attrs["model_config"])
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "Dense":
            layer["config"]["units"] = 10**12
    file.attrs["model_config"] = json.dumps(config)


def preparation_with(layer: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda state: {**state, "layers": [*state["layers"], layer]}


CODE = base64.b64encode(b"import os; os.system('touch /tmp/harm')").decode()
LAMBDA = {
    "module": "keras.layers", "class_name": "Lambda", "registered_name": None,
    "config": {"name": "harm", "function": {"class_name": "__lambda__", "config": {"code": CODE}}},
}  # fmt: skip
LOOKUP = {
    "module": "keras.layers", "class_name": "StringLookup", "registered_name": None,
    "config": {"name": "look", "vocabulary": "/etc/passwd"},
}  # fmt: skip


def calls(module: str, name: str) -> dict[str, Any]:
    function = {"module": module, "class_name": name, "config": {"command": "touch /tmp/harm"}}
    return {
        "module": "keras.layers", "class_name": "Dense", "registered_name": None,
        "config": {"name": "harm", "units": 3, "activation": function},
    }  # fmt: skip


HOSTILE: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "lambda": (with_layer(LAMBDA), "`Lambda`"),
    "os.system": (with_layer(calls("os", "system")), "`os.system`"),
    "a download": (with_layer(calls("keras.utils", "get_file")), "`keras.utils.get_file`"),
    "a function of builtins": (
        with_layer(calls("builtins", "function") | {"class_name": "function", "config": "exec"}), "`exec`"
    ),
    "a foreign class": (with_layer({**LAMBDA, "class_name": "[red]Mine[/red]"}), "[red]Mine[/red]"),
    "a registered class": (
        with_layer({**LAMBDA, "class_name": "Dense", "registered_name": "evil>Dense"}), "`keras.layers.Dense`"
    ),
    "another program": (with_layer({**LAMBDA, "class_name": "TFSMLayer", "config": {"filepath": "/"}}), "`TFSMLayer`"),
    "a vocabulary in a file": (with_layer(LOOKUP), "/etc/passwd"),
    "numbers in another file": (external_dataset, "/etc/passwd"),
    "a petabyte": (petabyte, "claims to have 1,125,899,906,842,624 bytes"),
    "numbers in other files": (virtual, "in other files"),
    "an external link": (external_link, "/etc/passwd"),
    "a soft link": (soft_link, "/dlcli/spec"),
    "a loop": (loop, "same as another part"),
    "a layer larger than the file": (enormous_layer, "bytes of weights"),
    "a preparation with code": (with_text("preparation", preparation_with(LAMBDA)), "`Lambda`"),
    "a preparation that reads": (with_text("preparation", preparation_with(LOOKUP)), "/etc/passwd"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_checkpoint_runs_nothing_and_is_named(name: str, stranger: Path, dlcli: Command) -> None:
    change, told = HOSTILE[name]
    forged(stranger, change)
    harm = Path("/tmp/harm")
    done = dlcli("evaluate", stranger)
    assert done.code == 4, done.err
    assert told in " ".join(done.err.split()), done.err
    assert "Traceback" not in done.err
    assert not harm.exists()


def test_markup_in_names_is_shown_as_it_is(stranger: Path, dlcli: Command) -> None:
    names = [f"[red]{number}[/red]" for number in range(10)]
    forged(stranger, with_text("class_names", lambda old: names))
    np.save(digits := stranger.with_suffix(".npy"), np.zeros((2, 8, 8), np.uint8))
    done = dlcli("predict", stranger, digits, "--json")
    assert done.code == 0, done.err
    assert all("[red]" in row["class"] for row in done.json)
    assert "[red]" in dlcli("predict", stranger, digits).out


def test_a_changed_byte_is_told_before_anything_is_read(stranger: Path, dlcli: Command) -> None:
    content = bytearray(stranger.read_bytes())
    content[len(content) // 2] ^= 1
    stranger.write_bytes(content)
    for arguments in (("evaluate", stranger), ("summary", stranger), ("train", "--resume", stranger)):
        done = dlcli(*arguments)
        assert (done.code, "is damaged" in done.err) == (4, True)


def test_a_file_without_its_seal_is_read_apart_first(stranger: Path) -> None:
    content = stranger.read_bytes()
    stranger.write_bytes(content[:-48])
    assert open_checkpoint(stranger).contents is not None
    stranger.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"cut off|damaged"):
        open_checkpoint(stranger)
    with h5py.File(stranger, "w") as file:
        file.attrs["model_config"] = "{}"
        file["dlcli/spec"] = "{}"
    with pytest.raises(CheckpointError, match="format 0"):
        open_checkpoint(stranger)


def test_a_run_falls_back_to_its_newest_whole_checkpoint(small_run: Path, tmp_path: Path, dlcli: Command) -> None:
    run = tmp_path / "small" / "first"
    shutil.copytree(small_run, run)
    best, last = run / "checkpoints" / "best.h5", run / "checkpoints" / "last.h5"
    best.write_bytes(best.read_bytes()[:5000])
    done = dlcli("evaluate", run)
    assert done.code == 0, done.err
    said = re.sub(r"[\s│]", "", done.err)  # paths are long, and go over several lines
    assert "best.h5isdamaged" in said or "best.h5iscutoff" in said
    assert "last.h5isused" in said
    last.write_bytes(b"\0" * 100)
    done = dlcli("evaluate", run)
    assert (done.code, "No checkpoint of this run is whole" in " ".join(done.err.split())) == (4, True)
    done = dlcli("train", "--resume", run, "--epochs", "+1")
    assert (done.code, "No checkpoint of this run is whole" in " ".join(done.err.split())) == (4, True)


def test_mutations_are_told_or_harmless(stranger: Path) -> None:
    """Bit flips, cuts, zeros, swapped blocks; `python -m tests.mutating CHECKPOINT 5000` tries more of them."""
    command = [sys.executable, "-m", "tests.mutating", stranger, str(MUTATIONS)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["1"] > 0.7 * MUTATIONS
