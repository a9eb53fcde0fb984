"""Puts together what training and evaluation need: data, preparation, model and engine, from a spec or checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.aligned import aligned
from dlcli.data.dataset import (
    Array,
    ClassNames,
    Dataset,
    Examples,
    OneOrNamed,
    Reader,
    Shape,
    for_each,
    named,
    one_or_named,
)
from dlcli.data.encoding import AnyEncoding, choose_encoding, restore_encoding
from dlcli.data.loading import load_data
from dlcli.data.oversampling import Oversampling, oversampling_of
from dlcli.data.preparation import AnyPreparation, Preparation, Preparations, fit_preparation, usual_layers
from dlcli.data.scaling import with_scales, with_scales_of
from dlcli.data.sortedness import sortedness
from dlcli.data.splits import Splits
from dlcli.data.stored import InFile
from dlcli.data.weighting import example_weights
from dlcli.data.where import Where
from dlcli.errors import Problem, SpecError
from dlcli.model.building import Network, build_model, compile_model, make_layers, shapes_of
from dlcli.model.misfits import brief
from dlcli.model.objects import reason
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import InputFacts
from dlcli.training.augmenting import check_mixing, make_augment
from dlcli.training.backend import set_seeds
from dlcli.training.checkpoint import Checkpoint, Contents
from dlcli.training.choices import Choices
from dlcli.training.division import Division
from dlcli.training.engine import Engine
from dlcli.training.feeding import Data, Feed, Resident, Rows, Streamed
from dlcli.training.monitoring import Figures
from dlcli.training.unfit import unfit_metrics

_LARGE = 2**20


@dataclass(frozen=True)
class DataFacts:
    """What is known about the data once its bytes are with TensorFlow."""

    source: str
    kind: OneOrNamed[str]
    requested: str | None
    reason: str | None
    origin: str
    fingerprint: str
    class_names: OneOrNamed[ClassNames]
    feature_names: tuple[str, ...] | None
    example_shape: OneOrNamed[tuple[int, ...]]
    reader: Reader | None
    folder: FilePath | None
    code: str | None

    def described(self) -> str:
        """For a person: `mnist (from data/mnist.npz)`."""
        instead = f", instead of {self.requested}" if self.requested else ""
        return f"{self.source}{instead} ({self.origin})"

    def record(self, sizes: dict[str, int]) -> dict[str, Any]:
        """For run.json."""
        return {
            "source": self.source,
            "requested": self.requested,
            "reason": self.reason,
            "origin": self.origin,
            "fingerprint": self.fingerprint,
            "feature_names": list(self.feature_names) if self.feature_names else None,
            "examples": sizes,
            "folder": str(self.folder) if self.folder is not None else None,
            "code": self.code,
        }

    def kept(self, sizes: dict[str, int]) -> dict[str, Any]:
        """For checkpoints: also how files were made numbers."""
        return {**self.record(sizes), "reader": self.reader.state() if self.reader is not None else None}


@dataclass(frozen=True)
class Job:
    """Everything for training or evaluating one model on one data set."""

    loaded: LoadedSpec
    facts: DataFacts
    rows: dict[str, Rows]
    preparation: AnyPreparation
    encoding: AnyEncoding
    model: keras.Model
    engine: Engine
    metric_names: tuple[str, ...]
    weights: Any = None
    oversampling: Oversampling | None = None

    def epoch_order(self, epoch: int) -> Array:
        """The rows to train on in an epoch, counted from 0, in their order; those of rare classes perhaps repeated."""
        spec, rows = self.loaded.spec, self.rows["train"]
        order = rows.order
        if self.oversampling is not None:
            order = self.oversampling.rows(order, seed=spec.seed, epoch=epoch)
        return rows.data.shuffled(order, seed=spec.seed, epoch=epoch) if spec.dataset.shuffle else order

    @property
    def sortedness(self) -> float | None:
        """How much like the one before it each target is, where examples come in a fixed order; see `sortedness`."""
        rows = self.rows["train"]
        targets = rows.data.targets
        if self.loaded.spec.dataset.shuffle or isinstance(targets, (Mapping, InFile)):
            return None
        return sortedness(np.asarray(targets)[rows.order])

    @property
    def examples_per_epoch(self) -> int:
        """How many examples are trained on in an epoch, each as often as it comes."""
        order = self.rows["train"].order
        return len(order) if self.oversampling is None else int(self.oversampling.counts(order).sum())

    def training_rows(self, order: Array) -> Rows:
        """Examples to train on, in this order, each with its weight if they do not all count alike."""
        data = self.rows["train"].data
        return Rows(data if self.weights is None else data.weighing(self.weights), order)

    @property
    def figures(self) -> Figures:
        """The figures that each epoch gives."""
        return Figures.of(self.model, self.metric_names, held_out="validation" in self.rows)

    @property
    def sizes(self) -> dict[str, int]:
        """How many examples each split has."""
        return {name: len(rows) for name, rows in self.rows.items()}


def facts_of(dataset: Dataset) -> DataFacts:
    """All about a data set but its examples."""
    return DataFacts(
        dataset.source, dataset.kind, dataset.requested, dataset.reason, dataset.origin, dataset.fingerprint,
        dataset.class_names, dataset.feature_names, dataset.example_shape, dataset.reader, dataset.folder,
        dataset.code,
    )  # fmt: skip


def assemble(
    loaded: LoadedSpec,
    data: tuple[Dataset, Splits],
    *,
    plain: bool = False,
    choices: Choices | None = None,
    prepared_by: Checkpoint | None = None,
    pretrained_from: FilePath | None = None,
    division: Division | None = None,
) -> Job:
    """Data, preparation, and a new model for training.

    Args:
        loaded: the spec.
        data: its data, split.
        plain: whether its steps run in Keras's own way.
        choices: how its graphs run.
        prepared_by: a checkpoint whose preparation is taken, instead of one that is fitted to the data; and how it
            standardizes what is asked for.
        pretrained_from: the spec's folder, for weights that it asks for; None where a checkpoint brings all weights.
        division: of each batch among several copies of the model; None for one.

    Raises:
        SpecError: the model cannot be built, or does not fit the data or the loss.
        DataError: what is asked for is to be standardized, and is the same in all examples to train on.
    """
    dataset, splits = data
    set_seeds(loaded.spec.seed)
    preparation, shape = fitted_preparation(loaded, dataset, splits)
    if prepared_by is not None:
        preparation = prepared_by.preparation()
    model = build_model(loaded, shape, pretrained_from)
    encoding = choose_encoding(loaded, shape, shapes_of(model, "output"), dataset.classes)
    encoding = with_scales(encoding, splits.train)
    if prepared_by is not None and prepared_by.contents is not None:
        encoding = with_scales_of(encoding, restore_encoding(prepared_by.contents.encoding))
    check_mixing(loaded, encoding)
    compile_model(loaded, model)
    # After the model, so that its first weights do not depend on whether there is augmentation.
    feed = Feed(preparation, encoding, make_augment(loaded, shape))
    engine = Engine(model, feed, plain=plain, choices=choices, division=division)
    return _job(loaded, dataset, splits, engine)


def fitted_preparation(
    loaded: LoadedSpec, dataset: Dataset, splits: Splits
) -> tuple[AnyPreparation, OneOrNamed[Shape]]:
    """The spec's preparation for this data, and the shape that an example has after it. Raises SpecError."""
    make = None
    if loaded.spec.dataset.preparation is not None:

        def make() -> list[Any]:
            return make_layers(loaded, ("dataset", "preparation"))

        for shape in named(dataset.example_shape).values():
            _prepared_shape(loaded, Preparation(shape, "", tuple(make())))  # before anything is fitted
    preparation = fit_preparation(dataset, splits.train, make)
    each = preparation.each if isinstance(preparation, Preparations) else preparation
    return preparation, for_each(lambda one: _prepared_shape(loaded, one), each)


