"""Tables of figures: a run's result, an evaluation's classes and confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from dlcli.figures import duration, number

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.report.writing import Report
    from dlcli.training.listening import End

_MOST_MATRIX_CLASSES = 20
_MOST_COLUMNS = 4  # of figures, in 80 characters


def scaled_lines(scales: Mapping[str, Mapping[str, float]]) -> list[str]:
    """In which units the loss is, and in which the metrics are, where that is not the same; a line, or none."""
    if not scales:
        return []
    each = ", ".join(f"({name} - {one['mean']:.4g}) / {one['deviation']:.4g}" for name, one in scales.items())
    return [f"loss: of what is standardized, {each}; metrics and predictions are in the units of the data"]


def show_end(screen: Screen, end: End) -> None:
    """The figures of the best epoch on each split, and where everything is."""
    screen.show(metrics_table(end.metrics))
    epochs = f"{end.epochs_done} epoch{'s' if end.epochs_done != 1 else ''} in {duration(end.seconds)}"
    screen.show(Text(f"best epoch {end.best_epoch}, by {end.monitor} {number(end.best_value)}; {epochs}"))
    if end.is_smoke:
        screen.show(Text("smoke run: built, trained, saved, reloaded and evaluated; nothing is kept"))
        return
    screen.out.print(str(end.run / "checkpoints" / "best.h5"), soft_wrap=True, markup=False)


def show_report(screen: Screen, report: Report) -> None:
    """A word on the fit, and where the page is."""
    screen.message("; ".join(finding.title for finding in report.findings))
    screen.message(f"report: {report.page}")


def fold_line(number_of_fold: int, end: End) -> str:
    """What a fold came to, in a line."""
    figure = f"{end.monitor} {number(end.best_value)}"
    return (
        f"fold {number_of_fold}: best epoch {end.best_epoch} of {end.epochs_done}, by {figure}; {duration(end.seconds)}"
    )


def metrics_table(metrics: Mapping[str, Mapping[str, float]]) -> Table:
    """A row a split, a column a metric; or the reverse, where there are many metrics."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(next(iter(metrics.values()), {}))
    table.add_column("")
    if len(names) > _MOST_COLUMNS:
        for split in metrics:
            table.add_column(split, justify="right")
        for name in names:
            table.add_row(name, *(number(figures[name]) for figures in metrics.values()))
        return table
    for name in names:
        table.add_column(name, justify="right")
    for split, figures in metrics.items():
        table.add_row(split, *(number(figures[name]) for name in names))
    return table


def class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Precision, recall and F1 of each class."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class")
    for name in ("precision", "recall", "F1", "examples"):
        table.add_column(name, justify="right")
    for row in rows:
        figures = (f"{row[key]:.4f}" for key in ("precision", "recall", "f1"))
        table.add_row(Text(str(row["class"])), *figures, f"{row['examples']:,}")
    return table


def confusion_table(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table | None:
    """The confusion matrix: a row a true class, a column a predicted one; None for too many classes to show."""
    if len(names) > _MOST_MATRIX_CLASSES:
        return None
    short = [name if len(name) <= 10 else name[:9] + "…" for name in names]
    headers = short if max(map(len, short)) <= 5 else [str(column) for column in range(len(names))]
    title = "confusion matrix: true by row, predicted by column"
    table = Table(box=None, pad_edge=False, header_style="dim", title=title, title_justify="left", title_style="")
    table.add_column("")
    if headers != short:
        table.add_column("", style="dim")
    for header in headers:
        table.add_column(header, justify="right")
    for row, name in enumerate(short):
        cells = [_cell(count, row == column) for column, count in enumerate(matrix[row])]
        table.add_row(Text(name), *([headers[row]] if headers != short else []), *cells)
    return table


def _cell(count: int, is_right: bool) -> Text:
    if count == 0:
        return Text("·", style="dim")
    return Text(str(count), style="green" if is_right else "red")
