"""The grammar of the source `tfrecord`: files of `tf.train.Example`. What is in them, `dlcli.data` finds out."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_serializer, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from dlcli.spec.by_output import WORD
from dlcli.spec.source import INPUT, TARGET, Count, FileSource
from dlcli.spec.sources_arrays import ArrayNames, ClassNames, Kind, Paths, arrays_by_name
from dlcli.spec.sources_images import Color, Fit, Size

Dtype = Literal[
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64"
]  # fmt: skip


class Feature(BaseModel):
    """What one feature of the records is, where that is not to be told by the first of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    feature: Annotated[str, Field(min_length=1)] | None = None
    """its name in the records; left out: the input's"""
    encoding: Literal["image"] | None = None
    """that its bytes are a picture: JPEG, PNG and so on"""
    dtype: Dtype | None = None
    """of the numbers that its bytes are, the least byte first; or to which its numbers are brought"""
    shape: Annotated[tuple[Count, ...], Field(strict=False)] | None = None
    """of its numbers; left out: as many as there are in the first record"""
    kind: Kind | None = None
    """what the numbers are: how they are prepared by default"""
    size: Size = None
    """height and width to which all pictures are brought; left out: that which all have"""
    fit: Fit = "resize"
    """how another shape becomes that: stretched; or its middle; or the whole of it, with black beside it"""
    color: Color | None = None
    """what pictures become; left out: `grayscale` if the first of them has no colours"""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        of_numbers = next((key for key in ("dtype", "shape", "kind") if getattr(self, key) is not None), None)
        if self.encoding is not None and of_numbers is not None:
            text = f"cannot have `{of_numbers}` and `encoding: image`: a picture has its own"
            raise PydanticCustomError("expected", "{text}", {"text": text})
        of_pictures = next((key for key in ("size", "fit", "color") if key in self.model_fields_set), None)
        if self.encoding is None and of_pictures is not None and getattr(self, of_pictures) is not None:
            text = f"has `{of_pictures}`, which is for a picture: write `encoding: image` as well"
            raise PydanticCustomError("expected", "{text}", {"text": text})
        return self

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.model_fields_set if getattr(self, key) is not None}


def _features(raw: Any) -> Any:
    """A single feature is written by its name alone, several as `name: {…}` or as a list of names."""
    if isinstance(raw, str) and raw:
        return {INPUT: {"feature": raw}}
    if isinstance(raw, (list, tuple)) and raw and all(isinstance(name, str) and name for name in raw):
        raw = {INPUT: {"feature": raw[0]}} if len(raw) == 1 else {name: {} for name in raw}
    if raw is not None and not (isinstance(raw, Mapping) and raw):
        text = "must be the name of a feature, a list of such, or what each is, as in `{image: {encoding: image}}`"
        raise PydanticCustomError("expected", "{text}", {"text": text})
    for name in raw or ():
        if not isinstance(name, str) or not re.fullmatch(WORD, name):
            text = f"must give each feature a name of its own, as in `{{image: {{feature: {name}}}}}`"
            raise PydanticCustomError("expected", "{text}", {"text": text})
    return raw if raw is None else {name: {} if one is None else one for name, one in raw.items()}


_FEATURE_SCHEMA = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "feature": {"type": "string", "minLength": 1, "description": "its name in the records"},
        "encoding": {"enum": ["image"], "description": "that its bytes are a picture"},
        "dtype": {"enum": list(Dtype.__args__), "description": "of the numbers that its bytes are"},  # type: ignore[attr-defined]
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}, "description": "of its numbers"},
        "kind": {"enum": list(Kind.__args__), "description": "what the numbers are"},  # type: ignore[attr-defined]
        "size": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2},
        "fit": {"enum": ["resize", "crop", "pad"]},
        "color": {"enum": ["rgb", "grayscale"]},
    },
}
_FEATURES_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        {"type": "object", "propertyNames": {"pattern": WORD}, "minProperties": 1,
         "additionalProperties": _FEATURE_SCHEMA},
    ]
}  # fmt: skip


class TfRecord(FileSource):
    """TFRecord files of `tf.train.Example`, a record an example; also larger than the memory."""

    name = "tfrecord"

    path: Paths
    """the file, or several, as in `train-*.tfrecord`; or a folder of them"""
    test_path: Paths | None = None
    """the file, or several, of the test set"""
    features: Annotated[
        Mapping[str, Feature] | None, BeforeValidator(_features), WithJsonSchema(_FEATURES_SCHEMA)
    ] = None  # fmt: skip
    """the feature that goes in, or several by the inputs' names, and what each is; left out: the only one it can be"""
    target: ArrayNames = None
    """the feature of what is asked for, or several; left out: label, target, class, y or image/class/label"""
    class_names: ClassNames = None
    """the names of the classes 0, 1, 2 …; or of all the values there are, in order"""
    compression: Literal["gzip", "zlib", "none"] | None = None
    """how the files are compressed; left out: their first bytes tell"""
    corrupt: Literal["error", "skip"] = "error"
    """what is done about a record that is damaged"""
    stream: bool | None = None
    """whether the inputs stay in their files and are read in each epoch; left out: if they take half the memory"""

    @property
    def files(self) -> tuple[str, ...]:
        """The files, those of the test set last."""
        return (*self.path, *(self.test_path or ()))

    @property
    def input_names(self) -> tuple[str, ...]:
        """Those of `features`."""
        return tuple(self.features or (INPUT,))

    @property
    def target_names(self) -> tuple[str, ...]:
        """Those of `target`; one alone is called `target`, unless it is given a name."""
        return tuple(arrays_by_name(self.target, TARGET))

    def kind_of(self, name: str) -> str | None:
        """What the spec says of an input's kind."""
        return self.features[name].kind if self.features else None

    @model_validator(mode="after")
    def _one_target_with_names(self) -> Self:
        if self.class_names is not None and len(self.target_names) > 1:
            raise PydanticCustomError("expected", "can have `class_names` for a single target only")
        return self
