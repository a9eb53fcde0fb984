"""Lines of a spec's text: comments that are wrapped, and those behind a value, one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Comment lines of at most WIDTH characters."""
    start = f"{' ' * indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def beside(lines: Sequence[tuple[str, str]], *, least: int = 0) -> list[str]:
    """Each line with its comment, which may be empty; comments that fit stand in one column."""
    fitting = [len(line) for line, comment in lines if comment and len(line) + len(comment) + 4 <= WIDTH]
    column = max([least, *fitting]) + 2
    result = []
    for line, comment in lines:
        if not comment:
            result.append(line)
        elif len(line) + 2 <= column and column + len(comment) + 2 <= WIDTH:
            result.append(f"{line:<{column}}# {comment}")
        else:
            result += [*wrapped(comment, len(line) - len(line.lstrip())), line]
    return result


def table(rows: Iterable[tuple[str, str]], most: int = 28) -> list[str]:
    """Comment lines in two columns."""
    rows = list(rows)
    width = min(most, max((len(name) for name, _ in rows), default=0))
    return [f"#   {name:<{width}}  {text}".rstrip() for name, text in rows]
