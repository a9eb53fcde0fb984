"""Which of some names a word is like: what was meant by a name that there is not."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

_SHORTEST_PART = 5
_MOST_SUGGESTED = 6
_DIMENSION = re.compile(r"[123]d\Z")


def closest(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is most like, if any is."""
    return next(iter(similar(word, names)), None)


def similar(word: str, names: Iterable[str]) -> list[str]:
    """The name that `word` is a misspelling of; or the names that it is a part of, or that are a part of it.

    Before all others, those that are the word and a dimension: `Conv1D`, `Conv2D` and `Conv3D` for `Conv`.
    """
    names = list(names)
    with_dimension = [name for name in names if _DIMENSION.sub("", plain(name), count=1) == plain(word) != plain(name)]
    if with_dimension:
        return sorted(with_dimension)
    near = misspelt(word, names)
    if near is not None:
        return [near]
    parts = {plain(name): name for name in _in_case_of(word, names) if _is_part(plain(word), plain(name))}
    return sorted(parts.values(), key=lambda name: (len(name), name)) if len(parts) <= _MOST_SUGGESTED else []


def misspelt(word: str, names: Iterable[str]) -> str | None:
    """The name that `word` is a misspelling of, if it is of any.

    Capitals and underscores count for nothing, except that of `accuracy` and `Accuracy` the one in the word's case is
    taken.
    """
    spellings = {plain(name): name for name in _in_case_of(word, names)}
    written = plain(word)
    candidates = difflib.get_close_matches(written, sorted(spellings), n=5, cutoff=0.6)
    near = [name for name in candidates if _is_near(written, name)]
    # `Rescale` has fewer letters wrong for `Reshape` than for `Rescaling`, whose beginning it is.
    best = min(near, key=lambda name: _distance(written, name) - _same_start(written, name) // 2, default=None)
    return spellings[best] if best is not None else None


def _is_near(word: str, name: str) -> bool:
    is_other_ending = len(word) * 4 <= _same_start(word, name) * 5 < len(word) * 5
    return is_other_ending or _distance(word, name) <= max(1, len(word) // 3)


def _same_start(first: str, second: str) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _in_case_of(word: str, names: Iterable[str]) -> list[str]:
    """The names, those that start with a capital, or a small letter, as the word does, last."""
    return sorted(names, key=lambda name: name[:1].isupper() == word[:1].isupper())


@functools.lru_cache(maxsize=4096)  # the same hundreds of names are compared to each unknown one
def plain(name: str) -> str:
    """A name without what counts for nothing when names are compared: capitals and underscores."""
    return name.replace("_", "").lower()


def _is_part(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    # `XavierUniform` is not `uniform`.
    is_most_of_it = shorter == first or len(shorter) * 5 >= len(longer) * 3
    return len(shorter) >= _SHORTEST_PART and shorter in longer and is_most_of_it


def _distance(first: str, second: str) -> int:
    """How many letters to change, to insert, to drop or to swap with the next one, to get from one to the other.

    The optimal string alignment distance (Damerau 1964).
    """
    rows = [list(range(len(second) + 1))]
    for i, letter in enumerate(first, start=1):
        row = [i]
        for j, other in enumerate(second, start=1):
            steps = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and other == first[i - 2]:
                steps = min(steps, rows[-2][j - 2] + 1)
            row.append(steps)
        rows.append(row)
    return rows[-1][-1]


def suggestion(word: str, names: Iterable[str]) -> str:
    """The closest allowed words as a question; or, where nothing is close, what is allowed."""
    names = list(names)
    close = [f"`{name}`" for name in similar(word, names)]
    if not close:
        return allowed(names)
    return f"Did you mean {' or '.join([', '.join(close[:-1]), close[-1]] if close[1:] else close)}?"


def allowed(names: Iterable[str]) -> str:
    """A list of what is allowed, without the short names beside capital ones."""
    names = list(names)
    if not names:
        return "It takes none."
    shown = [name for name in names if name[:1].isupper()] or names
    return f"Allowed: {', '.join(f'`{name}`' for name in sorted(shown, key=str.lower))}."
