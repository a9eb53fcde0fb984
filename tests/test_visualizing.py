"""`dlcli visualize`: the numbers behind each picture are those of plain Keras; what does not fit is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.report.drawing import drawing
from dlcli.visualizing.filters import filters
from dlcli.visualizing.stored_weights import LayerWeights, read_weights
from tests.conftest import Command, run_quietly

NESTED = """name: nested
seed: 1
dataset: {source: digits, batch_size: 200}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same}
    - BatchNormalization
    - ReLU
    - MaxPooling2D
    - Flatten
    - Dense: {units: 8, activation: tanh}
    - Dense: {units: 10, activation: softmax}
loss: categorical_crossentropy
optimizer: {Adam: {learning_rate: 0.01}}
metrics: [accuracy]
"""
POINTS = """name: points
seed: 1
dataset: {source: {moons: {samples: 200}}, batch_size: 20}
model: {layers: [Dense: {units: 8, activation: relu}, Dense: {units: 1, activation: sigmoid}]}
loss: binary_crossentropy
optimizer: {Adam: {learning_rate: 0.05}}
train: {epochs: 3, checkpoint: {keep: 5, every_steps: 4}}
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures of digits."""
    return _trained(tmp_path_factory.mktemp("pictures"), "nested", NESTED)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points in the plane, with checkpoints of several moments."""
    return _trained(tmp_path_factory.mktemp("points"), "points", POINTS)


def _trained(folder: Path, name: str, spec: str) -> Path:
    (folder / f"{name}.yaml").write_text(spec)
    assert run_quietly("train", folder / f"{name}.yaml", "--runs-dir", folder, "--run-name", "one", "--quiet") == 0
    return folder / name / "one"


def job_of(run: Path) -> Any:
    from dlcli.data.where import Where
    from dlcli.evaluation.evaluating import job_of as make
    from dlcli.training.checkpoint import open_checkpoint
    from dlcli.training.choices import Choices

    return make(open_checkpoint(run / "checkpoints" / "best.h5"), None, Where(None, False, print), Choices())


@pytest.fixture(scope="module")
def subject(pictures: Path) -> Any:
    from dlcli.visualizing.subject import of_split

    return of_split(job_of(pictures), "test", 7)


def scores_after(model: Any, values: Any, first: int = 0) -> Any:
    """What the softmax at the end of a stack of layers reads, if `values` go into layer number `first`."""
    *layers, last = model.layers
    for layer in layers[first:]:
        values = layer(values)
    return values @ last.kernel + last.bias


