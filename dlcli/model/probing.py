"""What Keras itself accepts, found by making its objects with one odd value at a time.

Nothing here knows a name of Keras's: a class is made first with whatever it takes, and then with one argument changed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras.src.backend.common.dtypes import ALLOWED_DTYPES

ODD = "no such text"
SAMPLES: Mapping[str, Sequence[Any]] = {
    "string": (ODD,),
    "mapping": ({ODD: 1},),
    "number": (0.5,),
    "integer": (2, 1, 3),
    "boolean": (True,),
    "list": ([1], [1, 2], [1, 2, 3], [0.1, 0.2]),
    "null": (None,),
}
_MOST_TRIES = 300
_SHAPES = ((2, 3), (2, 4, 3), (2, 4, 4, 3), (2, 4, 4, 4, 3))  # of a batch, as layers may want it


@dataclass(frozen=True)
class Probe:
    """A class of Keras, and arguments that it can be made with."""

    thing: type
    arguments: Mapping[str, Any]
    _answers: dict[str, str | None] = field(default_factory=dict)

    def refusal(self, argument: str, value: Any) -> str | None:
        """What Keras says against this value of this argument; None if it takes it."""
        question = f"{argument}: {value!r}"
        if question not in self._answers:
            self._answers[question] = _refusal(self.thing, {**self.arguments, argument: value})
        return self._answers[question]

    def takes(self, argument: str, *values: Any) -> bool:
        """Whether Keras takes one of these values."""
        return any(self.refusal(argument, value) is None for value in values)

    def takes_together(self, arguments: Mapping[str, Any]) -> bool:
        """Whether Keras takes all these."""
        return _refusal(self.thing, {**self.arguments, **arguments}) is None

    def refusal_in_use(self, argument: str, value: Any) -> str | None:
        """What Keras says against this value when an object is made with it and, if it is a layer, called."""
        refusal = self.refusal(argument, value)
        if refusal is not None or not issubclass(self.thing, keras.layers.Layer):
            return refusal
        return self._call({**self.arguments, argument: value}, self._input)

    @cached_property
    def _input(self) -> Any:
        """Some input that the layer takes; None if it takes none of those tried."""
        tensors = [keras.ops.ones(shape) for shape in _SHAPES]
        given = (*tensors, *([tensor, tensor] for tensor in tensors))
        return next((each for each in given if self._call(self.arguments, each) is None), None)

    def _call(self, arguments: Mapping[str, Any], given: Any) -> str | None:
        return _refusal(lambda: self.thing(**arguments)(given), {})


def make_probe(
    thing: type, required: Mapping[str, Sequence[Any]], optional: Mapping[str, Sequence[Any]]
) -> Probe | None:
    """A probe of `thing`, given values to try for each argument; None if nothing was found that it can be made with.

    Some classes need one of their optional arguments, too.
    """
    extras: Iterator[dict[str, Any]] = ({name: value} for name, values in optional.items() for value in values)
    for extra in itertools.chain([{}], extras):
        combinations = itertools.product(*required.values())
        for values in itertools.islice(combinations, _MOST_TRIES if not extra else 3):
            arguments = dict(zip(required, values, strict=True)) | extra
            refusal = _refusal(thing, arguments)
            if refusal is None:
                return Probe(thing, arguments)
            if refusal.startswith(("ImportError", "ModuleNotFoundError")):
                return None
    return None


def values_to_try(types: Iterable[str], texts: Iterable[str]) -> list[Any]:
    """Values that an argument might take, those of its documented types first."""
    first = [name for name in SAMPLES if name in types]
    others = [name for name in SAMPLES if name not in types and name != "null"]
    values = [value for name in first for value in SAMPLES[name]]
    return [*([*texts] if "string" in types else []), *values, *texts, *(SAMPLES[name][0] for name in others)]


def data_types() -> list[str]:
    """Every text that may be the name of a data type; Keras's messages do not list them."""
    return sorted({*ALLOWED_DTYPES, *map(str, np.sctypeDict)})


def _refusal(make: Any, arguments: Mapping[str, Any]) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # `EarlyStopping` warns of a wrong mode, and takes another one
        try:
            make(**arguments)
        except Exception as error:  # noqa: BLE001  whatever Keras raises
            return f"{type(error).__name__}: {error}"
    return None
