"""Several inputs, several outputs, and models that give what they get: from the spec to evaluation and prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from dlcli.data.drawn import KINDS, load_drawn
from dlcli.data.encoding import Encodings, restore_encoding
from dlcli.data.loading import load_data
from dlcli.data.preparation import Preparations, restore_preparation
from dlcli.data.sources import load_dataset
from dlcli.data.where import Where
from dlcli.spec.loading import load_spec
from dlcli.spec.sources import SOURCES
from dlcli.training.checkpoint import open_checkpoint
from tests.conftest import Command, run_quietly, shipped_catalogue, thorough

NOWHERE = Where(None, False, lambda note: None)
TWO_OUTPUTS = """
name: both
dataset: {source: {shapes: {samples: 300, side: 12}}, validation: 0.2}
model:
  layers:
    - Flatten
    - Dense: {units: 16, activation: relu}
      name: seen
    - Dropout: {rate: 0.2}
    - Dense: {units: 1}
      name: size
    - Dense: {units: 3, activation: softmax}
      name: kind
      inputs: seen
loss: {kind: sparse_categorical_crossentropy, size: mean_squared_error}
loss_weights: {size: 0.1}
optimizer: Adam
metrics: {kind: [accuracy], size: mean_absolute_error}
train: {epochs: 2, monitor: val_kind_accuracy}
"""
TWO_INPUTS = """
name: rated
dataset: {source: {ratings: {samples: 400, users: 20, items: 10}}, validation: 0.2}
model:
  layers:
    - Embedding: {input_dim: 20, output_dim: 3}
      name: taste
      inputs: user
    - Embedding: {input_dim: 10, output_dim: 3}
      name: quality
      inputs: item
    - Dot: {axes: 1}
      inputs: [taste, quality]
loss: mean_squared_error
optimizer: Adam
train: {epochs: 2}
"""
PAIRS = """
name: pairs
dataset: {source: {pairs: {of: digits, samples: 300}}, validation: 0.2, augment: [GaussianNoise: {stddev: 0.1}]}
model:
  layers:
    - Flatten:
      name: flat
      inputs: left
    - Dense: {units: 8, activation: relu}
      name: seen
    - reuse: flat
      inputs: right
    - reuse: seen
      name: other
    - Subtract:
      inputs: [seen, other]
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
metrics: [accuracy]
train: {epochs: 2}
"""
AUTOENCODER = """
name: itself
dataset: {source: digits, validation: 0.2, labels: input, augment: [GaussianNoise: {stddev: 0.1}]}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu}
    - Conv2D: {filters: 1, kernel_size: 1}
loss: mean_squared_error
train: {epochs: 1}
"""


MIXED = """
name: mixed
dataset:
  source: digits
  augment: [RandomTranslation: {height_factor: 0.1, width_factor: 0.1}, MixUp: {alpha: 0.2}, CutMix]
model:
  layers: [Flatten, Dense: {units: 10, activation: softmax}]
loss: categorical_crossentropy
train: {epochs: 1}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each of these specs."""
    made = {}
    for text in (TWO_OUTPUTS, TWO_INPUTS, PAIRS, AUTOENCODER):
        folder = tmp_path_factory.mktemp("several")
        assert run_quietly("train", write(folder, text), "--runs-dir", folder, "--run-name", "one", "-q") == 0
        name = next(path.name for path in folder.iterdir() if path.is_dir())
        made[name] = folder / name / "one"
    return made


def metrics_of(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return content


@pytest.mark.parametrize("name", ["shapes", "motion", "ratings"])
def test_the_same_seed_draws_the_same(name: str) -> None:
    source = SOURCES[name](samples=60)
    one, same, other = (load_drawn(source, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len(one.train) == 60
    shapes = one.example_shape if isinstance(one.example_shape, dict) else {"input": one.example_shape}
    assert shapes == {key: facts.shape for key, facts in source.input_facts.items()}


def test_shapes_are_as_large_as_they_are_said_to_be() -> None:
    dataset = load_drawn(SOURCES["shapes"](samples=90, noise=0.0), seed=3)
    kinds, sizes = dataset.train.targets["kind"], dataset.train.targets["size"]
    areas = (dataset.train.inputs > 100).sum(axis=(1, 2)) / sizes**2
    shares = [float(np.median(areas[kinds == kind])) for kind in range(len(KINDS))]
    np.testing.assert_allclose(shares, [np.pi / 4, 1, 1 / 2], atol=0.06)
    assert np.bincount(kinds).tolist() == [30, 30, 30]


def test_squares_move_as_they_are_said_to() -> None:
    dataset = load_drawn(SOURCES["motion"](samples=40, noise=0.0), seed=3)
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    for film, direction in zip(dataset.train.inputs[..., 0], dataset.train.targets, strict=True):
        assert np.array_equal(np.roll(film[0], steps[direction], axis=(0, 1)), film[1])


def test_half_of_the_pairs_are_alike_and_no_image_is_in_both_sets() -> None:
    dataset = load_dataset(SOURCES["pairs"](of="digits", samples=400), seed=1)
    images = load_dataset(SOURCES["digits"](), seed=1).train
    labels = {image.tobytes(): label for image, label in zip(images.inputs, images.targets, strict=True)}
    seen: list[set[bytes]] = []
    for examples, count in ((dataset.train, 400), (dataset.test, 80)):
        assert examples is not None
        left, right = examples.inputs["left"], examples.inputs["right"]
        alike = [labels[one.tobytes()] == labels[other.tobytes()] for one, other in zip(left, right, strict=True)]
        assert np.array_equal(alike, examples.targets == 1)
        assert (len(examples), sum(alike)) == (count, count // 2)
        seen.append({image.tobytes() for side in (left, right) for image in side})
    assert not seen[0] & seen[1]


def test_random_numbers_of_any_shape() -> None:
    source = SOURCES["random"](samples=40, shapes={"a": [2, 3], "b": []}, answers={"kind": 4, "size": 1})
    dataset = load_drawn(source, seed=0)
    assert dataset.example_shape == {"a": (2, 3), "b": ()}
    assert dataset.classes == {"kind": 4, "size": None}
    assert np.bincount(dataset.train.targets["kind"]).tolist() == [10] * 4
    only = load_drawn(SOURCES["random"](samples=40, shapes=[5], answers=2), seed=0)
    assert (only.example_shape, only.classes) == ((5,), 2)


def test_a_target_that_no_output_answers_is_left_out(tmp_path: Path) -> None:
    text = """
