"""What is meant by a name that there is not: the one that it is like, or all that are allowed."""

from __future__ import annotations

import pytest

from dlcli.spec.catalogue import Catalogue
from dlcli.spec.likeness import closest, misspelt, similar, suggestion
from tests.conftest import shipped_catalogue


@pytest.fixture
def shipped() -> Catalogue:
    """The catalogue that comes with dlcli, whichever Keras is installed."""
    return shipped_catalogue()


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

    @pytest.mark.parametrize(
        ("kind", "word", "name"),
        [
            ("layer", "Dens", "Dense"),
            ("layer", "Conv2", "Conv2D"),
            ("layer", "LTSM", "LSTM"),
            ("layer", "conv_2d", "Conv2D"),
            ("layer", "BatchNorm", "BatchNormalization"),
            ("layer", "MaxPool2d", "MaxPool2D"),  # a second name, but the one that was meant
            ("layer", "relu", "ReLU"),
            ("optimizer", "adm", "Adam"),
            ("optimizer", "Adma", "Adam"),
            ("optimizer", "sdg", "SGD"),
            ("loss", "binary_cross_entropy", "binary_crossentropy"),
            ("loss", "msee", "mse"),
            ("initializer", "he_norml", "HeNormal"),
            ("callback", "earlystopping", "EarlyStopping"),
        ],
    )
    def test_of_the_name_that_was_meant(self, shipped: Catalogue, kind: str, word: str, name: str) -> None:
        assert shipped.suggestion(kind, word) == f"Did you mean `{name}`?"

    @pytest.mark.parametrize(
        ("kind", "word"),
        [
            ("layer", "Foo"),
            ("layer", "Transformer"),
            ("layer", "x"),
            ("layer", "Linear"),
            ("layer", "Attn"),
            ("initializer", "xavier"),
            ("optimizer", "momentum"),
        ],
    )
    def test_of_nothing_where_nothing_is_close(self, shipped: Catalogue, kind: str, word: str) -> None:
        hint = shipped.suggestion(kind, word)
        assert hint.startswith("Allowed: ")
        assert not any(f"`{other}`" in hint for other in shipped.second_names(kind))

    def test_of_all_that_a_word_is_a_part_of(self, shipped: Catalogue) -> None:
        assert shipped.suggestion("schedule", "cosine") == "Did you mean `CosineDecay` or `CosineDecayRestarts`?"
        hint = shipped.suggestion("loss", "crossentropy")
        assert hint.startswith("Did you mean `binary_crossentropy`, `categorical_crossentropy`, ")
        assert hint.endswith("?")

    def test_of_a_part_only_for_long_words_and_few_names(self) -> None:
        assert similar("pool", ["MaxPool", "AveragePooling"]) == []
        assert similar("pooling", [f"Pooling{number}{number}{number}" for number in range(10)]) == []

    @pytest.mark.parametrize(
        ("word", "name"),
        [("float23", "float32"), ("int8_from_float32", None), ("FLOAT32", "float32"), ("", None)],
    )
    def test_of_a_misspelling_only(self, word: str, name: str | None) -> None:
        assert misspelt(word, ["float16", "float32"]) == name

    def test_is_the_same_each_time(self) -> None:
        names = ["abc", "abd", "abe"]
        assert len({closest("abx", order) for order in (names, names[::-1])} - {None}) == 1

    def test_of_all_dimensions(self, shipped: Catalogue) -> None:
        assert shipped.suggestion("layer", "Conv") == "Did you mean `Conv1D`, `Conv2D` or `Conv3D`?"
        assert similar("MaxPooling", shipped.names("layer")) == ["MaxPooling1D", "MaxPooling2D", "MaxPooling3D"]
