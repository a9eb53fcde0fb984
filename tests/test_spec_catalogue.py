"""The catalogue of Keras names: the shipped one is true, another is made once, and suggestions help.

What it says of an argument comes from Keras's docstrings and from what Keras refuses, which is tested on small classes.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlcli.spec import catalogue as module
from dlcli.spec.catalogue import (
    FORMAT,
    KINDS,
    Catalogue,
    Docs,
    Parameter,
    cache_folder,
    kind_of_parameter,
    load_catalogue,
    load_docs,
)
from tests.conftest import thorough

SHIPPED = Path(module.__file__).with_name("catalogue.json")
SHIPPED_DOCS = SHIPPED.with_name("catalogue_docs.json")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder that is not the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dlcli"


def must_not_be_made() -> dict[str, Any]:
    raise AssertionError("The catalogue need not be made.")


@pytest.fixture
def shipped() -> Catalogue:
    """The catalogue that comes with dlcli, whichever Keras is installed."""
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    return Catalogue(content["keras"], content["kinds"])


@pytest.fixture
def docs() -> Docs:
    """The lines that come with dlcli."""
    content = json.loads(SHIPPED_DOCS.read_text(encoding="utf-8"))
    return Docs(content["keras"], content["kinds"])


is_shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["keras"] == importlib.metadata.version("keras")


@pytest.mark.skipif(not is_shipped, reason="another version of Keras is installed than the shipped catalogue is for")
class TestShipped:
    @thorough
    def test_is_what_the_installed_keras_has(self) -> None:
        from dlcli.model.catalogue import make_catalogue, make_docs

        for make, path in ((make_catalogue, SHIPPED), (make_docs, SHIPPED_DOCS)):
            made, shipped = make(), json.loads(path.read_text(encoding="utf-8"))
            for kind in KINDS:  # first by kind and name: a difference of the whole would not be readable
                assert shipped["kinds"][kind].keys() == made["kinds"][kind].keys(), kind
                for name, entry in made["kinds"][kind].items():
                    assert shipped["kinds"][kind][name] == entry, name
            assert shipped == made, "make catalogue"

    def test_is_for_the_installed_version(self, shipped: Catalogue) -> None:
        assert load_catalogue(must_not_be_made) == shipped
        assert set(shipped.kinds) == set(KINDS)

    @pytest.mark.parametrize(
        ("kind", "name", "required"),
        [
            ("layer", "Dense", {"units"}),
            ("layer", "Conv2D", {"filters", "kernel_size"}),
            ("layer", "Flatten", set()),
            ("layer", "Bidirectional", {"layer"}),
            ("layer", "Embedding", {"input_dim", "output_dim"}),
            ("layer", "Input", {"shape"}),
            ("layer", "MaxPool2D", set()),
            ("loss", "BinaryCrossentropy", set()),
            ("loss", "mse", set()),
            ("metric", "accuracy", set()),
            ("metric", "MeanIoU", {"num_classes"}),
            ("optimizer", "Adam", set()),
            ("optimizer", "adam", set()),
            ("schedule", "CosineDecay", {"initial_learning_rate", "decay_steps"}),
            ("initializer", "HeNormal", set()),
            ("regularizer", "L2", set()),
            ("constraint", "MaxNorm", set()),
            ("activation", "relu", set()),
            ("callback", "EarlyStopping", set()),
        ],
    )
    def test_knows_what_must_be_given(self, shipped: Catalogue, kind: str, name: str, required: set[str]) -> None:
        parameters = shipped.parameters(kind, name)
        assert parameters is not None
        assert {name for name, parameter in parameters.items() if parameter.required} == required

    @pytest.mark.parametrize(
        ("kind", "name", "argument", "parameter"),
        [
            ("layer", "Dense", "units", Parameter(required=True, types=("integer",), bounds={"minimum": 1})),
            ("layer", "Dense", "use_bias", Parameter(types=("boolean",), default=True)),
            ("layer", "Dense", "kernel_initializer", Parameter(default="glorot_uniform")),
            ("layer", "Dropout", "seed", Parameter(types=("integer", "null"))),
            (
                "layer", "Conv2D", "padding",
                Parameter(types=("string",), choices=("valid", "same"), any_case=True, default="valid"),
            ),
            (
                "layer", "Conv2D", "kernel_size",
                Parameter(
                    required=True, types=("integer", "list"), items=("integer",), length=2, bounds={"minimum": 1}
                ),
            ),
            ("layer", "BatchNormalization", "epsilon", Parameter(types=("number",), default=0.001)),
            ("loss", "CategoricalCrossentropy", "label_smoothing", Parameter(types=("number",), default=0.0)),
            ("metric", "BinaryCrossentropy", "label_smoothing", Parameter(types=("number",), default=0)),
            ("optimizer", "SGD", "learning_rate", Parameter(default=0.01)),
            ("callback", "EarlyStopping", "patience", Parameter(types=("integer",), default=0)),
            ("callback", "EarlyStopping", "min_delta", Parameter(types=("number",), default=0)),
        ],
    )  # fmt: skip
    def test_knows_what_is_taken(
        self, shipped: Catalogue, kind: str, name: str, argument: str, parameter: Parameter
    ) -> None:
        assert (shipped.parameters(kind, name) or {})[argument] == parameter

    def test_has_no_argument_that_a_class_gives_its_base_class_itself(self, shipped: Catalogue) -> None:
        assert "pool_mode" not in (shipped.parameters("layer", "MaxPooling2D") or {})
        assert "factor" not in (shipped.parameters("layer", "RandomFlip") or {})  # it says that it does not take it

    def test_has_only_types_that_there_are(self, shipped: Catalogue) -> None:
        types = {"integer", "number", "boolean", "string", "list", "mapping", "null"}
        for kind in KINDS:
            for name in shipped.names(kind):
                for argument, parameter in (shipped.parameters(kind, name) or {}).items():
                    assert {*parameter.types, *parameter.items} <= types, (name, argument)
                    assert not parameter.choices or "string" in parameter.types, (name, argument)
                    assert parameter.default is None or not kind_of_parameter(argument) or not parameter.types

    def test_knows_second_names(self, shipped: Catalogue) -> None:
        assert shipped.parameters("layer", "Convolution2D") == shipped.parameters("layer", "Conv2D")
        assert shipped.canonical("optimizer", "adam") == "Adam"
        assert "adam" not in shipped.names("optimizer")
        for kind in KINDS:
            for other, name in shipped.second_names(kind).items():
                assert name in shipped.names(kind), other

    def test_accuracy_is_no_second_name(self, shipped: Catalogue) -> None:
        """`Model.compile` takes another metric for `accuracy` than for `Accuracy`: the one that fits the shapes."""
        assert shipped.parameters("metric", "accuracy") == {}
        assert shipped.parameters("metric", "Accuracy")

    def test_has_a_line_on_nearly_everything(self, shipped: Catalogue, docs: Docs) -> None:
        told = [bool(docs.of(kind, name)) for kind in KINDS for name in shipped.names(kind)]
        assert sum(told) > 0.9 * len(told)
        lines = [
            docs.of_argument(kind, name, argument)
            for kind in KINDS
            for name in shipped.names(kind)
            for argument in shipped.parameters(kind, name) or {}
        ]
        assert sum(map(bool, lines)) > 0.8 * len(lines)
        assert all("\n" not in line and len(line) < 210 for line in lines)
        assert docs.of("layer", "Nothing") == docs.of_argument("layer", "Dense", "nothing") == ""

    def test_has_no_base_classes_and_no_helpers(self, shipped: Catalogue) -> None:
        for kind, description in KINDS.items():
            for name in (description.base, "get", "serialize", "deserialize"):
                assert shipped.parameters(kind, name) is None, (kind, name)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("Dense", "layer"), ("Adam", "optimizer"), ("L2", "regularizer"), ("relu", None), ("X", None)],
    )
    def test_tells_the_kind_of_a_class(self, shipped: Catalogue, name: str, kind: str | None) -> None:
        assert shipped.kind_of_name(name) == kind


class TestOtherVersion:
    @pytest.fixture(autouse=True)
    def newer_keras(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9.9")

    @staticmethod
    def made() -> dict[str, Any]:
        return {
            "format": FORMAT,
            "keras": "9.9.9",
            "kinds": {kind: {"New": {"x": {"required": True}}} for kind in KINDS},
        }

    def test_is_made_once_and_kept(self, cache: Path) -> None:
        first = load_catalogue(self.made)
        assert first.keras == "9.9.9"
        assert first.parameters("layer", "New") == {"x": Parameter(required=True)}
        assert load_catalogue(must_not_be_made) == first
        [kept] = cache.iterdir()
        assert "9.9.9" in kept.name

    def test_its_docs_are_kept_beside_it(self, cache: Path) -> None:
        def made() -> dict[str, Any]:
            kinds = {kind: {"New": {"doc": "All new.", "arguments": {"x": "The x."}}} for kind in KINDS}
            return {"format": FORMAT, "keras": "9.9.9", "kinds": kinds}

        load_catalogue(self.made)
        docs = load_docs(made)
        assert (docs.of("loss", "New"), docs.of_argument("loss", "New", "x")) == ("All new.", "The x.")
        assert load_docs(must_not_be_made) == docs
        assert len(list(cache.iterdir())) == 2

    @pytest.mark.parametrize(
        "damage", ["", "{", "[]", "null", '{"format": 0, "keras": "9.9.9", "kinds": {}}', '{"format": 1, "keras": "1"}']
    )
    def test_a_damaged_or_foreign_file_is_made_again(self, cache: Path, damage: str) -> None:
        load_catalogue(self.made)
        [kept] = cache.iterdir()
        kept.write_text(damage)
        assert load_catalogue(self.made).parameters("loss", "New") == {"x": Parameter(required=True)}
        assert load_catalogue(must_not_be_made).keras == "9.9.9"

    def test_a_file_without_its_content_is_made_again(self, cache: Path) -> None:
        load_catalogue(self.made)
        [kept] = cache.iterdir()
        kept.write_text(json.dumps({"format": FORMAT, "keras": "9.9.9"}))
        assert load_catalogue(self.made).parameters("loss", "New") == {"x": Parameter(required=True)}

    def test_a_cache_that_cannot_be_written_to_only_costs_time(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert load_catalogue(self.made).keras == "9.9.9"


class TestCacheFolder:
    def test_by_the_xdg_specification(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_folder() == tmp_path / "dlcli"

    @pytest.mark.parametrize("value", [None, ""])
    def test_else_in_the_home_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        if value is None:
            monkeypatch.delenv("XDG_CACHE_HOME")
        else:
            monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == tmp_path / ".cache" / "dlcli"


@pytest.mark.parametrize(
    ("parameter", "kind"),
    [
        ("kernel_initializer", "initializer"),
        ("activity_regularizer", "regularizer"),
        ("recurrent_activation", "activation"),
        ("activation", "activation"),
        ("bias_constraint", "constraint"),
        ("inner_optimizer", "optimizer"),
        ("learning_rate", "schedule"),
        ("layer", "layer"),
        ("backward_layer", "layer"),
        ("cell", "layer"),
        ("units", None),
        ("activation_size", None),
    ],
)
def test_kind_of_parameter(parameter: str, kind: str | None) -> None:
    assert kind_of_parameter(parameter) == kind


class TestDocstrings:
    """Of which types an argument's text speaks, and which texts it lists; see `dlcli.model.docstrings`."""

    @pytest.mark.parametrize(
        ("text", "types", "items"),
        [
            ("Positive integer, dimensionality of the output space.", {"integer"}, set()),
            ("int or tuple/list of 2 integers, specifying the size.", {"integer", "list"}, {"integer"}),
            ("Tuple of integers, does not include the samples dimension.", {"list"}, {"integer"}),
            ("Int, or tuple of 2 ints, or tuple of 2 tuples of ints.", {"integer", "list"}, set()),
            ("A Python float. The decay rate.", {"number"}, set()),
            ("(Optional) Float in `[0, 1]`. When > 0, values are smoothed.", {"number"}, set()),
            ("Whether to use a bias vector.", {"boolean"}, set()),
            ("If `True`, padding is added.", set(), set()),
            ("Number of epochs with no improvement.", {"integer"}, set()),
            ('`"epoch"`, integer, or `False`.', {"string", "integer", "boolean"}, set()),
            ("Float or `None`. If a float, the loss is scaled.", {"number", "null"}, set()),
            ("Dictionary; optional custom headers.", {"mapping"}, set()),
            ("A function that takes an epoch index (integer).", set(), set()),
            ('Only valid when `output_mode` is `"int"`.', {"string"}, set()),
            ("The maximum norm for the incoming weights.", set(), set()),
        ],
    )
    def test_types(self, text: str, types: set[str], items: set[str]) -> None:
        from dlcli.model.docstrings import items_in, types_in

        assert (types_in(text), items_in(text)) == (types, items)

    @pytest.mark.parametrize(
        ("text", "texts"),
        [
            ('One of `{"auto", "min", "max"}`. In `"min"` mode, …', ["auto", "min", "max"]),
            ('string, either `"valid"` or `"same"` (case-insensitive).', ["valid", "same"]),
            ('Can be `"horizontal"`, `"vertical"`, or both.', ["horizontal", "vertical"]),
            ('Quantity to be monitored. Defaults to `"val_loss"`.', []),
        ],
    )
    def test_listed_texts(self, text: str, texts: list[str]) -> None:
        from dlcli.model.docstrings import listed

        assert listed(text) == texts

    def test_arguments(self) -> None:
        from dlcli.model.docstrings import argument_docs, class_doc

        class Base:
            """A base.

            Args:
                name: The name.
                size: Another size.
            """

        class Derived(Base):
            """Does one thing, e.g. this. And more
            of it.

                Arguments:
                    size: Integer. The size
                        of it.

                        - `1`: small
                    `rate`: Float.
                        shape: Lies too deep, as in Keras's `Adamax`.

                Returns:
                    other: Nothing.
            """

        names = ["name", "size", "rate", "shape", "other"]
        assert argument_docs(Derived, names) == {
            "size": "Integer. The size of it. - `1`: small",
            "rate": "Float.",
            "shape": "Lies too deep, as in Keras's `Adamax`.",
            "name": "The name.",
        }
        assert class_doc(Derived) == "Does one thing, e.g. this."


