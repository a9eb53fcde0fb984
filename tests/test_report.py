"""`dlcli report`: the page says what the run's files say, whatever the data is like; the word on the fit is right."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dlcli.data.sortedness import sortedness
from dlcli.evaluation.by_class import by_class
from dlcli.figures import number
from dlcli.model.summary import LayerSummary, ModelSummary, WeightSummary
from dlcli.report.advice import advice_for
from dlcli.report.answers import Answers, AnyAnswers, ClassAnswers, NumberAnswers
from dlcli.report.base import differences_from_base
from dlcli.report.charts import predicted_true
from dlcli.report.course import Course, Score
from dlcli.report.diagnosis import diagnose
from dlcli.report.drawing import drawing
from dlcli.report.judging import course_of
from dlcli.report.leaks import telling_column
from dlcli.report.network import drawing_of
from dlcli.report.page import Told, render
from dlcli.report.remedies import had_by, smoothed
from dlcli.report.sections import sections_of
from dlcli.report.story import Story
from dlcli.report.writing import _curves
from dlcli.training.engine import Engine
from tests.browser import CHROMIUM, wrong_with
from tests.conftest import Command, run_quietly, thorough
from tests.killing import compare, outcome

COURSES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "report_courses.json").read_text())


class Page(HTMLParser):
    """What a browser would see: figures by name, text, and every address that it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.figures: list[tuple[str, float, str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.findings: list[str] = []
        self.text = self.prose = ""
        self._figure: tuple[str, float] | None = None
        self._hidden = self._is_spec = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [
            str(given[name]) for name in ("src", "href", "xlink:href", "srcset", "action") if name in given
        ]
        self.addresses += re.findall(r"url\(([^)]*)\)", given.get("style") or "")
        self._hidden = tag == "style"
        self._is_spec = tag == "pre"
        self._figure = None
        if "data-finding" in given:
            self.findings.append(str(given["data-finding"]))
        if given.get("data-figure"):
            self._figure = str(given["data-figure"]), float(str(given["data-value"]))

    def handle_data(self, data: str) -> None:
        if self._figure is not None:
            self.figures.append((*self._figure, data))
            self._figure = None
        if not self._hidden:
            self.text += data
            self.prose += "" if self._is_spec else data

    def assert_whole(self) -> None:
        assert not {"script", "link", "iframe", "object", "base"} & set(self.tags)
        assert [one for one in self.addresses if not one.startswith(("data:", "#"))] == []
        assert not re.search(r"\bnan\b", self.prose)


def assert_figures(page: Page, metrics: dict[str, Any]) -> None:
    """Each figure on the page is that of metrics.json, to the last digit, and none is missing."""
    known = {
        f"{split}.{name}": value
        for split, row in metrics.items()
        if isinstance(row, dict)
        for name, value in row.items()
    }
    assert {key for key, _, _ in page.figures} == set(known)
    for key, exact, shown in page.figures:
        assert exact == known[key]
        assert shown == number(known[key])


SUMMARY = ModelSummary(
    "net", {"input": (None, 2)}, (
        LayerSummary("a", "Dense", ((None, 4),), (WeightSummary("kernel", (2, 4), True),), 8, "relu", ("input",)),
        LayerSummary("a_very_long_name_of_a_layer_that_is_<b>bold</b>", "Dense", ((None, 4),), reads=("a",)),
        LayerSummary("sum", "Add", ((None, 4),), reads=("a", "a_very_long_name_of_a_layer_that_is_<b>bold</b>")),
    ),
)  # fmt: skip


def story(history: Sequence[dict[str, float]], metrics: dict[str, dict[str, float]], **other: Any) -> Story:
    rows = tuple({"epoch": at, **row, "learning_rate": 0.01, "seconds": 0.1} for at, row in enumerate(history, start=1))
    spec = {"name": "made", "seed": 0, "dataset": {"shuffle": True}, "train": {"epochs": len(rows)}, "loss": "mse"}
    given = {
        "name": "made", "checkpoint": None, "record": {}, "history": rows, "metrics": metrics, "best_epoch": 1,
        "monitor": "loss", "summary": SUMMARY, "spec": spec, "written": None, "data": {"source": "csv"}, "versions": {},
        "seconds": 1.0,
    }  # fmt: skip
    return Story(**{**given, **other})


def job_of(inputs: np.ndarray, kind: str = "features") -> Any:
    data = SimpleNamespace(inputs=inputs)
    rows = {"test": SimpleNamespace(data=data, order=np.arange(len(inputs)))}
    return SimpleNamespace(rows=rows, facts=SimpleNamespace(kind=kind, reader=None, feature_names=None))


def page_of(told: Story, answers: AnyAnswers | None, inputs: np.ndarray | None = None, kind: str = "features") -> Page:
    page = text_of(told, {"": answers} if answers is not None else {}, inputs, kind)
    read = Page(page)
    read.assert_whole()
    assert len(page) < 3_000_000
    return read


def text_of(
    told: Story, answers: dict[str, AnyAnswers], inputs: np.ndarray | None = None, kind: str = "features"
) -> str:
    with drawing():
        found = sections = None
        if answers and inputs is not None:
            found = Answers("test", np.arange(len(inputs)), len(inputs), answers, {"accuracy": 0.4})
            sections = sections_of(job_of(inputs, kind), found)
        course = course_of(told, found)
        return render(
            Told(
                told, found, course.score, diagnose(course), _curves(told), sections or [],
                differences_from_base(told), told.missing,
            )
        )  # fmt: skip


def class_answers(names: Sequence[str], count: int = 60) -> ClassAnswers:
    random = np.random.default_rng(1)
    scores = random.dirichlet(np.ones(len(names)), count).astype(np.float32)
    return ClassAnswers(tuple(names), random.integers(0, len(names), count), scores)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("few_rows", ["overfitting"]),
        ("forgetful", ["not-shuffled"]),
        ("good", ["good"]),
        ("jumping_rate", ["unstable"]),
        ("label_noise", ["label-noise"]),
        ("memorised", ["label-noise", "overfitting"]),
        ("mpg", ["good"]),
        ("not_shuffled", ["good"]),  # it does no harm there
        ("nothing_in_it", ["learned-nothing"]),
        ("small_rate", ["undertrained"]),
        ("sms_spam", ["good"]),
        ("spirals", ["good"]),
        ("temperatures", ["good"]),
        ("too_large_rate", ["diverged"]),
        ("too_small", ["underfitting"]),
        # and trainings by which the first rules were put to the test:
        ("bottleneck", ["underfitting"]),
        ("linear_circles", ["learned-nothing"]),
        ("linear_moons", ["underfitting"]),
        ("rate_too_large_sgd", ["diverged"]),
        ("rate_large_momentum", ["thrown-off"]),
        ("rate_large_adam", ["thrown-off"]),
        ("rate_small_adam", ["undertrained"]),
        ("few_rows_wide", ["overfitting"]),
        ("noise30_learned_by_heart", ["label-noise", "overfitting"]),
        ("noise10", ["label-noise"]),
        ("noise_moons", ["label-noise"]),
        ("hard_not_noisy", ["underfitting"]),
        ("unshuffled_harmless", ["good"]),
        ("two_epochs", ["short"]),
        ("late_overfitting_digits_noise", ["label-noise", "overfitting"]),
        ("nan_regression", ["diverged"]),
        ("regression_linear", ["underfitting"]),
        ("regression_few_rows", ["overfitting"]),
        ("regression_good", ["good"]),
        ("regression_slow", ["undertrained"]),
        ("regression_unscaled", ["undertrained"]),
        ("regression_noise_only", ["learned-nothing"]),
        ("no_validation_overfit", ["overfitting"]),
        ("no_validation_good", ["good"]),
        ("unbalanced_majority", ["learned-nothing"]),
        ("unbalanced_well", ["good"]),
        ("random_labels_heart", ["overfitting"]),
        ("schedule_plateau", ["good"]),
        ("early_stopped_overfit", ["overfitting"]),
        ("sigmoid_good", ["good"]),
        ("dead_relu", ["learned-nothing"]),
        ("wine_surer", ["good"]),
        ("few_test_rows", ["good"]),
        ("dropout_too_much", ["undertrained"]),
        ("warm_jump_then_fine", ["overfitting"]),
        ("plateau_regression", ["good"]),
        # and others, made and judged by eye before the rules said anything of them:
        ("batch_all", ["undertrained"]),
        ("batch_one", ["thrown-off"]),
        ("dead_relus", ["learned-nothing"]),
        ("decay_too_early", ["rate-spent"]),
        ("early_cut", ["short"]),
        ("early_right", ["good"]),
        ("good_regression", ["good"]),
        ("images_augmented", ["good"]),
        ("images_few", ["overfitting", "few-examples"]),
        ("imbalance", ["learned-nothing"]),
        ("imbalance_weighted", ["undertrained"]),
        ("late_collapse", ["unstable"]),
        ("leak", ["given-away", "good"]),
        ("no_shuffle_regression", ["unstable"]),
        ("no_shuffle_sorted", ["not-shuffled"]),
        ("noise_small_net", ["overfitting"]),
        ("pure_noise_regression", ["learned-nothing"]),
        ("pure_noise_small", ["learned-nothing"]),
        ("random_walk", ["as-it-was", "overfitting"]),
        ("rate_high_regression", ["unstable"]),
        ("rate_huge_adam", ["thrown-off"]),
        ("rate_tiny", ["undertrained"]),
        ("reduce_on_plateau", ["plateau"]),
        ("restarts", ["good"]),
        ("shifted_validation", ["overfitting"]),
        ("sigmoid_for_number", ["learned-nothing"]),
        ("small_checker", ["learned-nothing"]),
        ("strong_l2", ["learned-nothing"]),
        ("target_scale", ["undertrained"]),
        ("text_few", ["overfitting"]),
        ("text_random_labels", ["learned-nothing"]),
        ("tiny_validation", ["undertrained", "few-examples"]),
        ("undertrained_digits", ["undertrained"]),
        ("undertrained_regression", ["undertrained"]),
        ("resumed", ["good"]),
        # and others, of which the rules before said something else:
        ("dropout_90", ["underfitting"]),
        ("early_too_soon", ["short"]),
        ("few_texts", ["overfitting"]),
        ("healthy_early_stopping", ["good"]),
        ("healthy_iris", ["good"]),
        ("imbalance_learned", ["good"]),
        ("l2_strong_regression", ["underfitting"]),
        ("label_noise_digits", ["label-noise", "overfitting"]),
        ("label_noise_linear", ["underfitting"]),
        ("long_plateau", ["good"]),
        ("rate_large_penguins", ["unstable"]),
        ("relu_last_regression", ["out-of-reach"]),
        ("rise_of_few", ["good", "few-examples"]),
        ("validation_easier", ["easier", "underfitting"]),
        # and others still, most of which are as they should be, or fail in ways that are easily taken for another:
        ("balanced_wobble", ["good"]),
        ("cnn_nearly_done", ["good"]),
        ("diabetes_by_heart", ["overfitting"]),
        ("few_epochs_series", ["undertrained"]),
        ("few_numbers_by_heart", ["overfitting", "few-examples"]),
        ("four_units_spirals", ["underfitting"]),
        ("no_validation_few", ["overfitting", "few-examples"]),
        ("noise30_digits", ["label-noise", "overfitting"]),
        ("noise_in_training", ["label-noise"]),
        ("numbers_thrown_afar", ["unstable"]),
        ("one_unit_checker", ["underfitting"]),
        ("rare_and_hard", ["good"]),
        ("rare_found", ["good"]),
        ("rate_large_moons", ["unstable"]),
        ("rate_small_cnn", ["undertrained"]),
        ("rate_small_digits", ["undertrained"]),
        ("rate_small_moons", ["undertrained"]),
        ("rate_thousands_off", ["unstable"]),
        ("sorted_harmless", ["not-shuffled", "good"]),
        ("steady_from_afar", ["undertrained"]),
        ("stopped_texts", ["good"]),
        ("surer_linear", ["good"]),
        ("texts_still_falling", ["good"]),
        ("three_units_digits", ["underfitting"]),
        ("thrown_far", ["thrown-off"]),
        ("thrown_numbers", ["thrown-off"]),
        ("two_units_digits", ["underfitting"]),
    ],
)
def test_the_word_on_the_fit_of_trainings_that_were_made_so(name: str, expected: list[str]) -> None:
    written = COURSES[name]
    score = Score(**written["score"]) if written["score"] else None
    findings = diagnose(Course(**{**written, "score": score}))
    assert [finding.kind for finding in findings] == expected
    assert all(re.search(r"\d", " ".join(finding.evidence)) for finding in findings)
    assert all(finding.advice for finding in findings if not finding.is_good)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"is_shuffled": False, "sortedness": 0.97}, ["not-shuffled"]),
        ({"is_shuffled": False, "sortedness": 0.97, "classes": 0}, ["not-shuffled"]),
        ({"is_shuffled": False, "sortedness": 0.1}, ["undertrained"]),
        ({"is_shuffled": False}, ["undertrained"]),
    ],
    ids=str,
)
def test_examples_that_come_class_by_class_are_told_whatever_the_curves_are(
    given: dict[str, Any], expected: list[str]
) -> None:
    written = COURSES["undertrained_digits"]
    course = Course(**{**written, "score": Score(**written["score"]), "classes": 10, **given})
    findings = diagnose(course)
    assert [finding.kind for finding in findings] == expected
    assert ("97%" in findings[0].evidence[-1]) == (course.classes > 0 and expected == ["not-shuffled"])
    assert course.score is not None
    enough = replace(course, score=replace(course.score, train=0.99, held_out=0.98))
    told = [finding.kind for finding in diagnose(enough)]
    assert told == (["not-shuffled", "good"] if expected == ["not-shuffled"] else ["good"])
    series = replace(course, score=replace(course.score, last_value=0.1))
    assert "not-shuffled" not in [finding.kind for finding in diagnose(series)]


