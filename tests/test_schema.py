"""The JSON Schema: it is up to date, true to the grammar and to Keras, and refuses what `dlcli check` refuses."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dlcli.files import to_json
from dlcli.spec import catalogue as module
from dlcli.spec.catalogue import KINDS, Catalogue, Docs
from dlcli.spec.grammar import Spec, TrainSpec
from dlcli.spec.keras_objects import LAYER_WORDS
from dlcli.spec.lints import CODES
from dlcli.spec.reading import parse_document, read_document
from dlcli.spec.schema import attribute_docs, make_schema
from dlcli.spec.schema_objects import any_case_pattern
from dlcli.spec.sources import SOURCES
from tests.conftest import CONFIGS, Command

FILE = CONFIGS / "dlcli.schema.json"
BASE = """\
dataset:
  source: xor
model:
  layers:
    - Dense: {units: 8}
loss: mse
"""


def shipped(stem: str) -> tuple[str, dict[str, Any]]:
    content = json.loads(Path(module.__file__).with_name(f"{stem}.json").read_text(encoding="utf-8"))
    return content["keras"], content["kinds"]


CATALOGUE = Catalogue(*shipped("catalogue"))
SCHEMA = make_schema(CATALOGUE, Docs(*shipped("catalogue_docs")))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def is_right(text: str) -> bool:
    return VALIDATOR.is_valid(parse_document(text.encode(), "spec.yaml").data)


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


class TestFile:
    def test_is_up_to_date(self) -> None:
        assert FILE.read_text(encoding="utf-8") == to_json(SCHEMA, indent=1) + "\n", "make schema"

    def test_is_not_too_large(self) -> None:
        assert FILE.stat().st_size < 1_500_000

    def test_is_a_schema(self) -> None:
        jsonschema.Draft7Validator.check_schema(SCHEMA)
        assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"

    def test_refers_to_nothing_that_is_not_there(self) -> None:
        def references(value: Any) -> set[str]:
            if isinstance(value, list):
                return set().union(*map(references, value))
            if not isinstance(value, dict):
                return set()
            return set().union(*map(references, value.values()), {value["$ref"]} if "$ref" in value else set())

        wanted = {reference.removeprefix("#/definitions/") for reference in references(SCHEMA)}
        # Those of a whole kind that nothing in a spec takes are there for the sake of completeness only.
        assert wanted <= SCHEMA["definitions"].keys()
        assert SCHEMA["definitions"].keys() - wanted <= set(KINDS)

    @pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
    def test_takes_every_shipped_config(self, config: Path) -> None:
        assert [error.message for error in VALIDATOR.iter_errors(read_document(config).data)] == []

    def test_takes_what_the_catalogue_takes(self) -> None:
        """Each class with its defaults, and nothing where nothing is needed."""
        for kind in KINDS:
            whole = jsonschema.Draft7Validator({"$ref": f"#/definitions/{kind}", "definitions": SCHEMA["definitions"]})
            for name in [*CATALOGUE.names(kind), *CATALOGUE.second_names(kind)]:
                parameters = CATALOGUE.parameters(kind, name) or {}
                assert whole.is_valid(name) is not any(parameter.required for parameter in parameters.values()), name
                given = {argument: parameter.default for argument, parameter in parameters.items() if parameter.default}
                if not any(parameter.required for parameter in parameters.values()):
                    assert whole.is_valid({name: given}), name
                    assert whole.is_valid({name: None}), name
                assert not whole.is_valid({name: {**given, "nonsense": 1}}), name


class TestWords:
    def test_of_the_grammar(self) -> None:
        description = SCHEMA["definitions"]["dataset"]["anyOf"][0]["properties"]["labels"]["description"]
        wanted = "How classes are encoded: `auto` as the loss needs it; numbers `standardized`; "
        assert description == wanted + "`input`, for an autoencoder"
        assert attribute_docs(TrainSpec)["mode"].startswith("Whether a smaller or a larger figure is better")

    def test_of_keras(self) -> None:
        dense = SCHEMA["definitions"]["layer.Dense"]
        assert dense["description"] == "Just your regular densely-connected NN layer."
        units = dense["anyOf"][0]["properties"]["units"]
        [name] = [units["$ref"].rsplit("/", 1)[-1]] if "$ref" in units else [None]
        found = SCHEMA["definitions"][name] if name else units
        assert found["description"] == "Positive integer, dimensionality of the output space."
        assert found["anyOf"][0] == {"type": "integer", "minimum": 1}

    def test_of_everything_that_a_spec_has(self) -> None:
        assert SCHEMA["properties"].keys() == {"extends", "variables", *Spec.model_fields}
        sources = SCHEMA["definitions"]["source"]["anyOf"]
        files = {"csv", "series", "arrays", "images", "text", "video", "tfrecord", "python"}
        need_arguments = {"pairs", "random", "imdb", "reuters"} | files
        assert sources[0]["enum"] == sorted(set(SOURCES) - need_arguments)
        assert sources[1]["properties"].keys() == SOURCES.keys()
        assert SCHEMA["properties"]["silence"]["anyOf"][0]["properties"].keys() == CODES.keys()
        entry = SCHEMA["definitions"]["layer_entry"]["anyOf"][-2]
        assert set(LAYER_WORDS) < entry["properties"].keys()

    def test_offers_no_second_names(self) -> None:
        texts = SCHEMA["definitions"]["optimizer"]["anyOf"][0]["enum"]
        assert "Adam" in texts
        assert "adam" not in texts

    def test_offers_defaults_and_choices(self) -> None:
        padding = SCHEMA["definitions"]["argument.padding"]
        assert padding["default"] == "valid"
        assert padding["anyOf"][0] == {"enum": ["valid", "same"]}

    def test_in_any_case(self) -> None:
        assert any_case_pattern(["a_b", "c1"]) == "^([aA]_[bB]|[cC]1)$"


SCHEDULED = "loss: mse\noptimizer: {{SGD: {{learning_rate: {{{}}}}}}}"
RIGHT = [
    ("loss: mse", "loss: {Huber: {delta: 2}}"),
    ("loss: mse", "loss: MSE"),  # a second name
    ("loss: mse", "loss: mse\noptimizer: adam"),
    ("loss: mse", "loss: mse\noptimizer: {adam: {learning_rate: 0.1}}"),
    ("loss: mse", SCHEDULED.format("CosineDecay: {initial_learning_rate: 1, decay_steps: 9}")),
    ("loss: mse", "loss: mse\noptimizer: {SGD: }"),
    ("loss: mse", "loss: mse\nmetrics: [accuracy, {AUC: {curve: pr}}]"),
    ("loss: mse", "loss: mse\nversion: 1\nname: a-b\nseed: 3\ntrain: {epochs: 3, callbacks: [TerminateOnNaN]}"),
    ("loss: mse", f"loss: mse\nsilence: {{{next(iter(CODES))}: it is meant}}"),
    ("{units: 8}", "{units: 8, activation: relu, kernel_initializer: {HeNormal: {seed: 1}}, bias_initializer: one}"),
    ("{units: 8}", "{units: 8, activation: null, kernel_regularizer: {L2: {l2: 1}}}\n      name: a\n      repeat: 3"),
    ("Dense: {units: 8}", "Flatten"),
    ("Dense: {units: 8}", "Flatten:"),
    ("Dense: {units: 8}", "MaxPool2D: {padding: SAME}"),
    ("Dense: {units: 8}", "Conv2D: {filters: 3, kernel_size: [3, 3]}"),
    ("Dense: {units: 8}", "Bidirectional: {layer: {LSTM: {units: 3}}, merge_mode: null}"),
    ("Dense: {units: 8}", "RNN: {cell: [{LSTMCell: {units: 3}}, {GRUCell: {units: 3}}]}"),
    ("Dense: {units: 8}", "Input: {shape: [2]}"),
    ("source: xor", "source: {xor: {samples: 8}}"),
    ("source: xor", "source: {xor: }\n  fallback: digits\n  augment: [{RandomFlip: {mode: vertical}}]"),
]  # fmt: skip
WRONG = [
    ("loss: mse", "loss: mse\nlos: mse"),
    ("loss: mse", "loss: mse\nversion: 99"),
    ("loss: mse", "loss: mze"),
    ("loss: mse", "loss: 3"),
    ("loss: mse\n", ""),
    ("loss: mse", "loss: {Huber: {delta: much}}"),
    ("loss: mse", "loss: {Huber: {delt: 1}}"),
    ("loss: mse", "loss: {Huber: {}, Hinge: {}}"),
    ("loss: mse", "loss: {}"),
    ("loss: mse", "loss: {mse: {delta: 1}}"),  # a function takes no arguments
    ("loss: mse", "loss: mse\noptimizer: Adamm"),
    ("loss: mse", "loss: mse\noptimizer: {SGD: {learning_rate: fast}}"),
    ("loss: mse", SCHEDULED.format("CosinDecay: {initial_learning_rate: 1, decay_steps: 9}")),
    ("loss: mse", SCHEDULED.format("CosineDecay: {initial_learning_rate: 1}")),
    ("loss: mse", SCHEDULED.format("CosineDecay: {initial_learning_rate: 1, decay_steps: many}")),
    ("loss: mse", SCHEDULED.format("CosineDecay: ")),
    ("loss: mse", "loss: mse\noptimizer: {sgd: {learning_rate: {CosineDecay: {initial_learning_rate: 1}}}}"),
    ("loss: mse", "loss: mse\noptimizer: {SGD: {learning_rate: CosineDecay}}"),
    ("loss: mse", "loss: mse\nmetrics: accuracy"),
    ("loss: mse", "loss: mse\nmetrics: [MeanIoU]"),
    ("loss: mse", "loss: mse\ntrain: {epochs: 0}"),
    ("loss: mse", "loss: mse\ntrain: {epochs: 1.5}"),
    ("loss: mse", "loss: mse\ntrain: {epocs: 1}"),
    ("loss: mse", "loss: mse\ntrain: {callbacks: [{EarlyStopping: {patience: 2.5}}]}"),
    ("loss: mse", "loss: mse\nsilence: {no-such-code: it is meant}"),
    ("loss: mse", "loss: mse\nname: a/b"),
    ("{units: 8}", "{units: 8, unit: 8}"),
    ("{units: 8}", "{units: ten}"),
    ("{units: 8}", "{units: 0}"),
    ("{units: 8}", "{activation: relu}"),
    ("{units: 8}", "{units: 8, activation: rulu}"),
    ("{units: 8}", "{units: 8, use_bias: yes}"),
    ("{units: 8}", "{units: 8, kernel_initializer: {HeNormal: {sed: 1}}}"),
    ("{units: 8}", "{units: 8, kernel_regularizer: {L2: {l2: weak}}}"),
    ("{units: 8}", "{units: 8}\n      repaet: 3"),
    ("{units: 8}", "{units: 8}\n      repeat: 0"),
    ("{units: 8}", "{units: 8}\n      Flatten: {}"),
    ("Dense: {units: 8}", "Dense"),
    ("Dense: {units: 8}", "Dens: {units: 8}"),
    ("Dense: {units: 8}", "name: a"),
    ("Dense: {units: 8}", "Dropout: 0.5"),
    ("Dense: {units: 8}", "Dropout: {rate: 1.5}"),
    ("Dense: {units: 8}", "Conv2D: {filters: 3, kernel_size: [3, a]}"),
    ("Dense: {units: 8}", "Conv2D: {filters: 3, kernel_size: [3, 3, 3]}"),
    ("Dense: {units: 8}", "Conv2D: {filters: 3, kernel_size: 3, padding: smae}"),
    ("Dense: {units: 8}", "Bidirectional: {layer: {LSTM: {unit: 3}}}"),
    ("Dense: {units: 8}", "RNN: {cell: [{LSTMCel: {units: 3}}]}"),
    ("source: xor", "source: xr"),
    ("source: xor", "source: {xor: {samples: 7}}"),
    ("source: xor", "source: {xor: {smaples: 8}}"),
    ("source: xor", "source: xor\n  test: 1"),
    ("source: xor", "source: xor\n  labels: onehot"),
    ("source: xor", "source: xor\n  augment: [RandomFlipp]"),
    ("  source: xor", "  fallback: xor"),
]  # fmt: skip


class TestSpecs:
    def test_the_base_is_right(self) -> None:
        assert is_right(BASE)

    @pytest.mark.parametrize(("old", "new"), RIGHT, ids=[new for _, new in RIGHT])
    def test_right_ones_are_taken(self, old: str, new: str) -> None:
        assert is_right(changed(old, new))

    @pytest.mark.parametrize(("old", "new"), WRONG, ids=[new for _, new in WRONG])
    def test_wrong_ones_are_refused(self, old: str, new: str) -> None:
        assert not is_right(changed(old, new))

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("{units: 8}", '{units: "${width}"}'),
            ("{units: 8}", '{units: 8, use_bias: "${bias}", activation: "${activation}"}'),
            ("Dense: {units: 8}", 'Conv2D: {filters: 3, kernel_size: ["${size}", 3], padding: "${padding}"}'),
            ("Dense: {units: 8}", '"${layer}"'),
            ("\n    - Dense: {units: 8}", ' "${layers}"'),
            ("loss: mse", 'loss: "${loss}"\ntrain: {epochs: "${epochs}"}\nseed: "${seed}"\nname: "a_${seed}"'),
            ("loss: mse", 'loss: mse\noptimizer: {SGD: {learning_rate: {CosineDecay: "${decay}"}}}'),
            ("source: xor", 'source: "${source}"\n  labels: "${labels}"\n  shuffle: "${shuffle}"'),
        ],
    )
    def test_variables_may_stand_for_anything(self, old: str, new: str) -> None:
        assert is_right(f"variables: {{width: 3}}\n{changed(old, new)}")

    def test_a_dollar_alone_is_no_variable(self) -> None:
        assert not is_right(changed("{units: 8}", '{units: "$width"}'))

    @pytest.mark.parametrize(
        "text",
        [
            "extends: base.yaml",
            "extends: base.yaml\ndataset: {batch_size: 3}",
            "extends: base.yaml\noptimizer: {SGD: {learning_rate: {CosineDecay: {decay_steps: 3}}}}",
        ],
    )
    def test_what_is_missing_may_be_in_the_base(self, text: str) -> None:
        assert is_right(text)
        assert not is_right(text.replace("extends: base.yaml", "seed: 3"))

    @pytest.mark.parametrize(
        "text",
        [
            "extends: base.yaml\nlos: mse",
            "extends: 3",
            "extends: base.yaml\nmetrics: [MeanIoU]",
            "extends: base.yaml\noptimizer: {SGD: {learning_rate: {CosineDecay: {decay_step: 3}}}}",
        ],
    )
    def test_what_is_wrong_is_so_with_a_base(self, text: str) -> None:
        assert not is_right(text)


@pytest.mark.skipif(
    CATALOGUE.keras != importlib.metadata.version("keras"),
    reason="another version of Keras is installed than the shipped catalogue is for",
)
class TestCommand:
    def test_prints_the_schema(self, dlcli: Command) -> None:
        done = dlcli("schema")
        assert (done.code, done.json) == (0, SCHEMA)

    def test_writes_it_to_a_file(self, dlcli: Command, tmp_path: Path) -> None:
        done = dlcli("schema", "--output", tmp_path / "schema.json")
        assert (done.code, done.out) == (0, "")
        assert (tmp_path / "schema.json").read_text(encoding="utf-8") == to_json(SCHEMA, indent=1) + "\n"

    def test_says_what_is_wrong_with_the_file(self, dlcli: Command, tmp_path: Path) -> None:
        done = dlcli("schema", "--output", tmp_path / "no" / "schema.json")
        assert done.code == 4
        assert "Cannot write" in done.err
