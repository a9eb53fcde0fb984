"""What is wrong with a line that is to be `key: value`, and what is meant by it."""

from __future__ import annotations

import re

from dlcli.spec.brackets import is_balanced
from dlcli.spec.characters import shortened
from dlcli.spec.scene import Edit, Fault, Scene, content_of, indent_of, insertion

LONGEST_KEY = 1024
KEY = re.compile(r"(?P<dashes>(?:- +)*)(?P<key>[^\s:#][^:#]*?) *:(?: +(?P<value>\S.*?))? *(?:#.*)?$")
_ITEM = re.compile(r"(?:- +)+(?P<value>\S.*)$")
DASHES = re.compile(r" *((?:-(?: +|$))*)")
_PARTS_OF_KEY = re.compile(r"(?P<key>[\w.]+)(?P<sign>\s*=\s*|\s+(?=\S)|$)(?P<value>.*)")


NO_COLON = "could not find expected ':'"
"""what `Scene.problem` is for a line that is no key, and also for `Dense {units: 3}`, which is one for the parser"""


def no_colon(scene: Scene) -> Fault | None:
    """A line that is to be a key, and has no `:`."""
    if NO_COLON not in scene.problem:
        return None
    return line_without_colon(scene, scene.start[0])


def line_without_colon(scene: Scene, number: int) -> Fault:
    """What is wrong with a line that should have been `key: value`."""
    line = content_of(scene.line(number))
    column = indent_of(line) + 1
    if line.strip().startswith("//"):
        message = "`//` does not start a comment in YAML; `#` does."
        return Fault(message, "Start the comment with `#`.", number, column, (scene.blank(number),))
    dash = re.match(r" *-(?=[^\s-])", line)
    if dash:
        hint = f"Write `- {shortened(line[dash.end() :])}`."
        edit = insertion(number, dash.end() + 1, " ")
        return Fault("A space is missing after the `-`.", hint, number, column, (edit,))
    dashes = DASHES.match(line)
    start = dashes.end() if dashes else 0
    text = line[start:]
    glued = re.match(r"([\w.]+):(\S.*)", text)
    if glued and re.fullmatch(r"[\]}]+", glued[2]):
        at = start + glued.start(2) + 1
        message = f"This `{glued[2][0]}` closes nothing: none is open here."
        return Fault(message, "Remove it.", number, at, (Edit(number, at, len(line) + 1),))
    if glued:
        hint = f"Write `{shortened(f'{glued[1]}: {glued[2]}')}`."
        at = start + glued.end(1) + 1
        return Fault("A space is missing after the `:`.", hint, number, at, (insertion(number, at + 1, " "),))
    words = _PARTS_OF_KEY.match(text)
    if words is None:
        return Fault("A `:` is missing in this line.", "Write `key: value`.", number, column)
    key, value, place = words["key"], words["value"], (number, start + 1)
    message = f"A `:` is missing after `{shortened(key)}`."
    if "=" in words["sign"]:
        message = "A key is followed by `:`, not by `=`."
    after, end = Edit(number, start + words.end("key") + 1, start + words.end("sign") + 1, ": "), scene.end(number)
    edits: tuple[Edit, ...] = (after,)
    if re.search(r":(\s|$)", value) and value[0] not in "[{'\"":
        value = f"{{{value}}}"
        edits = (after, insertion(number, after.end, "{"), insertion(number, end, "}"))
    has_more = value or len(scene.block(number)) > 1
    hint = f"Write `{shortened(f'{key}: {value}'.strip())}`."
    return Fault(message, hint, *place, edits, () if has_more else (place,))


def colon_in_text(scene: Scene, written: re.Match[str]) -> Fault:
    """A second `: ` on a line on which `written` is the key and the value."""
    key, number = written["key"], scene.at[0]
    line, end = content_of(scene.line(number)), scene.end(number)
    without = re.match(r"([\w.]+) +[\[{]", key)
    if without:
        start = written.start("key") + 1
        hint = f"Write `{shortened(f'{without[1]}:{line[start + without.end(1) - 1 :]}')}`."
        edit = insertion(number, start + without.end(1), ":")
        return Fault(f"A `:` is missing after `{without[1]}`.", hint, number, start, (edit,))
    start = written.start("value") + 1
    value = line[start - 1 :]
    if value.endswith(("}:", "]:")):
        message = f"A `:` stands after the closing `{value[-2]}`."
        return Fault(message, "Remove it.", number, end - 1, (Edit(number, end - 1, end),))
    early = value.find("}")
    if value.startswith("{") and is_balanced((), value[:early] + value[early + 1 :]) and not is_balanced((), value):
        at = start + early
        return Fault("This `}` closes the mapping too early.", "Remove it.", number, at, (Edit(number, at, at + 1),))
    if value.endswith("}") and value.count("{") < value.count("}"):
        hint = f"Write `{key}: {{{shortened(value)}`."
        return Fault("A `{` is missing here.", hint, number, start, (insertion(number, start, "{"),))
    if key[:1].isupper() or re.match(r"[A-Z]\w*:\s", value) or re.match(r"\w+: \w+:", f"{key}: {value}") is None:
        hint = f"Write `{key}: {{{shortened(value)}}}`, or put a text with `: ` in it in quotes."
        edits = (insertion(number, start, "{"), insertion(number, end, "}"))
        return Fault("A second `: ` stands on this line.", hint, *scene.at, edits)
    quote = "'" if '"' in value else '"'
    hint = f"Put the text in quotes: `{key}: {quote}{shortened(value)}{quote}`."
    edits = (insertion(number, start, quote), insertion(number, end, quote))
    return Fault("A second `: ` stands on this line.", hint, *scene.at, edits, ((number, start),))
