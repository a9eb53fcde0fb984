"""The source `text`: files of text in class folders, and what may be wrong with them."""

from __future__ import annotations

import json
import os
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dlcli.data import text_reader
from dlcli.data.dataset import Dataset, named
from dlcli.data.from_texts import load_texts
from dlcli.data.looking import restore_reader
from dlcli.data.splits import Splits
from dlcli.data.text_reader import TextReader
from dlcli.data.where import Where
from dlcli.errors import DataError, SpecError
from dlcli.spec.loading import load_spec
from dlcli.spec.sources_texts import Text
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, known_spec, run_quietly, shipped_catalogue, thorough
from tests.killing import compare, outcome

WORDS = {"bad": "dull poor awful film the", "good": "lovely fine great film the", "so_so": "fair film the and"}
SPEC = """
name: reviews
seed: 5
dataset:
  source: {source}
  {dataset}
  batch_size: 8
model:
  layers:
    - Embedding: {{input_dim: {numbers}, output_dim: 4}}
    - GlobalAveragePooling1D
    - Dropout: {{rate: 0.2}}
    - Dense: {last}
loss: {loss}
optimizer: {{Adam: {{learning_rate: 0.05}}}}
train: {{epochs: 3}}
"""


def write(root: Path, *, each: int = 8, seed: int = 0, folders: dict[str, str] = WORDS) -> Path:
    random = np.random.default_rng(seed)
    for name, words in folders.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for at in range(each):
            text = " ".join(random.choice(words.split(), random.integers(2, 9)))
            (root / name / f"{at}.txt").write_text(f"{text.capitalize()}, É!\nThe end.\n", encoding="utf-8")
    return root


def write_spec(
    folder: Path, source: str = "{path: reviews, vocabulary: 40}", dataset: str = "test: 0.25", *, is_text: bool = True
) -> Path:
    path = folder / "reviews.yaml"
    is_answer = "labels: input" not in dataset
    last = "{units: 3, activation: softmax}" if is_answer else "{units: 5}"
    loss = "sparse_categorical_crossentropy" if is_answer else "mean_squared_error"
    source = f"{{text: {source}}}" if is_text else source
    path.write_text(SPEC.format(source=source, dataset=dataset, numbers=40, last=last, loss=loss), encoding="utf-8")
    return path


def load(folder: Path, *said: str, reader: TextReader | None = None) -> tuple[Dataset, Splits, list[str]]:
    """The data of a spec in that folder, and what a person is told."""
    told: list[str] = []
    loaded = load_spec(write_spec(folder, *said), shipped_catalogue())
    source = loaded.spec.dataset.source
    assert isinstance(source, Text)
    return *load_texts(loaded, source, Where(None, False, told.append), [folder], reader), told


def array(values: Any) -> np.ndarray[Any, Any]:
    [only] = named(values).values()
    return only


def test_words_are_those_of_a_text_column_of_a_table(tmp_path: Path) -> None:
    root = write(tmp_path / "reviews")
    (root / "bad" / "more" / "deep").mkdir(parents=True)
    (root / "bad" / "more" / "deep" / "x.TXT").write_text("dull dull dull")
    (root / "bad" / ".hidden.txt").write_text("hidden")
    (root / "__MACOSX").mkdir()
    rows = []
    for name in WORDS:
        files = [path for path in (root / name).rglob("*") if path.suffix.lower() == ".txt" and path.name[0] != "."]
        rows += [(path.read_text(encoding="utf-8"), name) for path in sorted(files)]
    lines = "".join(f'"{text}",{name}\n' for text, name in rows)
    (tmp_path / "table.csv").write_text(f"text,class\n{lines}", encoding="utf-8")
    table = "{csv: {path: table.csv, target: class, columns: {text: {text: {vocabulary: 40}}}}}"
    [(of_table, its_splits)] = known_spec(write_spec(tmp_path, table, is_text=False)).data
    dataset, splits, told = load(tmp_path)
    assert (dataset.class_names, told) == (tuple(WORDS), [])
    assert isinstance(dataset.reader, TextReader)
    assert dataset.reader.column == of_table.reader.inputs["input"][0]
    assert dataset.reader.facts == of_table.reader.facts
    np.testing.assert_array_equal(array(dataset.train.inputs), array(of_table.train.inputs))
    np.testing.assert_array_equal(array(dataset.train.targets), array(of_table.train.targets))
    for name in splits.names:
        np.testing.assert_array_equal(splits.named(name).indices, its_splits.named(name).indices)
    again = restore_reader(json.loads(json.dumps(dataset.reader.state())))
    assert again == dataset.reader


