"""Reading YAML: what a scalar means, where everything stood, and what is refused without harm."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import Path as SpecPath
from dlcli.errors import Problem, SpecError
from dlcli.spec.marks import Document, Mark
from dlcli.spec.reading import MAX_DEPTH, MAX_VALUES, parse_document, read_document
from dlcli.spec.writing import to_yaml
from tests.conftest import seconds_here


def parse(text: str | bytes) -> Document:
    return parse_document(text if isinstance(text, bytes) else text.encode(), "spec.yaml")


def refused(text: str | bytes) -> Problem:
    """The one problem of this text, whether or not the rest of it could be read."""
    try:
        [problem] = parse(text).problems
    except SpecError as error:
        [problem] = error.problems
    assert "\n" not in problem.message
    assert problem.message.endswith(".")
    return problem


def places(marks: Mapping[SpecPath, Mark]) -> dict[SpecPath, tuple[int, int]]:
    return {path: (mark.line, mark.column) for path, mark in marks.items()}


def place(problem: Problem) -> tuple[int, int]:
    assert problem.position is not None, problem
    assert problem.position.file == "spec.yaml"
    return problem.position.line, problem.position.column


class TestScalars:
    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("1", 1),
            ("+1", 1),
            ("-12", -12),
            ("007", 7),
            ("0o17", 15),
            ("0x1f", 31),
            ("0x1F", 31),
            ("1e-3", 0.001),
            ("1E5", 100_000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-1.5e+3", -1500.0),
            (".inf", math.inf),
            ("-.inf", -math.inf),
            ("+.Inf", math.inf),
            ("true", True),
            ("True", True),
            ("FALSE", False),
            ("null", None),
            ("Null", None),
            ("~", None),
            ("", None),
        ],
    )
    def test_core_schema(self, written: str, value: Any) -> None:
        read = parse(f"a: {written}\n").data["a"]
        assert read == value
        assert type(read) is type(value)

    @pytest.mark.parametrize("written", [".nan", ".NaN", ".NAN"])
    def test_not_a_number(self, written: str) -> None:
        assert math.isnan(parse(f"a: {written}\n").data["a"])

    @pytest.mark.parametrize(
        "written",
        [
            "no", "No", "off", "on", "yes", "y", "n", "tRUE", "nUll", "1_000", "0b11", "0o8", "0xg", "1e", "1:30",
            "2001-01-01", "inf", "nan", "-.nan", "1.2.3", "=", "<<", "٣",
        ],
    )  # fmt: skip
    def test_everything_else_is_a_text(self, written: str) -> None:
        assert parse(f"a: {written}\n").data["a"] == written

    @pytest.mark.parametrize(
        ("written", "text"),
        [("'1'", "1"), ('"true"', "true"), ("'null'", "null"), ("''", ""), ("|\n  1\n", "1\n"), (">-\n  1\n", "1")],
    )
    def test_quoted_and_block_scalars_are_texts(self, written: str, text: str) -> None:
        assert parse(f"a: {written}\n").data["a"] == text

    def test_a_key_may_be_a_word_that_yaml_1_1_takes_for_a_bool(self) -> None:
        assert parse("on: 1\nno: 2\n").data == {"on": 1, "no": 2}

    @pytest.mark.parametrize("written", ["9" * 5000, "0x" + "f" * 5000, "0o" + "7" * 5000, "0x" + "f" * 1_000_000])
    def test_a_number_of_more_digits_than_python_converts(self, written: str) -> None:
        assert parse(f"a: {written}\n").data["a"] == math.inf

    def test_a_key_that_is_too_long(self) -> None:
        problem = refused(f"{'x' * 1025}: 1\n")
        assert place(problem) == (1, 1)
        assert problem.message == "A key has more than 1,024 characters."

    @pytest.mark.parametrize("written", ["0x" + "f" * 253, "0o" + "7" * 335, "0" * 400 + "1", "0x" + "0" * 400 + "1"])
    def test_a_number_that_is_long_and_no_longer_than_a_float(self, written: str) -> None:
        value = parse(f"a: {written}\n").data["a"]
        assert value < math.inf
        assert len(str(value)) < 320

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("!!str 1", "1"),
            ("! 1", "1"),
            ("!!int '3'", 3),
            ("!!float 1", 1.0),
            ("!!bool 'true'", True),
            ("!!null ''", None),
            ("!!seq [1]", [1]),
            ("!!map {b: 1}", {"b": 1}),
        ],
    )
    def test_safe_tags(self, written: str, value: Any) -> None:
        read = parse(f"a: {written}\n").data["a"]
        assert read == value
        assert type(read) is type(value)

    @pytest.mark.parametrize("written", ["!!int 1.5", "!!bool yes", "!!float x", "!!float true", "!!int abc", "!!int"])
    def test_a_tag_that_does_not_fit_its_value(self, written: str) -> None:
        problem = refused(f"name: x\na: {written}\n")
        assert place(problem) == (2, 4)
        assert f"`{written.split()[0]}`" in problem.message


class TestPositions:
    def test_of_every_key_and_value(self) -> None:
        document = parse("a: 1\nb:\n  - x: 2\n    é: {ü: [3, 4]}\n")
        assert places(document.keys) == {
            ("a",): (1, 1),
            ("b",): (2, 1),
            ("b", 0, "x"): (3, 5),
            ("b", 0, "é"): (4, 5),
            ("b", 0, "é", "ü"): (4, 9),
        }
        assert places(document.values)[("a",)] == (1, 4)
        assert places(document.values)[("b", 0)] == (3, 5)
        assert places(document.values)[("b", 0, "é", "ü", 1)] == (4, 16)

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_whatever_ends_a_line(self, newline: str) -> None:
        document = parse(newline.join(["a: 1", "", "b: 2", ""]))
        assert places(document.values)[("b",)] == (3, 4)
        assert document.text.lines == ("a: 1", "", "b: 2")

    def test_a_byte_order_mark_is_no_character(self) -> None:
        document = parse("\ufeffa: 1\n".encode())
        assert document.data == {"a": 1}
        assert places(document.keys)[("a",)] == (1, 1)

    @pytest.mark.parametrize(
        ("path", "at_key", "expected"),
        [
            (("b", "c"), False, (3, 6)),
            (("b", "c"), True, (3, 3)),
            (("b", "d"), False, (4, 3)),  # a list is found by its key: the bracket says nothing
            (("b", "d", 1), False, (4, 10)),
            (("b", "nothing"), False, (2, 1)),  # what is missing is missing in what encloses it
            (("b", "nothing"), True, (2, 1)),
            (("nothing", 3, "x"), False, (1, 1)),
            ((), False, (1, 1)),
        ],
    )
    def test_of_a_problem(self, path: Any, at_key: bool, expected: tuple[int, int]) -> None:
        document = parse("a: 1\nb:\n  c: 2\n  d: [1, 2]\n")
        problem = document.located(Problem("Wrong.", path, at_key=at_key))
        assert place(problem) == expected
        assert problem.source_line == document.text.lines[expected[0] - 1]

    def test_a_problem_that_has_a_position_keeps_it(self) -> None:
        document = parse("a: 1\n")
        problem = document.located(Problem("Wrong.", ("a",)))
        assert document.located(problem) is problem


class TestVariables:
    @pytest.mark.parametrize("text", ["a: ${x}", "a: {b: ${x}}", "a: [1, ${x}, ${y}]", "a: '${x}'", 'a: "z${x}"'])
    def test_braces_are_part_of_a_scalar(self, text: str) -> None:
        assert "${x}" in str(parse(text).data)

    def test_columns_stay(self) -> None:
        assert places(parse("a: {b: ${x}, c: 1}").values)["a", "c"] == (1, 17)

    def test_what_is_no_use_of_one_is_yaml(self) -> None:
        assert parse("a: {$: {b: 1}}").data == {"a": {"$": {"b": 1}}}


class TestAliases:
    def test_stand_for_the_value_of_their_anchor(self) -> None:
        assert parse("a: &x {b: [1]}\nc: *x\nd: [*x, &y 2, *y]\n").data == {
            "a": {"b": [1]},
            "c": {"b": [1]},
            "d": [{"b": [1]}, 2, 2],
        }

    def test_a_later_anchor_of_the_same_name_wins(self) -> None:
        assert parse("a: &x 1\nb: &x 2\nc: *x\n").data["c"] == 2

    def test_have_the_position_of_their_own(self) -> None:
        document = parse("a: &x {b: 1}\nc:\n  - *x\n")
        assert places(document.values)[("c", 0)] == (3, 5)
        assert place(document.located(Problem("Wrong.", ("c", 0, "b")))) == (3, 5)

    def test_of_what_is_not_there_is_nothing(self) -> None:
        assert parse("a: *nope\nb: 1\n").data == {"a": None, "b": 1}

    def test_as_key(self) -> None:
        assert parse("a: &x name\n*x : 1\n").data == {"a": "name", "name": 1}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("a: *nope\n", (1, 4)), ("a: &x [*x]\n", (1, 8)), ("a: &x\n  b: *x\n", (2, 6)), ("b: *x\na: &x 1\n", (1, 4))],
    )
    def test_of_no_finished_anchor(self, text: str, expected: tuple[int, int]) -> None:
        problem = refused(text)
        assert place(problem) == expected
        assert "`*" in problem.message

    def test_bomb(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
        start = time.process_time()
        problem = refused("\n".join(lines))
        assert time.process_time() - start < seconds_here(2)
        assert f"{MAX_VALUES:,} values" in problem.message
        assert place(problem)[0] == 5  # 9**5 values

    def test_nest_no_deeper_than_brackets(self) -> None:
        lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 50)]
        problem = refused("\n".join(lines))
        assert "nested" in problem.message
        assert MAX_DEPTH - 2 <= place(problem)[0] <= MAX_DEPTH + 2


class TestRefused:
    def test_duplicate_key(self) -> None:
        problem = refused("name: a\nseed: 1\nname: b\n")
        assert place(problem) == (3, 1)
        assert problem.message == "The key `name` stands here a second time; the first is at line 1."
        assert problem.source_line == "name: b"
        assert problem.hint

    def test_the_first_of_two_keys_counts(self) -> None:
        assert parse("a: 1\nb: 2\na: {c: 3}\na: 4\n").data == {"a": 1, "b": 2}

    def test_duplicate_key_at_depth(self) -> None:
        problem = refused("a:\n  - {b: 1,\n     c: 2, b: 3}\n")
        assert place(problem) == (3, 12)
        assert "`b`" in problem.message
        assert "line 2" in problem.message

    @pytest.mark.parametrize(
        ("text", "tag", "expected"),
        [
            ("name: !!python/object/apply:os.system ['touch hacked']\n", "!!python/object/apply:os.system", (1, 7)),
            ("name: !!python/object/apply:os.system\n  - touch hacked\n", "!!python/object/apply:os.system", (1, 7)),
            ("seed: 1\n!!python/name:os.system x: 1\n", "!!python/name:os.system", (2, 1)),
            ("a: [!foo bar]\n", "!foo", (1, 5)),
            ("a: !!set {b, c}\n", "!!set", (1, 4)),
            ("a: !!binary aaaa\n", "!!binary", (1, 4)),
            ("a: !!timestamp 2001-01-01\n", "!!timestamp", (1, 4)),
            ("a: !<tag:example.com,2000:x> 1\n", "tag:example.com,2000:x", (1, 4)),
        ],
    )
    def test_tag(
        self, text: str, tag: str, expected: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        problem = refused(text)
        assert place(problem) == expected
        assert f"`{tag}`" in problem.message
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a: " + "[" * 10_000 + "]" * 10_000, (1, MAX_DEPTH + 3)),
            ("- " * 10_000 + "x", (1, 2 * MAX_DEPTH + 1)),
            ("a: " + "{b: " * 10_000 + "}" * 10_000, (1, 4 * MAX_DEPTH)),
            ("\n".join(" " * n + "a:" for n in range(1500)), (MAX_DEPTH + 1, MAX_DEPTH + 1)),
        ],
        ids=["brackets", "dashes", "braces", "indentation"],
    )
    def test_too_deep(self, text: str, expected: tuple[int, int]) -> None:
        start = time.process_time()
        problem = refused(text)
        assert time.process_time() - start < seconds_here(2)
        assert f"{MAX_DEPTH} levels" in problem.message
        assert place(problem) == expected

    def test_as_deep_as_allowed(self) -> None:
        depth = MAX_DEPTH - 1  # the mapping around it is a level, too
        value = parse("a: " + "[" * depth + "]" * depth).data["a"]
        for _ in range(depth - 1):
            [value] = value
        assert value == []

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a: x\x00y\n", (1, 5)),
            ("seed: 1\nname: a\x07\n", (2, 8)),
            ("é: ü\nb: ö\x01\n", (2, 5)),
            ("# ééééééééééé\na: \ufffe\n", (2, 4)),
        ],
    )
    def test_character_that_yaml_forbids(self, text: str, expected: tuple[int, int]) -> None:
        problem = refused(text)
        assert place(problem) == expected
        assert problem.source_line == text.split("\n")[expected[0] - 1]

    def test_nul_is_called_by_a_name_that_can_be_searched_for(self) -> None:
        assert "NUL (U+0000)" in refused("a: x\x00y\n").message

    def test_other_control_characters_are_called_by_their_code(self) -> None:
        assert "U+0007" in refused("a: x\x07y\n").message

    @pytest.mark.parametrize("text", ["a: 1\n".encode("utf-16"), "a: é\n".encode("latin-1"), b"a: \xff\n", b"\x80"])
    def test_not_utf_8(self, text: bytes) -> None:
        problem = refused(text)
        assert "spec.yaml is not UTF-8 text" in problem.message
        assert "UTF-8" in str(problem.hint)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
    def test_another_encoding_is_called_by_its_name(self, encoding: str) -> None:
        problem = refused("name: iris\nloss: mse\n".encode(encoding))
        assert problem.message == f"spec.yaml is not UTF-8 text: it is {encoding[:6].upper()}."
        assert problem.hint == "Save it as UTF-8."

    @pytest.mark.parametrize(("text", "line"), [("a:\n\tb: 1\n", 2), ("a: 1\nb:\n  c: 1\n\td: 2\n", 4)])
    def test_tab_as_indentation(self, text: str, line: int) -> None:
        problem = refused(text)
        assert place(problem) == (line, 1)
        assert "tab" in str(problem.hint)

    @pytest.mark.parametrize(
        ("text", "line"), [("a: 1\n---\nb: 2\n", 2), ("a: 1\n...\n---\n", 3), ("---\na: 1\n---\n", 3)]
    )
    def test_second_document(self, text: str, line: int) -> None:
        problem = refused(text)
        assert place(problem) == (line, 1)
        assert "second YAML document" in problem.message

    @pytest.mark.parametrize("text", ["---\na: 1\n", "a: 1\n...\n", "%YAML 1.2\n---\na: 1\n", "\n# c\n---\na: 1 # d\n"])
    def test_one_document_may_be_marked(self, text: str) -> None:
        assert parse(text).data == {"a": 1}

    @pytest.mark.parametrize("text", ["", "\n\n  \n", "# a\n# b\n", "---\n", "~\n"])
    def test_empty(self, text: str) -> None:
        problem = refused(text)
        assert problem.message == "spec.yaml is empty."
        assert problem.hint

    @pytest.mark.parametrize(
        ("text", "kind", "expected"),
        [
            ("- a\n- b\n", "a list", (1, 1)),
            ("hello\n", "a single value", (1, 1)),
            ("42\n", "a single value", (1, 1)),
            ("# what this is\n\n- a\n", "a list", (3, 1)),
            ("# what this is\n---\n  hello\n", "a single value", (3, 3)),
        ],
    )
    def test_not_a_mapping(self, text: str, kind: str, expected: tuple[int, int]) -> None:
        problem = refused(text)
        assert kind in problem.message
        assert place(problem) == expected

    @pytest.mark.parametrize("text", ["? [a, b]\n: 1\n", "? {a: 1}\n: 1\n", "x: &l [1]\n? *l\n: 1\n"])
    def test_key_that_is_no_word(self, text: str) -> None:
        problem = refused(text)
        assert "key" in problem.message
        assert place(problem) == (text.count("\n", 0, text.index("?")) + 1, 3)

    @pytest.mark.parametrize(
        ("text", "expected", "message", "hint"),
        [
            ("a: b: c\n", (1, 5), "A second `: ` stands on this line.", 'quotes: `a: "b: c"`'),
            ("a: [\n  b]\nDense: units: 16\n", (3, 13), "A second `: `", "Write `Dense: {units: 16}`"),
            ("a: {b: c: d}\n", (1, 9), "A second `: `", "quotes"),
            ("a: @x\n", (1, 4), "cannot start with `@`", '`"@x"`'),
            ("a: `x`\n", (1, 4), "cannot start with a backtick", "Write x without it"),
            ("a: %x\n", (1, 4), "cannot start with `%`", '`"%x"`'),
            ("a: [*]\n", (1, 5), "`*` starts an alias", '`"*"`'),
            ("a: & b\n", (1, 4), "`&` starts an anchor", "quotes"),
            ("a: 1\n  b: 2\n", (2, 3), "`b` is indented below `a`, which has the value `1`", "Indent it as `a`"),
            ("a:\n  b: 1\n c: 2\n", (3, 2), "`c` is indented by 1 space", "indented alike"),
            ("a: 999\n  - b\n  - c: 1\n", (1, 4), "`a` has the value `999`, and a list below it.", "Remove `999`"),
            ("a:\n  - b\n    - c: 1\n", (3, 5), "`c` is indented deeper than the item", "alike"),
            ("a:\n  - {b: 1}\n - c\n", (3, 2), "This `-` is not indented as its list.", "by 2 spaces"),
            ("a:\n  - b\n  c: 1\n", (3, 3), "`c` stands in a list without a `-`.", "Write `- c: 1`."),
            ("a:\n  - b\n  -c: 1\n", (3, 3), "A space is missing after the `-`.", "Write `- c: 1`."),
            ("a: - b\n", (1, 4), "cannot start on the line of its key", "line of its own"),
            ("a: 1\nb 2\nc: 3\n", (2, 1), "A `:` is missing after `b`.", "Write `b: 2`."),
            ("a\n  b: 1\n", (1, 1), "A `:` is missing after `a`.", "Write `a:`."),
            ("a: 1\nb:2\nc: 3\n", (2, 2), "A space is missing after the `:`.", "Write `b: 2`."),
            ("a = 1\nb: 2\n", (1, 1), "not by `=`", "Write `a: 1`."),
            ("a: 1\n// b\nc: 2\n", (2, 1), "`//` does not start a comment", "with `#`"),
            ("a: [b]]\n", (1, 7), "This `]` closes nothing", "Remove it"),
            ("a: [b}\n", (1, 6), "This `}` stands where the `[` at column 4 is still open.", "`]`"),
            ("a: {b: 1 c: 2}\n", (1, 10), "A `,` is missing before `c`.", "`,`"),
            ("a: {b: 1,, c: 2}\n", (1, 10), "Nothing stands before this `,`.", "Remove it"),
            ("a: [\n  - b\n  ]\n", (2, 3), "`- ` does not start an item", "`[first, second]`"),
            ("a: 'b' c\n", (1, 8), "Text follows after the closing quote.", "quotes"),
            ("a: [b] c\n", (1, 8), "Text follows after the closing `]`.", "Remove it"),
            ("a: | b\n", (1, 4), "After `|` a text starts on the next line.", "quotes"),
            ('a: "C:\\data"\n', (1, 7), "`\\d` means nothing in double quotes", "single quotes"),
            ('a: "\\ud800"\n', (1, 5), "`\\ud800` means nothing", "single quotes"),
            ("a: {%if b%}\n", (1, 5), "templates", "Remove it"),
            ("a: {{ b }}\n", (1, 4), "`{{ b }}`", "Write `${b}`"),
            ("a: {b: ${c, d: 1}\n", (1, 8), "The variable `${c` is never closed.", "Write `${c}`"),
            ("a:\n \tb: 1\n", (2, 2), "A tab stands here", "never with tabs"),
        ],
    )
    def test_not_yaml(self, text: str, expected: tuple[int, int], message: str, hint: str) -> None:
        """In plain words, at the place of the mistake."""
        problem = refused(text)
        assert message in problem.message
        assert hint in str(problem.hint)
        assert place(problem) == expected
        assert problem.source_line == text.split("\n")[expected[0] - 1]
        for jargon in ("token", "simple key", "flow", "block", "scalar", "node"):
            assert jargon not in problem.message

    @pytest.mark.parametrize(
        "text",
        [
            "b: 1\na: 'x\n", 'b: 1\na: "x\n', "b: 1\na: [x,\n", "b: 1\na: {x: 1\n\n", "b: 1\na: [x\nc: 1\n",
            "b: 1\na: {x: 1\nc: {y: 2}\n", "b: 1\na: [\n  x,\n\nc:\n  d: 1\n", "b:\n- {x: 1\n- {y: 2}\n",
            "b: 1\na: {x: [1, 2]\nc: 1\n",
        ],
    )  # fmt: skip
    def test_what_is_never_closed_is_shown_where_it_opens(self, text: str) -> None:
        problem = refused(text)
        line, column = place(problem)
        assert line == 2
        assert problem.source_line == text.split("\n")[1]
        assert problem.message == f"This `{problem.source_line[column - 1]}` is never closed."
        assert problem.source_line[column - 1] in "'\"[{"

    def test_a_quote_that_takes_the_closing_brace_with_it(self) -> None:
        problem = refused("a: {b: 'x}\nc: 'y'\n")
        assert place(problem) == (1, 8)
        assert problem.message == "This `'` is never closed."

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("a: !include b.yaml\n", "Use `extends`: write `extends: b.yaml`"),
            ("a: !!python/tuple [1]\n", "a list is written `[1, 2]`"),
            ("a: !SGD {b: 1}\n", "Write `a: {SGD: {b: 1}}`."),
            ("a: !b c\n", "Remove the tag."),
        ],
    )
    def test_tag_has_its_hint(self, text: str, hint: str) -> None:
        assert hint in str(refused(text).hint)

    def test_merge_key(self) -> None:
        problem = refused("a: &x {b: 1}\nc: {<<: *x}\n")
        assert place(problem) == (2, 5)
        assert "`<<`" in problem.message
        assert "`variables:`" in str(problem.hint)

    @pytest.mark.parametrize("text", ["a: ${b\n", "a: 'x ${b'\n", "a: [1, '${b c {']\n"])
    def test_a_variable_that_is_never_closed(self, text: str) -> None:
        assert refused(text).message == "The variable `${b` is never closed."

    def test_an_opening_brace_may_be_meant(self) -> None:
        assert parse("a: $${b\n").problems == ()

    @pytest.mark.parametrize(
        "text", ["a: &{long} 1\na: 2\n", "a: *{long}\n", "{long}: 1\n{long}: 2\n", "a: !{long} b\n", "a: @{long}\n",
                 "a: '{long}' b\n", "{long}\na: 1\n", "a: b: {long}\n", "a: {long}\n  {long}: 2\n", "a: ${{{long}\n",
                 "a: !!int {long}\n", "a: [{{{{ {long} }}}}]\n"],
    )  # fmt: skip
    def test_what_is_quoted_is_short(self, text: str) -> None:
        problem = refused(text.format(long="x" * 900))
        assert len(problem.message) < 250
        assert len(str(problem.hint)) < 350


class TestOddSpaces:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a:\n\u00a0\u00a0b: 1\n", (2, 1)),
            ("a:\n \u00a0b: 1\n", (2, 2)),
            ("a:\u00a0\n  b: 1\n", (1, 3)),
            ("a:\n  b\u00a0: 1\n", (2, 4)),
            ("a:\n  b:\u00a01\n", (2, 5)),
            ("a: {\u00a0b:\u00a01}\n", (1, 5)),
        ],
    )
    def test_are_called_by_their_name_and_read_as_spaces(self, text: str, expected: tuple[int, int]) -> None:
        problem = refused(text)
        assert place(problem) == expected
        assert problem.message == "A no-break space (U+00A0) stands where YAML wants a space."
        assert problem.hint == "Write a space instead."
        assert parse(text).data == {"a": {"b": 1}}

    def test_are_told_once(self) -> None:
        hint = refused("a:\n\u3000b: 1\n\u3000c: 2\n\u3000d: 3\n").hint
        assert hint == "Write a space instead, there and in 2 lines below."

    @pytest.mark.parametrize(
        "text", ["a: b\u00a0c\n", "a: 'b\u00a0: c'\n", "# b\u00a0:\u00a0c\na: 1\n", "a: 1 #\u00a0b\n"]
    )
    def test_may_stand_in_texts_and_comments(self, text: str) -> None:
        assert parse(text).problems == ()


class TestSpaceAfterColon:
    def test_is_asked_for_in_braces(self) -> None:
        problem = refused("a: {b:16, c: relu}\n")
        assert place(problem) == (1, 6)
        assert problem.hint == "Write `b: 16`."
        assert parse("a: {b:16, c: relu}\n").data == {"a": {"b": 16, "c": "relu"}}

    def test_a_key_with_a_value_may_have_a_colon(self) -> None:
        assert parse("a: {b:c: 1}\n").data == {"a": {"b:c": 1}}


class TestWriting:
    @pytest.mark.parametrize(
        "text",
        ["", "no", "on", "~", "1e-3", "0o17", "0x1f", "1_000", ".5", "1:30", "2001-01-01", "=", "<<", "a: b", "- a",
         "# a", " a ", "'", '"', "a\nb\n", "\t", "\x85", "\u2028", "\ufeff", "\x07", "é 😀", "x " * 100],
    )  # fmt: skip
    def test_a_text_is_read_back(self, text: str) -> None:
        data = {"value": text, "items": [text, {"key": text}], f"k{text}": 1, text: None}
        assert parse(to_yaml(data)).data == data

    @pytest.mark.parametrize("value", [0, -3, 10**30, 1.0, 1e-5, 1e20, math.inf, True, False, None, [], {}, [[], {}]])
    def test_so_is_everything_else(self, value: Any) -> None:
        read = parse(to_yaml({"value": value})).data["value"]
        assert read == value
        assert type(read) is type(value)

    def test_keeps_the_order_and_quotes_only_what_needs_it(self) -> None:
        assert to_yaml({"b": "relu", "a": [1e-3, "1e-3"]}) == 'b: relu\na:\n- 0.001\n- "1e-3"\n'


class TestFiles:
    @staticmethod
    def unreadable(path: Path) -> Problem:
        with pytest.raises(SpecError) as caught:
            read_document(path)
        [problem] = caught.value.problems
        return problem

    def test_is_called_by_its_path(self, tmp_path: Path) -> None:
        path = tmp_path / "spec.yaml"
        path.write_text("a: 1\n")
        document = read_document(path)
        assert document.text.name == str(path)
        assert document.data == {"a": 1}

    def test_missing(self, tmp_path: Path) -> None:
        for name in ("b.yml", "a.yaml", "notes.txt"):
            (tmp_path / name).touch()
        problem = self.unreadable(tmp_path / "c.yaml")
        assert problem.message == f"There is no file {tmp_path / 'c.yaml'}."
        assert problem.hint == f"In {tmp_path} there are: a.yaml, b.yml."

    def test_missing_with_its_folder(self, tmp_path: Path) -> None:
        problem = self.unreadable(tmp_path / "nowhere" / "c.yaml")
        assert "There is no file" in problem.message
        assert problem.hint is None

    def test_folder(self, tmp_path: Path) -> None:
        assert "is a folder" in self.unreadable(tmp_path).message

    def test_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").touch()
        assert "Not a directory" in self.unreadable(tmp_path / "a.yaml" / "b.yaml").message

    def test_name_that_is_too_long(self, tmp_path: Path) -> None:
        assert "too long" in self.unreadable(tmp_path / ("x" * 300 + ".yaml")).message

    def test_link_that_goes_in_circles(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").symlink_to(tmp_path / "a.yaml")
        assert str(tmp_path / "a.yaml") in self.unreadable(tmp_path / "a.yaml").message

    def test_too_large(self, tmp_path: Path) -> None:
        path = tmp_path / "large.yaml"
        with path.open("wb") as file:
            file.truncate(50_000_000)
        start = time.process_time()
        problem = self.unreadable(path)
        assert time.process_time() - start < seconds_here(2)
        assert "larger than 2 MB" in problem.message
        assert str(path) in problem.message
