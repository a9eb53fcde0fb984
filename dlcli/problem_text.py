"""How a mistake in a spec is shown: its place, what is wrong, the line with a caret, how it came about, what to do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from dlcli.errors import Problem

_MOST_SHOWN = 100
_LONG_HINT = 300
_MARGIN = 6
_LONGEST_LINE = 100
_LONGEST_TEXT = 600
# Unicode has a picture for each control character, and U+FFFD for what has none.
_SIGNS = {**{code: 0x2400 + code for code in range(32)}, 0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)}
# What carets underline: a key, or a value up to the next sign of YAML's.
_KEY = re.compile(r"[^\s:,\[\]{}#]+(?=\s*:(?:\s|$))")
_VALUE = re.compile(r"""\"[^\"]*\"|'[^']*'|(?:\$\{[^}]*\}|[^,\[\]{}#])+""")
# In an option, whose line is 0, a part of the path, or the value.
_PART = re.compile(r"(?<==).+|[^.=\s]+|.+")


def problems_text(problems: Sequence[Problem], width: int | None = None) -> Iterator[Text]:
    """The mistakes and warnings of one file, one after the other; of very many, the first ones.

    What is long, such as the names of all layers, is told once. Lines are broken at `width`, or not at all.
    """
    told: set[str] = set()
    for problem in problems[:_MOST_SHOWN]:
        hint = problem.hint
        if hint is not None and len(hint) > _LONG_HINT:
            problem = replace(problem, hint="What is allowed is listed above." if hint in told else hint)
            told.add(hint)
        yield problem_text(problem, width)
    if len(problems) > _MOST_SHOWN:
        yield Text(f"And at least {len(problems) - _MOST_SHOWN:,} more, which are not shown.\n")


def problem_text(problem: Problem, width: int | None = None) -> Text:
    """One mistake or warning, with a blank line after it."""
    text = Text()
    place = f"{problem.position}: " if problem.position else ""
    kind, style = ("error", "bold red") if problem.code is None else (f"warning[{problem.code}]", "bold dark_orange3")
    message = _broken(_short(_harmless(f"{place}{kind}: {problem.message}")), width, "")
    text.append(message[: len(place)], "bold")
    text.append(message[len(place) : len(place) + len(kind) + 1], style)
    text.append(message[len(place) + len(kind) + 1 :] + "\n")
    if problem.position and problem.source_line is not None:
        _append_source(text, problem, min(width or _LONGEST_LINE, _LONGEST_LINE), style)
    for line in problem.trail:
        text.append(f"{' ' * _MARGIN} {_broken(_harmless(line), width, ' ' * (_MARGIN + 3))}\n", "dim" if width else "")
    if problem.hint:
        text.append(_broken(f"{' ' * _MARGIN} {_harmless(problem.hint)}", width, " " * (_MARGIN + 1)) + "\n")
    return text


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def counted(problems: Sequence[Problem]) -> str:
    """How many mistakes and warnings there are, in words."""
    warnings = sum(problem.code is not None for problem in problems)
    mistakes = len(problems) - warnings
    parts = [_number(mistakes, "mistake")] if mistakes or not warnings else []
    return ", ".join([*parts, *([_number(warnings, "warning")] if warnings else [])])


def _number(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _append_source(text: Text, problem: Problem, width: int, style: str) -> None:
    """The line of the file, the part of it around the place if it is long, and a caret under the place."""
    if problem.position is None or problem.source_line is None:
        return
    line, column = _harmless(problem.source_line), problem.position.column - 1
    if problem.position.line:
        word = _KEY.match(line, column) or _VALUE.match(line, column)
    else:
        word = _PART.match(line, column)
    carets = max(1, len(word[0].rstrip())) if word else 1
    room = max(20, width - _MARGIN - 3)
    start = 0
    if len(line) > room:
        start = max(0, min(column - room // 3, len(line) - room + 1))
        line = ("…" if start else "") + line[start + bool(start) : start + room - 1].rstrip() + "…"
    number = str(problem.position.line) if problem.position.line else ""
    text.append(f"{number:>{_MARGIN - 1}} │ ", "dim")
    text.append(f"{line}\n")
    before = cell_len(line[: column - start])
    text.append(f"{' ' * (_MARGIN - 1)} │ ", "dim")
    text.append(f"{' ' * before}{'^' * min(carets, max(1, room - before))}\n", style)


def _harmless(text: str) -> str:
    """`text` without what a terminal would obey, each character in the place of one."""
    return text.replace("\t", " ").translate(_SIGNS)


def _broken(text: str, width: int | None, indent: str) -> str:
    """`text` in lines of at most `width`, all but the first indented; paths and names are never torn."""
    if width is None:
        return text
    return "\n".join(
        textwrap.wrap(
            text, max(20, width), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True, replace_whitespace=False,
        )
    )  # fmt: skip