@pytest.mark.parametrize(
    ("targets", "least", "most"),
    [
        (np.repeat([0, 1, 2], 40).astype(np.int32), 0.95, 1.0),
        (np.random.default_rng(0).integers(0, 3, 600).astype(np.int32), -0.15, 0.15),
        (np.tile(np.arange(3, dtype=np.int32), 40), -0.6, -0.4),
        (np.linspace(-1, 1, 50, dtype=np.float32), 0.99, 1.01),
        (np.random.default_rng(0).normal(size=600).astype(np.float32), -0.15, 0.15),
    ],
    ids=["class by class", "classes by chance", "classes by turns", "sorted numbers", "numbers by chance"],
)
def test_how_sorted_targets_are(targets: np.ndarray, least: float, most: float) -> None:
    found = sortedness(targets)
    assert found is not None
    assert least <= found <= most


@pytest.mark.parametrize("targets", [np.zeros(9, np.int32), np.ones(9, np.float32), np.eye(4), np.zeros(2, np.int32)])
def test_of_what_does_not_differ_nothing_is_said(targets: np.ndarray) -> None:
    assert sortedness(targets) is None


@pytest.mark.parametrize(
    ("name", "first", "unsaid"),
    [
        ("batch_all", "A larger learning rate", "units"),
        ("dead_relus", "Another learning rate", "standardized"),
        ("decay_too_early", "A schedule that takes longer", "units"),
        ("dropout_90", "Less `Dropout`", "clipnorm"),
        ("early_cut", "More `patience`", "units"),
        ("early_too_soon", "More `patience`", "units"),
        ("imbalance", "class_weight: balanced", "standardized"),
        ("l2_strong_regression", "Less regularization", "clipnorm"),
        ("no_shuffle_regression", "`dataset.shuffle: true`", "units"),
        ("pure_noise_regression", "What is asked may not be in the inputs", "More units"),
        ("rate_tiny", "A larger learning rate", "units"),
        ("relu_last_regression", "No activation in the last layer", "units"),
        ("strong_l2", "Less regularization", "clipnorm"),
        ("target_scale", "labels: standardized", "regularization"),
        ("text_random_labels", "What is asked may not be in the inputs", "More units"),
    ],
)
def test_what_is_advised_first_is_about_the_cause(name: str, first: str, unsaid: str) -> None:
    written = COURSES[name]
    findings = diagnose(Course(**{**written, "score": Score(**written["score"])}))
    advice = [line for finding in findings for line in finding.advice]
    assert first in advice[0]
    assert not any(unsaid in line for line in advice)


