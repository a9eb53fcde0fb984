"""imdb, reuters and california_housing: as `keras.datasets` has them, to the number, and running nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.dataset import Dataset
from dlcli.data.keras_cache import UnreachableError
from dlcli.data.keras_numbers import word_index
from dlcli.data.pickles import read_pickle
from dlcli.data.sources import load_dataset
from dlcli.errors import DataError, SpecError
from dlcli.spec import sources as grammar
from dlcli.spec.loading import load_spec
from tests.conftest import Command, shipped_catalogue, thorough
from tests.data_helpers import NOT_THERE, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


def texts(count: int, *, seed: int) -> Any:
    """An array of lists of ranks of words, as Keras's files have them."""
    random = np.random.default_rng(seed)
    made = np.empty(count, object)
    made[:] = [random.integers(1, 30, random.integers(1, 12)).tolist() for _ in range(count)]
    return made


def write_imdb(folder: Path, **instead: Any) -> Path:
    content = {
        "x_train": texts(14, seed=0), "y_train": np.arange(14) % 2,
        "x_test": texts(8, seed=1), "y_test": np.arange(8) % 2,
    }  # fmt: skip
    np.savez(folder / "imdb.npz", **{**content, **instead})
    return folder / "imdb.npz"


def write_reuters(folder: Path) -> Path:
    np.savez(folder / "reuters.npz", x=texts(25, seed=2), y=np.arange(25) % 46)
    return folder / "reuters.npz"


def write_california(folder: Path, rows: int = 700) -> Path:
    random = np.random.default_rng(3)
    x, y = random.normal(size=(rows, 8)), random.uniform(15_000, 500_000, rows)
    np.savez(folder / "california_housing.npz", x=x.astype(np.float32), y=y.astype(np.float32))
    return folder / "california_housing.npz"


WRITE: dict[str, Callable[[Path], Path]] = {
    "imdb": write_imdb, "reuters": write_reuters, "california_housing": write_california
}  # fmt: skip


def keras_s(name: str, path: Path, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    """What Keras makes of a file, whatever its digest."""
    import keras

    module = __import__(f"keras.src.datasets.{name}", fromlist=["load_data"])
    monkeypatch.setattr(module, "get_file", lambda *_, **__: str(path))
    (x_train, y_train), (x_test, y_test) = module.load_data(
        **{key: value for key, value in arguments.items() if key != "length"}
    )
    if "length" in arguments:
        x_train, x_test = (keras.utils.pad_sequences(x, maxlen=arguments["length"]) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test


def assert_same(dataset: Dataset, theirs: Any) -> None:
    assert dataset.test is not None
    ours = (dataset.train.inputs, dataset.train.targets, dataset.test.inputs, dataset.test.targets)
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_words": 15},
        {"num_words": 15, "skip_top": 5, "seed": 7},
        {"num_words": 2, "oov_char": 9},
        {"maxlen": 9, "num_words": 20},
        {"start_char": None, "index_from": 0},
        {"start_char": None, "index_from": 2, "oov_char": None, "num_words": 12},
        {"start_char": 5, "oov_char": None, "skip_top": 8},
    ],
)
def test_texts_are_those_of_keras(
    name: str, arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = WRITE[name](tmp_path)
    for length in (4, 20):
        given = {**arguments, "length": length}
        source = grammar.SOURCES[name](**given)
        dataset = load_dataset(source, data_dir=tmp_path, notify=lambda text: None)
        assert_same(dataset, keras_s(name, path, monkeypatch, **given))
        assert isinstance(dataset.train.inputs, np.ndarray)
        assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == (np.int32, np.int32)
        facts = source.input_facts["input"]
        assert facts.shape == dataset.example_shape
        assert facts.numbers is None or dataset.train.inputs.max() < facts.numbers


@pytest.mark.parametrize("arguments", [{}, {"version": "small"}, {"test_split": 0.35, "seed": 3}])
def test_districts_are_those_of_keras(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_california(tmp_path)
    said: list[str] = []
    dataset = load_dataset(grammar.CaliforniaHousing(**arguments), data_dir=tmp_path, notify=said.append)
    assert_same(dataset, keras_s("california_housing", path, monkeypatch, **arguments))
    assert dataset.feature_names is not None
    assert (dataset.class_names, dataset.feature_names[-1]) == (None, "Longitude")
    assert len(said) == ("version" not in arguments)


def test_what_is_known_before() -> None:
    assert grammar.Imdb(length=8).examples == (25_000, 25_000)
    assert grammar.Imdb(length=8, maxlen=100).examples is None
    assert grammar.Reuters(length=8).examples == (8_982, 2_246)
    assert grammar.CaliforniaHousing().examples == (16_512, 4_128)
    assert grammar.CaliforniaHousing(version="small").examples == (480, 120)


def test_a_part_of_a_set_is_said(tmp_path: Path) -> None:
    write_imdb(tmp_path)
    said: list[str] = []
    dataset = load_dataset(grammar.Imdb(length=5), data_dir=tmp_path, notify=said.append)
    assert "has 22 of the 50,000 examples (14 for training, 8 for test)" in said[0]
    assert dataset.class_names == ("negative", "positive")


@pytest.mark.parametrize("name", WRITE)
def test_unreachable(name: str, tmp_path: Path) -> None:
    source = grammar.SOURCES[name](**({} if name == "california_housing" else {"length": 5}))
    with pytest.raises(UnreachableError) as caught:
        load_dataset(source)
    assert NOT_THERE in caught.value.message
    assert f"{name}.npz" in str(caught.value.hint)
    assert "fallback" not in str(caught.value.hint)
    with pytest.raises(DataError, match=f"The fallback diabetes cannot stand in for {name}"):
        load_dataset(source, fallback=grammar.Diabetes())
    WRITE[name](tmp_path)
    assert load_dataset(source, data_dir=tmp_path, notify=lambda text: None).requested is None


# --- files that are not what they should be ------------------------------------------------------------------------


class Harmful:
    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.made),)


