"""Pictures of examples, by what they are: images in a grid, points, columns of a table, lines of a series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.data.columns import as_times
from dlcli.data.dataset import Array, ClassNames, Dataset, named
from dlcli.data.finding import find_all, folders_of
from dlcli.data.pixels import pixels_of
from dlcli.data.series_reader import SeriesReader
from dlcli.data.splits import Splits
from dlcli.data.table_reader import TableReader
from dlcli.data.tables import read_tables
from dlcli.data.where import Where
from dlcli.describing.columns import shortened, shown_number
from dlcli.describing.drawing import INK, plain, save
from dlcli.errors import UsageError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_files import Csv

COLORS = ("#3b6fb6", "#e08b2c", "#3f9b5b", "#c4443d", "#7d62b3", "#8a6d5a", "#d177b0", "#777777", "#a9a83a", "#35a6b8")
_GRID_COLUMNS, _MOST_IMAGES = 8, 40
_MOST_PANELS = 12
_MOST_POINTS = 3_000
_MOST_VALUES = 8
_MOST_CLASSES = 6  # that have a colour each in a histogram
_MOST_LINES = 12


def draw(loaded: LoadedSpec, dataset: Dataset, splits: Splits, where: Where, path: Path) -> None:
    """Draw the data of a spec into a file.

    Raises:
        UsageError: there is no picture for such data.
        RunError: the file cannot be written.
    """
    save(_figure(loaded, dataset, splits, where), path)


def _figure(loaded: LoadedSpec, dataset: Dataset, splits: Splits, where: Where) -> Figure:
    source = loaded.spec.dataset.source
    if isinstance(dataset.reader, TableReader) and isinstance(source, Csv):
        frame = read_tables(find_all(source.path, folders_of(loaded, where)), dataset.reader.layout)
        return _columns_of_file(frame, dataset.reader)
    inputs, kinds = named(splits.train.examples.inputs), named(dataset.kind)
    name, array = next(iter(inputs.items()))
    kind = kinds.get(name) or next(iter(kinds.values()))
    labels, classes = _labels(dataset, splits)
    rows = splits.train.indices
    if kind == "images" and array.ndim in (3, 4):
        return _images(inputs, rows, labels, classes)
    if kind == "video" or array.ndim >= 4:
        return _images({name: array[:, array.shape[1] // 2]}, rows, labels, classes)
    if kind == "indices" and array.ndim == 2:
        words = np.count_nonzero(array[rows], axis=1)
        return _histograms([("words (numbers other than 0)", words)], labels[rows], classes)
    if array.ndim == 2 and array.shape[1] == 2:
        return _points(array[rows], labels[rows], classes)
    if array.ndim == 2:
        names = dataset.feature_names or [f"number {at + 1}" for at in range(array.shape[1])]
        return _histograms([(one, array[rows, at]) for at, one in enumerate(names)], labels[rows], classes)
    if array.ndim == 3:
        some = _from_all_over(rows, _MOST_LINES)
        asked = "then " if isinstance(dataset.reader, SeriesReader) else ""
        return _lines(array[some], [f"{asked}{_label(label, classes)}" for label in labels[some]])
    raise UsageError(f"There is no picture for the data of `{dataset.source}`.")


def _labels(dataset: Dataset, splits: Splits) -> tuple[Array, ClassNames]:
    """What is asked for of each example: of the first target, if there are several."""
    targets, classes = named(splits.train.examples.targets), named(dataset.class_names)
    name, array = next(iter(targets.items()))
    return array, classes[name]


def _label(value: Any, classes: ClassNames) -> str:
    return shown_number(float(value)) if classes is None else shortened(classes[int(value)], 14)


def _images(inputs: Any, rows: Array, labels: Array, classes: ClassNames) -> Figure:
    """A grid; of each class about as many, where there are classes."""
    chosen = _spread(rows, labels if classes is not None else None)
    columns = min(_GRID_COLUMNS, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = Figure(figsize=(1.25 * columns, 1.45 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for axis in axes:
        axis.set_axis_off()
    pictures = [array[np.asarray(chosen)] for array in inputs.values()]
    for place, (axis, row) in enumerate(zip(axes, chosen, strict=False)):
        parts = [pixels_of(some[place]) for some in pictures]
        axis.imshow(np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0], cmap="gray", vmin=0, vmax=255)
        axis.set_title(_label(labels[row], classes), fontsize=8, color=INK, pad=3)
    return figure


def _spread(rows: Array, labels: Array | None) -> list[int]:
    """Some rows: of each class in turn."""
    if labels is None:
        return [int(row) for row in _from_all_over(rows, _MOST_IMAGES)]
    of_class = [list(rows[labels[rows] == number]) for number in np.unique(labels[rows])]
    per_class = max(1, _MOST_IMAGES // len(of_class))
    return [int(row) for some in of_class for row in some[:per_class]][:_MOST_IMAGES]


def _points(array: Array, labels: Array, classes: ClassNames) -> Figure:
    array, labels = array[:_MOST_POINTS], labels[:_MOST_POINTS]
    figure = Figure(figsize=(6, 5.4), layout="constrained")
    axis = plain(figure.subplots())
    size = 14 if len(array) > 300 else 30
    if classes is None:
        shown = axis.scatter(array[:, 0], array[:, 1], c=labels, s=size, cmap="viridis", linewidths=0)
        figure.colorbar(shown, ax=axis)
    for number, name in enumerate(classes or ()):
        some = array[labels == number]
        color = COLORS[number % len(COLORS)]
        axis.scatter(some[:, 0], some[:, 1], s=size, color=color, alpha=0.75, linewidths=0, label=shortened(name))
    if classes is not None:
        axis.legend(frameon=False, fontsize=9, loc="best")
    axis.set_aspect("equal", adjustable="datalim")
    return figure


def _from_all_over(rows: Array, most: int) -> Array:
    """So many rows, at equal distances: neighbours in a series are nearly the same."""
    chosen: Array = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]
    return chosen


def _lines(array: Array, labels: Sequence[str]) -> Figure:
    """Examples that are series, one below the other; a line for each of the first channels."""
    columns = 3
    lines = -(-len(array) // columns)
    figure = Figure(figsize=(9, 1.7 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns, sharex=True)).ravel()
    for axis in axes[len(array) :]:
        axis.set_axis_off()
    for axis, series, label in zip(axes, array, labels, strict=False):
        for channel in range(min(series.shape[1], len(COLORS))):
            plain(axis).plot(series[:, channel], color=COLORS[channel], linewidth=1.2)
        axis.set_title(label, fontsize=8, color=INK)
    return figure


def _histograms(columns: Sequence[tuple[str, Array]], labels: Array, classes: ClassNames) -> Figure:
    figure, axes = _panels(len(columns))
    for axis, (name, values) in zip(axes, columns, strict=False):
        _histogram(plain(axis), values, labels, classes)
        axis.set_title(shortened(str(name), 28), fontsize=9, color=INK, loc="left")
    _legend(figure, classes)
    return figure


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    count = min(count, _MOST_PANELS)
    columns = min(3, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 2.1 * lines + 0.3), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(lines, columns)).ravel())
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def _legend(figure: Figure, classes: ClassNames) -> None:
    if classes is None or len(classes) > _MOST_CLASSES:
        return
    from matplotlib.patches import Patch

    patches = [Patch(color=COLORS[number], label=shortened(name)) for number, name in enumerate(classes)]
    figure.legend(handles=patches, loc="outside upper right", ncols=len(patches), frameon=False, fontsize=9)


def _histogram(axis: Axes, values: Array, labels: Array, classes: ClassNames) -> None:
    """Stacked by class, where there are few enough to tell apart."""
    known = np.isfinite(values)
    if classes is None or len(classes) > _MOST_CLASSES:
        axis.hist(values[known], bins=30, color=COLORS[0])
        return
    parts = [values[known & (labels == number)] for number in range(len(classes))]
    axis.hist(parts, bins=30, stacked=True, color=list(COLORS[: len(parts)]))


def _columns_of_file(frame: Any, reader: TableReader) -> Figure:
    """The columns of a table as they are in the file: the target first, then those that go in."""
    targets = [target for target in reader.targets.values() if target.column in frame.columns]
    answered = frame[frame[[target.column for target in targets]].notna().all(axis=1)] if targets else frame
    classes = targets[0].classes if targets else None
    labels = targets[0].encode(answered[targets[0].column], "") if targets else np.zeros(len(frame))
    fitted = [column for columns in reader.inputs.values() for column in columns]
    figure, axes = _panels(len(targets) + len(fitted))
    for axis, target in zip(axes, targets, strict=False):
        values = target.encode(answered[target.column], "")
        if target.classes is None:
            plain(axis).hist(values, bins=30, color=INK)
        else:
            _bars(plain(axis), np.asarray(target.classes)[values], target.classes if target is targets[0] else None)
        axis.set_title(f"{shortened(target.column, 20)} (target)", fontsize=9, color=INK, loc="left", weight="bold")
    for axis, column in zip(axes[len(targets) :], fitted, strict=False):
        _column(plain(axis), column, answered[column.name], labels, classes)
        axis.set_title(shortened(column.name, 28), fontsize=9, color=INK, loc="left")
    _legend(figure, classes)
    return figure


def _column(axis: Axes, column: Any, values: Any, labels: Array, classes: ClassNames) -> None:
    if column.kind in ("number", "plain"):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        _histogram(axis, numbers, labels, classes)
    elif column.kind == "date":
        years = as_times(column.name, values, "")
        _histogram(axis, (years.dt.year + years.dt.day_of_year / 366).to_numpy(np.float64), labels, classes)
    elif column.kind == "text":
        words = values.astype("str").str.split().str.len().to_numpy(np.float64, na_value=np.nan)
        _histogram(axis, words, labels, classes)
        axis.set_xlabel("words", fontsize=8, color=INK)
    else:
        _bars(axis, values.astype("str").where(values.notna(), "missing").to_numpy(), None)


def _bars(axis: Axes, values: Array, classes: ClassNames) -> None:
    """How often each value is there, the most frequent on top; in the colours of the classes, if they are these."""
    names, counts = np.unique(values.astype(str), return_counts=True)
    order = np.argsort(-counts)[:_MOST_VALUES][::-1]
    has_colors = classes is not None and len(classes) <= _MOST_CLASSES
    colors = [COLORS[list(classes or ()).index(names[at])] if has_colors else COLORS[7] for at in order]
    axis.barh([shortened(str(names[at]), 16) for at in order], counts[order], color=colors, height=0.7)
