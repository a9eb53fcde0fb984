"""What is wrong with how lines stand below each other, and what is meant by it."""

from __future__ import annotations

import re
from dataclasses import replace

from dlcli.spec.characters import shortened
from dlcli.spec.scene import Edit, Fault, Scene, content_of, indent_of
from dlcli.spec.syntax_indents import is_item, is_section, is_single, level_meant, moved, shifted, strays, unit_of
from dlcli.spec.syntax_keys import KEY, LONGEST_KEY, colon_in_text, line_without_colon

SECOND_DOCUMENT = "a second document"
"""what `Scene.problem` is for `---`, which is no mistake for the parser"""
_TAB = 4  # spaces that a tab stands for, so that what is below a `- ` is deeper than the text after it
_ITEM = re.compile(r" *(?:- +)+(?P<value>\S.*)$")
_GLUED_DASH = re.compile(r" *-[^\s-]")
_GLUED = re.compile(r" *(?:- +)*[\w.]+:[^\s:]")
_ALIKE = "Keys that belong together are indented alike."


def second_document(scene: Scene) -> Fault | None:
    """A line `---` below the start, or what stands below a line `...`."""
    number = scene.at[0]
    if scene.problem == SECOND_DOCUMENT:
        above = {_key_at_margin(line) for _, line in scene.above()} - {None}
        again = tuple((other, 1) for other, line in scene.below(number) if _key_at_margin(line) in above)
        message = "A second YAML document starts here; a spec is one document."
        hint = "Put it in a file of its own." if again else "Remove the `---`."
        return Fault(message, hint, *scene.at, (scene.blank(number),), again)
    end = next((other for other, line in scene.above() if line.startswith("...")), None)
    if "<document start>" not in scene.problem or end is None:
        return None
    return Fault("This `...` ends the document, and more stands below it.", "Remove it.", end, 1, (scene.blank(end),))


def _key_at_margin(line: str) -> str | None:
    found = KEY.match(line)
    return found["key"] if found else None


def tab(scene: Scene) -> Fault | None:
    """A tab among the spaces that a line starts with, or where one must be."""
    number, line = scene.at[0], scene.line(scene.at[0])
    if "\t" in _margin(line):
        return _tabs_as_indentation(scene, number)
    if scene.sign == "\t" and "tab" in scene.problem:
        edits = tuple(Edit(number, at + 1, at + 2, " ") for at, sign in enumerate(line) if sign == "\t")
        message = "A tab stands here where YAML wants spaces."
        return Fault(message, "YAML is indented with spaces, never with tabs.", *scene.at, edits)
    return None


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _tabs_as_indentation(scene: Scene, first: int) -> Fault:
    """This line and those that follow it with tabs are one mistake."""
    numbers = [first]
    for number, line in scene.below(first):
        if "\t" not in _margin(line):
            break
        numbers.append(number)
    margins = [_margin(scene.line(number)) for number in numbers]
    widths = [len(margin.replace("\t", " " * _TAB)) for margin in margins]
    wanted = len(margins[0].replace("\t", " " * unit_of(scene)))
    shift = level_meant(scene, first, wanted) - widths[0]
    edits = tuple(
        Edit(number, 1, len(margin) + 1, " " * max(0, width + shift))
        for number, margin, width in zip(numbers, margins, widths, strict=True)
    )
    more = len(numbers) - 1
    others = f": change this line and the {more} below" if more > 1 else ": change this line and the one below"
    hint = f"YAML is indented with spaces, never with tabs{others if more else ''}."
    place, message = (first, margins[0].index("\t") + 1), "A tab stands here where YAML wants spaces."
    is_clear = is_item(scene.line(first)) or is_single(scene, first)
    return Fault(message, hint, *place, edits, strays=() if is_clear else ((first, len(margins[0]) + 1),))


def second_colon(scene: Scene) -> Fault | None:
    """A `: ` where none can be: in a text, or below a key that has a value already."""
    if "mapping values are not allowed" not in scene.problem:
        return None
    number, line = scene.at[0], scene.line(scene.at[0])
    if len(scene.before) > LONGEST_KEY and not re.search(r":\s", scene.before):
        place = (number, indent_of(line) + 1)
        return Fault("A key has more than 1,024 characters.", "Write a shorter one.", *place)
    same = KEY.match(line, indent_of(line))
    if same is not None and same["value"] and same.end("key") < scene.at[1] - 1:
        return colon_in_text(scene, same)
    if _GLUED.match(line):
        return line_without_colon(scene, number)
    return _below_a_text(scene)


