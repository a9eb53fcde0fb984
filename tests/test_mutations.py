"""Every shipped config with a random mistake, 3,500 times: it is still valid, or told where it is or what follows.

And with two mistakes, 350 times: neither hides the other.

What counts as "at the mistake", for the lines that were changed, dropped, doubled or moved:

- the line itself, and the next lines with content above and below it, where a YAML parser notices what is not closed
  or not aligned;
- the line that it belongs to by indentation, before and after, where something is now missing;
- lines that belong to another line than before, since the one above them went or moved; that other line; and the line
  below, which may no longer go with them;
- a line with the same key as one of these beside it;
- where one of these says a layer's name, or what a layer reads: the lines that say the same names, and their layers;
- the first line of the spec, where a section as a whole is missing.

Nothing else may be pointed at: the configs themselves are right.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dlcli.errors import Problem, SpecError
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.loading import load_spec
from tests.conftest import CONFIGS, IS_THOROUGH, seconds_here, shipped_catalogue

# Not those with blocks: what is wrong in a block is told where it is used, too. tests/broken/blocks has their mistakes.
# Nor those with models within the model, in whose lists a wrong indentation may mean several: see tests/broken/nested.
_ELSEWHERE = re.compile(r"^  blocks:|^ {6,}layers:", re.MULTILINE)
PATHS = sorted(path for path in CONFIGS.glob("*.yaml") if not _ELSEWHERE.search(path.read_text(encoding="utf-8")))
# Who reads whom is not told as long as a layer is in doubt; and what extends another has no two lines far apart.
STACKS = [path for path in PATHS if not re.search("inputs:|^extends:", path.read_text(encoding="utf-8"), re.MULTILINE)]
TIMES = 3_500 if IS_THOROUGH else 1_000
PAIRS = 350 if IS_THOROUGH else 100
FAR = 3  # lines with content between two mistakes, so that they have nothing to do with each other
MOST_SECONDS = 2.0
VALUES = (
    "ten", "-1", "0", "2.5", '"8"', "1e-3", "true", "no", "null", "~", "[1, 2]", "[]", "{}", "{a: 1}", "Dense", "relu",
    "99999999999", ".nan", "-.inf", "2024-01-01", "'it is'", "*nothing", "!tag 3", "&anchor 3", '"${width}"', "",
)  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIGNS = "]}[{,:\"'@`%&*|>-"
REST = "The rest of the file is checked once this is right."
OTHER_BRACKET = {"{": "[", "[": "{", "}": "]", "]": "}"}

_WORD = re.compile(r"[A-Za-z_]{2,}[A-Za-z_0-9]*")
_VALUE = re.compile(r"(?<=: )[^\s,{}\[\]#]+")
_ARGUMENT = re.compile(r"\w+: [^\s,{}\[\]]+(, )?(?=[^{]*})")


@dataclass(frozen=True)
class Line:
    """One line of a config; it stays the same line when its text changes."""

    key: int
    text: str = field(compare=False)

    @property
    def has_content(self) -> bool:
        return not re.fullmatch(r" *(#.*)?", self.text)

    @property
    def indent(self) -> int:
        return len(self.text) - len(self.text.lstrip(" "))

    @property
    def is_item(self) -> bool:
        return self.text.lstrip(" ").startswith("- ")

    @property
    def word(self) -> str:
        """The key that it starts with."""
        return self.text.strip().split(":")[0]


Lines = tuple[Line, ...]


@dataclass(frozen=True)
class Mutation:
    """A config with a mistake; `touched` are the lines that were changed, went, came in or moved."""

    before: Lines
    after: Lines
    touched: frozenset[Line]

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self.after)

    def allowed(self) -> set[int]:
        """The numbers of the lines, from 1, at which a message may point."""
        before, after = parents(self.before), parents(self.after)
        elsewhere = {line for line in after if before.get(line) != after[line]}
        lines: set[Line | None] = {*self.touched, *elsewhere}
        for line in self.touched:
            lines |= neighbours(self.before, line, (-1, 1)) | neighbours(self.after, line, (-1, 1))
        for line in self.touched | elsewhere:
            lines |= {found[line] for found in (before, after) if line in found}
        for line in after:
            if line in self.touched or line in elsewhere:
                lines |= neighbours(self.after, line, (1,)) | twins(after, line)
        names = {
            name
            for line in self.touched | elsewhere
            for name in names_in(self.before, line) | names_in(self.after, line)
        }
        if names:
            said = {line for line in self.after if names_in(self.after, line) & names}
            lines |= said | {after.get(line) for line in said} | {line for line in self.after if line.word == "layers"}
        if any("${" in line.text or line.word == "variables" for line in lines if line is not None):
            lines |= {line for line in self.after if "${" in line.text}
        if None in lines:  # what a line at the margin belongs to is the spec as a whole, which starts here
            lines.add(next((line for line in self.after if line.has_content), None))
        return {number for number, line in enumerate(self.after, 1) if line in lines}


def names_in(lines: Lines, line: Line) -> set[str]:
    """The names of layers that a line says, as it is among these; of an item, those that the lines below it say."""
    if line not in lines:
        return set()
    at = lines.index(line)
    text = lines[at].text
    found = re.match(r" *(?:name|inputs|reuse): (.*)", text)
    if found:
        return set(re.findall(r"\w+", found[1]))
    names: set[str] = set()
    for below in lines[at + 1 :] if lines[at].is_item else ():
        if below.is_item or below.indent <= lines[at].indent:
            break
        names |= names_in(lines, below)
    return names


def parents(lines: Lines) -> dict[Line, Line | None]:
    """For each line with content the one that it belongs to by its indentation; None at the margin."""
    found: dict[Line, Line | None] = {}
    above: list[Line] = []
    for line in (line for line in lines if line.has_content):
        while above and not belongs(line, above[-1]):
            above.pop()
        found[line] = above[-1] if above else None
        above.append(line)
    return found


def belongs(line: Line, above: Line) -> bool:
    return above.indent < line.indent or (above.indent == line.indent and line.is_item and not above.is_item)


def neighbours(lines: Lines, line: Line, steps: tuple[int, ...]) -> set[Line]:
    """The nearest lines with content, above (-1) or below (1) of `line`; none if it is not among `lines`."""
    with_content = [other for other in lines if other.has_content or other == line]
    if line not in with_content:
        return set()
    at = with_content.index(line)
    return {with_content[at + step] for step in steps if 0 <= at + step < len(with_content)}


def twins(belonging: dict[Line, Line | None], line: Line) -> set[Line]:
    """The lines beside `line` that have its key."""
    if line not in belonging or line.is_item:
        return set()
    return {other for other, above in belonging.items() if above == belonging[line] and other.word == line.word}


# Each takes the lines, the number of one with content, and a source of chance; it gives the lines with a mistake, and
# those of them that were touched.
Mutate = Callable[[Lines, int, random.Random], tuple[Lines, set[Line]]]


def rewritten(lines: Lines, at: int, text: str) -> tuple[Lines, set[Line]]:
    return (*lines[:at], replace(lines[at], text=text), *lines[at + 1 :]), {lines[at]}


def drop_line(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    return (*lines[:at], *lines[at + 1 :]), {lines[at]}


def drop_key(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """Drops one `key: value` of those in braces; the whole line if there are none."""
    found = list(_ARGUMENT.finditer(lines[at].text))
    if not found:
        return drop_line(lines, at, chance)
    one = chance.choice(found)
    return rewritten(lines, at, lines[at].text[: one.start()] + lines[at].text[one.end() :])


def misspell(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """One letter of a word too few, too many, another one, or two of them exchanged."""
    text = lines[at].text
    word = chance.choice(list(_WORD.finditer(text.split(" #")[0])) or [re.search(r"\S+", text)])
    assert word is not None
    place = chance.randrange(word.start(), word.end() - 1)
    letter = chance.choice(LETTERS)
    new = chance.choice(
        (
            text[:place] + text[place + 1 :],
            text[:place] + letter + text[place:],
            text[:place] + letter + text[place + 1 :],
            text[:place] + text[place + 1] + text[place] + text[place + 2 :],
        )
    )
    return rewritten(lines, at, new)


def retype(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """Another value, most often of another type, in the place of one; or after a key that has its value below."""
    text = lines[at].text.split(" #")[0].rstrip()
    found = list(_VALUE.finditer(text))
    value = chance.choice(VALUES)
    if not found:
        return rewritten(lines, at, f"{text} {value}")
    one = chance.choice(found)
    return rewritten(lines, at, text[: one.start()] + value + text[one.end() :])


def double(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    second = Line(len(lines), lines[at].text)
    return (*lines[: at + 1], second, *lines[at + 1 :]), {lines[at], second}


def misindent(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    line = lines[at]
    indent = chance.choice([other for other in range(max(line.indent - 4, 0), line.indent + 5) if other != line.indent])
    return rewritten(lines, at, " " * indent + line.text.lstrip(" "))


def swap(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    other = chance.choice([number for number, line in enumerate(lines) if line.has_content and number != at])
    moved = list(lines)
    moved[at], moved[other] = lines[other], lines[at]
    return tuple(moved), {lines[at], lines[other]}


def code_of(line: Line) -> str:
    """A line without its comment."""
    return line.text.split(" #")[0].rstrip()


def changed_at(lines: Lines, at: int, pattern: str, change: Callable[[str], str], chance: random.Random) -> str:
    """The code of a line with one match of `pattern` changed; with a bracket too many if there is none."""
    code = code_of(lines[at])
    found = list(re.finditer(pattern, code))
    if not found:
        return f"{code} ]"
    one = chance.choice(found)
    return code[: one.start()] + change(one[0]) + code[one.end() :]


def drop_sign(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """One of YAML's signs too few."""
    return rewritten(lines, at, changed_at(lines, at, r"[:,{}\[\]\"']|(?<= )-(?= )", lambda sign: "", chance))


