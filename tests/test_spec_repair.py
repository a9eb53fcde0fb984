"""Reading on after mistakes in the YAML: all of them are told, each at its own place, and nothing that only follows."""

from __future__ import annotations

import random
import time

import pytest

from dlcli.errors import Problem, SpecError
from dlcli.spec.marks import Document
from dlcli.spec.reading import parse_document
from tests.conftest import seconds_here

SECTIONS = ("dataset", "model", "loss", "metrics", "train")
REST = "The rest of the file is checked once this is right."
Told = list[tuple[int, int]]


def parse(text: str) -> Document:
    return parse_document(text.encode(), "spec.yaml", SECTIONS)


def places(problems: tuple[Problem, ...]) -> Told:
    return sorted((problem.position.line, problem.position.column) for problem in problems if problem.position)


class TestWhatIsMeant:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("a 1\nb: 2\n", {"a": 1, "b": 2}),
            ("a:1\nb: 2\n", {"a": 1, "b": 2}),
            ("a = 1\nb: 2\n", {"a": 1, "b": 2}),
            ("a\n  b: 1\n", {"a": {"b": 1}}),
            ("a B: {c: 1}\nd: 2\n", {"a": {"B": {"c": 1}}, "d": 2}),
            ("a: {b: 1 c: 2}\n", {"a": {"b": 1, "c": 2}}),
            ("a: {b: x c: 2}\n", {"a": {"b": "x", "c": 2}}),
            ("a: [{b: 1} {c: 2}]\n", {"a": [{"b": 1}, {"c": 2}]}),
            ("a: {b: 1,, c: 2}\n", {"a": {"b": 1, "c": 2}}),
            ("a: {b: 1\nc: 2\n", {"a": {"b": 1}, "c": 2}),
            ("a: [1, [2\nc: 2\n", {"a": [1, [2]], "c": 2}),
            ("a: [\n  1,\n  2,\n\nc: 2\n", {"a": [1, 2], "c": 2}),
            ("a: {b: [1, 2, c: 3}\n", {"a": {"b": [1, 2, {"c": 3}]}}),
            ("a: {b: [1, 2}\n", {"a": {"b": [1, 2]}}),
            ("a: [1}\nb: 2\n", {"a": [1], "b": 2}),
            ("a: [b: 1}\n", {"a": {"b": 1}}),
            ("a: {1, 2]\n", {"a": [1, 2]}),
            ("a: [1]]\nb: 2\n", {"a": [1], "b": 2}),
            ("a: {b: c[}\n", {"a": {"b": "c"}}),
            ("a: {b: {c: 1}}}\n", {"a": {"b": {"c": 1}}}),
            ("a: b: 1}\nc: 2\n", {"a": {"b": 1}, "c": 2}),
            ("a: {b:[1], c: 2}\n", {"a": {"b": [1], "c": 2}}),
            ("a: {b 1, c: 2}\n", {"a": {"b": 1, "c": 2}}),
            ("a:{b: 1}\nc: 2\n", {"a": {"b": 1}, "c": 2}),
            ("a:\n- B {c: 1}\n", {"a": [{"B": {"c": 1}}]}),
            ("a:\n- B: c: 1, d: 2\n", {"a": [{"B": {"c": 1, "d": 2}}]}),
            ("a: {k: B: {c: 1}}\n", {"a": {"k": {"B": {"c": 1}}}}),
            ("a: {b: (3, 3), c: ((1, 2), (3, 4))}\n", {"a": {"b": [3, 3], "c": [[1, 2], [3, 4]]}}),
            ("a: [(3,), 1]\n", {"a": [[3], 1]}),
            ("a: `b`\n", {"a": "b"}),
            ("@a: 1\nb: 2\n", {"a": 1, "b": 2}),
            ("%a:\n  b: 1\n", {"a": {"b": 1}}),
            ("*a: 1\n", {"a": 1}),
            ("a:\n\tb: 1\n\tc: 2\nd: 3\n", {"a": {"b": 1, "c": 2}, "d": 3}),
            ("a:\n\t- B:\n\t\tc: 1\n", {"a": [{"B": {"c": 1}}]}),
            ("a:\n  b: 1\n   c: 2\n", {"a": {"b": 1, "c": 2}}),
            ("a:\n    b: 1\n  c: 2\n", {"a": {"b": 1, "c": 2}}),
            ("a:\n  b: 1\n train: 2\n", {"a": {"b": 1}, "train": 2}),
            ("  a: 1\nb: 2\n", {"a": 1, "b": 2}),
            ("a:\n  - b\n- c\n  - d\ne: 1\n", {"a": ["b", "c", "d"], "e": 1}),
            ("a:\n  - b: 1\n    c: 2\n  D: 3\n", {"a": [{"b": 1, "c": 2}, {"D": 3}]}),
            ("a:\n  - B\n  -C\n", {"a": ["B", "C"]}),
            ("a:\n  -B\n  - C: 1\n", {"a": ["B", {"C": 1}]}),
            ("// a\nb: 1\n", {"b": 1}),
            ("a: 1\n---\nb: 2\n", {"a": 1, "b": 2}),
            ("a: lo\x07ss\nl\x00b: 1\n", {"a": "loss", "lb": 1}),
            ('"a: 1\nb: 2\n', {"a": 1, "b": 2}),
            ("{a: 1\nb: 2\n", {"a": 1, "b": 2}),
        ],
    )
    def test_is_read(self, text: str, meant: object) -> None:
        document = parse(text)
        assert document.data == meant
        assert document.problems

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a: {b: 1 c: 2 d: @e}\n", [(1, 10), (1, 15), (1, 18)]),
            ("a: [1]] b\nc: {d: 1}}\n", [(1, 7), (1, 9), (2, 10)]),
            ("a: {b 1, c: 2 d:[3]}\ne: `f` \n", [(1, 6), (1, 15), (1, 16), (2, 4)]),
            ("a: 'b\nc: 'd\ne: 'f'\n", [(1, 4), (2, 4)]),
            ('a: "b\nc: 1\nd: "e"\nf g\nh: 1\n', [(1, 4), (4, 1)]),
            ("a:\n\tb: 1\nc: 2\nd:\n\te: 1\n", [(2, 1), (5, 1)]),
            ("a: 1\n---\nb: @c\n---\nd e\nf: 1\n", [(2, 1), (3, 4), (4, 1), (5, 1)]),
        ],
    )
    def test_places_are_those_of_the_text_as_written(self, text: str, expected: Told) -> None:
        document = parse(text)
        assert places(document.problems) == expected
        for problem in document.problems:
            assert problem.position is not None
            assert problem.source_line == text.split("\n")[problem.position.line - 1]

    def test_places_of_values_are_those_of_the_text_as_written(self) -> None:
        document = parse("a: {b: 1 c: 2, d: (3, 4), e: [5]}\n")
        found = {path[1:]: mark.column for path, mark in document.values.items() if len(path) > 1}
        assert found == {("b",): 8, ("c",): 13, ("d",): 19, ("d", 0): 20, ("d", 1): 23, ("e",): 30, ("e", 0): 31}


