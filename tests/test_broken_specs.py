"""Every broken spec under tests/broken: each mistake is told at its line, in the words of its golden file.

`tests/broken/<rule>/<name>.yaml` is a spec with one mistake, or with some; `<name>.txt` beside it is what `dlcli check`
says of it. Files whose names start with `_` are what others extend. In a spec,

    #!                      at the end of a line: a message must point at this line
    #?                      the same for a warning
    # lines: 4, 7           at the top, where a comment would change what is wrong (as in `reading`): these lines.
                            `option`: a mistake in an option of the command line; `none`: one of the file as a whole
    # args: --set a.b=3     at the top: options of the command
    # says: words           at the top, once for each thing that must be said, in the order of the output
    # schema: accepts       at the top: a validator of the JSON Schema cannot see this mistake

No message may point at any other line. After a change of the messages, look at what is said, and then write it down:
`python -m tests.test_broken_specs --write`, or run the tests with DLCLI_WRITE_GOLDEN=1. The golden files hold for the
version of Keras that the shipped catalogue is made for; with another one they are not compared.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcli.spec import catalogue
from dlcli.spec.reading import parse_document
from tests.conftest import CONFIGS, Command, Done

TESTS = Path(__file__).parent
BROKEN = TESTS / "broken"
WRITE = bool(os.environ.get("DLCLI_WRITE_GOLDEN"))
# For these the mistakes show without the model, and so without TensorFlow.
STATIC = (
    "reading", "grammar", "names", "arguments", "types", "extends", "variables", "version", "overrides",
    "blocks", "nested", "sources", "sweep",
)  # fmt: skip
BUILT = ("model", "graph", "heads", "fit", "lints", "several")
OPTION, NONE = "option", "none"  # the places that are no lines of a file
Place = tuple[str, int]

_MARK = re.compile(r"[ \t]+#([!?])[ \t]*$", re.MULTILINE)
_HEADER = re.compile(r"# (lines|args|says|schema): (.*)")
_TOLD = re.compile(
    r"^((?P<file>[^\s:]+\.yaml):(?P<line>\d+):\d+: |(?P<option>--\S.*?): )?(?P<severity>error|warning)(\[[\w-]+\])?: ",
    re.MULTILINE,
)
_EXTENDS = re.compile(r"^extends: *([\w./-]+\.yaml)\b", re.MULTILINE)


@dataclass(frozen=True)
class Broken:
    """One broken spec and what must be said of it.

    Attributes:
        path: the file, from the folder of the tests.
        errors: where messages of mistakes must point, and nothing else: file and line, or `option` and `none`.
        warnings: the same for warnings.
        says: what the output must contain, in this order.
        arguments: options for the command.
        schema_accepts: whether a validator of the JSON Schema finds nothing.
    """

    path: Path
    errors: Counter[Place]
    warnings: Counter[Place]
    says: tuple[str, ...]
    arguments: tuple[str, ...]
    schema_accepts: bool

    @property
    def rule(self) -> str:
        return self.path.parts[1]

    @property
    def golden(self) -> Path:
        return TESTS / self.path.with_suffix(".txt")

    @property
    def command(self) -> list[str]:
        return ["check", str(self.path), *self.arguments, *(["--static"] if self.rule in STATIC else [])]


def read_broken(path: Path) -> Broken:
    """The expectations that a broken spec states, with those of the files that it extends."""
    files = [path, *bases_of(path)]
    headers = headers_of(path)
    return Broken(
        path=path.relative_to(TESTS),
        errors=sum((marked(file, "!") for file in files), Counter()),
        warnings=sum((marked(file, "?") for file in files), Counter()),
        says=tuple(headers.get("says", ())),
        arguments=tuple(word for line in headers.get("args", ()) for word in shlex.split(line)),
        schema_accepts=headers.get("schema") == ["accepts"],
    )


def headers_of(path: Path) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = _HEADER.fullmatch(line)
        if found is None:
            break
        headers.setdefault(found[1], []).append(found[2])
    return headers


def marked(path: Path, sign: str) -> Counter[Place]:
    """The places in this file that carry `sign`; errors may also be listed in its header."""
    name = path.relative_to(TESTS).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    places = Counter((name, number) for number, line in enumerate(lines, 1) if found_sign(line) == sign)
    if sign == "!":
        words = [word.strip() for listed in headers_of(path).get("lines", ()) for word in listed.split(",")]
        places.update((word, 0) if word in (OPTION, NONE) else (name, int(word)) for word in words)
    return places


def found_sign(line: str) -> str | None:
    found = _MARK.search(line)
    return found[1] if found else None


def bases_of(path: Path) -> list[Path]:
    """The files that this one stands on, directly or not; a ring is followed once."""
    files = [path]
    for file in files:
        if not file.is_file():
            continue
        names = _EXTENDS.findall(file.read_text(encoding="utf-8"))
        files += [base for base in (file.parent / name for name in names) if base not in files]
    return [file for file in files[1:] if file.is_file()]


SPECS = {
    f"{path.parent.name}/{path.stem}": read_broken(path)
    for path in sorted(BROKEN.glob("*/*.yaml"))
    if not path.name.startswith("_")
}
every_spec = pytest.mark.parametrize("name", SPECS)


@pytest.fixture(autouse=True)
def _as_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is said is the same: the paths are from the folder of the tests, and there are 16 GiB of memory."""
    monkeypatch.chdir(TESTS)
    monkeypatch.setattr("dlcli.machine.machine_memory", lambda: 16 * 2**30)


