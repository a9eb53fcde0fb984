"""What is wrong with a text that is no YAML, in plain words: the parser's own are for those who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable

from dlcli.spec.brackets import end_of_value, is_inside
from dlcli.spec.characters import shortened
from dlcli.spec.scene import Edit, Fault, Place, Scene, content_of, insertion
from dlcli.spec.syntax_brackets import (
    bracket_over_lines,
    colon_inside,
    inside_brackets,
    stray_bracket,
    tuple_of_python,
    unclosed_bracket,
    unclosed_quote,
    wrong_bracket,
)
from dlcli.spec.syntax_keys import KEY, no_colon
from dlcli.spec.syntax_lines import indentation, second_colon, second_document, tab

NO_WORD = "a key that is no word"
"""what `Scene.problem` is for a key that is a mapping or a list, which is no mistake for the parser"""
ALIAS_AS_KEY = "an alias as a key"
"""the same for `*name:` where there is no `&name`"""
_TEMPLATE = re.compile(r"\{\{ *([\w.]+) *\}\}")


def explain(scene: Scene, opened: Place) -> Fault:
    """What is wrong in plain words, at the place of the mistake, and what makes it right, if that is known.

    Args:
        scene: where the parser stopped.
        opened: the place of the innermost mapping or list that is open, for an error at the end of the text.
    """
    fault = next((found for rule in _RULES if (found := rule(scene)) is not None), None)
    if fault is not None:
        return fault
    line, column = next((place for place in (scene.at, scene.start) if place[0] <= len(scene.lines)), opened)
    hint = "Check the indentation, and that every bracket and quote is closed."
    return Fault(f"This is not valid YAML: {scene.problem}.", hint, line, column)


def _no_word(scene: Scene) -> Fault | None:
    if scene.problem != NO_WORD:
        return None
    number, column = scene.at
    line = scene.line(number)
    starts = [start for start in (column - 1, column - 2) if start >= 0]
    found = next((found for start in starts if (found := _TEMPLATE.match(line, start))), None)
    if found is None:
        hint = "Write `key: value`, or put a text in quotes."
        return Fault("A key must be a word, not a mapping or a list.", hint, number, column)
    name, place = shortened(found[1]), (number, found.start() + 1)
    hint = f"Write `${{{name}}}`, and set it below `variables:`."
    edit = Edit(number, found.start() + 1, found.end() + 1, "null")
    return Fault(f"`{{{{ {name} }}}}` is how other tools write a variable.", hint, *place, (edit,), (place,))


def _after_the_end(scene: Scene) -> Fault | None:
    """What stands on a line after a text in quotes, or after a bracket that closes."""
    ending = scene.before.rstrip()[-1:]
    if ending not in ("'", '"', "]", "}") or "expected key" not in scene.problem or not scene.before.strip():
        return None
    number, column = scene.at
    rest = Edit(number, len(scene.before.rstrip()) + 1, len(content_of(scene.line(number))) + 1)
    value = _value_of(scene.line(number), number)
    if ending in "]}":
        message, hint = f"Text follows after the closing `{ending}`.", "Remove it, or start a new line."
        return Fault(message, hint, number, column, (rest,), (value,) if scene.sign == "," else ())
    other = '"' if ending == "'" else "'"
    hint = f"Put all of it in quotes; a text with `{ending}` in it, between two `{other}`."
    return Fault("Text follows after the closing quote.", hint, number, column, (rest,), (value,))


def _value_of(line: str, number: int) -> Place:
    """The place of the value of a line's key, or of the text of an item."""
    indent = len(line) - len(line.lstrip(" "))
    found = KEY.match(line, indent)
    return (number, found.start("value") + 1) if found and found["value"] else (number, indent + 1)


def _before_a_key(scene: Scene) -> Fault | None:
    """A sign of YAML's that stands before a key."""
    for place in (scene.at, scene.start):
        found = re.match(r"([@`%!&*|>,])([\w.]+):(?:\s|$)", scene.rest(place))
        before = scene.line(place[0])[: place[1] - 1].strip(" -")
        if found and (not before or before[-1] in "[{,"):
            edit = Edit(*place, place[1] + 1)
            return Fault(f"A key cannot start with `{found[1]}`.", f"Write `{found[2]}:`.", *place, (edit,))
    return None


