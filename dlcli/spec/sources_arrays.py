"""The grammar of the sources `arrays` and `python`: numbers in files, or made by a function, by the arrays' names."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from dlcli.spec.by_output import WORD
from dlcli.spec.source import INPUT, TARGET, FileSource

Kind = Literal["images", "video", "table", "points", "indices"]
KINDS: tuple[str, ...] = Kind.__args__  # type: ignore[attr-defined]

_KIND_SCHEMA = {"enum": list(KINDS)}
_KINDS_SCHEMA = {
    "anyOf": [
        _KIND_SCHEMA,
        {"type": "object", "propertyNames": {"pattern": WORD}, "minProperties": 1,
         "additionalProperties": _KIND_SCHEMA},
    ]
}  # fmt: skip
_ONE_OR_MORE_SCHEMA = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
}  # fmt: skip


def _one_or_more(raw: Any) -> Any:
    """A single value is written without a list."""
    if isinstance(raw, (list, tuple)):
        if not raw:
            raise PydanticCustomError("expected", "must not be empty")
        return tuple(raw)
    return raw if raw is None else (raw,)


def _by_name(raw: Any) -> Any:
    """A single array is written by its name alone, several as `name: array` or as a list of arrays."""
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(name, str) for name in raw):
        if len(raw) == 1:
            return raw[0]
        wrong = next((name for name in raw if not re.fullmatch(WORD, name)), None)
        if wrong is not None or len(set(raw)) < len(raw):
            text = f"must give each of several arrays a name of its own, as in `{{size: {wrong or raw[0]}}}`"
            raise PydanticCustomError("expected", "{text}", {"text": text})
        return {name: name for name in raw}
    is_known = raw is None or (isinstance(raw, str) and raw)
    if not is_known and not (isinstance(raw, Mapping) and raw and all(map(_is_named, raw.items()))):
        text = "must be the name of an array; or of several by names for them, as in `{left: x1, right: x2}`"
        raise PydanticCustomError("expected", "{text}", {"text": text})
    return raw


def _is_named(pair: tuple[Any, Any]) -> bool:
    name, array = pair
    return isinstance(name, str) and re.fullmatch(WORD, name) is not None and isinstance(array, str) and bool(array)


def _kinds(raw: Any) -> Any:
    each = raw if isinstance(raw, Mapping) and raw else {INPUT: raw}
    if raw is not None and not all(isinstance(name, str) and kind in KINDS for name, kind in each.items()):
        text = f"must be one of {', '.join(f'`{kind}`' for kind in KINDS)}; or such a word for each input by its name"
        raise PydanticCustomError("expected", "{text}", {"text": text})
    return raw


_NAMED_SCHEMA = {
    "anyOf": [
        *_ONE_OR_MORE_SCHEMA["anyOf"],
        {"type": "object", "propertyNames": {"pattern": WORD}, "minProperties": 1,
         "additionalProperties": {"type": "string"}},
    ]
}  # fmt: skip
ArrayNames = Annotated[str | Mapping[str, str] | None, BeforeValidator(_by_name), WithJsonSchema(_NAMED_SCHEMA)]
ClassNames = Annotated[tuple[str, ...], Field(strict=False, min_length=2)] | None
Paths = Annotated[
    tuple[str, ...], BeforeValidator(_one_or_more), Field(strict=False), WithJsonSchema(_ONE_OR_MORE_SCHEMA)
]


def arrays_by_name(written: str | Mapping[str, str] | None, only: str) -> dict[str, str | None]:
    """The arrays by the names of inputs or targets; the one that has no name is called `only`."""
    return dict(written) if isinstance(written, Mapping) else {only: written}


class NamedArrays(FileSource):
    """What the sources have in common that have arrays by names."""

    inputs: ArrayNames = None
    """the array that goes in, or several by the inputs' names; left out: x_train, x, X, data, images or inputs"""
    target: ArrayNames = None
    """the array of what is asked for, or several; left out: y_train, y, labels, target or targets"""
    test_inputs: ArrayNames = None
    """the test set's; left out: those with `test` for `train` in their names, or x_test, if they are there"""
    test_target: ArrayNames = None
    """the test set's; left out: as for `test_inputs`, or y_test"""
    # In the grammar it is `kind`, which is the name of what every source has.
    kinds: Annotated[
        str | Mapping[str, str] | None, BeforeValidator(_kinds), WithJsonSchema(_KINDS_SCHEMA), Field(alias="kind")
    ] = None
    """what the numbers are, or those of each input: how they are prepared by default"""
    class_names: ClassNames = None
    """the names of the classes 0, 1, 2 …; or of all the values there are, in order"""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        tests = (("test_inputs", self.test_inputs, self.inputs), ("test_target", self.test_target, self.target))
        for key, tested, trained in tests:
            names = set(arrays_by_name(trained, ""))
            if tested is not None and set(arrays_by_name(tested, "")) != names:
                each = ", ".join(f"`{name}`" for name in names) if any(names) else "a single array, without a name"
                text = f"`{key}` must be for the same names as in training: {each}"
                raise PydanticCustomError("expected", "{text}", {"text": text})
        unknown = (
            [name for name in self.kinds if name not in self.input_names] if isinstance(self.kinds, Mapping) else []
        )
        if unknown:
            inputs = ", ".join(f"`{name}`" for name in self.input_names)
            text = f"has a `kind` for `{unknown[0]}`, but the inputs are {inputs}"
            raise PydanticCustomError("expected", "{text}", {"text": text})
        if self.class_names is not None and len(self.target_names) > 1:
            raise PydanticCustomError("expected", "can have `class_names` for a single target only")
        return self

    @property
    def input_names(self) -> tuple[str, ...]:
        """Those of `inputs`; one alone is called `input`, unless it is given a name."""
        return tuple(arrays_by_name(self.inputs, INPUT))

    @property
    def target_names(self) -> tuple[str, ...]:
        """Those of `target`; one alone is called `target`, unless it is given a name."""
        return tuple(arrays_by_name(self.target, TARGET))

    def kind_of(self, name: str) -> str | None:
        """What the spec says of an input's kind."""
        return self.kinds.get(name) if isinstance(self.kinds, Mapping) else self.kinds

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> Any:
        arguments = handler(self)
        return {self.name: {"kind" if key == "kinds" else key: value for key, value in arguments.items()}}