@pytest.mark.parametrize(
    ("train", "validation", "kind"),
    [
        ([], [], "unknown"),
        ([1.0], [1.0], "short"),
        ([1.0, math.nan], [1.0, math.nan], "diverged"),
        ([1.0, math.inf], [], "diverged"),
        ([2.0, 1.0, 0.7, 0.5, 0.4], [2.1, 1.1, 0.8, 0.6, 0.5], "undertrained"),
        ([1.0, 3.0, 0.9, 4.0, 0.8, 3.5, 1.0], [], "unstable"),
    ],
)
def test_the_word_on_the_fit_of_curves_alone(train: list[float], validation: list[float], kind: str) -> None:
    assert diagnose(Course(train, validation, best_epoch=1))[0].kind == kind


@pytest.mark.parametrize(
    ("place", "answers", "expected"),
    [
        (lambda column, kind: kind * 2.0 + 1, "classes", "b"),
        (lambda column, kind: -kind + 0.01 * column, "classes", "b"),
        (lambda column, kind: kind + 2.0 * column, "classes", ""),
        (lambda column, kind: kind, "numbers", "b"),
        (lambda column, kind: kind + 0.3 * column, "numbers", ""),
    ],
)
def test_a_column_that_gives_the_answer_away(place: Any, answers: str, expected: str) -> None:
    random = np.random.default_rng(0)
    x, kind = random.normal(size=(90, 3)), np.arange(90) % 3
    x[:, 1] = place(x[:, 1], kind)
    job = job_of(x)
    job.rows["train"] = job.rows["test"]
    job.rows["train"].data.targets, job.facts.feature_names = kind, ("a", "b", "c")
    numbers = NumberAnswers(np.zeros(9), np.zeros(9))
    given = class_answers(["no", "yes", "maybe"]) if answers == "classes" else numbers
    assert telling_column(job, _only(given)) == expected
    job.facts.feature_names = None
    assert telling_column(job, _only(given)) == ""


