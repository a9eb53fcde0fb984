"""Rules about metrics: those that count something else than their name says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import DatasetSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.network import LINEAR, Head
from dlcli.spec.lints.outputs import compares_classes, wants_logits
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.written import canonical, number

_DEFAULT_K = 5  # of Keras 3.15.1's top-k metrics
_FOR_CLASSES = re.compile(r"(.*_)?accuracy|auc|.*precision.*|.*recall.*|f1_score|f_beta_score|(.*_)?io_u|.*specificity")
_CROSSENTROPY = re.compile(r"(.*_)?crossentropy")
# For a single yes or no; with several outputs they take each for a question of its own.
_YES_OR_NO = frozenset(
    {
        "auc", "precision", "recall", "precision_at_recall", "recall_at_precision", "sensitivity_at_specificity",
        "specificity_at_sensitivity", "true_positives", "true_negatives", "false_positives", "false_negatives",
        "binary_io_u",
    }
)  # fmt: skip


def _placed(metrics: tuple[KerasObject, ...]) -> Iterator[tuple[KerasObject, str, Path]]:
    for position, metric in enumerate(metrics):
        yield metric, canonical(metric.name), ("metrics", position)


def _accuracy_of_numbers(dataset: DatasetSpec, metrics: tuple[KerasObject, ...]) -> Iterator[Problem]:
    if dataset.source.range_of_targets is None:
        return
    for metric, name, path in _placed(metrics):
        if _FOR_CLASSES.fullmatch(name):
            yield Problem(
                f"`{metric.name}` counts right classes, but the target of `{dataset.source.name}` is a number: the "
                "figure means nothing.",
                path,
                "Use `mean_absolute_error` or `R2Score`.",
            )


def _exact_accuracy(dataset: DatasetSpec, metrics: tuple[KerasObject, ...]) -> Iterator[Problem]:
    if dataset.source.range_of_targets is not None:
        return
    for metric, _, path in _placed(metrics):
        if metric.name == "Accuracy":
            yield Problem(
                "`Accuracy`, with a capital, counts outputs that equal the label exactly, and a probability hardly "
                "ever does: it stays near 0.",
                path,
                "Write `accuracy`.",
            )


def _metric_for_yes_or_no(head: Head, loss: KerasObject, metrics: tuple[KerasObject, ...]) -> Iterator[Problem]:
    if head.units is None or head.units < 2:
        return
    for metric, name, path in _placed(metrics):
        given = {argument for argument, value in metric.arguments.items() if value is not None and value is not False}
        is_for_yes_or_no = name == "binary_accuracy" or (
            # With integer labels these do not work at all, and Keras says so.
            name in _YES_OR_NO and canonical(loss.name) != "sparse_categorical_crossentropy"
        )
        if is_for_yes_or_no and not given & {"class_id", "multi_label", "top_k"}:
            yield Problem(
                f"`{metric.name}` is for one yes-or-no question. Of {head.units} outputs it takes each for a question "
                "of its own, most of which are easy: the figure is not what its name says.",
                path,
                "`accuracy` counts right classes."
                if name == "binary_accuracy"
                else "Use `F1Score: {average: macro}`, or give it one class by `class_id`."
                if name in ("precision", "recall")
                else "Use `accuracy`, or `F1Score: {average: macro}`.",
            )


def _always_right(dataset: DatasetSpec, head: Head, metrics: tuple[KerasObject, ...]) -> Iterator[Problem]:
    classes = dataset.source.number_of_classes
    for metric, name, path in _placed(metrics):
        if name in ("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"):
            k = number(metric.arguments.get("k", _DEFAULT_K))
            if classes is not None and k is not None and k >= classes:
                yield Problem(
                    f"Of {classes} classes, the right one is always among the first {k:g}: `{metric.name}` is 1.0 "
                    "from the start.",
                    (*path, metric.name, "k") if "k" in metric.arguments else path,
                    f"Use `{metric.name}: {{k: 2}}`." if classes > 2 else "Use `accuracy`.",
                )
        elif name == "categorical_accuracy" and head.units == 1:
            yield Problem(
                f"`{metric.name}` takes the largest output for the answer, and there is only one output: it is 1.0 "
                "from the start.",
                path,
                "Use `accuracy`.",
            )


def _metric_of_logits(head: Head, loss: KerasObject, metrics: tuple[KerasObject, ...]) -> Iterator[Problem]:
    if head.activation != LINEAR or not (compares_classes(loss) and wants_logits(loss)):
        return
    for metric, name, path in _placed(metrics):
        remedy = _remedy(metric, name, loss, head.units)
        if remedy is not None:
            yield Problem(
                f"`{metric.name}` takes the model's outputs for probabilities, but they are logits, since the loss has "
                "`from_logits: true`: the figure is wrong.",
                path,
                f"Use `{remedy}`.",
            )


def _remedy(metric: KerasObject, name: str, loss: KerasObject, units: int | None) -> str | None:
    """The metric as it works on logits; None if it does as it is."""
    given = metric.arguments.keys()
    if name == "auc" or _CROSSENTROPY.fullmatch(name):
        written = loss.name.replace("Focal", "") if name == "crossentropy" else _class_name(metric, name)
        return None if "from_logits" in given else f"{written}: {{from_logits: true}}"
    if units != 1 or metric.name == "Accuracy":
        return None
    if name in ("accuracy", "binary_accuracy"):
        return None if "threshold" in given else "BinaryAccuracy: {threshold: 0.0}"
    if name in ("precision", "recall", "true_positives", "true_negatives", "false_positives", "false_negatives"):
        return None if "thresholds" in given else f"{_class_name(metric, name)}: {{thresholds: 0.0}}"
    return None


def _class_name(metric: KerasObject, name: str) -> str:
    if metric.name[:1].isupper():
        return metric.name
    return "AUC" if name == "auc" else "".join(word.capitalize() for word in name.split("_"))


RULES = (
    Rule("accuracy-of-numbers", "a metric for classes, where a number is to be predicted", _accuracy_of_numbers),
    Rule("exact-accuracy", "`Accuracy`, which wants outputs to equal the labels, for `accuracy`", _exact_accuracy),
    Rule("yes-or-no-metric", "a metric for one yes-or-no question, with several outputs", _metric_for_yes_or_no),
    Rule("metric-always-right", "a metric that cannot be but 1", _always_right),
    Rule("metric-of-logits", "a metric for probabilities, with a loss `from_logits`", _metric_of_logits),
)
