"""What is wrong with a text that is no YAML, in plain words: the parser's own are for those who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import yaml

from dlcli.spec.characters import shortened
from dlcli.spec.scene import Fault, Scene, has_content, indent_of, place_of

_CLOSING = {"[": "]", "{": "}"}
_ENDS = {"[": "the list ends", "{": "the mapping ends"}
_LONGEST_KEY = 1024
_MOST_LINES = 1000  # in which the end of a bracket is looked for
_TOKEN = re.compile(r"[^\s,\[\]{}]+")
_KEY = re.compile(r"(?P<dashes>(?:- +)*)(?P<key>[^\s:#][^:#]*?) *:(?: +(?P<value>\S.*?))? *(?:#.*)?$")
_ITEM = re.compile(r"(?:- +)+(?P<value>\S.*)$")
_UNCLOSED_USE = re.compile(r"(?<!\$)\$\{(\w+)(?![\w}])")


def explain(
    error: yaml.MarkedYAMLError, lines: Sequence[str], brackets: Sequence[tuple[int, int]], opened: tuple[int, int]
) -> Fault:
    """The parser's error in plain words, at the place of the mistake.

    Args:
        error: what the parser says.
        lines: the text that was parsed.
        brackets: the line and the column of each bracket and brace that is open, outermost first.
        opened: those of the innermost mapping or list that is open, for an error at the end of the text.
    """
    at, start = (place_of(mark) if mark else None for mark in (error.problem_mark, error.context_mark))
    at = at or start or opened
    scene = Scene(str(error.problem), lines, at, start or at, brackets)
    fault = next((found for rule in _RULES if (found := rule(scene)) is not None), None)
    if fault is not None:
        return fault
    line, column = next((place for place in (at, start) if place and place[0] <= len(lines)), opened)
    hint = "Check the indentation, and that every bracket and quote is closed."
    return Fault(f"This is not valid YAML: {error.problem}.", hint, line, column)


def _tab(scene: Scene) -> Fault | None:
    line = scene.line(scene.at[0])
    margin = line[: len(line) - len(line.lstrip())]
    if "\t" in margin or (scene.sign == "\t" and "tab" in scene.problem):
        column = line.index("\t") + 1
        message = "A tab stands here where YAML wants spaces."
        return Fault(message, "YAML is indented with spaces, never with tabs.", scene.at[0], column)
    return None


def _unclosed_quote(scene: Scene) -> Fault | None:
    if scene.problem not in ("found unexpected end of stream", "found unexpected document indicator"):
        return None
    sign = scene.rest(scene.start)[:1]
    if sign not in ("'", '"'):
        return None
    return Fault(f"This `{sign}` is never closed.", f"Put a `{sign}` where the text ends.", *scene.start)


def _unclosed_bracket(scene: Scene) -> Fault | None:
    """A bracket that is open where a line below it is indented no deeper than its own, or at the end of the text."""
    place = next((place for place in scene.brackets if _ends_before(scene, place)), None)
    if place is None and scene.is_at_end and scene.brackets:
        place = scene.brackets[-1]
    if place is None:
        return None
    rest = scene.rest(place)
    use = _UNCLOSED_USE.search(rest)
    if use:
        hint = f"Write `${{{use[1]}}}`."
        return Fault(f"The variable `${{{use[1]}` is never closed.", hint, place[0], place[1] + use.start())
    quote = next((sign for sign in ("'", '"') if rest.count(sign) % 2), None)
    if quote and not re.search(rf"\w{quote}\w", rest):
        hint = f"Put a `{quote}` where the text ends."
        return Fault(f"This `{quote}` is never closed.", hint, place[0], place[1] + rest.rindex(quote))
    sign = rest[:1]
    hint = f"Put a `{_CLOSING.get(sign, sign)}` where {_ENDS.get(sign, 'it ends')}."
    return Fault(f"This `{sign}` is never closed.", hint, *place)


def _ends_before(scene: Scene, place: tuple[int, int]) -> bool:
    indent = indent_of(scene.line(place[0]))
    below = (scene.line(number) for number in range(place[0] + 1, min(scene.at[0], place[0] + _MOST_LINES) + 1))
    return any(has_content(line) and indent_of(line) <= indent and line.lstrip()[0] not in "]}" for line in below)


def _wrong_bracket(scene: Scene) -> Fault | None:
    if scene.sign not in ("]", "}"):
        return None
    if not scene.brackets:
        message = f"This `{scene.sign}` closes nothing: none is open here."
        return Fault(message, f"Remove it, or put a text with a `{scene.sign}` in quotes.", *scene.at)
    place = scene.brackets[-1]
    opening = scene.rest(place)[:1]
    closing = _CLOSING.get(opening)
    if closing is None or closing == scene.sign:
        return None
    if place[0] != scene.at[0]:
        return Fault(f"This `{opening}` is never closed.", f"Put a `{closing}` where {_ENDS[opening]}.", *place)
    message = f"This `{scene.sign}` stands where the `{opening}` at column {place[1]} is still open."
    return Fault(message, f"Write `{closing}` instead of it.", *scene.at)


def _inside_brackets(scene: Scene) -> Fault | None:
    """What is wrong between brackets that are closed: a comma too few or too many, or `- `."""
    line, column = scene.at
    if not scene.brackets or scene.is_at_end:
        return None
    if scene.sign == ",":
        return Fault("Nothing stands before this `,`.", "Remove it, or write what is missing.", line, column)
    if re.match(r"-(\s|$)", scene.here):
        message = "Inside brackets, `- ` does not start an item of a list."
        return Fault(message, "Write `[first, second]`, with commas and without `- `.", line, column)
    if "expected ','" not in scene.problem:
        return None
    start = re.search(r"[^\s,\[\]{}]+\s*$", scene.before) if scene.sign == ":" else None
    if start and scene.before[: start.start()].rstrip().endswith(":"):
        return Fault("A second `: ` stands here.", "Put a text with `: ` in it in quotes.", line, column)
    word = _TOKEN.match(scene.here)
    shown = (start[0].strip() if start else word[0] if word else scene.here).rstrip(":")
    message = f"A `,` is missing before `{shortened(shown)}`."
    return Fault(message, "Put a `,` between the parts.", line, start.start() + 1 if start else column)


def _no_colon(scene: Scene) -> Fault | None:
    if "could not find expected ':'" not in scene.problem:
        return None
    return _line_without_colon(scene.line(scene.start[0]), scene.start[0])


def _line_without_colon(line: str, number: int) -> Fault:
    """What is wrong with a line that should have been `key: value`."""
    text, column = line.strip(), indent_of(line) + 1
    if text.startswith("//"):
        return Fault("`//` does not start a comment in YAML; `#` does.", "Start the comment with `#`.", number, column)
    glued = re.match(r"([\w.]+):(\S.*)", text)
    if glued:
        hint = f"Write `{shortened(f'{glued[1]}: {glued[2]}')}`."
        return Fault("A space is missing after the `:`.", hint, number, column + glued.end(1))
    words = re.match(r"([\w.]+)\s*(=?)\s*(.*)", text)
    if words is None:
        return Fault("A `:` is missing in this line.", "Write `key: value`.", number, column)
    what = "A key is followed by `:`, not by `=`." if words[2] else f"A `:` is missing after `{shortened(words[1])}`."
    return Fault(what, f"Write `{shortened(f'{words[1]}: {words[3]}'.strip())}`.", number, column)


def _second_colon(scene: Scene) -> Fault | None:
    """A `: ` where none can be: in a text, or below a key that has a value already."""
    if "mapping values are not allowed" not in scene.problem:
        return None
    line = scene.line(scene.at[0])
    if len(scene.before) > _LONGEST_KEY and not re.search(r":\s", scene.before):
        return Fault("A key has more than 1,024 characters.", "Write a shorter one.", scene.at[0], indent_of(line) + 1)
    same = _KEY.match(line.lstrip(" "))
    if (
        same is not None
        and same["value"]
        and indent_of(line) + len(same["dashes"]) + len(same["key"]) < scene.at[1] - 1
    ):
        return _colon_in_text(scene, same)
    return _below_a_value(scene)


def _colon_in_text(scene: Scene, written: re.Match[str]) -> Fault:
    key, value = written["key"], written["value"]
    hint = f'Put the text in quotes: `{key}: "{shortened(value)}"`.'
    if key[:1].isupper() or re.match(r"\w+: \w+:", f"{key}: {value}") is None:
        hint = f"Write `{key}: {{{shortened(value)}}}`, or put a text with `: ` in it in quotes."
    return Fault("A second `: ` stands on this line.", hint, *scene.at)


def _below_a_value(scene: Scene) -> Fault | None:
    number, line = scene.at[0], scene.line(scene.at[0])
    key = re.split(r":(?:\s|$)", line.strip().lstrip("- "))[0]
    passed: list[tuple[int, str]] = []
    for above, head in scene.above():
        found = _KEY.match(head.strip())
        if found or (_ITEM.match(head.strip()) and indent_of(head) < indent_of(line)):
            break
        passed.append((above, head))
    else:
        above, found = 0, None
    if passed and (not above or indent_of(passed[-1][1]) <= indent_of(head) + len(found["dashes"] if found else "")):
        return _line_without_colon(passed[-1][1], passed[-1][0])
    if not above:
        return None
    if found is None:
        hint = "Indent the items of a list alike."
        return Fault(
            f"`{shortened(key)}` is indented deeper than the item above it.", hint, number, indent_of(line) + 1
        )
    owner, value = shortened(found["key"]), shortened(found["value"] or "")
    first = passed[-1] if passed else (number, line)
    if first[1].lstrip().startswith("- "):
        message = f"`{owner}` has the value `{value}`, and a list below it."
        hint = f"Remove `{value}`, or the list."
        return Fault(message, hint, above, head.index(found["value"] or "") + 1)
    message = f"`{shortened(key)}` is indented below `{owner}`, which has the value `{value}` already."
    return Fault(message, f"Indent it as `{owner}`, or remove the value of `{owner}`.", number, indent_of(line) + 1)


def _after_the_end(scene: Scene) -> Fault | None:
    """What stands on a line after a text in quotes, or after a bracket that closes."""
    ending = scene.before.rstrip()[-1:]
    if ending not in ("'", '"', "]", "}") or "expected key" not in scene.problem or not scene.before.strip():
        return None
    if ending in "]}":
        return Fault(f"Text follows after the closing `{ending}`.", "Remove it, or start a new line.", *scene.at)
    other = '"' if ending == "'" else "'"
    hint = f"Put all of it in quotes; a text with `{ending}` in it, between two `{other}`."
    return Fault("Text follows after the closing quote.", hint, *scene.at)


def _indentation(scene: Scene) -> Fault | None:
    """A line that is indented as nothing above it, or that stands in a list without its dash."""
    expected = next((word for word in ("key", "'-' indicator", "<document start>") if word in scene.problem), None)
    if expected is None or scene.before.strip() or scene.is_at_end:
        return None
    indent, word = indent_of(scene.line(scene.at[0])), scene.here
    if word.startswith(("- ", "-\t")) or word == "-":
        dashes = [indent_of(line) for _, line in scene.above() if re.match(r" *-(\s|$)", line)]
        wanted = f" by {_spaces(dashes[0])}, as the one above" if dashes and dashes[0] != indent else ""
        return Fault("This `-` is not indented as its list.", f"Indent every `-` of a list alike{wanted}.", *scene.at)
    key = shortened(word.split(":")[0])
    if word.startswith("-"):
        hint = f"Write `- {shortened(word[1:])}`."
        return Fault("A space is missing after the `-`.", hint, *scene.at)
    if expected == "'-' indicator":
        return Fault(f"`{key}` stands in a list without a `-`.", f"Write `- {shortened(word)}`.", *scene.at)
    hint = "Keys that belong together are indented alike."
    return Fault(f"`{key}` is indented by {_spaces(indent)}, and no key above it is.", hint, *scene.at)


def _spaces(count: int) -> str:
    return f"{count or 'no'} space{'' if count == 1 else 's'}"


def _odd_sign(scene: Scene) -> Fault | None:
    """A text without quotes that starts with a sign of YAML's."""
    sign, place = scene.sign, scene.at
    if "alphabetic or numeric" in scene.problem:
        sign, place = scene.rest(scene.start)[:1], scene.start
    elif "cannot start any token" not in scene.problem and "node content" not in scene.problem:
        return None
    if not sign:
        return None
    if sign == "%" and scene.before.endswith("{"):
        return Fault("`{% … %}` is how templates are written; a spec is plain data.", "Remove it.", *place)
    text = re.split(r"[\s,\]}]", scene.rest(place))[0] or sign
    quoted = f'"{text}"' if '"' not in text else f"'{text}'"
    what = {"*": "an alias, and then needs a name", "&": "an anchor, and then needs a name"}.get(sign)
    message = f"`{sign}` starts {what}." if what else f"A text without quotes cannot start with `{sign}`."
    if sign == "`":
        hint = f"Write {shortened(text.strip(sign))} without it, or in double quotes."
        return Fault("A text without quotes cannot start with a backtick.", hint, *place)
    return Fault(message, f"Put the text in quotes: `{shortened(quoted)}`.", *place)


