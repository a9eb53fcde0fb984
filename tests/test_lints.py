"""The lints: each warning fires where it should, with a caret on the right word, and not beside it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from dlcli.errors import Problem
from dlcli.spec.grammar import DatasetSpec, Spec
from dlcli.spec.lints import CODES, MODEL_CODES, check_silence, codes_asked, lint, silenced
from dlcli.spec.lints.sizes import SplitSizes, split_sizes, steps_per_epoch, training_examples
from dlcli.spec.loading import LoadedSpec, load_spec
from dlcli.spec.parts import Parts
from dlcli.spec.sources import SOURCES
from tests.conftest import shipped_catalogue
from tests.lint_cases import CASES, ORDINARY, RELU, SOFTMAX, Case, data, layer, text_of

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def load(folder: Path, text: str) -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, shipped_catalogue())


def warnings_of(loaded: LoadedSpec) -> list[Problem]:
    return list(lint(Parts.of(loaded.spec)))


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

    @pytest.mark.parametrize("name", ORDINARY)
    def test_nothing_odd(self, tmp_path: Path, name: str) -> None:
        assert warnings_of(load(tmp_path, ORDINARY[name])) == []

    def test_every_code_has_a_case(self) -> None:
        assert {case.code for case in CASES} == set(CODES) - set(MODEL_CODES) - {
            "unused-silence",
            "unused-variable",
            "unused-block",
        }


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
        assert codes_asked(Parts()) == {"unused-block", "unused-variable"}

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
        [problem] = warnings_of(
            load(tmp_path, text_of([*block, "Dense: {units: 16}", "Dropout: {rate: 0.1}", SOFTMAX]))
        )
        assert (problem.code, problem.path) == ("missing-activation", layer(3, "Dense"))
        [problem] = warnings_of(load(tmp_path, text_of([*block, "Dense: {units: 3}"])))
        assert (problem.code, problem.path) == ("missing-output-activation", layer(3, "Dense"))

    @pytest.mark.parametrize("part", range(4))
    def test_whatever_the_values_are(self, part: int) -> None:
        """Values that Keras refuses later, and that no one has thought of, never make a rule fail."""
        random = Random(part)
        asked = 0
        for written in [yaml.safe_load(case.fires) for case in CASES[part::4]]:
            for _ in range(20):
                raw = deepcopy(written)
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
        spec = load_spec(path, shipped_catalogue()).spec
        assert list(check_silence(spec.silence)) == []
        assert list(silenced(lint(Parts.of(spec)), spec.silence, codes_asked(Parts.of(spec)))) == []


class TestSizes:
    @pytest.mark.parametrize("source", ["digits", "iris", "wine", "breast_cancer", "diabetes", "circles", "blobs"])
    @pytest.mark.parametrize(("validation", "test"), [(None, 0.0), (0.15, 0.2), ("test", 0.31), (0.25, 0.0)])
    def test_as_the_real_split(self, source: str, validation: float | str | None, test: float) -> None:
        from dlcli.data.sources import load_dataset
        from dlcli.data.splits import split_dataset

        spec = DatasetSpec.model_validate({"source": source, "validation": validation, "test": test})
        dataset = load_dataset(spec.source)
        real = split_dataset(dataset, validation=validation, test=test, seed=0)
        sizes = split_sizes(spec)
        assert sizes is not None
        assert sizes.train == len(real.train) == training_examples(spec)
        assert sizes.validation == (len(real.validation) if real.validation else 0)
        assert sizes.test == (len(real.test) if real.test else 0)
        assert dataset.classes == spec.source.number_of_classes
        assert steps_per_epoch(spec, Spec.model_fields["train"].default) == -(-len(real.train) // 32)

    @pytest.mark.parametrize("source", ["wine", "diabetes"])
    def test_as_the_real_folds(self, source: str) -> None:
        from dlcli.data.sources import load_dataset
        from dlcli.data.splits import split_dataset

        for fold in (1, 3, 7):
            spec = DatasetSpec.model_validate({"source": source, "folds": 7, "fold": fold})
            real = split_dataset(load_dataset(spec.source), validation=None, test=0.2, seed=0, fold=spec.held_out_fold)
            assert split_sizes(spec) == tuple(len(real.named(name)) for name in ("train", "validation", "test"))

    def test_four_points_are_their_own_test_set(self) -> None:
        sizes = split_sizes(DatasetSpec.model_validate({"source": "xor", "validation": "test"}))
        assert sizes == SplitSizes(train=4, validation=4, test=4)

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
        if source.target_range is not None:
            assert (train.targets.min(), train.targets.max()) == source.target_range

    def test_published_sizes(self) -> None:
        known = {name: SOURCES[name]().examples for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")}
        assert known == {
            "mnist": (60_000, 10_000),
            "fashion_mnist": (60_000, 10_000),
            "cifar10": (50_000, 10_000),
            "cifar100": (50_000, 10_000),
        }
