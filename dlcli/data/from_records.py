"""The examples of a `tfrecord` source: which features of its records go in and are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dlcli.data.dataset import Dataset
from dlcli.data.finding import find_all
from dlcli.data.from_stored import Chosen, Part, check_chosen, read_stored
from dlcli.data.record_columns import Column, without_damaged
from dlcli.data.record_features import First, fit_input, fit_target, looks_like_picture
from dlcli.data.record_files import SKIP, DamagedError, Records, capital, open_records
from dlcli.data.record_layout import Layout
from dlcli.data.record_reader import RecordReader, record_files
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.likeness import suggestion
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.source import INPUT, TARGET
from dlcli.spec.sources_arrays import arrays_by_name
from dlcli.spec.sources_records import Feature, TfRecord

_USUAL_TARGETS = ("label", "labels", "target", "targets", "class", "y", "image/class/label")
_MOST_SHOWN = 30
_HOW = "Name the right one, as in `features: {image: {feature: image/encoded}}`."


def load_records(
    loaded: LoadedSpec, source: TfRecord, where: Where, folders: Sequence[Path], reader: RecordReader | None
) -> tuple[Dataset, Splits]:
    """The examples of records, split.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what the records became in training; None to tell it by the first of them.

    Raises:
        DataError: a file cannot be read, or its records are not what they should be.
    """
    dataset = loaded.once("dataset", lambda: _read(loaded, source, where, folders, reader))
    return dataset, split_as_written(loaded, dataset)


def _read(
    loaded: LoadedSpec, source: TfRecord, where: Where, folders: Sequence[Path], reader: RecordReader | None
) -> Dataset:
    paths = record_files(find_all(source.path, folders))
    tested = record_files(find_all(source.test_path, folders)) if source.test_path is not None else None
    if tested is not None and set(paths) & set(tested):
        both = (set(paths) & set(tested)).pop()
        raise DataError(f"{both} is both to train and to test on: the score would mean nothing.")
    records = _open(source, paths, where)
    layouts = reader.layouts if reader is not None else _fitted(loaded, source, records)
    names = _names(loaded, source, layouts)
    train = check_chosen(_part(records, names, layouts, source, where))
    test = _part(_open(source, tested, where), names, layouts, source, where) if tested is not None else None
    origin = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    chosen = Chosen(train, test, origin, source.kind_of, source.class_names, source.stream)
    dataset, arrays = read_stored(loaded, chosen, where, reader.arrays if reader is not None else None)
    return replace(dataset, reader=RecordReader(arrays, layouts))


def _open(source: TfRecord, paths: Sequence[Path], where: Where) -> Records:
    return open_records(paths, source.compression, where.notify if source.corrupt == "skip" else None)


_Names = tuple[Mapping[str, str], Mapping[str, str]]


def _names(loaded: LoadedSpec, source: TfRecord, layouts: Mapping[str, Layout]) -> _Names:
    """The features that go in and that are asked for, by the names of inputs and targets; in the order of `_fitted`."""
    known = list(layouts)
    inputs = dict(zip(source.input_names, known, strict=False))
    return inputs, dict(zip(source.target_names, known[len(inputs) :], strict=False))


def _part(records: Records, names: _Names, layouts: Mapping[str, Layout], source: TfRecord, where: Where) -> Part:
    inputs, targets = ({name: Column.of(records, layouts[one]) for name, one in part.items()} for part in names)
    if source.corrupt == "skip":
        left = without_damaged([*inputs.values(), *targets.values()], where.notify)
        inputs = dict(zip(inputs, left, strict=False))
        targets = dict(zip(targets, left[len(inputs) :], strict=True))
    return Part(inputs, targets)


def _fitted(loaded: LoadedSpec, source: TfRecord, records: Records) -> dict[str, Layout]:
    """What each feature becomes, those that go in first, by the first record that is whole."""
    row = 0
    while True:
        try:
            return _of_first(loaded, source, First.of(records, row))
        except DamagedError as error:
            row += 1
            if source.corrupt == "error" or row == len(records):
                place = capital(records.place(row - 1))
                raise DataError(
                    f"{place}, is damaged: {error}.", SKIP if source.corrupt == "error" else None
                ) from error


def _of_first(loaded: LoadedSpec, source: TfRecord, first: First) -> dict[str, Layout]:
    targets = _targets(loaded, source, first)
    described = source.features or {INPUT: Feature(feature=_only_input(first, targets))}
    layouts: dict[str, Layout] = {}
    for name, said in described.items():
        feature = _known(said.feature or name, first)
        if feature in layouts:
            raise DataError(f"The feature `{feature}` goes in twice.", "Name it once.")
        layouts[feature] = fit_input(first, feature, said)
    for feature in targets:
        if feature in layouts:
            message = (
                f"The feature `{feature}` is what is asked for, and goes in as well: the model would only copy it."
            )
            raise DataError(message)
        layouts[feature] = fit_target(first, feature)
    return layouts


def _targets(loaded: LoadedSpec, source: TfRecord, first: First) -> list[str]:
    if source.target is None and loaded.spec.dataset.labels == "input":
        return []
    found = []
    for name in arrays_by_name(source.target, TARGET).values():
        usual = next((one for one in _USUAL_TARGETS if one in first.features), None)
        if name is None and usual is None:
            names = ", ".join(f"`{one}`" for one in _USUAL_TARGETS)
            message = f"{capital(first.place)}, has none of the features {names}."
            raise DataError(message, f"Name the right one with `target`. {_there_is(first)}")
        found.append(_known(name or usual or "", first))
    return found


def _only_input(first: First, targets: Sequence[str]) -> str:
    """The only feature that can go in: the only picture; or else the only one that is left. Raises DataError."""
    others = [name for name in sorted(first.features) if name not in targets]
    pictures = [name for name in others if looks_like_picture(first.values(name))]
    numbers = [name for name in others if first.features[name].kind in ("int64", "float")]
    for kind in (pictures, numbers, others):
        if len(kind) == 1:
            return kind[0]
        if kind:
            break
    if not others:
        raise DataError(f"{capital(first.place)}, has nothing that could go in.", _there_is(first))
    message = f"{capital(first.place)}, has several features that could go in: {', '.join(f'`{one}`' for one in kind)}."
    raise DataError(message, f"Name those that do, as in `features: [{', '.join(kind[:2])}]`. {_there_is(first)}")


def _known(name: str, first: First) -> str:
    if name in first.features:
        return name
    hint = suggestion(name, first.features) or f"{_HOW} {_there_is(first)}"
    raise DataError(f"{capital(first.place)}, has no feature `{name}`.", hint)


def _there_is(first: First) -> str:
    """The features with what they have, for a message."""
    if not first.features:
        return "There is no feature at all: a tf.train.SequenceExample, for one, is not read, but a tf.train.Example."
    each = []
    for name in sorted(first.features)[:_MOST_SHOWN]:
        values = first.values(name)
        if values is None:
            each.append(f"`{name}` (nothing)")
        elif isinstance(values, list):
            sizes = f"{len(values[0]):,} bytes" if len(values) == 1 else f"{len(values)} byte strings"
            each.append(f"`{name}` ({sizes})")
        else:
            each.append(f"`{name}` ({len(values):,} × {values.dtype})")
    return f"There is: {', '.join(each)}{' …' if len(first.features) > _MOST_SHOWN else ''}."