def test_nobody_is_told_to_add_what_a_spec_has() -> None:
    whole = {
        "dataset": {"augment": ["RandomFlip"], "batch_size": 64, "labels": "standardized"},
        "model": {"layers": [{"Dense": {"units": 8, "kernel_regularizer": {"L2": {"l2": 0.1}}}}, {"Dropout": {}}]},
        "optimizer": {"SGD": {"learning_rate": {"CosineDecay": {"decay_steps": 9}}, "clipnorm": 1.0}},
        "loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}},
        "train": {"callbacks": [{"EarlyStopping": {}}], "class_weight": "balanced", "divergence": {"retries": 3}},
    }
    bare = {
        "dataset": {"augment": [], "batch_size": 8}, "optimizer": "adam", "loss": "binary_crossentropy",
        "model": {"layers": [{"Dense": {"units": 8, "kernel_regularizer": None}}]}, "train": {"callbacks": []},
    }  # fmt: skip
    pictures = replace(SUMMARY, input_shapes={"input": (None, 8, 8, 1)})
    told = {}
    for name, spec in (("whole", whole), ("bare", bare)):
        one = story([], {}, spec=spec, summary=pictures, data={"examples": {"train": 60}})
        score = Score("accuracy", 0.9, 0.9, 0.9, 1.0)
        course = Course(
            [1.0] * 20, [1.0] * 20, score=score, had=had_by(one), smoothed=smoothed(spec["loss"]), examples=60
        )
        kinds = ("diverged", "unstable", "learned-nothing", "label-noise", "overfitting", "plateau", "thrown-off")
        told[name] = " ".join(line for kind in kinds for line in advice_for(kind, course))
    words = (
        "clipnorm", "divergence", "twice `dataset.batch_size`", "CosineDecay", "class_weight", "label_smoothing",
        "dataset.augment", "`Dropout` or `L2`", "EarlyStopping: {monitor", "ReduceLROnPlateau",
    )  # fmt: skip
    assert [word for word in words if word not in told["bare"]] == []
    assert [word for word in words if word in told["whole"]] == []
    assert "more of the `Dropout` and the `L2` that it has" in told["whole"]
    assert "`BinaryCrossentropy: {label_smoothing: 0.1}`" in told["bare"]


