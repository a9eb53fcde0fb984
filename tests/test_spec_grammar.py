"""The grammar: what a spec may say, what is refused and how, and that a spec survives being written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dlcli.errors import Problem, SpecError
from dlcli.runs import RunFolder
from dlcli.spec.grammar import Spec
from dlcli.spec.loading import load_spec, restore_spec
from dlcli.spec.reading import read_document
from dlcli.spec.remedies import python_name
from dlcli.spec.sources import SOURCES
from tests.conftest import shipped_catalogue

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
BASE = """\
name: base
dataset:
  source: xor
model:
  layers:
    - Dense: {units: 8, activation: tanh}
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
optimizer: Adam
metrics: [accuracy]
train:
  epochs: 3
"""
SOURCE, LAYER, END = "source: xor", "- Dense: {units: 8, activation: tanh}", "  epochs: 3\n"


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def load(folder: Path, text: str) -> Spec:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path, shipped_catalogue()).spec


def problems(folder: Path, text: str) -> list[Problem]:
    """The problems of this text, each of which shows a line of it."""
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    for problem in caught.value.problems:
        assert problem.position is not None
        assert problem.source_line == text.splitlines()[problem.position.line - 1]
        assert problem.message.endswith(".")
        assert "None" not in problem.message or "None" in text, problem.message
    return list(caught.value.problems)


def the_problem(folder: Path, text: str, at: str) -> Problem:
    """The one problem of this text, which points at the first `at`."""
    [problem] = problems(folder, text)
    before = text[: text.index(at)]
    expected = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert problem.position is not None
    assert (problem.position.line, problem.position.column) == expected, problem
    return problem


def without_sweep(spec: Spec) -> Spec:
    """What a run has of a spec, which is one of the values that are searched for."""
    return spec.model_copy(update={"sweep": None})


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
class TestShippedConfigs:
    def test_resolved_is_an_equal_spec(self, config: Path) -> None:
        spec = without_sweep(load_spec(config, shipped_catalogue()).spec)
        assert Spec.model_validate(spec.resolved()) == spec
        assert restore_spec(json.loads(json.dumps(spec.resolved()))).spec == spec
        assert restore_spec(spec.resolved()).spec.resolved() == spec.resolved()

    def test_resolved_as_a_file_is_an_equal_spec(self, config: Path, tmp_path: Path) -> None:
        spec = without_sweep(load_spec(config, shipped_catalogue()).spec)
        RunFolder(tmp_path).write_spec(config.read_text(encoding="utf-8"), spec.resolved())
        assert load_spec(tmp_path / "resolved.yaml", shipped_catalogue()).spec == spec

    def test_is_named_as_its_file(self, config: Path) -> None:
        assert load_spec(config, shipped_catalogue()).spec.name == config.stem


class TestResolved:
    RICH = """\
name: 1e5x
seed: 4294967295
dataset:
  source: {moons: {samples: 20, noise: 0}}
  fallback: {blobs: {centers: 2}}
  validation: test
  preparation: []
  augment: [GaussianNoise: {stddev: 1e-3}]
  labels: one_hot
  shuffle: false
model:
  layers:
    - Flatten
    - Flatten:
      name: flat
    - Dense: {units: 8, kernel_initializer: {HeNormal: {seed: 1}}, bias_initializer: zeros}
      name: hidden
      trainable: false
      repeat: 2
    - Dense: {units: 2, activation: null}
loss: {CategoricalCrossentropy: {from_logits: true}}
optimizer: {SGD: {learning_rate: {ExponentialDecay: {initial_learning_rate: 1e-2, decay_steps: 9, decay_rate: .5}}}}
metrics: [accuracy, {TopKCategoricalAccuracy: {k: 1, name: "1e-3"}}, {F1Score: {name: "no"}}]
train:
  epochs: 2
  callbacks: [TerminateOnNaN, {CSVLogger: {filename: "0o17"}}]
  monitor: val_loss
  mode: min
