"""`dlcli code` for files of one's own: the script makes the very numbers of them that dlcli makes."""

from __future__ import annotations

import gzip
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from dlcli.data.dataset import for_each, named
from tests.conftest import Command, known_spec, some_of

RANDOM = np.random.default_rng(0)
NUMBERS = np.arange(60)
SPEC = """name: own
seed: 1
dataset:
  source: {{{source}}}
  {dataset}
model:
  layers: {layers}
loss: {loss}
"""


def spec_of(source: str, layers: str, loss: str, dataset: str = "validation: 0.2") -> str:
    return SPEC.format(source=source, layers=layers, loss=loss, dataset=dataset)


def classes(source: str, units: int, dataset: str = "validation: 0.2") -> str:
    layers = f"[Flatten, Dense: {{units: {units}, activation: softmax}}]"
    return spec_of(source, layers, "sparse_categorical_crossentropy", dataset)


def number(source: str, dataset: str = "validation: 0.2") -> str:
    return spec_of(source, "[Flatten, Dense: {units: 1}]", "mean_squared_error", dataset)


def script_data(text: str, folder: Path) -> dict[str, Any]:
    (folder / "script.py").write_text(text[: text.index("\nmodel = ")], encoding="utf-8")
    return runpy.run_path(str(folder / "script.py"))


def assert_same_numbers(dlcli: Command, spec: Path) -> dict[str, Any]:
    """The script of a spec makes what its model takes and what its loss compares; the script's variables."""
    from dlcli.training.job import assemble

    done = dlcli("code", spec)
    assert done.code == 0, done.err
    script = script_data(done.out, spec.parent)
    loaded = known_spec(spec)
    data = loaded.data[0]
    job = assemble(loaded, data)
    for split in data[1].names:
        if split == "validation" and loaded.spec.dataset.validation == "test":
            continue  # the script takes the test set for both
        examples, rows = data[1].named(split).examples, data[1].named(split).indices
        raw = (for_each(lambda part, rows=rows: part[rows], part) for part in (examples.inputs, examples.targets))
        expected = job.engine.feed.for_testing(tuple(raw))
        for letter, parts in zip("xy", expected, strict=True):
            found = named(script[f"{letter}_{split.replace('validation', 'val')}"])
            assert found.keys() == named(parts).keys()
            for name, array in named(parts).items():
                one = np.asarray(found[name])
                assert len(one) == len(rows)
                np.testing.assert_allclose(one.reshape(array.shape), array, rtol=1e-6, atol=1e-6)
    return script


