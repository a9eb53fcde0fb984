"""How a line that is indented wrongly is meant: at which of the levels above it, and what moves with it."""

from __future__ import annotations

import re
from itertools import takewhile

from dlcli.spec.scene import Edit, Place, Scene, content_of, indent_of, insertion
from dlcli.spec.syntax_keys import DASHES, KEY

_UNIT = 2  # spaces of a level of indentation, at least
_MOST_LINES = 1000  # in which the unit is looked for


def unit_of(scene: Scene) -> int:
    """How many spaces a level of indentation has in this text."""
    indents = (indent_of(line) for line in scene.lines[:_MOST_LINES] if line.strip())
    return min((indent for indent in indents if indent >= _UNIT), default=_UNIT)


def is_item(line: str) -> bool:
    """Whether an item of a list starts on a line."""
    return re.match(r" *-(\s|$)", line) is not None


def levels_of(scene: Scene, number: int) -> list[int]:
    """The indentations at which a line can stand, below the lines above it: as a key, or as an item if it is one."""
    wants_dash = scene.line(number).lstrip().startswith("-")
    levels: list[int] = []
    limit: int | None = None
    for _, line in scene.above(number):
        indent = indent_of(line)
        if limit is not None and indent > limit:
            continue
        dashes = DASHES.match(line)
        text = dashes.end() if dashes else indent
        starts = [at for at in range(indent, text) if line[at] == "-"] if wants_dash else [text]
        if limit is None and content_of(line).endswith(":"):
            starts.append(text + unit_of(scene))
        if wants_dash or KEY.match(line, text):
            levels += [start for start in starts if limit is None or start <= limit]
        limit = indent
        if limit == 0:
            break
    return levels if levels or wants_dash else [0]


def is_single(scene: Scene, number: int) -> bool:
    """Whether there is but one level at which a line can be meant."""
    return is_section(scene, number) or len({*levels_of(scene, number)}) == 1


def is_section(scene: Scene, number: int) -> bool:
    """Whether a line is a key that stands at the margin."""
    return scene.line(number).split(":")[0].strip() in scene.sections


def level_meant(scene: Scene, number: int, indent: int) -> int:
    """At which level a line is meant that is indented by so many spaces.

    One space too many is a slip; what is indented by more belongs to what is indented deeper. Where no level is known,
    it is the one that the line has.
    """
    levels = levels_of(scene, number) or [indent]
    if is_section(scene, number):
        return min(levels)
    slip = [level for level in levels if level == indent - 1 and indent + 1 not in levels]
    deeper = [level for level in levels if level >= indent]
    return min(slip or deeper, default=max(levels))


def moved(scene: Scene, number: int, to: int) -> tuple[Edit, ...]:
    """Indents a line by `to` spaces, and the lines after it that stand as it does; with what is below, if need be."""
    edits: list[Edit] = []
    first = following = scene.line(number)
    while _stands_as(first, following, indent_of(first)):
        below = scene.block(number)[1:]
        # What stands where this line is to be stays there.
        below = list(takewhile(lambda other: not _stands_as(first, scene.line(other), to), below))
        inside = to + (2 if is_item(first) else 0)
        is_kept = all(indent_of(scene.line(other)) > inside for other in below)
        numbers = [number, *(() if is_kept else below)]
        edits += [shifted(scene.line(other), other, to - indent_of(first)) for other in numbers]
        if is_section(scene, number):
            break
        number, following = next(scene.below(below[-1] if below else number), (0, ""))
    return tuple(edits)


def _stands_as(line: str, other: str, indent: int) -> bool:
    return bool(other) and indent_of(other) == indent and is_item(line) == is_item(other)


def shifted(line: str, number: int, spaces: int) -> Edit:
    """Indents a line by so many spaces more, or fewer."""
    return insertion(number, 1, " " * spaces) if spaces > 0 else Edit(number, 1, 1 + min(-spaces, indent_of(line)))


def strays(scene: Scene, edits: tuple[Edit, ...], indent: int) -> tuple[Place, ...]:
    """The places of the keys that these edits move from an indentation, if they may be meant for several others."""
    numbers = [edit.line for edit in edits if indent_of(scene.line(edit.line)) == indent]
    is_clear = is_single(scene, numbers[0]) and not _goes_on(scene, numbers[0])
    return () if is_clear else tuple((number, indent + 1) for number in numbers)


def _goes_on(scene: Scene, number: int) -> bool:
    """Whether the line above that is indented less is a key without a value: what stands between does not belong."""
    indent = indent_of(scene.line(number))
    owner = next((line for _, line in scene.above(number) if indent_of(line) < indent), "")
    return content_of(owner).endswith(":") and not is_section(scene, number)
