"""A look at TFRecord files, and the spec for them: which features go in, and what is asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.array_targets import read_labels
from dlcli.data.example_proto import Values
from dlcli.data.image_decoding import appearance, set_up
from dlcli.data.record_columns import Column
from dlcli.data.record_features import First, fit_target, looks_like_picture
from dlcli.data.record_files import DamagedError, Records, capital, open_records
from dlcli.data.record_reader import record_files
from dlcli.errors import DataError, UsageError
from dlcli.spec.likeness import closest
from dlcli.spec.writing import to_flow
from dlcli.starting.folders import classes_in_words, splits_lines
from dlcli.starting.images import convolutions, plan_for_images, usual_size
from dlcli.starting.lines import beside, table, wrapped
from dlcli.starting.networks import class_output, hidden_layers, learning, number_output, training
from dlcli.starting.plans import hold_out, plan_for_numbers

_WORD = "tfrecord"
_USUAL = ("label", "target", "class", "y", "image/class/label", "labels", "targets")
_LOOKED_AT = 100  # records whose pictures are looked at
_MOST_CLASSES = 100


@dataclass(frozen=True)
class RecordFacts:
    """Records, looked at.

    Attributes:
        records: where they are.
        features: what the first one has of each, by name.
        target: the feature of what is asked for.
        labels: of all records: class numbers, or numbers.
        classes: their names in order; None for a number.
        inputs: the features that go in.
        size: height and width of the pictures, where one goes in.
    """

    records: Records
    features: Mapping[str, Values | None]
    target: str
    labels: np.ndarray[Any, Any]
    classes: tuple[str, ...] | None
    inputs: tuple[str, ...]
    size: tuple[int, int] | None

    @property
    def counts(self) -> list[tuple[str, int]]:
        """The classes with their numbers of records."""
        found = np.bincount(self.labels, minlength=len(self.classes or ())).tolist()
        return list(zip(self.classes or (), found, strict=True))


def has_records(data: Path) -> bool:
    """Whether this is a TFRecord file by its name, or a folder that has such."""
    files = data.iterdir() if data.is_dir() else [data]
    return any(_WORD in one.name.lower() and one.is_file() for one in files)


def look_at_records(data: Path, target: str | None, task: str | None) -> RecordFacts:
    """What is in records.

    Args:
        data: the file, or the folder of such.
        target: the feature that is asked for; None to take one with a name that says so.
        task: whether it has "classes" or is a "number"; None to tell by its values.

    Raises:
        DataError: a file cannot be read, or nothing in it can go in.
        UsageError: there is no such feature, or none is the obvious target.
    """
    set_up()
    records = open_records(record_files([data]), None)
    try:
        first = First.of(records, 0)
        features = {name: first.values(name) for name in sorted(first.features)}
        column = _target(features, target, data)
        stored = Column.of(records, fit_target(first, column))
    except DamagedError as error:
        raise DataError(f"{capital(records.place(0))}, is damaged: {error}.") from error
    values = read_labels(stored, is_one_hot=len(stored.shape) > 1)
    labels, classes = _labels(values, task, column, data)
    inputs = _inputs(features, column, data)
    pictured = looks_like_picture(features[inputs[0]])
    size = _usual_size(records, inputs[0]) if pictured else None
    return RecordFacts(records, features, column, labels, classes, inputs, size)


def _target(features: Mapping[str, Values | None], asked: str | None, data: Path) -> str:
    names = ", ".join(features)
    if asked is not None:
        if asked in features:
            return asked
        close = closest(asked, list(features))
        raise UsageError(
            f"{data} has no feature `{asked}`.", f"Did you mean `{close}`?" if close else f"It has {names}."
        )
    usual = next((name for name in _USUAL if name in features), None)
    if usual is None:
        message = f"{data}: which feature is the model to tell? None of them is called as if it were that one."
        raise UsageError(message, f"Say it with `--target`. The features are {names}.")
    return usual


def _labels(
    values: np.ndarray[Any, Any], task: str | None, column: str, data: Path
) -> tuple[np.ndarray[Any, Any], tuple[str, ...] | None]:
    """Class numbers and the names of the classes; or numbers. Raises DataError if there is nothing to learn."""
    different, numbers = np.unique(values, return_inverse=True)
    if len(different) == 1:
        message = f"{data}: every record has the same `{column}`, {different[0]}: there is nothing to learn."
        raise DataError(message, "Ask for a feature that differs, with `--target`.")
    is_number = values.dtype.kind in "uif"
    if task == "number" and not is_number:
        raise UsageError(f"{data}: `{column}` has texts, such as `{values[0]}`, and no numbers.")
    has_fractions = values.dtype.kind == "f" and bool((values % 1 != 0).any())
    if task == "number" or (task is None and is_number and (has_fractions or len(different) > _MOST_CLASSES)):
        return values.astype(np.float64), None
    return numbers.astype(np.int32), tuple(f"{one:g}" if is_number else str(one) for one in different.tolist())


def _inputs(features: Mapping[str, Values | None], target: str, data: Path) -> tuple[str, ...]:
    """The only picture; or else all that are numbers. Raises DataError if there is nothing that could go in."""
    others = {name: values for name, values in features.items() if name != target and values is not None}
    pictures = [name for name, values in others.items() if looks_like_picture(values)]
    numbers = [name for name, values in others.items() if not isinstance(values, list) and len(values)]
    if pictures:
        return (pictures[0],)
    if not numbers:
        message = f"{data}: besides `{target}` there is no feature of numbers, and none that is a picture."
        raise DataError(
            message, "What other bytes are must be said by hand: `features: {x: {dtype: uint8, shape: […]}}`."
        )
    return tuple(numbers)


def _usual_size(records: Records, name: str) -> tuple[int, int]:
    sizes = []
    for row in range(0, len(records), max(1, len(records) // _LOOKED_AT)):
        try:
            values = First.of(records, row).values(name)
        except DamagedError as error:
            raise DataError(f"{capital(records.place(row))}, is damaged: {error}.") from error
        if looks_like_picture(values) and isinstance(values, list):
            sizes.append(appearance(io.BytesIO(values[0])).size)
    return usual_size(np.asarray(sizes))


def record_spec(facts: RecordFacts, path: str, name: str, command: str) -> str:
    """The text of a spec; `path` is how it names the files, `command` how it was asked for."""
    holding = hold_out(facts.labels, facts.classes)
    examples, is_regression = len(holding.train), facts.classes is None
    width = sum(0 if values is None else len(values) for values in map(facts.features.get, facts.inputs))
    if facts.size is not None:
        plan = plan_for_images(examples)
        layers = convolutions(plan, facts.size)
    else:
        plan = plan_for_numbers(examples, width, is_regression=is_regression)
        layers = [*_joined(facts.inputs), *hidden_layers(width, examples, plan)]
    counts = sorted(facts.counts, key=lambda pair: -pair[1]) if facts.classes is not None else None
    lines = [
        *_seen(facts, command),
        "",
        f"name: {to_flow(name)}",
        "seed: 0",
        "",
        "dataset:",
        "  source:",
        "    tfrecord:",
        f"      path: {to_flow(path)}",
        *_features(facts),
        f"      target: {to_flow(facts.target)}",
        *splits_lines(holding, "records", has_test_set=False),
        f"  batch_size: {plan.batch_size}",
        *(["  labels: standardized"] if is_regression else []),
        "",
        "model:",
        "  layers:",
        *layers,
        *(class_output(facts.classes) if facts.classes is not None else number_output()),
        "",
        *learning(counts, plan, examples),
        "",
        *training(plan, holding),
    ]
    return "\n".join(lines) + "\n"


def _features(facts: RecordFacts) -> list[str]:
    lines = [("      features:", "what goes in, and what it is")]
    words = _words(facts.inputs)
    for feature, word in zip(facts.inputs, words, strict=True):
        said: dict[str, Any] = {} if word == feature else {"feature": feature}
        if facts.size is not None:
            said |= {"encoding": "image", "size": list(facts.size)}
        lines.append((f"        {word}: {to_flow(said)}", _shown(facts.features[feature])))
    return beside(lines)


def _words(features: tuple[str, ...]) -> list[str]:
    """A name for each input: its feature's, where that can be one."""
    return [one if one.isidentifier() else f"input_{number}" for number, one in enumerate(features, start=1)]


def _joined(features: tuple[str, ...]) -> list[str]:
    if len(features) == 1:
        return []
    return ["    - Concatenate: {}", f"      inputs: {to_flow(_words(features))}"]


def _seen(facts: RecordFacts, command: str) -> list[str]:
    rows = [(name, _shown(values)) for name, values in facts.features.items()]
    asked = "a number" if facts.classes is None else f"classes, {classes_in_words(facts.counts)}"
    rows = [(name, text if name in facts.inputs else f"left out: {text}") for name, text in rows]
    return [
        *wrapped(f"{facts.records}: {len(facts.records):,} records. Written by `{command}`."),
        "#",
        *table([(name, f"is asked for: {asked}" if name == facts.target else text) for name, text in rows]),
    ]


def _shown(values: Values | None) -> str:
    if values is None:
        return "nothing in the first record"
    if looks_like_picture(values):
        return "a picture"
    if isinstance(values, list):
        return f"{len(values[0]):,} bytes" if len(values) == 1 else f"{len(values)} byte strings"
    return f"{len(values):,} × {values.dtype}"
