"""The grammar of those of Keras's data sets that have arguments; they have Keras's names, and its defaults."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlcli.spec.source import INPUT, Count, InputFacts, Seed, Source

_WordNumber = Annotated[int, Field(ge=0, le=2**30)]
_Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class NumberedTexts(Source):
    """Texts whose words are numbers already, the most frequent ones first, for an `Embedding`."""

    kind = "indices"
    has_test_set = True

    length: Count
    """how many words of a text go in: its last ones, or all with 0 in front of them, as by Keras's `pad_sequences`"""
    num_words: Count | None = None
    """only numbers below this one stay, those of the most frequent words; left out: below the largest there is"""
    skip_top: _WordNumber = 0
    """numbers below this one, those of the most frequent words, do not stay either"""
    maxlen: Count | None = None
    """texts of so many words, or more, are left out"""
    seed: Seed = 113
    """of the order of the texts"""
    start_char: _WordNumber | None = 1
    """the number that each text begins with; null: none"""
    oov_char: _WordNumber | None = 2
    """the number in place of those that do not stay; null: they are taken out"""
    index_from: _WordNumber = 3
    """what is added to the number of each word"""

    @property
    def example_shape(self) -> tuple[int, ...]:
        """One number a word."""
        return (self.length,)

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """How many numbers there are is known if `num_words` says it."""
        numbers = None if self.num_words is None else max(self.num_words, (self.oov_char or 0) + 1)
        return {INPUT: InputFacts(self.kind, self.example_shape, numbers)}


class Imdb(NumberedTexts):
    """50,000 reviews of films, half of them for testing: whether they praise (Maas et al. 2011), as Keras has them."""

    name = "imdb"
    classes = 2
    sizes = (25_000, 25_000)

    @property
    def examples(self) -> tuple[int, int] | None:
        """All, unless long ones are left out."""
        return self.sizes if self.maxlen is None else None


class Reuters(NumberedTexts):
    """11,228 newswires of 46 topics (Reuters 1987), as Keras has them."""

    name = "reuters"
    classes = 46
    total: ClassVar[int] = 11_228

    test_split: _Share = 0.2
    """the fraction that is for testing"""

    @property
    def examples(self) -> tuple[int, int] | None:
        """All, unless long ones are left out."""
        return None if self.maxlen is not None else divided(self.total, self.test_split)


class CaliforniaHousing(Source):
    """What houses in 20,640 districts of California cost in 1990, by 8 numbers (Pace and Barry 1997); a regression."""

    name = "california_housing"
    kind = "table"
    shape = (8,)
    has_test_set = True
    values = (-124.35, 35_682)
    target_range = (14_999, 500_001)
    totals: ClassVar[dict[str, int]] = {"large": 20_640, "small": 600}

    version: Literal["large", "small"] = "large"
    """all districts, or the first 600"""
    test_split: _Share = 0.2
    """the fraction that is for testing"""
    seed: Seed = 113
    """of the order of the districts"""

    @property
    def examples(self) -> tuple[int, int]:
        """Those of the version."""
        return divided(self.totals[self.version], self.test_split)


def divided(count: int, test_split: float) -> tuple[int, int]:
    """How many of so many examples are to train on, and for testing, as Keras rounds it."""
    train = int(count * (1 - test_split))
    return train, count - train
