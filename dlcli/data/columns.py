"""The columns of a table as numbers: what each learned from the training rows, and how it encodes any row with that."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from dlcli.data.dataset import Array
from dlcli.errors import DataError

Floats = npt.NDArray[np.float64]
Values: TypeAlias = "pd.Series | Iterable[pd.Series]"
"""those of a column: all at once, or in parts that follow one another; gone through more than once"""
PADDING, UNKNOWN = 0, 1
"""the numbers for what is behind the end of a text, and for a word that was not in the training rows"""
VOCABULARY = 10_000
DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?")
_MOST_LENGTH = 256
_LARGEST = float(np.finfo(np.float32).max)
_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")  # as Keras's TextVectorization (3.15.1)
_BLANKS = re.compile(r"[ \t\n\r\f\v]+")


@dataclass(frozen=True)
class Fitted(ABC):
    """A column that has seen the training rows. `encode` gives the same numbers for the same values ever after.

    Attributes:
        name: of the column.
        is_text: whether its values are texts as written, also where they look like numbers.
    """

    kind: ClassVar[str]
    name: str
    is_text: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers that it becomes."""
        return (self.name,)

    @abstractmethod
    def encode(self, values: pd.Series, where: str) -> Array:
        """Values as numbers, shape (n, numbers); `where` names the table for messages. Raises DataError."""

    @property
    def packed_size(self) -> int:
        """How many words of 4 bytes `pack` makes of a value."""
        return len(self.names)

    def pack(self, values: pd.Series, where: str) -> Array:
        """Values as they are kept in a file: int32 of shape (n, packed_size). Raises DataError."""
        return self.encode(values, where).astype(np.float32).view(np.int32)

    def unpack(self, packed: Array) -> Array:
        """What `encode` made, out of what `pack` did: float32, or int32 where those are whole numbers."""
        return np.ascontiguousarray(packed).view(np.float32)

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Number(Fitted):
    """Standardized by the training rows: (value - mean) / deviation; where one is missing, 0, and 1 in a second column.

    The second column is there only if a training row lacks the value.
    """

    kind = "number"
    mean: float
    deviation: float
    has_missing: bool

    @classmethod
    def fit(cls, name: str, values: Values, where: str, *, is_scaled: bool) -> Number:
        """Learn mean and deviation, in float64, of the values that are there."""
        moments, rows, is_text = _Moments(), 0, False
        for part in in_parts(values):
            numbers = as_numbers(name, part, where)
            moments.add(numbers[~np.isnan(numbers)])
            rows, is_text = rows + len(part), is_text or _stays_text(part)
        deviation = moments.deviation if is_scaled else 1.0
        return cls(name, is_text, moments.mean, deviation or 1.0, moments.count < rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The number, and whether it is missing."""
        return (self.name, f"{self.name} missing") if self.has_missing else (self.name,)

    def encode(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.encode`."""
        numbers = as_numbers(self.name, values, where)
        missing = np.isnan(numbers)
        shift = self.mean if self.is_scaled else 0.0
        scaled = (np.where(missing, self.mean, numbers) - shift) / self.deviation
        return np.column_stack([scaled, missing]) if self.has_missing else scaled[:, None]

    def restore(self, values: Array) -> Array:
        """Numbers as they were in the table, of what they are encoded as, float64; any shape."""
        return np.asarray(values * self.deviation + (self.mean if self.is_scaled else 0.0))

    @property
    def is_scaled(self) -> bool:
        """Whether it is standardized."""
        return True


@dataclass(frozen=True)
class Plain(Number):
    """A number as it is, for a spec with a preparation of its own; where one is missing, the mean."""

    kind = "plain"

    @property
    def is_scaled(self) -> bool:
        """It is not."""
        return False


@dataclass(frozen=True)
class Category(Fitted):
    """One-hot: a 1 in the column of its value. A value that no training row has is 0 in all of them."""

    kind = "category"
    values: tuple[str, ...]
    has_missing: bool

    @classmethod
    def fit(cls, name: str, values: Values) -> Category:
        """Learn which values there are."""
        different: set[str] = set()
        is_text, has_missing = False, False
        for part in in_parts(values):
            known = part.notna()
            different.update(as_texts(part[known]).tolist())
            is_text, has_missing = is_text or _stays_text(part), has_missing or not bool(known.all())
        return cls(name, is_text, sorted_values(different), has_missing)

    @property
    def names(self) -> tuple[str, ...]:
        """One a value, and one for none."""
        return (*(f"{self.name}={value}" for value in self.values), *([f"{self.name} missing"] * self.has_missing))

    def encode(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.encode`."""
        return self.unpack(self.pack(values, where))

    @property
    def packed_size(self) -> int:
        """See `Fitted.packed_size`."""
        return 1

    def pack(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.pack`: which of the columns has the 1; -1 for none."""
        missing = len(self.values) if self.has_missing else -1
        numbers = np.where(values.isna(), missing, numbers_of(as_texts(values), self.values))
        return numbers.astype(np.int32)[:, None]

    def unpack(self, packed: Array) -> Array:
        """See `Fitted.unpack`."""
        return np.equal.outer(packed[:, 0], np.arange(len(self.names))).astype(np.float32)


@dataclass(frozen=True)
class Index(Fitted):
    """A number for each value, from 1 on, for an `Embedding`; 0 for one that is missing or in no training row."""

    kind = "index"
    values: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, values: Values, vocabulary: int | None) -> Index:
        """Learn which values there are; at most `vocabulary` - 1, the most frequent ones."""
        counts: Counter[str] = Counter()
        is_text = False
        for part in in_parts(values):
            counts.update(as_texts(part.dropna()).tolist())
            is_text = is_text or _stays_text(part)
        kept = counts.most_common(vocabulary - 1 if vocabulary is not None else None)
        return cls(name, is_text, sorted_values([value for value, _ in kept]))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.values) + 1

    def encode(self, values: pd.Series, where: str) -> Array:
        """Shape (n,), int32."""
        found = numbers_of(as_texts(values), self.values)
        return np.where(values.isna(), 0, found + 1).astype(np.int32)

    def pack(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.pack`."""
        return self.encode(values, where)[:, None]

    def unpack(self, packed: Array) -> Array:
        """See `Fitted.unpack`."""
        return packed[:, 0]


@dataclass(frozen=True)
class Date(Fitted):
    """Year, month, day, day of the week and of the year, and hour if there are times; each standardized."""

    kind = "date"
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    has_missing: bool

    PARTS: ClassVar[tuple[str, ...]] = ("year", "month", "day", "day_of_week", "day_of_year", "hour")

    @classmethod
    def fit(cls, name: str, values: Values, where: str) -> Date:
        """Learn means and deviations."""
        each, rows = [_Moments() for _ in cls.PARTS], 0
        for part in in_parts(values):
            known = as_times(name, part, where).dropna().dt
            rows += len(part)
            for moments, one in zip(each, cls.PARTS, strict=True):
                moments.add(getattr(known, one).to_numpy(np.float64))
        if not each[-1].mean:
            each.pop()  # no time has an hour
        deviations = tuple(one.deviation or 1.0 for one in each)
        return cls(name, True, tuple(one.mean for one in each), deviations, each[0].count < rows)

    @property
    def names(self) -> tuple[str, ...]:
        """One a part."""
        parts = tuple(f"{self.name} {part.replace('_', ' ')}" for part in self.PARTS[: len(self.means)])
        return (*parts, f"{self.name} missing") if self.has_missing else parts

    def encode(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.encode`."""
        times = as_times(self.name, values, where)
        parts = [getattr(times.dt, part).to_numpy(np.float64) for part in self.PARTS[: len(self.means)]]
        scaled = (np.column_stack(parts) - self.means) / self.deviations
        missing = times.isna().to_numpy()
        scaled[missing] = 0.0
        return np.column_stack([scaled, missing]) if self.has_missing else scaled


@dataclass(frozen=True)
class Text(Fitted):
    """The numbers of its words, as Keras's TextVectorization has them: small letters, no punctuation, the rest cut off.

    The most frequent word is 2; 1 is a word that no training row has, and 0 is behind the end.
    """

    kind = "text"
    words: tuple[str, ...]
    length: int
    vocabulary: int

    @classmethod
    def fit(cls, name: str, values: Values, length: int | None, vocabulary: int | None) -> Text:
        """Learn the words; and the length, where none is given, that 95 of 100 texts have at most."""
        counts: Counter[str] = Counter()
        lengths = array("I")
        for part in in_parts(values):
            for text in part.dropna():
                words = split_words(str(text))
                counts.update(words)
                lengths.append(len(words))
        size = vocabulary or VOCABULARY
        # Of words as frequent as each other, Keras (3.15.1) has the last in the order of UTF-8 first.
        kept = sorted(counts.items(), key=lambda item: (item[1], item[0].encode()), reverse=True)[: max(0, size - 2)]
        usual = int(np.percentile(lengths, 95)) if lengths else 1
        return cls(name, True, tuple(word for word, _ in kept), length or max(1, min(usual, _MOST_LENGTH)), size)

    def encode(self, values: pd.Series, where: str) -> Array:
        """Shape (n, length), int32."""
        numbers = {word: number for number, word in enumerate(self.words, start=2)}
        result = np.full((len(values), self.length), PADDING, np.int32)
        for row, text in zip(np.flatnonzero(values.notna()), values.dropna(), strict=True):
            found = [numbers.get(word, UNKNOWN) for word in split_words(str(text))[: self.length]]
            result[row, : len(found)] = found
        return result

    @property
    def packed_size(self) -> int:
        """See `Fitted.packed_size`."""
        return self.length

    def pack(self, values: pd.Series, where: str) -> Array:
        """See `Fitted.pack`."""
        return self.encode(values, where)

    def unpack(self, packed: Array) -> Array:
        """See `Fitted.unpack`."""
        return packed


FITTED: dict[str, type[Fitted]] = {each.kind: each for each in (Number, Plain, Category, Index, Date, Text)}


def restore_column(state: Mapping[str, Any]) -> Fitted:
    """The column that `state` described."""
    made: Any = FITTED[state["kind"]]
    known = {one.name for one in fields(made)}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in state.items() if key in known}
    column: Fitted = made(**values)
    return column


def split_words(text: str) -> list[str]:
    """The words of a text, as Keras's TextVectorization takes them (3.15.1); but `É` becomes small, too."""
    small = _PUNCTUATION.sub("", text.lower())
    # Of other characters Python takes some for blanks that TensorFlow does not.
    return small.split() if text.isascii() else [word for word in _BLANKS.split(small) if word]


def as_numbers(name: str, values: pd.Series, where: str) -> Floats:
    """A column as float64, NaN where a value is missing. Raises DataError for a value that is no finite number."""
    numbers, is_wrong = parsed_numbers(values)
    wrong = np.flatnonzero(is_wrong)
    if len(wrong):
        row = int(wrong[0])
        more = f" ({len(wrong) - 1:,} more values are none)" if len(wrong) > 1 else ""
        found = f"row {values.index[row] + 1} has `{values.iloc[row]}`, which is not a finite number in float32"
        message = f"{where}, column `{name}`: {found}{more}."
        hint = f"Write it into `missing` if it stands for a missing value; or say `columns: {{{name}: category}}`."
        raise DataError(message, hint)
    return numbers


def parsed_numbers(values: pd.Series) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Values as float64, NaN where one is missing; and where there is one that is no finite number in float32."""
    numbers: Floats = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return numbers, (np.isnan(numbers) & values.notna().to_numpy()) | (np.abs(numbers) > _LARGEST)


def as_times(name: str, values: pd.Series, where: str) -> pd.Series:
    """A column as times, NaT where a value is missing. Raises DataError for a value that is no date."""
    times, is_wrong = parsed_times(values)
    wrong = np.flatnonzero(is_wrong)
    if len(wrong):
        row = int(wrong[0])
        message = f"{where}, column `{name}`: row {values.index[row] + 1} has `{values.iloc[row]}`, which is no date."
        raise DataError(message, "Write dates as 2024-12-31, or 2024-12-31 18:30.")
    return times


def parsed_times(values: pd.Series) -> tuple[pd.Series, npt.NDArray[np.bool_]]:
    """Values as times, NaT where one is missing; and where there is one that is no date."""
    texts = values.astype("str").str.strip()
    # Not whatever pandas makes sense of: it takes 03/04/2024 for the fourth of March.
    known = texts.where(values.notna() & texts.str.fullmatch(DATE))
    times = pd.to_datetime(known, errors="coerce", format="mixed", utc=True).dt.tz_localize(None)
    return times, np.asarray(times.isna() & values.notna())


def as_texts(values: pd.Series) -> npt.NDArray[np.object_]:
    """Each value as it is shown: whole numbers without a point, texts without the blanks around them.

    A missing one is "".
    """
    numbers, different = pd.factorize(values)  # each value is written once, however many rows have it
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    texts = map(shown_number, map(float, different)) if is_number else (str(value).strip() for value in different)
    shown = np.asarray([*texts, ""], object)
    found: npt.NDArray[np.object_] = shown[numbers]
    return found


def shown_number(number: float) -> str:
    """A number as a class or category is called: a whole one without a point."""
    return str(int(number)) if number.is_integer() else repr(number)


def sorted_values(texts: Iterable[str]) -> tuple[str, ...]:
    """The different values in order: by size if all are numbers, else by the alphabet."""
    different = sorted(set(texts))
    try:
        return tuple(sorted(different, key=float))
    except ValueError:
        return tuple(different)


def numbers_of(texts: npt.NDArray[np.object_], values: Sequence[str]) -> npt.NDArray[np.int64]:
    """The position of each text among `values`; -1 where it is not there."""
    positions = {value: number for number, value in enumerate(values)}
    return np.fromiter((positions.get(text, -1) for text in texts), np.int64, len(texts))


class _Moments:
    """Count, mean and deviation of numbers that come in parts.

    After Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
    """

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0

    def add(self, numbers: Floats) -> None:
        """Take some more numbers."""
        if not len(numbers):
            return
        mean = float(numbers.mean())
        squares = float(np.square(numbers - mean).sum())
        count = self.count + len(numbers)
        apart = mean - self.mean
        self._squares += squares + apart * apart * self.count * len(numbers) / count
        self.mean = mean if not self.count else self.mean + apart * len(numbers) / count
        self.count = count

    @property
    def deviation(self) -> float:
        """That of the population; 1 where there are no numbers."""
        return math.sqrt(self._squares / self.count) if self.count else 1.0


def in_parts(values: Values) -> Iterable[pd.Series]:
    """The parts of a column; one, where there are all values at once."""
    return [values] if isinstance(values, pd.Series) else values


def _stays_text(values: pd.Series) -> bool:
    return not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values))