@every_spec
def test_each_mistake_is_told_at_its_line_in_the_words_of_the_golden_file(dlcli: Command, name: str) -> None:
    spec = SPECS[name]
    done = dlcli(*spec.command)
    assert_no_fault(done)
    said = portable(done.out or done.err)
    assert (places_in_text(said, "error"), places_in_text(said, "warning")) == (spec.errors, spec.warnings), said
    assert done.code == (2 if spec.errors else 0)
    assert_says(said, spec.says)
    if WRITE:
        spec.golden.write_text(said, encoding="utf-8")
    elif is_tested_keras():
        assert spec.golden.is_file(), f"there is no golden file yet; this is said:\n{said}"
        assert said == spec.golden.read_text(encoding="utf-8")


def assert_no_fault(done: Done) -> None:
    said = done.out + done.err
    assert "Traceback" not in said, said
    assert "fault of dlcli" not in said, said
    assert "\x1b" not in said, repr(said)


def portable(text: str) -> str:
    """Without the folder in which the tests are here."""
    return text.replace(f"{TESTS}{os.sep}", "")


def places_in_text(said: str, severity: str) -> Counter[Place]:
    """Where the problems point that a person reads of. Several at one line count once, as one mark stands for them."""
    return counted(
        (found["file"] or (OPTION if found["option"] else NONE), int(found["line"] or 0))
        for found in _TOLD.finditer(said)
        if found["severity"] == severity
    )


def counted(places: Iterable[Place]) -> Counter[Place]:
    return Counter({place: n if place[0] in (OPTION, NONE) else 1 for place, n in Counter(places).items()})


def assert_says(said: str, fragments: tuple[str, ...]) -> None:
    start = 0
    for words in fragments:
        found = said.find(words, start)
        assert found >= 0, f"{words!r} is not in this, or not after what must be said before it:\n{said}"
        start = found


