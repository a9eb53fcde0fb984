"""How the values of a feature of a record make a row of an array: a picture, numbers or a text of one form."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlcli.data.array_inputs import shown
from dlcli.data.dataset import Array
from dlcli.data.example_proto import MalformedError, Values
from dlcli.data.image_decoding import Form, OtherSizeError, UnreadableError, read_picture
from dlcli.data.record_files import DamagedError

_ONE_SIZE = "In every record it is to have the size of the first, or the `shape` that `features` says: write it so."
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
            UnfitError: they are something else.
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
            raise UnfitError(text, _ONE_SIZE)
        return data

    def _shaped(self, values: Array) -> Array:
        if len(values) != math.prod(self.shape):
            numbers = f"{len(values):,} number" + ("s" if len(values) != 1 else "")
            needed = f"{math.prod(self.shape):,} are needed ({shown(self.shape)})"
            raise UnfitError(f"has {numbers}, where {needed}", _ONE_SIZE)
        return values.reshape(self.shape)

    def _cast(self, values: Any) -> Any:
        if values.dtype == self.dtype:
            return values
        with np.errstate(all="ignore"):
            found = values.astype(self.dtype)
        if np.dtype(self.dtype).kind != "f" and not (found == values).all():
            wrong = values.reshape(-1)[(found != values).reshape(-1)][0]
            raise UnfitError(f"has the value {wrong:g}, which is none of {self.dtype}", _ANOTHER_TYPE)
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
            raise UnfitError(text, "Say to which size all are brought: `size: [96, 96]`.") from error

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Layout:
        """The layout that `state` described."""
        form = state["form"]
        known = None if form is None else Form(tuple(form["size"]), form["color"], form["fit"])
        return cls(state["feature"], tuple(state["shape"]), state["dtype"], known, state["is_exact"])


class UnfitError(Exception):
    """A feature is whole, but not what it is to be; the text says why, and `hint` what to do."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def _single(values: Values, what: str) -> bytes:
    if not isinstance(values, list):
        raise UnfitError(f"has numbers, where the bytes of {what} are needed", _ONE_KIND)
    if len(values) != 1:
        raise UnfitError(f"has {len(values)} byte strings, where one is needed: {what}", _ONE_SIZE)
    return values[0]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnfitError("is to be a text, but is no UTF-8", "Write it anew in UTF-8.") from error
