"""How a Keras object is written in a spec: its name, or `Name: {arguments}`. One rule at any depth.

Which names and arguments exist is in `dlcli.spec.catalogue`; making the objects is in `dlcli.model.objects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

LAYER_WORDS = ("name", "trainable", "repeat")


class KerasObject(BaseModel):
    """A Keras object as data: the name of a class or function of Keras, and the arguments it is made with."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    arguments: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if isinstance(raw, KerasObject):
            return raw
        name, arguments = split_object(raw)
        return {"name": name, "arguments": arguments}

    @model_serializer
    def _write(self) -> Any:
        return {self.name: dict(self.arguments)} if self.arguments else self.name


def split_object(raw: Any) -> tuple[str, dict[str, Any]]:
    """The name and arguments of an object written as `Name` or `Name: {arguments}`.

    Raises:
        PydanticCustomError: it is written in another way.
    """
    if isinstance(raw, str):
        return raw, {}
    if not isinstance(raw, dict) or len(raw) != 1:
        raise refusal(f"must be a Keras name, or `Name: {{arguments}}`; received {_shown(raw)}")
    [(name, arguments)] = raw.items()
    if not isinstance(name, str):
        raise refusal(f"must start with a Keras name; received {_shown(name)}")
    if arguments is None:
        return name, {}
    if not isinstance(arguments, dict) or not all(isinstance(key, str) for key in arguments):
        how = f"the arguments of `{name}` are written by name, as `{name}: {{argument: value}}`"
        raise refusal(f"{how}; received {_shown(arguments)}")
    return name, arguments


def refusal(text: str) -> PydanticCustomError:
    """An error for pydantic to report at the place of the value that it is raised for."""
    return PydanticCustomError("refused", "{text}", {"text": text})


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping with the keys {', '.join(f'`{key}`' for key in value)}" if value else "an empty mapping"
    return "a list" if isinstance(value, list) else f"`{value}`"


class LayerEntry(BaseModel):
    """One entry of `model.layers`: a Keras layer, and beside it dlcli's own lower-case words."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    layer: KerasObject
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+$")] | None = None
    trainable: bool = True
    repeat: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if isinstance(raw, LayerEntry):
            return raw
        layer, words = split_layer(raw)
        return {"layer": layer, **words}

    @model_serializer
    def _write(self) -> Any:
        layer = self.layer.model_dump()
        fields = type(self).model_fields
        words = {word: getattr(self, word) for word in LAYER_WORDS if getattr(self, word) != fields[word].default}
        if not words:
            return layer
        return {**(layer if isinstance(layer, dict) else {layer: None}), **words}


def split_layer(raw: Any) -> tuple[Any, dict[str, Any]]:
    """A layer entry's Keras part, and its own words. Raises PydanticCustomError."""
    if not isinstance(raw, dict):
        return raw, {}
    words = {key: value for key, value in raw.items() if key in LAYER_WORDS}
    others = {key: value for key, value in raw.items() if key not in LAYER_WORDS}
    if len(others) != 1:
        names = ", ".join(f"`{key}`" for key in others) or "none"
        allowed = ", ".join(f"`{word}`" for word in LAYER_WORDS)
        raise refusal(f"must be one Keras layer, and beside it only {allowed}; received the names {names}")
    return others, words