def _below_a_text(scene: Scene) -> Fault | None:
    """A line with a key that goes on a text above it, over lines that are passed here on the way up."""
    number, line = scene.at[0], scene.line(scene.at[0])
    passed: list[int] = []
    for above, head in scene.above():
        found = KEY.match(head, indent_of(head))
        item = _ITEM.match(head)
        if found or (item and indent_of(head) < indent_of(line)):
            break
        passed.append(above)
    else:
        return line_without_colon(scene, passed[-1]) if passed else None
    first = scene.line(passed[-1]) if passed else line
    inside = indent_of(head) + len(found["dashes"] if found else "")
    if passed and (indent_of(first) <= inside or (found and not found["value"] and not is_item(first))):
        is_beside = is_item(line) and indent_of(first) >= indent_of(line)
        return _item_without_dash(scene, passed[-1]) if is_beside else line_without_colon(scene, passed[-1])
    if found is None:
        return _below_an_item(scene, above)
    return _value_and_more(scene, above, found, passed[-1] if is_item(first) and passed else number)


def _below_an_item(scene: Scene, above: int) -> Fault:
    """A key that is indented below an item that is a text."""
    number, line = scene.at[0], scene.line(scene.at[0])
    key = shortened(line.strip().lstrip("- ").split(":")[0])
    if not is_item(line) and re.fullmatch(r" *- +[\w.]+(:\S+)?", scene.line(above)):
        return _item_without_dash(scene, number) if key[:1].isupper() else line_without_colon(scene, above)
    edits = moved(scene, number, indent_of(scene.line(above))) if is_item(line) else ()
    message = f"`{key}` is indented deeper than the item above it."
    return Fault(message, "Indent the items of a list alike.", number, indent_of(line) + 1, edits)


def _value_and_more(scene: Scene, above: int, found: re.Match[str], number: int) -> Fault:
    """The line `above` is a key with a value, as `found` in it, and the line `number` is indented deeper than it."""
    line = scene.line(number)
    if _GLUED_DASH.match(scene.line(above)):
        return line_without_colon(scene, above)
    owner, value = shortened(found["key"]), shortened(found["value"] or "")
    key = (above, found.start("key") + 1)
    column = found.start("value") + 1
    without = (Edit(above, column, scene.end(above)), *(scene.blank(other) for other in range(above + 1, number)))
    if is_item(line):
        message = f"`{owner}` has the value `{value}`, and a list below it."
        is_clear = owner.islower() and not any(is_item(text) for _, text in scene.above(number))
        doubts = () if is_clear else (key,)
        return Fault(message, f"Remove `{value}`, or the list.", above, column, without, doubts)
    inner, place, to = shortened(line.strip().split(":")[0]), (number, indent_of(line) + 1), found.start("key")
    message = f"`{inner}` is indented below `{owner}`, which has the value `{value}` already."
    hint = f"Indent it as `{owner}`, or remove the value of `{owner}`."
    if is_section(scene, number):
        hint = f"`{inner}` belongs at the start of its line."
        return Fault(message, hint, *place, moved(scene, number, level_meant(scene, number, to)))
    if indent_of(line) - to > 1:
        return Fault(message, hint, *place, without, (key,))
    edits = moved(scene, number, to)
    return Fault(message, hint, *place, edits, strays=strays(scene, edits, indent_of(line)))