def with_pickle(path: Path, name: str, content: bytes, *, shape: tuple[int, ...] = (14,)) -> None:
    """Put a pickle into an archive in the place of an array of lists."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**members, f"{name}.npy": header.getvalue() + content}.items():
            archive.writestr(member, data)


def test_a_harmful_file_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path, made = write_imdb(tmp_path), tmp_path / "made by the pickle"
    rows = texts(14, seed=0)
    rows[3] = Harmful(made)
    with_pickle(path, "x_train", pickle.dumps(rows))
    np.load(path, allow_pickle=True)["x_train"]
    made.rmdir()  # it was there: NumPy runs it
    with pytest.raises(DataError, match=r"x_train is refused: it asks for (posix|nt)\.mkdir, .*none of it was run"):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)
    assert not made.exists()


class Forged:
    """A type of objects that says of itself that it has none, so that NumPy would take bytes for their addresses."""

    def __reduce__(self) -> Any:
        return np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)


class ForgedArray:
    def __reduce__(self) -> Any:
        make = np.empty(0).__reduce__()[0]
        return make, (np.ndarray, (0,), b"b"), (1, (14,), Forged(), False, b"\x41" * 8 * 14)


def test_a_forged_array_is_never_made(tmp_path: Path) -> None:
    path = write_imdb(tmp_path)
    with_pickle(path, "x_train", pickle.dumps(ForgedArray()))
    with pytest.raises(DataError, match="x_train should be an array of lists"):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        lambda: pickle.dumps(np.arange(6, dtype=">i2").reshape(2, 3)),
        lambda: pickle.dumps(np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), protocol=2),
    ],
)
def test_arrays_of_numbers_are_read(value: Callable[[], bytes]) -> None:
    found = read_pickle(io.BytesIO(value()), where="here", what="a test", again="")
    np.testing.assert_array_equal(found.numbers(), [[0, 1, 2], [3, 4, 5]])


BAD_ROWS: dict[str, Any] = {
    "text": ["a", "b"], "lists": [[1], [2, 3]], "fractions": [1.5], "negative": [-1], "huge": [2**40], "none": None,
    "no list": 7, "true": [True],
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_texts_that_are_none(name: str, tmp_path: Path) -> None:
    rows = texts(14, seed=0)
    rows[3] = BAD_ROWS[name]
    write_imdb(tmp_path, x_train=rows)
    with pytest.raises(DataError, match=r"imdb\.npz, x_train: a text should be a list of numbers from 0 on"):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        ({"y_train": np.arange(14)}, "the labels should be 0 to 1, but go from 0 to 13"),
        ({"y_train": np.arange(13) % 2}, "14 texts and 13 labels"),
        ({"y_train": np.zeros(14)}, "the labels should be whole numbers"),
        ({"x_test": np.zeros(8)}, "x_test should be an array of lists"),
        ({"x_train": np.empty((7, 2), object)}, "x_train should be an array of lists"),
    ],
)
def test_archives_that_are_no_imdb(instead: dict[str, Any], expected: str, tmp_path: Path) -> None:
    write_imdb(tmp_path, **instead)
    with pytest.raises(DataError, match=expected):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)


def test_damaged_archives(tmp_path: Path) -> None:
    path = write_imdb(tmp_path)
    whole = path.read_bytes()
    for content in (b"", whole[:300], whole.replace(b"NUMPY", b"NUMPX"), b"PK\x03\x04" + b"x" * 100):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"imdb\.npz.* is damaged"):
            load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)
    path.write_bytes(whole)
    with_pickle(path, "x_train", pickle.dumps(texts(14, seed=0))[:50])
    with pytest.raises(DataError, match="x_train is damaged"):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)
    np.savez(path, x_train=texts(4, seed=0))
    with pytest.raises(DataError, match="has no y_train; it has x_train"):
        load_dataset(grammar.Imdb(length=5), data_dir=tmp_path)
    write_imdb(tmp_path)
    with pytest.raises(DataError, match="has no text of fewer than 1 words for training"):
        load_dataset(grammar.Imdb(length=5, maxlen=1), data_dir=tmp_path)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x": np.zeros((5, 7)), "y": np.zeros(5)}, r"numbers of the shapes \(n, 8\) and \(n,\)"),
        ({"x": np.zeros((5, 8)), "y": np.zeros(4)}, r"numbers of the shapes"),
        ({"x": np.full((5, 8), np.nan), "y": np.zeros(5)}, "missing or not finite"),
        ({"x": np.zeros((1, 8)), "y": np.zeros(1)}, "cannot be divided"),
        ({"a": np.zeros(3)}, "needs the arrays x and y; it has a"),
        ({"x": np.array([None]), "y": np.zeros(1)}, "is damaged or cannot be read: Object arrays"),
    ],
)
def test_archives_that_are_no_districts(arrays: dict[str, Any], expected: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "california_housing.npz", **arrays)
    with pytest.raises(DataError, match=expected):
        load_dataset(grammar.CaliforniaHousing(), data_dir=tmp_path)


def test_words(tmp_path: Path) -> None:
    assert word_index("imdb", tmp_path) is None
    for content, expected in (("{", "cannot be read"), ("[1]", "a number for each word"), ('{"a": "b"}', "a number")):
        (tmp_path / "imdb_word_index.json").write_text(content)
        with pytest.raises(DataError, match=expected):
            word_index("imdb", tmp_path)


# --- commands ------------------------------------------------------------------------------------------------------

SPEC = """
name: numbers
dataset:
  source: {source}
  {dataset}