name: kinds
dataset: {source: {shapes: {samples: 300, side: 12}}, validation: 0.2}
model:
  outputs: kind
  layers: [Flatten, {Dense: {units: 3, activation: softmax}, name: kind}]
loss: sparse_categorical_crossentropy
metrics: [accuracy]
train: {monitor: val_accuracy}
"""
    spec = write(tmp_path, text)
    loaded = load_spec(spec, shipped_catalogue())
    dataset, splits = load_data(loaded, NOWHERE)
    assert dataset.class_names == KINDS
    assert isinstance(splits.train.examples.targets, np.ndarray)
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0


def test_losses_are_weighted_and_each_output_is_measured(runs: dict[str, Path]) -> None:
    metrics = metrics_of(runs["both"])
    test = metrics["test"]
    assert test.keys() == {"loss", "kind_loss", "size_loss", "kind_accuracy", "size_mean_absolute_error"}
    assert test["loss"] == pytest.approx(test["kind_loss"] + 0.1 * test["size_loss"], rel=1e-4)


@pytest.mark.parametrize("name", ["both", "rated", "pairs", "itself"])
def test_evaluation_is_that_of_training_and_of_plain_keras(name: str, runs: dict[str, Path], dlcli: Command) -> None:
    evaluated = dlcli("evaluate", runs[name], "--json").json
    recorded = metrics_of(runs[name])["test"]
    assert evaluated["metrics"] == pytest.approx(recorded, rel=1e-5)
    model = keras.models.load_model(runs[name] / "checkpoints" / "best.h5", compile=False)
    checkpoint = open_checkpoint(runs[name] / "checkpoints" / "best.h5")
    loaded = load_spec(runs[name] / "spec.yaml", shipped_catalogue())
    _, splits = load_data(loaded, NOWHERE)
    test = splits.named("test")
    rows = test.indices
    raw = test.examples.inputs
    taken = {key: part[rows] for key, part in raw.items()} if isinstance(raw, dict) else raw[rows]
    outputs = model(checkpoint.preparation().apply(taken), training=False)
    predicted = dlcli("predict", runs[name], "--split", "test", "--json").json
    assert len(predicted) == len(rows)
    if name == "both":
        shares = [row["kind_probability"] for row in predicted]
        np.testing.assert_allclose(shares, np.max(outputs["kind"], axis=1), rtol=1e-4)
        np.testing.assert_allclose([row["size"] for row in predicted], outputs["size"][:, 0], rtol=1e-4, atol=1e-5)
        assert [row["true_kind"] for row in predicted] == [KINDS[kind] for kind in test.examples.targets["kind"][rows]]
        assert evaluated["outputs"].keys() == {"kind", "size"}
        assert sum(row["examples"] for row in evaluated["outputs"]["kind"]["classes"]) == len(rows)
        assert evaluated["outputs"]["size"]["classes"] == []
    elif name == "pairs":
        assert [row["true"] for row in predicted] == [("different", "same")[same] for same in test.examples.targets]
    else:
        np.testing.assert_allclose(
            [row["prediction"] for row in predicted], np.squeeze(outputs, -1) if name == "rated" else outputs,
            rtol=1e-4, atol=1e-5,
        )  # fmt: skip
        if name == "itself":
            prepared = checkpoint.preparation().apply(taken)
            error = float(np.mean((np.asarray(outputs) - np.asarray(prepared)) ** 2))
            assert recorded["loss"] == pytest.approx(error, rel=1e-3)


def test_predictions_of_files(runs: dict[str, Path], dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("item,user\n3,5\n0,19\n")
    np.savez(tmp_path / "some.npz", user=[5, 19], item=[3, 0])
    tables = [dlcli("predict", runs["rated"], tmp_path / f"some.{kind}", "--json").json for kind in ("csv", "npz")]
    values = [[row["prediction"] for row in table] for table in tables]
    assert values[0] == values[1]
    model = keras.models.load_model(runs["rated"] / "checkpoints" / "best.h5", compile=False)
    expected = model({"user": np.array([5, 19]), "item": np.array([3, 0])})
    np.testing.assert_allclose(values[0], np.squeeze(expected, -1), rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"user": [1]}, "has no array item"),
        ({"user": [1, 2], "item": [1]}, "arrays of different lengths"),
        ({"user": [1.5], "item": [1]}, "whole numbers"),
        ({"user": [[1, 2]], "item": [1]}, "the model takes examples of"),
        ({"user": np.array([{}], dtype=object), "item": [1]}, "not an archive of arrays"),
    ],
)  # fmt: skip
def test_files_that_do_not_fit(
    content: dict[str, Any], said: str, runs: dict[str, Path], dlcli: Command, tmp_path: Path
) -> None:
    np.savez(tmp_path / "some.npz", **content)
    done = dlcli("predict", runs["rated"], tmp_path / "some.npz")
    assert (done.code, said in " ".join(done.err.split())) == (3, True), done.err
    done = dlcli("predict", runs["rated"], Path(__file__))
    assert (done.code, "`user`, `item`" in " ".join(done.err.split())) == (3, True), done.err


def test_outputs_as_arrays(runs: dict[str, Path], dlcli: Command, tmp_path: Path) -> None:
    assert dlcli("predict", runs["both"], "--split", "test", "--first", 3, "-o", tmp_path / "both.npz").code == 0
    with np.load(tmp_path / "both.npz") as file:
        assert {name: file[name].shape for name in file.files} == {"kind": (3, 3), "size": (3, 1)}
    assert dlcli("predict", runs["both"], "--split", "test", "-o", tmp_path / "both.npy").code == 4
    assert dlcli("predict", runs["itself"], "--split", "test", "--first", 2, "-o", tmp_path / "itself.npy").code == 0
    assert np.load(tmp_path / "itself.npy").shape == (2, 8, 8, 1)
    assert "8×8×1 numbers" in dlcli("predict", runs["itself"], "--split", "test", "--first", 1).out


@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=thorough) for text in (TWO_OUTPUTS, TWO_INPUTS, PAIRS, AUTOENCODER)] + [MIXED]
)
def test_a_stopped_run_comes_to_the_same_bits(text: str, tmp_path: Path) -> None:
    spec = write(tmp_path, text)
    whole = ["train", spec, "--runs-dir", tmp_path / "whole", "--run-name", "one", "-q", "--epochs", 3]
    assert run_quietly(*whole) == 0
    parts = ["train", spec, "--runs-dir", tmp_path / "parts", "--run-name", "one", "-q"]
    assert run_quietly(*parts, "--epochs", 1) == 0
    run = next((tmp_path / "parts").glob("*/one"))
    assert run_quietly("train", "--resume", run, "--epochs", "+2", "-q") == 0
    last = [
        open_checkpoint(next((tmp_path / which).glob("*/one")) / "checkpoints" / "last.h5")
        for which in ("whole", "parts")
    ]
    models = [checkpoint.model().get_weights() for checkpoint in last]
    assert all(np.array_equal(one, other) for one, other in zip(*models, strict=True))
    assert metrics_of(run) == metrics_of(next((tmp_path / "whole").glob("*/one")))


def test_what_is_kept_is_restored() -> None:
    dataset = load_dataset(SOURCES["pairs"](of="digits", samples=50))
    from dlcli.data.preparation import fit_preparation
    from dlcli.data.splits import split_dataset

    splits = split_dataset(dataset, validation=None, test=0.0, seed=0)
    preparation = fit_preparation(dataset, splits.train, lambda: [keras.layers.Normalization(axis=None)])
    assert isinstance(preparation, Preparations)
    again = restore_preparation(json.loads(json.dumps(preparation.state())))
    taken = {name: part[:4] for name, part in dataset.train.inputs.items()}
    for name, values in preparation.apply(taken).items():
        assert np.array_equal(values, again.apply(taken)[name])
    assert isinstance(restore_encoding({"outputs": {"a": {"kind": "number", "classes": None}}}), Encodings)


def test_a_foreign_model_is_evaluated_by_the_names_of_its_outputs(dlcli: Command, tmp_path: Path) -> None:
    inputs = keras.Input((12, 12, 1))
    seen = keras.layers.Flatten()(inputs)
    outputs = [keras.layers.Dense(3, activation="softmax", name="kind")(seen), keras.layers.Dense(1, name="size")(seen)]
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "foreign.h5")
    done = dlcli("evaluate", tmp_path / "foreign.h5", "--data", write(tmp_path, TWO_OUTPUTS), "--json")
    assert done.code == 0, done.err
    loaded = load_spec(tmp_path / "spec.yaml", shipped_catalogue())
    _, splits = load_data(loaded, NOWHERE)
    test = splits.named("test")
    pixels = test.examples.inputs[test.indices][..., None].astype("float32") / 255
    kinds = np.argmax(model(pixels)[0], axis=1)
    right = float(np.mean(kinds == test.examples.targets["kind"][test.indices]))
    assert done.json["metrics"]["kind_accuracy"] == pytest.approx(right)


def test_examples_are_mixed_with_their_labels(dlcli: Command, tmp_path: Path) -> None:
    from dlcli.training.augmenting import augmented

    layer = keras.layers.MixUp(alpha=0.4, seed=1)
    images = np.eye(4, dtype="float32").reshape(4, 2, 2, 1)  # so that an image says what its label is
    mixed, labels = augmented([layer], images, np.eye(4, dtype="float32"))
    np.testing.assert_allclose(np.asarray(mixed).reshape(4, 4), labels, atol=1e-6)
    assert not np.array_equal(labels, np.eye(4))
    spec = write(tmp_path, MIXED.replace("categorical_crossentropy", "sparse_categorical_crossentropy"))
    done = dlcli("check", spec)
    assert (done.code, "one-hot labels only" in done.out) == (2, True), done.out


def test_callbacks_know_which_way_is_better(dlcli: Command, tmp_path: Path) -> None:
    text = TWO_OUTPUTS.replace("epochs: 2,", "epochs: 2, callbacks: [EarlyStopping: {monitor: val_kind_accuracy}],")
    done = dlcli("train", write(tmp_path, text), "--runs-dir", tmp_path, "-q")
    assert done.code == 0, done.err


def test_the_only_output_may_be_named(dlcli: Command, tmp_path: Path) -> None:
    noise = "{random: {shapes: {left: [4], right: [4]}, answers: {same: 2}}}"
    text = PAIRS.replace("{pairs: {of: digits, samples: 300}}", noise)
    text = text.replace("loss: binary_crossentropy", "loss: {same: binary_crossentropy}")
    text = text.replace("[accuracy]", "{same: accuracy}")
    assert dlcli("check", write(tmp_path, text)).code == 0


def test_numbers_that_the_model_does_not_know(runs: dict[str, Path], dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("user,item\n3,99\n")
    done = dlcli("predict", runs["rated"], tmp_path / "some.csv")
    assert (done.code, "99 is not in [0, 10)" in done.err) == (3, True), done.err


def test_an_epoch_s_line_has_room_for_the_losses_and_what_is_monitored() -> None:
    from dlcli.cli.live import epoch_columns, epoch_header
    from dlcli.training.listening import EpochEnd

    figures = ["loss", "kind_accuracy", "size_mean_absolute_error", "kind_loss", "size_loss"]
    row = dict.fromkeys(["epoch", *figures, *(f"val_{name}" for name in figures), "learning_rate", "seconds"], 0.5)
    assert len(epoch_columns(row)) == 10
    for width, expected in (
        (80, ["loss", "val_loss", "val_kind_accuracy"]),
        (110, ["loss", "kind_accuracy", "val_loss", "val_kind_accuracy", "val_size_mean_absolute_error"]),
        (20, ["loss", "val_loss", "val_kind_accuracy"]),
    ):
        names = epoch_columns(row, width, "val_kind_accuracy")
        assert names == expected
        assert epoch_header(EpochEnd(1, row, 1.0, True), names).endswith("  …")
    few = {"loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5}
    assert epoch_columns(few, 80, "val_loss") == list(few)


def test_short_names_are_read_by_plain_keras(tmp_path: Path) -> None:
    text = TWO_OUTPUTS.replace("size: mean_squared_error}", "size: mse}").replace(
        "size: mean_absolute_error}", "size: mae}"
    )
    text = text.replace("val_kind_accuracy", "val_loss")
    assert run_quietly("train", write(tmp_path, text), "--runs-dir", tmp_path, "--run-name", "one", "-q") == 0
    model = keras.models.load_model(tmp_path / "both" / "one" / "checkpoints" / "best.h5")
    assert model.get_compile_config()["loss"]["size"]["config"] == "mean_squared_error"
