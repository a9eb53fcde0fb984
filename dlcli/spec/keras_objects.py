"""How a Keras object is written in a spec: its name, or `Name: {arguments}`. One rule at any depth.

Which names and arguments exist is in `dlcli.spec.catalogue`; making the objects is in `dlcli.model.objects`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_serializer, model_validator

from dlcli.spec.characters import shortened
from dlcli.spec.likeness import misspelt
from dlcli.spec.paths import GRAPH, MODELS, STACK, sentence
from dlcli.spec.refusals import refusal, within
from dlcli.spec.remedies import python_arguments
from dlcli.spec.source import INPUT
from dlcli.spec.writing import to_flow

MIXING = ("MixUp", "CutMix")
"""the augmenting layers that mix examples, and their labels with them"""
INPUT_LAYERS = ("Input", "InputLayer")
SEVERAL_ARGUMENTS = ("MultiHeadAttention", "GroupQueryAttention")
"""the layers that are called with query, value and perhaps key, instead of a list; one tensor is all of them"""
LAYER_WORDS = ("name", "inputs", "trainable", "repeat", "reuse")
_IN_ITSELF = "is wrong: "
LAYER_NAME = r"^[A-Za-z0-9_.\-]+$"


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


def split_object(raw: Any, name_is: str = "a Keras name") -> tuple[str, dict[str, Any]]:
    """The name and arguments of an object written as `Name` or `Name: {arguments}`; `name_is` is for the message.

    Raises:
        PydanticCustomError: it is written in another way.
    """
    if isinstance(raw, str):
        return raw, {}
    if not isinstance(raw, dict) or len(raw) != 1:
        raise refusal(f"must be {name_is}, or `Name: {{arguments}}`; received {_shown(raw)}", _one_object(raw))
    [(name, arguments)] = raw.items()
    if not isinstance(name, str):
        raise refusal(f"must start with {name_is}; received {_shown(name)}")
    if arguments is None:
        return name, {}
    how = f"is wrong: the arguments of `{shortened(name)}` are written by name, as "
    how += f"`{shortened(name)}: {{argument: value}}`; received"
    if not isinstance(arguments, dict):
        hint = python_arguments(shortened(name), arguments) if isinstance(arguments, str) else None
        raise refusal(f"{how} {_shown(arguments)}", hint)
    for key in arguments:
        if not isinstance(key, str):
            hint = "A decimal number is written with a point: `0.5`, not `0,5`." if isinstance(key, int) else None
            raise refusal(f"{how} the name {_shown(key)}", hint, (name, key))
    return name, arguments


def _one_object(raw: Any) -> str | None:
    """What to write instead of a mapping with several keys, where the object is plain."""
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        return None
    typed = typed_object(raw)
    if typed is not None:
        return f"Write `{shortened(f'{typed[0]}: {to_flow(typed[1])}' if typed[1] else typed[0])}`."
    empty = [key for key, value in raw.items() if value is None]
    beside = [key for key in raw if key not in empty]
    if len(empty) != 1 or not beside:
        return None
    return f"Indent {_listed(beside)} below `{shortened(empty[0])}`."


def typed_object(raw: Mapping[Any, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name and the arguments of an object that is written as in other tools: `{type: Adam, beta_1: 0.9}`."""
    for key in ("type", "class_name", "class", "name"):
        if isinstance(raw.get(key), str):
            others = {str(other): value for other, value in raw.items() if other != key}
            inner = next((others[word] for word in ("config", "params", "args") if word in others), None)
            return raw[key], dict(inner) if len(others) == 1 and isinstance(inner, dict) else others
    return None


def _listed(names: list[Any]) -> str:
    return shortened(", ".join(f"`{name}`" for name in names), 200)


def refused(where: str, text: str) -> str:
    """The sentence of a refusal for the value at `where`, in words; what is wrong in itself needs no place."""
    if text.startswith(_IN_ITSELF):
        text = text.removeprefix(_IN_ITSELF)
        return f"{sentence(text)}."
    return f"{sentence(where)} {text}."


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping with the keys {_listed(list(value))}" if value else "an empty mapping"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "a list" if isinstance(value, list) else f"`{shortened(str(value))}`"


LayerName = Annotated[str, Field(pattern=LAYER_NAME)]


NAMES_READ = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "null"}]
}


