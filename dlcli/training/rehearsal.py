"""Tries out a spec without data, weights or training: the model by its shapes, then all that must fit to it.

Keras builds the model with weights that have shapes and no values, so that a network of any size takes no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras

from dlcli.data.dataset import OneOrNamed, Shape, for_each, one_or_named
from dlcli.data.encoding import AnyEncoding, choose_encoding
from dlcli.data.preparation import Preparation, Preparations
from dlcli.errors import Problem, SpecError
from dlcli.model.building import Network, compile_model, makers, shapes_of
from dlcli.model.summary import ModelSummary, summarize
from dlcli.spec.heads import heads_of
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.parts import LAYERS, SHAPE
from dlcli.training.augmenting import check_mixing, make_augment
from dlcli.training.callbacks import check_monitored, make_callback
from dlcli.training.engine import Engine
from dlcli.training.feeding import Feed
from dlcli.training.job import metric_names, shape_without_data
from dlcli.training.monitoring import Figures, choose_best, choose_goal, monitored

_SECTIONS = ("loss", "optimizer", "metrics")


@dataclass
class Rehearsal:
    """What came of trying a spec out.

    Attributes:
        problems: the mistakes that only showed now, with their places.
        summary: the model's layers; None if it cannot be built.
        way: the shapes that lead to the model's output, a line each; empty if it cannot be built.
        encoding: of the labels; None if that cannot be told.
        figures: that each epoch gives; None if that cannot be told.
    """

    problems: list[Problem] = field(default_factory=list)
    summary: ModelSummary | None = None
    way: tuple[str, ...] = ()
    encoding: AnyEncoding | None = None
    figures: Figures | None = None

    def attempt(self, step: Callable[[], Any]) -> Any:
        """What the step gives; None if it finds mistakes, which are kept."""
        try:
            return step()
        except SpecError as error:
            self.problems += error.problems
            return None


def rehearse(
    loaded: LoadedSpec,
    sound: frozenset[str],
    built: Callable[[ModelSummary], object] = lambda summary: None,
    folder: Path | None = None,
    *,
    is_brief: bool = False,
) -> Rehearsal:
    """Try out what is `sound` of a spec, in the words of `dlcli.spec.parts.sound_part`.

    Args:
        loaded: the spec.
        sound: what of it can be tried out.
        built: called when the model is known, and before TensorFlow has computed anything.
        folder: that of the spec, to see that its files of weights are there; None to leave that out.
        is_brief: whether what the model's assembly will try out anyhow, by really computing it, is left to that.
    """
    rehearsal = Rehearsal()
    try:
        shape = _shape(loaded, sound, rehearsal)
        output_shape = _output_shape(loaded, shape, sound, rehearsal, folder) if shape is not None else None
        if rehearsal.summary is not None:
            built(rehearsal.summary)
        if shape is not None and not is_brief and not _is_prepared(loaded, rehearsal):
            shape = output_shape = None
        if shape is not None and "dataset" in sound:
            rehearsal.attempt(lambda: make_augment(loaded, shape))
        made = {section: _make_each(loaded, section, rehearsal) for section in _SECTIONS if section in sound}
        if {"optimizer", "train"} <= sound:
            rehearsal.attempt(lambda: _check_rate(loaded, made["optimizer"]))
        callbacks = _make_callbacks(loaded, rehearsal) if "train" in sound else None
        if {"metrics", "dataset", "train"} <= sound:
            rehearsal.attempt(lambda: _check_monitors(loaded, made["metrics"], callbacks or []))
        all_made = len(made) == len(_SECTIONS) and all(None not in objects for objects in made.values())
        if shape is not None and output_shape is not None and "dataset" in sound and all_made and not is_brief:
            is_monitored = "train" in sound
            together = rehearsal.attempt(
                lambda: _try_together(loaded, shape, output_shape, rehearsal.way, is_monitored=is_monitored)
            )
            rehearsal.encoding, rehearsal.figures = together or (None, None)
    finally:
        keras.utils.clear_session(free_memory=False)
    return rehearsal


def _shape(loaded: LoadedSpec, sound: frozenset[str], rehearsal: Rehearsal) -> OneOrNamed[Shape] | None:
    """The shape of a prepared example; None if it cannot be told."""
    if SHAPE not in sound:
        return None
    with keras.StatelessScope(initialize_variables=False):
        shape: OneOrNamed[Shape] | None = rehearsal.attempt(lambda: shape_without_data(loaded, computes=False))
    return shape


def _is_prepared(loaded: LoadedSpec, rehearsal: Rehearsal) -> bool:
    """Whether the preparation can really be computed; if not, what was found behind it says nothing."""
    real = Rehearsal()
    real.attempt(lambda: shape_without_data(loaded))
    if real.problems:
        rehearsal.problems, rehearsal.summary, rehearsal.way = real.problems, None, ()
    return not real.problems


def _output_shape(
    loaded: LoadedSpec,
    shape: OneOrNamed[Shape],
    sound: frozenset[str],
    rehearsal: Rehearsal,
    folder: Path | None,
) -> OneOrNamed[Shape] | None:
    """The shape that the whole model puts out; None if it, or what it is built on, has a mistake."""
    if LAYERS not in sound:
        return None
    # Left to itself the scope gives all weights their values at its end (Keras 3.15.1: 11 GB for a layer of 900 million
    # weights), and so does any later one, unless the session is cleared.
    with keras.StatelessScope(initialize_variables=False):
        network = Network(loaded, shape, folder)
        rehearsal.attempt(network.call_layers)
        is_whole = all(head.number >= 0 for head in heads_of(loaded.spec).values())
        if "model" not in sound or rehearsal.problems or not is_whole:
            return None
        model = network.model()
        rehearsal.summary = summarize(model)
        rehearsal.way = network.way_to_output()
    return shapes_of(model, "output")


def _make_each(loaded: LoadedSpec, section: str, rehearsal: Rehearsal) -> list[Any]:
    """The Keras objects of a section, each made by itself; None for each that Keras refuses."""
    return [rehearsal.attempt(make) for make in makers(loaded, section)]


def _check_rate(loaded: LoadedSpec, optimizers: list[Any]) -> None:
    """See that the learning rate can be made smaller, if the spec says that it may be. Raises SpecError."""
    if loaded.spec.train.divergence is None:
        return
    for optimizer in optimizers:
        own = getattr(optimizer, "inner_optimizer", optimizer)  # as of a `LossScaleOptimizer`
        if isinstance(getattr(own, "_learning_rate", None), keras.optimizers.schedules.LearningRateSchedule):
            message = "`divergence` makes the learning rate smaller, which cannot be done to a schedule."
            hint = "Leave `divergence` out, or give the optimizer a number for its rate."
            raise loaded.error(Problem(message, ("train", "divergence"), hint))


def _make_callbacks(loaded: LoadedSpec, rehearsal: Rehearsal) -> list[Any]:
    numbers = range(len(loaded.spec.train.callbacks))
    return [rehearsal.attempt(partial(make_callback, loaded, number, Path(), None)) for number in numbers]


def _check_monitors(loaded: LoadedSpec, metrics: list[Any], callbacks: list[Any]) -> None:
    """See that what is monitored is there, by the names of the metrics, whatever the model. Raises SpecError."""
    if None in metrics:
        return
    spec, heads = loaded.spec, heads_of(loaded.spec)
    names = [
        metric if isinstance(metric, str) else getattr(metric, "name", "") or metric.__name__ for metric in metrics
    ]
    if len(heads) > 1:
        whose = [head.name for head in heads.values() for _ in head.metrics]
        names = [*(f"{name}_loss" for name in heads), *map("{}_{}".format, whose, names)]
    figures = Figures.named(names, held_out=spec.dataset.is_validated)
    missing = figures.missing(monitored(spec.train, figures), ("train", "monitor"))
    try:
        check_monitored(loaded, callbacks, figures)
    except SpecError as error:
        raise SpecError([*([loaded.located(missing)] if missing else []), *error.problems]) from error
    if missing:
        raise loaded.error(missing)


def _encoding(
    loaded: LoadedSpec, shape: OneOrNamed[Shape], output_shape: OneOrNamed[Shape], way: tuple[str, ...]
) -> AnyEncoding:
    """How the labels are encoded. Raises SpecError, with the way to an output that has too many axes."""
    classes = loaded.spec.dataset.source.target_classes
    try:
        return choose_encoding(loaded, shape, output_shape, one_or_named(classes.items()))
    except SpecError as error:
        if isinstance(output_shape, Mapping) or len(output_shape) == 2:
            raise
        raise SpecError([replace(problem, trail=(*problem.trail, *way)) for problem in error.problems]) from error


def _try_together(
    loaded: LoadedSpec,
    shape: OneOrNamed[Shape],
    output_shape: OneOrNamed[Shape],
    way: tuple[str, ...],
    *,
    is_monitored: bool,
) -> tuple[AnyEncoding, Figures]:
    """How labels are encoded, and what figures an epoch gives, once all is seen to fit to the model's output.

    Raises SpecError.
    """
    spec = loaded.spec
    encoding = _encoding(loaded, shape, output_shape, way)
    check_mixing(loaded, encoding)
    stand_in = _passing_on(output_shape)
    compile_model(loaded, stand_in)
    nothing = for_each(lambda shape: Preparation(tuple(size or 1 for size in shape[1:]), "float32", ()), output_shape)
    preparation = Preparations(nothing) if isinstance(nothing, Mapping) else nothing
    names = metric_names(loaded, Engine(stand_in, Feed(preparation, encoding)))
    figures = Figures.of(stand_in, names, held_out=spec.dataset.is_validated)
    if is_monitored and monitored(spec.train, figures) in figures.larger_is_better:
        choose_best(loaded, figures)
        if spec.sweep is not None:
            choose_goal(loaded, figures, spec.sweep.metric, spec.sweep.direction)
    return encoding, figures


def _passing_on(output_shape: OneOrNamed[Shape]) -> keras.Model:
    """A model that only passes on what it gets: loss and metrics see no difference."""
    if not isinstance(output_shape, Mapping):
        return keras.Sequential([keras.Input(output_shape[1:]), keras.layers.Activation("linear")])
    inputs = {name: keras.Input(shape[1:], name=name) for name, shape in output_shape.items()}
    return keras.Model(inputs, {name: keras.layers.Activation("linear")(tensor) for name, tensor in inputs.items()})
