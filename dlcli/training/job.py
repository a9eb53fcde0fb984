"""Puts together what training and evaluation need: data, preparation, model and engine, from a spec or checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.data.dataset import Dataset
from dlcli.data.encoding import Encoding, choose_encoding
from dlcli.data.fallback import adapt
from dlcli.data.preparation import Preparation, fit_preparation, restore_preparation, usual_layers
from dlcli.data.sources import load_dataset
from dlcli.data.splits import Splits, split_dataset
from dlcli.data.where import Where
from dlcli.model.building import build_model, compile_model, make_layers
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources import SOURCES
from dlcli.training.backend import set_seeds
from dlcli.training.checkpoint import Contents
from dlcli.training.engine import Engine, Rows, make_resident


@dataclass(frozen=True)
class DataFacts:
    """What is known about the data once its bytes are with TensorFlow."""

    source: str
    kind: str
    requested: str | None
    reason: str | None
    origin: str
    fingerprint: str
    class_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    example_shape: tuple[int, ...]

    def described(self) -> str:
        """For a person: `mnist (from data/mnist.npz)`."""
        instead = f", instead of {self.requested}" if self.requested else ""
        return f"{self.source}{instead} ({self.origin})"

    def record(self, sizes: dict[str, int]) -> dict[str, Any]:
        """For run.json and checkpoints."""
        return {
            "source": self.source,
            "requested": self.requested,
            "reason": self.reason,
            "origin": self.origin,
            "fingerprint": self.fingerprint,
            "feature_names": list(self.feature_names) if self.feature_names else None,
            "examples": sizes,
        }


@dataclass(frozen=True)
class Job:
    """Everything for training or evaluating one model on one data set."""

    loaded: LoadedSpec
    facts: DataFacts
    rows: dict[str, Rows]
    preparation: Preparation
    encoding: Encoding
    model: keras.Model
    engine: Engine
    metric_names: tuple[str, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """How many examples each split has."""
        return {name: len(rows) for name, rows in self.rows.items()}


def facts_of(dataset: Dataset) -> DataFacts:
    """All about a data set but its examples."""
    return DataFacts(
        dataset.source, dataset.kind, dataset.requested, dataset.reason, dataset.origin, dataset.fingerprint,
        dataset.class_names, dataset.feature_names, dataset.example_shape,
    )  # fmt: skip


def load_data(loaded: LoadedSpec, where: Where, recorded: dict[str, Any] | None = None) -> tuple[Dataset, Splits]:
    """The data of a spec, split. `recorded` is what a checkpoint says of its data: the same source is then taken.

    Raises:
        DataError: it cannot be had, or not be split so.
    """
    spec = loaded.spec.dataset
    seed = loaded.spec.seed
    if recorded and recorded.get("requested"):
        stand_in = spec.fallback if spec.fallback is not None else SOURCES[recorded["source"]]()
        dataset = adapt(
            load_dataset(stand_in, data_dir=where.data_dir, seed=seed, notify=where.notify), type(spec.source)
        )
    else:
        fallback = spec.fallback if where.allow_fallback else None
        dataset = load_dataset(
            spec.source, fallback=fallback, data_dir=where.data_dir, seed=seed, notify=_unless_fallback(where)
        )
    return dataset, split_dataset(dataset, validation=spec.validation, test=spec.test, seed=seed)


def _unless_fallback(where: Where) -> Callable[[str], None]:
    # That a fallback is taken is in the data set itself, and shown as a panel.
    return lambda text: None if " is used instead of " in text else where.notify(text)


def assemble(loaded: LoadedSpec, where: Where) -> Job:
    """Data, preparation, and a new model for training.

    Raises:
        SpecError: the model cannot be built, or does not fit the data or the loss.
        DataError: the data cannot be had.
    """
    dataset, splits = load_data(loaded, where)
    set_seeds(loaded.spec.seed)
    written = make_layers(loaded, ("dataset", "preparation")) if loaded.spec.dataset.preparation is not None else None
    preparation = fit_preparation(dataset, splits.train, written)
    model = build_model(loaded, preparation.output_shape)
    encoding = choose_encoding(loaded, model.output_shape, dataset.classes)
    compile_model(loaded, model)
    augment = make_layers(loaded, ("dataset", "augment"))
    engine = Engine(model, preparation, encoding, augment)
    names = engine.make_state()
    facts = facts_of(dataset)
    return Job(loaded, facts, _rows(splits), preparation, encoding, model, engine, tuple(names))


def model_without_data(loaded: LoadedSpec) -> keras.Model:
    """The model of a spec, built from what is known of the source's shape; nothing is loaded. Raises SpecError."""
    set_seeds(loaded.spec.seed)
    source = loaded.spec.dataset.source
    layers = usual_layers(source.kind, source.example_shape)
    if loaded.spec.dataset.preparation is not None:
        layers = make_layers(loaded, ("dataset", "preparation"))
    return build_model(loaded, Preparation(source.example_shape, "", tuple(layers)).output_shape)


def reassemble(loaded: LoadedSpec, contents: Contents, model: keras.Model, where: Where) -> Job:
    """The data, preparation and engine for a model that a checkpoint brought.

    Raises:
        DataError: the data cannot be had.
    """
    dataset, splits = load_data(loaded, where, contents.data)
    return join(
        loaded, dataset, splits, model, restore_preparation(contents.preparation), Encoding(**contents.encoding)
    )


def join(
    loaded: LoadedSpec,
    dataset: Dataset,
    splits: Splits,
    model: keras.Model,
    preparation: Preparation,
    encoding: Encoding,
) -> Job:
    """A job for a model that is compiled already."""
    engine = Engine(model, preparation, encoding)
    names = engine.make_state()
    return Job(loaded, facts_of(dataset), _rows(splits), preparation, encoding, model, engine, tuple(names))


def _rows(splits: Splits) -> dict[str, Rows]:
    """The splits as rows of resident examples; splits of the same examples share them."""
    named = {name: splits.named(name) for name in splits.names}
    examples = {id(split.examples): split.examples for split in named.values()}
    resident = {key: make_resident(value) for key, value in examples.items()}
    rows = {id(split): Rows(resident[id(split.examples)], split.indices) for split in named.values()}
    return {name: rows[id(split)] for name, split in named.items()}