def made_of(*activations: str | None, **initializers: Any) -> frozenset[str]:
    """What is known of a network of so many dense layers."""
    layers = tuple(
        LayerSummary(f"dense_{at}", "Dense", ((None, 4),), activation=one) for at, one in enumerate(activations)
    )
    written = {"layers": [{"Dense": {"units": 4, **initializers}}]}
    return had_by(story([], {}, summary=replace(SUMMARY, layers=layers), spec={"model": written}))


@pytest.mark.parametrize(
    ("had", "advice"),
    [
        (made_of("softmax"), "A hidden layer"),
        (made_of(None, "sigmoid"), "A hidden layer"),
        (made_of("sigmoid", "tanh", "sigmoid", "softmax"), "`relu` instead"),
        (made_of("relu", "softmax", kernel_initializer="zeros"), "The usual initializers"),
        (made_of("relu", "softmax", bias_initializer={"Constant": {"value": -100}}), "The usual initializers"),
        (made_of("relu", "softmax", bias_initializer="zeros"), "Another learning rate: a tenth"),
        (frozenset({"augments"}), "Gentler augmentation"),
    ],
)
def test_what_in_a_network_lets_it_learn_nothing_is_advised_first(had: frozenset[str], advice: str) -> None:
    course = Course([1.0] * 20, [1.0] * 20, score=Score("accuracy", 0.5, 0.5, 0.5, 1.0), had=had)
    told = advice_for("learned-nothing", course)
    assert advice in told[0]
    assert any("ReLU units at once" in line for line in told) == ("relus" in had)