def _prepared_shape(loaded: LoadedSpec, preparation: Preparation, *, computes: bool = True) -> Shape:
    """The shape that the model gets. Raises SpecError if the preparation does not fit the data.

    By shapes alone, without computing anything, a layer may miss that it does not fit.
    """
    shape = (2, *preparation.raw_shape)
    tensor = keras.ops.zeros(shape) if computes else keras.KerasTensor(shape)
    for number, layer in enumerate(preparation.layers):
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            continue  # it has learned nothing yet, and cannot be called before; it changes no shape
        try:
            tensor = layer(tensor)
        except Exception as error:
            message = f"`{type(layer).__name__}` does not fit the data: {brief(error)}"
            raise loaded.error(Problem(message, ("dataset", "preparation", number))) from error
    return tuple(tensor.shape[1:])


def _job(loaded: LoadedSpec, dataset: Dataset, splits: Splits, engine: Engine) -> Job:
    """A job whose model, loss and metrics have been seen to work together. Raises SpecError."""
    names = metric_names(loaded, engine)
    rows, facts = _rows(splits), facts_of(dataset)
    feed = engine.feed
    weights = example_weights(loaded, dataset, splits)
    if weights is not None and isinstance(rows["train"].data, Resident):
        weights = tf.constant(weights)  # others are read with the examples that they are of
    oversampling = oversampling_of(loaded, dataset)
    return Job(loaded, facts, rows, feed.preparation, feed.encoding, engine.model, engine, names, weights, oversampling)


