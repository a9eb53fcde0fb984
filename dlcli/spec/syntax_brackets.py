"""What is wrong between brackets, braces and quotes, and what is meant there."""

from __future__ import annotations

import re
from dataclasses import replace

from dlcli.spec.brackets import CLOSING, end_of_value, is_balanced, is_inside, left_open
from dlcli.spec.characters import shortened
from dlcli.spec.scene import Edit, Fault, Place, Scene, content_of, indent_of, insertion
from dlcli.spec.syntax_keys import line_without_colon

TUPLE = "a tuple of Python"
"""what `Scene.problem` is for `(3, 3)`, which is no mistake for the parser"""
_OPENING = {"]": "[", "}": "{"}
_ENDS = {"[": "the list ends", "{": "the mapping ends"}
_MOST_LINES = 1000  # in which the end of a bracket is looked for
_TOKEN = re.compile(r"[^\s,\[\]{}]+")
_BLOCK_LINE = re.compile(r" *(?:- |[\w.]+:(?:\s|$))")
_UNCLOSED_USE = re.compile(r"(?<!\$)\$\{(\w+)(?![\w}])")


def unclosed_quote(scene: Scene) -> Fault | None:
    """A quote that takes the lines below with it, to the end or to the next quote."""
    place = None
    if scene.problem in ("found unexpected end of stream", "found unexpected document indicator"):
        place = scene.start if scene.rest(scene.start)[:1] in ("'", '"') else None
    elif scene.quoted is not None:
        indent = indent_of(scene.line(scene.quoted[0]))
        swallowed = [line for number, line in scene.below(scene.quoted[0]) if number <= scene.at[0]]
        place = scene.quoted if any(indent_of(line) <= indent for line in swallowed) else None
    return _no_closing_quote(scene, place) if place else None


def _no_closing_quote(scene: Scene, place: Place) -> Fault:
    line, sign = scene.line(place[0]), scene.rest(place)[:1]
    message, hint = f"This `{sign}` is never closed.", f"Put a `{sign}` where the text ends."
    if _is_before_a_key(line, place):
        return Fault(message, "Remove it.", *place, (Edit(*place, place[1] + 1),))
    end = scene.end(place[0])
    if is_inside(line, place[1]):
        found = re.compile(r"\s*[,\]}]").search(line, place[1])
        end = found.start() + 1 if found else end
    return Fault(message, hint, *place, (insertion(place[0], end, sign),), (place,))


def _is_before_a_key(line: str, place: Place) -> bool:
    """Whether a sign stands where the first key of a line should."""
    return not line[: place[1] - 1].strip(" -") and re.match(r"[\w.]+: *[^,]*$", line[place[1] :]) is not None


def unclosed_bracket(scene: Scene) -> Fault | None:
    """A bracket that is open where a line below it is indented no deeper than its own, or at the end of the text."""
    if not scene.brackets:
        return None
    place = scene.brackets[0]
    last = _last_line(scene, place)
    left = left_open(scene, place, last)
    if not left.places:
        return _never_closed(scene, scene.brackets[-1]) if scene.is_at_end else None
    if _is_before_a_key(scene.line(place[0]), place):
        return replace(_never_closed(scene, place), hint="Remove it.", edits=(Edit(*place, place[1] + 1),), doubts=())
    rest = scene.rest(left.places[0])
    use = _UNCLOSED_USE.search(rest)
    if use:
        line, column = left.places[0][0], left.places[0][1] + use.start()
        edit = insertion(line, column + len(use[0]), "}")
        message = f"The variable `${{{use[1]}` is never closed."
        return Fault(message, f"Write `${{{use[1]}}}`.", line, column, (edit,))
    quote = next((sign for sign in ("'", '"') if rest.count(sign) % 2), None)
    if quote and not re.search(rf"\w{quote}\w", rest):
        return _no_closing_quote(scene, (left.places[0][0], left.places[0][1] + rest.rindex(quote)))
    first = content_of(scene.line(place[0]))
    below = next(scene.below(place[0]), None)
    if last > place[0] and first[-1:] not in (*",:", *CLOSING) and below and _BLOCK_LINE.match(below[1]):
        last = place[0]
        left = left_open(scene, place, last)
    fault = _never_closed(scene, *left.places, last=last, is_clear=left.is_clear and last == place[0])
    return replace(fault, kinds=left.seen)


def _last_line(scene: Scene, place: Place) -> int:
    """The last line that can belong to a bracket."""
    indent, last = indent_of(scene.line(place[0])), place[0]
    for number, line in scene.below(place[0]):
        if number > place[0] + _MOST_LINES or (indent_of(line) <= indent and line.lstrip()[0] not in "]}"):
            break
        last = number
    return last


