"""The source `arrays`: .npz, .h5 and .npy files, what becomes of their arrays, and what is said of unfit ones."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dlcli.cli.options import catalogue
from dlcli.data.dataset import Dataset
from dlcli.data.looking import look
from dlcli.data.splits import Splits
from dlcli.data.where import Where
from dlcli.errors import DataError, SpecError
from dlcli.spec.loading import load_spec
from dlcli.spec.source import FileSource
from tests.conftest import Command

SPEC = """name: own
seed: 1
dataset:
  source: {{arrays: {arguments}}}
  batch_size: 16
model:
  layers: [Flatten, Dense: {{units: {units}, activation: {activation}}}]
loss: {loss}
optimizer: {{Adam: {{learning_rate: 0.05}}}}
metrics: [{metric}]
train: {{epochs: 2}}
"""
CLASSES = {"units": 3, "activation": "softmax", "loss": "sparse_categorical_crossentropy", "metric": "accuracy"}
NUMBER = {"units": 1, "activation": "linear", "loss": "mean_squared_error", "metric": "mean_absolute_error"}
Arrays = dict[str, Any]


def three(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of three classes, which are easily told apart."""
    labels = np.arange(count) % 3
    points = np.random.default_rng(seed).normal(size=(count, 4)) * 0.3
    points[:, 0] += labels
    return points.astype("float32"), labels


X, Y = three()


def write_h5(path: Path, arrays: Arrays, **how: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **how)
    return path


def write_spec(folder: Path, arguments: str, **changes: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(SPEC.format(arguments=arguments, **{**CLASSES, **changes}))
    return path


def known(folder: Path, arguments: str, **changes: Any) -> tuple[Dataset, Splits]:
    spec = write_spec(folder, arguments, **changes)
    loaded = load_spec(spec, catalogue(), look=lambda loaded: look(loaded, Where(None, False, print)))
    assert isinstance(loaded.spec.dataset.source, FileSource)
    [data] = loaded.data
    return data


def known_of(folder: Path, arrays: Arrays, arguments: str = "{path: a.npz}", **changes: Any) -> Dataset:
    np.savez(folder / "a.npz", **arrays)
    return known(folder, arguments, **changes)[0]


def write_npy(folder: Path) -> None:
    (folder / "both").mkdir()
    np.save(folder / "both" / "x.npy", X)
    np.save(folder / "both" / "y.npy", Y)


WAYS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "npz": ("{path: a.npz}", lambda to: np.savez(to / "a.npz", x=X, y=Y)),
    "compressed npz": ("{path: a.npz}", lambda to: np.savez_compressed(to / "a.npz", x=X, y=Y)),
    "float64 and int8": ("{path: a.npz}", lambda to: np.savez(to / "a.npz", x=X.astype("float64"), y=Y.astype("int8"))),
    "by columns": ("{path: a.npz}", lambda to: np.savez(to / "a.npz", x=np.asfortranarray(X), y=Y)),
    "other bytes first": ("{path: a.npz}", lambda to: np.savez(to / "a.npz", x=X.astype(">f4"), y=Y.astype(">i8"))),
    "h5": ("{path: a.h5}", lambda to: write_h5(to / "a.h5", {"x": X, "y": Y})),
    "chunked h5": ("{path: a.h5}", lambda to: write_h5(to / "a.h5", {"x": X, "y": Y}, chunks=True, compression="gzip")),
    "groups": (
        "{path: a.hdf5, inputs: /all/points, target: all/kind}",
        lambda to: write_h5(to / "a.hdf5", {"all/points": X, "all/kind": Y}),
    ),
    "folder of npy": ("{path: both}", write_npy),
    "list of npy": ("{path: [both/x.npy, both/y.npy]}", write_npy),
    "one-hot": ("{path: a.npz}", lambda to: np.savez(to / "a.npz", x=X, y=np.eye(3)[Y])),
    "a column": ("{path: a.npz, target: kind}", lambda to: np.savez(to / "a.npz", x=X, kind=Y[:, None])),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_file_gives_the_same_examples(way: str, tmp_path: Path) -> None:
    arguments, write = WAYS[way]
    write(tmp_path)
    dataset, splits = known(tmp_path, arguments)
    assert isinstance(dataset.train.inputs, np.ndarray)
    assert isinstance(dataset.train.targets, np.ndarray)
    assert np.array_equal(dataset.train.inputs, X)
    assert np.array_equal(dataset.train.targets, Y)
    assert (dataset.train.inputs.dtype, dataset.train.targets.dtype) == ("float32", "int32")
    assert (dataset.kind, dataset.class_names) == ("table", ("0", "1", "2"))
    assert (len(splits.train), len(splits.test or [])) == (48, 12)


def test_a_run_from_training_to_predictions(tmp_path: Path, dlcli: Command) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype="uint8")
    labels = (images.mean(axis=(1, 2)) > 127).astype(int)
    np.savez(tmp_path / "a.npz", x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:])
    spec = write_spec(tmp_path, "{path: a.npz, class_names: [dark, bright]}", units=2)
    assert dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q").code == 0
    run = tmp_path / "own" / "one"
    kept = json.loads((run / "run.json").read_text())["data"]
    assert kept["examples"] == {"train": 30, "test": 10}
    by_split = dlcli("predict", run, "--split", "test", "--json").json
    np.save(tmp_path / "new.npy", images[30:])
    np.savez(tmp_path / "new.npz", x_train=images[30:].astype("int64"), other=labels)
    write_h5(tmp_path / "new.h5", {"x": images[30:]}, chunks=(4, 6, 5), compression="gzip")
    for name in ("new.npy", "new.npz", "new.h5"):
        predicted = dlcli("predict", run, tmp_path / name, "--json").json
        assert [row["class"] for row in predicted] == [row["class"] for row in by_split]
        assert [row["probability"] for row in predicted] == pytest.approx(
            [row["probability"] for row in by_split], abs=1e-6
        )
    assert {row["true"] for row in by_split} == {"dark", "bright"}
    np.save(tmp_path / "scaled.npy", images / 255)
    np.save(tmp_path / "small.npy", images[:, :3])
    for name, message in (("scaled.npy", "whole numbers 0 to 255"), ("small.npy", "rows of shape 3×5")):
        refused = dlcli("predict", run, tmp_path / name)
        assert refused.code == 3
        assert message in " ".join(refused.err.split())


