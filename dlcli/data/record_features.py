"""What a feature of records becomes, as the first record that is whole tells."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dlcli.data.array_inputs import shown
from dlcli.data.example_proto import Feature, MalformedError, Values, parse_example
from dlcli.data.image_decoding import Form, UnreadableError, appearance
from dlcli.data.record_files import DamagedError, Records
from dlcli.data.record_layout import Layout
from dlcli.errors import DataError
from dlcli.spec.sources_records import Feature as Described

_ONE_FEATURE = "Write each byte string as a feature of its own, or as a record of its own."


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