def indentation(scene: Scene) -> Fault | None:
    """A line that is indented as nothing above it, or that stands in a list without its dash."""
    expected = next((word for word in ("key", "'-' indicator", "<document start>") if word in scene.problem), None)
    if expected is None or scene.before.strip() or scene.is_at_end:
        return None
    number, indent, word = scene.at[0], indent_of(scene.line(scene.at[0])), scene.here
    above = next(scene.above(), (0, ""))
    owner = KEY.match(above[1], indent_of(above[1]))
    if owner and owner["value"] and owner.start("key") < indent:
        return _value_and_more(scene, above[0], owner, number)
    if not is_item(word) and above[1] and _is_the_slip(scene, above[0], indent):
        fault = _wrong_dash(replace(scene, at=(above[0], indent_of(above[1]) + 1)), ())
        return replace(fault, edits=(shifted(above[1], above[0], -1),))
    if (expected == "'-' indicator" and not is_item(word)) or _GLUED_DASH.match(word):
        return _item_without_dash(scene, number)
    if expected == "<document start>":
        return _wrong_from_the_start(scene, indent)
    edits = moved(scene, number, level_meant(scene, number, indent))
    if is_item(word):
        return _wrong_dash(scene, edits)
    key = shortened(word.split(":")[0])
    hint = f"`{key}` belongs at the start of its line." if is_section(scene, number) else _ALIKE
    message = f"`{key}` is indented by {_spaces(indent)}, and no key above it is."
    return Fault(message, hint, *scene.at, edits, strays=strays(scene, edits, indent))


def _is_the_slip(scene: Scene, number: int, indent: int) -> bool:
    """Whether an item has one space more than the others, with a line below it that goes with where it should be."""
    line = scene.line(number)
    others = (text for _, text in (*scene.above(number), *scene.below(number)) if is_item(text))
    starts_before = re.match(rf" {{{indent - 1}}}- \S", line) is not None
    return starts_before and any(indent_of(text) == indent - 2 for text in others)


def _wrong_dash(scene: Scene, edits: tuple[Edit, ...]) -> Fault:
    """An item that is indented as no other; or the one above it has no dash."""
    message = "This `-` is not indented as its list."
    owner = re.fullmatch(r" *([a-z_]+):", content_of(next(scene.above(), (0, ""))[1]))
    if owner is not None:  # it is the first of that list, whatever stands further up
        return Fault(message, f"Indent it deeper than `{owner[1]}`, whose list it starts.", *scene.at, edits)
    indent = indent_of(scene.line(scene.at[0]))
    dashes, first = [], None
    for other, line in scene.above():
        if is_item(line):
            dashes.append(indent_of(line))
        elif not dashes and first and line.endswith(":") and indent_of(line) <= indent <= indent_of(scene.line(first)):
            return _item_without_dash(scene, first)
        first = other
    wanted = f" by {_spaces(dashes[0])}, as the one above" if dashes and dashes[0] != indent else ""
    return Fault(message, f"Indent every `-` of a list alike{wanted}.", *scene.at, edits)


def _wrong_from_the_start(scene: Scene, indent: int) -> Fault:
    """Lines below the first ones are indented less than these."""
    number, line = min(scene.above(), default=(scene.at[0], scene.here))
    place, key = (number, indent_of(line) + 1), shortened(line.strip().split(":")[0])
    if is_item(line):
        return Fault("This `-` belongs to no list.", "Put it below the key of its list, such as `layers:`.", *place)
    message = f"`{key}` is indented by {_spaces(indent_of(line))}, and what is below it is not."
    return Fault(message, _ALIKE, *place, moved(scene, number, indent) if indent_of(line) > indent else ())


def _item_without_dash(scene: Scene, number: int) -> Fault:
    """A line that is to be an item of a list, as those above or below it."""
    line = scene.line(number)
    if _GLUED_DASH.match(line):
        return line_without_colon(scene, number)
    near = next((text for _, text in (*scene.above(number), *scene.below(number)) if is_item(text)), line)
    below = [other for other in scene.block(number)[1:] if not is_item(scene.line(other))]
    edits = [Edit(number, 1, indent_of(line) + 1, f"{' ' * indent_of(near)}- ")]
    edits += [shifted(scene.line(other), other, indent_of(near) - indent_of(line) + 2) for other in below]
    key, place = shortened(line.strip().split(":")[0]), (number, indent_of(line) + 1)
    doubts = () if key[:1].isupper() else (place,)
    hint = f"Write `- {shortened(line.strip())}`."
    return Fault(f"`{key}` stands in a list without a `-`.", hint, *place, tuple(edits), doubts)


def _spaces(count: int) -> str:
    return f"{count or 'no'} space{'' if count == 1 else 's'}"