@pytest.mark.parametrize(
    ("activation", "kind", "beyond"), [("relu", "mse", 0.5), ("sigmoid", "mse", 0.8), (None, "mse", 0.0)]
)
def test_answers_that_the_last_layer_cannot_give_and_a_penalty_are_measured(
    activation: str | None, kind: str, beyond: float
) -> None:
    answers = NumberAnswers(np.array([-2.0, -1.0, -0.5, -3.0, -1.0, 2.0, 3.0, 0.5, 1.0, 7.0]), np.zeros(10))
    own = float(np.mean(answers.errors**2))
    last = replace(SUMMARY.layers[0], activation=activation)
    spec = {"loss": kind, "model": {"layers": [{"Dense": {"kernel_regularizer": "l2"}}]}}
    told = story([], {"test": {"loss": 4 * own}}, spec=spec, summary=replace(SUMMARY, layers=(last,)))
    course = course_of(told, Answers("test", np.arange(10), 10, {"": answers}, {}))
    assert course.beyond == pytest.approx(beyond)
    assert course.penalty == pytest.approx(0.75)
    assert course_of(replace(told, spec={"loss": kind}), _only(answers)).penalty is None


HOSTILE = ["<script>alert(1)</script>", "&amp; $x^2$ \\frac", "🐈 猫", "a\"quote' onload=x", "n" * 300, "", "{{ 7*7 }}"]


@pytest.mark.parametrize("names", [HOSTILE, ["only"], ["no", "yes"], [f"class {at}" for at in range(100)]], ids=len)
def test_a_page_with_classes_of_any_kind(names: list[str]) -> None:
    history = [{"loss": 1.0 / at, "accuracy": 0.1 * at} for at in range(1, 6)]
    metrics = {"train": {"loss": 0.2, "accuracy": 0.5}, "test": {"loss": 0.25, "accuracy": 0.4}}
    page = page_of(story(history, metrics), class_answers(names), np.zeros((60, 3), np.float32))
    assert_figures(page, metrics)
    assert all((name[:100] or "(empty)") in page.text for name in names)
    assert ("ROC" in page.text) == (len(names) == 2)
    assert ("confusion matrix" in page.text) == (len(names) > 1)


@thorough
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_nothing_overlaps_is_cut_off_or_loaded_in_a_browser(tmp_path: Path) -> None:
    history = [{"loss": 1e7 / at, "accuracy": 0.1 * at, "val_loss": 1.1e7 / at} for at in range(1, 6)]
    metrics = {"train": {"loss": 1e6, "accuracy": 0.5}, "test": {"loss": 9.1e5, "accuracy": 0.4}}
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (60, 20, 30, 3), dtype=np.uint8)
    large = 1e6 * random.normal(size=60)
    both: dict[str, AnyAnswers] = {"sort": class_answers(["a", "b"]), "size": NumberAnswers(large, large + 1e5)}
    usual, plain = story(history, metrics), np.zeros((60, 2), np.float32)
    pages = {
        "hostile": text_of(replace(usual, name="<b>" + "x" * 200), {"": class_answers(HOSTILE)}, pictures, "images"),
        "slanted": text_of(usual, {"": class_answers([f"a kind of {at}" for at in range(12)])}, pictures[:, :3, :2, 0]),
        "hundred": text_of(usual, {"": class_answers([f"class {at}" for at in range(100)])}, plain[:, :1]),
        "both": text_of(usual, both, plain),
        "lost": text_of(story([{"loss": 0.5, "val_loss": 0.6}, {"loss": math.nan, "val_loss": math.nan}], {}), {}),
        "none": text_of(story([], {}, missing=("There is nothing else.",)), {}),
    }
    assert wrong_with(pages, (1400, 400), tmp_path) == []


