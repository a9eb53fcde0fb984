"""Warnings that a spec silences, by their codes, with a reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from dlcli.errors import Problem
from dlcli.spec.likeness import suggestion

UNUSED = "unused-silence"


def check_codes(silence: Mapping[str, str], known: Collection[str]) -> Iterator[Problem]:
    """The keys of `silence` that are the code of no warning."""
    for code in silence:
        if code not in known:
            message = f"`{code}` is not the code of a warning."
            yield Problem(message, ("silence", code), suggestion(code, known), at_key=True)


def without_silenced(
    problems: Iterable[Problem], silence: Mapping[str, str], asked: Collection[str]
) -> Iterator[Problem]:
    """The warnings that are not silenced, and one for each silenced code of `asked` that did not occur.

    `unused-silence` is silenced like any other; but there is no warning that it did not occur.
    """
    occurred = set()
    for problem in problems:
        occurred.add(problem.code)
        if problem.code not in silence:
            yield problem
    if UNUSED in silence:
        return
    for code in silence:
        if code in asked and code not in occurred:
            message = f"`{code}` is silenced, but does not occur: the next time it does, nobody will be told."
            yield Problem(message, ("silence", code), "Remove this line.", at_key=True, code=UNUSED)
