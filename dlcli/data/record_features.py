"""What a feature of records becomes: a picture, numbers or a text of one form; told by the first records."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.array_inputs import shown
from dlcli.data.dataset import Array
from dlcli.data.example_proto import Feature, MalformedError, Values, parse_example
from dlcli.data.image_decoding import Form, OtherSizeError, UnreadableError, appearance, read_picture
from dlcli.data.image_reading import in_parts
from dlcli.data.record_files import SKIP, DamagedError, Records, capital
from dlcli.data.stored import Read, Stored
from dlcli.errors import DataError
from dlcli.spec.sources_records import Feature as Described

_ONE_SIZE = "In every record it is to have the size of the first, or the `shape` that `features` says: write it so."
_ONE_FEATURE = "Write each byte string as a feature of its own, or as a record of its own."
_ONE_KIND = "In every record it is to be of the kind that the first one has: write it so."
_ANOTHER_TYPE = "Say a type that has such values with `dtype`, as in `features: {NAME: {dtype: float32}}`."


@dataclass(frozen=True)
class Layout:
    """How the values of a feature make a row of an array.

    Attributes:
        feature: its name in the records.
        shape: of a row.
        dtype: of its numbers, as NumPy names it; "str" for a text.
        form: what every picture becomes; None where there are none.
        is_exact: whether each picture must have that size by itself.
    """

    feature: str
    shape: tuple[int, ...]
    dtype: str
    form: Form | None = None
    is_exact: bool = False

    def row(self, values: Values) -> Any:
        """The row that values make: an array of this shape and type, or a text.

        Raises:
            DamagedError: they are a picture that cannot be read.
            _UnfitError: they are something else.
        """
        if self.form is not None:
            return self._picture(_single(values, "a picture"))
        if self.dtype == "str":
            return _text(_single(values, "a text"))
        if isinstance(values, list):
            return self._shaped(np.frombuffer(self._whole(_single(values, "numbers")), self.stored_dtype))
        if not len(self.shape) and len(values) == 1:
            return self._cast(values[0])
        return self._shaped(self._cast(values))

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Of numbers that are bytes in a record: the least byte first."""
        return np.dtype(self.dtype).newbyteorder("<")

    def _whole(self, data: bytes) -> bytes:
        wanted = math.prod(self.shape) * self.stored_dtype.itemsize
        if len(data) != wanted:
            text = f"has {len(data):,} bytes, where {wanted:,} are needed for {shown(self.shape)} of {self.dtype}"
            raise _UnfitError(text, _ONE_SIZE)
        return data

    def _shaped(self, values: Array) -> Array:
        if len(values) != math.prod(self.shape):
            numbers = f"{len(values):,} number" + ("s" if len(values) != 1 else "")
            needed = f"{math.prod(self.shape):,} are needed ({shown(self.shape)})"
            raise _UnfitError(f"has {numbers}, where {needed}", _ONE_SIZE)
        return values.reshape(self.shape)

    def _cast(self, values: Any) -> Any:
        if values.dtype == self.dtype:
            return values
        with np.errstate(all="ignore"):
            found = values.astype(self.dtype)
        if np.dtype(self.dtype).kind != "f" and not (found == values).all():
            wrong = values.reshape(-1)[(found != values).reshape(-1)][0]
            raise _UnfitError(f"has the value {wrong:g}, which is none of {self.dtype}", _ANOTHER_TYPE)
        return found

    def _picture(self, data: bytes) -> Array:
        if self.form is None:
            raise MalformedError
        try:
            return read_picture(io.BytesIO(data), self.form, is_exact=self.is_exact)
        except UnreadableError as error:
            raise DamagedError(f"has no picture that can be read: {error}") from error
        except OtherSizeError as error:
            sizes = [f"{height}×{width}" for height, width in (error.size, self.form.size)]
            text = f"is a picture of {sizes[0]} pixels (height and width), where the first has {sizes[1]}"
            raise _UnfitError(text, "Say to which size all are brought: `size: [96, 96]`.") from error

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Layout:
        """The layout that `state` described."""
        form = state["form"]
        known = None if form is None else Form(tuple(form["size"]), form["color"], form["fit"])
        return cls(state["feature"], tuple(state["shape"]), state["dtype"], known, state["is_exact"])