def test_several_inputs_and_targets_by_name(tmp_path: Path, dlcli: Command) -> None:
    spec = tmp_path / "several.yaml"
    spec.write_text(
        """dataset:
  source:
    arrays:
      path: a.h5
      inputs: {left: points, item: numbers}
      target: {kind: labels, size: sizes}
      kind: {item: indices}
  validation: 0.25
model:
  layers:
    - Embedding: {input_dim: 7, output_dim: 2}
      inputs: item
      name: looked_up
    - Concatenate
      inputs: [left, looked_up]
      name: joined
    - Dense: {units: 3, activation: softmax}
      name: kind
    - Dense: {units: 1}
      inputs: joined
      name: size
loss: {kind: sparse_categorical_crossentropy, size: mean_squared_error}
optimizer: Adam
train: {epochs: 1}
""".replace("- Concatenate\n", "- Concatenate: {}\n")
    )
    arrays = {"points": X, "numbers": np.arange(60) % 7, "labels": Y, "sizes": X[:, 1].astype("float64")}
    write_h5(tmp_path / "a.h5", arrays)
    assert dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q").code == 0
    run = tmp_path / "several" / "one"
    by_split = dlcli("predict", run, "--split", "test", "--json").json
    assert {"kind", "kind_probability", "size", "true_kind", "true_size"} <= by_split[0].keys()
    np.savez(tmp_path / "new.npz", points=X[:5], numbers=np.arange(5))
    assert len(dlcli("predict", run, tmp_path / "new.npz", "--json").json) == 5
    np.savez(tmp_path / "new.npz", points=X[:5])
    missing = dlcli("predict", run, tmp_path / "new.npz")
    assert (missing.code, "has no array `numbers`" in missing.err) == (3, True)
    spec.write_text(spec.read_text().replace("input_dim: 7", "input_dim: 6"))
    small = dlcli("check", spec)
    assert (small.code, "has 7 numbers" in small.err + small.out) == (2, True)