class TestDoubt:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("a: 'b\nc: 1\n", {("a",)}),
            ("a: {b: 'c, d: 1}\n", {("a", "b")}),
            ("a: {b: @c, d: 1}\n", {("a", "b")}),
            ("a: {{ b }}\nc: 1\n", {("a",)}),
            ('a: "\\d"\n', {("a",)}),
            ("a: 1\n  b: 2\nc: 3\n", {("a",)}),
            ("a: - b\nc: 1\n", {("a",)}),
            ("a: {b: 1 c: 2}\n", set()),
            ("a: [1}\n", set()),
        ],
    )
    def test_is_of_values_for_which_another_may_be_meant(self, text: str, values: object) -> None:
        assert parse(text).doubt.values == values

    def test_is_of_what_a_line_that_is_left_out_stands_in(self) -> None:
        document = parse("a:\n  b: 1\n  [c, d]: 2\ne: 3\n")
        assert document.data == {"a": {"b": 1}, "e": 3}
        assert document.doubt.partial == {("a",)}
        told = [Problem("Missing.", ("a", "c")), Problem("Missing.", ("f",)), Problem("Wrong.", ("a", "b"))]
        assert document.without_consequences(told) == told[1:]

    def test_is_of_keys_that_may_belong_elsewhere(self) -> None:
        document = parse("a:\n  b:\n    c: 1\n   d: 2\n")
        assert document.doubt.keys == {("a", "b", "d")}
        unknown, missing = Problem("No key.", ("a", "b", "d"), at_key=True), Problem("Missing.", ("a", "d"))
        wrong = Problem("Wrong.", ("a", "b", "d"))
        assert document.without_consequences([unknown, missing, wrong]) == [wrong]


class TestBounds:
    @staticmethod
    def refused(text: str) -> tuple[Problem, ...]:
        with pytest.raises(SpecError) as caught:
            parse(text)
        return caught.value.problems

    def test_twenty_mistakes_are_told_and_then_that_there_may_be_more(self) -> None:
        problems = self.refused("".join(f"k{number}: @x\n" for number in range(30)))
        assert [line for line, _ in places(problems)] == list(range(1, 21))
        assert [REST in str(problem.hint) for problem in problems] == [*[False] * 19, True]

    def test_a_large_text_is_not_mended(self) -> None:
        [problem] = self.refused("a: @b\nc: @d\n" + "# comment\n" * 20_000)
        assert places((problem,)) == [(1, 4)]
        assert REST in str(problem.hint)

    @pytest.mark.parametrize(
        "line",
        ["a: [1\n", "a: 'b\n", "a: @b\n", "a:\n\tb: 1\n", "a: b: c\n", "---\na: 1\n", "a: [\n  - b\n", "? [a]\n"],
    )
    def test_many_mistakes_take_no_time(self, line: str) -> None:
        start = time.process_time()
        self.refused(line * (99_000 // len(line)))
        assert time.process_time() - start < seconds_here(2)

    def test_a_long_line_takes_no_time(self) -> None:
        start = time.process_time()
        assert len(parse('a: "' + "\\d" * 45_000 + '"\nb: @c\n').problems) == 2
        assert time.process_time() - start < seconds_here(2)

    @pytest.mark.parametrize("seed", range(300))
    def test_whatever_is_written_is_told_about(self, seed: int) -> None:
        chance = random.Random(seed)
        signs = "ab1  \n\n  ::--,[]{}'\"#&*!|>%@`?\t$()="
        text = "".join(chance.choice(signs) for _ in range(chance.randrange(3, 150)))
        try:
            problems = parse(text).problems
        except SpecError as error:
            problems = error.problems
        lines = text.splitlines()
        for problem in problems:
            if problem.position is not None:
                assert 1 <= problem.position.line <= max(1, len(lines)), (text, problem)
                assert problem.position.column >= 1
                assert problem.source_line in (None, *lines)