class _UnfitError(Exception):
    """A feature is whole, but not what it is to be; the text says why, and `hint` what to do."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def _single(values: Values, what: str) -> bytes:
    if not isinstance(values, list):
        raise _UnfitError(f"has numbers, where the bytes of {what} are needed", _ONE_KIND)
    if len(values) != 1:
        raise _UnfitError(f"has {len(values)} byte strings, where one is needed: {what}", _ONE_SIZE)
    return values[0]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _UnfitError("is to be a text, but is no UTF-8", "Write it anew in UTF-8.") from error


@dataclass(frozen=True)
class Column(Stored):
    """One feature of all records, as an array in their files.

    Attributes:
        records: where they are.
        layout: what a row is.
    """

    records: Records
    layout: Layout

    @classmethod
    def of(cls, records: Records, layout: Layout) -> Column:
        """The feature that a layout is for."""
        dtype = np.dtype(layout.dtype)
        return cls(records.paths[0], layout.feature, (len(records), *layout.shape), dtype, records, layout)

    def __str__(self) -> str:
        return f"`{self.name}` in {self.records}"

    def place(self, number: int) -> str:
        """See `Stored.place`."""
        return self.records.place(number)

    @property
    def paths(self) -> tuple[Path, ...]:
        """See `Stored.paths`."""
        return self.records.paths

    @property
    def row_bytes(self) -> int:
        """See `Stored.row_bytes`."""
        return self.records.mean_bytes

    @property
    def obstacle(self) -> str | None:
        """See `Stored.obstacle`."""
        return "in compressed files" if self.records.is_held else None

    @property
    def remedy(self) -> str:
        """See `Stored.remedy`."""
        return "Write the records anew without compression."

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """See `Stored.opened`."""
        with self.records.opened() as read:

            def rows(first: int, count: int) -> Array:
                parts = [self._rows(messages, at) for at, messages in read(first, count)]
                return parts[0] if len(parts) == 1 else np.concatenate(parts)

            yield rows

    def _rows(self, messages: Sequence[bytes], first: int) -> Array:
        found: Any = np.empty((len(messages), *self.shape[1:]), object if self.layout.dtype == "str" else self.dtype)

        def decode(start: int, end: int) -> None:
            for row in range(start, end):
                found[row] = self._row(messages[row], first + row)

        if self.layout.form is None:
            decode(0, len(messages))
        else:  # Pillow lets other threads work meanwhile
            for _ in in_parts(len(messages), decode):
                pass
        rows: Array = found.astype(str) if self.layout.dtype == "str" else found
        return rows

    def _row(self, message: bytes, number: int) -> Any:
        try:
            return self.layout.row(values_of(message, self.name))
        except (DamagedError, _UnfitError) as error:
            hint = error.hint if isinstance(error, _UnfitError) else SKIP
            raise DataError(f"{capital(self.place(number))}: `{self.name}` {error}.", hint) from error

    def damage(self, message: bytes) -> str | None:
        """Why this record is damaged; None if it is not, or only something else than it should be."""
        try:
            self.layout.row(values_of(message, self.name))
        except DamagedError as error:
            return f"`{self.name}` {error}"
        except _UnfitError:
            pass
        return None


def values_of(message: bytes, name: str) -> Values:
    """The values of a feature. Raises DamagedError, or _UnfitError if there is none."""
    try:
        feature = parse_example(message, name).get(name)
        if feature is None or not feature.kind:
            raise _UnfitError("is not in it", "Leave such records out, or give them a value, when the file is written.")
        return feature.values(message)
    except MalformedError as error:
        raise DamagedError(f"cannot be read, since the record is no tf.train.Example: {error}") from error


@dataclass(frozen=True)
class First:
    """A record by which it is told what the features of all are: the first that is whole.

    Attributes:
        message: its bytes.
        features: by name.
        place: which one it is, for a message.
    """

    message: bytes
    features: Mapping[str, Feature]
    place: str

    @classmethod
    def of(cls, records: Records, row: int) -> First:
        """That of this number. Raises DamagedError if it is not as it was written, or no Example."""
        [(_, [message], [is_bad])] = records.parts(row, 1)
        if is_bad:
            raise DamagedError("its checksum is another one")
        try:
            return cls(message, parse_example(message), records.place(row))
        except MalformedError as error:
            raise DamagedError(f"it is no tf.train.Example: {error}") from error

    def values(self, name: str) -> Values | None:
        """Of a feature; None if it has none. Raises DamagedError."""
        feature = self.features.get(name)
        if feature is None or not feature.kind:
            return None
        try:
            return feature.values(self.message)
        except MalformedError as error:
            raise DamagedError(f"`{name}` cannot be read: {error}") from error


def fit_input(first: First, name: str, said: Described) -> Layout:
    """What a feature that goes in becomes: as the spec says, or as a record has it. Raises DataError, DamagedError."""
    values = first.values(name)
    where = f"`{name}` in {first.place},"
    if values is None or not len(values):
        message = f"{where} has no values: by the first record it is told what a feature is."
        raise DataError(message, "Write a record that has all features first.")
    if isinstance(values, list):
        is_picture = said.encoding is not None or (
            said.dtype is None and said.shape is None and looks_like_picture(values)
        )
        return _fit_picture(name, values, said, where) if is_picture else _fit_bytes(name, values, said, where)
    if said.encoding is not None:
        raise DataError(f"{where} has numbers, and not the bytes of a picture.", "Leave `encoding` out.")
    return Layout(name, _shape(said, len(values), where), said.dtype or str(values.dtype))


def _shape(said: Described, count: int, where: str) -> tuple[int, ...]:
    usual = () if count == 1 else (count,)
    shape = usual if said.shape is None else said.shape
    if math.prod(shape) != count:
        message = f"{where} has {count:,} numbers, but `shape` says {shown(shape)}, which are {math.prod(shape):,}."
        raise DataError(message, f"Write a `shape` of {count:,} numbers, or leave it out.")
    return shape


def fit_target(first: First, name: str) -> Layout:
    """What a feature that is asked for becomes: a number, several, or a text. Raises DataError, DamagedError."""
    values = first.values(name)
    if values is None or not len(values):
        message = f"`{name}` in {first.place}, has no values, but is what is asked for."
        raise DataError(
            message, "Name another feature with `target`; or leave such records out when the file is written."
        )
    if isinstance(values, list):
        return Layout(name, (), "str")
    return Layout(name, () if len(values) == 1 else (len(values),), str(values.dtype))


def looks_like_picture(values: Values | None) -> bool:
    """Whether this is the bytes of one picture."""
    if not isinstance(values, list) or len(values) != 1:
        return False
    try:
        appearance(io.BytesIO(values[0]))
    except UnreadableError:
        return False
    return True


def _fit_picture(name: str, values: list[bytes], said: Described, where: str) -> Layout:
    if len(values) != 1:
        raise DataError(f"{where} has {len(values)} byte strings; a picture is one.", _ONE_FEATURE)
    try:
        found = appearance(io.BytesIO(values[0]))
    except UnreadableError as error:
        raise DamagedError(f"`{name}` has no picture that can be read: {error}") from error
    form = Form(said.size or found.size, said.color or ("grayscale" if found.is_grey else "rgb"), said.fit)
    return Layout(name, form.shape, "uint8", form, is_exact=said.size is None)


def _fit_bytes(name: str, values: list[bytes], said: Described, where: str) -> Layout:
    if len(values) != 1:
        raise DataError(f"{where} has {len(values)} byte strings; what goes in is one, or numbers.", _ONE_FEATURE)
    size = len(values[0])
    if said.dtype is None:
        message = f"{where} has {size:,} bytes, which are no picture: it must be said what they are."
        raise DataError(message, f"As in `features: {{{name}: {{dtype: uint8, shape: [28, 28]}}}}`, for 784 bytes.")
    item = np.dtype(said.dtype).itemsize
    shape = said.shape or (max(1, size // item),)
    if math.prod(shape) * item != size:
        needed = f"{math.prod(shape) * item:,} for {shown(shape)} of {said.dtype}"
        message = f"{where} has {size:,} bytes, where {needed} are needed."
        raise DataError(message, "Say the `dtype` and `shape` that these bytes were written from.")
    return Layout(name, shape, said.dtype)


def without_damaged(columns: Sequence[Column], notify: Callable[[str], None]) -> list[Column]:
    """The columns of some records without those that are damaged, once a person has been told of these."""
    records = columns[0].records
    is_bad, reasons = np.zeros(len(records), bool), {}
    for first, messages, wrong in records.parts(0, len(records)):
        for row, message in enumerate(messages):
            damaged = (one for one in (column.damage(message) for column in columns) if one is not None)
            reason = "its checksum is another one" if wrong[row] else next(damaged, None)
            if reason is not None:
                is_bad[first + row] = True
                reasons[first + row] = reason
    if not reasons:
        return list(columns)
    if is_bad.all():
        all_of_them = f"All records of {records} are damaged. {capital(records.place(0))}: {reasons[0]}."
        raise DataError(all_of_them, "Copy or write the file again.")
    told = "; ".join(f"{records.place(row)} ({reason})" for row, reason in list(reasons.items())[:_MOST_NAMED])
    more = "; …" if len(reasons) > _MOST_NAMED else ""
    notify(f"{len(reasons):,} of {len(records):,} records are damaged, and are left out: {told}{more}.")
    left = records.without(is_bad)
    return [replace(column, records=left, shape=(len(left), *column.shape[1:])) for column in columns]


_MOST_NAMED = 20