@functools.cache
def is_tested_keras() -> bool:
    shipped = json.loads(Path(catalogue.__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
    return bool(shipped["keras"] == importlib.metadata.version("keras"))


# Building models takes long: of the rules that need it, one spec with and one without warnings will do.
@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.rule in STATIC] + [
    "several/two_shapes", "several/mistakes_and_a_warning", "lints/three_at_once",
])  # fmt: skip
def test_programs_are_told_the_same(dlcli: Command, name: str) -> None:
    spec = SPECS[name]
    done = dlcli(*spec.command, "--json")
    assert_no_fault(done)
    [file] = done.json["files"]
    assert file["file"] == str(spec.path)
    problems = file["problems"]
    assert (places_in_json(problems, "error"), places_in_json(problems, "warning")) == (spec.errors, spec.warnings)
    assert done.code == (2 if spec.errors else 0)
    for problem in problems:
        assert problem["message"].endswith((".", "?", "!", ":")), problem
        assert not problem["line"] or problem["column"] >= 1
        if problem["severity"] == "warning":
            assert problem["code"], f"no name to silence it by: {problem}"
            assert problem["hint"], f"no remedy: {problem}"


def places_in_json(problems: list[dict[str, Any]], severity: str) -> Counter[Place]:
    return counted(
        (problem["file"], problem["line"]) if problem["line"] else (OPTION if problem["file"] else NONE, 0)
        for problem in problems
        if problem["severity"] == severity
    )


@pytest.mark.parametrize(
    "name", ["lints/three_at_once", "lints/more_memory_than_there_is", "lints/variable_that_nothing_uses"]
)
def test_strict_makes_warnings_errors(dlcli: Command, name: str) -> None:
    done = dlcli(*SPECS[name].command, "--strict")
    assert_no_fault(done)
    assert done.code == 2
    said = portable(done.out or done.err)
    assert places_in_text(said, "error") + places_in_text(said, "warning") == SPECS[name].warnings


def test_the_json_schema_sees_what_it_can() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = CONFIGS / "dlcli.schema.json"
    if not schema.is_file():
        pytest.skip("there is no schema yet")
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))
    wrong = []
    for name, spec in SPECS.items():
        if spec.rule == "reading":
            continue
        data = parse_document((TESTS / spec.path).read_bytes(), name).data
        found = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(data)]
        if bool(found) == spec.schema_accepts:
            wrong.append(f"{name}: {found or 'accepted'}")
    assert not wrong, "\n".join(wrong)


class TestTheCorpusItself:
    FILES = tuple(sorted(BROKEN.glob("*/*.yaml")))

    def test_covers_every_rule(self) -> None:
        counts = Counter(spec.rule for spec in SPECS.values())
        assert set(counts) == {*STATIC, *BUILT}
        assert sum(counts.values()) >= 150
        assert min(counts.values()) >= 5

    def test_states_what_is_expected(self) -> None:
        for name, spec in SPECS.items():
            assert spec.errors or spec.warnings, name
            assert spec.says, name
            assert spec.warnings or spec.rule != "lints", name

    def test_the_marks_change_nothing(self) -> None:
        marked_files = [path for path in self.FILES if _MARK.search(path.read_text(encoding="utf-8"))]
        assert len(marked_files) > 100
        for path in marked_files:
            content = path.read_text(encoding="utf-8")
            assert meaning(_MARK.sub("", content)) == meaning(content), path

    def test_every_golden_file_has_its_spec(self) -> None:
        golden = {path.relative_to(TESTS) for path in BROKEN.glob("*/*.txt")}
        assert golden <= {spec.path.with_suffix(".txt") for spec in SPECS.values()}

    def test_every_base_is_extended(self) -> None:
        bases = {base for spec in SPECS.values() for base in bases_of(TESTS / spec.path)}
        assert {path for path in self.FILES if path.name.startswith("_")} <= bases


def meaning(text: str) -> list[tuple[Any, ...]]:
    """What the YAML says, without its comments and line breaks."""
    plain = re.sub(r"\$\{(\w*)\}", r"\1", text)  # which dlcli takes for a word in braces, too, and YAML does not
    names = ("anchor", "tag", "value", "implicit")
    return [(type(event), *(getattr(event, name, None) for name in names)) for event in yaml.parse(plain)]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m tests.test_broken_specs --write")
    os.environ["DLCLI_WRITE_GOLDEN"] = "1"
    sys.exit(pytest.main([__file__, "-q", "-k", "golden_file"]))