@pytest.mark.parametrize(
    ("x", "arguments", "kind", "dtype", "shape"),
    [
        (np.zeros((60, 4, 3), "uint8"), "", "images", "uint8", (4, 3)),
        (np.zeros((60, 4, 3, 3), "uint8"), "", "images", "uint8", (4, 3, 3)),
        (np.zeros((60, 4, 3), "int64"), ", kind: images", "images", "uint8", (4, 3)),
        (np.full((60, 4, 3), 7.5), ", kind: images", "images", "float32", (4, 3)),
        (np.zeros((60, 4, 3), "uint8"), ", kind: points", "points", "float32", (4, 3)),
        (np.zeros((60, 4, 3)), "", "points", "float32", (4, 3)),
        (X, ", kind: points", "points", "float32", (4,)),
        (np.arange(60), ", kind: indices", "indices", "int32", ()),
        (np.arange(60) > 3, "", "table", "float32", (1,)),
        (np.zeros((60, 2, 4, 3, 3), "uint8"), ", kind: video", "video", "uint8", (2, 4, 3, 3)),
    ],
)  # fmt: skip
def test_the_kind_follows_from_type_and_shape(
    x: np.ndarray, arguments: str, kind: str, dtype: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    dataset = known_of(tmp_path, {"x": x, "y": Y}, f"{{path: a.npz{arguments}}}")
    assert isinstance(dataset.train.inputs, np.ndarray)
    assert (dataset.kind, dataset.train.inputs.dtype, dataset.example_shape) == (kind, dtype, shape)
    assert np.array_equal(dataset.train.inputs, x.reshape(60, *shape))


@pytest.mark.parametrize(
    ("y", "arguments", "changes", "classes", "first"),
    [
        (Y + 5, "", {}, ("5", "6", "7"), 0),
        (Y - 1.0, "", {}, ("-1", "0", "1"), 0),
        (np.asarray(["c", "b", "a"])[Y], "", {}, ("a", "b", "c"), 2),
        (np.asarray([b"c", b"b", b"a"])[Y], "", {}, ("a", "b", "c"), 2),
        (Y, ", class_names: [u, v, w, z]", {"units": 4}, ("u", "v", "w", "z"), 0),
        (Y + 4, ", class_names: [u, v, w]", {}, ("u", "v", "w"), 0),
        (Y > 0, "", {"units": 1, "loss": "binary_crossentropy", "activation": "sigmoid"}, ("False", "True"), 0),
        (np.eye(3)[Y], ", class_names: [u, v, w]", {}, ("u", "v", "w"), 0),
        (Y + 5, "", NUMBER, None, 5.0),
        (Y[:, None] / 2, "", NUMBER, None, 0.0),
        (Y > 0, "", {**NUMBER, "metric": "accuracy"}, ("False", "True"), 0),
    ],
)
def test_the_target_follows_from_loss_and_values(
    y: np.ndarray, arguments: str, changes: Any, classes: Any, first: float, tmp_path: Path
) -> None:
    dataset = known_of(tmp_path, {"x": X, "y": y}, f"{{path: a.npz{arguments}}}", **changes)
    assert isinstance(dataset.train.targets, np.ndarray)
    assert dataset.class_names == classes
    assert dataset.train.targets[0] == first
    assert dataset.train.targets.dtype == ("float32" if classes is None else "int32")
    assert dataset.train.targets.shape == (60,)


def test_texts_of_an_h5_file_are_classes(tmp_path: Path) -> None:
    write_h5(tmp_path / "a.h5", {"x": X, "y": [["zwei", "ä", "c"][label] for label in Y]})
    dataset, _ = known(tmp_path, "{path: a.h5}")
    assert dataset.class_names == ("c", "zwei", "ä")


def test_the_test_set_is_that_of_the_file(tmp_path: Path) -> None:
    more, labels = three(20, seed=1)
    parts = {"a_train": X, "b_train": Y, "a_test": more, "b_test": labels, "c": more, "d": labels}
    by_name = known_of(tmp_path, parts, "{path: a.npz, inputs: a_train, target: b_train}")
    assert by_name.test is not None
    assert np.array_equal(np.asarray(by_name.test.inputs), more)
    said = "{path: a.npz, inputs: a_train, target: b_train, test_inputs: c, test_target: d}"
    assert len(known_of(tmp_path, parts, said).test or []) == 20
    without = {name: array for name, array in parts.items() if name != "b_test"}
    assert known_of(tmp_path, without, "{path: a.npz, inputs: a_train, target: b_train}").test is None
    with pytest.raises(DataError, match="none of the classes"):
        known_of(tmp_path, {"x_train": X, "y_train": Y, "x_test": more, "y_test": labels + 1})
    with pytest.raises(DataError, match="both to train and to test on"):
        known_of(tmp_path, {"x": X, "y": Y}, "{path: a.npz, test_inputs: x, test_target: y}")


def test_an_autoencoder_needs_no_target(tmp_path: Path, dlcli: Command) -> None:
    np.save(tmp_path / "some.npy", X)
    spec = write_spec(tmp_path, "{path: some.npy}", units=4, **{key: NUMBER[key] for key in ("activation", "loss")})
    spec.write_text(
        spec.read_text().replace("  batch_size", "  labels: input\n  batch_size").replace("accuracy", "mae")
    )
    assert dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q").code == 0


class Surprise:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("something was unpickled",))