@pytest.mark.parametrize("held_out", ["validation", "val"])
def test_folders_of_splits(tmp_path: Path, held_out: str) -> None:
    for name, each in (("train", 4), ("test", 2), (held_out, 3)):
        write(tmp_path / "reviews" / name, each=each)
    (tmp_path / "reviews" / "test" / "bad" / "0.txt").write_text("unheard")
    (tmp_path / "reviews" / "urls.txt").write_text("http")
    dataset, splits, told = load(tmp_path, "{path: reviews, length: 3}", "validation: folder")
    assert [len(split) for split in (splits.train, splits.validation, splits.test) if split] == [12, 9, 6]
    assert told == [f"{tmp_path}/reviews/urls.txt is not in a folder of a class, and left out."]
    assert dataset.test is not None
    assert array(dataset.test.inputs)[0].tolist() == [1, 0, 0]  # no text to train on has it
    _, splits, told = load(tmp_path, "{path: reviews}", "validation: 0.25")
    assert [len(split) for split in (splits.train, splits.validation, splits.test) if split] == [9, 3, 6]
    assert "9 texts for validation, which is not used: `validation: folder` uses it" in told[1]
    shutil.rmtree(tmp_path / "reviews" / "test")
    write(tmp_path / "newer", each=1, folders={"good": WORDS["good"]})
    dataset, _, _ = load(tmp_path, "{path: reviews, test_path: newer}")
    assert array(dataset.test and dataset.test.targets).tolist() == [1]


def test_encodings_and_texts_without_words(tmp_path: Path) -> None:
    root = write(tmp_path / "reviews", each=4)
    plain = array(load(tmp_path)[0].train.inputs)
    for path in root.rglob("*.txt"):
        path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    message = str(caught.value)
    place = (root / "bad" / "0.txt").read_bytes().index(b"\xc9")
    size = len((root / "bad" / "0.txt").read_bytes())
    assert f"bad/0.txt is not written in utf-8: byte {place + 1} of {size} is 0xc9. Nor can 11 others be" in message
    assert "; and 7 more." in message
    assert "`encoding: latin-1`" in str(caught.value.hint)
    np.testing.assert_array_equal(array(load(tmp_path, "{path: reviews, encoding: cp1252}")[0].train.inputs), plain)
    for encoding, said in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16")):
        for path in write(root, each=4).rglob("*.txt"):
            path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
        np.testing.assert_array_equal(
            array(load(tmp_path, f"{{path: reviews, encoding: {said}}}")[0].train.inputs), plain
        )
    write(root, each=4)
    (root / "so_so" / "3.txt").write_bytes(b"")
    dataset, _, told = load(tmp_path)
    assert told == [f"1 of 12 texts, {root}/so_so/3.txt, has no word: all their numbers are 0."]
    assert not array(dataset.train.inputs)[11].any()


def test_an_autoencoder_needs_no_classes(tmp_path: Path) -> None:
    write(tmp_path, each=4, folders={"all": "a b c"})
    dataset, splits, _ = load(tmp_path, "{path: all, length: 5}", "labels: input\n  test: 0.25")
    assert dataset.class_names is None
    assert (len(splits.train), array(dataset.train.inputs).shape) == (3, (4, 5))


# --- what may be wrong ---------------------------------------------------------------------------------------------