def metric_names(loaded: LoadedSpec, engine: Engine) -> tuple[str, ...]:
    """The loss and the metrics by name; the engine's model, loss and metrics are tried out. Raises SpecError."""
    try:
        shapes = engine.make_state()
    except Exception as error:
        unfit = unfit_metrics(loaded, engine)
        if unfit:
            raise SpecError(unfit) from error
        message = f"Model, loss and metrics do not work together: {reason(error)}"
        raise loaded.error(Problem(message, ("loss",))) from error
    several = [_several_figures(loaded, tuple(shapes), name, shape) for name, shape in shapes.items() if shape]
    if several:
        raise loaded.error(*several)
    return tuple(shapes)


def _several_figures(loaded: LoadedSpec, figures: Sequence[str], figure: str, shape: tuple[int, ...]) -> Problem:
    # The losses come first, and then the metrics: of several outputs in the order of their names.
    heads = heads_of(loaded.spec)
    losses = ("loss", *(f"{name}_loss" for name in heads if len(heads) > 1))
    metrics = [metric for _, head in sorted(heads.items()) for metric in head.metrics]
    written = dict(zip([name for name in figures if name not in losses], metrics, strict=False))
    name, path = (written[figure][0].name, written[figure][1]) if figure in written else (figure, ("metrics",))
    message = f"The metric `{name}` gives {shape[0]} figures; only metrics of one figure can be shown."
    return Problem(message, path, "Give it an `average`, such as `average: macro`.")


def model_without_data(loaded: LoadedSpec) -> keras.Model:
    """The model of a spec, built from what is known of the source's shape; nothing is loaded. Raises SpecError."""
    return model_with_groups(loaded)[0]


def model_with_groups(loaded: LoadedSpec) -> tuple[keras.Model, dict[str, str]]:
    """As `model_without_data`; and for the layers in blocks, by name, which use of a block they belong to."""
    set_seeds(loaded.spec.seed)
    network = Network(loaded, shape_without_data(loaded))
    network.call_layers()
    groups = loaded.document.groups if loaded.document is not None else {}
    return network.model(), {name: groups[number] for name, number in network.numbers.items() if number in groups}


def shape_without_data(loaded: LoadedSpec, *, computes: bool = True) -> OneOrNamed[Shape]:
    """The shape of a prepared example, from what is known of the source; nothing is loaded. Raises SpecError.

    Unless it `computes`, the preparation is not really tried out, and TensorFlow's threads can still be chosen.
    """
    has_own = loaded.spec.dataset.preparation is not None

    def shape_of(facts: InputFacts) -> Shape:
        layers = make_layers(loaded, ("dataset", "preparation")) if has_own else usual_layers(facts.kind, facts.shape)
        return _prepared_shape(loaded, Preparation(facts.shape, "", tuple(layers)), computes=computes)

    return one_or_named((name, shape_of(facts)) for name, facts in loaded.spec.dataset.source.input_facts.items())


def reassemble(
    loaded: LoadedSpec, checkpoint: Checkpoint, contents: Contents, model: keras.Model, where: Where, choices: Choices
) -> Job:
    """The data, preparation and engine for a model that a checkpoint brought.

    Raises:
        DataError: the data cannot be had.
    """
    dataset, splits = load_data(loaded, where, contents.data)
    preparation, encoding = checkpoint.preparation(), restore_encoding(contents.encoding)
    return join(loaded, dataset, splits, model, preparation, encoding, choices)


def join(
    loaded: LoadedSpec,
    dataset: Dataset,
    splits: Splits,
    model: keras.Model,
    preparation: AnyPreparation,
    encoding: AnyEncoding,
    choices: Choices,
) -> Job:
    """A job for a model that is compiled already."""
    return _job(loaded, dataset, splits, Engine(model, Feed(preparation, encoding), choices=choices))


def _rows(splits: Splits) -> dict[str, Rows]:
    """The splits as rows of examples for TensorFlow; splits of the same examples share them."""
    named = {name: splits.named(name) for name in splits.names}
    examples = {id(split.examples): split.examples for split in named.values()}
    data = {key: _for_steps(value) for key, value in examples.items()}
    rows = {id(split): Rows(data[id(split.examples)], split.indices) for split in named.values()}
    return {name: rows[id(split)] for name, split in named.items()}


def _for_steps(examples: Examples) -> Data:
    """The examples with TensorFlow, which copies the bytes once; the caller may let go of its own.

    Those whose inputs are in files stay there.
    """
    if any(isinstance(inputs, InFile) for inputs in named(examples.inputs).values()):
        return Streamed(examples.inputs, examples.targets, windows=examples.windows)
    return Resident(for_each(_held, examples.inputs), for_each(_held, examples.targets))


def _held(array: Array) -> Any:
    """An array as a tensor: on a CPU in the same memory, where TensorFlow can have it so.

    `tf.constant` copies it, and has a second copy meanwhile (TensorFlow 2.21: 180 MB more at its peak for 180 MB).
    """
    if array.nbytes < _LARGE or array.dtype.kind not in "uif" or tf.config.list_logical_devices("GPU"):
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(aligned(array).__dlpack__())