model:
  layers: [{layers}]
loss: {loss}
metrics: [{metric}]
train: {{epochs: 2}}
"""
LAYERS = {
    "imdb": ("Embedding: {input_dim: 40, output_dim: 3}", "GlobalAveragePooling1D",
             "Dense: {units: 1, activation: sigmoid}"),
    "reuters": ("Embedding: {input_dim: 20, output_dim: 3}", "Flatten", "Dense: {units: 46, activation: softmax}"),
    "california_housing": ("Dense: {units: 1}",),
}  # fmt: skip
LOSSES = {"imdb": "binary_crossentropy", "reuters": "sparse_categorical_crossentropy"}


def write_spec(folder: Path, source: str, dataset: str = "batch_size: 8") -> Path:
    name = next(name for name in WRITE if name in source)
    path = folder / "numbers.yaml"
    loss, metric = LOSSES.get(name, "mean_squared_error"), "accuracy" if name in LOSSES else "mean_absolute_error"
    layers = ", ".join(f"{{{layer}}}" if ":" in layer else layer for layer in LAYERS[name])
    path.write_text(SPEC.format(source=source, dataset=dataset, layers=layers, loss=loss, metric=metric))
    return path


@pytest.mark.parametrize(
    ("source", "dataset"),
    [
        pytest.param("{imdb: {length: 6}}", "validation: 0.25", marks=thorough),
        ("{reuters: {length: 6, num_words: 20, maxlen: 12, oov_char: null}}", "validation: test"),
        pytest.param("{california_housing: {version: small}}", "validation: 0.1", marks=thorough),
    ],
)
def test_a_spec_is_trained_evaluated_and_written_as_a_script(
    source: str, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command
) -> None:
    name = next(name for name in WRITE if name in source)
    path = WRITE[name](tmp_path)
    spec = write_spec(tmp_path, source, dataset)
    monkeypatch.setenv("DLCLI_DATA_DIR", str(tmp_path))
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs", "--run-name", "one", "-q")
    assert done.code == 0, done.err
    best = tmp_path / "runs" / "numbers" / "one" / "checkpoints" / "best.h5"
    evaluation = dlcli("evaluate", best, "--json").json
    assert np.isfinite(evaluation["metrics"]["loss"])
    dataset_of = load_dataset(load_spec(spec, shipped_catalogue()).spec.dataset.source, notify=lambda text: None)
    assert dataset_of.test is not None
    np.save(tmp_path / "new.npy", dataset_of.test.inputs)
    below = dlcli("predict", best, tmp_path / "new.npy", "--json").json
    split = dlcli("predict", best, "--split", "test", "--json").json
    number = "probability" if name in LOSSES else "prediction"
    assert [row[number] for row in below] == pytest.approx([row[number] for row in split], abs=1e-6)
    done = dlcli("code", spec)
    assert done.code == 0, done.err
    script = tmp_path / "script.py"
    script.write_text(done.out[: done.out.index("\nmodel = ")], encoding="utf-8")
    keras_s(name, path, monkeypatch, **({} if name == "california_housing" else {"length": 6}))  # patches its download
    found = runpy.run_path(str(script))
    if name != "california_housing":  # whose columns are standardized
        np.testing.assert_array_equal(found["x_test"], dataset_of.test.inputs)
    np.testing.assert_allclose(found["y_test"].ravel(), dataset_of.test.targets)


def test_data_shows_words_where_their_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command) -> None:
    write_imdb(tmp_path)
    spec = write_spec(tmp_path, "{imdb: {length: 14, num_words: 20}}")
    done = dlcli("data", spec, "--data-dir", tmp_path)
    assert done.code == 0, done.err
    assert "numbers" in done.out
    assert "read " not in done.out
    (tmp_path / "imdb_word_index.json").write_text(json.dumps({f"word{rank}": rank for rank in range(1, 31)}))
    lines = dlcli("data", spec, "--data-dir", tmp_path, "--json").json["lines"]
    for line in lines:
        words = [
            f"word{number - 3}" if number > 2 else ("[start]", "[?]")[number - 1]
            for number in line["numbers"]
            if number
        ]
        assert line["words"] == " ".join(words)
    assert "word" in dlcli("data", spec, "--data-dir", tmp_path).out


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("imdb", "length"),
        ("{imdb: {length: 5, num_word: 3}}", "Did you mean `num_words`"),
        ("{imdb: {length: 5, num_words: 0}}", "num_words"),
        ("{reuters: {length: 5, test_split: 1.0}}", "test_split"),
        ("{california_housing: {version: medium}}", "version"),
        ("{imdb: {length: 5, num_words: 50}}", "has 40 rows, one for each number from 0 on; `input` has 50 numbers"),
    ],
)
def test_mistakes_in_the_grammar(source: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write_spec(tmp_path, source), shipped_catalogue())
    assert any(expected in f"{problem.message} {problem.hint}" for problem in caught.value.problems)
