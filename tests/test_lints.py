"""The lints: each warning fires where it should, with a caret on the right word, and not beside it."""

from __future__ import annotations

import importlib
import inspect
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from dlcli.errors import Path as SpecPath
from dlcli.errors import Problem
from dlcli.model.lints import lint_model, machine_memory
from dlcli.model.summary import LayerSummary, ModelSummary, WeightSummary
from dlcli.spec import catalogue
from dlcli.spec.catalogue import load_catalogue
from dlcli.spec.grammar import DatasetSpec, Spec
from dlcli.spec.lints import CODES, MODEL_CODES, check_silence, codes_asked, lint, silenced
from dlcli.spec.lints.sizes import split_sizes, steps_per_epoch, training_examples
from dlcli.spec.loading import LoadedSpec, load_spec
from dlcli.spec.parts import Parts
from dlcli.spec.sources import SOURCES

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
RELU = "Dense: {units: 16, activation: relu}"
SOFTMAX = "Dense: {units: 3, activation: softmax}"
SIGMOID = "Dense: {units: 1, activation: sigmoid}"
LOGITS = "{CategoricalCrossentropy: {from_logits: true}}"
BINARY = {"dataset": "{source: breast_cancer, validation: 0.2, batch_size: 16}", "loss": "binary_crossentropy"}
NUMBER = {"dataset": "{source: diabetes, validation: 0.2}", "loss": "mse", "metrics": "[mae]"}
IMAGES = ["Flatten", RELU, "Dense: {units: 10, activation: softmax}"]
CONV = "Conv2D: {filters: 4, kernel_size: 3, activation: relu}"
SCHEDULE = "{SGD: {learning_rate: {%s}}}"


def text_of(layers: list[str] | None = None, **sections: str) -> str:
    """A spec on 114 wines (eight batches an epoch) that gives no warning; and with other sections or layers."""
    given = {
        "dataset": "{source: wine, validation: 0.2, batch_size: 16}",
        "loss": "categorical_crossentropy",
        "optimizer": "Adam",
        "metrics": "[accuracy]",
        "train": "{epochs: 30}",
        **sections,
    }
    lines = "".join(f"    - {layer}\n" for layer in layers or [RELU, SOFTMAX])
    return f"model:\n  layers:\n{lines}" + "".join(f"{key}: {value}\n" for key, value in given.items())


def make_catalogue() -> dict[str, Any]:
    """The shipped catalogue; asked for only where another version of Keras is installed than it is for."""
    content: dict[str, Any] = json.loads(Path(catalogue.__file__).with_name("catalogue.json").read_text("utf-8"))
    return content


def load(folder: Path, text: str) -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, load_catalogue(make_catalogue))


def warnings_of(loaded: LoadedSpec) -> list[Problem]:
    return list(lint(Parts.of(loaded.spec)))


@dataclass(frozen=True)
class Case:
    """A spec that gives one warning, at `at`, the text from the caret on; and the nearest one that gives none."""

    code: str
    path: SpecPath
    at: str
    fires: str
    quiet: str


def layer(number: int, *keys: str | int) -> SpecPath:
    return ("model", "layers", number, *keys)


def data(text: str) -> str:
    return "{source: wine, validation: 0.2, batch_size: 16, %s}" % text


def images(text: str, source: str = "mnist") -> str:
    return f"{{source: {source}, validation: 0.1, {text}}}"


def with_callbacks(callback: str) -> str:
    return f"{{epochs: 30, callbacks: [{callback}]}}"