def add_sign(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """One of YAML's signs too many, before or after a word."""
    sign = chance.choice(SIGNS)
    return rewritten(lines, at, changed_at(lines, at, r"\b", lambda nothing: sign, chance))


def exchange_bracket(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    return rewritten(lines, at, changed_at(lines, at, r"[{}\[\]]", lambda sign: OTHER_BRACKET[sign], chance))


def indent_with_tabs(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    return rewritten(lines, at, "\t" * max(1, lines[at].indent // 2) + lines[at].text.lstrip())


def drop_space(lines: Lines, at: int, chance: random.Random) -> tuple[Lines, set[Line]]:
    """No space after a `:` or `-`."""
    return rewritten(lines, at, changed_at(lines, at, r"(?<=[:-]) (?=\S)", lambda space: "", chance))


MUTATIONS: dict[str, Mutate] = {
    "drop a line": drop_line,
    "drop a key": drop_key,
    "misspell a word": misspell,
    "retype a value": retype,
    "double a line": double,
    "misindent a line": misindent,
    "swap two lines": swap,
    "drop a sign": drop_sign,
    "add a sign": add_sign,
    "exchange a bracket": exchange_bracket,
    "indent with tabs": indent_with_tabs,
    "drop a space": drop_space,
}
# What changes a line and leaves it in its place, so that a second mistake can be made elsewhere.
OF_A_LINE = (
    "misspell a word", "drop a sign", "add a sign", "exchange a bracket", "indent with tabs", "drop a space",
)  # fmt: skip
FEW_LINES = 8  # a spec that extends another has no more, and of these any is near
# How many of a hundred must be reported at least: else the mutations, or the check, do nothing.
LEAST_REPORTED = {
    "drop a line": 40, "drop a key": 40, "misspell a word": 90, "retype a value": 60, "double a line": 70,
    "misindent a line": 80, "swap two lines": 80, "drop a sign": 90, "add a sign": 90, "exchange a bracket": 90,
    "indent with tabs": 95, "drop a space": 95,
}  # fmt: skip


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return shipped_catalogue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the configs, so that what one of them extends is beside the mutated one."""
    return Path(shutil.copytree(CONFIGS, tmp_path_factory.mktemp("mutations") / "configs"))


@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_mistake_is_told_where_it_is(kind: str, folder: Path, catalogue: Catalogue) -> None:
    chance = random.Random(kind)
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    shares: list[float] = []
    slowest = 0.0
    for number in range(-(-TIMES // len(MUTATIONS))):
        source = PATHS[number % len(PATHS)]
        mutation = mutated(kind, source, chance)
        path = folder / f"mutated_{source.name}"
        path.write_text(mutation.text, encoding="utf-8")
        start = time.process_time()
        problems = problems_of(path, catalogue)
        slowest = max(slowest, time.process_time() - start)
        outcomes["reported" if problems else "valid"] += 1
        lines = sum(line.has_content for line in mutation.after)
        if lines > FEW_LINES:
            shares.append(len(mutation.allowed()) / lines)
        complaints = astray(problems, mutation, path)
        if complaints:
            wrong.append(described(source, mutation, complaints))
    assert not wrong, f"{len(wrong)} of {outcomes.total()} are told in a wrong place.\n\n" + "\n".join(wrong[:20])
    assert sum(shares) < len(shares) / 2  # else any line would do
    assert slowest < seconds_here(MOST_SECONDS)
    assert outcomes["reported"] >= LEAST_REPORTED[kind] * outcomes.total() / 100, outcomes


def test_two_mistakes_do_not_hide_each_other(folder: Path, catalogue: Catalogue) -> None:
    chance = random.Random("two")
    wrong: list[str] = []
    both_told = 0
    for number in range(PAIRS):
        source = STACKS[number % len(STACKS)]
        path = folder / f"mutated_{source.name}"
        first, second, both = mutated_twice(source, chance)
        told = []
        for mutation in (first, second, both):
            path.write_text(mutation.text, encoding="utf-8")
            told.append(problems_of(path, catalogue))
        if not told[0] or not told[1]:
            continue
        both_told += 1
        complaints = astray(told[2], both, path)
        if any(REST in str(problem.hint) for problem in told[2]):
            complaints.append("The rest of the file is not checked.")
        hidden = (lines_of(told[0]) | lines_of(told[1])) - lines_of(told[2])
        complaints += [f"{path}:{line} is no longer told." for line in hidden if not is_inside_another(line, both)]
        if complaints:
            wrong.append(described(source, both, complaints))
    assert not wrong, f"{len(wrong)} of {both_told} are told in a wrong place, or hidden.\n\n" + "\n".join(wrong[:20])
    assert both_told > 0.8 * PAIRS


def mutated_twice(source: Path, chance: random.Random) -> tuple[Mutation, Mutation, Mutation]:
    """`source` with a mistake, with another one far from it, and with both; one of them is of YAML's signs."""
    lines = tuple(Line(key, text) for key, text in enumerate(source.read_text(encoding="utf-8").splitlines()))
    content = [number for number, line in enumerate(lines) if line.has_content]
    one = chance.choice(content)
    other = chance.choice([number for number in content if abs(content.index(number) - content.index(one)) > FAR])
    kinds = (chance.choice(OF_A_LINE[1:]), chance.choice(OF_A_LINE))
    after = [MUTATIONS[kind](lines, at, chance)[0] for kind, at in zip(kinds, (one, other), strict=True)]
    both = tuple(after[1][at] if at == other else line for at, line in enumerate(after[0]))
    first, second = (
        Mutation(lines, after[0], frozenset({lines[one]})),
        Mutation(lines, after[1], frozenset({lines[other]})),
    )
    return first, second, Mutation(lines, both, first.touched | second.touched)


def lines_of(problems: tuple[Problem, ...]) -> set[int]:
    return {problem.position.line for problem in problems if problem.position}


def is_inside_another(number: int, mutation: Mutation) -> bool:
    """Whether a line belongs to one that is touched: what is in a section is not checked where its name is wrong."""
    belonging, line = parents(mutation.before), belonging_to(mutation, number)
    while line is not None:
        line = belonging.get(line)
        if line in mutation.touched:
            return True
    return False


def belonging_to(mutation: Mutation, number: int) -> Line | None:
    return mutation.after[number - 1] if number <= len(mutation.after) else None


def mutated(kind: str, source: Path, chance: random.Random) -> Mutation:
    """`source` with a mistake that changes its text."""
    texts = source.read_text(encoding="utf-8").splitlines()
    lines = tuple(Line(key, text) for key, text in enumerate(texts))
    while True:
        at = chance.choice([number for number, line in enumerate(lines) if line.has_content])
        after, touched = MUTATIONS[kind](lines, at, chance)
        if [line.text for line in after] != texts:
            return Mutation(lines, after, frozenset(touched))


def problems_of(path: Path, catalogue: Catalogue) -> tuple[Problem, ...]:
    """All mistakes that show without building the model; any exception but SpecError is a fault, and fails the test."""
    try:
        load_spec(path, catalogue)
    except SpecError as error:
        return error.problems
    return ()


def astray(problems: tuple[Problem, ...], mutation: Mutation, path: Path) -> list[str]:
    """The problems that point at a line that has nothing to do with the mistake, or at none."""
    allowed = mutation.allowed()
    found = []
    for problem in problems:
        position = problem.position
        inside = position is not None and position.file == str(path) and position.line in allowed
        if not inside or problem.source_line != mutation.after[position.line - 1].text:
            found.append(f"{position}: {problem.message} {problem.hint or ''}")
    return found


def described(source: Path, mutation: Mutation, complaints: list[str]) -> str:
    """A failure in full: what was done, what was said, and where it might have pointed."""
    allowed = mutation.allowed()
    gone = [line.text for line in mutation.before if line not in mutation.after]
    shown = []
    for number, line in enumerate(mutation.after, 1):
        sign = "*" if line in mutation.touched else "+" if number in allowed else " "
        shown.append(f"{sign}{number:>4} | {line.text}" if line.has_content else "")
    return "\n".join(
        [
            f"=== {source.name}; * touched, + may be pointed at" + (f"; gone: {gone}" if gone else ""),
            *(line for line in shown if line),
            *complaints,
            "",
        ]
    )
