"""How a comparison of runs, and a board of the best, look in the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from dlcli.cli.columns import Column, joined, lines_of
from dlcli.cli.runs_list import run_column
from dlcli.data.memory import readable_bytes
from dlcli.figures import duration, number
from dlcli.runs.entries import Entry, read_parameters
from dlcli.runs.figures import IN_ORDER, SPLITS, best_of, mode_of

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.runs.differences import Difference
    from dlcli.runs.ranking import Board, Place

_MOST_COLUMNS = 6
_NAME_WIDTH, _FIGURE_WIDTH = 18, 12  # characters
_BEST = "*"


def comparison_json(entries: Sequence[Entry], differences: Sequence[Difference]) -> dict[str, Any]:
    """For programs."""
    figures = {}
    for name, values in _figures(entries).items():
        mode = _mode(entries, name)
        best = best_of(values, mode)
        at = [number for number, value in enumerate(values) if best is not None and value == best]
        figures[name] = {"mode": mode, "values": values, "best": at}
    return {
        "runs": [{**entry.as_json(), "parameters": read_parameters(entry.run)} for entry in entries],
        "differences": [{"path": one.path, "values": one.values} for one in differences],
        "figures": figures,
    }


def show_comparison(screen: Screen, entries: Sequence[Entry], differences: Sequence[Difference]) -> None:
    """The runs with a letter each, in what they differ, and their figures side by side."""
    letters = [ascii_uppercase[at] if at < len(ascii_uppercase) else str(at + 1) for at in range(len(entries))]
    runs = _table()
    for letter, entry in zip(letters, entries, strict=True):
        runs.add_row(Text(letter, style="bold"), Text(entry.label), Text(entry.state), Text(_went(entry), style="dim"))
    screen.show(runs)
    screen.show(Text("\nwhat differs", style="bold"))
    if differences:
        _show_differences(screen, letters, [(one.path, one.texts()) for one in differences])
    else:
        screen.show(Text("nothing: the specs, the data and what ran them are the same"))
    screen.show(Text("\nfigures", style="bold"))
    rows = _figure_rows(entries)
    most = min(_MOST_COLUMNS, max(2, (screen.out.width - _NAME_WIDTH) // _FIGURE_WIDTH))
    for first in range(0, len(entries), most):
        some = slice(first, first + most)
        titles = [f"{letter}  " for letter in letters[some]]
        screen.show(_side_by_side(titles, [(name, cells[some]) for name, cells in rows], justify="right"))
    screen.show(Text(f"{_BEST} the best", "dim"))


def _show_differences(screen: Screen, letters: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> None:
    """Side by side, if there is room for that; or else each difference by itself."""
    columns = [[letter, *(texts[at] for _, texts in rows)] for at, letter in enumerate(letters)]
    sizes = [max(map(len, column)) for column in ([path for path, _ in rows], *columns)]
    if len(letters) <= _MOST_COLUMNS and sum(sizes) + len(letters) < screen.out.width:
        screen.show(_side_by_side(letters, [(path, [Text(text) for text in texts]) for path, texts in rows]))
        return
    for path, texts in rows:
        screen.show(Text(path))
        table = _table()
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for text in dict.fromkeys(texts):
            those = [letter for letter, other in zip(letters, texts, strict=True) if other == text]
            table.add_row(f"  {' '.join(those)}", Text(text))
        screen.show(table)


def _went(entry: Entry) -> str:
    resumed = entry.record.get("error")
    return str(resumed).splitlines()[0] if entry.state == "failed" and resumed else f"{entry.epochs} epochs"


def _figures(entries: Sequence[Entry]) -> dict[str, list[float | None]]:
    names = dict.fromkeys(name for entry in entries for name in entry.figures)
    ordered = [name for split in IN_ORDER for name in names if name.startswith(SPLITS[split])]
    return {name: [entry.figures.get(name) for entry in entries] for name in ordered}


def _mode(entries: Sequence[Entry], figure: str) -> str | None:
    """Which way is better, if those who have the figure agree."""
    modes = {mode_of(figure, entry.better) for entry in entries if figure in entry.figures}
    return modes.pop() if len(modes) == 1 else None


def _figure_rows(entries: Sequence[Entry]) -> list[tuple[str, list[Text]]]:
    rows = [
        (name, _marked(values, _mode(entries, name), number)) for name, values in _figures(entries).items()
    ]  # fmt: skip
    parameters: list[float | None] = [read_parameters(entry.run) for entry in entries]
    besides: dict[str, tuple[list[float | None], Callable[[Any], str]]] = {
        "time": ([entry.seconds for entry in entries], duration),
        "epochs": ([entry.epochs for entry in entries], str),
        "parameters": (parameters, "{:,}".format),
        "size": ([entry.size for entry in entries], readable_bytes),
    }
    for name, (values, show) in besides.items():
        rows.append((name, _marked(values, "min" if name == "time" else None, show)))
    return rows


def _marked(values: Sequence[float | None], mode: str | None, show: Callable[[Any], str]) -> list[Text]:
    best = best_of(values, mode)
    cells = []
    for value in values:
        is_best = best is not None and value == best
        text = show(value) if value is not None else "·"
        cells.append(Text(f"{text} {_BEST if is_best else ' '}", style="bold green" if is_best else ""))
    return cells


def _side_by_side(titles: Sequence[str], rows: Sequence[tuple[str, list[Text]]], justify: Any = "left") -> Table:
    table = _table()
    table.show_header = True
    table.add_column("")
    for title in titles:
        table.add_column(title, justify=justify, no_wrap=True)
    for name, cells in rows:
        table.add_row(Text(name), *cells)
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", show_header=False)


def show_board(screen: Screen, board: Board, limit: int | None) -> None:
    """The places, the best first."""
    by = f", by {board.figure}" if board.figure else ""
    screen.show(Text.assemble((board.data, "bold"), by))
    if board.left_out:
        count = f"{board.left_out} run{'s' if board.left_out != 1 else ''}"
        screen.message(f"{board.data}: {count} without this figure, or that do not say whether more is better.")
    if not board.places:
        return
    width = screen.table_width
    screen.lines(joined(line) for line in lines_of(_places(board.places[:limit]), width))
    screen.out.print()


def _places(places: Sequence[Place]) -> list[Column]:
    best = [place.best for place in places]
    parameters = [read_parameters(entry.run) for entry in best]
    of_seeds = [
        Column("± seeds", [number(place.deviation) if place.deviation is not None else "·" for place in places], True),
        Column("seeds", [str(place.seeds) for place in places], True, rank=2),
        Column("best", [number(place.values[0]) for place in places], True, rank=1),
    ]
    return [
        Column("", [str(rank) for rank in range(1, len(places) + 1)], True),
        run_column(best, "best run"),
        Column("score", [number(place.mean) for place in places], True, styles=["bold"] + [""] * (len(places) - 1)),
        *(of_seeds if any(place.seeds > 1 for place in places) else []),
        Column("parameters", [f"{count:,}" if count is not None else "" for count in parameters], True, rank=4),
        Column("time", [duration(entry.seconds) if entry.seconds is not None else "" for entry in best], True, rank=3),
    ]  # fmt: skip