def names_read(raw: Any) -> Any:
    """What names one layer or several, checked; a list as a tuple. Raises PydanticCustomError."""
    names = [raw] if isinstance(raw, str) else raw
    if raw == []:
        raise refusal("must name a layer; received an empty list", "Leave it out, or name one.")
    if raw is not None and not (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        hint = "Give the layer that is to be read a `name`, and write it here."
        raise refusal(f"must be the name of a layer, or a list of names; received {_shown(raw)}", hint)
    return tuple(raw) if isinstance(raw, list) else raw


class LayerEntry(BaseModel):
    """One entry of `model.layers`: a Keras layer, and beside it dlcli's own lower-case words."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    # Not `layer` in the document, where that is a word like any other that nobody knows.
    layer: Annotated[KerasObject, Field(validation_alias="Keras layer")]
    name: LayerName | None = None
    """its name in the model, by which others read it"""
    inputs: Annotated[str | tuple[str, ...] | None, BeforeValidator(names_read), WithJsonSchema(NAMES_READ)] = None
    """what it reads: the name of a layer, `input`, or a list of these; left out: the layer above"""
    trainable: bool = True
    """whether training changes its weights"""
    repeat: Annotated[int, Field(ge=1)] = 1
    """how many such layers stand one after the other"""
    reuse: LayerName | None = None
    """the name of a layer above that is called again, with the same weights; it stands alone or beside that layer"""

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, raw: Any) -> Any:
        if isinstance(raw, LayerEntry):
            return raw
        layer, words = split_layer(raw)
        split_object(layer)  # here, so that a refusal has the entry's own path
        return {"Keras layer": layer, **words}

    @model_validator(mode="after")
    def _check_model(self) -> LayerEntry:
        if self.layer.name in MODELS:
            check_model(self.layer, self.layers)
        return self

    @cached_property
    def layers(self) -> tuple[LayerEntry, ...]:
        """The entries of a model within the model; none of any other layer."""
        written = self.layer.arguments.get("layers")
        if self.layer.name not in MODELS or not isinstance(written, (list, tuple)):
            return ()
        path = (self.layer.name, "layers")
        return tuple(
            within((*path, number), partial(LayerEntry.model_validate, entry)) for number, entry in enumerate(written)
        )

    @property
    def own_inputs(self) -> tuple[str, ...]:
        """The names that a model within the model has for what it reads."""
        return tuple(self.layer.arguments.get("inputs") or (INPUT,))

    @model_serializer
    def _write(self) -> Any:
        layer = self.layer.model_dump()
        fields = type(self).model_fields
        words = {word: getattr(self, word) for word in LAYER_WORDS if getattr(self, word) != fields[word].default}
        if not words:
            return layer
        return {**(layer if isinstance(layer, dict) else {layer: None}), **words}


def check_model(written: KerasObject, layers: Sequence[LayerEntry]) -> None:
    """See that a model within the model is written as one. Raises PydanticCustomError."""
    name, arguments = written.name, written.arguments
    allowed = ("layers", "inputs") if name == GRAPH else ("layers",)
    for key in arguments:
        if key not in allowed:
            raise refusal(f"is wrong: `{shortened(key)}` is not an argument of `{name}`", None, (name, key))
    how = f"Write `{name}: {{layers: […]}}`."
    if "layers" not in arguments:
        raise refusal(f"is wrong: `{name}` needs `layers`", how, (name,))
    if not isinstance(arguments["layers"], (list, tuple)) or not layers:
        raise refusal(f"is wrong: `{name}` is made of a list of layers", how, (name, "layers"))
    names = arguments.get("inputs", [INPUT])
    is_named = isinstance(names, (list, tuple)) and all(
        isinstance(one, str) and re.search(LAYER_NAME, one) for one in names
    )
    if not is_named or not names or len(set(names)) < len(names):
        text = "is wrong: the `inputs` of a `Model` are its own names for what it reads, each another one"
        raise refusal(text, "Write `inputs: [left, right]`; left out, the only one is `input`.", (name, "inputs"))
    for number, entry in enumerate(layers):
        _check_inner(name, entry, (name, "layers", number))


def _check_inner(name: str, entry: LayerEntry, path: tuple[Any, ...]) -> None:
    if entry.layer.name in INPUT_LAYERS:
        text = f"is wrong: a `{name}` takes the shape of what it reads, and has no `{entry.layer.name}`"
        raise refusal(text, "Leave it out.", path)
    if name == STACK and (entry.inputs is not None or entry.reuse is not None or entry.layer.name in SEVERAL_ARGUMENTS):
        word = "inputs" if entry.inputs is not None else "reuse" if entry.reuse is not None else entry.layer.name
        text = f"is wrong: a `{STACK}` is a stack, in which each layer reads only the one above it"
        raise refusal(text, f"Write `{GRAPH}` instead of `{STACK}`.", (*path, word))


def split_layer(raw: Any) -> tuple[Any, dict[str, Any]]:
    """A layer entry's Keras part, and what stands beside it. Raises PydanticCustomError if the Keras part is unclear.

    Beside a name with a capital, which is how Keras writes its layers, other names are taken for misspelt words.
    """
    if not isinstance(raw, dict):
        return raw, {}
    others = [key for key in raw if key not in LAYER_WORDS]
    layers = [key for key in others if str(key)[:1].isupper()] or others
    if len(layers) != 1:
        names = _listed(others)
        allowed = ", ".join(f"`{word}`" for word in LAYER_WORDS)
        received = f"received the names {names}" if names else f"received {_shown(raw)}: the layer itself is missing"
        hint = (
            "Start each layer with a `- ` of its own."
            if len(layers) > 1
            else "Name it beside that, such as `Dense: {units: 64}`."
        )
        raise refusal(f"must be one Keras layer, and beside it only {allowed}; {received}", hint)
    _check_indentation(layers[0], raw, others)
    return {layers[0]: raw[layers[0]]}, {key: value for key, value in raw.items() if key != layers[0]}


def _check_indentation(layer: Any, raw: dict[Any, Any], others: list[Any]) -> None:
    """Refuses arguments that stand beside a layer that has none, as if they were dlcli's own words."""
    beside = [key for key in others if isinstance(key, str) and key != layer and not misspelt(key, LAYER_WORDS)]
    if raw[layer] is None and beside:
        stand = "stands" if len(beside) == 1 else "stand"
        text = f"is wrong: {_listed(beside)} {stand} beside `{shortened(str(layer))}`, not below it"
        raise refusal(text, f"Indent {_listed(beside)} deeper than `{shortened(str(layer))}`.", (beside[0],))


def layer_of(entry: Mapping[Any, Any]) -> str | None:
    """The one key beside dlcli's own words."""
    others = [key for key in entry if key not in LAYER_WORDS]
    return others[0] if len(others) == 1 and isinstance(others[0], str) else None


def layers_within(entry: Any) -> tuple[str, list[Any]]:
    """The class of a model within the model, and its layers as they are written; no layers for any other entry."""
    name = layer_of(entry) if isinstance(entry, Mapping) else None
    arguments = entry[name] if name in MODELS else None
    layers = arguments.get("layers") if isinstance(arguments, Mapping) else None
    return str(name), layers if isinstance(layers, list) else []