class Arrays(NamedArrays):
    """Arrays of numbers, a row an example: an .npz, an .h5, or .npy files; also larger than the memory."""

    name = "arrays"

    path: Paths
    """the .npz or .h5 file; or a folder of .npy files, or a list of them, whose names are those of the arrays"""
    stream: bool | None = None
    """whether the inputs stay in their files and are read in each epoch; left out: if they take half the memory"""

    @property
    def files(self) -> tuple[str, ...]:
        """The files, or the folder."""
        return self.path


FUNCTION = r"([^:]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)"
"""a file or a module, and a function in it"""


def _function(raw: Any) -> Any:
    if not isinstance(raw, str) or not re.fullmatch(FUNCTION, raw):
        text = "must be a file and a function in it, as in `mydata.py:load`; or a module: `package.module:load`"
        raise PydanticCustomError("expected", text)
    return raw


class Python(NamedArrays):
    """What a function of one's own returns, which is run only with --trust-code.

    It returns `(x, y)`, `((x, y), (x_test, y_test))`, or a dict of arrays by their names.
    """

    name = "python"

    function: Annotated[str, BeforeValidator(_function), WithJsonSchema({"type": "string", "pattern": f"^{FUNCTION}$"})]
    """the Python file, relative to the spec, and the function in it: `mydata.py:load`; or `package.module:load`"""
    arguments: Mapping[str, Any] = {}
    """what it is called with, by name"""

    @property
    def code(self) -> tuple[str, str]:
        """The file or module, and the function."""
        where, _, function = self.function.rpartition(":")
        return where, function

    @property
    def files(self) -> tuple[str, ...]:
        """The file; none for a module."""
        return (self.code[0],) if self.code[0].endswith(".py") else ()
