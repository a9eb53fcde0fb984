"""What is meant by what is wrong: other libraries' names, values without their names, numbers written as for people.

Whatever is suggested is there: every name in the tables is checked against the catalogue.
"""

from __future__ import annotations

from typing import Any

import pytest

from dlcli.errors import Path, Problem
from dlcli.spec import arguments_meant, names_meant
from dlcli.spec.catalogue import KINDS, Catalogue
from dlcli.spec.checking import check_objects
from dlcli.spec.examples import example
from dlcli.spec.keras_objects import split_object
from dlcli.spec.likeness import plain
from dlcli.spec.numbers_meant import number_meant, percent_meant, turn_meant
from dlcli.spec.paths import in_words
from dlcli.spec.reading import parse_document
from dlcli.spec.writing import to_flow
from tests.conftest import shipped_catalogue

PLACES: dict[str, Path] = {
    "layer": ("model", "layers"),
    "loss": ("loss",),
    "optimizer": ("optimizer",),
    "metric": ("metrics",),
    "callback": ("train", "callbacks"),
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return shipped_catalogue()


def written(text: str) -> Any:
    return parse_document(f"spec:\n  {text}\n".encode(), "spec.yaml").data["spec"]


def problems(kind: str, text: str) -> list[Problem]:
    """What is wrong with an object that stands where its kind does in a spec."""
    data: Any = written(text) if kind in ("loss", "optimizer") else [written(text)]
    for key in reversed(PLACES[kind]):
        data = {key: data}
    return list(check_objects(data, shipped_catalogue()))


def the_hint(kind: str, text: str) -> str | None:
    [problem] = problems(kind, text)
    return problem.hint


def of_each_dimension(name: str) -> list[str]:
    return [name.replace("#", digit) for digit in "123"] if "#" in name else [name]


class TestTables:
    def test_each_name_is_one_of_keras_s_with_the_arguments_that_it_has(self, catalogue: Catalogue) -> None:
        for kind, table in names_meant.NAMESAKES.items():
            for other, namesake in table.items():
                for text in of_each_dimension(namesake.written):
                    name, arguments = split_object(written(text))
                    known = catalogue.parameters(kind, name)
                    assert known is not None, f"{other}: {text}"
                    assert set(arguments) <= set(known), f"{other}: {text}"

    def test_no_name_in_the_table_is_one_of_keras_s(self, catalogue: Catalogue) -> None:
        for kind, table in names_meant.NAMESAKES.items():
            spelt = {plain(name) for name in (*catalogue.names(kind), *catalogue.second_names(kind))}
            for other in table:
                assert other == plain(other)
                assert not spelt & set(of_each_dimension(other)), other

    def test_each_argument_is_one_of_keras_s(self, catalogue: Catalogue) -> None:
        all_arguments = {
            argument: parameter
            for kind in KINDS
            for name in catalogue.names(kind)
            for argument, parameter in (catalogue.parameters(kind, name) or {}).items()
        }
        assert set(arguments_meant.NAMESAKES) <= set(all_arguments)
        assert set(arguments_meant.EXAMPLES) <= set(all_arguments)
        needed = {needs for answers in arguments_meant.EXPLAINED.values() for _, needs in answers} - {None}
        assert needed <= set(all_arguments)

    def test_what_is_completed_by_examples_is_right(self, catalogue: Catalogue) -> None:
        for kind in PLACES:
            for name in catalogue.names(kind):
                known = catalogue.parameters(kind, name) or {}
                complete = arguments_meant.Given(kind, name, {}, known, catalogue).with_required({})
                if complete and "…" not in complete.values():
                    assert problems(kind, f"{name}: {to_flow(complete)}") == []


class TestNames:
    @pytest.mark.parametrize(
        ("kind", "text", "hint"),
        [
            ("layer", "Linear: {units: 3}", "Keras calls it `Dense`."),
            ("layer", "Conv2d: {filters: 3, kernel_size: 3}", "Did you mean `Conv2D`?"),
            ("layer", "BatchNorm2d", "Keras calls it `BatchNormalization`."),
            ("layer", "AdaptiveAvgPool2d", "Keras calls it `AdaptiveAveragePooling2D`."),
            ("layer", "InstanceNorm2d", "Keras calls it `GroupNormalization: {groups: -1}`."),
            ("loss", "MSELoss", "Keras calls it `mean_squared_error`."),
            ("loss", "BCEWithLogitsLoss", "Keras calls it `{BinaryCrossentropy: {from_logits: true}}`."),
            ("metric", "rmse", "Keras calls it `RootMeanSquaredError`."),
            ("optimizer", "Adm", "Did you mean `Adam`?"),
        ],
    )
    def test_of_other_libraries(self, kind: str, text: str, hint: str) -> None:
        assert the_hint(kind, text) == hint

    @pytest.mark.parametrize(
        ("kind", "text", "belongs"),
        [
            ("loss", "Adam", "`Adam` is a Keras optimizer: it belongs under `optimizer`."),
            ("loss", "adam", "`adam` is a Keras optimizer: it belongs under `optimizer`."),
            ("optimizer", "mse", "`mse` is a Keras loss: it belongs under `loss`."),
            ("optimizer", "CosineDecay", "under the `learning_rate` of an optimizer."),
            ("loss", "accuracy", "in the list `metrics`, as in `metrics: [accuracy]`."),
            ("loss", "softmax", "in a layer, as in `activation: softmax`."),
            ("metric", "Dense: {units: 3}", "in the list `model.layers`."),
            ("callback", "Dropout", "in the list `model.layers`."),
            ("layer", "EarlyStopping", "in the list `train.callbacks`."),
            ("layer", "GELU", "write `Activation: {activation: gelu}`."),
            ("layer", "Dense: {units: 3, bias_initializer: L2}", "it belongs under `bias_regularizer`."),
        ],
    )
    def test_of_another_kind(self, kind: str, text: str, belongs: str) -> None:
        assert str(the_hint(kind, text)).endswith(belongs)

    @pytest.mark.parametrize(("kind", "name"), [("layer", "Zzqq"), ("loss", "qqq"), ("optimizer", "LBFGS")])
    def test_of_nothing(self, kind: str, name: str) -> None:
        assert str(the_hint(kind, name)).startswith("Allowed: ")


class TestArguments:
    @pytest.mark.parametrize(
        ("kind", "text", "hint"),
        [
            ("optimizer", "Adam: {lr: 0.1}", "Did you mean `learning_rate`?"),
            ("optimizer", "Adam: {lr: 0.1, learning_rate: 0.1}", "Did you mean `learning_rate`? It is given already."),
            ("optimizer", "Adam: {momentum: 0.9}", "`Adam` has no argument for momentum: its `beta_1` is that."),
            ("optimizer", "Adagrad: {momentum: 0.9}", "`Adagrad` has no momentum; `SGD` and `RMSprop` have one."),
            ("layer", "Dense: {neurons: 3}", "Did you mean `units`?"),
            ("layer", "Dense: {size: 3}", "Did you mean `units`?"),
            ("layer", "Conv2D: {filter: 3, kernel_size: 3}", "Did you mean `filters`?"),
            ("layer", "Conv2D: {filters: 3, kernel: 3}", "Did you mean `kernel_size`?"),
            ("layer", "MaxPooling2D: {kernel_size: 3}", "Did you mean `pool_size`?"),
            ("layer", "Dropout: {p: 0.5}", "Did you mean `rate`?"),
            ("layer", "Dense: {units: 3, weight_decay: 0.1}", "Write `kernel_regularizer: {L2: {l2: 0.1}}`."),
            ("callback", "ModelCheckpoint: {path: a.keras}", "Did you mean `filepath`?"),
        ],
    )
    def test_under_another_name_are_one_mistake(self, kind: str, text: str, hint: str) -> None:
        assert the_hint(kind, text) == hint

    @pytest.mark.parametrize("text", ["Dense: {activatoin: relu}", "Dense: {input_shape: [4]}", "Dense: {size: big}"])
    def test_that_are_missing_besides_are_another_mistake(self, text: str) -> None:
        unknown, missing = problems("layer", text)
        assert "is not an argument of `Dense`" in unknown.message
        assert missing.message == "`Dense` needs `units`."

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("Dense", "Write `Dense: {units: 64}`, for example."),
            ("Dense: {activation: relu}", "Write `Dense: {units: 64, activation: relu}`, for example."),
            ("Resizing: {width: 3}", "Write `Resizing: {height: 32, width: 3}`, for example."),
            ("Embedding: {input_dim: 3}", "Write `Embedding: {input_dim: 3, output_dim: …}`."),
        ],
    )
    def test_that_are_missing(self, text: str, hint: str) -> None:
        assert the_hint("layer", text) == hint


