"""Long tables, as lines of columns: rich's own tables take seconds for a thousand rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_GAP = "  "


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Attributes:
        title: above it.
        cells: a text for each row.
        is_right: whether it is of numbers.
        least: how narrow it may become where there is little room; None if it may not.
        end: what begins the part at the end of a cell that is not cut off; nothing if cells are cut at their end.
        rank: where there is no room for all, those of the highest rank are left out first; those of rank 0 stay.
        styles: of each row; none if left out.
    """

    title: str
    cells: Sequence[str]
    is_right: bool = False
    least: int | None = None
    end: str = ""
    rank: int = 0
    styles: Sequence[str] = ()


def lines_of(columns: Sequence[Column], width: int | None) -> Iterator[list[tuple[str, str]]]:
    """The title line, and a line for each row: texts with their styles.

    Args:
        columns: those without a text in any row are left out.
        width: how wide a line may be; None for as wide as it becomes.
    """
    fitting = _fitting([column for column in columns if any(column.cells)], width)
    yield [(_padded(column, column.title, size), "dim") for column, size in fitting]
    for row in range(len(columns[0].cells)):
        yield [
            (_padded(column, column.cells[row], size), column.styles[row] if column.styles else "")
            for column, size in fitting
        ]


def _fitting(columns: Sequence[Column], width: int | None) -> list[tuple[Column, int]]:
    """The columns that there is room for, each with how wide it is."""
    sizes = {column: _longest((column.title, *column.cells)) for column in columns}
    most = width if width is not None else sum(sizes.values()) + len(_GAP) * len(sizes)

    def is_too_wide() -> bool:
        return sum(sizes.values()) + len(_GAP) * (len(sizes) - 1) > most

    for column in sorted(columns, key=lambda column: -column.rank):
        if column.rank and is_too_wide():
            del sizes[column]
    while is_too_wide():
        flexible = [column for column, size in sizes.items() if column.least is not None and size > column.least]
        if not flexible:
            break
        sizes[max(flexible, key=lambda column: sizes[column])] -= 1
    return list(sizes.items())


def _padded(column: Column, text: str, size: int) -> str:
    if text.isascii() and len(text) <= size:
        return text.rjust(size) if column.is_right else text.ljust(size)
    if _length(text) > size:
        begin, mark, end = text.rpartition(column.end) if column.end else (text, "", "")
        text = f"{_cut(begin, size - _length(mark + end))}{mark}{end}"
    space = " " * (size - _length(text))
    return f"{space}{text}" if column.is_right else f"{text}{space}"


def _cut(text: str, size: int) -> str:
    while text and _length(text) > size - 1:
        text = text[:-1]
    return f"{text}…"


def _longest(texts: Sequence[str]) -> int:
    return max(map(len if all(map(str.isascii, texts)) else _length, texts))


def _length(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    # Only now: it takes a while to load.
    from rich.cells import cell_len

    return cell_len(text)


def joined(line: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A line with gaps between its texts, and no spaces at its end."""
    last = max((at for at, (text, _) in enumerate(line) if text.strip()), default=0)
    parts = [(f"{text}{_GAP}", style) for text, style in line[:last]]
    return [*parts, (line[last][0].rstrip(), line[last][1])]
