"""What a report shows of each output: charts, tables, mistakes and a grid of predictions, from answers and examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, named
from dlcli.data.pixels import pixels_of
from dlcli.figures import number
from dlcli.report import charts
from dlcli.report.answers import Answers, AnyAnswers, ClassAnswers, CopyAnswers, NumberAnswers
from dlcli.report.drawing import Chart, rgb
from dlcli.report.frame import short
from dlcli.report.looks import Look, looks_of, picture_address, taken

_MOST_PICTURES, _MOST_ROWS, _MOST_MISTAKES = 24, 12, 12
_MOST_PAIRS = 10
_GRID = 90  # places of the plane in each direction
_REGIONS = ("train", "held", "good", "other", "bad", "muted")


@dataclass(frozen=True)
class Prediction:
    """An example and what the model says of it.

    Attributes:
        look: how the example looks.
        true, predicted: for a person; `true` is empty where the example itself is what was asked for.
        sureness: such as "0.98"; empty if there is none.
        is_right: None where that is no question.
        drawn: a picture that the model gives, as a `data:` address; empty if it gives none.
    """

    look: Look
    true: str
    predicted: str
    sureness: str = ""
    is_right: bool | None = None
    drawn: str = ""


@dataclass(frozen=True)
class Section:
    """What is shown of one output.

    Attributes:
        name: of the output; empty if it is the only one.
        kind: "classes", "numbers" or "copies".
        classes: a row a class: name, precision, recall, F1, examples.
        pairs: what is confused most often: true, predicted, how often, of how many.
        charts: by what they are of.
        facts: names and values, for a person.
        mistakes: the surest, or the largest.
        sample: some examples, drawn by chance.
        mistake_count: how many there are in all; None for numbers.
        sureness: what the model's certainty is called.
        notes: whole sentences on what is not shown.
    """

    name: str
    kind: str
    classes: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[tuple[str, str, int, int]] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    mistakes: list[Prediction] = field(default_factory=list)
    sample: list[Prediction] = field(default_factory=list)
    mistake_count: int | None = None
    sureness: str = "probability"
    notes: list[str] = field(default_factory=list)

    @property
    def has_pictures(self) -> bool:
        """Whether its examples are pictures."""
        return bool(self.sample) and self.sample[0].look.pixels is not None


def sections_of(job: Any, answers: Answers) -> list[Section]:
    """A section for each output.

    Raises:
        DataError: the examples can no longer be read.
    """
    found = []
    for name, one in answers.each.items():
        prefix = f"{name}_" if name else ""
        make = _class_section if isinstance(one, ClassAnswers) else _other_section
        found.append(make(job, answers, one, name, prefix))
    return found


def _class_section(job: Any, answers: Answers, one: Any, name: str, prefix: str) -> Section:
    figures = one.figures
    drawn = [charts.confusion(one.names, figures.confusion, prefix)] if len(one.names) > 1 else []
    facts: list[tuple[str, str]] = []
    notes = []
    if len(one.names) == 2 and one.are_probabilities:
        made, facts, missing = _two_classes(one, prefix)
        drawn += made
        notes += missing
    if one.are_probabilities and len(one.names) > 1:
        drawn.append(charts.calibration(one.sureness, one.is_right, prefix))
    elif len(one.names) > 1:
        notes.append("The model's outputs are no probabilities that add up to 1, so there is no calibration.")
    plane = _plane(job, answers, one, prefix)
    wrong = np.flatnonzero(~one.is_right)
    surest = wrong[np.argsort(-one.sureness[wrong], kind="stable")][:_MOST_MISTAKES]
    shown, sample = _shown(job, answers, surest, lambda look, at: _class_prediction(one, look, at))
    return Section(
        name, "classes", figures.classes, _pairs(figures.confusion, one.names), [*drawn, *plane], facts, shown, sample,
        len(wrong), "probability" if one.are_probabilities else "score", notes,
    )  # fmt: skip


def _class_prediction(one: ClassAnswers, look: Look, at: int) -> Prediction:
    truth, predicted = int(one.truth[at]), int(one.predicted[at])
    sureness = f"{float(one.sureness[at]):.3f}"
    return Prediction(look, one.names[truth], one.names[predicted], sureness, truth == predicted)


def _other_section(job: Any, answers: Answers, one: AnyAnswers, name: str, prefix: str) -> Section:
    if isinstance(one, CopyAnswers):
        _, sample = _shown(job, answers, np.zeros(0, np.int64), lambda look, at: _copy(one, look, at))
        notes = [] if sample and sample[0].drawn else ["What the model gives anew is no picture, and is not shown."]
        return Section(name, "copies", sample=sample if not notes else [], notes=notes)
    assert isinstance(one, NumberAnswers)  # noqa: S101 - the last of the three kinds
    largest = np.argsort(-np.nan_to_num(abs(one.errors), nan=np.inf), kind="stable")[:_MOST_MISTAKES]
    shown, sample = _shown(job, answers, largest, lambda look, at: _number_prediction(one, look, at))
    made = [charts.predicted_true(one.truth, one.predicted, prefix), charts.residuals(one.errors, prefix)]
    return Section(name, "numbers", charts=made, facts=_number_facts(one), mistakes=shown, sample=sample)


def _number_prediction(one: NumberAnswers, look: Look, at: int) -> Prediction:
    truth, predicted = float(one.truth[at]), float(one.predicted[at])
    return Prediction(look, f"{truth:.4g}", f"{predicted:.4g}", f"{predicted - truth:+.3g}")


def _number_facts(one: NumberAnswers) -> list[tuple[str, str]]:
    errors = abs(one.errors[np.isfinite(one.errors)])
    spread = float(((one.truth - one.truth.mean()) ** 2).sum())
    facts = []
    if spread > 0 and len(errors) == len(one.truth):
        facts.append(
            ("R², the share of the variance that is explained", f"{1 - float((errors**2).sum()) / spread:.4f}")
        )
    if len(errors):
        facts.append(("half of the predictions are off by at most", number(float(np.median(errors)))))
        facts.append(("nine of ten by at most", number(float(np.quantile(errors, 0.9)))))
        facts.append(("the largest error", number(float(errors.max()))))
    return facts


def _copy(one: CopyAnswers, look: Look, at: int) -> Prediction:
    values = one.predicted[at]
    drawn = ""
    if look.pixels is not None and values.size == look.pixels.size:
        scaled = np.clip(values.reshape(look.pixels.shape), 0.0, 1.0) * 255
        drawn = picture_address(scaled.astype(np.uint8))
    elif values.ndim in (2, 3):
        drawn = picture_address(pixels_of(values))
    return Prediction(look, "", "", drawn=drawn)


def _shown(
    job: Any, answers: Answers, chosen: Array, make: Callable[[Look, int], Prediction]
) -> tuple[list[Prediction], list[Prediction]]:
    """The predictions that are chosen, and some by chance; the examples are read once."""
    count = len(answers.rows)
    random = np.random.default_rng(0)
    some = random.choice(count, min(count, _MOST_PICTURES), replace=False)
    places = np.concatenate([chosen, some]).astype(np.int64)
    looks = looks_of(job, answers.split, answers.rows[places])
    made = [(int(at), make(look, int(at))) for look, at in zip(looks, places, strict=True)]
    sample = made[len(chosen) :]
    has_pictures = bool(sample) and sample[0][1].look.pixels is not None
    sample = sorted(sample if has_pictures else sample[:_MOST_ROWS], key=lambda pair: pair[0])
    return [one for _, one in made[: len(chosen)]], [one for _, one in sample]


def _pairs(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """What is confused most often."""
    counts = np.asarray(confusion)
    wrong = counts * ~np.eye(len(names), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    found = []
    for place in order:
        row, column = divmod(int(place), len(names))
        if wrong[row, column]:
            found.append((names[row], names[column], int(wrong[row, column]), int(counts[row].sum())))
    return found


def _two_classes(one: ClassAnswers, prefix: str) -> tuple[list[Chart], list[tuple[str, str]], list[str]]:
    """ROC, precision against recall, and the threshold, of the second class."""
    positive, scores = one.truth == 1, one.scores[:, 1]
    if not positive.any() or positive.all():
        only = short(one.names[int(positive.any())])
        return (
            [],
            [],
            [f"All examples of this split are “{only}”: there is no ROC curve, nor one of precision and recall."],
        )
    name = short(one.names[1])
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits, told = np.cumsum(positive[order])[ends], ends + 1.0
    thresholds = scores[order][ends]
    recall, precision = hits / positive.sum(), hits / told
    false_alarms = (told - hits) / (~positive).sum()
    rising = np.concatenate([[0.0], recall]), np.concatenate([[0.0], false_alarms])
    area = float(np.trapezoid(rising[0], rising[1]))
    average = float((np.diff(rising[0]) * precision).sum())
    f1 = 2 * hits / (told + positive.sum())
    best = int(f1.argmax())
    usual = float(2 * one.figures.confusion[1][1] / max(1, int(one.predicted.sum()) + int(positive.sum())))
    facts = [
        ("area under the ROC curve", f"{area:.4f}"),
        ("average precision", f"{average:.4f}"),
        (f"F1 of “{name}” at the threshold 0.5", f"{usual:.4f}"),
        (f"best F1, at the threshold {thresholds[best]:.3f}", f"{float(f1[best]):.4f}"),
    ]
    share = float(positive.mean())
    made = [
        charts.line(
            f"{prefix}roc", "ROC", (rising[1], rising[0]), ("false alarms", "found"), chance=True,
            note=f"Area {area:.4f}; the dashed line is chance.",
        ),
        charts.line(
            f"{prefix}precision_recall", "precision and recall",
            (rising[0], np.concatenate([precision[:1], precision])), ("recall", "precision"),
            mark=(float(recall[best]), float(precision[best])), floor=share,
            note=f"Average precision {average:.4f}; the dashed line is chance. The point is the best F1.",
        ),
        charts.lines(
            f"{prefix}threshold", "threshold", thresholds[::-1],
            {"precision": precision[::-1], "recall": recall[::-1], "F1": f1[::-1]}, "threshold",
            float(thresholds[best]), f"From which probability on an example is “{name}”. Dashed: the best F1.",
        ),
    ]  # fmt: skip
    return made, facts, []


def _plane(job: Any, answers: Answers, one: ClassAnswers, prefix: str) -> Iterator[Chart]:
    """Where examples are two numbers: what the model says everywhere around them."""
    inputs = named(job.rows[answers.split].data.inputs)
    [(_, array), *more] = inputs.items()
    is_plane = not more and len(answers.each) == 1 and tuple(array.shape[1:]) == (2,)
    if not is_plane or not 1 < len(one.names) <= len(_REGIONS):
        return
    places = taken(array, answers.rows).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    low, high = low - 0.08 * (high - low + 1e-6), high + 0.08 * (high - low + 1e-6)
    across, up = np.meshgrid(np.linspace(low[0], high[0], _GRID), np.linspace(low[1], high[1], _GRID))
    scores = scores_at(job, np.column_stack([across.ravel(), up.ravel()]).astype(np.float32))
    pixels = np.zeros((len(scores), 4))
    for at in range(len(one.names)):
        pixels[scores.argmax(axis=1) == at, :3] = rgb(_REGIONS[at])
    floor = 1 / len(one.names)
    sure = np.clip((scores.max(axis=1) - floor) / (1 - floor), 0, 1) if one.are_probabilities else 1.0
    pixels[:, 3] = 0.08 + 0.32 * sure
    regions = pixels.reshape(_GRID, _GRID, 4), (low[0], high[0], low[1], high[1])
    colors = [_REGIONS[int(at)] for at in one.truth]
    words = {"train": "blue", "held": "orange", "good": "green", "other": "violet", "bad": "red", "muted": "grey"}
    note = ", ".join(f"{words[_REGIONS[at]]}: {short(name)}" for at, name in enumerate(one.names))
    yield charts.points(places, colors, regions, f"Points are the truth, areas what the model says. {note}.", prefix)


def scores_at(job: Any, places: Array) -> Array:
    """What the model gives each class at places of the plane: float32 of shape (n, 2), to (n, classes)."""
    from dlcli.evaluation.evaluating import from_logits
    from dlcli.evaluation.outputs import scores_of

    outputs = outputs_at(job, places)
    logits: Any = from_logits(job.loaded, outputs)
    return scores_of(outputs, job.encoding, from_logits=logits)


def outputs_at(job: Any, places: Array) -> Array:
    """What the model gives at places of the plane: float32 of shape (n, 2), to (n, units)."""
    from dlcli.evaluation.evaluating import outputs_of
    from dlcli.training.feeding import Rows, Streamed

    parts: list[Any] = []
    unknown = np.asarray(job.encoding.stand_ins(len(places)))
    for _ in job.engine.predict(Rows(Streamed(places, unknown), np.arange(len(places))), parts.append):
        pass
    outputs: Any = outputs_of(parts, job.encoding)
    return np.asarray(outputs)