class TestObjects:
    @pytest.mark.parametrize(
        ("kind", "text", "hint"),
        [
            ("layer", "Dropout: 0.2", "Write `Dropout: {rate: 0.2}`."),
            ("layer", "Dense: 10", "Write `Dense: {units: 10}`."),
            ("layer", "Dense: [10, relu]", "Write `Dense: {units: 10, activation: relu}`."),
            ("layer", "Dense: relu", None),
            ("layer", "Conv2D: 32", "Write `Conv2D: {filters: 32, kernel_size: 3}`."),
            ("layer", "Flatten: 3", None),
            ("layer", "Activation: relu", "Write `Activation: {activation: relu}`."),
            ("layer", "Reshape: [8, 8]", "Write `Reshape: {target_shape: [8, 8]}`."),
            ("layer", "Bidirectional: LSTM", None),
            ("layer", "{type: Dense, neurons: 3}", "Write `Dense: {units: 3}`."),
            ("layer", "Dense: {units: 3, kernel_regularizer: 0.1}", "Write `kernel_regularizer: {L2: {l2: 0.1}}`."),
            ("optimizer", "SGD: 0.01", "Write `optimizer: {SGD: {learning_rate: 0.01}}`."),
            ("optimizer", "0.001", "Write `optimizer: {Adam: {learning_rate: 0.001}}`."),
            ("optimizer", "{class_name: Adam, config: {lr: 0.1}}", "Write `optimizer: {Adam: {learning_rate: 0.1}}`."),
            ("optimizer", "[Adam]", "Write `optimizer: Adam`."),
            ("loss", "0.5", None),
            ("callback", "EarlyStopping: val_loss", "Write `EarlyStopping: {monitor: val_loss}`."),
        ],
    )
    def test_written_in_another_way(self, kind: str, text: str, hint: str | None) -> None:
        assert the_hint(kind, text) == hint

    @pytest.mark.parametrize("text", ["Dropout: 0.2", "Conv2D: 32", "{type: Dense, neurons: 3}", "MaxPooling2D: 2"])
    def test_what_is_suggested_works(self, text: str) -> None:
        hint = str(the_hint("layer", text))
        assert problems("layer", hint.removeprefix("Write `").removesuffix("`.")) == []


