"""The grammar of the sources that are a person's own files. What is in them, `dlcli.data.looking` finds out."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dlcli.spec.by_output import WORD
from dlcli.spec.source import INPUT, TARGET, Count, FileSource

# Those of pandas (3.1.1), and the question mark of the tables of UCI.
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null", "?",
)  # fmt: skip
"""what stands for a value that is missing, unless the spec says otherwise"""
_ARGUMENTS = {"text": {"length", "vocabulary"}, "index": {"vocabulary"}}
KINDS = ("number", "category", "index", "date", "text", "skip")

_Word = Annotated[str, Field(pattern=WORD)]


def _as_text(raw: Any) -> Any:
    """Columns of a table without a header are named by their numbers, from 1."""
    return str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw


def _one_or_more(raw: Any) -> Any:
    """A single value is written without a list."""
    if isinstance(raw, (list, tuple)):
        if not raw:
            raise PydanticCustomError("expected", "must not be empty")
        return tuple(map(_as_text, raw))
    return raw if raw is None else (_as_text(raw),)


def _each_kind(raw: Any) -> Any:
    return {_as_text(name): value for name, value in raw.items()} if isinstance(raw, Mapping) else raw


_NAME_SCHEMA = {"type": ["string", "integer"]}
_NAMES_SCHEMA = {"anyOf": [_NAME_SCHEMA, {"type": "array", "items": _NAME_SCHEMA, "minItems": 1}]}
Name = Annotated[str, BeforeValidator(_as_text), WithJsonSchema(_NAME_SCHEMA)]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(strict=False), WithJsonSchema(_NAMES_SCHEMA)]


class Column(BaseModel):
    """How a column is prepared, written as `number` or, with arguments, as `text: {length: 40}`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["number", "category", "index", "date", "text", "skip"]
    length: Count | None = None
    vocabulary: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if isinstance(raw, Column):
            return raw
        if isinstance(raw, Mapping) and len(raw) == 1:
            [(kind, arguments)] = raw.items()
        else:
            kind, arguments = raw, {}
        is_known = isinstance(kind, str) and kind in KINDS and isinstance(arguments or {}, Mapping)
        if not is_known or not set(arguments or {}) <= _ARGUMENTS.get(kind, set()):
            kinds = ", ".join(f"`{each}`" for each in KINDS)
            text = f"must be one of {kinds}, or `text: {{length: 40, vocabulary: 5000}}`"
            raise PydanticCustomError("expected", text)
        return {"kind": kind, **(arguments or {})}

    @model_serializer
    def _write(self) -> Any:
        arguments = {key: value for key in ("length", "vocabulary") if (value := getattr(self, key)) is not None}
        return {self.kind: arguments} if arguments else self.kind


_COUNT = {"type": "integer", "minimum": 1}
_ARGUMENTS_SCHEMA = {
    kind: {"type": "object", "additionalProperties": False, "properties": dict.fromkeys(sorted(names), _COUNT)}
    for kind, names in _ARGUMENTS.items()
}
_COLUMN_SCHEMA = {
    "anyOf": [
        {"enum": list(KINDS)},
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
         "properties": _ARGUMENTS_SCHEMA},
    ]
}  # fmt: skip


Columns = Annotated[
    Mapping[str, Column],
    BeforeValidator(_each_kind),
    WithJsonSchema({"type": "object", "additionalProperties": _COLUMN_SCHEMA}),
]


def _separator(raw: str | None) -> str | None:
    if raw is not None and len(raw) != 1:
        raise PydanticCustomError("expected", 'must be one character, such as `";"`, or `"\\t"` for a tab')
    return raw


class Table(FileSource):
    """What all sources that read tables have in common."""

    path: Names
    """the file, or several with the same columns; relative to the spec, or to the folder for data"""
    header: Annotated[bool | Names, WithJsonSchema({"anyOf": [{"type": "boolean"}, _NAMES_SCHEMA]})] = True
    """whether the first line names the columns; or their names, where no line does"""
    separator: Annotated[str, AfterValidator(_separator)] | None = None
    """what stands between the columns; left out: a tab in .tsv, else what the first line has most of"""
    quotes: bool | None = None
    """whether quotes around a value are not part of it; left out: yes, but not in .tsv"""
    decimal: Literal[".", ","] = "."
    """the decimal point"""
    encoding: str = "utf-8"
    """how characters are written in the file"""
    missing: Annotated[tuple[str, ...], Field(strict=False)] = MISSING
    """what stands for a value that is missing"""
    corrupt: Literal["error", "skip"] = "error"
    """what is done about a row that has other columns or wrong bytes, or no number where numbers are"""

    @property
    def files(self) -> tuple[str, ...]:
        """The tables."""
        return self.path


class Csv(Table):
    """A table: a line an example, with what goes in and what comes out in columns; .csv or .tsv, also .gz.

    It may be larger than the memory.
    """

    name = "csv"

    target: Names | None = None
    """the column of what is asked for, or several; only an autoencoder needs none"""
    features: Names | None = None
    """the columns that go in; left out: all others"""
    columns: Columns = Field({})
    """how a column is prepared, where that is not to be told by its values"""
    inputs: Annotated[Mapping[_Word, Names], WithJsonSchema(
        {"type": "object", "propertyNames": {"pattern": WORD}, "additionalProperties": _NAMES_SCHEMA}
    )] = {}  # fmt: skip
    """which columns go into which of several inputs, by its name"""
    test_path: Names | None = None
    """the table, or several, of the test set"""
    weight: Name | None = None
    """the column that says how much a row counts in training"""
    split: Name | None = None
    """the column that says which rows are for `train`, `validation` and `test`"""
    group: Name | None = None
    """the column whose equal values stay in the same split, such as a patient's number"""
    time: Name | None = None
    """the column of times by which the last rows are for testing, and those before them for validation"""
    stream: bool | None = None
    """whether what goes in stays on the disk and is read in each epoch; left out: if it would take half the memory"""

    @property
    def has_own_test_set(self) -> bool:
        """Whether the test set has files of its own."""
        return self.test_path is not None

    @property
    def files(self) -> tuple[str, ...]:
        """The tables, those of the test set last."""
        return (*self.path, *(self.test_path or ()))

    @property
    def input_names(self) -> tuple[str, ...]:
        """Those of `inputs`."""
        return tuple(self.inputs) or (INPUT,)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The columns' own names, if there are several."""
        return self.target if self.target is not None and len(self.target) > 1 else (TARGET,)
