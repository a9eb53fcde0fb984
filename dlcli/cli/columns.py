"""Long tables, as lines of columns: rich's own tables take seconds for a thousand rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: above it.
        cells: a text for each row.
        is_right: whether it is of numbers.
        least: how narrow it may become where there is little room; None if it may not.
        rank: where there is no room for all, those of the highest rank are left out first; those of rank 0 stay.
        styles: of each row; none if left out.
    """

    title: str
    cells: Sequence[str]
    is_right: bool = False
    least: int | None = None
    rank: int = 0
    styles: Sequence[str] = ()


def lines_of(columns: Sequence[Column], width: int | None) -> Iterator[list[tuple[str, str]]]:
    """The title line, and a line for each row: texts with their styles.

    Args:
        columns: those without a text in any row are left out.
        width: how wide a line may be; None for as wide as it becomes.
    """
    fitting = _fitting([column for column in columns if any(column.cells)], width)
    yield [(_padded(column.title, size, column.is_right), "dim") for column, size in fitting]
    for row in range(len(columns[0].cells)):
        yield [
            (_padded(column.cells[row], size, column.is_right), column.styles[row] if column.styles else "")
            for column, size in fitting
        ]


def _fitting(columns: Sequence[Column], width: int | None) -> list[tuple[Column, int]]:
    """The columns that there is room for, each with how wide it is."""
    shown = list(columns)
    while True:
        sizes = [max(map(_length, (column.title, *column.cells))) for column in shown]
        over = sum(sizes) + len(_GAP) * (len(shown) - 1) - (width if width is not None else 10**9)
        for at in sorted(range(len(shown)), key=lambda at: -sizes[at]):
            least = shown[at].least
            if over > 0 and least is not None and sizes[at] > least:
                taken = min(over, sizes[at] - least)
                sizes[at], over = sizes[at] - taken, over - taken
        last = max(shown, key=lambda column: column.rank)
        if over <= 0 or last.rank == 0:
            return list(zip(shown, sizes, strict=True))
        shown.remove(last)


def _padded(text: str, size: int, is_right: bool) -> str:
    length = _length(text)
    if length > size:
        text, length = _cut(text, size)
    space = " " * (size - length)
    return f"{space}{text}" if is_right else f"{text}{space}"


def _cut(text: str, size: int) -> tuple[str, int]:
    while _length(text) > size - 1:
        text = text[:-1]
    return f"{text}…", _length(text) + 1


def _length(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def joined(line: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A line with gaps between its texts, and no spaces at its end."""
    parts = [(f"{text}{_GAP}", style) for text, style in line[:-1]]
    return [*parts, (line[-1][0].rstrip(), line[-1][1])]