def _never_closed(scene: Scene, *places: Place, last: int | None = None, is_clear: bool = False) -> Fault:
    """The first of these brackets is not closed, nor are those in it; they might be at the end of the line `last`."""
    signs = [scene.rest(place)[:1] for place in places]
    hint = f"Put a `{CLOSING[signs[0]]}` where {_ENDS[signs[0]]}."
    closing = "".join(CLOSING[sign] for sign in reversed(signs))
    if len(signs) > 1:
        hint = f"Put `{shortened(closing)}` where all of it ends."
    edits: tuple[Edit, ...] = ()
    if last is not None:
        edits = (insertion(last, scene.end(last), closing),)
    doubts = () if is_clear else (places[0],)
    return Fault(f"This `{signs[0]}` is never closed.", hint, *places[0], edits, doubts)


def wrong_bracket(scene: Scene) -> Fault | None:
    """A bracket that closes nothing, or not what is open on its line."""
    if scene.sign not in CLOSING.values():
        return None
    line, column = scene.at
    if not scene.brackets:
        if re.match(r" *(?:- +)*[\w.]+(:| +)[\[{]", scene.line(line)):
            return line_without_colon(scene, line)
        run = re.match(r"[\]}]+", scene.here)
        end = column + (run.end() if run else 1)
        message = f"This `{scene.sign}` closes nothing: none is open here."
        hint = f"Remove it, or put a text with a `{scene.sign}` in quotes."
        is_value = scene.before.rstrip().endswith((":", "-"))
        return Fault(message, hint, *scene.at, (Edit(line, column, end),), (scene.at,) if is_value else ())
    place = scene.brackets[-1]
    opening = scene.rest(place)[:1]
    if place[0] != line or opening not in CLOSING or CLOSING[opening] == scene.sign:
        return None
    around = [scene.rest(other)[:1] for other in scene.brackets[:-1] if other[0] == line]
    after = scene.here[1:]
    closes_outer = bool(around) and CLOSING.get(around[-1]) == scene.sign
    if closes_outer and is_balanced(around[:-1], after) and not is_balanced(around, after):
        fault = _never_closed(scene, place)
        doubts = (scene.brackets[-2],) if ":" in scene.before[place[1] :] else ()
        return replace(fault, edits=(insertion(line, column, CLOSING[opening]),), doubts=doubts, kinds=(place,))
    if is_balanced((*around, opening), after) and not is_balanced(around, after):
        message = f"This `{scene.sign}` closes nothing: no `{_OPENING[scene.sign]}` is open here."
        return Fault(message, "Remove it.", *scene.at, (Edit(line, column, column + 1),))
    inside = scene.before[place[1] :]
    if ("{" if re.search(r"\w: ", inside) else "[") != opening and CLOSING[opening] != scene.sign:
        other = "{" if opening == "[" else "["
        message = f"This `{opening}` is closed by the `{scene.sign}` at column {scene.column(scene.at)}."
        return Fault(message, f"Write `{other}` instead of it.", *place, (Edit(*place, place[1] + 1, other),))
    message = f"This `{scene.sign}` stands where the `{opening}` at column {scene.column(place)} is still open."
    edit = Edit(line, column, column + 1, CLOSING[opening])
    return Fault(message, f"Write `{CLOSING[opening]}` instead of it.", *scene.at, (edit,))


def bracket_over_lines(scene: Scene) -> Fault | None:
    """A bracket that closes another one than that which is open since a line above."""
    if scene.sign not in CLOSING.values() or not scene.brackets:
        return None
    place = scene.brackets[-1]
    closing = CLOSING.get(scene.rest(place)[:1])
    if closing is None or closing == scene.sign:
        return None
    fault = _never_closed(scene, place)
    edit = insertion(*scene.at, closing)
    return Fault(fault.message, fault.hint, *place, (edit,), (scene.brackets[0],))


def colon_inside(scene: Scene) -> Fault | None:
    """A `:` between brackets without a space after it."""
    if scene.problem != "found unexpected ':'":
        return None
    line, column = scene.at
    if re.match(r":\s*[,\]}]", scene.here) and re.search(r": +[^\s:,\[\]{}]+$", scene.before):
        return Fault("Nothing stands after this `:`.", "Remove it.", line, column, (Edit(line, column, column + 1),))
    word = re.search(r"[\w.]+$", scene.before)
    hint = f"Write `{shortened(f'{word[0]}: {scene.here[1:]}')}`." if word else None
    return Fault("A space is missing after the `:`.", hint, line, column, (insertion(line, column + 1, " "),))


def stray_bracket(scene: Scene) -> Fault | None:
    """A bracket within a word, where all others are closed."""
    if scene.sign not in CLOSING or not scene.brackets or not re.search(r"\w$", scene.before):
        return None
    without = scene.before[scene.brackets[0][1] - 1 :] + scene.here[1:]
    if scene.brackets[0][0] != scene.at[0] or not is_balanced((), without):
        return None
    hint = f"Remove it, or put a text with a `{scene.sign}` in quotes."
    return Fault(f"This `{scene.sign}` is never closed.", hint, *scene.at, (Edit(*scene.at, scene.at[1] + 1),))


