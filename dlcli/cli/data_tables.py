"""How a spec's data looks in the terminal: splits, inputs, classes, columns, and what should make one think."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from dlcli.describing.columns import ColumnSummary, shortened, shown_number

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.describing.describing import DataSummary, TargetSummary, Values

_MOST_CLASSES = 30
_MOST_COLUMNS = 60
_BAR = 20


def show_data(screen: Screen, summary: DataSummary) -> None:
    """All of it."""
    instead = f", instead of {summary.instead_of}" if summary.instead_of else ""
    screen.show(Text.assemble((summary.source, "bold"), f"{instead}: {summary.origin}"))
    _section(screen, "splits, as in fold 1" if summary.folds else "splits", _splits(summary))
    _section(screen, "folds", _folds(summary.folds))
    _section(screen, "inputs", _values({**summary.inputs, **_prepared(summary)}))
    for name, target in summary.targets.items():
        _section(screen, f"target {name}" if len(summary.targets) > 1 else "target", _target(target))
    if summary.columns:
        _section(screen, "columns", _columns(summary.columns))
    if summary.lines:
        _section(screen, "texts, as the model reads them", _lines(summary))
    _section(screen, "worth a thought", _remarks(summary))


def _prepared(summary: DataSummary) -> dict[str, Values]:
    return {f"{name}, a batch prepared": values for name, values in summary.prepared.items()}


def _section(screen: Screen, title: str, content: Table) -> None:
    if content.row_count:
        screen.show(Text(f"\n{title}", style="bold"))
        screen.show(content)


def _table(*columns: str) -> Table:
    """A table whose columns are named; those with a `>` before the name are of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=any(columns))
    for column in columns:
        is_number = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if is_number else "left", no_wrap=is_number)
    return table


def _splits(summary: DataSummary) -> Table:
    table = _table("", ">examples", ">share", ">repeated within")
    total = sum(summary.splits.values())
    for name, count in summary.splits.items():
        repeated = summary.repeats.within[name]
        table.add_row(name, f"{count:,}", f"{count / max(1, total):.1%}", f"{repeated:,}" if repeated else "·")
    return table


def _folds(folds: Sequence[Mapping[str, int]]) -> Table:
    names = list(folds[0]) if folds else []
    table = _table("", *(f">{name}" for name in names))
    for number, sizes in enumerate(folds, start=1):
        table.add_row(f"fold {number}", *(f"{sizes[name]:,}" for name in names))
    return table


def _values(each: Mapping[str, Values]) -> Table:
    table = _table("", "shape", "type", ">least", ">mean", ">largest")
    for name, values in each.items():
        shape = "×".join(map(str, values.shape)) or "one number"
        numbers = (shown_number(one) for one in (values.least, values.mean, values.largest))
        table.add_row(Text(name), shape, values.dtype, *numbers)
    return table


def _target(target: TargetSummary) -> Table:
    if target.numbers is not None:
        return _values(target.numbers)
    counts = target.classes or {}
    splits = list(counts)
    repeated = [">in an epoch"] if target.epoch is not None else []
    table = _table("class", *(f">{split}" for split in splits), *repeated, ">share", "")
    classes = list(counts[splits[0]])
    totals = {name: sum(counts[split][name] for split in splits) for name in classes}
    every, most = max(1, sum(totals.values())), max(1, *totals.values())
    for name in classes[:_MOST_CLASSES]:
        bar = "█" * max(int(totals[name] > 0), round(_BAR * totals[name] / most))
        numbers = [f"{counts[split][name]:,}" for split in splits]
        numbers += [f"{target.epoch[name]:,}"] if target.epoch is not None else []
        table.add_row(Text(shortened(name)), *numbers, f"{totals[name] / every:.1%}", Text(bar, style="green"))
    if len(classes) > _MOST_CLASSES:
        table.add_row(f"… {len(classes) - _MOST_CLASSES} more")
    return table


def _columns(columns: Sequence[ColumnSummary]) -> Table:
    table = _table("name", "kind", ">missing", ">distinct", "values")
    for column in columns[:_MOST_COLUMNS]:
        values = f"left out: {column.reason}" if not column.is_used else column.values_in_words(is_counted=False)
        style = "dim" if not column.is_used else "bold" if column.kind == "target" else ""
        table.add_row(
            Text(shortened(column.name, 28)), column.kind, f"{column.missing:,}" if column.missing else "·",
            f"{column.distinct:,}", Text(values), style=style,
        )  # fmt: skip
    if len(columns) > _MOST_COLUMNS:
        table.add_row(f"… {len(columns) - _MOST_COLUMNS} more")
    return table


def _lines(summary: DataSummary) -> Table:
    table = _table("", "")
    for line in summary.lines:
        if line.text:
            table.add_row("written", Text(shortened(line.text, 200)))
        table.add_row("numbers", Text(_shown(line.numbers)))
        if line.words:
            table.add_row("read", Text(shortened(line.words, 200)))
    return table


def _shown(numbers: Sequence[int]) -> str:
    """Those of a text, from its first word on."""
    first = next((at for at, number in enumerate(numbers) if number), 0)
    shown = " ".join(map(str, numbers[first : first + 20]))
    return f"{'0 … ' * bool(first)}{shown}{' …' * (len(numbers) > first + 20)}"


def _remarks(summary: DataSummary) -> Table:
    """What is odd about the data."""
    table = _table("")
    for shared in summary.repeats.shared:
        if shared.count and shared.first == "train":
            count, size = shared.count, summary.splits[shared.second]
            text = f"{count:,} of {size:,} inputs of {shared.second} ({count / size:.1%}) are in {shared.first} as well"
            table.add_row(
                Text(f"{text}: its figures are better than they will be on new examples.", style="dark_orange3")
            )
    for column in summary.columns:
        share = column.missing / max(1, column.rows)
        if column.is_used and share > 0.3:
            table.add_row(Text(f"`{column.name}` is missing in {share:.0%} of the rows.", style="dark_orange3"))
    for name, target in summary.targets.items():
        text = _uneven(target)
        if text:
            table.add_row(Text(f"{f'{name}: ' if len(summary.targets) > 1 else ''}{text}", style="dark_orange3"))
    return table


def _uneven(target: TargetSummary) -> str:
    counts = target.epoch or (target.classes or {}).get("train", {})
    if not counts:
        return ""
    [(name, most)] = [max(counts.items(), key=lambda pair: pair[1])]
    share = most / max(1, sum(counts.values()))
    if share < 0.75:
        return ""
    return f"Always saying {shortened(name)} is right for {share:.1%}: look at more than the accuracy."