class TestNumbers:
    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("3", "Write `3`, without quotes."),
            (" -1e-3 ", "Write `-1e-3`, without quotes."),
            ("0,5", "Write `0.5`, with a point."),
            ("1_000", "Write `1000`."),
            ("12.5%", "Write `0.125`."),
            ("1/255", "Write `0.00392156862745098`: YAML does not calculate."),
            ("2 * 8", "Write `16`: YAML does not calculate."),
            ("1/0", None),
            ("three", None),
            ("1,000,000", None),
            ("2024-01-01", None),
            ("1" * 5000, None),
            ("1e999 * 2", None),
            ("", None),
        ],
    )
    def test_that_are_texts(self, text: str, hint: str | None) -> None:
        assert number_meant(text) == hint

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("10 + 10", "Write `20`: YAML does not calculate."),
            ("1,000,000", "Write `1000000`, without commas."),
            ("50%", None),
            ("2,5", None),
            ("7/2", None),
        ],
    )
    def test_that_must_be_whole(self, text: str, hint: str | None) -> None:
        assert number_meant(text, is_whole=True) == hint

    def test_that_are_percentages_or_degrees(self) -> None:
        assert percent_meant(20, 0, 1) == "For 20 %, write `0.2`."
        assert percent_meant(1.5, 0, 1) is None
        assert percent_meant(20, -1, 1) is None
        assert percent_meant(200, 0, 1) is None
        assert turn_meant(-90, -1, 1) == "For -90 degrees, write `-0.25`: it is a part of a full turn."
        assert turn_meant(500, -1, 1) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("train", "epochs"), "`train.epochs`"),
        (("model", "layers", 1), "the 2nd layer (`Dense`)"),
        (("model", "layers", 1, "repeat"), "`repeat` of the 2nd layer (`Dense`)"),
        (("model", "layers", 1, "Dense", "kernel_initializer"), "`kernel_initializer` of `Dense`"),
        (("model", "layers", 0, "StackedRNNCells", "cells", 2), "the 3rd item of `cells`"),
        (("model", "layers", 10), "the 11th layer"),
        (("metrics", 0), "the 1st item of `metrics`"),
        (("optimizer", "Adam", "learning_rate"), "`learning_rate` of `Adam`"),
    ],
)
def test_places_in_words(path: Path, words: str) -> None:
    assert in_words(path, {"model": {"layers": ["Flatten", {"Dense": {"units": 3}}]}}) == words


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        (("loss",), "{dataset: {source: diabetes}}", "loss: mean_squared_error"),
        (("loss",), "{dataset: {source: iris}}", "loss: sparse_categorical_crossentropy"),
        (("loss",), "{dataset: {source: iris, labels: one_hot}}", "loss: categorical_crossentropy"),
        (("loss",), "{model: {layers: [{Dense: {units: 1}}]}}", "loss: binary_crossentropy"),
        (("dataset", "source"), "{}", "source: mnist"),
        (("train",), "{}", None),
    ],
)
def test_examples_fit_the_spec(path: Path, text: str, line: str | None) -> None:
    assert example(path, written(text)) == line


@pytest.mark.parametrize("source", ["iris", "diabetes", "{blobs: {centers: 5}}", "mnist", "nonsense", "[]"])
def test_the_example_of_a_model_is_one(source: str, catalogue: Catalogue) -> None:
    data = written(f"{{dataset: {{source: {source}}}}}")
    model = written(str(example(("model",), data)))
    assert not list(check_objects(model, catalogue))