def with_nan(row: int) -> np.ndarray:
    values = X.copy()
    values[row, 2] = np.nan
    return values


UNFIT: dict[str, tuple[Arrays, str, dict[str, Any], str]] = {
    "no such array": ({"x": X, "y": Y}, "{path: a.npz, inputs: xx}", {}, "no array `xx`"),
    "no usual inputs": ({"points": X, "y": Y}, "{path: a.npz}", {}, "There is: `points`, `y`"),
    "only a target": ({"y": Y}, "{path: a.npz}", {}, "none of the arrays `x_train`"),
    "no usual target": ({"x": X, "kinds": Y}, "{path: a.npz}", {}, "Name the right one with `target`"),
    "lengths": ({"x": X, "y": Y[:50]}, "{path: a.npz}", {}, "60 rows in `x`.*50 in `y`"),
    "NaN": ({"x": with_nan(7), "y": Y}, "{path: a.npz}", {}, "row 7, counted from 0, has the value NaN"),
    "too large": ({"x": X.astype("float64") * 1e39, "y": Y}, "{path: a.npz}", {}, "in float32"),
    "NaN target": (
        {"x": X, "y": with_nan(5)[:, 2]}, "{path: a.npz}", NUMBER, "row 5, counted from 0, has the value NaN.*leave",
    ),
    "NaN classes": ({"x": X, "y": np.where(Y == 9, Y, np.nan)}, "{path: a.npz}", {}, r"row 0, .* \(and 59 more .* NaN"),
    "too large a target": ({"x": X, "y": Y * 1e300}, "{path: a.npz}", NUMBER, "too large for float32.*Divide all"),
    "objects": ({"x": np.asarray([Surprise()] * 60), "y": Y}, "{path: a.npz}", {}, "Python objects"),
    "object labels": (
        {"x": X, "y": np.asarray([Surprise()] * 60)}, "{path: a.npz}", {}, "Python objects.*Write it anew.*`y.astype",
    ),
    "complex": ({"x": X + 1j, "y": Y}, "{path: a.npz}", {}, "holds complex numbers"),
    "fields": ({"x": np.zeros(60, "f4,i4"), "y": Y}, "{path: a.npz}", {}, "records with several fields.*Write it anew"),
    "texts": ({"x": X.astype(str), "y": Y}, "{path: a.npz}", {}, "holds texts"),
    "scalar": ({"x": 3.0, "y": Y}, "{path: a.npz}", {}, "is a single value"),
    "scalar target": ({"x": X, "y": 3.0}, "{path: a.npz}", {}, "is a single value"),
    "empty": ({"x": X[:0], "y": Y[:0]}, "{path: a.npz}", {}, "is empty: its shape is 0×4"),
    "constant": ({"x": X, "y": Y * 0.0 + 2}, "{path: a.npz}", NUMBER, "is 2 in every row.*Name the array"),
    "one class": ({"x": X, "y": Y * 0}, "{path: a.npz}", {}, "every row has the same class, 0.*Name the array"),
    "out of range": (
        {"x": X, "y": Y + 2}, "{path: a.npz, class_names: [a, b, c, d]}", {}, "label 4, .* classes 0 to 3",
    ),
    "too many names": ({"x": X, "y": Y - 1}, "{path: a.npz, class_names: [a, b]}", {"units": 2}, "3 different values"),
    "fractions": ({"x": X, "y": Y / 2}, "{path: a.npz}", {}, "numbers with a fraction"),
    "not one-hot": ({"x": X, "y": np.eye(3)[Y] * 2}, "{path: a.npz}", {}, "row 0, counted from 0, does not have one 1"),
    "several numbers": ({"x": X, "y": X}, "{path: a.npz}", NUMBER, "has 4 numbers an example"),
    "few rows": ({"x": X[:2], "y": np.eye(3)[Y[:2]]}, "{path: a.npz}", {}, "2 rows for 3 classes"),
    "both": ({"x": X, "y": Y}, "{path: a.npz, target: x}", {}, "goes in as well"),
    "negative index": ({"x": Y - 1, "y": Y}, "{path: a.npz, kind: indices}", {}, "has the value -1"),
    "index with a fraction": ({"x": X, "y": Y}, "{path: a.npz, kind: indices}", {}, "`indices` are whole numbers"),
    "scaled images": ({"x": np.ones((60, 4, 4)), "y": Y}, "{path: a.npz, kind: images}", {}, "`?kind: points`?"),
    "no images": ({"x": X, "y": Y}, "{path: a.npz, kind: images}", {}, "rows of shape 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_arrays_are_told(case: str, tmp_path: Path) -> None:
    arrays, arguments, changes, message = UNFIT[case]
    with pytest.raises(DataError) as caught:
        known_of(tmp_path, arrays, arguments, **changes)
    told = f"{caught.value.message} {caught.value.hint}"
    assert re.search(message, told), told


def linked(file: Any, case: str) -> None:
    """An .h5 file whose `x` leads somewhere else."""
    file["group/deep"], file["y"], file["other"] = X, Y, h5py.SoftLink("/nowhere")
    if case == "virtual":
        layout = h5py.VirtualLayout(X.shape, "f4")
        layout[:] = h5py.VirtualSource("gone.h5", "x", X.shape)
        file.create_virtual_dataset("x", layout)
    elif case == "raw":
        file.create_dataset("x", X.shape, "f4", external=[("gone.bin", 0, X.nbytes)])
    elif case == "lengths":
        file.create_dataset("x", (60,), h5py.vlen_dtype("f4"))
    else:
        leads = {"soft": h5py.SoftLink("/group/deep"), "lost": h5py.SoftLink("/gone")}
        file["x"] = leads.get(case) or h5py.ExternalLink("b.h5", "/x")
        file["group/up"] = h5py.SoftLink("/")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("lost", "`x` in .*a.h5 is a link to `/gone`, which is not there. Write the array"),
        ("external", "`x` in .*a.h5 is a link to `/x` in b.h5, another file. Name that file as well"),
        ("virtual", "`x` in .*a.h5 is made of gone.h5, a file that is not there. Bring"),
        ("lengths", "`x` in .*a.h5 is made of rows of different lengths"),
        ("raw", "`x` in .*a.h5 is made of gone.bin, a file that is not there. Bring"),
    ],
)
def test_links_that_lead_nowhere_are_told(case: str, message: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        linked(file, case)
    with pytest.raises(DataError) as caught:
        known(tmp_path, "{path: a.h5}")
    assert re.search(message, f"{caught.value.message} {caught.value.hint}")


def test_links_are_followed_in_files_that_are_named(tmp_path: Path) -> None:
    for case, path in (("soft", "a.h5"), ("external", "[a.h5, b.h5]")):
        write_h5(tmp_path / "b.h5", {"x": X})
        with h5py.File(tmp_path / "a.h5", "w") as file:
            linked(file, case)
        assert np.array_equal(known(tmp_path, f"{{path: {path}}}")[0].train.inputs, X)  # type: ignore[arg-type]


def test_a_near_name_is_told_with_exit_code_3(tmp_path: Path, dlcli: Command) -> None:
    np.savez(tmp_path / "a.npz", points=X, y=Y)
    done = dlcli("check", write_spec(tmp_path, "{path: a.npz, inputs: point}"))
    assert done.code == 3
    assert "has no array `point`" in done.out + done.err
    assert "Did you mean `points`?" in done.out + done.err


def damaged(folder: Path, case: str) -> str:
    np.savez(folder / "a.npz", x=X, y=Y)
    np.save(folder / "x.npy", X)
    whole = (folder / "a.npz").read_bytes()
    write_h5(folder / "a.h5", {"x": X, "y": Y})
    if case == "cut npz":
        (folder / "a.npz").write_bytes(whole[:-100])
    elif case == "a byte":
        (folder / "a.npz").write_bytes(whole[:400] + bytes([whole[400] ^ 1]) + whole[401:])
    elif case == "cut npy":
        (folder / "x.npy").write_bytes((folder / "x.npy").read_bytes()[:-10])
        return "x.npy"
    elif case == "a shape below 0":
        content = (folder / "x.npy").read_bytes().replace(b"(60, 4)", b"(-6, 4)")
        (folder / "x.npy").write_bytes(content)
        return "x.npy"
    elif case == "cut h5":
        (folder / "a.h5").write_bytes((folder / "a.h5").read_bytes()[:2000])
        return "a.h5"
    elif case == "no h5":
        (folder / "a.h5").write_bytes(whole)
        return "a.h5"
    elif case == "short member":
        with zipfile.ZipFile(folder / "a.npz", "w") as archive:
            archive.writestr("x.npy", (folder / "x.npy").read_bytes()[:-10])
    elif case == "no arrays":
        with zipfile.ZipFile(folder / "a.npz", "w") as archive:
            archive.writestr("readme.txt", "nothing")
    return "a.npz"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("cut npz", "is not an archive of arrays"),
        ("a byte", "is not an archive of arrays"),
        ("cut npy", "is cut off"),
        ("a shape below 0", "its header says that its shape is -6×4"),
        ("cut h5", "is not an HDF5 file"),
        ("no h5", "is not an HDF5 file"),
        ("short member", "is cut off"),
        ("no arrays", "holds no arrays"),
    ],
)
def test_damaged_files_are_told(case: str, message: str, tmp_path: Path) -> None:
    name = damaged(tmp_path, case)
    with pytest.raises(DataError, match=message):
        known(tmp_path, f"{{path: {name}, inputs: x, target: y}}")


