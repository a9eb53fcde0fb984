"""Evaluation of a trained model on a split: the metrics of training, and figures for each class."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array, ClassNames, OneOrNamed, for_each
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings, choose_encoding, restore_encoding
from dlcli.data.fingerprint import have_changed
from dlcli.data.loading import load_data
from dlcli.data.preparation import AnyPreparation, Preparation, Preparations, fit_preparation
from dlcli.data.scaling import with_scales, with_scales_of
from dlcli.data.where import Where
from dlcli.errors import DataError, UsageError
from dlcli.evaluation.by_class import ByClass, by_class
from dlcli.evaluation.outputs import outcome_of
from dlcli.model.building import by_name, compile_model, make_layers, shapes_of
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec, restore_spec
from dlcli.spec.source import FileSource
from dlcli.training.checkpoint import Checkpoint, Contents
from dlcli.training.choices import Choices
from dlcli.training.job import Job, join, reassemble


@dataclass(frozen=True)
class Evaluation:
    """What a model does on one split.

    Attributes:
        split: its name.
        metrics: loss and metrics, as in training.
        classes: for each class its name, precision, recall, F1 and number of examples; empty for a regression.
        confusion: a row a true class, a column a predicted one; empty for a regression.
        outputs: classes and confusion of each output by name, where there are several; they are empty above.
    """

    split: str
    metrics: dict[str, float]
    classes: list[dict[str, Any]]
    confusion: list[list[int]]
    outputs: dict[str, ByClass] = field(default_factory=dict)


def job_of(checkpoint: Checkpoint, data_spec: LoadedSpec | None, where: Where, choices: Choices) -> Job:
    """A job for a model in a checkpoint of dlcli's, or in a file of plain Keras's, with `data_spec` naming its data.

    Raises:
        CheckpointError: Keras cannot make the model, or must not.
        UsageError: plain Keras saved it, and no data is named.
        DataError: the data cannot be had, or does not fit the model.
    """
    contents = checkpoint.contents
    if contents is None and data_spec is None:
        raise UsageError(
            f"{checkpoint.path} was saved by plain Keras: it does not say which data the model is for.",
            "Name a spec whose `dataset`, `loss` and `metrics` are to be used: --data SPEC.yaml.",
        )
    model = by_name(checkpoint.model())
    loaded = data_spec or restore_spec(contents.spec if contents else {})
    compile_model(loaded, model)
    if contents is not None and data_spec is None:
        return _warn_if_changed(reassemble(loaded, checkpoint, contents, model, where, choices), contents, where.notify)
    return _on_other_data(loaded, model, checkpoint, where, choices)


def _warn_if_changed(job: Job, contents: Contents, notify: Callable[[str], None]) -> Job:
    if have_changed(contents.data["fingerprint"], job.facts.fingerprint):
        notify(f"The data is not what the model was trained on: {job.facts.origin} has changed since.")
    return job


def _on_other_data(
    loaded: LoadedSpec, model: keras.Model, checkpoint: Checkpoint, where: Where, choices: Choices
) -> Job:
    contents = checkpoint.contents
    # Files are made numbers as in training, whatever they hold.
    is_files = contents is not None and isinstance(loaded.spec.dataset.source, FileSource)
    reader = {"reader": contents.data.get("reader")} if contents is not None and is_files else None
    dataset, splits = load_data(loaded, where, reader)
    if checkpoint.contents is not None:
        preparation = checkpoint.preparation()
        if preparation.raw_shape != dataset.example_shape:
            shapes = f"{_shown(dataset.example_shape)}, the model's are {_shown(preparation.raw_shape)}"
            raise DataError(f"The data does not fit the model: its examples have the shape {shapes}.")
    else:
        make = None
        if loaded.spec.dataset.preparation is not None:

            def make() -> list[Any]:
                return make_layers(loaded, ("dataset", "preparation"))

        preparation = _reshaped(fit_preparation(dataset, splits.train, make), model)
    encoding = choose_encoding(loaded, preparation.output_shape, shapes_of(model, "output"), dataset.classes)
    if contents is not None:
        encoding = with_scales_of(encoding, restore_encoding(contents.encoding))
    else:
        encoding = with_scales(encoding, splits.train)
    return join(loaded, dataset, splits, model, preparation, encoding, choices)


def _shown(shape: Any) -> str:
    return str(list(shape) if not isinstance(shape, Mapping) else {name: list(each) for name, each in shape.items()})


def _reshaped(preparation: AnyPreparation, model: keras.Model) -> AnyPreparation:
    """The preparation, ending in the shape that a foreign model takes: 784 numbers, say, for an image of 28×28."""
    shapes = shapes_of(model, "input")
    if not isinstance(preparation, Preparations) and not isinstance(shapes, dict):
        return _ending_in(preparation, tuple(shapes[1:]))
    each = preparation.each if isinstance(preparation, Preparations) else {}
    if not isinstance(shapes, dict) or shapes.keys() != each.keys():
        given = ", ".join(each) or "one input"
        taken = ", ".join(tensor.name for tensor in model.inputs)
        message = f"The data does not fit the model: it gives {given}; the model takes {taken}, by name or in order."
        raise DataError(message, "A model with several inputs must take them by the names of the data's.")
    return Preparations({name: _ending_in(one, tuple(shapes[name][1:])) for name, one in each.items()})


def _ending_in(preparation: Preparation, wanted: tuple[int | None, ...]) -> Preparation:
    given = preparation.output_shape
    if len(wanted) == len(given) and all(size in (None, other) for size, other in zip(wanted, given, strict=True)):
        return preparation
    sizes = [math.prod(size or 0 for size in shape) for shape in (wanted, given)]
    if sizes[0] != sizes[1] or sizes[0] == 0:
        shapes = f"the shape {list(given)}, the model takes {list(wanted)}"
        raise DataError(f"The data does not fit the model: prepared examples have {shapes}.")
    layers = (*preparation.layers, keras.layers.Reshape(wanted))
    return Preparation(preparation.raw_shape, preparation.raw_dtype, layers)


def evaluate(job: Job, split: str) -> Evaluation:
    """Loss, metrics, and figures for each class, in one pass over the split.

    Raises:
        DataError: the data has no such split.
    """
    rows = job.rows.get(split)
    if rows is None:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    parts: list[Any] = []
    metrics: dict[str, float] = {}
    for progress in job.engine.evaluate(rows, parts.append):
        metrics = progress.logs
    outputs = outputs_of(parts, job.encoding)

    def figures(outputs: Array, encoding: Encoding, names: ClassNames, targets: Any, logits: bool) -> ByClass:
        if names is None or encoding.kind == "input":
            return ByClass([], [])
        outcome = outcome_of(outputs, encoding, from_logits=logits)
        return by_class(np.asarray(targets)[rows.order], outcome.classes, names)

    each = job.encoding.each if isinstance(job.encoding, Encodings) else job.encoding
    found = for_each(figures, outputs, each, job.facts.class_names, rows.data.targets, from_logits(job.loaded, outputs))
    if isinstance(found, Mapping):
        return Evaluation(split, metrics, [], [], dict(found))
    return Evaluation(split, metrics, found.classes, found.confusion)


def outputs_of(parts: Sequence[Any], encoding: AnyEncoding) -> OneOrNamed[Array]:
    """What a model put out block by block, as one array; or one for each of several outputs, by name."""
    if not isinstance(encoding, Encodings):
        return np.concatenate(parts)
    # Keras flattens what has names in the order of these.
    return {name: np.concatenate([part[at] for part in parts]) for at, name in enumerate(sorted(encoding.each))}


def from_logits(loaded: LoadedSpec, like: OneOrNamed[Any]) -> OneOrNamed[bool]:
    """Whether the spec's loss takes the model's outputs before softmax or sigmoid; by name if those are so."""
    heads = heads_of(loaded.spec)
    logits = {name: bool(head.loss.arguments.get("from_logits", False)) for name, head in heads.items()}
    return logits if isinstance(like, Mapping) else next(iter(logits.values()))
