"""A model, and examples to show it: from files, or from a split of its data; and which of its layers are meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.dataset import Array, OneOrNamed, for_each, named
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings, restore_encoding
from dlcli.data.pixels import pixels_of
from dlcli.data.preparation import AnyPreparation
from dlcli.errors import CheckpointError, DataError, UsageError
from dlcli.evaluation.evaluating import from_logits
from dlcli.evaluation.outputs import scores_of
from dlcli.evaluation.predicting import contents_for_files, raw_inputs
from dlcli.report.looks import taken
from dlcli.spec.likeness import closest
from dlcli.spec.loading import restore_spec
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.job import Job
from dlcli.visualizing.sheet import spread
from dlcli.visualizing.stored_weights import chosen_path
from dlcli.visualizing.watching import inputs_read

_CARRIED_ON = (
    "BatchNormalization", "LayerNormalization", "GroupNormalization", "Activation", "Add", "ReLU", "LeakyReLU", "PReLU",
    "ELU",
)  # fmt: skip
"""layers whose maps are still those of the convolution before them"""
AT_ONCE = 64  # examples that go through the model together


@dataclass(frozen=True)
class Answer:
    """One of the things that a model answers.

    Attributes:
        name: of the output; empty where it is the only one.
        encoding: of what it answers.
        classes: their names; None if it gives no classes.
        logits: whether its outputs are those before softmax or sigmoid.
        truth: what is true of each example, shape (n,); None where it is not known.
    """

    name: str
    encoding: Encoding
    classes: Sequence[str] | None
    logits: bool
    truth: Array | None = None

    def scores(self, outputs: Array) -> Array:
        """What each class gets, shape (n, classes), of outputs of shape (n, units)."""
        return scores_of(outputs, self.encoding, from_logits=self.logits)


@dataclass(frozen=True)
class Subject:
    """A model and examples.

    Attributes:
        name: of the model, for titles.
        model: the model.
        preparation: of the raw examples.
        answers: what it answers, by name; the only one has the name "".
        raw: the examples, shape (n, ...), by name where there are several inputs.
        names: one for each.
    """

    name: str
    model: Any
    preparation: AnyPreparation
    answers: Mapping[str, Answer]
    raw: OneOrNamed[Array]
    names: Sequence[str]

    def first(self, count: int) -> Subject:
        """The same with the first examples alone."""
        return self._part(slice(count))

    def _part(self, rows: slice) -> Subject:
        answers = {
            name: one if one.truth is None else replace(one, truth=one.truth[rows])
            for name, one in self.answers.items()
        }
        raw = for_each(lambda values: values[rows], self.raw)
        return replace(self, raw=raw, names=self.names[rows], answers=answers)

    def batches(self) -> Iterator[OneOrNamed[Any]]:
        """The prepared examples, some at a time."""
        for start in range(0, len(self.names), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            yield self._applied(for_each(lambda values, rows=rows: values[rows], self.raw))

    def prepared(self) -> OneOrNamed[Any]:
        """All examples, prepared."""
        return self._applied(self.raw)

    def _applied(self, raw: Any) -> OneOrNamed[Any]:
        applied: OneOrNamed[Any] = self.preparation.apply(raw)
        return applied

    def pictures(self) -> dict[str, list[Array]]:
        """The examples as pixels, by input, of those inputs that are pictures. Raises CheckpointError if none is."""
        shapes = named(self.preparation.output_shape)
        found = {
            name: [pixels_of(one) for one in values]
            for name, values in named(self.raw).items()
            if len(shapes[name]) == 3 and len(values.shape) in (3, 4) and min(values.shape[1:3]) > 1
        }
        if not found:
            sizes = [
                f"{'×'.join(map(str, values.shape[1:])) or 'one number'}, {values.dtype}{f' ({name})' if name else ''}"
                for name, values in named(self.raw).items()
            ]
            raise CheckpointError(f"This model takes no pictures: an example is {'; '.join(sizes)}.",
                                  "`weights` and `embedding` show any model.")  # fmt: skip
        return found

    def answer(self, asked: str | None) -> Answer:
        """The output that is meant. Raises UsageError if there are several and none of them is named."""
        each = ", ".join(f"`{name}`" for name in self.answers if name)
        if asked is not None and asked not in self.answers:
            close = closest(asked, [name for name in self.answers if name])
            there_is = f"There is: {each}." if each else "It has one alone: leave this out."
            hint = f"Did you mean `{close}`?" if close else there_is
            raise UsageError(f"--head {asked}: the model has no output of this name.", hint)
        if asked is None and len(self.answers) > 1:
            raise UsageError(f"The model has several outputs: {each}.", "Name the one that is meant, with --head.")
        return self.answers[asked] if asked is not None else next(iter(self.answers.values()))


def of_files(checkpoint: Checkpoint, paths: Sequence[Path]) -> Subject:
    """Files, prepared as in training.

    Raises:
        UsageError: plain Keras saved the checkpoint, so nothing is known about its preparation.
        DataError: a file does not fit.
        CheckpointError: the model cannot be made.
    """
    contents = contents_for_files(checkpoint)
    inputs = raw_inputs(checkpoint, paths)
    encoding = restore_encoding(contents.encoding)
    answers = _answers(encoding, contents.class_names, from_logits(restore_spec(contents.spec), _like(encoding)), None)
    name = str(contents.spec.get("name", checkpoint.path.stem))
    # Examples may have stayed in their files.
    raw = for_each(lambda values: np.asarray(values[:]), inputs.values)
    return Subject(name, checkpoint.model(in_float32=True), checkpoint.preparation(), answers, raw, inputs.names)


def of_split(job: Job, split: str, most: int) -> Subject:
    """At most so many examples of a split, at equal distances: those of one class may be all at its beginning.

    Raises:
        DataError: there is no such split, or it can no longer be read.
    """
    _check_split(job, split)
    numbers = list(spread(len(job.rows[split]), most))
    return _of_rows(job, split, numbers)


def of_example(job: Job, split: str, number: int) -> Subject:
    """One example of a split, counted from 0. Raises as `of_split` does, and DataError if there are not so many."""
    _check_split(job, split)
    if number >= len(job.rows[split]):
        raise DataError(f"There is no example {number}: {split} has {len(job.rows[split])}, counted from 0.")
    return _of_rows(job, split, [number])


def _check_split(job: Job, split: str) -> None:
    if split not in job.rows:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")


def _of_rows(job: Job, split: str, numbers: Sequence[int]) -> Subject:
    rows = job.rows[split]
    order = np.asarray(rows.order[:])[numbers]
    names = [f"{split}[{number}]" for number in numbers]
    encoding = job.encoding
    is_copy = isinstance(encoding, Encoding) and encoding.kind == "input"
    truth = None if is_copy else for_each(lambda targets: np.asarray(targets)[order], rows.data.targets)
    answers = _answers(encoding, job.facts.class_names, from_logits(job.loaded, _like(encoding)), truth)
    raw = for_each(lambda values: taken(values, order), rows.data.inputs)
    return Subject(job.loaded.spec.name, job.model, job.preparation, answers, raw, names)


def _like(encoding: AnyEncoding) -> Any:
    return encoding.each if isinstance(encoding, Encodings) else encoding


def _answers(encoding: AnyEncoding, classes: Any, logits: Any, truth: Any) -> dict[str, Answer]:
    """What a model answers; `classes`, `logits` and `truth` are by name if it answers several things."""
    if not isinstance(encoding, Encodings):
        return {"": Answer("", encoding, classes, logits, truth)}
    return {
        name: Answer(name, one, classes[name], logits[name], truth and truth[name])
        for name, one in encoding.each.items()
    }


def layers_of(model: Any, above: str = "") -> dict[str, Any]:
    """The layers by their paths, those of nested models behind the model's: `encoder/conv2d`; without inputs."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, keras.Model) and layer.layers:
            found |= layers_of(layer, f"{above}{layer.name}/")
        else:
            found[above + layer.name] = layer
    return found


