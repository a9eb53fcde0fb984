"""`dlcli export`: each format answers as dlcli does, on what is in files; and what can go wrong."""

from __future__ import annotations

import io
import json
import runpy
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from dlcli.data.columns import Category, Date, Index, Number, Plain, Text
from dlcli.data.encoding import Encoding
from dlcli.data.image_decoding import Form, form_pixels, read_picture
from dlcli.data.preparation import Preparation
from dlcli.errors import UsageError
from dlcli.exporting.formats import FORMATS, the_format
from dlcli.exporting.network import _in_units
from dlcli.exporting.parts import Picture, parts_of, unique
from dlcli.exporting.pictures import decode_file, fit_pictures
from dlcli.exporting.places import new_folder
from dlcli.exporting.prepare import STEPS
from dlcli.exporting.served import as_shown, date_numbers
from dlcli.exporting.subject import Subject
from dlcli.exporting.tracing import not_held
from dlcli.training.checkpoint import Checkpoint
from tests.conftest import Command, run_quietly, some_of, thorough

TABLE = """
name: shop
dataset:
  source:
    csv:
      path: shop.csv
      target: sold
      inputs:
        facts: [price, Shelf No., day, size]
        words: [note]
        place: [city]
      columns: {Shelf No.: category, day: date, size: category, note: {text: {length: 4}}, city: index}
  validation: 0.2
  labels: standardized
  batch_size: 16
model:
  layers:
    - Dense: {units: 4, activation: relu}
      inputs: facts
      name: seen
    - Embedding: {input_dim: 10000, output_dim: 2}
      inputs: words
    - GlobalAveragePooling1D: {}
      name: read
    - Embedding: {input_dim: 5, output_dim: 2}
      inputs: place
      name: placed
    - Concatenate: {}
      inputs: [seen, read, placed]
    - Dense: {units: 1}
loss: mean_squared_error
optimizer: Adam
train: {epochs: 1}
"""
NOTES = ("Good, very GOOD!", "écru ÉCRU café", "", "not so good", "don't\tbuy")
PICTURES = """
name: looks
dataset: {source: {images: {path: looks, size: [12, 10], fit: crop}}, validation: 0.25, batch_size: 4}
model:
  layers:
    - Conv2D: {filters: 2, kernel_size: 3, activation: relu}
    - Flatten
    - Dense: {units: 2}
loss: {SparseCategoricalCrossentropy: {from_logits: true}}
optimizer: Adam
train: {epochs: 1}
"""
COLUMNS = (
    Number("a", False, 3.0, 2.0, True),
    Plain("a", False, 3.0, 1.0, False),
    Category("a", True, ("x", "y z"), True),
    Index("a", False, ("1", "2.5")),
    Date("a", True, (2020.0, 6.0, 15.0, 3.0, 180.0, 12.0), (2.0, 3.0, 8.0, 2.0, 100.0, 6.0), True),
    Text("a", True, ("good", "écru", "dont"), 3, 10),
)
VALUES: dict[str, list[Any]] = {
    "number": [1.0, np.nan, -7.5],
    "plain": [1.0, np.nan, -7.5],
    "category": ["x", " y z ", "other", None],
    "index": [1.0, 2.5, 7.0, np.nan],
    "date": ["2024-02-29", "2023-12-31T23:30:00.5-02:00", "1969/7/2 05:01", "2000-03-01 00:10Z", None,
             "1999-01-01 00:30+0530"],
    "text": [*NOTES, None],
}  # fmt: skip


def write_table(path: Path, rows: int = 60) -> None:
    random = np.random.default_rng(0)
    days = [datetime(2023, 11, 5) + timedelta(hours=int(hours)) for hours in random.integers(0, 9000, rows)]
    frame = pd.DataFrame({
        "price": random.normal(1e6, 3, rows).round(3), "Shelf No.": random.integers(1, 4, rows),
        "day": [day.isoformat(" ") for day in days], "size": random.choice(["S", " L", "XL"], rows),
        "note": random.choice(NOTES, rows), "city": random.choice(["Bern", "Köln", "Ōsaka"], rows),
        "sold": random.normal(50, 20, rows).round(2),
    })  # fmt: skip
    frame.loc[3, "price"] = frame.loc[7, "size"] = frame.loc[5, "day"] = None
    frame.to_csv(path, index=False)


