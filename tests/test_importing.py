"""`dlcli import`: a spec of a model that Keras saved, which makes the same model again."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from keras import layers

from dlcli.cli.options import catalogue
from dlcli.importing.repeats import repeated
from dlcli.spec.loading import load_spec
from dlcli.training.job import model_without_data
from tests.conftest import CONFIGS, Command, known_spec, run_quietly, skip_without_files, some_of, thorough

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
# One of each kind.
CHOSEN = some_of(NAMES, "mnist_transformer", "shapes")
SUFFIXES = [".keras", ".h5", ".json"]
APPLICATIONS = [name for name in vars(keras.applications) if name[:1].isupper()]


def graph_of(model: keras.Model) -> list[tuple[str, str, int, list[str]]]:
    """Its layers by name, what they are, how many parameters they have, and what they read."""
    found = []
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            reads = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
            above = [tensor._keras_history.operation for tensor in reads]
            # Masks are among them, as operations.
            is_one = len(model.inputs) == 1
            read = ["input" if is_one and isinstance(one, layers.InputLayer) else one.name
                    for one in above if isinstance(one, layers.Layer)]  # fmt: skip
            # A `Sequential` calls its layers twice.
            found.append((layer.name, type(layer).__name__, layer.count_params(), list(dict.fromkeys(read))))
    return found


def imported(model: Path, folder: Path, dlcli: Command) -> tuple[str, str]:
    done = dlcli("import", model)
    assert done.code == 0, done.err
    (folder / "imported.yaml").write_text(done.out)
    return done.out, done.err


def random_inputs(shape: tuple[int | None, ...]) -> Any:
    random = np.random.default_rng(0)
    # A number by itself is one of an embedding's.
    return random.random((2, *(size or 32 for size in shape))).astype("float32") if shape else np.arange(2)


def named(outputs: Any, names: list[str]) -> dict[str, Any]:
    """What a model gives, by name."""
    return outputs if isinstance(outputs, dict) else dict(zip(names, keras.tree.flatten(outputs), strict=True))


def assert_comes_back(model: keras.Model, folder: Path, dlcli: Command, suffix: str = ".keras") -> str:
    """The spec of a model, which makes the same layers, and with the same weights the same output to the bit."""
    path = folder / f"model{suffix}"
    if suffix == ".json":
        path.write_text(model.to_json())
    else:
        model.save(path)
    text, _ = imported(path, folder, dlcli)
    keras.utils.clear_session()
    again = model_without_data(load_spec(folder / "imported.yaml", catalogue()))
    nested = any(isinstance(layer, keras.Model) for layer in model.layers)
    operations = "keras.src.ops.numpy" in model.to_json()  # they come back as layers
    if not (nested or operations):
        # Keras goes through several outputs by the order of their names.
        in_order = list if len(model.outputs) == 1 else sorted
        assert in_order(graph_of(again)) == in_order(graph_of(model))
    if nested:
        again.set_weights(model.get_weights())
    for layer in model.layers:
        if layer.weights and not nested:
            again.get_layer(layer.name).set_weights(layer.get_weights())
    assert again.count_params() == model.count_params()
    inputs = {one.name: random_inputs(one.shape[1:]) for one in model.inputs}
    outputs = [each(*inputs.values()) if len(inputs) == 1 else each(inputs) for each in (model, again)]
    names = model.output_names if len(model.outputs) > 1 else ["output"]
    for name, one in named(outputs[0], names).items():
        assert np.array_equal(np.asarray(one), np.asarray(named(outputs[1], names)[name]))
    return text


@pytest.mark.parametrize("name", CHOSEN)
def test_a_config_s_model_comes_back(name: str, dlcli: Command, tmp_path: Path) -> None:
    skip_without_files(name)
    keras.utils.clear_session()
    model = model_without_data(known_spec(CONFIGS / f"{name}.yaml"))
    assert_comes_back(model, tmp_path, dlcli)


@pytest.mark.parametrize("name", some_of(APPLICATIONS, "MobileNet"))
def test_an_application_comes_back(name: str, dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    model = getattr(keras.applications, name)(weights=None)
    assert_comes_back(model, tmp_path, dlcli)


def shared() -> keras.Model:
    keras.utils.clear_session()
    inputs = keras.Input((4,))
    again = layers.Dense(4, activation="tanh")
    first = again(inputs)
    second = again(first)
    other = layers.Dense(4, name="other", trainable=False)(inputs)
    joined = layers.Concatenate()([first, second, other])
    deep = layers.Dense(8)(joined)
    for _ in range(2):
        deep = layers.Dense(8)(deep)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(deep), name="shared-layers")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_shared_layers_in_every_kind_of_file(suffix: str, dlcli: Command, tmp_path: Path) -> None:
    text = assert_comes_back(shared(), tmp_path, dlcli, suffix)
    assert "reuse: dense" in text
    assert "trainable: false" in text


def recurrent() -> keras.Model:
    keras.utils.clear_session()
    return keras.Sequential([
        keras.Input((16,)),
        layers.Embedding(100, 8, mask_zero=True),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True, recurrent_dropout=0.1), merge_mode="sum"),
        layers.TimeDistributed(layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2))),
        layers.GRU(5, activation="linear", kernel_initializer=keras.initializers.VarianceScaling(2.0, mode="fan_out")),
        layers.Dense(2, activation="softmax", kernel_constraint="non_neg"),
    ])  # fmt: skip


def test_wrappers_and_objects_in_arguments(dlcli: Command, tmp_path: Path) -> None:
    text = assert_comes_back(recurrent(), tmp_path, dlcli)
    assert (
        "Bidirectional: {layer: {LSTM: {units: 4, recurrent_dropout: 0.1, return_sequences: true}}, merge_mode: sum}"
        in text
    )
    assert "activation: linear" in text
    assert "kernel_constraint: NonNeg" in text


def test_masks_are_made_again(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    inputs = keras.Input((16,))
    steps = layers.Embedding(10, 4, mask_zero=True)(inputs)
    branch = layers.Dense(3)(steps)
    both = layers.Concatenate()([layers.LSTM(3, return_sequences=True)(steps), branch])
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.GRU(3)(both)))
    model.save(tmp_path / "model.keras")
    _, said = imported(tmp_path / "model.keras", tmp_path, dlcli)
    assert said == ""
    again = model_without_data(load_spec(tmp_path / "imported.yaml", catalogue()))
    again.set_weights(model.get_weights())
    numbers = np.random.default_rng(0).integers(0, 3, (4, 16)).astype("float32")  # zeros are masked
    assert np.array_equal(np.asarray(model(numbers)), np.asarray(again(numbers)))


def within(kind: str) -> keras.Model:
    """A model that is to stand in another one."""
    if kind == "Sequential":
        return keras.Sequential([keras.Input((4,)), layers.Dense(5), layers.BatchNormalization()], name="inner")
    if kind == "unnamed":
        return keras.Sequential([layers.Dense(5), keras.Sequential([layers.Dense(5), layers.BatchNormalization()])])
    inputs = keras.Input((4,), name="given")
    first = layers.Dense(4, name="same")(inputs)
    deep = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="same")], name="deep")
    joined = layers.Add()([deep(first), inputs])
    return keras.Model(inputs, layers.BatchNormalization()(joined), name="inner")


@pytest.mark.parametrize("suffix", some_of(SUFFIXES, ".h5"))
@pytest.mark.parametrize("kind", ["Sequential", "unnamed", "Functional"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_models_within_the_model_come_back(kind: str, suffix: str, dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    inputs = keras.Input((4,))
    inner = within(kind)
    read = inner(inputs)
    frozen = keras.Sequential([layers.Dense(4), layers.BatchNormalization()], name="cold")
    frozen.trainable = False
    again = inner(frozen(read))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Concatenate()([read, again])))
    text = assert_comes_back(model, tmp_path, dlcli, suffix)
    assert text.count("trainable: false") == 1
    assert "reuse: " in text
    again_made = model_without_data(load_spec(tmp_path / "imported.yaml", catalogue()))
    assert all_graphs_of(again_made) == all_graphs_of(model)
    if kind == "unnamed":
        assert "name: sequential" in text  # since it is called again
        assert "name: dense" not in text


def all_graphs_of(model: keras.Model) -> list[Any]:
    """Its graph, and those of the models within it."""
    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    without_input = [
        (*layer[:3], [one if isinstance(model.get_layer(one), layers.Layer) else "input" for one in layer[3] if one in
                      {other.name for other in model.layers if not isinstance(other, layers.InputLayer)}])
        for layer in graph_of(model)
    ]  # fmt: skip
    return [without_input, *(graph for one in inner for graph in all_graphs_of(one)), model.trainable]


def test_a_model_within_the_model_with_several_inputs(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    inner = keras.Model({"right": right, "left": left}, layers.Subtract()([left, right]), name="compare")
    inputs = keras.Input((4,))
    ends = layers.Dense(4, name="one")(inputs), layers.Dense(4, name="other")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(inner({"left": ends[0], "right": ends[1]})))
    text = assert_comes_back(model, tmp_path, dlcli)
    assert "inputs: [one, other]" in text


@thorough
def test_a_nested_application_comes_back_and_takes_its_weights_along(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.35)
    base.trainable = False
    inputs = keras.Input((32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(base(inputs, training=False))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(pooled))
    text = assert_comes_back(model, tmp_path, dlcli)
    assert "- Model:\n        layers:\n          - Conv2D: {filters: 16," in text
    assert (
        dlcli("import", tmp_path / "model.keras", "-o", tmp_path / "new.yaml", "--weights", tmp_path / "w.h5").code == 0
    )
    warm = tmp_path / "new.yaml"
    warm.write_text(warm.read_text().replace("      trainable: false\n", ""))
    begun = dlcli("train", warm, "--init-from", tmp_path / "w.h5", "--smoke")
    assert begun.code == 0, begun.err
    assert "2 of 2 layers with weights begin with those" in " ".join(begun.err.split())


def test_a_model_within_the_model_with_several_outputs_is_refused(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    inner_inputs = keras.Input((4,))
    ends = [layers.Dense(4)(inner_inputs), layers.Dense(4)(inner_inputs)]
    inner = keras.Model(inner_inputs, ends, name="split")
    inputs = keras.Input((4,))
    keras.Model(inputs, layers.Add()(inner(inputs))).save(tmp_path / "model.keras")
    done = dlcli("import", tmp_path / "model.keras")
    assert (done.code, "`split` in it has several outputs" in " ".join(done.err.split())) == (4, True), done.err


def test_what_is_the_same_several_times_is_there_once(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    hidden = [layers.Dense(8, activation="relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(3, activation="softmax")])
    assert "- Dense: {units: 8, activation: relu}\n      repeat: 3\n" in assert_comes_back(model, tmp_path, dlcli)


def test_names_that_only_count_are_a_repeat(dlcli: Command, tmp_path: Path) -> None:
    keras.utils.clear_session()
    inputs = keras.Input((8,))
    deep = inputs
    for number in range(1, 4):
        deep = layers.Dense(8, activation="relu", name=f"deep_{number}")(deep)
    stack = deep
    for number in range(1, 3):
        inner = [keras.Input((8,)), layers.Dense(8, name="a"), layers.Dropout(0.1)]
        stack = keras.Sequential(inner, name=f"stack_{number}")(stack)
    joined = layers.Add()([stack, deep])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(joined))
    text = assert_comes_back(model, tmp_path, dlcli)
    assert "- Dense: {units: 8, activation: relu}\n      repeat: 3\n      name: deep\n" in text
    assert "      repeat: 2\n      name: stack\n" in text
    assert "inputs: [stack, deep]" in text
    again = model_without_data(load_spec(tmp_path / "imported.yaml", catalogue()))
    assert {layer.name for layer in model.layers} ^ {layer.name for layer in again.layers} == {"input", "input_layer"}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("[{D: 1, name: a_1}, {D: 1, name: a_2}, {E: , inputs: [a_2, input]}]",
         "[{D: 1, repeat: 2, name: a}, {E: , inputs: [a, input]}]"),
        ("[{D: 1, name: a_1, inputs: b, trainable: false}, {D: 1, name: a_2, trainable: false}]",
         "[{D: 1, repeat: 2, name: a, inputs: b, trainable: false}]"),
        ("[{D: 1, inputs: b}, {D: 1}, {D: 1}, {D: 2}]", "[{D: 1, repeat: 3, inputs: b}, {D: 2}]"),
        ("[{D: 1, name: a_1}, {D: 1, name: a_2}, {E: , inputs: [a_2, a_1]}]", None),  # the first is read, too
        ("[{D: 1, name: a_1}, {D: 1, name: a_2}, {reuse: a_2}]", None),  # only one of them is called again
        ("[{D: 1, name: a}, {D: 1, name: a_1}, {D: 1, name: a_2}]", None),  # the name is taken
        ("[{D: 1, name: a_1}, {D: 1, name: a_3}, {D: 1, name: a_2, inputs: x}]", None),
        ("[{D: 1, inputs: [b, c]}, {D: 1}]", None),
        ("[{D: 1, name: kept_1}, {D: 1, name: kept_2}]", None),
    ],
)  # fmt: skip
def test_rows_of_equal_entries(entries: str, expected: str | None) -> None:
    assert repeated(yaml.safe_load(entries), ["kept_2"]) == yaml.safe_load(expected or entries)


def test_what_it_was_compiled_with_and_its_weights(dlcli: Command, tmp_path: Path) -> None:
    model = shared()
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 1000)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.001), loss="mse", metrics=["accuracy"])
    model.save(tmp_path / "model.keras")
    done = dlcli("import", tmp_path / "model.keras", "-o", tmp_path / "model.yaml", "--weights", tmp_path / "model.h5")
    assert done.code == 0, done.err
    text = (tmp_path / "model.yaml").read_text()
    schedule_text = "{CosineDecay: {initial_learning_rate: 0.01, decay_steps: 1000}}"
    assert f"optimizer: {{AdamW: {{learning_rate: {schedule_text}, weight_decay: 0.001}}}}" in text
    assert "metrics: [accuracy]" in text
    assert "name: shared-layers" in text
    begun = ["train", tmp_path / "model.yaml", "--init-from", tmp_path / "model.h5", "--smoke", "-q"]
    assert run_quietly(*begun) == 0
    assert dlcli("import", tmp_path / "model.keras", "-o", tmp_path / "model.yaml").code == 2  # it is there


def with_config(folder: Path, change: Any) -> Path:
    """A saved model whose config was changed."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.save(folder / "whole.keras")
    with zipfile.ZipFile(folder / "whole.keras") as whole, zipfile.ZipFile(folder / "model.keras", "w") as other:
        config = json.loads(whole.read("config.json"))
        other.writestr("config.json", json.dumps(change(config) or config))
    return folder / "model.keras"


