"""What a model will get of a spec's data: splits, shapes, values, classes, columns, repeats. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dlcli.data.class_folders import list_folders
from dlcli.data.columns import PADDING, UNKNOWN
from dlcli.data.columns import Text as Words
from dlcli.data.dataset import Array, ClassNames, Dataset, named
from dlcli.data.finding import find_all, find_one, folders_of
from dlcli.data.from_tables import with_targets
from dlcli.data.inferring import Kind, kind_of
from dlcli.data.keras_numbers import word_index
from dlcli.data.oversampling import Oversampling, oversampling_of
from dlcli.data.splits import Split, Splits
from dlcli.data.table_reader import TableReader
from dlcli.data.table_reading import Reading
from dlcli.data.text_reader import TEXTS, TextReader, read_texts
from dlcli.data.where import Where, quiet
from dlcli.describing.columns import ColumnSummary, summarize_column
from dlcli.describing.repeats import Repeats, find_repeats, rows_at_a_time
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_keras import NumberedTexts
from dlcli.spec.sources_texts import Text

_TEXTS = 3


@dataclass(frozen=True)
class Values:
    """The numbers of an array: their type, the shape of one example, the least, mean and largest."""

    dtype: str
    shape: tuple[int, ...]
    least: float
    mean: float
    largest: float


@dataclass(frozen=True)
class TargetSummary:
    """What is asked for.

    Attributes:
        classes: how many examples of each class each split has, by split; None for a number.
        numbers: the values of a number, by split; None for classes.
        epoch: how many examples of each class an epoch of training has, where some come more often than others.
    """

    classes: dict[str, dict[str, int]] | None
    numbers: dict[str, Values] | None
    epoch: dict[str, int] | None = None


@dataclass(frozen=True)
class Line:
    """A text as it was written, as the numbers of its words, and as words again; empty where that is not known."""

    text: str
    numbers: tuple[int, ...]
    words: str


@dataclass(frozen=True)
class DataSummary:
    """What a spec's data is.

    Attributes:
        source: its name.
        origin: where the examples came from.
        instead_of: the source that could not be reached, where this one stands in for it.
        splits: the number of examples in each.
        inputs: of the examples to train on, as they are before the preparation, by name.
        targets: by name.
        columns: those of a table.
        feature_names: what numbers became of them.
        repeats: what is there more than once.
        lines: a few texts.
        prepared: the first batch as the model gets it, by input; empty if nobody asked for it.
        folds: the number of examples in each split of each fold; what else is told is told of the first one. Empty
            where one alone, or none, is trained for.
    """

    source: str
    origin: str
    instead_of: str | None
    splits: dict[str, int]
    inputs: dict[str, Values]
    targets: dict[str, TargetSummary]
    columns: tuple[ColumnSummary, ...]
    feature_names: tuple[str, ...]
    repeats: Repeats
    lines: tuple[Line, ...]
    prepared: dict[str, Values]
    folds: tuple[dict[str, int], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "columns": [column.as_json() for column in self.columns]}


def describe(
    loaded: LoadedSpec,
    dataset: Dataset,
    splits: Splits,
    where: Where,
    prepared: Mapping[str, Array] | None = None,
    folds: Sequence[dict[str, int]] = (),
) -> DataSummary:
    """What the data of a spec is.

    Args:
        loaded: the spec.
        dataset: its data.
        splits: how that is divided.
        where: where the files of it may be.
        prepared: a batch as the model gets it, by input, if it is to be told of.
        folds: the sizes of the splits of each fold, if there are several to train for.

    Raises:
        DataError: its files cannot be read again.
    """
    names = {name: splits.named(name) for name in splits.names}
    inputs = {
        _called(name, INPUT): values_of(array, splits.train.indices) for name, array in _train_inputs(splits).items()
    }
    classes = named(dataset.class_names, TARGET)
    targets = {
        name: _target(name if isinstance(dataset.class_names, Mapping) else "", some, names)
        for name, some in classes.items()
    }
    oversampling = oversampling_of(loaded, dataset)
    if oversampling is not None:
        targets = {name: _repeated(target, oversampling, splits.train) for name, target in targets.items()}
    columns, lines = _table(loaded, dataset, splits, where)
    lines = lines or _texts(loaded, dataset, splits, where) or _numbered(loaded, dataset, splits, where)
    return DataSummary(
        dataset.source,
        dataset.origin,
        dataset.requested,
        {name: len(split) for name, split in names.items()},
        inputs,
        targets,
        columns,
        dataset.feature_names or (),
        find_repeats(splits),
        lines,
        {_called(name, INPUT): values_of(array) for name, array in (prepared or {}).items()},
        tuple(folds),
    )


def _called(name: str, otherwise: str) -> str:
    return name or otherwise


def _train_inputs(splits: Splits) -> Mapping[str, Array]:
    return named(splits.train.examples.inputs)


def values_of(array: Array, rows: Array | None = None) -> Values:
    """The values of an array, or of some rows of it; those that are no numbers do not count."""
    indices = np.arange(len(array)) if rows is None else rows
    least, largest, total, count = np.inf, -np.inf, 0.0, 0
    size = rows_at_a_time(array)
    for start in range(0, len(indices), size):
        part = np.asarray(array[indices[start : start + size]])
        known = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        if known.size:
            least, largest = min(least, float(known.min())), max(largest, float(known.max()))
            total, count = total + float(known.sum(dtype=np.float64)), count + known.size
    mean = total / count if count else float("nan")
    return Values(str(array.dtype), tuple(array.shape[1:]), least, mean, largest)


def _target(name: str, classes: ClassNames, splits: Mapping[str, Split]) -> TargetSummary:
    arrays = {split: named(some.examples.targets)[name] for split, some in splits.items()}
    if classes is None:
        return TargetSummary(None, {split: values_of(arrays[split], some.indices) for split, some in splits.items()})
    counts = {split: np.bincount(arrays[split][some.indices], minlength=len(classes)) for split, some in splits.items()}
    return TargetSummary(
        {split: dict(zip(classes, map(int, some), strict=True)) for split, some in counts.items()}, None
    )


def _repeated(target: TargetSummary, oversampling: Oversampling, train: Split) -> TargetSummary:
    """With what an epoch has of each class."""
    counts = oversampling.counts(train.indices)
    names = (target.classes or {})["train"]
    each = np.pad(counts, (0, len(names) - len(counts))).tolist()  # the last ones may be in no training row
    return replace(target, epoch=dict(zip(names, each, strict=True)))


def _table(
    loaded: LoadedSpec, dataset: Dataset, splits: Splits, where: Where
) -> tuple[tuple[ColumnSummary, ...], tuple[Line, ...]]:
    """The columns of a table, of all its rows; and some texts of it."""
    reader, source = dataset.reader, loaded.spec.dataset.source
    if not isinstance(reader, TableReader) or not isinstance(source, Csv):
        return (), ()
    paths = find_all(source.path, folders_of(loaded, where))
    reading = Reading(reader.layout, source.corrupt == "skip", reader.windows is not None, quiet(where))
    rows, _ = reading.rows(paths, (), lambda frame: list(frame.columns), reader.checks)
    used = {column.name: column for columns in reader.inputs.values() for column in columns}
    asked = {target.column for target in reader.targets.values()}
    columns = []
    for name in rows.names:
        values = rows.whole(name)  # one after the other: all together may be more than the memory has
        kind = _kind(name, values, used, asked, source, paths[0])
        columns.append(summarize_column(name, kind.kind, values, kind.reason))
    answered = with_targets(rows, sorted(asked), paths[0], quiet(where))
    first = splits.train.indices[:_TEXTS]
    texts = [column for column in used.values() if isinstance(column, Words)]
    lines = [_line(text, column) for column in texts for part in answered.column(column.name, first) for text in part]
    return tuple(columns), tuple(lines)


def _texts(loaded: LoadedSpec, dataset: Dataset, splits: Splits, where: Where) -> tuple[Line, ...]:
    """Some texts from all over the training rows, read from their files again."""
    reader, source = dataset.reader, loaded.spec.dataset.source
    if not isinstance(reader, TextReader) or not isinstance(source, Text):
        return ()
    origin = find_one(source.path, folders_of(loaded, where))
    with_classes = dataset.class_names is not None
    listing = list_folders(origin, TEXTS, None, reader.classes, lambda text: None, with_classes=with_classes)
    rows = splits.train.indices[np.linspace(0, len(splits.train) - 1, min(_TEXTS, len(splits.train))).astype(int)]
    paths = [listing.splits["train"].paths[row] for row in rows]
    return tuple(_line(text, reader.column) for text in read_texts(paths, source.encoding))


def _numbered(loaded: LoadedSpec, dataset: Dataset, splits: Splits, where: Where) -> tuple[Line, ...]:
    """Some texts that are there as numbers only; in words if the file of the words is there, too."""
    source, inputs = loaded.spec.dataset.source, splits.train.examples.inputs
    if not isinstance(source, NumberedTexts) or dataset.source != source.name or isinstance(inputs, Mapping):
        return ()
    words = word_index(source.name, where.data_dir)
    known = {} if words is None else {rank + source.index_from: word for rank, word in words.items()}
    signs = {0: "", source.oov_char: "[?]", source.start_char: "[start]"}
    lines = []
    for row in splits.train.indices[:_TEXTS]:
        numbers = [int(number) for number in inputs[row]]
        read = [signs.get(number, known.get(number, "[?]")) for number in numbers if number] if known else []
        lines.append(Line("", tuple(numbers), " ".join(filter(None, read))))
    return tuple(lines)


def _kind(
    name: str, values: Any, used: Mapping[str, Any], asked: Sequence[str] | set[str], source: Csv, path: Path
) -> Kind:
    if name in asked:
        return Kind("target")
    if name in used:
        return Kind({"plain": "number"}.get(used[name].kind, used[name].kind))
    said = source.columns.get(name)
    named = source.features is not None and name in source.features
    if said is not None or (not named and (source.features is not None or source.inputs)):
        return Kind("skip", "the spec says so")
    found = kind_of(name, values, str(path), is_said=named)
    return found if found.kind == "skip" else Kind("skip", f"{found.kind}, which needs an input of its own")


def _line(text: Any, column: Words) -> Line:
    written = text if isinstance(text, str) else ""
    numbers = [int(number) for number in column.encode(pd.Series([written], dtype="str"), column.name)[0]]
    known = dict(enumerate(column.words, start=2))
    words = [known.get(number, "[?]" if number == UNKNOWN else "") for number in numbers if number != PADDING]
    return Line(written, tuple(numbers), " ".join(words))