def _without_folders(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()
    (root / "a.txt").write_text("x")


def _other_test_class(root: Path) -> None:
    write(root / "train", each=2)
    (root / "test" / "new").mkdir(parents=True)


def _without_words(root: Path) -> None:
    for path in root.rglob("*.txt"):
        path.write_text(" ... \n")


def _as_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("x")


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "zeros": (
        lambda root: (root / "bad" / "0.txt").write_bytes(b"a\0b"),
        "0.txt is no text in utf-8: character 2 is 0",
    ),
    "broken link": (lambda root: (root / "bad" / "9.txt").symlink_to(root / "x"), "9.txt cannot be read: No such file"),
    "link to itself": (lambda root: (root / "bad" / "s").symlink_to(root / "bad" / "s"), "bad/s cannot be followed"),
    "loop": (lambda root: (root / "bad" / "again").symlink_to(root), "is a link to a folder that it is in itself"),
    "pipe": (lambda root: os.mkfifo(root / "bad" / "9.txt"), "9.txt is no ordinary file."),
    "no texts of a class": (
        lambda root: (root / "new").mkdir(),
        "new has no texts. Put some into it (.txt), or remove",
    ),
    "one class": (lambda root: [shutil.rmtree(root / name) for name in ("bad", "so_so")], "one class only, good"),
    "no class folders": (_without_folders, "has no folders of classes, but 1 texts of none."),
    "a class of the test set only": (_other_test_class, "that are not in the training data: new. Known are: bad, good"),
    "no words": (_without_words, "none of the texts to train on has a word"),
    "a file": (_as_file, "reviews is a file. Name the folder that has a folder for each class"),
    "missing": (shutil.rmtree, "There is no reviews; looked for"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str, tmp_path: Path, dlcli: Command) -> None:
    root = write(tmp_path / "reviews", each=2)
    spoil, expected = WRONG[name]
    spoil(root)
    done = dlcli("data", write_spec(tmp_path, dataset="test: 0"))
    said = " ".join(done.err.split())
    assert done.code == 3, done.err
    assert expected in said


def test_an_encoding_that_is_none_is_told_where_it_is_written(tmp_path: Path, dlcli: Command) -> None:
    write(tmp_path / "reviews", each=2)
    done = dlcli("check", write_spec(tmp_path, "{path: reviews, encoding: utf-9}"))
    assert done.code == 3
    assert "reviews.yaml:5:44: error: `encoding: utf-9` is not known" in " ".join(done.out.split())
    for wrong in ("hex", "undefined"):
        with pytest.raises(DataError, match=r"is not known|is not written in undefined"):
            load(tmp_path, f"{{path: reviews, encoding: {wrong}}}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["bad/0.txt", "bad"])
def test_no_permission(tmp_path: Path, place: str) -> None:
    root = write(tmp_path / "reviews", each=2)
    (root / place).chmod(0)
    try:
        with pytest.raises(DataError, match="Permission denied"):
            load(tmp_path)
    finally:
        (root / place).chmod(0o700)


def test_more_than_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "reviews", each=2)
    (root / "bad" / "huge.txt").write_text("word " * 2000)
    monkeypatch.setattr(text_reader, "available_memory", lambda: 20_000)
    with pytest.raises(DataError, match=r"largest of them .*huge\.txt with 10\.0 kB: with the 20\.0 kB"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("source", "dataset", "expected"),
    [
        ("{}", "test: 0", "path"),
        ("{path: reviews, vocabulary: 2}", "test: 0", "vocabulary"),
        ("{path: reviews, length: 0}", "test: 0", "length"),
        ("{path: reviews, size: 3}", "test: 0", "`size`"),
    ],
)
def test_mistakes_in_the_grammar(tmp_path: Path, source: str, dataset: str, expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        load_spec(write_spec(tmp_path, source, dataset), shipped_catalogue())


# --- commands ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, their spec and a run."""
    folder = tmp_path_factory.mktemp("texts")
    write(folder / "reviews" / "train")
    write(folder / "reviews" / "test", each=3, seed=1)
    (folder / "reviews" / "test" / "bad" / "empty.txt").write_text("")
    spec = write_spec(folder, dataset="validation: 0.25")
    assert run_quietly("train", spec, "--runs-dir", folder / "runs", "--run-name", "one", "-q") == 0
    return folder


def test_predictions_for_files_are_those_for_the_split(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    run = trained / "runs" / "reviews" / "one"
    split = dlcli("predict", run, "--split", "test", "--json").json
    evaluation = dlcli("evaluate", run, "--json").json
    # A checkpoint that was moved, and nothing else is left of data, spec and run.
    shutil.copytree(trained / "reviews" / "test", tmp_path / "later")
    shutil.copy(run / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    hidden = trained.rename(trained.with_name("hidden"))
    try:
        below = dlcli("predict", tmp_path / "moved.h5", tmp_path / "later", "--json").json
        one = dlcli("predict", tmp_path / "moved.h5", tmp_path / "later" / "so_so" / "2.txt", "--json").json
        lost = dlcli("evaluate", tmp_path / "moved.h5")
    finally:
        hidden.rename(trained)
    assert [row["input"] for row in below][-2:] == ["so_so/1.txt", "so_so/2.txt"]
    assert len(below) == len(split) == 10
    for mine, its in zip(below, split, strict=True):
        assert mine["class"] == its["class"]
        assert mine["probability"] == pytest.approx(its["probability"], abs=1e-6)
    assert one[0]["probability"] == pytest.approx(split[-1]["probability"], abs=1e-6)
    confusion = np.zeros((3, 3), int)
    for row in split:
        confusion[list(WORDS).index(row["true"]), list(WORDS).index(row["class"])] += 1
    assert evaluation["confusion"] == confusion.tolist()
    assert (lost.code, "There is no reviews" in lost.err) == (3, True)


def test_what_predict_cannot_read(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    run = trained / "runs" / "reviews" / "one"
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    (tmp_path / "none").mkdir()
    cases = (("bad.txt", "byte 4 of 4 is 0xe9"), ("none", "no texts"), ("x.txt", "There is no"))
    for place, expected in cases:
        done = dlcli("predict", run, tmp_path / place)
        assert done.code == 3
        assert expected in " ".join(done.err.split())


def test_evaluation_on_other_folders(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    """Other texts are read as in training, whatever their spec says, and their classes are those of training."""
    run = trained / "runs" / "reviews" / "one"
    write(tmp_path / "reviews", each=4, folders={"good": "lovely", "so_so": "fair unheard"})
    other = write_spec(tmp_path, "{path: reviews, length: 2}")
    evaluation = dlcli("evaluate", run, "--data", other, "--json").json
    assert [row["examples"] for row in evaluation["classes"]] == [0, 1, 1]
    (tmp_path / "reviews" / "good").rename(tmp_path / "reviews" / "new")
    done = dlcli("evaluate", run, "--data", other)
    assert (done.code, "not in the training data: new" in " ".join(done.err.split())) == (3, True)


@thorough
def test_a_stopped_run_comes_to_the_same_bits(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("reviews", "reviews.yaml"):
        (tmp_path / name).symlink_to(trained / name)
    looks = 0

    def is_asked(request: StopRequest) -> bool:
        nonlocal looks
        looks += 1
        return looks >= 5

    command = ("train", tmp_path / "reviews.yaml", "--runs-dir", tmp_path / "runs", "--run-name", "one", "-q")
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "is_asked", property(is_asked))
        assert run_quietly(*command) == 143
    run = tmp_path / "runs" / "reviews" / "one"
    assert run_quietly("train", "--resume", run, "-q") == 0
    assert not compare(outcome(trained / "runs" / "reviews" / "one"), outcome(run))


def test_data_shows_texts_as_the_model_reads_them(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    summary = dlcli("data", trained / "reviews.yaml", "--json", "--plot", tmp_path / "words.png").json
    assert (tmp_path / "words.png").stat().st_size > 1000
    assert summary["splits"] == {"train": 18, "validation": 6, "test": 10}
    assert len(summary["lines"]) == 3
    first = summary["lines"][0]
    assert (trained / "reviews" / "train" / "bad" / "0.txt").read_text(encoding="utf-8") == first["text"]
    assert "the end" in first["words"]
    assert len(first["numbers"]) == summary["inputs"]["input"]["shape"][0]


@pytest.mark.parametrize(
    ("folders", "dataset"),
    [([""], "validation: 0.25"), (["train", "val", "test"], "validation: folder"), (["train", "test"], "test: 0")],
)
def test_the_script_has_the_same_numbers(dlcli: Command, tmp_path: Path, folders: list[str], dataset: str) -> None:
    for number, folder in enumerate(folders):
        write(tmp_path / "reviews" / folder, seed=number)
    path = write_spec(tmp_path, dataset=dataset)
    done = dlcli("code", path, "--set", "train.class_weight={good: 2}")
    assert done.code == 0, done.err
    assert "class_weight = {0: 1.0, 1: 2.0, 2: 1.0}" in done.out
    script = tmp_path / "script.py"
    script.write_text(done.out[: done.out.index("\nmodel = ")], encoding="utf-8")
    found = runpy.run_path(str(script))
    [(_, splits)] = known_spec(path).data
    for split in splits.names:
        rows, letter = splits.named(split), {"validation": "val"}.get(split, split)
        np.testing.assert_array_equal(found[f"x_{letter}"], array(rows.examples.inputs)[rows.indices])
        np.testing.assert_array_equal(found[f"y_{letter}"], array(rows.examples.targets)[rows.indices])


def test_init_writes_a_spec_for_a_folder_of_texts(dlcli: Command, tmp_path: Path) -> None:
    for name, each in (("train", 40), ("val", 8), ("test", 8)):
        write(tmp_path / "reviews" / name, each=each, folders={name: WORDS[name] for name in ("bad", "good")})
    for path in (tmp_path / "reviews").rglob("*.txt"):
        path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    done = dlcli("init", "--data", tmp_path / "reviews", "-o", tmp_path / "first.yaml")
    assert done.code == 0, done.err
    spec = yaml.safe_load((tmp_path / "first.yaml").read_text(encoding="utf-8"))
    assert spec["dataset"]["source"]["text"]["encoding"] == "cp1252"
    assert spec["dataset"]["source"]["text"]["vocabulary"] == spec["model"]["layers"][0]["Embedding"]["input_dim"]
    assert spec["dataset"]["validation"] == "folder"
    assert spec["train"]["callbacks"]
    assert dlcli("train", tmp_path / "first.yaml", "--runs-dir", tmp_path / "runs", "--smoke").code == 0