def test_saliency_is_the_gradient_of_the_score(subject: Any) -> None:
    import tensorflow as tf

    from dlcli.visualizing.attention import saliency_maps

    inputs, numbers = tf.constant(subject.prepared()), [3, 1, 4, 1, 5, 9, 2]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        scores = tf.gather(scores_after(subject.model, inputs), numbers, axis=1, batch_dims=1)
    expected = np.abs(tape.gradient(scores, inputs)).max(axis=-1)
    before = subject.model(inputs)
    np.testing.assert_allclose(saliency_maps(subject.model, inputs, numbers), expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(subject.model(inputs), before)  # the model is as it was, with its softmax
    assert expected.max() > 0


def test_gradcam_is_the_maps_by_their_mean_gradients(subject: Any) -> None:
    import keras
    import tensorflow as tf

    from dlcli.visualizing.attention import gradcam_maps
    from dlcli.visualizing.subject import last_convolution

    path, layer = last_convolution(subject.model, None)
    assert path == "re_lu"  # the convolution's maps, after normalization and activation
    inputs, numbers = tf.constant(subject.prepared()), [3, 1, 4, 1, 5, 9, 2]
    maps = keras.Model(subject.model.inputs, layer.output)(inputs)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        outputs = scores_after(subject.model, maps, subject.model.layers.index(layer) + 1)
        scores = sum(outputs[at, number] for at, number in enumerate(numbers))
    weights = np.asarray(tape.gradient(scores, maps)).mean(axis=(1, 2))
    expected = np.maximum(np.einsum("nhwc,nc->nhw", maps, weights), 0)
    np.testing.assert_allclose(gradcam_maps(subject.model, inputs, numbers, layer), expected, rtol=1e-4, atol=1e-6)
    assert expected.max() > 0


def test_features_are_the_outputs_of_sub_models(subject: Any) -> None:
    import keras

    from dlcli.visualizing.features import layer_outputs, strongest_answers
    from dlcli.visualizing.subject import layers_of

    layers = layers_of(subject.model)
    found = layer_outputs(subject.model, subject.prepared(), layers)
    assert list(found) == [layer.name for layer in subject.model.layers]
    for path, layer in layers.items():
        expected = keras.Model(subject.model.inputs, layer.output)(subject.prepared())
        np.testing.assert_allclose(found[path], expected, rtol=1e-5, atol=1e-6)
    strongest = strongest_answers(subject, "conv2d", layers["conv2d"])
    np.testing.assert_array_equal(strongest, found["conv2d"].max(axis=(1, 2)))


def test_layers_of_nested_models_are_watched_by_their_paths() -> None:
    import keras
    import tensorflow as tf

    from dlcli.visualizing.attention import gradcam_maps
    from dlcli.visualizing.subject import last_convolution
    from dlcli.visualizing.watching import outputs_and_seen

    inner = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, name="inside")], name="inner")
    model = keras.Sequential([keras.Input((6, 6, 1)), inner, keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")])
    inputs = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)
    path, layer = last_convolution(model, "inside")
    assert path == "inner/inside"
    _, seen = outputs_and_seen(model, inputs, {path: layer})
    np.testing.assert_allclose(seen[path].outputs[0], inner(inputs), rtol=1e-6)
    # Of one unit, class 0 is scored by the negative: here linear in the maps, so that the gradients are the weights.
    dense = model.layers[-1].get_weights()[0].reshape(4, 4, 2)
    maps = tf.constant(inner(inputs))
    for sign, number in ((1, 1), (-1, 0)):
        expected = np.maximum((maps * sign * dense.mean(axis=(0, 1))).numpy().sum(axis=-1), 0)
        np.testing.assert_allclose(gradcam_maps(model, inputs, [number] * 2, layer), expected, rtol=1e-4, atol=1e-6)


def test_pca_is_that_of_what_the_last_layer_reads(subject: Any) -> None:
    import keras
    from sklearn.decomposition import PCA

    from dlcli.visualizing.embedding import hidden, principal

    path, values = hidden(subject, None)
    hidden_layer = keras.Model(subject.model.inputs, subject.model.layers[-2].output)
    assert path == "what dense_1 reads"
    np.testing.assert_allclose(values, hidden_layer(subject.prepared()), rtol=1e-5, atol=1e-6)
    places, shares = principal(values)
    np.testing.assert_allclose(places, PCA(2, svd_solver="full").fit_transform(values), atol=1e-9)
    centred = values - values.mean(axis=0)
    spreads = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose(shares, (spreads / spreads.sum())[:2], rtol=1e-9)


def test_the_boundary_is_what_predict_says(dlcli: Command, points: Path, tmp_path: Path) -> None:
    from dlcli.visualizing.boundary import GRID, Drawing, plane_of

    job = job_of(points)
    plane = plane_of(job, "train")
    with drawing():
        shown = Drawing(job, plane)
        shown.show("title")
    pixels = np.asarray(shown._image.get_array()).reshape(GRID * GRID, 4)
    some = np.random.default_rng(0).choice(GRID * GRID, 40, replace=False)
    np.save(tmp_path / "places.npy", plane.grid[some])
    told = [row["class"] for row in dlcli("predict", points, tmp_path / "places.npy", "--json").json]
    is_first = pixels[some, 2] > pixels[some, 0]  # blue is the first class
    assert [job.facts.class_names[0 if first else 1] for first in is_first] == told
    assert len(set(told)) == 2


def test_pictures_are_written(dlcli: Command, pictures: Path, points: Path, tmp_path: Path) -> None:
    digit = tmp_path / "digit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)).save(digit)
    for arguments in (
        ["gradcam", pictures, digit], ["saliency", pictures, "--split", "test", "--class", "3"],
        ["features", pictures, "--split", "test", "--number", "2", "--layer", "conv2d"], ["features", pictures, digit],
        ["activations", pictures, "--first", "20", "--filter", "2"],
        ["embedding", pictures, "--first", "30", "--method", "tsne"], ["embedding", points],
        ["boundary", points / "checkpoints" / "best.h5", "--split", "train"],
    ):  # fmt: skip
        path = tmp_path / "picture.png"
        done = dlcli("visualize", *arguments, "-o", path)
        assert (done.code, done.out.strip()) == (0, str(path)), done.err
        with Image.open(path) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 10
        path.unlink()
    animation = tmp_path / "boundary.gif"
    assert dlcli("visualize", "boundary", points, "-o", animation, "--split", "train").code == 0
    with Image.open(animation) as image:
        assert image.n_frames >= 3
        first = np.asarray(image.convert("RGB"), int)
        image.seek(image.n_frames - 1)
        assert np.abs(first - np.asarray(image.convert("RGB"), int)).mean() > 0.5


def test_weights_and_filters_are_read_without_tensorflow(pictures: Path, tmp_path: Path) -> None:
    import keras

    program = (
        "import sys; from dlcli.cli.app import app\ntry: app(sys.argv[1:])\nfinally: assert 'keras' not in sys.modules"
    )
    import subprocess
    import sys

    for picture in ("filters", "weights"):
        command = [
            sys.executable,
            "-c",
            program,
            "visualize",
            picture,
            str(pictures),
            "-o",
            f"{tmp_path}/{picture}.svg",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    model = keras.models.load_model(pictures / "checkpoints" / "best.h5")
    layers = read_weights(pictures / "checkpoints" / "best.h5")
    assert [layer.path for layer in layers] == [layer.name for layer in model.layers if layer.weights]
    for found in layers:
        layer = model.get_layer(found.path)
        assert found.class_name == type(layer).__name__
        assert {name.name for name in layer.weights} == set(found.arrays)
        for weight in layer.weights:
            np.testing.assert_array_equal(found.arrays[weight.name], weight.numpy())


def test_weights_in_nested_models_are_found(tmp_path: Path) -> None:
    import keras

    inner = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3, name="memory")], name="inner")
    inputs = keras.Input((5, 2))
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(inner(inputs)))
    model.save(tmp_path / "nested.h5")
    found = {layer.path: layer for layer in read_weights(tmp_path / "nested.h5")}
    assert found.keys() == {"inner/memory", "out"}
    assert found["inner/memory"].class_name == "LSTM"
    assert len(found["inner/memory"].arrays) == 3


