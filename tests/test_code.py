"""`dlcli code`: scripts of plain Keras that make the same model, and train it to the same weights."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import black
import h5py
import numpy as np
import pytest

from tests.conftest import CONFIGS, IMAGE_SETS, Command, known_spec, run_quietly, skip_without_files, some_of
from tests.test_nested import SPEC

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
# One of each kind.
BUILT = some_of(NAMES, "mnist_gru", "mnist_mlp_initializers", "pairs", "xor")
TRAINED = some_of(NAMES, "mnist_cnn_dropout", "penguins")
# What must be downloaded is left out.
CHANGES = {"cifar10_mobilenet": ["--set", "model.layers.base.weights=null"]}
GRAPH = """name: graph
dataset:
  source: {moons: {samples: 200}}
  validation: 0.2
  augment: [GaussianNoise: {stddev: 0.1}]
variables: {width: 4, rate: 0.2}
model:
  blocks:
    tower:
      parameters: {units: , activation: relu, depth: "${width}"}
      inputs: [left, right]
      layers:
        - Dense: {units: "${units}", activation: "${activation}"}
          inputs: left
          name: first
        - Dense: {units: "${units}"}
          inputs: right
          name: second
          repeat: 2
        - Concatenate: {}
          inputs: [first, second]
        - Dense: {units: "${depth}"}
        - Dropout: {rate: "${rate}"}
    unused:
      layers: [Dense: {units: 3}]
  layers:
    - Dense: {units: 4, kernel_initializer: {RandomNormal: {stddev: 0.1}}}
      name: list
      inputs: input
    - Dense: {units: 4}
      name: other
      inputs: input
      trainable: false
    - tower: {units: 3, activation: tanh}
      inputs: [list, other]
      name: pair
    - Dense: {units: 4}
      name: shared
    - Dense: {units: 4}
      reuse: shared
      name: again
    - tower: {units: 2}
      inputs: [list, again]
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
optimizer: {SGD: {learning_rate: 0.1, momentum: 0}}
metrics: [accuracy, AUC]
silence:
  unused-block: to see that no function is made of it
"""


PREPARED = """name: prepared
dataset:
  source: {blobs: {samples: 60, features: 3}}
  preparation: [Rescaling: {scale: 2.0}, Normalization, Reshape: {target_shape: [3, 1]}]
  shuffle: false
model:
  layers: [Flatten, Dense: {units: 3, activation: softmax}]
