"""Values of Keras's arguments, without Keras: what is wrong is refused with the right words, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import Path as SpecPath
from dlcli.errors import Problem
from dlcli.spec import catalogue as module
from dlcli.spec.catalogue import KINDS, Catalogue, Parameter, kind_of_parameter
from dlcli.spec.checking import check_objects
from dlcli.spec.composition import compose
from dlcli.spec.reading import parse_document
from dlcli.spec.values import check_value, expected, shown
from tests.conftest import CONFIGS


def shipped() -> Catalogue:
    """The catalogue that comes with dlcli, whichever Keras is installed."""
    content = json.loads(Path(module.__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
    return Catalogue(content["keras"], content["kinds"])


SHIPPED = shipped()
WHERE: dict[str, SpecPath] = {
    "layer": ("model", "layers"),
    "loss": ("loss",),
    "optimizer": ("optimizer",),
    "metric": ("metrics",),
    "callback": ("train", "callbacks"),
}


def problems(kind: str, written: Any) -> list[Problem]:
    """What is wrong with an object that stands where its kind does in a spec."""
    data: Any = written if kind in ("loss", "optimizer") else [written]
    for key in reversed(WHERE[kind]):
        data = {key: data}
    return list(check_objects(data, SHIPPED))


def written(text: str) -> Any:
    return parse_document(text.encode(), "spec.yaml").data


# The kind, what is written, the argument that is wrong, what is said of it, and the hint.
WRONG = [
    ("layer", "Dense: {units: ten}", "units", 'must be a whole number; received the text "ten"', None),
    ("layer", "Dense: {units: '32'}", "units", "must be a whole number; received the text", "`32`, without quotes"),
    ("layer", "Dense: {units: 2.5}", "units", "must be a whole number; received 2.5", None),
    ("layer", "Dense: {units: 0}", "units", "must be at least 1; received 0", None),
    ("layer", "Dense: {units: true}", "units", "must be a whole number; received true", None),
    ("layer", "Dense: {units: }", "units", "must be a whole number; received nothing", None),
    ("layer", "Dense: {units: [3]}", "units", "must be a whole number; received a list", None),
    ("layer", "Dense: {units: {a: 1}}", "units", "must be a whole number; received a mapping", None),
    ("layer", "Dense: {units: 3, use_bias: 1}", "use_bias", "must be `true` or `false`; received 1", None),
    ("layer", "Dense: {units: 3, use_bias: yes please}", "use_bias", "must be `true` or `false`; received", None),
    ("layer", "Dense: {units: 3, use_bias: no}", "use_bias", "must be `true` or `false`; received", "`false`"),
    ("layer", "Dense: {units: 3, dtype: flaot32}", "dtype", 'cannot be the text "flaot32"', "`float32`"),
    ("layer", "Dropout: {rate: half}", "rate", 'must be a number; received the text "half"', None),
    ("layer", "Dropout: {rate: '0,5'}", "rate", 'must be a number; received the text "0,5"', "`0.5`, with a"),
    ("layer", "Dropout: {rate: 20 %}", "rate", 'must be a number; received the text "20 %"', "`0.2`"),
    ("layer", "Dropout: {rate: 1.5}", "rate", "must be between 0 and 1; received 1.5", None),
    ("layer", "Conv2D: {filters: '32', kernel_size: 3}", "filters", "must be a whole number", "`32`, without quotes"),
    ("layer", "Conv2D: {filters: 3, kernel_size: 3, padding: smae}", "padding",
     'must be one of `valid`, `same`; received "smae"', "`same`"),
    ("layer", "Conv2D: {filters: 3, kernel_size: 3, padding: 1}", "padding",
     "must be one of `valid`, `same`; received 1", None),
    ("layer", "Conv2D: {filters: 3, kernel_size: [3, 3, 3]}", "kernel_size",
     "must be a whole number or a list of 2 whole numbers; received 3 items", None),
    ("layer", "Conv2D: {filters: 3, kernel_size: '(3, 3)'}", "kernel_size",
     "must be a whole number or a list of 2 whole numbers; received the text", "`[3, 3]`"),
    ("layer", "Conv2D: {filters: 3, kernel_size: 0}", "kernel_size", "must be at least 1; received 0", None),
    ("layer", "MaxPooling2D: {padding: causal}", "padding", 'must be one of `valid`, `same`; received "causal"', None),
    ("layer", "Reshape: {target_shape: 64}", "target_shape", "must be a list of whole numbers; received 64", None),
    ("layer", "RandomFlip: {mode: horizontaly}", "mode", "must be one of `horizontal_and_vertical`", "`horizontal`"),
    ("layer", "RandomRotation: {factor: 20}", "factor", "must be between -1 and 1; received 20", "`0.0556`"),
    ("layer", "RandomZoom: {height_factor: -1}", "height_factor", "must be greater than -1 and at most 1", None),
    ("layer", "LSTM: {units: 3, return_sequences: 'true'}", "return_sequences", "must be `true` or `false`", "`true`"),
    ("layer", "LSTM: {units: 3, use_cudnn: fast}", "use_cudnn", "must be `true` or `false`, or `auto`", None),
    ("layer", "Embedding: {input_dim: many, output_dim: 3}", "input_dim", "must be a whole number; received", None),
    ("layer", "Input: {shape: 3}", "shape", "must be a list of whole numbers; received 3", None),
    ("layer", "Bidirectional: {layer: {LSTM: {units: 3}}, merge_mode: cat}", "merge_mode",
     'must be one of `concat`, `ave`, `mul`, `sum`, or `null`; received "cat"', None),
    ("loss", "BinaryCrossentropy: {from_logits: 1}", "from_logits", "must be `true` or `false`; received 1", None),
    ("loss", "BinaryCrossentropy: {reduction: summ}", "reduction", "must be one of `sum_over_batch_size`", "`sum`"),
    ("loss", "CategoricalGeneralizedCrossEntropy: {q: 1}", "q", "must be greater than 0 and less than 1", None),
    ("optimizer", "Adam: {learning_rate: '0.01'}", "learning_rate", "must be a number; received the text", "`0.01`"),
    ("optimizer", "SGD: {momentum: high}", "momentum", 'must be a number; received the text "high"', None),
    ("optimizer", "SGD: {nesterov: yes}", "nesterov", "must be `true` or `false`; received the text", "`true`"),
    ("metric", "AUC: {curve: RCO}", "curve", 'must be one of `ROC`, `PR`, `PRGAIN`; received "RCO"', "`ROC`"),
    ("metric", "MeanIoU: {num_classes: ten}", "num_classes", "must be a whole number; received the text", None),
    ("callback", "EarlyStopping: {patience: 2.5}", "patience", "must be a whole number; received 2.5", None),
    ("callback", "EarlyStopping: {monitor: 3}", "monitor", "must be a text; received 3", None),
    ("callback", "EarlyStopping: {mode: mni}", "mode", "must be one of `auto`, `max`, `min`; received", "`min`"),
    ("callback", "ModelCheckpoint: {filepath: a.keras, save_freq: epochs}", "save_freq",
     'must be a whole number or `epoch`; received "epochs"', "`epoch`"),
]  # fmt: skip
NESTED = [
    ("layer", "Conv2D: {filters: 3, kernel_size: [3, a]}", "Each item of `kernel_size` of `Conv2D`",
     ("model", "layers", 0, "Conv2D", "kernel_size", 1)),
    ("layer", "Bidirectional: {layer: {LSTM: {units: '3'}}}", "`units` of `LSTM`",
     ("model", "layers", 0, "Bidirectional", "layer", "LSTM", "units")),
    ("layer", "Dense: {units: 3, kernel_initializer: {HeNormal: {seed: 0.5}}}", "`seed` of `HeNormal`",
     ("model", "layers", 0, "Dense", "kernel_initializer", "HeNormal", "seed")),
    ("optimizer", "SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 1, decay_steps: all}}}",
     "`decay_steps` of `CosineDecay`", ("optimizer", "SGD", "learning_rate", "CosineDecay", "decay_steps")),
]  # fmt: skip


class TestWrongValues:
    @pytest.mark.parametrize(("kind", "text", "argument", "message", "hint"), WRONG, ids=[row[1] for row in WRONG])
    def test_are_refused(self, kind: str, text: str, argument: str, message: str, hint: str | None) -> None:
        [problem] = problems(kind, written(text))
        assert problem.message.startswith(f"`{argument}` of `{text.split(':')[0]}` {message}")
        assert problem.path[-1] == argument
        assert not problem.at_key
        assert (hint in str(problem.hint)) if hint else problem.hint is None

    @pytest.mark.parametrize(("kind", "text", "message", "where"), NESTED, ids=[row[2] for row in NESTED])
    def test_are_where_they_are_written(self, kind: str, text: str, message: str, where: SpecPath) -> None:
        [problem] = problems(kind, written(text))
        assert problem.message.startswith(f"{message} must be a whole number; received ")
        assert problem.path == where

    def test_do_not_hide_each_other(self) -> None:
        wrong = {"Conv2D": {"filters": "a", "kernel_size": ["x", "y"], "padding": "b", "use_bias": "c", "nmae": "d"}}
        assert len(problems("layer", wrong)) == 6

    def test_are_reported_once(self) -> None:
        """Not as a wrong type and as an unknown object besides."""
        assert len(problems("layer", {"Dense": {"units": {"Foo": {}}}})) == 1

    def test_an_object_of_keras_is_checked_as_one(self) -> None:
        [problem] = problems("layer", {"Dense": {"units": {"Dense": {"unit": 1}}}})
        assert "`unit` is not an argument of `Dense`" in problem.message


class TestRightValues:
    @pytest.mark.parametrize(
        ("kind", "written"),
        [
            ("layer", {"Dense": {"units": 1e3}}),  # as in JSON Schema, a whole number
            ("layer", {"Dense": {"units": 3, "dtype": "mixed_float16", "name": "a", "lora_rank": None}}),
            ("layer", {"Dense": {"units": 3, "dtype": "int8_from_mixed_bfloat16"}}),
            ("layer", {"Dense": {"units": 3, "activation": None, "kernel_initializer": "he_normal"}}),
            ("layer", {"Conv2D": {"filters": 3, "kernel_size": 3, "padding": "SAME"}}),  # in any case, says Keras
            ("layer", {"Conv2D": {"filters": 3, "kernel_size": [3, 5], "strides": [2, 1], "data_format": None}}),
            ("layer", {"Conv1D": {"filters": 3, "kernel_size": [3], "padding": "causal"}}),
            ("layer", {"Cropping2D": {"cropping": [[1, 1], [2, 2]]}}),
            ("layer", {"Cropping2D": {"cropping": [1, 2]}}),
            ("layer", {"Dropout": {"rate": 0}}),
            ("layer", {"Dropout": {"rate": 1, "noise_shape": [None, 1, 3]}}),
            ("layer", {"Rescaling": {"scale": [0.5, 0.25, 0.1], "offset": [0, 0, 1]}}),  # one a channel
            ("layer", {"Reshape": {"target_shape": [-1, 4]}}),
            ("layer", {"Softmax": {"axis": [1, 2]}}),
            ("layer", {"Softmax": {"axis": -2}}),
            ("layer", {"GroupNormalization": {"groups": -1}}),
            ("layer", {"RandomRotation": {"factor": [-0.1, 0.2]}}),
            ("layer", {"RandomBrightness": {"factor": 0.2, "value_range": [0, 1]}}),
            ("layer", {"Bidirectional": {"layer": {"LSTM": {"units": 3}}, "merge_mode": None}}),
            ("layer", {"LSTM": {"units": 3, "use_cudnn": False}}),
            ("layer", {"LSTM": {"units": 3, "use_cudnn": "auto"}}),
            ("layer", {"StringLookup": {"mask_token": ""}}),
            ("layer", {"StringLookup": {"vocabulary": ["a", "b"]}}),
            ("layer", {"StringLookup": {"vocabulary": "words.txt"}}),
            ("layer", {"Hashing": {"num_bins": 3, "salt": [1, 2], "mask_value": ""}}),
            ("layer", {"Embedding": {"input_dim": 3, "output_dim": 2}}),
            ("layer", {"Input": {"shape": [None, 3], "dtype": "int32"}}),
            ("layer", {"UpSampling2D": {"interpolation": "area"}}),  # of which the docstring says nothing
            ("loss", {"Huber": {"delta": 2}}),
            ("loss", {"BinaryCrossentropy": {"reduction": None}}),
            ("loss", {"CategoricalFocalCrossentropy": {"alpha": [0.25, 0.75]}}),
            ("optimizer", {"Adam": {"weight_decay": None, "clipnorm": 1}}),
            ("optimizer", {"SGD": {"learning_rate": 1, "momentum": 0}}),
            (
                "optimizer",
                {"SGD": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 1, "decay_steps": 1e4}}}},
            ),
            ("metric", {"AUC": {"curve": "PRGAIN", "thresholds": [0.1, 0.5]}}),
            ("metric", {"F1Score": {"average": None, "threshold": 0.5}}),
            ("callback", {"EarlyStopping": {"min_delta": 0.5, "baseline": 0.1, "patience": 0}}),
            ("callback", {"BackupAndRestore": {"backup_dir": "a", "save_freq": False}}),
            ("callback", {"TensorBoard": {"profile_batch": [2, 5], "update_freq": 3}}),
            ("callback", {"ModelCheckpoint": {"filepath": "a.keras", "save_freq": 3}}),
        ],
    )
    def test_are_taken(self, kind: str, written: Any) -> None:
        assert problems(kind, written) == []

    @pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
    def test_of_the_shipped_configs(self, config: Path) -> None:
        assert list(check_objects(compose(config).data, SHIPPED)) == []

    def test_every_default_is_right(self) -> None:
        for kind in KINDS:
            for name in SHIPPED.names(kind):
                for argument, parameter in (SHIPPED.parameters(kind, name) or {}).items():
                    if parameter.required or kind_of_parameter(argument):
                        continue
                    known = parameter.default is not None or "null" in parameter.types
                    value = parameter.default
                    assert not known or not list(check_value(value, parameter, argument, name, ())), (name, argument)


class TestWords:
    @pytest.mark.parametrize(
        ("parameter", "words"),
        [
            (Parameter(types=("integer",)), "a whole number"),
            (Parameter(types=("integer", "null")), "a whole number"),  # `null` is as if it were left out
            (Parameter(types=("null", "number"), default=0.5), "a number or `null`"),
            (Parameter(types=("null",)), "`null`"),
            (Parameter(types=("boolean", "string"), choices=("a",), default="a"), "`true` or `false`, or `a`"),
            (Parameter(types=("string",), choices=("a", "b"), default="a"), "one of `a`, `b`"),
            (Parameter(types=("number", "list"), items=("number",), length=2), "a number or a list of 2 numbers"),
            (Parameter(types=("list",), items=("null", "number")), "a list of numbers"),
            (Parameter(types=("list",), length=2), "a list of 2 items"),
            (Parameter(types=("list",), items=("integer", "list")), "a list of whole numbers or lists"),
            (Parameter(types=("mapping",)), "a mapping"),
        ],
    )  # fmt: skip
    def test_for_what_is_expected(self, parameter: Parameter, words: str) -> None:
        assert expected(parameter) == words

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            (None, "nothing"),
            (True, "true"),
            (1.5, "1.5"),
            ("a", 'the text "a"'),
            ([1], "a list"),
            ({}, "a mapping"),
            ("a" * 500, f'the text "{"a" * 69}…'),
        ],
    )
    def test_for_what_was_received(self, value: Any, words: str) -> None:
        assert shown(value) == words