def test_a_header_that_is_code_and_an_archive_with_a_password_are_told(tmp_path: Path) -> None:
    damaged(tmp_path, "none")
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:10] + b"exit()".ljust(117) + b"\n" + content[128:])
    with pytest.raises(DataError, match=r"x.npy is not an array that can be read: its header is damaged"):
        known(tmp_path, "{path: x.npy}")
    content = (tmp_path / "a.npz").read_bytes()
    listed = content.index(b"PK\1\2")  # APPNOTE.TXT 6.3.10, section 4.3.12
    (tmp_path / "a.npz").write_bytes(content[: listed + 8] + b"\1" + content[listed + 9 :])
    with pytest.raises(DataError, match=r"a.npz is encrypted"):
        known(tmp_path, "{path: a.npz}")


def test_paths_that_hold_no_arrays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("1 2 3")
    for path, message in (
        ("empty", "without .npy files"),
        ("a.txt", "files of the kind `.txt`"),
        ("none.npz", "no none.npz"),
    ):
        with pytest.raises(DataError, match=message):
            known(tmp_path, f"{{path: {path}}}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("{path: a.npz, inputs: 3}", "must be the name of an array"),
        ("{path: a.npz, inputs: {a b: x}}", "must be the name of an array"),
        ("{path: a.npz, target: [a/b, c]}", "a name of its own"),
        ("{path: a.npz, kind: pictures}", "must be one of `images`"),
        ("{path: a.npz, kind: {left: images}}", "`kind` for `left`"),
        ("{path: a.npz, inputs: {a: x}, test_inputs: x}", "the same names as in training"),
        ("{path: a.npz, kinds: images}", "Did you mean `kind`?"),
        ("{inputs: x}", "arrays.path` is missing"),
    ],
)
def test_mistakes_in_the_grammar(arguments: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write_spec(tmp_path, arguments), catalogue())
    assert message in " ".join(f"{problem.message} {problem.hint}" for problem in caught.value.problems)


def test_the_resolved_spec_is_read_again(tmp_path: Path) -> None:
    spec = load_spec(write_spec(tmp_path, "{path: a.npz, target: [y], kind: images}"), catalogue()).spec
    plain = spec.resolved()
    assert plain["dataset"]["source"]["arrays"]["kind"] == "images"
    assert type(spec).model_validate(plain) == spec