def inside_brackets(scene: Scene) -> Fault | None:
    """What is wrong between brackets that are closed: a comma too few or too many, or `- `."""
    line, column = scene.at
    if not scene.brackets or scene.is_at_end:
        return None
    if scene.sign == ",":
        is_second = scene.before.rstrip().endswith(",")
        edit = Edit(line, column, column + 1)
        doubts = () if is_second else (scene.brackets[-1],)
        hint = "Remove it, or write what is missing."
        return Fault("Nothing stands before this `,`.", hint, *scene.at, (edit,), doubts)
    if re.match(r"-(\s|$)", scene.here):
        message = "Inside brackets, `- ` does not start an item of a list."
        hint = "Write `[first, second]`, with commas and without `- `."
        return Fault(message, hint, *scene.at, _without_list(scene), (scene.brackets[0],))
    if "expected ','" not in scene.problem:
        return None
    if scene.before.endswith(("'", '"')) and re.match(r"\w", scene.sign):
        end = end_of_value(scene.line(line), column)
        hint = "Put all of it in quotes."
        return Fault("Text follows after the closing quote.", hint, *scene.at, (Edit(line, column, end),), (scene.at,))
    start = re.search(r"[^\s,\[\]{}]+\s*$", scene.before) if scene.sign == ":" else None
    if start and scene.before[: start.start()].rstrip().endswith(":"):
        return _second_colon(scene, start.start() + 1)
    return _missing_comma(scene, start.start() + 1 if start else column)


def _without_list(scene: Scene) -> tuple[Edit, ...]:
    """Empties the outermost bracket; what is in it is not read."""
    place = scene.brackets[0]
    last = _last_line(scene, place)
    blanked = [scene.blank(number) for number in range(place[0] + 1, last + 1)]
    return (Edit(place[0], place[1], len(scene.line(place[0])) + 1), *blanked)


def _second_colon(scene: Scene, start: int) -> Fault:
    """`{a: b: c}`, where `b` starts at the column `start`."""
    number, line = scene.at[0], scene.line(scene.at[0])
    end = end_of_value(line, start)
    value = line[start - 1 : end - 1]
    message, place = "A second `: ` stands here.", scene.at
    if is_balanced((), f"{line[: start - 1]}{{{line[start - 1 :]}") and not is_balanced((), line):
        hint = f"Write `{{{shortened(value)}`."
        return Fault("A `{` is missing here.", hint, number, start, (insertion(number, start, "{"),))
    if re.match(r"[A-Z]\w*:|\w+: *\{", value):
        edits = (insertion(number, start, "{"), insertion(number, end, "}"))
        return Fault(message, f"Write `{{{shortened(value)}}}`, in braces of its own.", *place, edits)
    quote = "'" if '"' in value else '"'
    edits = (insertion(number, start, quote), insertion(number, end, quote))
    return Fault(message, "Put a text with `: ` in it in quotes.", *place, edits, ((number, start),))


def _missing_comma(scene: Scene, column: int) -> Fault:
    number = scene.at[0]
    rest = scene.rest((number, column))
    word = _TOKEN.match(rest)
    shown = (word[0] if word else rest).rstrip(":")
    is_mapping = scene.rest(scene.brackets[-1])[:1] == "{"
    doubts = ((number, column),) if is_mapping and not re.match(r"[^\s,\[\]{}]+\s*:", rest) else ()
    gap = len(scene.line(number)[: column - 1].rstrip()) or column - 1
    message = f"A `,` is missing before `{shortened(shown)}`."
    edit = insertion(number, gap + 1, ",")
    return Fault(message, "Put a `,` between the parts.", number, column, (edit,), doubts)


def tuple_of_python(scene: Scene) -> Fault | None:
    """`{kernel_size: (3, 3)}`, which YAML reads as the value `(3` and one more key, `3)`."""
    if scene.problem != TUPLE:
        return None
    number, line = scene.start[0], scene.line(scene.start[0])
    column, depth = scene.start[1], 0
    for at in range(column - 1, len(line)):
        depth += {"(": 1, ")": -1}.get(line[at], 0)
        if depth == 0:
            break
    else:
        return Fault("A `(` is never closed.", "A list is written `[1, 2]`.", *scene.start, (), (scene.start,))
    written = line[column - 1 : at + 1]
    meant = written.replace("(", "[").replace(")", "]")
    message = f"YAML knows no tuples, such as `{shortened(written)}`."
    hint = f"Write `{shortened(re.sub(r', *]', ']', meant))}`."
    edits = (
        Edit(number, place + 1, place + 2, {"(": "[", ")": "]"}[line[place]])
        for place in range(column - 1, at + 1)
        if line[place] in "()"
    )
    return Fault(message, hint, *scene.start, tuple(edits))