def _escape(scene: Scene) -> Fault | None:
    if "escape" not in scene.problem and "hexdecimal" not in scene.problem:
        return None
    column = scene.before.rfind("\\") + 1 if scene.sign != "\\" else scene.at[1]
    text = scene.rest((scene.at[0], max(1, column)))
    word = re.match(r"\\(?:[xuU][0-9a-fA-F]*|.?)", text)
    shown = word[0] if word else text[:2]
    message = f"`{shown}` means nothing in double quotes, where `\\` is a special sign."
    return Fault(message, f"Write `\\{shown}`, or put the text in single quotes.", scene.at[0], max(1, column))


def _dash_after_key(scene: Scene) -> Fault | None:
    if "block sequence entries" not in scene.problem:
        return None
    hint = "Start each item on a line of its own, or write `[first, second]`."
    return Fault("A list with `- ` cannot start on the line of its key.", hint, *scene.at)


def _block_text(scene: Scene) -> Fault | None:
    if "comment or line break" not in scene.problem:
        return None
    sign = scene.rest(scene.start)[:1]
    message = f"After `{sign}` a text starts on the next line."
    return Fault(message, f"Put a text that starts with `{sign}` in quotes.", *scene.start)


_RULES: tuple[Callable[[Scene], Fault | None], ...] = (
    _tab, _unclosed_quote, _unclosed_bracket, _wrong_bracket, _inside_brackets, _no_colon, _second_colon,
    _after_the_end, _indentation, _odd_sign, _escape, _dash_after_key, _block_text,
)  # fmt: skip