def write_h5(path: Path, **arrays: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array


def pixels(count: int) -> Any:
    return RANDOM.integers(0, 256, (count, 5, 4), dtype=np.uint8)


def of_npz(to: Path) -> str:
    words = np.array(["cat", "dog", "ape"])
    np.savez(
        to / "a.npz",
        x_train=pixels(60),
        y_train=words[NUMBERS % 3],
        x_test=pixels(9),
        y_test=words[:, None][[0, 1, 2] * 3],
    )
    return classes("arrays: {path: a.npz}", 3)


def of_h5(to: Path) -> str:
    points, words = RANDOM.normal(size=(60, 3)) * 9, np.array([b"yes", b"no"])
    write_h5(
        to / "a.h5", all__picture=pixels(60), all__size=points, who=NUMBERS % 5, kind=words[NUMBERS % 2],
        price=1000 + points[:, :1], far=RANDOM.normal(size=(60, 2, 2)),
    )  # fmt: skip
    source = (
        "arrays: {path: a.h5, inputs: {picture: all/picture, size: all/size, who: who, far: far}, "
        "target: {kind: kind, price: price}, kind: {picture: images, size: table, who: indices, far: points}}"
    )
    layers = """
    - {Flatten: {}, inputs: picture, name: a}
    - {Embedding: {input_dim: 5, output_dim: 2}, inputs: who, name: b}
    - {Flatten: {}, inputs: far, name: c}
    - {Concatenate: {}, inputs: [a, b, c, size], name: all}
    - {Dense: {units: 2, activation: softmax}, inputs: all, name: kind}
    - {Dense: {units: 1}, inputs: all, name: price}"""
    loss = "{kind: sparse_categorical_crossentropy, price: mean_squared_error}"
    return spec_of(source, layers, loss, "labels: standardized")


def of_npy(to: Path) -> str:
    (to / "both").mkdir()
    np.save(to / "both/x.npy", np.asfortranarray(RANDOM.normal(size=(60, 3))))
    np.save(to / "both/y.npy", RANDOM.normal(size=(60, 1)) * 40 + 300)
    return number("arrays: {path: both}", "validation: 0.2\n  labels: standardized")


def of_one_hot(to: Path) -> str:
    np.save(to / "x.npy", RANDOM.normal(size=60))
    np.save(to / "y.npy", np.eye(3)[NUMBERS % 3])
    return classes("arrays: {path: [x.npy, y.npy], class_names: [a, b, c]}", 3, "test: 0")


def of_numbered_classes(to: Path) -> str:
    np.savez(to / "a.npz", x=RANDOM.normal(size=(60, 2)).astype("f4"), kind=10.0 * (NUMBERS % 2 + 1))
    layers = "[Dense: {units: 1, activation: sigmoid}]"
    return spec_of("arrays: {path: a.npz, target: kind}", layers, "binary_crossentropy")


def of_itself(to: Path) -> str:
    np.save(to / "x.npy", RANDOM.normal(size=(60, 4)).astype("f4"))
    source, layers = "arrays: {path: x.npy}", "[Dense: {units: 4}]"
    return spec_of(source, layers, "mean_squared_error", "labels: input\n  validation: 0.2")


ARRAYS: dict[str, Callable[[Path], str]] = {
    made.__name__: made for made in (of_npz, of_h5, of_npy, of_one_hot, of_numbered_classes, of_itself)
}


@pytest.mark.parametrize("name", some_of(list(ARRAYS), "of_npz", "of_h5", "of_npy"))
def test_arrays(name: str, dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(ARRAYS[name](tmp_path))
    assert_same_numbers(dlcli, tmp_path / "own.yaml")


def test_arrays_that_stay_in_their_files_are_refused(dlcli: Command, tmp_path: Path) -> None:
    of_npy(tmp_path)
    np.save(tmp_path / "both/x.npy", RANDOM.normal(size=(60, 3)))
    (tmp_path / "own.yaml").write_text(number("arrays: {path: both, stream: true}"))
    done = dlcli("code", tmp_path / "own.yaml")
    assert (done.code, "while the training goes on cannot be written" in done.err) == (2, True)


TABLE = "size,word,kind,price,who,set,day,step\n" + "".join(
    f"{i % 7},{'red' if i % 3 else 'blue'},{'cat' if i % 2 else 'dog'},{i % 5}.5,{i // 4 + 8},"
    f"{['train', 'Train ', 'val', 'test'][i % 4]},2024-{i % 12 + 1}-{i % 5 + 1:02d},{i * 7 % 60}\n"
    for i in range(60)
)
DIVIDED = {
    "split": ("split: set", "shuffle: false", 3),
    "split and a test set": ("split: set, test_path: u.csv", "shuffle: false", 3),
    "group": ("group: who", "validation: 0.2", 3),
    "group of texts": ("group: word", "test: 0.5", 2),
    "dates": ("time: day", "validation: 0.2", 3),
    "numbers": ("time: step", "validation: test\n  test: 0.3", 2),
    "group and a test set": ("group: who, test_path: u.csv", "validation: 0.2", 3),
    "split and more held out": ("split: set", "validation: 0.2", 3),
    "split and a fold": ("split: set", "folds: 3\n  fold: 2", 3),
    "fold of groups": ("group: who", "folds: 4\n  fold: 3", 3),
    "fold of dates": ("time: day", "folds: 3\n  fold: 2", 3),
    "the last fold of numbers": ("time: step", "folds: 3\n  fold: 3\n  test: 0", 2),
}


@pytest.mark.parametrize(
    "name", some_of(list(DIVIDED), "split and a test set", "group", "fold of groups", "fold of dates")
)
def test_tables_that_a_column_divides(name: str, dlcli: Command, tmp_path: Path) -> None:
    more, dataset, splits = DIVIDED[name]
    table = TABLE.replace(",val,", ",train,") if "more" in name or "split and a fold" in name else TABLE
    lines = table.splitlines(keepends=True)
    lines[9] = lines[9].replace("cat", "").replace("dog", "")  # a row without an answer
    (tmp_path / "t.csv").write_text("".join(lines))
    (tmp_path / "u.csv").write_text("".join(lines[:20]))
    source = f'csv: {{path: "t*.csv", target: kind, features: [size, word, price], {more}}}'
    (tmp_path / "own.yaml").write_text(classes(source, 2, dataset))
    script = assert_same_numbers(dlcli, tmp_path / "own.yaml")
    assert len({"x_train", "x_val", "x_test"} & script.keys()) == splits


def test_a_table_without_names_of_columns_and_with_other_separators(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE.partition("\n")[2].replace(",", ";"))
    (tmp_path / "own.yaml").write_text(number("csv: {path: t.csv, header: false, target: 4, features: [1, 2, 3]}"))
    assert_same_numbers(dlcli, tmp_path / "own.yaml")


def test_groups_that_some_rows_lack_are_refused(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE.replace(",9,", ",,"))
    source = "csv: {path: t.csv, target: kind, features: [size, word, price], group: who}"
    (tmp_path / "own.yaml").write_text(classes(source, 2))
    done = dlcli("code", tmp_path / "own.yaml")
    assert (done.code, "by `who`, which some of them lack, cannot be written" in " ".join(done.err.split())) == (
        2,
        True,
    )


def write_pictures(folder: Path) -> list[str]:
    """Pictures of all shapes: with colours and grey, transparent, of 16 bits, turned."""
    folder.mkdir()
    names = []
    for number in range(24):
        height, width = 5 + number % 7, 6 + number % 5
        image = Image.fromarray(RANDOM.integers(0, 256, (height, width, 4), dtype=np.uint8))
        names.append(f"{number}.png")
        if number % 4 == 0:
            image.save(folder / names[-1])
        elif number % 4 == 1:
            Image.fromarray(RANDOM.integers(0, 2**16, (height, width), dtype=np.uint16)).save(folder / names[-1])
        elif number % 4 == 2:
            exif = Image.Exif()
            exif[0x0112] = 6  # to be turned
            image.convert("RGB").save(folder / names[-1], exif=exif)
        else:
            image.convert("P").save(folder / names[-1])
    return names


TABLES_OF_PICTURES = {
    "crop": ("fit: crop, target: kind", 3, "labels.csv", ","),
    "pad": ("fit: pad, color: grayscale, target: kind, image: file, test_path: more.tsv", 3, "labels.tsv", "\t"),
    "numbers": ("target: size, folder: pictures", 1, "labels.csv", ";"),
}


@pytest.mark.parametrize("name", some_of(list(TABLES_OF_PICTURES), "crop", "pad"))
def test_pictures_that_a_table_names(name: str, dlcli: Command, tmp_path: Path) -> None:
    more, units, table, separator = TABLES_OF_PICTURES[name]
    before = "" if "folder" in more else "pictures/"
    names = [f"{before}{one}" for one in write_pictures(tmp_path / "pictures")]
    rows = [[f"{at}", one, ["ape", "cat", "dog"][at % 3], f"{at / 8}"] for at, one in enumerate(names)]
    rows[5][2] = rows[5][3] = ""  # without an answer
    lines = [separator.join(row) + "\n" for row in [["at", "file", "kind", "size"], *rows]]
    (tmp_path / table).write_text("".join(lines))
    (tmp_path / "more.tsv").write_text("".join(lines[:13]))
    source = f"images: {{path: {table}, size: [7, 8], {more}}}"
    (tmp_path / "own.yaml").write_text(classes(source, 3) if units == 3 else number(source))
    assert_same_numbers(dlcli, tmp_path / "own.yaml")


def write_films(folder: Path) -> None:
    """Films of all kinds: folders of frames, also in folders, animations, arrays; with fewer frames than are taken."""
    for number in range(24):
        film = RANDOM.integers(0, 256, (12 if number % 5 else 3, 6, 5, 3), dtype=np.uint8)
        place = folder / ("up" if number % 2 else "down") / ("more" if number % 3 else "")
        place.mkdir(parents=True, exist_ok=True)
        if number % 4 < 2:
            (place / f"film{number}").mkdir()
            for at, frame in enumerate(film):
                Image.fromarray(frame).save(place / f"film{number}" / f"frame{at}.png")
        elif number % 4 == 2:
            frames = [Image.fromarray(frame) for frame in film]
            frames[0].save(place / f"{number}.gif", save_all=True, append_images=frames[1:])
        else:
            np.save(place / f"{number}.npy", film if number % 8 == 3 else film[..., :1])


@pytest.mark.parametrize("more", some_of(["", "size: [7, 8], fit: pad, color: grayscale"], ""))
def test_films(more: str, dlcli: Command, tmp_path: Path) -> None:
    write_films(tmp_path / "films")
    (tmp_path / "own.yaml").write_text(classes(f"video: {{path: films, frames: 5, {more}}}", 2))
    assert assert_same_numbers(dlcli, tmp_path / "own.yaml")["x_val"].shape[1] == 5


RECORDS = {
    "picture": ("{path: a.tfrecord}", "validation: 0.2"),
    "gzip, bytes, texts": (
        "{path: a.gz, features: {x: {feature: pixels, dtype: uint8, shape: [6, 5]}}, target: colour}", "test: 0.5",
    ),
    "numbers of a shape, one-hot": (
        "{path: a.tfrecord, test_path: b.tfrecord, features: {numbers: {shape: [2, 2]}}, target: hot}",
        "shuffle: false",
    ),
    "a list of pixels": ("{path: a.tfrecord, features: {listed: {dtype: uint8, shape: [6, 5]}}}", "validation: 0.2"),
}  # fmt: skip


def write_records(folder: Path) -> None:
    from tests.test_records import CONTENT, MESSAGES, framed  # they import TensorFlow

    (folder / "a.tfrecord").write_bytes(CONTENT)
    (folder / "a.gz").write_bytes(gzip.compress(CONTENT))
    (folder / "b.tfrecord").write_bytes(framed(MESSAGES[:12]))


@pytest.mark.parametrize("name", some_of(list(RECORDS), "picture", "gzip, bytes, texts", "numbers of a shape, one-hot"))
def test_records(name: str, dlcli: Command, tmp_path: Path) -> None:
    source, dataset = RECORDS[name]
    write_records(tmp_path)
    (tmp_path / "own.yaml").write_text(classes(f"tfrecord: {source}", 3, dataset))
    assert_same_numbers(dlcli, tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{path: a.tfrecord, stream: true}", "read while the training goes on"),
        ("{path: a.tfrecord, corrupt: skip}", "damaged records are left out"),
        ("{path: a.tfrecord, features: {image: {encoding: image, size: [3, 3]}}}", "`image` are brought to a size"),
    ],
)
def test_records_that_no_script_reads_are_refused(source: str, said: str, dlcli: Command, tmp_path: Path) -> None:
    write_records(tmp_path)
    (tmp_path / "own.yaml").write_text(classes(f"tfrecord: {source}", 3))
    done = dlcli("code", tmp_path / "own.yaml")
    assert (done.code, said in done.err) == (2, True), done.err