@pytest.mark.parametrize(
    ("history", "word"),
    [
        ([], "There is nothing"),
        ([{"loss": 0.5, "val_loss": 0.6}], "1 epoch tells little"),
        ([{"loss": 0.5}, {"loss": 0.4}, {"loss": 0.39}], "Nothing was held out"),
        ([{"loss": 0.5, "val_loss": 0.6}, {"loss": math.nan, "val_loss": math.nan}], "the training loss is no number"),
        ([{"loss": math.nan}], "the training loss is no number"),
    ],
    ids=["no epoch", "one epoch", "no validation", "NaN in the end", "NaN at once"],
)
def test_a_page_on_a_training_that_tells_little(history: list[dict[str, float]], word: str) -> None:
    page = page_of(story(history, {}, missing=("There is nothing else.",)), None)
    assert word in page.text
    assert "There is nothing else." in page.text
    assert ("The course of training" in page.text) == any(math.isfinite(row["loss"]) for row in history)


def test_a_page_on_numbers_and_pictures() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=50)
    answers = NumberAnswers(truth, truth + random.normal(scale=0.1, size=50))
    pictures = random.integers(0, 255, (50, 20, 30, 3), dtype=np.uint8)
    page = page_of(story([{"loss": 1.0}, {"loss": 0.5}], {"test": {"loss": 0.01}}), answers, pictures, "images")
    assert {"R²", "predicted against true", "residuals", "The largest errors"} <= {
        word for word in ("R²", "predicted against true", "residuals", "The largest errors") if word in page.text
    }
    assert sum(address.startswith("data:image/png") for address in page.addresses) > 30
    with drawing():
        assert "<image" not in predicted_true(truth, answers.predicted).svg  # it would not have the page's colours


def test_figures_of_classes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    random = np.random.default_rng(3)
    truth, predicted = random.integers(0, 4, 200), random.integers(0, 5, 200)
    found = by_class(truth, predicted, list("abcde"))
    expected = precision_recall_fscore_support(truth, predicted, labels=range(5), zero_division=0.0)
    for at, name in enumerate(("precision", "recall", "f1", "examples")):
        assert [row[name] for row in found.classes] == pytest.approx(expected[at])
    two = class_answers(["no", "yes"], 300)
    rounded = ClassAnswers(two.names, two.truth, np.round(two.scores, 1))  # with ties
    with drawing():
        facts = dict(sections_of(job_of(np.zeros((300, 3))), _only(rounded))[0].facts)
    positive = rounded.scores[:, 1]
    assert facts["area under the ROC curve"] == f"{roc_auc_score(two.truth, positive):.4f}"
    assert facts["average precision"] == f"{average_precision_score(two.truth, positive):.4f}"


def _only(answers: AnyAnswers, count: int = 300) -> Answers:
    return Answers("test", np.arange(count), count, {"": answers}, {})


def test_a_network_with_branches_is_drawn_without_another_program() -> None:
    drawing = drawing_of(SUMMARY)
    assert [box.lines[0].title for box in drawing.boxes] == ["input", "Dense", "Dense", "Add"]
    assert len(drawing.steps) == 3
    assert len(drawing.arcs) == 1
    ends = [box.y + box.height for box in drawing.boxes]
    assert all(end < box.y for end, box in zip(ends, drawing.boxes[1:], strict=False))
    assert ends[-1] < drawing.height


SPEC = """extends: base.yaml
name: made
train: {epochs: 3}
"""
BASE = """
dataset:
  source: {csv: {path: data.csv, target: kind}}
  validation: 0.2
  batch_size: 8
model:
  layers:
    - Dense: {units: 8, activation: relu}
    - Dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
metrics: [accuracy]
train: {epochs: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report, on a table of classes with names like no others."""
    folder = tmp_path_factory.mktemp("report")
    random = np.random.default_rng(0)
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["height", "<i>width</i>", "colour", "kind"])
        for row in range(120):
            kind = row % 3
            place = (round(kind + random.normal(0, 0.3), 3), round(random.normal(), 3))
            writer.writerow([*place, ["red", "blue"][row % 2], ["<b>one</b>", "🐈", "$three$"][kind]])
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
    arguments = ("train", folder / "spec.yaml", "--runs-dir", folder, "-q", "--run-name")
    assert run_quietly(*arguments, "one", "--report") == 0
    return folder / "made" / "one"


