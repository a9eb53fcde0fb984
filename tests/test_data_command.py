"""`dlcli data`: what it tells of tables, texts, images and drawn sets, and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dlcli.describing.repeats import find_repeats
from tests.conftest import CONFIGS, DATA_DIR, Command, some_of
from tests.test_startup import HEAVY, started

REST = """\
model: {layers: [Flatten, Dense: {units: 3, activation: softmax}]}
loss: sparse_categorical_crossentropy
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table with a column of each kind, and a spec for it."""
    rows = 100
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "width": random.normal(5, 1, rows).round(3),
            "colour": np.array(["red", "blue"])[random.integers(0, 2, rows)],
            "day": pd.date_range("2024-01-01", periods=rows).strftime("%Y-%m-%d"),
            "id": range(rows),
            "same": 7,
            "kind": np.array(["a", "b", "c"])[np.arange(rows) % 3],
        }
    )
    frame.loc[:39, "width"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    spec = tmp_path / "t.yaml"
    spec.write_text(f"dataset: {{source: {{csv: {{path: t.csv, target: kind}}}}, validation: 0.2}}\n{REST}", "utf-8")
    return spec


def picture(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_table_is_told_column_by_column(dlcli: Command, table: Path) -> None:
    done = dlcli("data", table)
    assert done.code == 0, done.err
    for said in (
        "train", "validation", "64.0%", "2024-01-01 to 2024-04-09", "left out: it numbers the rows",
        "left out: all its values are `7`", "`width` is missing in 40% of the rows", "a ", "c ",
    ):  # fmt: skip
        assert said in done.out
    found = dlcli("data", table, "--json").json
    assert found["splits"] == {"train": 64, "validation": 16, "test": 20}
    columns = {column["name"]: column for column in found["columns"]}
    assert [columns[name]["kind"] for name in ("width", "colour", "day", "id", "kind")] == [
        "number", "category", "date", "skip", "target",
    ]  # fmt: skip
    assert columns["width"]["missing"] == 40
    assert sum(found["targets"]["target"]["classes"]["train"].values()) == 64
    assert found["prepared"] == {}


@pytest.mark.parametrize("columns", ["80", "150"])
def test_no_line_is_wider_than_the_terminal(
    dlcli: Command, table: Path, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    _, *lines = dlcli("data", table).out.splitlines()  # the first is the file's path, to be copied
    assert max(map(len, lines)) <= int(columns)


def test_what_is_in_two_splits_is_counted(dlcli: Command, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(60) % 30 * 1.5, "y": ["a", "b", "c"] * 20})
    frame.to_csv(tmp_path / "t.csv", index=False)
    spec = tmp_path / "t.yaml"
    spec.write_text(f"dataset: {{source: {{csv: {{path: t.csv, target: y}}}}}}\n{REST}", "utf-8")
    done = dlcli("data", spec, "--json")
    repeats = done.json["repeats"]
    [shared] = repeats["shared"]
    twice = repeats["within"]["train"] + repeats["within"]["test"]
    assert shared["count"] == 30 - twice > 0
    assert f"{shared['count']} of 12 inputs of test" in dlcli("data", spec).out


def test_a_test_set_that_is_the_validation_is_no_leak(dlcli: Command) -> None:
    found = dlcli("data", CONFIGS / "spirals.yaml", "--set", "dataset.validation=test", "--json").json
    assert [(one["first"], one["second"], one["count"]) for one in found["repeats"]["shared"]] == [
        ("train", "validation", 0), ("train", "test", 0),
    ]  # fmt: skip


def test_digests_compare_bytes_of_all_inputs() -> None:
    from dlcli.data.dataset import Examples
    from dlcli.data.splits import Split, Splits

    left, right = np.array([[0], [0], [1]], np.uint8), np.array([1.0, 2.0, 1.0], np.float32)
    examples = Examples({"left": left, "right": right}, np.zeros(3, np.int32))
    split = Split(examples, np.arange(3))
    assert find_repeats(Splits(split, None, None)).within == {"train": 0}
    alone = Split(Examples(left, np.zeros(3, np.int32)), np.arange(3))
    assert find_repeats(Splits(alone, None, None)).within == {"train": 1}


def test_texts_are_shown_as_the_model_reads_them(dlcli: Command, tmp_path: Path) -> None:
    lines = [f"{'ab'[n % 2]}\tHello, world number {n} of many!" for n in range(60)]
    (tmp_path / "m.tsv").write_text("\n".join(lines), encoding="utf-8")
    spec = tmp_path / "m.yaml"
    source = "csv: {path: m.tsv, header: [label, text], target: label, columns: {text: {text: {length: 6}}}}"
    spec.write_text(
        f"dataset: {{source: {{{source}}}}}\nmodel: {{layers: [Embedding: {{input_dim: 10000, output_dim: 2}}, "
        "GlobalAveragePooling1D, Dense: {units: 1, activation: sigmoid}]}\nloss: binary_crossentropy\n",
        "utf-8",
    )
    first = dlcli("data", spec, "--json").json["lines"][0]
    assert first["words"].startswith("hello world number")
    assert len(first["numbers"]) == 6
    assert "texts, as the model reads them" in dlcli("data", spec).out


def test_a_batch_is_prepared_if_asked_for(dlcli: Command) -> None:
    found = dlcli("data", CONFIGS / "iris.yaml", "--batch", "--json").json
    prepared, raw = found["prepared"]["input"], found["inputs"]["input"]
    assert (prepared["dtype"], prepared["shape"], raw["shape"]) == ("float32", [4], [4])
    assert -5 < prepared["least"] < 0 < prepared["largest"] < 5 < raw["largest"]
    assert "input, a batch prepared" in dlcli("data", CONFIGS / "iris.yaml", "--batch").out


DRAWN = [
    "digits", "wine", "spirals", "moons", "shapes", "motion", "pairs: {of: digits}", "diabetes",
    "random: {shapes: [20, 2], answers: 3}",
]  # fmt: skip


@pytest.mark.parametrize("name", some_of(DRAWN, "digits"))
def test_each_kind_of_data_has_a_picture(dlcli: Command, tmp_path: Path, name: str) -> None:
    heads = ", outputs: kind" if name == "shapes" else ""
    spec = tmp_path / "s.yaml"
    layers = "layers: [Flatten, {Dense: {units: 1}, name: kind}]" + heads
    source = f"{{{name}}}" if ":" in name else name
    if name.startswith("pairs"):
        layers = "layers: [{Subtract: , inputs: [left, right]}, Flatten, {Dense: {units: 1}, name: kind}]"
    spec.write_text(f"dataset: {{source: {source}}}\nmodel: {{{layers}}}\nloss: mse\n", "utf-8")
    done = dlcli("data", spec, "--plot", tmp_path / "p.png")
    assert done.code == 0, done.err
    image = picture(tmp_path / "p.png")
    assert min(image.shape[:2]) > 200
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20
    assert (image[0] == 255).all()


def test_a_table_has_a_picture(dlcli: Command, table: Path, tmp_path: Path) -> None:
    assert dlcli("data", table, "--plot", tmp_path / "p.png").code == 0
    colors = {tuple(color) for color in np.unique(picture(tmp_path / "p.png").reshape(-1, 3), axis=0)}
    assert {(0x3B, 0x6F, 0xB6), (0xE0, 0x8B, 0x2C), (0x3F, 0x9B, 0x5B)} <= colors  # a colour for each class


def test_what_cannot_be_drawn_is_told(dlcli: Command, tmp_path: Path) -> None:
    done = dlcli("data", CONFIGS / "iris.yaml", "--plot", tmp_path / "p.txt")
    assert (done.code, "is needed" in done.err) == (2, True)
    done = dlcli("data", CONFIGS / "ratings.yaml", "--plot", tmp_path / "p.png")
    assert done.code == 2
    assert "There is no picture" in done.err


@pytest.mark.skipif(not DATA_DIR, reason="DLCLI_DATA_DIR does not say where the real data is")
def test_no_tensorflow_is_loaded_without_need() -> None:
    modules = set(started("data", CONFIGS / "penguins.yaml")["modules"])
    assert not {name for name in modules if name.split(".")[0] in HEAVY - {"numpy", "pandas", "sklearn", "scipy"}}