class Picky:
    """A class that says what it does not take, as Keras's do."""

    def __init__(self, size, mode="fast", shape=(1, 1), rate=0.5, anything=None, silent="a", old=None) -> None:  # type: ignore[no-untyped-def]
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"`size` must be a positive integer. Received: {size}")
        if str(mode).lower() not in ("fast", "slow"):
            raise ValueError(f"`mode` must be one of {{'fast', 'slow'}}. Received: {mode}")
        if isinstance(shape, int):
            shape = (shape, shape)
        if len(shape) != 2 or not all(isinstance(item, int) for item in shape):
            raise ValueError("`shape` must be two integers.")
        if not 0 <= rate <= 1:
            raise ValueError("`rate` must be in [0, 1].")


class TestProbing:
    """What a class takes is found by making it; see `dlcli.model.arguments`."""

    @staticmethod
    def described(name: str, text: str = "") -> dict[str, Any]:
        import inspect

        from dlcli.model.arguments import Argument, Namesakes, describe
        from dlcli.model.probing import make_probe, values_to_try

        parameter = inspect.signature(Picky).parameters[name]
        argument = Argument(name, parameter.default, text) if name != "size" else Argument(name, text=text)
        probe = make_probe(Picky, {"size": values_to_try({"integer"}, [])}, {})
        assert probe is not None
        return describe(argument, probe, Namesakes())

    @pytest.mark.parametrize(
        ("name", "text", "found"),
        [
            ("size", "", {"required": True, "types": ["integer"], "bounds": {"minimum": 1}}),
            ("mode", "", {"default": "fast", "types": ["string"], "choices": ["fast", "slow"], "any_case": True}),
            ("shape", "", {"default": [1, 1], "types": ["integer", "list"], "items": ["integer"], "length": 2}),
            ("rate", "Float.", {"default": 0.5, "types": ["number"], "bounds": {"minimum": 0, "maximum": 1}}),
            ("anything", "", {"default": None}),
            ("anything", "Optional integer.", {"default": None, "types": ["integer", "null"]}),
            ("silent", 'One of `"a"` or `"b"`.', {"default": "a", "types": ["string"], "choices": ["a", "b"]}),
            ("silent", 'One of `"b"` or `"c"`.', {"default": "a", "types": ["string"]}),
        ],
    )
    def test_of_an_argument(self, name: str, text: str, found: dict[str, Any]) -> None:
        assert self.described(name, text) == found

    def test_without_a_probe_only_what_is_documented(self) -> None:
        from dlcli.model.arguments import Argument, Namesakes, describe

        seed = Argument("seed", None, "A Python integer.")
        namesakes = Namesakes()
        namesakes.add(seed)
        assert describe(seed, None, namesakes) == {"default": None, "types": ["integer", "null"]}
        assert describe(Argument("seed", None), None, namesakes) == {"default": None, "types": ["integer", "null"]}
        assert describe(Argument("seed", object()), None, Namesakes()) == {}

    def test_of_what_cannot_be_made(self) -> None:
        from dlcli.model.probing import make_probe

        class Never:
            def __init__(self) -> None:
                raise ValueError("no")

        assert make_probe(Never, {}, {}) is None


def test_loading_a_spec_imports_nothing_heavy() -> None:
    code = """
import sys
import dlcli.spec.loading
heavy = ("tensorflow", "keras", "numpy", "h5py", "sklearn", "scipy", "pandas", "PIL", "matplotlib")
print(*(name for name in heavy if name in sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
