"""Reads pickles of arrays, lists and numbers without letting them run anything, nor hand NumPy what it would trust.

What a pickle says of an array is kept as plain Python, and an array is made of it only if it is what it should be: the
state of a pickled `numpy.dtype` can make NumPy take bytes for the addresses of objects.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlcli.data.dataset import Array
from dlcli.data.keras_files import REPLACE
from dlcli.errors import DataError

_NUMBERS = re.compile(r"[?]|[biuf][1248]")


class _RefusedError(Exception):
    """A pickle asks for what it has no business with; says for what."""


class _Kind:
    """Stands for a `numpy.dtype`."""

    code = ""
    order = "|"

    def __init__(self, code: object, *_: object) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else str(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else str(order)


class PickledArray:
    """What a pickle says of an array."""

    shape: Any = ()
    kind: Any = None
    is_fortran: Any = False
    content: Any = None

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.kind, self.is_fortran, self.content = state

    def items(self) -> list[Any] | None:
        """Those of an array of objects with one axis; None if it is no such array."""
        is_one = isinstance(self.shape, tuple) and len(self.shape) == 1 and isinstance(self.content, list)
        return self.content if is_one and len(self.content) == self.shape[0] else None

    def numbers(self) -> Array | None:
        """An array of numbers; None if it is none, or its bytes are not what it says."""
        is_plain = isinstance(self.kind, _Kind) and _NUMBERS.fullmatch(self.kind.code) and self.kind.order in "<>=|"
        if not is_plain or not isinstance(self.content, bytes) or not isinstance(self.shape, tuple):
            return None
        order = "" if self.kind.order == "|" else self.kind.order
        try:
            flat = np.frombuffer(self.content, np.dtype(f"{order}{self.kind.code}"))
            return flat.reshape(self.shape, order="F" if self.is_fortran else "C")
        except (ValueError, TypeError, OverflowError):
            return None


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _encode(text: str, encoding: str) -> bytes:
    """How the pickles of Python 3 have bytes in the protocols of Python 2."""
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding}")
    return text.encode("latin1")


# Under the names that NumPy 1 and NumPy 2 write. Looking one up imports nothing.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,  # what `_reconstruct` is told to make
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows arrays and nothing else, as the documentation of `pickle` describes it."""

    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def read_pickle(stream: IO[bytes], *, where: Path | str, what: str, again: str) -> Any:
    """What a pickle holds; an array in it is a `PickledArray`.

    Args:
        stream: the pickle, at its beginning.
        where: the file, for messages.
        what: what it should be.
        again: where it can be had anew.

    Raises:
        DataError: it is damaged, or asks for anything but arrays, lists, texts and numbers; none of it is then run.
    """
    try:
        return _ArrayUnpickler(stream, encoding="bytes").load()
    except _RefusedError as error:
        raise DataError(
            f"{where} is refused: it asks for {error}, which has no place in {what}; none of it was run.",
            f"Do not use this file; get it again from {again}",
        ) from None
    except Exception as error:  # damaged pickles raise almost anything
        raise DataError(f"{where} is damaged: {error or type(error).__name__}.", REPLACE) from error