loss: categorical_crossentropy
"""


def script_of(dlcli: Command, *arguments: object) -> str:
    done = dlcli("code", *arguments)
    assert done.code == 0, done.err
    assert done.out == black.format_str(done.out, mode=black.Mode())
    return done.out


def run_script(text: str, folder: Path) -> dict[str, Any]:
    # From a file: TensorFlow reads the source of functions.
    (folder / "script.py").write_text(text)
    return runpy.run_path(str(folder / "script.py"))


def weights_of(model: Any) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.weights]


def new_weights(path: Path) -> list[np.ndarray]:
    from dlcli.training.job import model_without_data

    return weights_of(model_without_data(known_spec(path)))


def give_keras(few_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(name: str) -> Any:
        with np.load(few_images / f"{name}.npz") as file:
            column = (-1, 1) if name.startswith("cifar") else (-1,)  # as Keras has them
            return tuple((file[f"x_{split}"], file[f"y_{split}"].reshape(column)) for split in ("train", "test"))

    for name in IMAGE_SETS:
        monkeypatch.setattr(f"keras.datasets.{name}.load_data", lambda name=name: loaded(name))


def trained(spec: Path, few_images: Path, folder: Path, changes: list[str]) -> dict[str, np.ndarray]:
    """What dlcli trains, in Keras's own way, by the weights' names."""
    arguments = ["train", spec, "--runs-dir", folder, "--run-name", "one", "-q", "--engine", "keras", "--no-fallback"]
    assert run_quietly(*arguments, "--data-dir", few_images, *changes) == 0
    found: dict[str, np.ndarray] = {}
    with h5py.File(next(folder.rglob("last.h5"))) as file:
        group = file["model_weights"]
        for layer in group.attrs["layer_names"]:
            found |= {name: group[layer][name][()] for name in group[layer].attrs["weight_names"]}
    return found


@pytest.mark.parametrize("name", BUILT)
def test_the_model_of_a_config_begins_with_the_same_weights(name: str, dlcli: Command, tmp_path: Path) -> None:
    skip_without_files(name)
    script = script_of(dlcli, CONFIGS / f"{name}.yaml", "--model-only", *CHANGES.get(name, ()))
    made = run_script(script, tmp_path)["model"]
    expected = new_weights(CONFIGS / f"{name}.yaml")
    assert [weight.shape for weight in weights_of(made)] == [weight.shape for weight in expected]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(weights_of(made), expected, strict=True))


@pytest.mark.parametrize("name", TRAINED)
def test_the_script_of_a_config_comes_to_the_same_weights(
    name: str, dlcli: Command, few_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_files(name)
    give_keras(few_images, monkeypatch)
    changes = [word for change in ("dataset.shuffle=false", "dataset.augment=[]", "train.epochs=1")
               for word in ("--set", change)] + CHANGES.get(name, [])  # fmt: skip
    text = script_of(dlcli, CONFIGS / f"{name}.yaml", *changes)
    model = run_script(text, tmp_path)["model"]
    ours = trained(CONFIGS / f"{name}.yaml", few_images, tmp_path, changes)
    assert len(ours) == len(model.weights)
    for weight, value in zip(model.weights, ours.values(), strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6, err_msg=weight.path)


def test_preparation_as_it_is_written(dlcli: Command, few_images: Path, tmp_path: Path) -> None:
    spec = tmp_path / "prepared.yaml"
    spec.write_text(PREPARED)
    text = script_of(dlcli, spec)
    assert text.count("import") == 5  # keras, layers, numpy, the split, and within the function that draws
    model = run_script(text, tmp_path)["model"]
    ours = trained(spec, few_images, tmp_path, [])
    for weight, value in zip(model.weights, ours.values(), strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6, err_msg=weight.path)


def test_tensorboard_and_mlflow_are_told_by_their_callbacks(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "board.yaml"
    mlflow = "mlflow: {tracking_uri: 'sqlite:///a.db'}"
    spec.write_text(PREPARED + f"train: {{tensorboard: true, callbacks: [TerminateOnNaN], {mlflow}}}\n")
    text = script_of(dlcli, spec)
    assert 'mlflow.set_tracking_uri("sqlite:///a.db")\nmlflow.set_experiment("prepared")\nmodel.fit(\n' in text
    assert "        mlflow.keras.MlflowCallback(),\n    ],\n" in text
    assert "import keras\nimport mlflow\nimport numpy as np\n" in text
    assert '        keras.callbacks.TensorBoard("tensorboard", histogram_freq=1),\n' in text
    assert text.count("# `TensorBoard` needs a package") == 1
    assert "# `TensorBoard`" not in script_of(dlcli, spec, "--model-only")


def test_a_graph_with_blocks_becomes_functions(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "graph.yaml"
    spec.write_text(GRAPH)
    text = script_of(dlcli, spec)
    assert 'def tower(left, right, units, activation="relu", depth=4):' in text
    assert 'tower(list_, other, 3, activation="tanh")' in text
    assert "unused" not in text
    model = run_script(script_of(dlcli, spec, "--model-only"), tmp_path)["model"]
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(model), new_weights(spec), strict=True))
    assert not model.get_layer("other").trainable
    assert len(run_script(text, tmp_path)["model"].history.epoch) == 1


def test_models_within_the_model(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "nested.yaml"
    for text, written in (
        (SPEC, "twofold_1"),
        (SPEC.replace("- twofold: {units: 12}", "- Dense: {units: 12}"), "tower"),
    ):
        spec.write_text(text)
        script = script_of(dlcli, spec, "--model-only")
        assert f"def make_{written}(shape" in script
        assert "def make_inner(one_shape, another_shape):" in script
        made = run_script(script, tmp_path)["model"]
        assert all(np.array_equal(a, b) for a, b in zip(weights_of(made), new_weights(spec), strict=True))
        assert made.get_layer("tower").get_layer("last").count_params() == 42
        assert not made.get_layer("cold_2").trainable_weights


def test_what_functions_cannot_say_is_written_out(dlcli: Command, tmp_path: Path) -> None:
    spec = tmp_path / "graph.yaml"
    again = "    - tower: {units: 2}\n      inputs: [list, again]\n"
    assert again in GRAPH
    spec.write_text(GRAPH.replace(again, "    - reuse: pair\n      inputs: [list, again]\n"))
    text = script_of(dlcli, spec, "--model-only")
    assert "def tower" not in text
    model = run_script(text, tmp_path)["model"]
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(model), new_weights(spec), strict=True))


def test_of_a_checkpoint_and_into_a_file_that_runs_without_dlcli(
    small_run: Path, dlcli: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.py"
    assert dlcli("code", small_run, "--output", file).code == 0
    assert dlcli("code", small_run, "--output", file).code == 2  # it is not overwritten
    text = file.read_text()
    assert "dlcli" not in text.replace("`dlcli code", "")
    run_script(text.replace("epochs=3", "epochs=1"), tmp_path)
    assert "'accuracy'" in capfd.readouterr().out


def test_mistakes(dlcli: Command, tmp_path: Path, small_run: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text((CONFIGS / "iris.yaml").read_text().replace("units: 3,", "units: 4,"))
    wrong = dlcli("code", spec)
    assert (wrong.code, "has 3 classes" in wrong.err) == (2, True)
    assert dlcli("code", small_run, "--set", "seed=1").code == 2
    assert dlcli("code", tmp_path / "nothing.yaml").code == 2
