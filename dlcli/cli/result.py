"""Tables of figures: a run's result, an evaluation's classes and confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dlcli.figures import duration, number
from dlcli.runs.finding import called

if TYPE_CHECKING:
    from pathlib import Path

    from dlcli.console import Screen
    from dlcli.report.writing import Report
    from dlcli.training.listening import End

_MOST_MATRIX_CLASSES = 20
_MOST_COLUMNS = 4  # of figures, in 80 characters
_WIDTH = 80  # characters, where a line may be of any length
_LEAST_NAME = 10  # characters of it


def scaled_lines(scales: Mapping[str, Mapping[str, float]]) -> list[str]:
    """In which units the loss is, and in which the metrics are, where that is not the same; a line, or none."""
    if not scales:
        return []
    each = ", ".join(f"({name} - {one['mean']:.4g}) / {one['deviation']:.4g}" for name, one in scales.items())
    return [f"loss: of what is standardized, {each}; metrics and predictions are in the units of the data"]


def show_end(screen: Screen, end: End) -> None:
    """The figures of the best epoch on each split and what they gain, and where everything is."""
    show_metrics(screen, end.metrics, {"trivial": end.trivial, "last value": end.last_value}, end.gain)
    epochs = f"{end.epochs_done} epoch{'s' if end.epochs_done != 1 else ''} in {duration(end.seconds)}"
    screen.show(
        Text.assemble(
            (f"best epoch {end.best_epoch}", "bold"), f", by {end.monitor} {number(end.best_value)}; {epochs}"
        )
    )
    if end.trivial:
        told = f"trivial: always the most frequent class, the mean or the median; on {end.trivial_on}"
        screen.show(Text(told, style="dim"))
    if end.last_value:
        told = "last value: it stays as the last row of each window has it; gain: over the better one of both"
        screen.show(Text(told, style="dim"))
    if end.is_smoke:
        screen.show(Text("smoke run: built, trained, saved, reloaded and evaluated; nothing is kept"))
        return
    screen.out.print(str(end.run / "checkpoints" / "best.h5"), soft_wrap=True, markup=False)


def next_line(path: Path, *, has_report: bool) -> str:
    """What can be done with a run that is done, which is in the folder `path`."""
    commands = ["evaluate", *([] if has_report else ["report"])]
    return f"next: {', '.join(f'`dlcli {command} {called(path)}`' for command in commands)}, `dlcli runs`"


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


def show_metrics(
    screen: Screen,
    metrics: Mapping[str, Mapping[str, float]],
    without_model: Mapping[str, Mapping[str, float]] | None = None,
    gain: Mapping[str, float] | None = None,
) -> None:
    """A row a split, a column a metric; or the reverse, where there are many metrics, or their names are long.

    Args:
        screen: where it is shown.
        metrics: by split.
        without_model: those that can be had without a model, as far as they are known, by what is done for them.
        gain: how much better some are.
    """
    room = screen.table_width
    names = list(next(iter(metrics.values()), {}))
    lines = [(split, [Text(number(figures[name])) for name in names]) for split, figures in metrics.items()]
    known = {what: figures for what, figures in (without_model or {}).items() if figures}
    lines += [(what, [_faint(figures.get(name)) for name in names]) for what, figures in known.items()]
    if known:
        lines.append(("gain", [_signed((gain or {}).get(name)) for name in names]))
    heads, rows = names, lines
    if len(names) > _MOST_COLUMNS or _width(heads, rows) > (room or _WIDTH):
        heads = [split for split, _ in lines]
        rows = [(name, [cells[place] for _, cells in lines]) for place, name in enumerate(names)]
        excess = _width(heads, rows) - room if room is not None else 0
        if excess > 0:
            longest = max(map(len, names)) - excess
            rows = [(_middle(name, longest), cells) for name, cells in rows]
    table = Table(box=None, pad_edge=False, header_style="dim", width=None if room is not None else _width(heads, rows))
    table.add_column("", no_wrap=True)
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    for name, cells in rows:
        table.add_row(Text(name, style="dim" if name in known else ""), *cells)
    screen.show(table)


def _width(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Text]]]) -> int:
    """How many characters a line of the table takes, if nothing is cut off."""
    columns = [[len(head), *(len(cells[place]) for _, cells in rows)] for place, head in enumerate(heads)]
    return max((len(name) for name, _ in rows), default=0) + sum(2 + max(column) for column in columns)


def _faint(value: float | None) -> Text:
    return Text("–" if value is None else number(value), style="dim")


def _signed(value: float | None) -> Text:
    if value is None:
        return Text("–", style="dim")
    return Text(f"{'+' if value > 0 else ''}{number(value)}", style="green" if value > 0 else "red")


def _middle(name: str, most: int) -> str:
    """A name without its middle, if it is longer than that; some of it is left in any case."""
    most = max(_LEAST_NAME, most)
    return name if len(name) <= most else f"{name[: (most - 1) // 2]}…{name[-(most // 2) :]}"


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


def confusion_table(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Group | None:
    """The confusion matrix: a row a true class, a column a predicted one; None for too many classes to show."""
    if len(names) > _MOST_MATRIX_CLASSES:
        return None
    short = [name if len(name) <= 10 else name[:9] + "…" for name in names]
    headers = short if max(map(len, short)) <= 5 else [str(column) for column in range(len(names))]
    title = "confusion matrix: true by row, predicted by column"  # of a table, it would be as narrow as that
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    if headers != short:
        table.add_column("", style="dim")
    for header in headers:
        table.add_column(header, justify="right")
    for row, name in enumerate(short):
        cells = [_cell(count, row == column) for column, count in enumerate(matrix[row])]
        table.add_row(Text(name), *([headers[row]] if headers != short else []), *cells)
    return Group(Text(title), table)


def _cell(count: int, is_right: bool) -> Text:
    if count == 0:
        return Text("·", style="dim")
    return Text(str(count), style="green" if is_right else "red")