CASES = (
    # splits
    Case(
        "no-shuffle", ("dataset", "shuffle"), "false",
        text_of(dataset=data("shuffle: false")),
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 114, shuffle: false}"),
    ),
    Case(
        "validation-is-test", ("dataset", "validation"), "test",
        text_of(dataset="{source: wine, validation: test}"),
        text_of(dataset="{source: wine, validation: test}", train="{epochs: 30, monitor: loss}"),
    ),
    Case(
        "validation-is-test", ("dataset", "validation"), "test",
        text_of(
            dataset="{source: wine, validation: test}",
            train="{epochs: 30, monitor: loss, callbacks: [EarlyStopping: {patience: 5}]}",
        ),
        text_of(
            dataset="{source: wine, validation: test}",
            train="{epochs: 30, monitor: loss, callbacks: [EarlyStopping: {patience: 5, monitor: loss}]}",
        ),
    ),
    Case(
        "batch-beyond-data", ("dataset", "batch_size"), "115",
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 115}"),
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 114}"),
    ),
    Case(
        "tiny-split", ("dataset", "validation"), "0.03",
        text_of(dataset="{source: wine, validation: 0.03}"),
        text_of(dataset="{source: wine, validation: 0.1}"),
    ),
    Case(
        "tiny-split", ("dataset", "test"), "0.01",
        text_of(dataset="{source: wine, test: 0.01}"),
        text_of(dataset="{source: wine, test: 0.0}"),
    ),
    Case(
        "unused-test-fraction", ("dataset", "test"), "0.1",
        text_of(IMAGES, dataset="{source: mnist, test: 0.1}"),
        text_of(dataset="{source: wine, test: 0.1}"),
    ),
    # inputs
    Case(
        "unscaled-inputs", ("dataset", "preparation"), "preparation",
        text_of(dataset=data("preparation: []")),
        text_of(["BatchNormalization", RELU, SOFTMAX], dataset=data("preparation: []")),
    ),
    Case(
        "unscaled-inputs", ("dataset", "preparation"), "preparation",
        text_of(IMAGES, dataset=images("preparation: [Reshape: {target_shape: [784]}]")),
        text_of(["Rescaling: {scale: 0.004}", *IMAGES], dataset=images("preparation: []")),
    ),
    Case(
        "scaled-twice", layer(0, "Rescaling"), "Rescaling",
        text_of(["Rescaling: {scale: 0.00784, offset: -1}", *IMAGES], dataset=images("batch_size: 32")),
        text_of(["Rescaling: {scale: 2, offset: -1}", *IMAGES], dataset=images("batch_size: 32")),
    ),
    Case(
        "wrong-value-range", ("dataset", "augment", 0, "RandomBrightness"), "RandomBrightness",
        text_of(IMAGES, dataset=images(
            "preparation: [Rescaling: {scale: 0.004}], augment: [RandomBrightness: {factor: 0.2}]"
        )),
        text_of(IMAGES, dataset=images("augment: [RandomBrightness: {factor: 0.2}]")),
    ),
    Case(
        "wrong-value-range", layer(0, "RandomBrightness"), "RandomBrightness",
        text_of(["RandomBrightness: {factor: 0.2}", *IMAGES], dataset=images("batch_size: 32")),
        text_of(
            ["RandomBrightness: {factor: 0.2, value_range: [0, 1]}", *IMAGES], dataset=images("batch_size: 32")
        ),
    ),
    Case(
        "changed-meaning", ("dataset", "augment", 0, "RandomFlip", "mode"), "horizontal",
        text_of(IMAGES, dataset=images("augment: [RandomFlip: {mode: horizontal}]")),
        text_of(IMAGES, dataset=images("augment: [RandomFlip: {mode: horizontal}]", "cifar10")),
    ),
    Case(
        "changed-meaning", layer(0), "RandomFlip",
        text_of(["RandomFlip", *IMAGES], dataset=images("batch_size: 32", "fashion_mnist")),
        text_of(["RandomFlip: {mode: horizontal}", *IMAGES], dataset=images("batch_size: 32", "fashion_mnist")),
    ),
    Case(
        "changed-meaning", ("dataset", "augment", 0, "RandomRotation", "factor"), "15",
        text_of(IMAGES, dataset=images("augment: [RandomRotation: {factor: 15}]", "digits")),
        text_of(IMAGES, dataset=images("augment: [RandomRotation: {factor: 0.1}]", "digits")),
    ),
    # hidden
    Case(
        "missing-activation", layer(0, "Dense"), "Dense: {units: 16}",
        text_of(["Dense: {units: 16}", "Dropout: {rate: 0.2}", SOFTMAX]),
        text_of(["Dense: {units: 16}", "BatchNormalization", "Activation: {activation: relu}", SOFTMAX]),
    ),
    Case(
        "missing-activation", layer(0, "Conv2D"), "Conv2D",
        text_of(["Conv2D: {filters: 4, kernel_size: 3}", "Flatten", *IMAGES[2:]], dataset=images("batch_size: 32")),
        text_of([CONV, "Flatten", *IMAGES[2:]], dataset=images("batch_size: 32")),
    ),
    Case(
        "hidden-softmax", layer(0, "Dense", "activation"), "softmax",
        text_of(["Dense: {units: 16, activation: softmax}", "Dropout: {rate: 0.2}", SOFTMAX]),
        text_of(["Dense: {units: 16, activation: tanh}", "Dropout: {rate: 0.2}", SOFTMAX]),
    ),
    Case(
        "many-sigmoids", layer(0, "Dense", "activation"), "sigmoid",
        text_of(["{Dense: {units: 9, activation: sigmoid}, repeat: 4}", SOFTMAX]),
        text_of(["{Dense: {units: 9, activation: sigmoid}, repeat: 3}", SOFTMAX]),
    ),
    Case(
        "equal-initial-weights", layer(0, "Dense", "kernel_initializer"), "kernel_initializer",
        text_of(["Dense: {units: 9, activation: relu, kernel_initializer: {Constant: {value: 5}}}", SOFTMAX]),
        text_of([RELU, "Dense: {units: 3, activation: softmax, kernel_initializer: zeros}"]),
    ),
    Case(
        "odd-dropout", layer(1, "Dropout", "rate"), "0.95",
        text_of([RELU, "Dropout: {rate: 0.95}", SOFTMAX]),
        text_of([RELU, "Dropout: {rate: 0.8}", SOFTMAX]),
    ),
    Case(
        "strong-penalty", layer(0, "Dense", "kernel_regularizer", "L2", "l2"), "10",
        text_of(["Dense: {units: 16, activation: relu, kernel_regularizer: {L2: {l2: 10}}}", SOFTMAX]),
        text_of(["Dense: {units: 16, activation: relu, kernel_regularizer: {L2: {l2: 0.01}}}", SOFTMAX]),
    ),
    Case(
        "unfitted-normalization", layer(0), "Normalization",
        text_of(["Normalization", RELU, SOFTMAX]),
        text_of(dataset=data("preparation: [Normalization]")),
    ),
    Case(
        "normalization-of-few", ("dataset", "batch_size"), "2",
        text_of([RELU, "BatchNormalization", SOFTMAX], dataset="{source: wine, validation: 0.2, batch_size: 2}"),
        text_of([RELU, "BatchNormalization", SOFTMAX], dataset="{source: wine, validation: 0.2, batch_size: 4}"),
    ),
    # outputs
    Case(
        "activation-before-logits", layer(1, "Dense", "activation"), "softmax",
        text_of(loss=LOGITS),
        text_of([RELU, "Dense: {units: 3}"], loss=LOGITS),
    ),
    Case(
        "activation-before-logits", layer(2), "Softmax",
        text_of([RELU, "Dense: {units: 3}", "Softmax"], loss=LOGITS),
        text_of([RELU, "Dense: {units: 3}", "Softmax"]),
    ),
    Case(
        "missing-output-activation", layer(1, "Dense"), "Dense: {units: 3}",
        text_of([RELU, "Dense: {units: 3}"]),
        text_of([RELU, "Dense: {units: 3}", "Activation: {activation: softmax}"]),
    ),
    Case(
        "missing-output-activation", layer(1, "Dense"), "Dense: {units: 1}",
        text_of([RELU, "Dense: {units: 1}"], **BINARY),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "unfit-output-activation", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}"]),
        text_of([RELU, SOFTMAX]),
    ),
    Case(
        "unfit-output-activation", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}"], loss=LOGITS),
        text_of([RELU, "Dense: {units: 3, activation: linear}"], loss=LOGITS),
    ),
    Case(
        "two-output-activations", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}", "Softmax"]),
        text_of([RELU, "Dense: {units: 3, activation: linear}", "Softmax"]),
    ),
    Case(
        "sigmoid-for-classes", layer(1, "Dense", "activation"), "sigmoid",
        text_of([RELU, "Dense: {units: 3, activation: sigmoid}"]),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "softmax-of-one", layer(1, "Dense", "activation"), "softmax",
        text_of([RELU, "Dense: {units: 1, activation: softmax}"], **BINARY),
        text_of([RELU, "Dense: {units: 2, activation: softmax}"], dataset=BINARY["dataset"]),
    ),
    Case(
        "yes-or-no-loss-for-classes", ("loss",), "binary_crossentropy",
        text_of(loss="binary_crossentropy"),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "number-loss-for-classes", ("loss",), "mse",
        text_of(loss="mse"),
        text_of([RELU, "Dense: {units: 1}"], **NUMBER),
    ),
    Case(
        "number-loss-for-classes", ("loss",), "MeanSquaredError",
        text_of([RELU, "Dense: {units: 3}"], loss="MeanSquaredError"),
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "loss": "MeanSquaredError"}),
    ),
    Case(
        "bounded-output", layer(1, "Dense", "activation"), "tanh",
        text_of([RELU, "Dense: {units: 1, activation: tanh}"], **NUMBER),
        text_of([RELU, "Dense: {units: 1, activation: relu}"], **NUMBER),
    ),
    Case(
        "disturbed-output", layer(2, "Dropout"), "Dropout",
        text_of([RELU, SOFTMAX, "Dropout: {rate: 0.2}"]),
        text_of([RELU, "Dropout: {rate: 0.2}", SOFTMAX]),
    ),
    # optimizing
    Case(
        "unusual-learning-rate", ("optimizer", "Adam", "learning_rate"), "1.0",
        text_of(optimizer="{Adam: {learning_rate: 1.0}}"),
        text_of(optimizer="{SGD: {learning_rate: 1.0}}"),
    ),
    Case(
        "unusual-learning-rate", ("optimizer",), "Adadelta",
        text_of(optimizer="Adadelta"),
        text_of(optimizer="{Adadelta: {learning_rate: 1.0}}"),
    ),
    Case(
        "unusual-learning-rate",
        ("optimizer", "SGD", "learning_rate", "CosineDecay", "initial_learning_rate"), "0.0",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.0, decay_steps: 240}"),
        text_of(
            optimizer=SCHEDULE
            % "CosineDecay: {initial_learning_rate: 0.0, decay_steps: 200, warmup_target: 0.1, warmup_steps: 40}"
        ),
    ),
    Case(
        "endless-momentum", ("optimizer", "SGD", "momentum"), "1.0",
        text_of(optimizer="{SGD: {momentum: 1.0}}"),
        text_of(optimizer="{SGD: {momentum: 0.99}}"),
    ),
    Case(
        "idle-nesterov", ("optimizer", "SGD", "nesterov"), "true",
        text_of(optimizer="{SGD: {nesterov: true}}"),
        text_of(optimizer="{SGD: {nesterov: true, momentum: 0.9}}"),
    ),
    Case(
        "two-learning-rates", ("train", "callbacks", 0), "ReduceLROnPlateau",
        text_of(
            optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 240}",
            train=with_callbacks("ReduceLROnPlateau"),
        ),
        text_of(train=with_callbacks("ReduceLROnPlateau")),
    ),
    # schedules: the run has 30 epochs of 8 steps
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "CosineDecay", "decay_steps"), "100",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 100}"),
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 100, alpha: 0.1}"),
    ),
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_steps"), "8",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.6}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.8}"
        ),
    ),
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "PolynomialDecay", "decay_steps"), "100",
        text_of(
            optimizer=SCHEDULE
            % "PolynomialDecay: {initial_learning_rate: 0.1, decay_steps: 100, end_learning_rate: 0}"
        ),
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 0.1, decay_steps: 100}"),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "CosineDecay", "decay_steps"), "1000",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 1000}"),
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 300}"),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_steps"), "10000",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 10000, decay_rate: 0.9}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 100, decay_rate: 0.9}"
        ),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "PiecewiseConstantDecay", "boundaries", 1), "240",
        text_of(
            optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [100, 240], values: [0.1, 0.01, 0.001]}"
        ),
        text_of(
            optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [100, 200], values: [0.1, 0.01, 0.001]}"
        ),
    ),
    Case(
        "schedule-in-epochs", ("optimizer", "SGD", "learning_rate", "PiecewiseConstantDecay", "boundaries"),
        "boundaries",
        text_of(optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [3, 7], values: [0.1, 0.01, 0.001]}"),
        text_of(optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [24, 56], values: [0.1, 0.01, 0.001]}"),
    ),
    Case(
        "schedule-rising", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_rate"), "1.1",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 1.1}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.9}"
        ),
    ),
    Case(
        "schedule-rising", ("optimizer", "SGD", "learning_rate", "PolynomialDecay"), "PolynomialDecay",
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 1e-5, decay_steps: 240}"),
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 0.01, decay_steps: 240}"),
    ),
    # metrics
    Case(
        "accuracy-of-numbers", ("metrics", 0), "accuracy",
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "metrics": "[accuracy]"}),
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "metrics": "[R2Score, RootMeanSquaredError]"}),
    ),
    Case(
        "exact-accuracy", ("metrics", 0), "Accuracy",
        text_of(metrics="[Accuracy]"),
        text_of(metrics="[CategoricalAccuracy]"),
    ),
    Case(
        "yes-or-no-metric", ("metrics", 1), "Precision",
        text_of(metrics="[accuracy, Precision]"),
        text_of(metrics="[accuracy, Precision: {class_id: 0}, F1Score: {average: macro}]"),
    ),
    Case(
        "yes-or-no-metric", ("metrics", 0), "AUC",
        text_of(metrics="[AUC]"),
        text_of([RELU, SIGMOID], **BINARY, metrics="[AUC, Precision, Recall]"),
    ),
    Case(
        "metric-always-right", ("metrics", 0), "TopKCategoricalAccuracy",
        text_of(metrics="[TopKCategoricalAccuracy]"),
        text_of(metrics="[TopKCategoricalAccuracy: {k: 2}]"),
    ),
    Case(
        "metric-always-right", ("metrics", 0), "categorical_accuracy",
        text_of([RELU, SIGMOID], **BINARY, metrics="[categorical_accuracy]"),
        text_of(metrics="[categorical_accuracy]"),
    ),
    Case(
        "metric-of-logits", ("metrics", 0), "accuracy",
        text_of([RELU, "Dense: {units: 1}"], **{**BINARY, "loss": "{BinaryCrossentropy: {from_logits: true}}"}),
        text_of(
            [RELU, "Dense: {units: 1}"],
            **{**BINARY, "loss": "{BinaryCrossentropy: {from_logits: true}}"},
            metrics="[BinaryAccuracy: {threshold: 0.0}, AUC: {from_logits: true}]",
        ),
    ),
    # callbacks
    Case(
        "patience-beyond-run", ("train", "callbacks", 0, "EarlyStopping", "patience"), "29",
        text_of(train=with_callbacks("EarlyStopping: {patience: 29}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 28}")),
    ),
    Case(
        "patience-beyond-run", ("train", "callbacks", 0), "ReduceLROnPlateau",
        text_of(train="{epochs: 8, callbacks: [ReduceLROnPlateau]}"),
        text_of(train="{epochs: 12, callbacks: [ReduceLROnPlateau]}"),
    ),
    Case(
        "no-patience", ("train", "callbacks", 0), "EarlyStopping",
        text_of(train=with_callbacks("EarlyStopping")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 1}")),
    ),
    Case(
        "stops-before-reducing", ("train", "callbacks", 1, "ReduceLROnPlateau", "patience"), "5",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5}, ReduceLROnPlateau: {patience: 5}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5}, ReduceLROnPlateau: {patience: 2}")),
    ),
    Case(
        "wrong-mode", ("train", "mode"), "min",
        text_of(train="{epochs: 30, monitor: val_accuracy, mode: min}"),
        text_of(train="{epochs: 30, monitor: val_accuracy, mode: max}"),
    ),
    Case(
        "wrong-mode", ("train", "callbacks", 0, "EarlyStopping", "mode"), "max",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, mode: max}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, mode: min}")),
    ),
    Case(
        "monitors-training", ("train", "monitor"), "accuracy",
        text_of(train="{epochs: 30, monitor: accuracy}"),
        text_of(train="{epochs: 30, monitor: accuracy}", dataset="{source: wine}"),
    ),
    Case(
        "monitors-training", ("train", "callbacks", 0, "EarlyStopping", "monitor"), "loss",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, monitor: loss}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, monitor: val_loss}")),
    ),
)  # fmt: skip