def with_layer(**changes: Any) -> Any:
    return lambda config: config["config"]["layers"][1].update(changes)


CODE = {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAAAAAAAA=="}}
REFUSED: list[tuple[str, Any, str]] = [
    ("a Lambda", with_layer(class_name="Lambda", config={"name": "it", "function": CODE}), "has a `Lambda`"),
    ("a foreign class", with_layer(class_name="Mine", module="mine"), "`mine.Mine`, which is not a Keras layer"),
    ("a function of the system's", with_layer(config={"units": 3, "activation": {
        "class_name": "function", "config": "system", "module": "os"}}), "`os.system`, which is not Keras's"),
    ("an operation", with_layer(class_name="Add", module="keras.src.ops.numpy"), "which is not a Keras layer"),
    ("a model of one's own", lambda config: {**config, "class_name": "Mine"}, "its model is a `Mine`"),
    ("no layers", lambda config: {**config, "config": {}}, "no list of layers"),
    ("no name of a layer", with_layer(class_name=3), "has a `keras.layers.3`, which is not"),
    ("a wrapper around nothing", with_layer(class_name="Bidirectional", config={}), "not as Keras writes it"),
    ("a model in an argument", with_layer(class_name="TimeDistributed", config={"layer": {
        "class_name": "Sequential", "module": "keras", "config": {"layers": []}}}), "as an argument of a layer"),
    ("something else", lambda _: {"a": 1}, "names no class"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_imported_is_told(change: Any, said: str, dlcli: Command, tmp_path: Path) -> None:
    done = dlcli("import", with_config(tmp_path, change))
    assert (done.code, done.out) == (4, "")
    assert said in " ".join(done.err.split()), done.err


def test_its_name_is_that_of_the_command(dlcli: Command) -> None:
    assert re.search(r"│ import +Show the spec", dlcli("--help").out)


def test_files_that_are_no_models(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("{")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("something.txt", "else")
    for name, said in (("text.json", "is not JSON"), ("empty.keras", "no config.json"), ("nothing.h5", "is not there")):
        done = dlcli("import", tmp_path / name)
        assert (done.code, said in " ".join(done.err.split())) == (4, True), done.err


@pytest.mark.parametrize("suffix", some_of(SUFFIXES, ".keras"))
def test_several_inputs_and_outputs_come_back(suffix: str, dlcli: Command, tmp_path: Path) -> None:
    one, other = keras.Input((4,), name="one"), keras.Input((3,), name="other")
    shared = layers.Dense(3, name="shared")
    joined = layers.Concatenate(name="joined")([shared(one), other])
    kind = layers.Dense(5, activation="softmax", name="kind")(joined)
    answer = layers.Dense(1, activation="sigmoid", name="answer")(joined)
    model = keras.Model([one, other], [kind, answer, layers.Dense(1, name="size")(joined)])
    model.compile(
        loss=["categorical_crossentropy", "binary_crossentropy", "mse"],
        loss_weights=[1.0, 2.0, 0.5],
        metrics=[["accuracy"], [], ["mae"]],
    )
    text = assert_comes_back(model, tmp_path, dlcli, suffix)
    assert "source: {random: {shapes: {one: [4], other: [3]}, answers: {kind: 5, answer: 2, size: 1}}}" in text
    assert "loss: {kind: categorical_crossentropy, answer: binary_crossentropy, size: mse}" in text
    assert "loss_weights: {kind: 1.0, answer: 2.0, size: 0.5}" in text
    assert "metrics: {kind: [accuracy], size: [mae]}" in text
    assert dlcli("train", tmp_path / "imported.yaml", "--smoke").code == 0


def test_an_autoencoder_comes_back(dlcli: Command, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(4, 3, padding="same"), layers.Conv2D(1, 1)])
    assert "  labels: input\n" in assert_comes_back(model, tmp_path, dlcli)
    assert dlcli("check", tmp_path / "imported.yaml").code == 0


def test_operations_with_a_number_come_back_as_layers(dlcli: Command, tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    x = layers.Dense(4)(inputs)
    x = keras.ops.maximum(keras.ops.multiply(x + 3.0, 0.25) - 0.5, 1.0 - x)
    text = assert_comes_back(keras.Model(inputs, layers.Dense(2)(x * 2)), tmp_path, dlcli)
    assert text.count("Rescaling") == 5
    assert "Maximum" in text


def test_outputs_that_are_called_otherwise_than_their_layers(dlcli: Command, tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"p": layers.Dense(1, name="one")(inputs), "q": layers.Dense(1, name="two")(inputs)})
    auc = keras.metrics.MeanAbsoluteError(name="far")
    model.compile(loss={"q": "mae", "p": "mse"}, metrics={"p": [auc]}, loss_weights={"q": 2.0})
    text = assert_comes_back_alike(model, tmp_path, dlcli)
    assert "loss: {one: mse, two: mae}" in text
    assert "metrics: {one: [{MeanAbsoluteError: {name: far}}]}" in text


def assert_comes_back_alike(model: keras.Model, folder: Path, dlcli: Command) -> str:
    """The spec of a model, which dlcli can train."""
    model.save(folder / "model.keras")
    text, _ = imported(folder / "model.keras", folder, dlcli)
    done = dlcli("train", folder / "imported.yaml", "--smoke")
    assert done.code == 0, done.err
    return text
