"""How many words texts have, and how many of them a first spec takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dlcli.data.columns import split_words

_LONGEST_TEXT = 256  # words
_MOST_WORDS = 10_000


@dataclass(frozen=True)
class Words:
    """The words of texts.

    Attributes:
        lengths: how many each text has.
        repeated: how many words come at least twice in them.
    """

    lengths: np.ndarray[tuple[int], np.dtype[np.int64]]
    repeated: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> Words:
        """Count them."""
        counts: Counter[str] = Counter()
        lengths = []
        for text in texts:
            found = split_words(text)
            lengths.append(len(found))
            counts.update(found)
        return cls(np.asarray(lengths), sum(count > 1 for count in counts.values()))

    @property
    def length(self) -> int:
        """How many words of a text go in: as many as 95 of 100 have."""
        return max(1, min(_LONGEST_TEXT, int(np.percentile(self.lengths, 95))))

    @property
    def vocabulary(self) -> int:
        """How many numbers: words that come once teach nothing; 0 and 1 are no word, and one that is not known."""
        return min(_MOST_WORDS, max(20, -(-(self.repeated + 2) // 100) * 100))