class TestEachWarning:
    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
    def test_fires_alone_and_at_its_place(self, tmp_path: Path, case: Case) -> None:
        loaded = load(tmp_path, case.fires)
        [problem] = warnings_of(loaded)
        assert (problem.code, problem.path) == (case.code, case.path)
        located = loaded.located(problem)
        assert located.position is not None
        assert located.source_line is not None
        assert located.source_line[located.position.column - 1 :].startswith(case.at), located
        assert problem.hint
        assert problem.message.endswith(".")

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
    def test_near_miss(self, tmp_path: Path, case: Case) -> None:
        assert warnings_of(load(tmp_path, case.quiet)) == []

    def test_every_code_has_a_case(self) -> None:
        assert {case.code for case in CASES} == set(CODES) - set(MODEL_CODES) - {"unused-silence"}


class TestWhatIsNotAsked:
    def test_a_wrong_section_silences_only_the_rules_that_read_it(self, tmp_path: Path) -> None:
        spec = load(tmp_path, text_of([RELU, "Dense: {units: 3}"], optimizer="Adadelta")).spec
        assert {problem.code for problem in lint(Parts.of(spec))} == {
            "missing-output-activation",
            "unusual-learning-rate",
        }
        without_loss = replace(Parts.of(spec), loss=None)
        assert {problem.code for problem in lint(without_loss)} == {"unusual-learning-rate"}
        assert "missing-output-activation" in codes_asked(Parts.of(spec)) - codes_asked(without_loss)
        assert list(lint(Parts())) == []
        assert codes_asked(Parts()) == frozenset()

    def test_nothing_is_guessed_behind_what_is_not_known(self, tmp_path: Path) -> None:
        layers = ["Dense: {units: 16}", "LayerNormalization", "Dense: {units: 3}", "LSTM: {units: 3}"]
        assert warnings_of(load(tmp_path, text_of(layers, dataset=data("preparation: [CategoryEncoding]")))) == []

    def test_a_graph_is_followed_by_what_its_layers_read(self, tmp_path: Path) -> None:
        block = [
            "{Dense: {units: 16, activation: relu}, name: a}",
            "{Dense: {units: 16}, name: b}",
            "{Add: , inputs: [a, b], name: sum}",
        ]
        assert warnings_of(load(tmp_path, text_of([*block, "Activation: {activation: relu}", SOFTMAX]))) == []
        [problem] = warnings_of(load(tmp_path, text_of([*block, "Dense: {units: 16}", "Dropout: {rate: 0.1}", SOFTMAX])))
        assert (problem.code, problem.path) == ("missing-activation", layer(3, "Dense"))
        [problem] = warnings_of(load(tmp_path, text_of([*block, "Dense: {units: 3}"])))
        assert (problem.code, problem.path) == ("missing-output-activation", layer(3, "Dense"))

    @pytest.mark.parametrize("part", range(4))
    def test_whatever_the_values_are(self, part: int) -> None:
        """Values that Keras refuses later, and that no one has thought of, never make a rule fail."""
        random = Random(part)
        asked = 0
        for case in CASES[part::4]:
            for _ in range(20):
                raw = yaml.safe_load(case.fires)
                _spoil(raw, random)
                try:
                    spec = Spec.model_validate({"name": "spec", **raw})
                except ValidationError:
                    continue
                asked += 1
                assert all(problem.code in CODES for problem in lint(Parts.of(spec)))
        assert asked > 50


