"""`dlcli init`: what it sees in data, the spec that comes of it, and copies of the specs that come with dlcli."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from dlcli.spec.sources import SOURCES
from dlcli.starting import shipped as shipped_specs
from dlcli.starting.images import image_spec, look_at_images
from dlcli.starting.plans import hold_out
from dlcli.starting.starting import path_from
from tests.conftest import CONFIGS, DATA_DIR, Command, thorough

needs_data = pytest.mark.skipif(not DATA_DIR, reason="DLCLI_DATA_DIR does not say where the real data is")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def flowers(rows: int = 90) -> pd.DataFrame:
    random = np.random.default_rng(0)
    kinds = np.arange(rows) % 3
    return pd.DataFrame(
        {"width": (kinds + random.normal(0, 0.2, rows)).round(2), "kind": np.array(["a", "b", "c"])[kinds]}
    )


def dataset_of(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text)["dataset"]
    return found


@needs_data
@pytest.mark.parametrize(
    ("file", "target", "figure", "least", "most"),
    [
        ("penguins.csv", "species", "accuracy", 0.97, 1.0),
        pytest.param("mpg.csv", "mpg", "mean_absolute_error", 0.0, 2.3, marks=thorough),
        pytest.param("sms_spam.tsv", None, "accuracy", 0.975, 1.0, marks=thorough),
    ],
)
def test_real_tables_are_learned_without_an_edit(
    dlcli: Command, file: str, target: str | None, figure: str, least: float, most: float
) -> None:
    data = Path(str(DATA_DIR)) / file
    done = dlcli("init", "--data", data, *(["--target", target] if target else []))
    spec = Path(done.out.strip())
    assert (done.code, spec) == (0, Path(f"{data.stem}.yaml"))
    assert dlcli("check", "--strict", spec).code == 0
    assert dlcli("train", spec, "--runs-dir", "runs", "-q").code == 0
    metrics = json.loads(next(Path("runs").rglob("metrics.json")).read_text(encoding="utf-8"))
    assert least <= metrics["test"][figure] <= most


def test_the_comments_say_what_was_seen(dlcli: Command, tmp_path: Path) -> None:
    table = flowers(100).assign(
        number=range(100), empty=np.nan, same=3, day=pd.date_range("2024-01-01", periods=100).strftime("%Y-%m-%d")
    )
    table.loc[::10, "width"] = np.nan
    table.to_csv(tmp_path / "work" / "t.csv", index=False)
    done = dlcli("init", "--data", "t.csv", "--target", "kind", "-o", "-")
    assert done.code == 0, done.err
    text = done.out

    source = dataset_of(text)["source"]
    columns = {"number": "skip", "empty": "skip", "same": "skip", "day": "date"}
    assert source == {"csv": {"path": "t.csv", "target": "kind", "columns": columns}}
    for said in (
        "100 rows, 6 columns", "3 classes", "a 34, b 33, c 33", "10 missing", "left out: it numbers the rows",
        "date, 2024-01-01 to 2024-04-09", "right for 34.0% of the rows", "left out: it has no values",
    ):  # fmt: skip
        assert said in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("values", "loss"),
    [
        (["yes", "no"] * 40, "binary_crossentropy"),
        ([0, 1] * 40, "binary_crossentropy"),
        ([3, 4, 5, 6] * 20, "sparse_categorical_crossentropy"),
        (list(range(80)), {"Huber": {"delta": 0.5}}),
        ([0.5, 1.5] * 40, {"Huber": {"delta": 0.5}}),
    ],
)
def test_classes_and_numbers_are_told_apart(dlcli: Command, values: list[object], loss: object) -> None:
    pd.DataFrame({"x": np.linspace(0, 1, 80) ** 2, "y": values}).to_csv("t.csv", index=False)
    done = dlcli("init", "--data", "t.csv", "-o", "-")
    assert yaml.safe_load(done.out)["loss"] == loss
    assert yaml.safe_load(done.out)["dataset"]["source"]["csv"]["target"] == "y"


def test_a_task_can_be_asked_for(dlcli: Command) -> None:
    pd.DataFrame({"x": np.linspace(0, 1, 80) ** 2, "stars": [1, 2, 3, 4] * 20}).to_csv("t.csv", index=False)
    done = dlcli("init", "--data", "t.csv", "--target", "stars", "--task", "number", "-o", "-")
    assert yaml.safe_load(done.out)["loss"] == {"Huber": {"delta": 0.5}}
    assert dataset_of(done.out)["labels"] == "standardized"
    assert "`--task number` says so" in done.out
    flowers().to_csv("f.csv", index=False)
    assert "has texts" in dlcli("init", "--data", "f.csv", "--target", "kind", "--task", "number").err


def test_without_an_obvious_target_the_columns_are_listed(dlcli: Command) -> None:
    flowers().to_csv("f.csv", index=False)
    done = dlcli("init", "--data", "f.csv")
    assert done.code == 2
    assert "--target kind" in done.err
    assert "width, kind" in done.err
    assert "Did you mean `kind`?" in dlcli("init", "--data", "f.csv", "--target", "kimd").err
    assert list(Path().glob("*.yaml")) == []


def test_a_table_without_names_is_read_by_numbers(dlcli: Command) -> None:
    flowers().assign(more=range(90, 0, -1))[["width", "more", "kind"]].to_csv("f.csv", index=False, header=False)
    text = dlcli("init", "--data", "f.csv", "--target", 3, "-o", "-").out
    assert yaml.safe_load(text)["dataset"]["source"]["csv"] == {"path": "f.csv", "header": False, "target": "3"}


def test_a_text_and_its_class_are_told_without_names(dlcli: Command) -> None:
    lines = [f"{'good' if n % 2 else 'bad'}\tthis is message {n} of some {'joy' if n % 2 else 'grief'}, see" for n
             in range(200)]  # fmt: skip
    Path("m.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = dlcli("init", "--data", "m.tsv")
    assert done.code == 0, done.err
    spec = yaml.safe_load(Path("m.yaml").read_text(encoding="utf-8"))
    assert spec["dataset"]["source"]["csv"]["header"] == ["label", "text"]
    assert "Embedding" in spec["model"]["layers"][0]


def test_other_ways_of_writing_are_seen(dlcli: Command) -> None:
    table = flowers().assign(größe=np.linspace(0, 1, 90))
    table["more"] = [f"{value:.2f}" if row % 9 else "unknown" for row, value in enumerate(table["width"])]
    text = table.to_csv(index=False, sep=";", decimal=",").replace("unknown", "~").replace(".", ",")
    Path("f.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    done = dlcli("init", "--data", "f.csv.gz", "--target", "kind")
    assert (done.code, done.out) == (0, "f.yaml\n"), done.err
    source = yaml.safe_load(Path("f.yaml").read_text(encoding="utf-8"))["dataset"]["source"]["csv"]
    assert (source["encoding"], source["decimal"], source["missing"][-1]) == ("cp1252", ",", "~")
    assert "columns" not in source


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1.5, 2.5], "y": ["u", "v"]}),
        flowers(30).rename(columns={"kind": "y"}),
        pd.DataFrame({"x": np.arange(100) ** 2.0, "y": ["rare"] + ["a", "b", "c"] * 33}),
        pd.DataFrame({**{f"x{n}": np.random.default_rng(n).normal(size=60) for n in range(150)}, "y": [0, 1] * 30}),
        pd.DataFrame({"x": np.arange(500) % 100 * 1.5, "y": [f"class {n % 100}" for n in range(500)]}),
        pd.DataFrame({"a: b #": np.arange(60) ** 2.0, "no": ["yes", "1"] * 30, "y": np.arange(60) / 7}),
    ],
    ids=["two rows", "thirty rows", "a class of one", "more columns than rows", "a hundred classes", "odd names"],
)
def test_odd_tables_give_specs_without_warnings(dlcli: Command, table: pd.DataFrame) -> None:
    table.to_csv("t.csv", index=False)
    assert dlcli("init", "--data", "t.csv").code == 0
    done = dlcli("check", "--strict", "t.yaml")
    assert done.code == 0, done.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y\n1\n2\n", "no column is left to tell `y` by"),
        ("x,y\n1,a\n2,a\n", "there is nothing to learn"),
        ("x,y\n1,a\n2,b\n3,c\n4,d\n", "too many for classes"),
        ("", "is empty"),
        ("x,y\n1,\n2,\n", "no row has a value of `y`"),
    ],
)
def test_what_cannot_be_learned_is_told(dlcli: Command, text: str, said: str) -> None:
    Path("t.csv").write_text(text, encoding="utf-8")
    done = dlcli("init", "--data", "t.csv")
    assert done.code == 3
    assert said in done.err
    assert not Path("t.yaml").exists()


def test_nothing_is_overwritten(dlcli: Command) -> None:
    flowers().to_csv("f.csv", index=False)
    Path("f.yaml").write_text("mine", encoding="utf-8")
    done = dlcli("init", "--data", "f.csv", "--target", "kind")
    assert (done.code, Path("f.yaml").read_text(encoding="utf-8")) == (2, "mine")
    assert dlcli("init", "--from", "xor", "-o", "f.yaml").code == 2


def test_wrong_usage_is_told(dlcli: Command) -> None:
    assert "Name one of --data, --from and --list" in dlcli("init").err
    assert "go with --data" in dlcli("init", "--list", "--target", "y").err
    assert "must be one of classes, number" in dlcli("init", "--data", "x.csv", "--task", "both").err
    assert dlcli("init", "--data", "none.csv").code == 3
    Path("a.pdf").write_bytes(b"%PDF")
    assert "does not know such files" in dlcli("init", "--data", "a.pdf").err


@pytest.mark.parametrize(
    ("folder", "data", "written"),
    [("/a/b", "/a/b/c/t.csv", "c/t.csv"), ("/a/b", "/a/t.csv", "../t.csv"), ("/a/b/c/d", "/z/t.csv", "/z/t.csv")],
)
def test_a_path_is_relative_where_it_is_near(folder: str, data: str, written: str) -> None:
    assert path_from(Path(folder), Path(data)) == written


def test_every_class_is_on_each_side_or_nothing_is_held_out() -> None:
    labels = np.arange(90, dtype=np.int32) % 3
    holding = hold_out(labels, ("a", "b", "c"))
    assert (holding.test, holding.validation, holding.is_tiny) == (0.2, 0.15, False)
    assert len(holding.train) == 61
    lonely = hold_out(np.array([0, 1, 1, 1], np.int32), ("a", "b"))
    assert (lonely.test, lonely.validation) == (0.0, None)
    assert "a has 1" in lonely.reason
    assert hold_out(labels, ("a", "b", "c"), has_test_set=True).test == 0.0


def images_in(folder: Path, names: tuple[str, ...], count: int, size: tuple[int, int] = (20, 16)) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", size, (number, 0, 0)).save(folder / name / f"{number}.png")
    return folder


def test_a_folder_of_images_is_described(tmp_path: Path) -> None:
    images_in(tmp_path / "i" / "train", ("cat", "dog"), 40)
    images_in(tmp_path / "i" / "test", ("cat", "dog"), 5)
    facts = look_at_images(tmp_path / "i")
    text = image_spec(facts, "i", "i", "dlcli init --data i")
    spec = yaml.safe_load(text)
    assert spec["dataset"]["source"] == {"images": {"path": "i", "size": [16, 20]}}
    assert "test" not in spec["dataset"]
    assert {"RandomFlip": {"mode": "horizontal"}} in spec["dataset"]["augment"]
    assert "cat 40, dog 40" in text
    assert "all 16×20" in text


def test_digits_are_not_mirrored_and_large_images_are_shrunk(tmp_path: Path) -> None:
    facts = look_at_images(images_in(tmp_path / "d", ("0", "1"), 3, (400, 300)))
    text = image_spec(facts, "d", "d", "dlcli init --data d")
    assert "RandomFlip" not in text
    assert yaml.safe_load(text)["dataset"]["source"]["images"]["size"] == [96, 128]
    assert yaml.safe_load(text)["dataset"]["test"] == 0.0


def test_a_folder_without_class_folders_is_told(dlcli: Command, tmp_path: Path) -> None:
    images_in(tmp_path / "d", ("only",), 3)
    done = dlcli("init", "--data", tmp_path / "d")
    assert done.code == 2
    assert "one class alone, only" in done.err


@pytest.mark.skipif("images" not in SOURCES, reason="there is no source `images` yet")
def test_a_folder_of_images_can_be_trained(dlcli: Command, tmp_path: Path) -> None:
    images_in(tmp_path / "work" / "pictures", ("cat", "dog"), 80)
    assert dlcli("init", "--data", "pictures").code == 0
    assert dlcli("check", "--strict", "pictures.yaml").code == 0
    assert dlcli("train", "pictures.yaml", "--smoke", "-q").code == 0


def test_the_shipped_specs_are_listed_and_copied(dlcli: Command) -> None:
    listed = dlcli("init", "--list").out
    for path in CONFIGS.glob("*.yaml"):
        assert path.stem in listed
    assert dlcli("init", "--from", "xor", "-o", "mine.yaml").out == "mine.yaml\n"
    text = Path("mine.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == {**yaml.safe_load((CONFIGS / "xor.yaml").read_text("utf-8")), "name": "mine"}
    assert "# Command:  dlcli train mine.yaml\n" in text
    assert dlcli("check", "--strict", "--static", "mine.yaml").code == 0
    assert "Did you mean `mnist_cnn`?" in dlcli("init", "--from", "mnist_cn").err
    assert dlcli("init", "--from", "iris", "-o", "-").out.startswith("# A copy of `iris`")


def test_what_a_shipped_spec_extends_comes_along(
    dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "base.yaml").write_text("# The base.\n" + (CONFIGS / "xor.yaml").read_text("utf-8"), encoding="utf-8")
    (folder / "over.yaml").write_text("# Over it.\nextends: base.yaml\nname: over\n", encoding="utf-8")
    monkeypatch.setattr(shipped_specs, "FOLDER", folder)
    assert dlcli("init", "--from", "over").out == "base.yaml\nover.yaml\n"
    assert dlcli("check", "--static", "over.yaml").code == 0
    shown = dlcli("init", "--from", "over", "-o", "-").out
    assert yaml.safe_load(shown)["extends"] == str((folder / "base.yaml").resolve())
    Path("base.yaml").write_text("another", encoding="utf-8")
    Path("over.yaml").unlink()
    assert dlcli("init", "--from", "over").code == 2


def test_an_installed_dlcli_has_the_shipped_specs() -> None:
    assert shipped_specs.FOLDER.is_symlink()
    assert {path.name for path in shipped_specs.FOLDER.glob("*.yaml")} == {path.name for path in CONFIGS.glob("*.yaml")}
    package_data = (CONFIGS.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '"configs/*.yaml"' in package_data