def test_a_training_ends_with_a_page_that_says_what_its_files_say(run: Path) -> None:
    page = Page((run / "report" / "report.html").read_text(encoding="utf-8"))
    page.assert_whole()
    assert_figures(page, json.loads((run / "metrics.json").read_text()))
    assert {path.stem for path in (run / "report").glob("*.png")} == {"loss", "accuracy", "confusion", "calibration"}
    assert all(
        word in page.text for word in ("<b>one</b>", "🐈", "$three$", "<i>width</i>", "train.epochs", "base.yaml")
    )
    assert all(word in page.text for word in ("seed", "tensorflow", "data.csv", "trivial: 0.3333", "blue"))
    assert "cannot tell" not in page.text


def test_a_report_later_is_the_same_and_the_report_changes_no_figure(run: Path, dlcli: Command) -> None:
    def tables(text: str) -> list[str]:
        return [*re.findall(r"<table.*?</table>", text, re.S), *re.findall(r'data-finding="[^"]*"', text)]

    first = (run / "report" / "report.html").read_text(encoding="utf-8")
    done = dlcli("report", run, "--json")
    assert done.code == 0
    assert done.json["missing"] == []
    assert done.json["page"] == str(run / "report" / "report.html")
    assert tables((run / "report" / "report.html").read_text(encoding="utf-8")) == tables(first)
    spec = run.parents[1] / "spec.yaml"
    assert dlcli("train", spec, "--runs-dir", run.parents[1], "-q", "--run-name", "two").code == 0
    assert not (run.parent / "two" / "report").exists()
    assert (run.parent / "two" / "metrics.json").read_bytes() == (run / "metrics.json").read_bytes()


def test_a_checkpoint_alone_whose_data_is_gone_tells_what_it_can(run: Path, tmp_path: Path, dlcli: Command) -> None:
    moved = shutil.copy(run / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    data = run.parents[1] / "data.csv"
    kept = data.rename(data.with_suffix(".gone"))
    try:
        done = dlcli("report", moved)
    finally:
        kept.rename(data)
    assert done.code == 0
    assert done.out.strip() == str(tmp_path / "moved-report" / "report.html")
    assert "data.csv" in done.err
    page = Page(Path(done.out.strip()).read_text(encoding="utf-8"))
    page.assert_whole()
    assert page.figures == []
    assert all(word in page.text for word in ("cannot tell", "The course of training", "The network", "The spec"))
    assert not any(word in page.text for word in ("Classes", "Some predictions", "The surest mistakes", "Scores"))


def test_what_validation_put_out_is_shown_and_the_report_changes_no_bit(
    tmp_path: Path, dlcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)).astype("float32"), np.arange(60) % 3
    np.savez(tmp_path / "a.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    source = "source: {arrays: {path: a.npz}}\n  validation: test"
    spec = BASE.replace("source: {csv: {path: data.csv, target: kind}}\n  validation: 0.2", source)
    (tmp_path / "arrays.yaml").write_text(f"name: made\n{spec}".replace("epochs: 1", "epochs: 3"), encoding="utf-8")
    arguments = ("train", tmp_path / "arrays.yaml", "--runs-dir", tmp_path, "-q", "--run-name")
    assert dlcli(*arguments, "without").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "predict", None)  # nothing is computed again
        done = dlcli(*arguments, "with", "--report")
    assert done.code == 0, done.err
    page = Page((tmp_path / "made/with/report/report.html").read_text(encoding="utf-8"))
    assert all(word in page.text for word in ("The surest mistakes", "(20 test examples)", "confusion matrix"))
    assert not compare(outcome(tmp_path / "made/without"), outcome(tmp_path / "made/with"))
    scores = json.loads((tmp_path / "made/with/metrics.json").read_text())["test"]["accuracy"]
    right = sum(int(count) for count in re.findall(r"(\d+) of 20 right", page.text))
    assert right / 20 == pytest.approx(scores)


def test_what_is_no_run_has_no_report(run: Path, tmp_path: Path, dlcli: Command) -> None:
    assert dlcli("report", tmp_path / "none").code == 4
    (tmp_path / "text.h5").write_text("no")
    assert dlcli("report", tmp_path / "text.h5").code == 4
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "run.json").write_text("{")
    refused = dlcli("report", broken)
    assert refused.code == 4
    assert "run.json cannot be read" in refused.err
    (tmp_path / "file").write_text("")
    assert dlcli("report", run, "-o", tmp_path / "file" / "x").code == 4