def write_pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(16):
        name = folder / ("dark" if number % 2 else "light") / f"{number}.{'jpg' if number % 4 < 2 else 'png'}"
        name.parent.mkdir(parents=True, exist_ok=True)
        size = (int(random.integers(8, 60)), int(random.integers(8, 60)))
        coarse = Image.fromarray(random.integers(0, 256, (3, 3, 3), np.uint8)).resize(size)
        coarse.convert("RGBA" if number == 2 else "RGB").save(name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs of `TABLE` and `PICTURES`; the specs and the data are beside it."""
    root = tmp_path_factory.mktemp("exported")
    write_table(root / "shop.csv")
    write_pictures(root / "looks")
    for name, text in (("shop", TABLE), ("looks", PICTURES)):
        (root / f"{name}.yaml").write_text(text, encoding="utf-8")
        assert run_quietly("train", root / f"{name}.yaml", "--runs-dir", root / "runs", "-q") == 0
    return root / "runs"


def example_answer(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """What the example's script prints, run in its folder."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    capfd.readouterr()
    runpy.run_path("example.py")
    return capfd.readouterr().out


@pytest.mark.parametrize("form", some_of(list(FORMATS), "onnx"))
def test_a_table_with_all_kinds_of_columns(
    dlcli: Command, runs: Path, form: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = dlcli("export", runs / "shop", "--format", form, "--json", "--overwrite")
    assert done.code == 0, done.err
    folder = Path(done.json["folder"])
    assert done.json["compared"][0]["examples"] == 60
    assert done.json["compared"][0]["largest_difference"] <= 1e-5
    signature = json.loads((folder / "signature.json").read_text())
    assert (signature["preparation"] is None) == (form == "savedmodel")
    assert len((folder / "example.py").read_text().splitlines()) <= 6
    raw = {name for one in signature["inputs"] for name in one["of"]}
    assert raw == {"price", "Shelf No.", "day", "size", "note", "city"}
    rows = dlcli("predict", runs / "shop", runs.parent / "shop.csv", "--json").json
    assert f"{rows[0]['prediction']:.1f}"[:4] in example_answer(folder, monkeypatch, capfd)


def test_raw_rows_go_into_the_savedmodel(
    dlcli: Command, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "served"
    assert dlcli("export", runs / "shop", "--format", "savedmodel", "-o", folder).code == 0
    assert json.loads((folder / "signature.json").read_text())["preparation"] is None
    assert "output" in example_answer(folder, monkeypatch, capfd)
    frame = pd.read_csv(runs.parent / "shop.csv", dtype={"Shelf No.": str}, keep_default_na=False)
    given = {
        "price": tf.constant(pd.to_numeric(frame["price"]).to_numpy(np.float64)),
        "Shelf_No": tf.constant(frame["Shelf No."]),
        **{name: tf.constant(frame[name]) for name in ("day", "size", "note", "city")},
    }
    served = tf.saved_model.load(folder / "model").signatures["serving_default"](**given)["output"].numpy()
    rows = dlcli("predict", runs / "shop", runs.parent / "shop.csv", "--json").json
    assert served[:, 0] == pytest.approx([row["prediction"] for row in rows], rel=1e-5)


def test_pictures_of_any_size_and_files_of_them(dlcli: Command, runs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "served"
    done = dlcli("export", runs / "looks", "--format", "savedmodel", "-o", folder, "--json")
    assert done.code == 0, done.err
    assert [one["what"] for one in done.json["compared"]] == ["examples", "files"]
    assert (folder / "classes.txt").read_text().split() == ["dark", "light"]
    files = sorted((runs.parent / "looks").rglob("*.*"))
    loaded = tf.saved_model.load(folder / "model")
    logits = loaded.signatures["files"](input=tf.constant([file.read_bytes() for file in files]))["output"]
    shares = tf.nn.softmax(logits).numpy().max(axis=1)
    rows = dlcli("predict", runs / "looks", *files, "--json").json
    assert shares == pytest.approx([row["probability"] for row in rows], abs=1e-5)


@pytest.mark.parametrize("form", some_of(["weights", "tflite", "onnx", "keras"], "tflite"))
def test_pictures_are_brought_to_size_outside(
    dlcli: Command, runs: Path, form: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = dlcli("export", runs / "looks", "--format", form, "--json", "--overwrite")
    assert done.code == 0, done.err
    assert done.json["compared"][0]["largest_difference"] <= 1e-5
    assert example_answer(Path(done.json["folder"]), monkeypatch, capfd)


@pytest.mark.parametrize("precision", some_of(["float16", "int8"], "int8"))
def test_tflite_in_fewer_bits(dlcli: Command, small_run: Path, precision: str, tmp_path: Path) -> None:
    done = dlcli("export", small_run, "--format", "tflite", f"--{precision}", "-o", tmp_path / "x", "--json")
    assert done.code == 0, done.err
    [score] = done.json["scores"]
    assert score["name"] == "accuracy on test"
    assert abs(score["own"] - score["exported"]) < 0.1
    assert json.loads((tmp_path / "x" / "signature.json").read_text())["precision"] == precision


@thorough
def test_without_the_data_examples_are_made_up(dlcli: Command, runs: Path, tmp_path: Path) -> None:
    """Of every kind of column; texts and dates that nobody has written."""
    checkpoint = shutil.copy(next(runs.glob("shop/latest/checkpoints/best.h5")), tmp_path / "alone.h5")
    moved = runs.parent / "shop.csv"
    kept = moved.rename(tmp_path / "kept.csv")
    try:
        for form in some_of(["savedmodel", "weights"], "savedmodel"):
            done = dlcli("export", checkpoint, "--format", form, "--json")
            assert done.code == 0, done.err
            assert "made up" in done.err
            assert done.json["compared"][0] == {
                **done.json["compared"][0], "origin": "made up", "examples": 256, "what": "examples",
            }  # fmt: skip
            assert (tmp_path / "export" / form / "signature.json").exists()
        done = dlcli("export", checkpoint, "--format", "tflite", "--int8")
        assert done.code == 3
        assert not (tmp_path / "export" / "tflite-int8").exists()
    finally:
        kept.rename(moved)


def test_another_answer_is_an_error_and_leaves_nothing(
    dlcli: Command, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("dlcli.exporting.formats", fromlist=["x"]).PRECISIONS, "float32", -1.0)
    done = dlcli("export", small_run, "--format", "weights", "-o", tmp_path / "x")
    assert done.code == 4
    assert "answers otherwise than dlcli" in done.err
    assert list(tmp_path.iterdir()) == []


MISTAKES: list[tuple[list[Any], int, str]] = [
    (["--format", "h5"], 2, "Did you mean weights?"),
    (["--format", "savedmodell"], 2, "savedmodel"),
    (["--format", "tfjs"], 2, "its converter takes a SavedModel"),
    (["--format", "onnx", "--int8"], 2, "--int8 is for --format tflite"),
    (["--format", "tflite", "--int8", "--float16"], 2, "one or the other"),
    (["--format", "keras", "-o", "FULL"], 2, "is no exported model"),
    (["--format", "keras", "-o", "FULL", "no --overwrite"], 2, "There is"),
]


@pytest.mark.parametrize(("arguments", "code", "says"), MISTAKES)
def test_mistakes(dlcli: Command, small_run: Path, tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    overwrite = [] if "no --overwrite" in arguments else ["--overwrite"]
    words = [str(tmp_path / "full") if word == "FULL" else word for word in arguments if word != "no --overwrite"]
    done = dlcli("export", small_run, *words, *overwrite)
    assert done.code == code
    assert says in done.err
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_mistakes_of_checkpoints(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_text("nothing")
    for path in (tmp_path / "bad.h5", tmp_path / "none.h5"):
        assert dlcli("export", path, "--format", "keras").code == 4


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.exporting.formats.find_spec", lambda name: None)
    with pytest.raises(UsageError) as found:
        the_format("onnx", "float32")
    assert "onnxruntime" in found.value.message
    assert found.value.hint == "pip install 'dlcli[export]'"


def untrained(shape: tuple[int, ...], layers: list[Any]) -> Subject:
    """A model of these layers, with two classes, that takes its numbers as they are."""
    preparation = Preparation(shape, "float32", ())
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(2)])
    nothing: Any = None
    checkpoint = Checkpoint(Path("x.h5"), None)
    parts = parts_of(None, preparation)
    return Subject(checkpoint, nothing, nothing, model, preparation, Encoding("integer", 2), None, parts)


def test_int8_is_refused_where_the_converter_would_end_the_process(tmp_path: Path) -> None:
    subject = untrained((3, 2), [keras.layers.LSTM(2, name="remembering")])
    with pytest.raises(UsageError, match="`remembering`, LSTM"):
        FORMATS["tflite"].writer.write(subject, tmp_path / "model", "int8", [])


def test_onnx_holds_what_its_converter_has_no_word_for(tmp_path: Path) -> None:
    subject = untrained((4,), [keras.layers.Dense(6, activation="gelu"), keras.layers.Dense(5, activation="celu")])
    writer, values = FORMATS["onnx"].writer, np.random.default_rng(0).normal(0, 3, (5, 4)).astype("float32")
    writer.write(subject, tmp_path / "model.onnx", "float32", [])
    answers = writer.load(tmp_path / "model.onnx", files=False)({"input": values})
    np.testing.assert_allclose(answers["output"], subject.model.predict_on_batch(values), atol=1e-5)


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_layer_that_a_format_cannot_hold_is_named(form: str, tmp_path: Path) -> None:
    layers = [keras.layers.Hashing(num_bins=5, name="hashed"), keras.layers.Embedding(5, 2), keras.layers.Flatten()]
    subject = untrained((4,), layers)
    with pytest.raises(Exception, match="hashed") as found:
        FORMATS[form].writer.write(subject, tmp_path / "model", "float32", [])
    error = found.value if isinstance(found.value, UsageError) else not_held(subject.model, found.value, form)
    assert f"The format {form} cannot hold this model: its layer `hashed`, Hashing" in error.message


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.kind)
def test_plain_numpy_prepares_columns_as_dlcli(column: Any) -> None:
    values = pd.Series(VALUES[column.kind])
    raw = np.asarray(["" if value is None else value for value in VALUES[column.kind]])
    found = STEPS[column.kind](raw, {**json.loads(json.dumps(column.state())), "name": "a"})
    np.testing.assert_allclose(found, column.encode(values, ""), atol=1e-12)


def test_tensorflow_takes_dates_apart_as_dlcli() -> None:
    column = COLUMNS[4]
    assert isinstance(column, Date)
    values = VALUES["date"]
    found = date_numbers(column, tf.constant([value or "" for value in values]))
    np.testing.assert_allclose(found, column.encode(pd.Series(values), ""), atol=1e-6)


def test_what_is_no_date_is_a_missing_one() -> None:
    column = COLUMNS[4]
    assert isinstance(column, Date)
    values = ["2023-02-29", "2024-13-01", "2024-00-10", "2024-01-32", "2024-01-01 24:00", "2024-01-01 10:60", "soon"]
    missing = [[0.0] * 6 + [1.0]] * len(values)
    np.testing.assert_array_equal(date_numbers(column, tf.constant(values)), missing)
    np.testing.assert_array_equal(STEPS["date"](np.asarray(values), {**column.state(), "name": "a"}), missing)


def test_numbers_that_are_values_are_taken_as_files_have_them() -> None:
    column = Index("a", False, ("-3", "0", "0.5", "1", "2.5", "True"))
    wanted = {
        "1.0": 4, "01": 4, "+1.": 4, "2.50": 5, " 2.5": 5, ".5": 3, "00": 2, "-0.0": 2, "-3.": 1, "true": 6, "TRUE": 6,
        "3.0.0": 0, "x": 0, "": 0, "10": 0, "1.05": 0,
    }  # fmt: skip
    found = STEPS["index"](np.asarray(list(wanted)), {**column.state(), "name": "a"})
    assert dict(zip(wanted, found.tolist(), strict=True)) == wanted
    shown = as_shown(column, tf.strings.strip(tf.constant(list(wanted)))).numpy()
    assert [column.values.index(one.decode()) + 1 if one.decode() in column.values else 0 for one in shown] == list(
        wanted.values()
    )
    as_texts = Index("a", True, ("01",))
    assert as_shown(as_texts, tf.constant(["01"])).numpy().tolist() == [b"01"]
    assert STEPS["index"](np.asarray(["01", "1"]), {**as_texts.state(), "name": "a"}).tolist() == [1, 0]


@pytest.mark.parametrize("fit", ["resize", "crop", "pad"])
@pytest.mark.parametrize("color", ["rgb", "grayscale"])
def test_pictures_are_resized_to_the_bit(fit: str, color: str) -> None:
    random = np.random.default_rng(0)
    form = Form((14, 19), color, fit)
    picture = Picture("input", form, form.shape, True)
    for size in ((33, 31), (60, 20), (9, 40), (14, 19)):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        wanted = form_pixels(pixels, form)
        np.testing.assert_array_equal(STEPS["picture"](pixels[None], picture.step)[0], wanted)
        if color == "rgb":
            np.testing.assert_array_equal(fit_pictures(pixels[None], picture)[0], wanted)


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def transparent(image: Image.Image) -> Image.Image:
    """The same with one of its values seen through."""
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize("color", ["rgb", "grayscale"])
def test_files_are_decoded_to_the_bit(color: str) -> None:
    form = Form((14, 19), color, "resize")
    picture = Picture("input", form, form.shape, True)
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (5, 5, 4), np.uint8)).resize((70, 90))
    kinds: list[tuple[str, Callable[[Image.Image], Image.Image]]] = [
        ("JPEG", lambda image: image.convert("RGB")), ("JPEG", lambda image: image.convert("L")),
        ("PNG", lambda image: image), ("PNG", lambda image: image.convert("P")),
        ("PNG", lambda image: image.convert("LA")), ("PNG", lambda image: image.convert("1")),
        ("PNG", lambda image: transparent(image.convert("1"))), ("PNG", lambda image: transparent(image.convert("L"))),
    ]  # fmt: skip
    for kind, made in kinds:
        content = saved(made(coarse), kind)
        wanted = read_picture(io.BytesIO(content), form)
        np.testing.assert_array_equal(decode_file(tf.constant(content), picture), wanted)


def test_large_units_are_reached_with_numbers_that_float16_has() -> None:
    given = keras.Input((1,))
    encoding = Encoding("standardized", None, 4e5, 9e4)
    network = keras.Model(given, _in_units(given, encoding, is_halved=True))
    values = np.array([[-9.0], [-0.3], [2.5]], np.float32)
    np.testing.assert_allclose(network(values), values * 9e4 + 4e5, rtol=1e-6)
    scales = [layer.scale for layer in network.layers if isinstance(layer, keras.layers.Rescaling)]
    assert max(scales) < 65504


def test_what_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    def export() -> None:
        with new_folder(tmp_path / "one", overwrite=False) as folder:
            (folder / "model").touch()
            (tmp_path / "one").mkdir()

    with pytest.raises(UsageError, match="already"):
        export()
    assert [path.name for path in tmp_path.rglob("*")] == ["one"]


def test_names_of_tensors_are_not_two_alike() -> None:
    assert unique(["a b", "a-b", "1st", "ß", "_"]) == {
        "a b": "a_b", "a-b": "a_b_2", "1st": "column_1st", "ß": "column", "_": "column_2",
    }  # fmt: skip
