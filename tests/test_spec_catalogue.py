"""The catalogue of Keras names: the shipped one is true, another is made once, and suggestions help."""

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
    cache_folder,
    kind_of_parameter,
    load_catalogue,
    suggestion,
)

SHIPPED = Path(module.__file__).with_name("catalogue.json")


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


is_shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["keras"] == importlib.metadata.version("keras")


@pytest.mark.skipif(not is_shipped, reason="another version of Keras is installed than the shipped catalogue is for")
class TestShipped:
    def test_is_what_the_installed_keras_has(self) -> None:
        from dlcli.model.catalogue import make_catalogue

        made, shipped = make_catalogue(), json.loads(SHIPPED.read_text(encoding="utf-8"))
        for kind in KINDS:  # first by kind: a difference of the whole would not be readable
            assert shipped["kinds"][kind] == made["kinds"][kind], kind
        assert shipped == made

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
        assert {parameter for parameter, needed in parameters.items() if needed} == required

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
        return {"format": FORMAT, "keras": "9.9.9", "kinds": {kind: {"New": {"x": True}} for kind in KINDS}}

    def test_is_made_once_and_kept(self, cache: Path) -> None:
        first = load_catalogue(self.made)
        assert first.keras == "9.9.9"
        assert first.parameters("layer", "New") == {"x": True}
        assert load_catalogue(must_not_be_made) == first
        [kept] = cache.iterdir()
        assert "9.9.9" in kept.name

    @pytest.mark.parametrize(
        "damage", ["", "{", "[]", "null", '{"format": 0, "keras": "9.9.9", "kinds": {}}', '{"format": 1, "keras": "1"}']
    )
    def test_a_damaged_or_foreign_file_is_made_again(self, cache: Path, damage: str) -> None:
        load_catalogue(self.made)
        [kept] = cache.iterdir()
        kept.write_text(damage)
        assert load_catalogue(self.made).parameters("loss", "New") == {"x": True}
        assert load_catalogue(must_not_be_made).keras == "9.9.9"

    def test_a_file_without_its_content_is_made_again(self, cache: Path) -> None:
        load_catalogue(self.made)
        [kept] = cache.iterdir()
        kept.write_text(json.dumps({"format": FORMAT, "keras": "9.9.9"}))
        assert load_catalogue(self.made).parameters("loss", "New") == {"x": True}

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


class TestSuggestion:
    @pytest.mark.parametrize(
        ("word", "allowed", "expected"),
        [
            ("unit", ["units", "activation"], "Did you mean `units`?"),
            ("dense", ["Dense", "Flatten"], "Did you mean `Dense`?"),
            ("CONV2D", ["Conv2D", "Conv3D"], "Did you mean `Conv2D`?"),
            ("zzz", ["b", "a"], "Allowed: `a`, `b`."),
            ("zzz", ["relu", "Adam", "SGD"], "Allowed: `Adam`, `SGD`."),  # the short names say nothing new
            ("zzz", [], "It takes none."),
            ("", ["a"], "Allowed: `a`."),
        ],
    )
    def test_closest_or_all(self, word: str, allowed: list[str], expected: str) -> None:
        assert suggestion(word, allowed) == expected

    def test_a_lower_case_word_gets_the_lower_case_name(self, shipped: Catalogue) -> None:
        """In Keras `accuracy` and `Accuracy` are two metrics; the second one tests numbers for being equal."""
        assert shipped.suggestion("metric", "acuracy") == "Did you mean `accuracy`?"

    def test_an_upper_case_word_gets_the_upper_case_name(self, shipped: Catalogue) -> None:
        assert shipped.suggestion("metric", "Acuracy") == "Did you mean `Accuracy`?"


def test_loading_a_spec_imports_nothing_heavy() -> None:
    code = """
import sys
import dlcli.spec.loading
heavy = ("tensorflow", "keras", "numpy", "h5py", "sklearn", "scipy", "pandas", "PIL", "matplotlib")
print(*(name for name in heavy if name in sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