def chosen_layer(model: Any, asked: str) -> tuple[str, Any]:
    """The layer that a person means: its path or the end of one. Raises UsageError, with names that are like it."""
    layers = layers_of(model)
    path = chosen_path(asked, list(layers), "layer")
    return path, layers[path]


def last_convolution(model: Any, asked: str | None) -> tuple[str, Any]:
    """The layer whose maps are looked at: the one asked for, or the last convolution with what is done to its maps.

    Raises:
        UsageError: the layer that is asked for is not there, or gives no maps.
        CheckpointError: there is no convolution.
    """
    layers = layers_of(model)
    mapped = [path for path, layer in layers.items() if gives_maps(layer)]
    if asked is not None:
        path, layer = chosen_layer(model, asked)
        if path not in mapped:
            hint = f"These do: {', '.join(mapped)}." if mapped else None
            raise UsageError(f"--layer {asked} is a {type(layer).__name__} that gives no maps of the picture.", hint)
        return path, layer
    found = [path for path in mapped if "Conv" in type(layers[path]).__name__]
    if not found:
        hint = f"Name a layer that gives maps: --layer {mapped[-1]}." if mapped else "`saliency` needs none."
        raise CheckpointError("The model has no two-dimensional convolution.", hint)
    path = found[-1]
    for after in list(layers)[list(layers).index(path) + 1 :]:
        is_same = type(layers[after]).__name__ in _CARRIED_ON and after in mapped
        if not is_same or _output_shape(layers[after]) != _output_shape(layers[path]):
            break
        path = after
    return path, layers[path]


def gives_maps(layer: Any) -> bool:
    """Whether its output has the shape (n, height, width, channels)."""
    return len(_output_shape(layer) or ()) == 4


def _output_shape(layer: Any) -> tuple[int | None, ...] | None:
    """What a layer gives at each of its calls; None where these differ, or it gives several things."""
    # `layer.output` tells it of a layer alone that is called once.
    shapes = [[tuple(tensor.shape) for tensor in node.output_tensors] for node in layer._inbound_nodes]
    [first, *_] = [*shapes, []]
    return first[0] if len(first) == 1 and all(one == first for one in shapes) else None


def pictures_read(subject: Subject, path: str, layer: Any) -> list[str]:
    """For each call of a layer, the one input whose pictures it sees.

    Raises:
        CheckpointError: it sees those of several at once, or of none.
    """
    pictures = subject.pictures()
    found = []
    for read in inputs_read(subject.model, subject.first(1).prepared(), {path: layer})[path]:
        seen = [name for name in read if name in pictures]
        if len(seen) != 1:
            what = f"of {' and '.join(f'`{name}`' for name in seen)} at once" if seen else "of no input"
            raise CheckpointError(f"The layer {path} sees the pictures {what}: its maps lie over none of them.",
                                  "Name a layer that reads one input alone, with --layer.")  # fmt: skip
        found += seen
    return found