def _odd_sign(scene: Scene) -> Fault | None:
    """A text without quotes that starts with a sign of YAML's."""
    sign, place = scene.sign, scene.at
    if "alphabetic or numeric" in scene.problem or scene.rest(scene.start)[:1] == "%":
        sign, place = scene.rest(scene.start)[:1], scene.start
    elif "cannot start any token" not in scene.problem and "node content" not in scene.problem:
        return None
    if not sign:
        return None
    line = scene.line(place[0])
    if sign == "%" and scene.before.endswith("{"):
        end = line.find("}", place[1])
        edit = Edit(place[0], place[1], end + 1 if end > 0 else len(line) + 1)
        message = "`{% … %}` is how templates are written; a spec is plain data."
        return Fault(message, "Remove it.", *place, (edit,), (place,))
    text = re.split(r"[\s,\]}]", scene.rest(place))[0] or sign
    end = _end_of_text(line, place[1])
    if sign == "`":
        edits = tuple(Edit(place[0], at + 1, at + 2) for at in range(place[1] - 1, end - 1) if line[at] == "`")
        hint = f"Write {shortened(text.strip(sign))} without it, or in double quotes."
        return Fault("A text without quotes cannot start with a backtick.", hint, *place, edits)
    quote = "'" if '"' in line[place[1] - 1 : end - 1] else '"'
    what = {"*": "an alias, and then needs a name", "&": "an anchor, and then needs a name"}.get(sign)
    message = f"`{sign}` starts {what}." if what else f"A text without quotes cannot start with `{sign}`."
    hint = f"Put the text in quotes: `{quote}{shortened(text)}{quote}`."
    edits = (insertion(place[0], place[1], quote), insertion(place[0], end, quote))
    return Fault(message, hint, *place, edits, (place,))


def _end_of_text(line: str, start: int) -> int:
    """The column at which a text without quotes ends that starts at the column `start`."""
    if is_inside(line, start):
        return end_of_value(line, start)
    return len(content_of(line)) + 1


def _escape(scene: Scene) -> Fault | None:
    if "escape" not in scene.problem and "hexdecimal" not in scene.problem:
        return None
    number, line = scene.at[0], scene.line(scene.at[0])
    column = max(1, scene.before.rfind("\\") + 1 if scene.sign != "\\" else scene.at[1])
    text = scene.rest((number, column))
    word = re.match(r"\\(?:[xuU][0-9a-fA-F]*|.?)", text)
    shown = word[0] if word else text[:2]
    message = f"`{shown}` means nothing in double quotes, where `\\` is a special sign."
    hint = f"Write `\\{shown}`, or put the text in single quotes."
    closing = re.compile(r'(?:[^"\\]|\\.)*').match(line, column - 1)
    end = closing.end() if closing else len(line)
    edits = tuple(insertion(number, at + 1, "\\") for at in range(column - 1, end) if line[at] == "\\")
    return Fault(message, hint, number, column, edits, (scene.start,))


def _dash_after_key(scene: Scene) -> Fault | None:
    if "block sequence entries" not in scene.problem:
        return None
    hint = "Start each item on a line of its own, or write `[first, second]`."
    number, column = scene.at
    edits = [Edit(number, column, len(content_of(scene.line(number))) + 1)]
    edits += [Edit(other, 1, len(scene.line(other)) + 1) for other in scene.block(number)[1:]]
    return Fault("A list with `- ` cannot start on the line of its key.", hint, *scene.at, tuple(edits), (scene.at,))


def _block_text(scene: Scene) -> Fault | None:
    if not any(words in scene.problem for words in ("comment or line break", "indentation indicator")):
        return None
    sign = scene.rest(scene.start)[:1]
    message = f"After `{sign}` a text starts on the next line."
    edit = Edit(scene.start[0], scene.start[1], len(scene.line(scene.start[0])) + 1)
    return Fault(message, f"Put a text that starts with `{sign}` in quotes.", *scene.start, (edit,), (scene.start,))


_RULES: tuple[Callable[[Scene], Fault | None], ...] = (
    second_document, tuple_of_python, _no_word, _before_a_key, tab, unclosed_quote, stray_bracket, wrong_bracket,
    unclosed_bracket, colon_inside, bracket_over_lines, inside_brackets, no_colon, second_colon, _after_the_end,
    indentation, _odd_sign, _escape, _dash_after_key, _block_text,
)  # fmt: skip
