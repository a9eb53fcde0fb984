"""What Keras itself accepts, found by making its objects with one odd value at a time.

Nothing here knows a name of Keras's: a class is made first with whatever it takes, and then with one argument changed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras

ODD = "no such text"
SAMPLES: Mapping[str, Sequence[Any]] = {
    "integer": (2, 1, 3),
    "number": (0.5,),
    "list": ([1], [1, 2], [1, 2, 3], [0.1], [0.1, 0.2], [0.1, 0.2, 0.3], [[1, 1], [1, 1]]),
    "string": (ODD,),
    "boolean": (True, False),
    "mapping": ({ODD: 1},),
    "null": (None,),
}
_MOST_TRIES = 300
_SHAPES = ((3,), (4, 3), (4, 4, 3), (4, 4, 4, 3))  # of one example, as layers may want it


@dataclass(frozen=True)
class Probe:
    """A class of Keras, and arguments that it can be made with."""

    thing: type
    arguments: Mapping[str, Any]

    def refusal(self, argument: str, value: Any) -> str | None:
        """What Keras says against this value of this argument; None if it takes it."""
        return _refusal(self.thing, {**self.arguments, argument: value})

    def takes(self, argument: str, *values: Any) -> bool:
        """Whether Keras takes one of these values."""
        return any(self.refusal(argument, value) is None for value in values)

    def works_with(self, argument: str, value: Any) -> bool:
        """Whether a layer made with this value can be called; True for what is no layer."""
        if not issubclass(self.thing, keras.layers.Layer):
            return True
        return self._input is not None and self._call({**self.arguments, argument: value}, self._input)

    @cached_property
    def _input(self) -> Any:
        tensors = [keras.Input(shape, batch_size=2) for shape in _SHAPES]
        pairs = [[tensor, tensor] for tensor in tensors]
        return next((given for given in (*tensors, *pairs) if self._call(self.arguments, given)), None)

    def _call(self, arguments: Mapping[str, Any], given: Any) -> bool:
        return _refusal(lambda: self.thing(**arguments)(given), {}) is None


def make_probe(thing: type, required: Mapping[str, Sequence[Any]], optional: Mapping[str, Sequence[Any]]) -> Probe | None:
    """A probe of `thing`, given values to try for each argument; None if nothing was found that it can be made with.

    Some classes need one of their optional arguments, too.
    """
    extras: Iterator[dict[str, Any]] = ({name: value} for name, values in optional.items() for value in values)
    for extra in itertools.chain([{}], extras):
        combinations = itertools.product(*required.values())
        for values in itertools.islice(combinations, _MOST_TRIES if not extra else 3):
            arguments = dict(zip(required, values, strict=True)) | extra
            if _refusal(thing, arguments) is None:
                return Probe(thing, arguments)
    return None


def values_to_try(types: Iterable[str], texts: Iterable[str]) -> list[Any]:
    """Values that an argument might take, those of its documented types first."""
    first = [name for name in SAMPLES if name in types]
    others = [name for name in SAMPLES if name not in types and name != "null"]
    values = [value for name in first for value in SAMPLES[name]]
    return [*([*texts] if "string" in types else []), *values, *texts, *(SAMPLES[name][0] for name in others)]


def _refusal(make: Any, arguments: Mapping[str, Any]) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # `EarlyStopping` warns of a wrong mode, and takes another one
        try:
            make(**arguments)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None
