"""How the figures of several folds look: each, their mean, and how much they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from dlcli.figures import number
from dlcli.training.listening import without_model

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.training.listening import FoldEnd, FoldsEnd

Figures = Mapping[str, Mapping[str, float]]
_MOST_COLUMNS = 4  # of figures, in 80 characters


def show_folds(screen: Screen, end: FoldsEnd) -> None:
    """The validation of each fold, mean and deviation on each split, and where everything is."""
    show_figures(screen, end.folds, end.mean, end.deviation)
    _show_without_model(screen, end)
    if end.is_smoke:
        screen.show(Text("smoke run: built, trained, saved, reloaded and evaluated; nothing is kept"))
        return
    screen.out.print(str(end.run), soft_wrap=True, markup=False)


def _show_without_model(screen: Screen, end: FoldsEnd) -> None:
    """What can be had without a model, a line for each."""
    split, known = without_model(end.folds)
    for what, figures in known.items():
        each = ", ".join(f"{name} {number(value)}" for name, value in figures.items())
        screen.show(Text(f"{what}: {each}; on {split}", style="dim"))


def show_figures(
    screen: Screen, folds: Sequence[FoldEnd], mean: Figures, deviation: Figures, *, split: str = "validation"
) -> None:
    """A row a fold with its figures on `split`; and mean and deviation of those of every split."""
    screen.show(_of_each(folds, split))
    done = sum(one.metrics is not None for one in folds)
    if mean:
        screen.show("")
        screen.show(_of_all(mean, deviation, done))


def _table(title: str = "") -> Table:
    return Table(
        box=None, pad_edge=False, header_style="dim", title=title or None, title_justify="left", title_style=""
    )


def _of_each(folds: Sequence[FoldEnd], split: str) -> Table:
    known = [one.metrics[split] for one in folds if one.metrics is not None]
    names = list(known[0])[:_MOST_COLUMNS] if known else []
    table = _table()
    table.add_column(split)
    table.add_column("best epoch", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for one in folds:
        if one.metrics is None:
            table.add_row(f"fold {one.number}", Text("not done", style="red"))
        else:
            figures = (number(one.metrics[split][name]) for name in names)
            table.add_row(f"fold {one.number}", str(one.best_epoch), *figures)
    return table


def _of_all(mean: Figures, deviation: Figures, folds: int) -> Table:
    """A row a split, a column a figure; or the reverse, where there are many figures."""

    def cell(split: str, name: str) -> str:
        return f"{number(mean[split][name])} ± {number(deviation[split][name])}"

    names = list(next(iter(mean.values())))
    table = _table(f"mean ± standard deviation of {folds} fold{'s' if folds != 1 else ''}")
    table.add_column("")
    is_wide = len(names) > _MOST_COLUMNS - 1
    for column in mean if is_wide else names:
        table.add_column(column, justify="right")
    if is_wide:
        for name in names:
            table.add_row(name, *(cell(split, name) for split in mean))
    else:
        for split in mean:
            table.add_row(split, *(cell(split, name) for name in names))
    return table