def _spoil(raw: Any, random: Random) -> None:
    """Put something odd in place of one value, at any depth."""
    odd = (None, "x", [], {}, -1, 0, 1e300, float("nan"), float("inf"), True, [1, "a", None], {"Dense": {"units": []}})
    while True:
        keys = list(raw) if isinstance(raw, dict) else list(range(len(raw)))
        key = random.choice(keys)
        if isinstance(raw[key], (dict, list)) and raw[key] and random.random() < 0.9:
            raw = raw[key]
        else:
            raw[key] = random.choice(odd)
            return


class TestSilence:
    def test_unknown_code(self) -> None:
        [problem] = check_silence({"no-shufle": "for the lecture", "no-shuffle": "so is this"})
        assert problem.path == ("silence", "no-shufle")
        assert problem.at_key
        assert problem.code is None
        assert problem.hint == "Did you mean `no-shuffle`?"

    def test_silenced_and_unused(self) -> None:
        problems = [Problem("a", code="no-shuffle"), Problem("b", code="odd-dropout"), Problem("c", code="no-shuffle")]
        silence = {"no-shuffle": "as in the lecture", "tiny-split": "only a test"}
        left = list(silenced(problems, silence))
        assert [problem.code for problem in left] == ["odd-dropout", "unused-silence"]
        assert left[1].path == ("silence", "tiny-split")
        assert left[1].at_key

    def test_what_was_not_looked_for_is_not_silenced_in_vain(self) -> None:
        silence = {"nothing-to-train": "frozen on purpose", "tiny-split": "only a test"}
        assert [problem.path[1] for problem in silenced([], silence, {"tiny-split"})] == ["tiny-split"]
        assert list(silenced([], silence, ())) == []

    def test_the_machine_may_be_larger(self) -> None:
        assert list(silenced([], {"out-of-memory": "it swaps"})) == []

    def test_silencing_that_a_silence_is_unused(self) -> None:
        assert list(silenced([], {"tiny-split": "sometimes", "unused-silence": "a base for others"})) == []