"""

    def test_of_everything_at_once(self, tmp_path: Path) -> None:
        spec = load(tmp_path, self.RICH)
        resolved = spec.resolved()
        assert Spec.model_validate(resolved) == spec
        assert resolved["dataset"]["source"] == {"moons": {"samples": 20, "noise": 0.0, "seed": None}}
        assert resolved["model"]["layers"][1] == {"Flatten": None, "name": "flat"}
        assert resolved["model"]["layers"][2]["repeat"] == 2
        assert json.loads(json.dumps(resolved)) == resolved

    def test_as_a_file_texts_stay_texts(self, tmp_path: Path) -> None:
        """What is a number in YAML 1.2 and a text in YAML 1.1, such as `1e-3`, must be written in quotes."""
        spec = load(tmp_path, self.RICH)
        RunFolder(tmp_path).write_spec(self.RICH, spec.resolved())
        assert read_document(tmp_path / "resolved.yaml").data == spec.resolved()

    def test_has_every_default_filled_in(self, tmp_path: Path) -> None:
        text = "dataset: {source: xor}\nmodel: {layers: [{Dense: {units: 1}}]}\nloss: mse\n"
        assert load(tmp_path, text).resolved() == {
            "version": 1,
            "name": "spec",
            "seed": 0,
            "dataset": {
                "source": {"xor": {"samples": 4, "noise": 0.0, "seed": None}},
                "fallback": None,
                "validation": None,
                "folds": None,
                "fold": None,
                "test": 0.2,
                "preparation": None,
                "augment": [],
                "labels": "auto",
                "batch_size": 32,
                "shuffle": True,
            },
            "model": {"layers": [{"Dense": {"units": 1}}], "outputs": None},
            "loss": "mse",
            "loss_weights": None,
            "optimizer": "RMSprop",
            "metrics": [],
            "train": {
                "epochs": 1,
                "callbacks": [],
                "class_weight": None,
                "oversample": None,
                "monitor": None,
                "mode": "auto",
                "divergence": None,
                "strategy": "auto",
                "scale_batch": False,
                "scale_learning_rate": False,
                "warmup_steps": 0,
                "tensorboard": False,
                "mlflow": None,
                "checkpoint": {"every_minutes": None, "every_steps": None, "keep": 0},
            },
            "deterministic": False,
            "precision": "float32",
            "extensions": [],
            "silence": {},
        }

    def test_is_a_copy(self, tmp_path: Path) -> None:
        spec = load(tmp_path, self.RICH)
        before = json.dumps(spec.resolved())
        resolved = spec.resolved()
        resolved["model"]["layers"][2]["Dense"]["kernel_initializer"]["HeNormal"]["seed"] = 5
        resolved["metrics"].clear()
        assert json.dumps(spec.resolved()) == before

    def test_that_this_version_cannot_read(self, tmp_path: Path) -> None:
        resolved = load(tmp_path, BASE).resolved()
        with pytest.raises(SpecError) as caught:
            restore_spec({**resolved, "seed": "x", "later": 1})
        assert len(caught.value.problems) == 2
        assert all(problem.position is None for problem in caught.value.problems)


class TestFrozen:
    @pytest.mark.parametrize(
        "path", ["name", "dataset.batch_size", "dataset.source.noise", "loss.name", "train.epochs", "model.layers"]
    )
    def test_nothing_can_be_set(self, path: str, tmp_path: Path) -> None:
        owner: Any = load(tmp_path, BASE)
        *parents, last = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        with pytest.raises(ValidationError, match="frozen"):
            setattr(owner, last, getattr(owner, last))

    def test_lists_are_tuples(self, tmp_path: Path) -> None:
        spec = load(tmp_path, changed("train:\n", "train:\n  callbacks: [TerminateOnNaN]\n"))
        assert all(isinstance(items, tuple) for items in (spec.model.layers, spec.metrics, spec.train.callbacks))


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("old", "new", "at", "hint"),
        [
            ("loss:", "los: 1\nloss:", "los:", "Did you mean `loss`?"),
            (
                "name:",
                "zzz: 1\nname:",
                "zzz",
                "`dataset`, `deterministic`, `extends`, `extensions`, `loss`, `loss_weights`, `metrics`, `model`",
            ),
            (SOURCE, SOURCE + "\n  batchsize: 3", "batchsize", "Did you mean `batch_size`?"),
            ("  layers:", "  layer: []\n  layers:", "layer:", "Did you mean `layers`?"),
            ("  epochs: 3", "  epochs: 3\n  callback: []", "callback:", "Did you mean `callbacks`?"),
            (SOURCE, "source: {xor: {samples: 8, nois: 1}}", "nois:", "Did you mean `noise`?"),
            (SOURCE, SOURCE + "\n  fallback: {moons: {zzz: 1}}", "zzz", "Allowed: `noise`, `samples`, `seed`."),
            (SOURCE, "source: {mnist: {path: a}}", "path", "It takes none."),
            (LAYER, LAYER + "\n      repeats: 2", "repeats", "Did you mean `repeat`?"),
        ],
    )
    def test_are_refused_at_every_depth(self, old: str, new: str, at: str, hint: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(old, new), at)
        assert f"`{at.rstrip(':')}` is not" in problem.message
        assert hint in str(problem.hint)

    @pytest.mark.parametrize("key", ["1", "1.5", "true", "null", ".nan"])
    @pytest.mark.parametrize("where", ["", "  "])
    def test_that_are_no_texts(self, key: str, where: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, BASE + f"{where}{key}: here\n", f"{key}: here")
        assert "key" in problem.message.lower()

    def test_missing_keys_are_named(self, tmp_path: Path) -> None:
        assert [problem.message for problem in problems(tmp_path, "seed: 1\n")] == [
            "`dataset` is missing.",
            "`model` is missing.",
            "`loss` is missing.",
        ]
        [unknown] = [item for item in problems(tmp_path, changed("source:", "sorce:")) if "sorce" in item.message]
        assert unknown.hint == "Did you mean `source`?"

    @pytest.mark.parametrize(
        ("old", "new", "at"),
        [
            ("loss:", "los:", "los:"),
            ("  source:", "  sorce:", "sorce"),
            ("model:\n", "modle:\n", "modle"),
            ("  layers:", "  layer:", "layer:"),
        ],
    )
    def test_that_are_missing_since_they_are_misspelt_are_one_mistake(
        self, old: str, new: str, at: str, tmp_path: Path
    ) -> None:
        problem = the_problem(tmp_path, changed(old, new), at)
        assert problem.hint == f"Did you mean `{old.strip().rstrip(':')}`?"

    def test_that_are_missing_are_told_beside_others_that_are_misspelt(self, tmp_path: Path) -> None:
        messages = [problem.message for problem in problems(tmp_path, "los: mse\nmodel: {layers: [Flatten]}\n")]
        assert sorted(messages) == ["`dataset` is missing.", "`los` is not a key of a spec."]

    @pytest.mark.parametrize(
        ("old", "new", "key", "hint"),
        [
            ("  epochs: 3", "  batch_size: 3", "batch_size", "`batch_size` belongs to `dataset`."),
            ("name:", "epochs: 3\nname:", "epochs", "`epochs` belongs to `train`."),
            (
                "  epochs: 3",
                "  optimizer: SGD",
                "optimizer: SGD",
                "`optimizer` belongs at the top of the spec, beside `train`.",
            ),
            (SOURCE, SOURCE + "\n  noise: 1", "noise", "`noise` is an argument of a source"),
        ],
    )
    def test_of_another_section(self, old: str, new: str, key: str, hint: str, tmp_path: Path) -> None:
        assert hint in str(the_problem(tmp_path, changed(old, new), key).hint)

    def test_are_shortened(self, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, BASE + f"{'x' * 1000}: 1\n")
        assert len(problem.message) < 200


class TestRemedies:
    @pytest.mark.parametrize(
        ("old", "new", "hint"),
        [
            ("epochs: 3", 'epochs: "3"', "Write `3`, without quotes."),
            ("epochs: 3", "epochs: 1_000", "Write `1000`."),
            ("epochs: 3", "epochs: $rounds", "Write `${rounds}`."),
            ("epochs: 3", "epochs: (3, 4)", "Write `[3, 4]`."),
            ("epochs: 3", "epochs: None", "Write `null`."),
            ("epochs: 3", "mode: maxx", "Did you mean `max`?"),
            (SOURCE, SOURCE + "\n  validation: None", "Write `null`."),
            (SOURCE, SOURCE + "\n  validation: 20%", "Write `0.2`."),
            (SOURCE, SOURCE + "\n  test: 0,25", "Write `0.25`, with a point."),
            (SOURCE, SOURCE + "\n  shuffle: yes", "Write `true`."),
            ("metrics: [accuracy]", "metrics: accuracy", "Write `metrics: [accuracy]`."),
            ("metrics: [accuracy]", "metrics: {accuracy: {}}", "Start each item of the list with `- `."),
            ("train:\n  epochs: 3", "train: epochs=3", "Write `epochs: 3`."),
            ("train:\n  epochs: 3", "train:\n  epochs:3", "Put a space after the `:`: `epochs: 3`."),
            ("name: base", "name: base\nsilence: [no-shuffle]", "Write `silence: {code: reason}`."),
            ("optimizer: Adam", "optimizer:\n  Adam:\n  beta_1: 1", "Indent `beta_1` below `Adam`."),
            ("optimizer: Adam", "optimizer: {type: Adam, beta_1: 0.9}", "Write `optimizer: {Adam: {beta_1: 0.9}}`."),
            (LAYER, "- Dense: units=8, activation='tanh'", "Write `Dense: {units: 8, activation: tanh}`."),
            (LAYER, "- Dense:\n      units: 8", "Indent `units` deeper than `Dense`."),
        ],
    )
    def test_say_what_to_write(self, old: str, new: str, hint: str, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, changed(old, new))
        assert problem.hint == hint

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("keras.layers.Flatten", "Write `Flatten`."),
            ("tf.keras.layers.Dense(16)", "Write `Dense: {argument: value}`."),
            ("Dense(units=16, use_bias=False)", "Write `Dense: {units: 16, use_bias: false}`."),
            ("Conv2D(filters=8, kernel_size=(3, 3))", "Write `Conv2D: {filters: 8, kernel_size: [3, 3]}`."),
            ("Flatten()", "Write `Flatten`."),
            ("Dense:16", "Put a space after the `:`: `Dense: 16`."),
            ("None", "Write `null`."),
            ("$width", "Write `${width}`."),
            ("Dense", None),
            ("sparse categorical", None),
        ],
    )
    def test_of_a_name_in_python(self, text: str, hint: str | None) -> None:
        assert python_name(text) == hint

    def test_of_a_reason_that_is_no_mapping(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed("name: base", "name: base\nsilence: [no-shuffle]"), "silence")
        assert problem.message == "`silence` must be a mapping; received a list."

    def test_of_arguments_beside_their_layer(self, tmp_path: Path) -> None:
        text = changed(LAYER, "- Dense:\n      units: 8\n      activation: tanh")
        problem = the_problem(tmp_path, text, "units: 8")
        assert "`units`, `activation` stand beside `Dense`, not below it" in problem.message


class TestTypes:
    @pytest.mark.parametrize("written", ['"3"', "yes", "3.0", "true", "1e3", "[3]", "{a: 1}", "null", ".inf"])
    @pytest.mark.parametrize("key", ["epochs", "batch_size", "seed", "repeat"])
    def test_whole_number(self, key: str, written: str, tmp_path: Path) -> None:
        texts = {
            "epochs": changed("epochs: 3", f"epochs: {written}"),
            "batch_size": changed(SOURCE, f"{SOURCE}\n  batch_size: {written}"),
            "seed": f"seed: {written}\n{BASE}",
            "repeat": changed(LAYER, f"{LAYER}\n      repeat: {written}"),
        }
        at = key if written[0] in "[{" else written
        problem = the_problem(tmp_path, texts[key], at)
        where = "`repeat` of the 1st layer (`Dense`)" if key == "repeat" else f"{key}`"
        assert f"{where} must be a whole number; received" in problem.message

    @pytest.mark.parametrize("written", ["yes", "no", "1", "0.0", '"true"', "null"])
    def test_bool(self, written: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(SOURCE, f"{SOURCE}\n  shuffle: {written}"), f"{written}\nmodel")
        assert "`dataset.shuffle` must be `true` or `false`; received" in problem.message

    @pytest.mark.parametrize("written", ["3", "true", "1e-3", "[a]", "null"])
    def test_text(self, written: str, tmp_path: Path) -> None:
        at = "name" if written[0] == "[" else written
        assert "`name` must be a text" in the_problem(tmp_path, changed("name: base", f"name: {written}"), at).message

    @pytest.mark.parametrize("key", ["metrics", "callbacks", "augment", "preparation", "layers"])
    @pytest.mark.parametrize("written", ["accuracy", "{accuracy: {}}", "3"])
    def test_list(self, key: str, written: str, tmp_path: Path) -> None:
        texts = {
            "metrics": changed("metrics: [accuracy]", f"metrics: {written}"),
            "callbacks": BASE + f"  callbacks: {written}\n",
            "augment": changed(SOURCE, f"{SOURCE}\n  augment: {written}"),
            "preparation": changed(SOURCE, f"{SOURCE}\n  preparation: {written}"),
            "layers": changed(BASE[BASE.index("model:") : BASE.index("loss:")], f"model:\n  layers: {written}\n"),
        }
        at = f"{key}:" if written[0] == "{" else f"{written}\n"
        if key == "callbacks" and written == "3":
            texts[key] = texts[key].replace("epochs: 3", "epochs: 4")
        assert f"{key}` must be a list; received" in the_problem(tmp_path, texts[key], at).message

    @pytest.mark.parametrize(("written", "at"), [("3", "3"), ("[]", "train"), ("text", "text")])
    def test_mapping(self, written: str, at: str, tmp_path: Path) -> None:
        text = changed("train:\n  epochs: 3\n", f"train: {written}\n")
        assert "`train` must be a mapping" in the_problem(tmp_path, text, at).message

    def test_a_whole_number_is_a_number(self, tmp_path: Path) -> None:
        spec: Any = load(tmp_path, changed(SOURCE, "source: {moons: {noise: 1}}\n  test: 0"))
        assert (spec.dataset.source.noise, spec.dataset.test) == (1.0, 0.0)


class TestBounds:
    @pytest.mark.parametrize(
        ("old", "new", "at", "expected"),
        [
            ("epochs: 3", "epochs: 0", "0", "`train.epochs` must be at least 1; received 0."),
            (SOURCE, SOURCE + "\n  batch_size: -1", "-1", "`dataset.batch_size` must be at least 1; received -1."),
            (
                LAYER,
                LAYER + "\n      repeat: 0",
                "0",
                "`repeat` of the 1st layer (`Dense`) must be at least 1; received 0",
            ),
            ("epochs: 3", f"epochs: {2**31}", "2147", f"`train.epochs` must be at most {2**31 - 1}; received {2**31}."),
            ("name: base", "name: base\nseed: -1", "-1", "`seed` must be at least 0; received -1."),
            ("name: base", f"name: base\nseed: {2**32}", "42", f"`seed` must be less than {2**32}; received {2**32}."),
            (SOURCE, SOURCE + "\n  test: 1.0", "1.0", "`dataset.test` must be less than 1.0; received 1.0."),
            (SOURCE, SOURCE + "\n  test: -0.1", "-0.1", "`dataset.test` must be at least 0.0; received -0.1."),
            ("epochs: 3", "mode: up", "up", '`train.mode` must be `auto`, `min` or `max`; received the text "up".'),
        ],
    )
    def test_are_named(self, old: str, new: str, at: str, expected: str, tmp_path: Path) -> None:
        assert the_problem(tmp_path, changed(old, new), at).message.startswith(expected)

    @pytest.mark.parametrize("written", ["../x", "a/b", "a b", '""', ".hidden", "-x", "é", '"a\\n"', "x" * 101])
    def test_of_the_name_which_becomes_a_folder(self, written: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed("name: base", f"name: {written}"), written)
        assert "`name` must" in problem.message
        assert "String" not in problem.message

    @pytest.mark.parametrize("written", ["_x", "-x", ".x"])
    def test_of_the_first_character_of_the_name(self, written: str, tmp_path: Path) -> None:
        """Every character of these is allowed; the message must say that the first is another matter."""
        problem = the_problem(tmp_path, changed("name: base", f"name: {written}"), written)
        assert "start" in problem.message or "begin" in problem.message or "first" in problem.message

    @pytest.mark.parametrize("written", ["a", "A.b-c_1", "0", "x" * 100])
    def test_names_that_are_allowed(self, written: str, tmp_path: Path) -> None:
        assert load(tmp_path, changed("name: base", f"name: '{written}'")).name == written

    def test_a_file_whose_name_is_none_for_a_run(self, tmp_path: Path) -> None:
        """The name that is wrong stands nowhere in the file: the hint must say to write one."""
        path = tmp_path / "my spec.yaml"
        path.write_text(changed("name: base\n", ""))
        with pytest.raises(SpecError) as caught:
            load_spec(path, shipped_catalogue())
        [problem] = caught.value.problems
        assert "`name:" in str(problem.trail)
        assert '"my spec"' in problem.message


class TestValidation:
    @pytest.mark.parametrize(
        ("written", "value"), [("0.1", 0.1), ("1e-3", 0.001), ("0.999", 0.999), ("test", "test"), ("null", None)]
    )
    def test_allowed(self, written: str, value: Any, tmp_path: Path) -> None:
        assert load(tmp_path, changed(SOURCE, f"{SOURCE}\n  validation: {written}")).dataset.validation == value

    @pytest.mark.parametrize("written", ["0", "1", "-0.1", ".nan", ".inf", "Test", '"0.1"', "true", "[0.1]", "{a: 1}"])
    def test_refused(self, written: str, tmp_path: Path) -> None:
        at = "validation" if written[0] in "[{" else f"{written}\nmodel"
        problem = the_problem(tmp_path, changed(SOURCE, f"{SOURCE}\n  validation: {written}"), at)
        assert "`dataset.validation` must be a fraction between 0 and 1, or `test`" in problem.message


# Those whose arguments may all be left out, with one input and one target.
WITH_ARGUMENTS = (
    "shapes", "pairs", "ratings", "random", "csv", "series", "arrays", "images", "text", "video", "tfrecord", "python",
    "imdb", "reuters",
)  # fmt: skip
ONE_OF_EACH = [name for name in SOURCES if name not in WITH_ARGUMENTS]


class TestSources:
    @pytest.mark.parametrize("name", ONE_OF_EACH)
    @pytest.mark.parametrize("form", ["{}", "{{{}: }}", "{{{}: {{}}}}"])
    def test_without_arguments(self, name: str, form: str, tmp_path: Path) -> None:
        spec = load(tmp_path, changed(SOURCE, f"source: {form.format(name)}"))
        assert spec.dataset.source == SOURCES[name]()
        assert Spec.model_validate(spec.resolved()) == spec

    @pytest.mark.parametrize(
        ("written", "arguments"),
        [
            ("{xor: {samples: 8, noise: 0.5, seed: 3}}", {"samples": 8, "noise": 0.5, "seed": 3}),
            ("{circles: {samples: 10, factor: 0.9}}", {"samples": 10, "noise": 0.05, "factor": 0.9, "seed": None}),
            ("{blobs: {features: 5}}", {"samples": 1000, "centers": 3, "features": 5, "spread": 0.2, "seed": None}),
        ],
    )
    def test_with_arguments(self, written: str, arguments: dict[str, Any], tmp_path: Path) -> None:
        assert load(tmp_path, changed(SOURCE, f"source: {written}")).dataset.source.__dict__ == arguments

    def test_shape_of_blobs(self) -> None:
        assert SOURCES["blobs"](features=5).example_shape == (5,)
        assert SOURCES["mnist"]().example_shape == (28, 28)

    @pytest.mark.parametrize("key", ["source", "fallback"])
    @pytest.mark.parametrize(
        ("name", "argument", "written", "expected"),
        [
            ("xor", "samples", "5", "must be a multiple of 4"),
            ("xor", "samples", "0", "must be at least 4"),
            ("xor", "noise", "-1", "must be at least 0"),
            ("xor", "noise", ".inf", "must be a finite number"),
            ("xor", "seed", "1.5", "must be a whole number"),
            ("circles", "factor", "1", "must be less than 1"),
            ("circles", "factor", "0.0", "must be greater than 0"),
            ("moons", "samples", "9", "must be at least 10"),
            ("moons", "noise", "true", "must be a number"),
            ("moons", "noise", "text", "must be a number"),
            ("spirals", "turns", "0", "must be greater than 0"),
            ("spirals", "turns", ".nan", "must be a finite number"),
            ("blobs", "centers", "1", "must be at least 2"),
            ("blobs", "features", "0", "must be at least 1"),
        ],
    )
    def test_arguments_out_of_bounds(
        self, key: str, name: str, argument: str, written: str, expected: str, tmp_path: Path
    ) -> None:
        line = f"{key}: {{{name}: {{{argument}: {written}}}}}"
        text = changed(SOURCE, line if key == "source" else f"{SOURCE}\n  {line}")
        problem = the_problem(tmp_path, text, f"{written}}}}}")
        assert f"`dataset.{key}.{name}.{argument}` {expected}" in problem.message

    @pytest.mark.parametrize(("written", "suggested"), [("mnits", "mnist"), ("Xor", "xor"), ("{moon: {}}", "moons")])
    def test_unknown(self, written: str, suggested: str, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, changed(SOURCE, f"source: {written}"))
        assert "is not a source" in problem.message
        assert problem.hint == f"Did you mean `{suggested}`?"

    def test_unknown_with_nothing_close(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(SOURCE, "source: zzz"), "zzz")
        text = f"{problem.message} {problem.hint}"
        assert "`zzz` is not a source" in problem.message
        assert all(f"`{name}`" in text for name in SOURCES)

    @pytest.mark.parametrize("written", ["[xor]", "3", "{moons: {}, circles: {}}", "{}", ""])
    def test_written_in_another_way(self, written: str, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, changed(SOURCE, f"source: {written}"))
        assert "`dataset.source` must be a source name, or `Name: {arguments}`; received" in problem.message
        assert "Keras" not in problem.message

    @pytest.mark.parametrize(
        ("written", "at"), [("{xor: 8}", "source"), ("{xor: [8]}", "source"), ("{xor: {1: 2}}", "1: 2")]
    )
    def test_arguments_without_names(self, written: str, at: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(SOURCE, f"source: {written}"), at)
        assert "The arguments of `xor` are written by name" in problem.message


class TestLayerWords:
    def test_beside_the_layer(self, tmp_path: Path) -> None:
        words = "\n      name: hidden.1-a_b\n      trainable: false\n      repeat: 2"
        entry = load(tmp_path, changed(LAYER, LAYER + words)).model.layers[0]
        assert (entry.layer.name, dict(entry.layer.arguments)) == ("Dense", {"units": 8, "activation": "tanh"})
        assert (entry.name, entry.trainable, entry.repeat) == ("hidden.1-a_b", False, 2)

    def test_left_out(self, tmp_path: Path) -> None:
        entry = load(tmp_path, BASE).model.layers[0]
        assert (entry.name, entry.trainable, entry.repeat) == (None, True, 1)

    @pytest.mark.parametrize(
        ("word", "written", "expected"),
        [
            ("name", "3", "must be a text"),
            ("name", "a/b", "must be made of"),
            ("name", "''", "must be made of"),
            ("trainable", "yes", "must be `true` or `false`"),
            ("repeat", "0", "must be at least 1"),
            ("repeat", "1.5", "must be a whole number"),
        ],
    )
    def test_wrong_values(self, word: str, written: str, expected: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, f"{LAYER}\n      {word}: {written}"), f"{written}\n    -")
        assert f"`{word}` of the 1st layer (`Dense`) {expected}" in problem.message

    @pytest.mark.parametrize("written", ["- {}", "- name: x", "- {name: x, repeat: 2}"])
    def test_without_a_layer(self, written: str, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, changed(LAYER, written))
        assert "The 1st layer must be one Keras layer" in problem.message
        assert "received the names none" not in problem.message

    def test_two_layers_in_one_entry(self, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, f"{LAYER}\n      Dropout: {{rate: 0.5}}"), "Dense")
        assert "`Dense`, `Dropout`" in problem.message

    @pytest.mark.parametrize("word", ["layer", "repeats", "reads", "1"])
    def test_unknown_words(self, word: str, tmp_path: Path) -> None:
        problem = the_problem(tmp_path, changed(LAYER, f"{LAYER}\n      {word}: Flatten"), f"{word}: Flatten")
        assert word in problem.message
        assert "the 1st layer" in problem.message

    def test_no_layers(self, tmp_path: Path) -> None:
        layers = BASE[BASE.index("  layers:") : BASE.index("loss:")]
        assert "must not be empty" in the_problem(tmp_path, changed(layers, "  layers: []\n"), "layers").message

    def test_the_only_layer_is_wrong(self, tmp_path: Path) -> None:
        layers = BASE[BASE.index("  layers:") : BASE.index("loss:")]
        assert "`Dropout`" in the_problem(tmp_path, changed(layers, "  layers: [Dropout: 3]\n"), "Dropout").message

    def test_are_no_arguments_of_other_objects(self, tmp_path: Path) -> None:
        text = changed(SOURCE, f"{SOURCE}\n  augment: [{{GaussianNoise: {{stddev: 1}}, name: a}}]")
        assert "`GaussianNoise`, `name`" in the_problem(tmp_path, text, "{Gauss").message


class TestSeveralMistakes:
    TEXT = """\
# Every line that ends in ! has a mistake.
name: a/b                                # !
seed: -1                                 # !
dataset:
  source: {moons: {nois: 1, samples: 3}} # ! !
  validation: 2.0                        # !
model:
  layers:
    - Dense: {units: 8, activation: rulu} # !
    - Dropout: 0.5                       # !
    - Dens: {units: 1}                   # !
      repeat: 0                          # !
loss: [mse]                              # !
optimizer: {SGD: {lr: 0.1}}              # !
metrics: [acc, {AUC: {num_threshold: 3}}] # !
train:
  epochs: "3"                            # !
  epoch: 3                               # !
  callbacks: [EarlyStoping]              # !
"""

    def test_are_all_reported_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        found = [problem.position.line for problem in problems(tmp_path, self.TEXT) if problem.position]
        expected = [number for number, line in enumerate(self.TEXT.splitlines(), 1) for _ in range(line.count("!"))]
        assert found == expected[1:]  # but for the comment on top

    def test_have_their_places_sorted_within_a_line(self, tmp_path: Path) -> None:
        places = [(p.position.line, p.position.column) for p in problems(tmp_path, self.TEXT) if p.position]
        assert places == sorted(places)
        assert len(set(places)) == len(places)
