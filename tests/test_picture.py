"""`dlcli summary --plot`: what stands in the picture, and that Graphviz draws it where it is there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dlcli.model.picture import to_dot
from dlcli.model.summary import LayerSummary, ModelSummary, WeightSummary
from tests.conftest import CONFIGS, Command

SHAPE = (None, 8, 8, 4)


def layer(name: str, class_name: str, *reads: str, shapes: int = 1, size: int = 0) -> LayerSummary:
    weights = (WeightSummary("kernel", (size,), trainable=True),) if size else ()
    return LayerSummary(name, class_name, (SHAPE,) * shapes, weights, reads=reads)


NETWORK = ModelSummary(
    "net",
    {"input": SHAPE},
    (
        layer("first", "Conv2D", "input", size=1234),
        layer("norm", "BatchNormalization", "first"),
        layer("relu", "Activation", "norm"),
        layer("second", "Conv2D", "relu"),
        layer("last", "Activation", "second"),
        layer("sum", "Add", "relu", "last"),
        layer("drop", "Dropout", "sum"),
    ),
)


def test_what_only_follows_stands_in_one_box() -> None:
    dot = to_dot(NETWORK)
    assert [line.split()[0] for line in dot.splitlines() if "[label=<" in line] == [
        '"input"', '"first"', '"second"', '"sum"',
    ]  # fmt: skip
    edges = [line.strip() for line in dot.splitlines() if "->" in line]
    assert edges == ['"input" -> "first"', '"first" -> "second"', '"first" -> "sum"', '"second" -> "sum"']
    assert "1,234" in dot
    assert "8×8×4" in dot
    assert "net: 1,234 parameters" in dot


def test_names_are_text_and_nothing_else() -> None:
    hostile = ModelSummary('a"]; b', {"in": SHAPE}, (layer("<B>x</B>&", "Dense", "in"),))
    dot = to_dot(hostile)
    assert "&lt;B&gt;x&lt;/B&gt;&amp;" in dot
    assert 'label="a\\"]; b: 0 parameters"' in dot


@pytest.mark.parametrize(("name", "begins"), [("net.dot", b"digraph"), ("net.png", b"\x89PNG"), ("net.svg", b"<?xml")])
def test_is_drawn(name: str, begins: bytes, small_run: Path, tmp_path: Path, dlcli: Command) -> None:
    if not name.endswith(".dot") and shutil.which("dot") is None:
        pytest.skip("Graphviz is not on this machine")
    done = dlcli("summary", small_run, "--plot", tmp_path / name)
    assert done.code == 0, done.err
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_drawn_is_told(
    small_run: Path, tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dlcli("summary", small_run, "--plot", tmp_path / "net.bmp")
    assert (wrong.code, ".png, .svg" in wrong.err) == (2, True)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    missing = dlcli("summary", small_run, "--plot", tmp_path / "net.png")
    assert (missing.code, "apt install graphviz" in missing.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_blocks_have_frames(dlcli: Command, tmp_path: Path) -> None:
    picture = tmp_path / "blocks.dot"
    assert dlcli("summary", CONFIGS / "mnist_autoencoder.yaml", "--plot", picture).code == 0
    text = picture.read_text()
    frames = text.split("subgraph ")[1:]
    assert len(frames) == 4
    assert [frame.split('label="')[1].split('"')[0] for frame in frames] == [
        "half: down", "quarter: down", "half_again: up", "up_2",
    ]  # fmt: skip
    inside = [frame.split("\n  }")[0] for frame in frames]
    assert '"half" [label' in inside[0]
    assert '"whole" [label' not in "".join(inside)