class TestConfigs:
    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
    def test_no_warning_that_is_not_silenced_with_a_reason(self, path: Path) -> None:
        spec = load_spec(path, load_catalogue(make_catalogue)).spec
        assert list(check_silence(spec.silence)) == []
        assert list(silenced(lint(Parts.of(spec)), spec.silence, codes_asked(Parts.of(spec)))) == []


class TestSizes:
    @pytest.mark.parametrize("source", ["digits", "iris", "wine", "breast_cancer", "diabetes", "xor", "circles", "blobs"])
    @pytest.mark.parametrize(("validation", "test"), [(None, 0.0), (0.15, 0.2), ("test", 0.31), (0.25, 0.0)])
    def test_as_the_real_split(self, source: str, validation: float | str | None, test: float) -> None:
        from dlcli.data.sources import load_dataset
        from dlcli.data.splits import split_dataset

        if source == "xor" and isinstance(validation, float):
            pytest.skip("four points, two classes: they cannot be divided")
        spec = DatasetSpec.model_validate({"source": source, "validation": validation, "test": test})
        dataset = load_dataset(spec.source)
        real = split_dataset(dataset, validation=validation, test=test, seed=0)
        sizes = split_sizes(spec)
        assert sizes is not None
        assert sizes.train == len(real.train) == training_examples(spec)
        assert sizes.validation == (len(real.validation) if real.validation else 0)
        assert sizes.test == (len(real.test) if real.test else 0)
        assert dataset.classes == spec.source.number_of_classes
        assert steps_per_epoch(spec) == -(-len(real.train) // 32)

    def test_many_fractions(self) -> None:
        from dlcli.data.sources import load_dataset
        from dlcli.data.splits import split_dataset

        dataset = load_dataset(SOURCES["diabetes"]())
        for number in range(1, 40):
            given = {"validation": number / 80, "test": number / 97}
            real = split_dataset(dataset, validation=given["validation"], test=given["test"], seed=0)
            assert training_examples(DatasetSpec.model_validate({"source": "diabetes", **given})) == len(real.train)

    @pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
    def test_ranges_of_the_values(self, name: str) -> None:
        from dlcli.data.sources import load_dataset

        source = SOURCES[name]()
        train = load_dataset(source).train
        assert source.values is not None
        np.testing.assert_allclose((train.inputs.min(), train.inputs.max()), source.values, rtol=1e-6)
        if source.targets is not None:
            assert (train.targets.min(), train.targets.max()) == source.targets

    def test_published_sizes(self) -> None:
        known = {name: SOURCES[name]().examples for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")}
        assert known == {
            "mnist": (60_000, 10_000),
            "fashion_mnist": (60_000, 10_000),
            "cifar10": (50_000, 10_000),
            "cifar100": (50_000, 10_000),
        }


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module("keras")


class TestWhatKerasDoes:
    """What the rules take for granted of Keras, and of dlcli's own heavier modules."""

    @pytest.mark.parametrize(
        ("module", "name", "argument", "value"),
        [
            ("callbacks", "EarlyStopping", "patience", 0),
            ("callbacks", "EarlyStopping", "monitor", "val_loss"),
            ("callbacks", "ReduceLROnPlateau", "patience", 10),
            ("callbacks", "ReduceLROnPlateau", "monitor", "val_loss"),
            ("callbacks", "ModelCheckpoint", "monitor", "val_loss"),
            ("layers", "RandomFlip", "mode", "horizontal_and_vertical"),
            ("metrics", "TopKCategoricalAccuracy", "k", 5),
            ("metrics", "SparseTopKCategoricalAccuracy", "k", 5),
            ("optimizers", "Adadelta", "learning_rate", 0.001),
            ("optimizers", "SGD", "momentum", 0.0),
            ("optimizers.schedules", "PolynomialDecay", "end_learning_rate", 0.0001),
            *(("layers", name, "value_range", (0, 255)) for name in sorted(_OF_A_RANGE)),
        ],
    )
    def test_default(self, keras: ModuleType, module: str, name: str, argument: str, value: object) -> None:
        found = keras
        for part in (*module.split("."), name):
            found = getattr(found, part)
        assert inspect.signature(found.__init__).parameters[argument].default == value

    @pytest.mark.parametrize(
        ("written", "arguments"),
        [
            ("SGD", {}), ("SGD", {"momentum": 0.9}), ("RMSprop", {}), ("RMSprop", {"momentum": 0.9, "centered": True}),
            ("Adam", {}), ("Adam", {"amsgrad": True, "use_ema": True}), ("AdamW", {}), ("Adamax", {}), ("Nadam", {}),
            ("Adadelta", {}), ("Ftrl", {}), ("Lamb", {}), ("Adagrad", {}), ("Lion", {}), ("Adafactor", {}),
            ("SGD", {"gradient_accumulation_steps": 2}),
        ],
    )  # fmt: skip
    def test_what_an_optimizer_keeps(self, keras: ModuleType, written: str, arguments: dict[str, Any]) -> None:
        weight = keras.Variable(np.zeros((7, 5), dtype=np.float32))
        optimizer = getattr(keras.optimizers, written)(**arguments)
        optimizer.build([weight])
        kept = [variable for variable in optimizer.variables if tuple(variable.shape) == (7, 5)]
        [problem] = lint_model(one_dense(7, 5), parts_with({written: arguments} if arguments else written), 1)
        of_optimizer = next(line for line in problem.trail if line.startswith(f"what {written} keeps"))
        assert of_optimizer.endswith(f": {len(kept) * 7 * 5 * 4 / 2**30:,.1f} GiB")
        assert _slots(KerasObject.model_validate({written: arguments} if arguments else written)) == len(kept)

    def test_preparation_if_the_spec_names_none(self, keras: ModuleType) -> None:
        from dlcli.data.preparation import usual_layers

        scaled = usual_layers("images", (8, 8))[0]
        assert (type(scaled).__name__, scaled.scale, scaled.offset) == ("Rescaling", 1 / 255, 0.0)
        assert [type(made).__name__ for made in usual_layers("table", (4,))] == ["Normalization"]
        assert usual_layers("points", (2,)) == []

    def test_a_rate_that_a_schedule_has_cannot_be_set(self, keras: ModuleType) -> None:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
        with pytest.raises(TypeError, match="not settable"):
            optimizer.learning_rate = 0.1

    def test_normalization_that_is_not_fitted_changes_nothing(self, keras: ModuleType) -> None:
        given = np.array([[100.0, 200.0], [300.0, 500.0]], dtype=np.float32)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(keras.layers.Normalization()(given)), given)
