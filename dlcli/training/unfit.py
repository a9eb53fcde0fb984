"""Which of a spec's metrics do not fit what the model puts out, where Keras only says that something does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlcli.errors import Path, Problem
from dlcli.model.misfits import shape_text
from dlcli.model.objects import make_object, reason
from dlcli.spec.heads import heads_of
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.loading import LoadedSpec
from dlcli.training.engine import Engine


def unfit_metrics(loaded: LoadedSpec, engine: Engine) -> list[Problem]:
    """A mistake for each metric that cannot be computed by itself, from labels and outputs that stand in for real ones.

    Those that Keras chooses by the shapes, such as `accuracy`, are not among them.
    """
    inputs, targets = engine.feed.for_testing(engine.feed.stand_ins())[:2]
    outputs = engine.model(inputs)
    found: list[Problem] = []
    for name, head in heads_of(loaded.spec).items():
        target, output = (each[name] if isinstance(each, Mapping) else each for each in (targets, outputs))
        for metric, path in head.metrics:
            found += _misfit(metric, path, target, output)
    return [loaded.located(problem) for problem in found]


def _misfit(written: KerasObject, path: Path, target: Any, output: Any) -> Iterator[Problem]:
    metric = make_object("metric", written, path)
    if isinstance(metric, str):
        return
    try:
        metric.update_state(target, output) if hasattr(metric, "update_state") else metric(target, output)
    except Exception as error:  # noqa: BLE001 - of which kind is up to Keras and TensorFlow
        labels, numbers = shape_text(target.shape), shape_text(output.shape)
        if labels != numbers:
            message = f"The metric `{written.name}` compares each output with a label of its own, but an example has "
            message += f"labels of shape {labels} and outputs of shape {numbers}."
            hint = "`accuracy` fits either; or take a loss whose labels are one-hot, as `categorical_crossentropy`."
            yield Problem(message, path, hint)
            return
        yield Problem(f"The metric `{written.name}` does not fit outputs of shape {numbers}: {reason(error)}", path)