@pytest.mark.parametrize(
    ("shape", "class_name", "said"),
    [
        ((3, 3, 3, 512), "Conv2D", "512 filters"), ((3, 3, 1, 1), "Conv2D", "1 filter of 3×3×1"),
        ((5, 5, 20, 40), "Conv2D", "5×5×20"), ((4, 6, 9), "Conv1D", "9 filters of 4×6"),
        ((3, 3, 8, 2), "Conv2DTranspose", "8 filters of 3×3×2"), ((3, 3, 5, 2), "DepthwiseConv2D", "10 filters"),
    ],
)  # fmt: skip
def test_filters_of_every_kind_are_drawn(shape: tuple[int, ...], class_name: str, said: str) -> None:
    kernel = np.random.default_rng(0).normal(size=shape)
    with drawing():
        figure = filters("net", [LayerWeights("layer", class_name, {"kernel": kernel})], None)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert said in words[0]
    assert any("The first 64 of 512 filters" in word for word in words) == (shape[-1] == 512)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["filters", "PICTURES", "--layer", "conv2"], 2, "Did you mean `conv2d`"),
        (["filters", "PICTURES", "--layer", "dense"], 2, "no filters"), (["filters", "POINTS"], 4, "no convolution"),
        (["weights", "PICTURES", "-o", "a.jpg"], 2, ".svg"), (["gradcam", "POINTS", "--split", "test"], 4, "pictures"),
        (["gradcam", "PICTURES"], 2, "Name pictures"), (["gradcam", "PICTURES", "none.png"], 3, "none.png"),
        (["gradcam", "PICTURES", "--split", "test", "--class", "33"], 2, "no class"),
        (["gradcam", "PICTURES", "--split", "test", "--layer", "dense"], 2, "gives no maps"),
        (["features", "PICTURES", "--split", "test", "--number", "99999"], 3, "no example 99999"),
        (["activations", "PICTURES", "--filter", "5"], 2, "4 filters"), (["boundary", "PICTURES"], 4, "8×8"),
        (["boundary", "PICTURES", "-o", "a.gif"], 4, "keep: 20"), (["embedding", "PICTURES", "--first", "2"], 3, "few"),
        (["embedding", "PICTURES", "--method", "umap"], 2, "pca"), (["weights", "nothing.h5"], 4, "nothing.h5"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    dlcli: Command, pictures: Path, points: Path, arguments: list[str], code: int, said: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    known = {"PICTURES": pictures, "POINTS": points}
    done = dlcli("visualize", *(known.get(word, word) for word in arguments))
    assert (done.code, said in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())
