"""From a file to a spec: Keras names and arguments at every depth, overrides, and that no text breaks it."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from dlcli.errors import Path as SpecPath
from dlcli.errors import Problem, SpecError
from dlcli.spec.loading import LoadedSpec, load_spec
from tests.conftest import seconds_here, shipped_catalogue

CONFIGS = Path(__file__).parents[1] / "configs"
BASE = """\
name: base
dataset:
  source: xor
model:
  layers:
    - Dense: {units: 8}
    - Dense: {units: 1}
loss: mse
optimizer: Adam
metrics: [accuracy]
train:
  epochs: 3
"""
LAYER = "Dense: {units: 8}"


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def load(folder: Path, text: str) -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, shipped_catalogue())


def problems(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    return list(caught.value.problems)


def the_problem(folder: Path, text: str, at: str) -> Problem:
    """The one problem of this text, which points at the first `at` and shows its line."""
    [problem] = problems(folder, text)
    before = text[: text.index(at)]
    expected = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert problem.position is not None
    assert (problem.position.line, problem.position.column) == expected, problem
    assert problem.source_line == text.splitlines()[expected[0] - 1]
    return problem


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("old", "new", "name", "label", "suggested"),
        [
            (LAYER, "Dens: {units: 8}", "Dens", "layer", "Dense"),
            (LAYER, "dense: {units: 8}", "dense", "layer", "Dense"),
            (LAYER, "Flaten", "Flaten", "layer", "Flatten"),
            (LAYER, "conv2d: {filters: 1, kernel_size: 1}", "conv2d", "layer", "Conv2D"),
            ("loss: mse", "loss: binary_crossentrop", "binary_crossentrop", "loss", "binary_crossentropy"),
            ("loss: mse", "loss: {BinaryCrossentrop: {}}", "BinaryCrossentrop", "loss", "BinaryCrossentropy"),
            ("optimizer: Adam", "optimizer: Adamm", "Adamm", "optimizer", "Adam"),
            ("[accuracy]", "[MeanAbsoluteErorr]", "MeanAbsoluteErorr", "metric", "MeanAbsoluteError"),
            ("epochs: 3", "callbacks: [EarlyStoping]", "EarlyStoping", "callback", "EarlyStopping"),
            ("source: xor", "source: xor\n  augment: [RandomFlipp]", "RandomFlipp", "layer", "RandomFlip"),
            ("source: xor", "source: xor\n  preparation: [{Rescalin: {scale: 1}}]", "Rescalin", "layer", "Rescaling"),
        ],
    )
    def test_at_the_top(self, old: str, new: str, name: str, label: str, suggested: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(old, new), name)
        assert problem.message == f"`{name}` is not a Keras {label}."
        assert problem.hint == f"Did you mean `{suggested}`?"

    @pytest.mark.parametrize(
        ("old", "new", "name", "label", "suggested"),
        [
            (LAYER, "Dense: {units: 8, kernel_initializer: HeNorml}", "HeNorml", "initializer", "HeNormal"),
            (LAYER, "Dense: {units: 8, bias_initializer: {HeNorml: {seed: 1}}}", "HeNorml", "initializer", "HeNormal"),
            (LAYER, "Dense: {units: 8, activation: rulu}", "rulu", "activation", "relu"),
            (LAYER, "Dense: {units: 8, kernel_regularizer: {L1L3: {}}}", "L1L3", "regularizer", "L1L2"),
            (LAYER, "Dense: {units: 8, kernel_constraint: {MaxNor: {}}}", "MaxNor", "constraint", "MaxNorm"),
            (LAYER, "Bidirectional: {layer: {LSTMM: {units: 3}}}", "LSTMM", "layer", "LSTM"),
            (LAYER, "RNN: {cell: [{LSTMCel: {units: 3}}]}", "LSTMCel", "layer", "LSTMCell"),
            (
                LAYER,
                "TimeDistributed: {layer: {Dense: {units: 3, kernel_initializer: {Zeroes: {}}}}}",
                "Zeroes",
                "initializer",
                "Zeros",
            ),
            (
                "optimizer: Adam",
                "optimizer: {SGD: {learning_rate: {CosinDecay: {decay_steps: 1}}}}",
                "CosinDecay",
                "learning rate schedule",
                "CosineDecay",
            ),
            (
                "optimizer: Adam",
                "optimizer: {LossScaleOptimizer: {inner_optimizer: Adamm}}",
                "Adamm",
                "optimizer",
                "Adam",
            ),
        ],
    )
    def test_in_arguments(self, old: str, new: str, name: str, label: str, suggested: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(old, new), name)
        assert problem.message == f"`{name}` is not a Keras {label}."
        assert problem.hint == f"Did you mean `{suggested}`?"

    @pytest.mark.parametrize(
        ("new", "name"),
        [
            ("Pipeline: {layers: [RandomFlipp]}", "RandomFlipp"),
            ("Pipeline: {layers: [{RandomFlipp: {}}]}", "RandomFlipp"),
            ("StackedRNNCells: {cells: [{LSTMCel: {units: 3}}]}", "LSTMCel"),
        ],
    )
    def test_in_a_list_of_layers(self, new: str, name: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, new), name)
        assert problem.message == f"`{name}` is not a Keras layer."

    def test_a_schedule_without_arguments(self, tmp_path: Path) -> None:
        """A learning rate that is a text can only be meant as the name of a schedule."""
        text = changed("optimizer: Adam", "optimizer: {SGD: {learning_rate: CosinDecay}}")
        assert "`CosinDecay` is not" in the_problem(tmp_path, text, "CosinDecay").message

    @pytest.mark.parametrize(
        ("old", "new", "names"),
        [
            (LAYER, "Zzqq", ("`Activation`", "`Dense`", "`ZeroPadding3D`")),
            ("loss: mse", "loss: Zzqq", ("`BinaryCrossentropy`", "`MeanSquaredError`")),
            ("optimizer: Adam", "optimizer: {Zzqq: {}}", ("`Adam`", "`SGD`")),
            ("epochs: 3", "callbacks: [Zzqq]", ("`EarlyStopping`", "`TerminateOnNaN`")),
            (LAYER, "Dense: {units: 8, kernel_regularizer: Zzqq}", ("`L1`", "`L1L2`", "`L2`")),
            (LAYER, "Dense: {units: 8, activation: Zzqq}", ("`relu`", "`softmax`")),
        ],
    )
    def test_with_nothing_close_list_what_is_allowed(
        self, old: str, new: str, names: tuple[str, ...], tmp_path: Path
    ) -> None:
        hint = str(the_problem(tmp_path, changed(old, new), "Zzqq").hint)
        assert hint.startswith("Allowed: ")
        assert all(name in hint for name in names)


class TestArguments:
    @pytest.mark.parametrize(
        ("old", "new", "argument", "owner", "suggested"),
        [
            (LAYER, "Dense: {units: 8, activatio: relu}", "activatio", "Dense", "activation"),
            (LAYER, "Dense: {units: 8, Activation: relu}", "Activation", "Dense", "activation"),
            (LAYER, "Dense: {units: 8, kernel_initializer: {HeNormal: {sed: 1}}}", "sed", "HeNormal", "seed"),
            ("loss: mse", "loss: {Huber: {delt: 2}}", "delt", "Huber", "delta"),
            ("optimizer: Adam", "optimizer: {SGD: {learnin_rate: 1}}", "learnin_rate", "SGD", "learning_rate"),
            ("[accuracy]", "[{AUC: {num_threshold: 3}}]", "num_threshold", "AUC", "num_thresholds"),
            ("epochs: 3", "callbacks: [{EarlyStopping: {patient: 3}}]", "patient", "EarlyStopping", "patience"),
        ],
    )
    def test_unknown(self, old: str, new: str, argument: str, owner: str, suggested: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(old, new), f"{argument}:")
        assert problem.message == f"`{argument}` is not an argument of `{owner}`."
        assert problem.hint == f"Did you mean `{suggested}`?"

    def test_unknown_with_nothing_close(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed("optimizer: Adam", "optimizer: {SGD: {warp: 1}}"), "warp:")
        assert "`learning_rate`" in str(problem.hint)
        assert "`nesterov`" in str(problem.hint)

    @pytest.mark.parametrize("word", ["input_shape", "input_dim", "batch_input_shape"])
    def test_of_old_keras(self, word: str, tmp_path: Path) -> None:
        assert f"`{word}` is not an argument" in the_problem(tmp_path, changed("8}", f"8, {word}: 2}}"), word).message

    @pytest.mark.parametrize(
        ("old", "new", "at", "needed"),
        [
            (LAYER, "Dense", "Dense", "`Dense` needs `units`."),
            (LAYER, "Dense: {}", "Dense", "`Dense` needs `units`."),
            (LAYER, "Dense: {activation: relu}", "Dense", "`Dense` needs `units`."),
            (LAYER, "Conv2D: {}", "Conv2D", "`Conv2D` needs `filters`, `kernel_size`."),
            (LAYER, "Input", "Input", "`Input` needs `shape`."),
            (LAYER, "Bidirectional: {layer: LSTM}", "LSTM", "`LSTM` needs `units`."),
            ("[accuracy]", "[MeanIoU]", "MeanIoU", "`MeanIoU` needs `num_classes`."),
            (
                "optimizer: Adam",
                "optimizer: {SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 1}}}}",
                "CosineDecay",
                "`CosineDecay` needs `decay_steps`.",
            ),
        ],
    )
    def test_missing(self, old: str, new: str, at: str, needed: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(old, new), at)
        assert problem.message == needed
        assert problem.hint

    def test_the_hint_has_all_that_are_missing(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, "Conv2D: {}"), "Conv2D")
        assert problem.hint == "Write `Conv2D: {filters: 32, kernel_size: 3}`, for example."

    def test_misspelt_is_one_mistake(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, "Dense: {unit: 8}"), "unit:")
        assert problem.hint == "Did you mean `units`?"

    def test_of_a_function_whose_class_takes_them(self, tmp_path: Path) -> None:
        text = changed("loss: mse", "loss: {binary_crossentropy: {from_logits: true}}")
        assert "`BinaryCrossentropy`" in str(the_problem(tmp_path, text, "from_logits").hint)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (LAYER, "Dense: {units: 8, kernel_initializer: he_normal, activation: null, name: a, dtype: float16}"),
            (LAYER, "Dense: {units: 8, kernel_regularizer: {L2: {l2: 1e-4}}, kernel_constraint: max_norm}"),
            (LAYER, "Bidirectional: {layer: {LSTM: {units: 3}}, backward_layer: {GRU: {units: 3}}}"),
            (LAYER, "RNN: {cell: [{LSTMCell: {units: 3}}, {GRUCell: {units: 3}}]}"),
            (LAYER, "Input: {shape: [2]}"),
            (LAYER, "Normalization"),
            (LAYER, "BatchNormalization:"),
            ("loss: mse", "loss: MeanSquaredError"),
            ("loss: mse", "loss: {Huber: {delta: 2}}"),
            ("optimizer: Adam", "optimizer: adam"),
            ("optimizer: Adam", "optimizer: {SGD: {learning_rate: 1}}"),
            ("[accuracy]", "[acc, AUC, mse, {AUC: {curve: PR}}]"),
            ("epochs: 3", "callbacks: [TerminateOnNaN, {ReduceLROnPlateau: {factor: 0.5}}]"),
        ],
    )
    def test_allowed(self, old: str, new: str, tmp_path: Path) -> None:
        load(tmp_path, changed(old, new))


class TestShapeOfObjects:
    PLACES = (
        (LAYER, "{}", ("model", "layers", 0), "The 1st layer"),
        ("loss: mse", "loss: {}", ("loss",), "`loss`"),
        ("optimizer: Adam", "optimizer: {}", ("optimizer",), "`optimizer`"),
        ("[accuracy]", "[{}]", ("metrics", 0), "The 1st item of `metrics`"),
        ("epochs: 3", "callbacks: [{}]", ("train", "callbacks", 0), "The 1st item of `train.callbacks`"),
        ("source: xor", "source: xor\n  augment: [{}]", ("dataset", "augment", 0), "The 1st item of `dataset.augment`"),
    )

    @pytest.mark.parametrize(("old", "new", "where", "words"), PLACES, ids=[place[3] for place in PLACES])
    @pytest.mark.parametrize("written", ["[Dense, 8]", "3", "true", "null", "{Dense: {}, Flatten: {}}", "{3: {}}"])
    def test_is_a_name_or_a_name_with_arguments(
        self, old: str, new: str, where: SpecPath, words: str, written: str, tmp_path: Path
    ) -> None:
        [problem] = problems(tmp_path, changed(old, new.format(written)))
        assert problem.message.startswith(f"{words} must ")
        assert "Keras" in problem.message
        assert "received" in problem.message

    @pytest.mark.parametrize(("old", "new", "where", "words"), PLACES, ids=[place[3] for place in PLACES])
    @pytest.mark.parametrize("value", ["0.5", "[8]", "text", "true", "{1: 2}"])
    def test_has_its_arguments_by_name(
        self, old: str, new: str, where: SpecPath, words: str, value: str, tmp_path: Path
    ) -> None:
        [problem] = problems(tmp_path, changed(old, new.format(f"{{Dropout: {value}}}")))
        assert problem.path[: len(where)] == where  # `("model", "layers", 0, "layer")` is nowhere in the file
        assert words not in problem.message  # but the name of the object
        assert "The arguments of `Dropout` are written by name, as `Dropout: {argument: value}`" in problem.message

    def test_positional_argument_points_at_the_layer(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, "Dropout: 0.5"), "Dropout")
        assert "received `0.5`" in problem.message

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (LAYER, "Dense: {units: 8, kernel_initializer: {HeNormal: 3}}"),
            (LAYER, "Dense: {units: 8, kernel_initializer: {HeNormal: {}, Zeros: {}}}"),
            (LAYER, "Dense: {units: 8, kernel_initializer: 3}"),
            (LAYER, "Dense: {units: 8, activation: true}"),
            (LAYER, "Bidirectional: {layer: {LSTM: 3}}"),
            ("optimizer: Adam", "optimizer: {SGD: {learning_rate: {CosineDecay: 3}}}"),
            ("optimizer: Adam", "optimizer: {SGD: {learning_rate: {a: 1, b: 2}}}"),
        ],
    )
    def test_in_arguments(self, old: str, new: str, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, changed(old, new))
        assert problem.position is not None
        assert problem.source_line == next(line for line in changed(old, new).splitlines() if new in line)


class TestLoadedSpec:
    def test_later_problems_have_their_places_in_the_file(self, tmp_path: Path) -> None:
        loaded = load(tmp_path, BASE)
        [problem] = loaded.error(Problem("Too small.", ("model", "layers", 1, "Dense", "units"))).problems
        assert str(problem.position) == f"{tmp_path / 'spec.yaml'}:7:22"
        assert problem.source_line == "    - Dense: {units: 1}"

    def test_without_a_file_they_have_none(self, tmp_path: Path) -> None:
        loaded = LoadedSpec(load(tmp_path, BASE).spec, None)
        [problem] = loaded.error(Problem("Too small.", ("loss",))).problems
        assert problem.position is None

    def test_the_name_is_the_file_s_unless_written(self, tmp_path: Path) -> None:
        assert load(tmp_path, BASE).spec.name == "base"
        assert load(tmp_path, changed("name: base\n", "")).spec.name == "spec"


class TestRobustness:
    WORDS = ("Dense", "null", "3", "-1", "0.5", "[]", "{}", "relu", "mnist", "true", "*a", "&a", "!x", "name")

    @classmethod
    def mutated(cls, text: str, chance: random.Random) -> str:
        lines = text.splitlines(keepends=True)
        at = chance.randrange(len(lines))
        line = lines[at]
        words = line.split(" ")
        match chance.randrange(8):
            case 0:
                lines[at] = ""
            case 1:
                place = chance.randrange(len(line))
                lines[at] = line[:place] + line[place + 1 :]
            case 2:
                lines[at] = line * 2
            case 3:
                lines[at] = " " * chance.randrange(7) + line.lstrip(" ")
            case 4:
                first, second = chance.randrange(len(words)), chance.randrange(len(words))
                words[first], words[second] = words[second], words[first]
                lines[at] = " ".join(words)
            case 5:
                words[chance.randrange(len(words))] = chance.choice(cls.WORDS)
                lines[at] = " ".join(words)
            case 6:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], line
            case _:
                place = chance.randrange(len(line))
                lines[at] = line[:place] + chance.choice("{}[]:,'\"#&*!|>-?%@`\t\x00é\n") + line[place:]
        return "".join(lines)

    @pytest.mark.parametrize("config", ["mnist_cnn", "mnist_mlp_initializers", "spirals"])
    def test_mutated_texts_are_read_or_refused_with_places(self, config: str, tmp_path: Path) -> None:
        original = (CONFIGS / f"{config}.yaml").read_text(encoding="utf-8")
        chance = random.Random(config)
        astray = []
        outcomes = {"read": 0, "refused": 0}
        for _ in range(300 if config == "mnist_cnn" else 100):
            text = original
            for _ in range(chance.randrange(1, 4)):
                text = self.mutated(text, chance)
            try:
                load(tmp_path, text)
                outcomes["read"] += 1
            except SpecError as error:
                outcomes["refused"] += 1
                astray += [(text, problem) for problem in error.problems if not self.is_inside(problem, text)]
        assert min(outcomes.values()) > 10  # else the mutations test nothing
        assert not astray, f"{len(astray)} problems have no place in the file; first: {astray[0][1]}\n{astray[0][0]}"

    @staticmethod
    def is_inside(problem: Problem, text: str) -> bool:
        lines = text.splitlines()
        position = problem.position
        return (
            position is not None
            and 1 <= position.line <= len(lines)
            and 1 <= position.column <= len(lines[position.line - 1]) + 1
            and problem.source_line == lines[position.line - 1]
        )

    @pytest.mark.parametrize(
        ("first", "next_one"),
        [
            ("- Dense: {units: 1, kernel_initializer: &a0 {HeNormal: {seed: 1}}}",
             "- Dense: {{units: 1, kernel_initializer: &a{} {{Orthogonal: {{seed: *a{}}}}}}}"),
            ("- Bidirectional: {layer: &a0 {LSTM: {units: 1}}}",
             "- Bidirectional: {{layer: &a{} {{Bidirectional: {{layer: *a{}}}}}}}"),
        ],
        ids=["arguments", "layers"],
    )  # fmt: skip
    def test_objects_nested_by_aliases(self, first: str, next_one: str, tmp_path: Path) -> None:
        layers = [first] + [next_one.format(number, number - 1) for number in range(1, 420)]
        with pytest.raises(SpecError):
            load(tmp_path, changed(f"- {LAYER}", "\n    ".join(layers)))

    def test_many_mistakes_take_no_time(self, tmp_path: Path) -> None:
        names = ", ".join(f"acuracy{number}" for number in range(2_000))
        start = time.process_time()
        assert problems(tmp_path, changed("[accuracy]", f"[{names}]"))
        assert time.process_time() - start < seconds_here(20)
