"""The JSON Schema of a spec, for editors: made from the grammar's pydantic models and the catalogue of Keras names."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from dlcli.spec.by_output import WORD
from dlcli.spec.catalogue import Catalogue, Docs
from dlcli.spec.checking import BY_OUTPUT, LISTS_OF_OBJECTS, SINGLE_OBJECTS
from dlcli.spec.grammar import BLOCK_NAME, BlockSpec, Spec
from dlcli.spec.keras_objects import LAYER_NAME, LAYER_WORDS, LayerEntry
from dlcli.spec.lints import CODES
from dlcli.spec.paths import GRAPH, MODELS
from dlcli.spec.schema_objects import KerasSchema, Schema, named, open_kinds, or_variable, reference
from dlcli.spec.sources import SOURCES
from dlcli.spec.strict import Part
from dlcli.spec.sweep import PRUNERS, SAMPLERS, Named, Parameter

_DRAFT = "http://json-schema.org/draft-07/schema#"  # the one that yaml-language-server reads
# What a file may leave out though a spec has it: the name is then the file's own.
_FILLED_IN = ("name",)
_VARIABLE: Schema = {"description": "A text with a variable in it", "type": "string", "pattern": r"\$\{[^{}]*\}"}
# What is written in another way than its class would have it.
_WRITTEN = {"Source": "source", "Sampler": "sampler", "Pruner": "pruner"}
_COMPOSING: dict[str, Schema] = {
    "extends": {"description": "A file that this spec goes on from, relative to this one", "type": "string"},
    "variables": {"description": "Values by name, for use as `${name}`", "type": ["object", "null"]},
}


def make_schema(catalogue: Catalogue, docs: Docs) -> Schema:
    """The JSON Schema (draft-07) of a YAML file for dlcli."""
    keras = KerasSchema(catalogue, docs, open_kinds(catalogue, [kind for _, kind in SINGLE_OBJECTS]))
    definitions = {"variable": _VARIABLE, **keras.make(), "layer_entry": _layer_entry(keras), **_sources()}
    root = _grammar(Spec)
    sections = {key: _grammar(model) for key, model in _sections().items()}
    for path, kind in (*SINGLE_OBJECTS, *LISTS_OF_OBJECTS):
        properties = (root if len(path) == 1 else sections[str(path[0])])["properties"]
        names = {"KerasObject": kind, "LayerEntry": "layer_entry"}
        properties[path[-1]] = _renamed(properties[path[-1]], names)
    for (key,), kind in BY_OUTPUT.items():
        description = {"description": root["properties"][str(key)]["description"]}
        root["properties"][str(key)] = {**description, **_by_output(reference(kind), is_list=str(key) == "metrics")}
    root["properties"]["silence"] |= or_variable(_silence(root["properties"]["silence"]["anyOf"][0]))
    complete = _complete(root, sections)
    for model in _inner_parts():
        definitions[model.__name__] = or_variable(_grammar(model), {"type": "null"})
    choices = {"description": "Choices", "type": "array", "minItems": 1}
    definitions |= {
        "Parameter": or_variable(_grammar(Parameter), choices),
        "sampler": _kinds(SAMPLERS),
        "pruner": _kinds(PRUNERS),
    }
    definitions["BlockSpec"] = _block()
    definitions["block_or_layer"] = _block_or_layer()
    definitions |= {f"layer.{name}": _model(name, "layer_entry") for name in MODELS}
    sections["model"] |= _only_known_blocks(sections["model"]["properties"])
    for key, section in sections.items():
        root["properties"][key] = reference(key)
        definitions[key] = {"description": section.pop("description"), **or_variable(section)}
    return {
        "$schema": _DRAFT,
        "title": "dlcli spec",
        **root,
        "properties": {**_COMPOSING, **root["properties"]},
        "if": {"required": ["extends"]},
        "else": complete,
        "definitions": dict(sorted(definitions.items())),
    }


def _by_output(one: Schema, *, is_list: bool) -> Schema:
    """What is written for the only output, or for each of several by its name."""
    several = {"type": "object", "propertyNames": {"pattern": LAYER_NAME}}
    if not is_list:
        return {"anyOf": [one, {**several, "minProperties": 2, "additionalProperties": one}]}
    some = {"type": "array", "items": one}
    return or_variable(some, {**several, "additionalProperties": {"anyOf": [some, one]}})


def _sections() -> dict[str, type[Part]]:
    """The parts of a spec that are mappings themselves, by key."""
    fields = {key: field.annotation for key, field in Spec.model_fields.items()}
    return {key: model for key, model in fields.items() if isinstance(model, type) and issubclass(model, Part)}


def _inner_parts() -> list[type[Part]]:
    """The mappings within those parts, and those that may be left out; pydantic refers to them by their names."""
    sections: list[type[Part]] = list(_sections().values())
    models: list[type[Part]] = [Spec, *sections]
    fields = [field.annotation for model in models for field in model.model_fields.values()]
    types = [inner for annotation in fields for inner in (annotation, *get_args(annotation))]
    found = [inner for inner in types if isinstance(inner, type) and issubclass(inner, Part)]
    return [inner for inner in found if inner not in sections and not issubclass(inner, Named)]


def _complete(root: Schema, sections: Mapping[str, Schema]) -> Schema:
    """What a file must have if it extends no other; taken out of the schemas."""
    parts = {key: {"required": section.pop("required")} for key, section in sections.items() if "required" in section}
    objects = {str(path[-1]): reference(f"complete.{kind}") for path, kind in SINGLE_OBJECTS}
    required = [key for key in root.pop("required") if key not in _FILLED_IN]
    return {"required": required, "properties": {**parts, **objects}}


def _silence(schema: Schema) -> Schema:
    """The codes of all warnings, each with its reason."""
    reason = schema["additionalProperties"]
    codes = {code: {"description": text, **reason} for code, text in sorted(CODES.items())}
    return {"type": "object", "properties": codes, "additionalProperties": False}


def _layer_entry(keras: KerasSchema) -> Schema:
    """A layer, and beside it dlcli's own words."""
    words = {word: schema for word, schema in _grammar(LayerEntry)["properties"].items() if word in LAYER_WORDS}
    second_names = keras.catalogue.second_names("layer")
    *bare, entry = named(keras.classes("layer"), keras.bare_names("layer"), second_names)
    every = sorted([*keras.catalogue.names("layer"), *second_names])
    entry = {key: value for key, value in entry.items() if key not in ("minProperties", "maxProperties")}
    entry |= {"properties": {**entry["properties"], **words}, "oneOf": [{"required": [name]} for name in every]}
    again = {word: words[word] for word in ("reuse", "inputs", "name")}
    again = {"type": "object", "properties": again, "required": ["reuse"], "additionalProperties": False}
    return {"description": "A Keras layer, and beside it dlcli's own words", **or_variable(*bare, again, entry)}


def _block() -> Schema:
    """A group of layers; in it a parameter may stand for anything."""
    block = _grammar(BlockSpec)
    layers = {**block["properties"]["layers"]["anyOf"][0], "items": reference("block_or_layer")}
    parameters = {"type": ["object", "null"], "propertyNames": {"pattern": WORD}}
    texts = {name: _described(text) for name, text in attribute_docs(BlockSpec).items()}
    properties = {**block["properties"], "layers": {**texts["layers"], **layers}}
    return {**block, "properties": {**properties, "parameters": {**texts["parameters"], **parameters}}}


def _block_or_layer() -> Schema:
    """What may stand in a list of layers where there are blocks: their names are not known to a schema."""
    words = {word: schema for word, schema in _grammar(LayerEntry)["properties"].items() if word in LAYER_WORDS}
    used = {
        "type": "object", "properties": words, "additionalProperties": False,
        "patternProperties": {f"^(?!({'|'.join(LAYER_WORDS)})$){BLOCK_NAME[1:]}": {"type": ["object", "null"]}},
    }  # fmt: skip
    models = {name: _model(name, "block_or_layer") for name in MODELS}
    within = {"type": "object", "properties": {**words, **models}, "additionalProperties": False}
    return {"anyOf": [reference("layer_entry"), {"type": "string", "pattern": BLOCK_NAME}, used, within]}


def _model(name: str, entry: str) -> Schema:
    """A model within the model, with entries of this kind."""
    layers = {"type": "array", "items": or_variable(reference(entry)), "minItems": 1}
    names = {"type": "array", "items": {"type": "string", "pattern": LAYER_NAME}, "minItems": 1}
    described = {
        "layers": {"description": "Its layers, written as those of the model around it", **or_variable(layers)}
    }
    if name == GRAPH:
        described["inputs"] = {
            "description": "Its own names for what it reads; left out: `input`",
            **or_variable(names),
        }
    text = "A model within the model: one layer of it, with layers of its own"
    text += "" if name == GRAPH else ", each of which reads the one above it"
    made = {"type": "object", "properties": described, "required": ["layers"], "additionalProperties": False}
    return {"description": text, **or_variable(made)}


def _only_known_blocks(properties: dict[str, Schema]) -> Schema:
    """Layers have names of Keras's unless there are blocks."""
    layers = properties["layers"]
    properties["layers"] = _described(layers.get("description"))
    with_blocks = json.loads(json.dumps(layers).replace("/layer_entry", "/block_or_layer"))
    return {
        "if": {"required": ["blocks"]},
        "then": {"properties": {"layers": with_blocks}},
        "else": {"properties": {"layers": layers}},
    }


def _kinds(kinds: Mapping[str, type[Named]]) -> Schema:
    """The two ways to write a sampler or a pruner."""
    each = {}
    for name, kind in kinds.items():
        written = _grammar(kind)
        each[name] = {"description": written.pop("description"), **or_variable(written, {"type": "null"})}
    bare = [name for name, kind in kinds.items() if not any(f.is_required() for f in kind.model_fields.values())]
    return or_variable(*named(each, bare))


def _sources() -> dict[str, Schema]:
    definitions: dict[str, Schema] = {}
    for name, source in SOURCES.items():
        arguments = _grammar(source)
        kind = "object" if "required" in arguments else ["object", "null"]
        definitions[f"source.{name}"] = {
            "description": arguments.pop("description"), **or_variable({**arguments, "type": kind})
        }  # fmt: skip
    bare = [name for name, source in SOURCES.items() if not any(f.is_required() for f in source.model_fields.values())]
    options = named({name: reference(f"source.{name}") for name in SOURCES}, bare)
    return {**definitions, "source": {"description": "A source of examples", **or_variable(*options)}}


def _grammar(model: type[BaseModel]) -> Schema:
    """pydantic's schema of a model, without the models inside it, with its docs, and with variables."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}")
    schema.pop("$defs", None)
    docs = attribute_docs(model)
    texts = {field.alias or name: docs[name] for name, field in model.model_fields.items() if name in docs}
    properties = {
        name: {**_described(texts.get(name)), **_with_variables(_renamed(_untitled(value), _WRITTEN))}
        for name, value in schema["properties"].items()
    }
    return {
        "description": (schema.get("description") or "").split("\n")[0],
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": schema["required"]} if "required" in schema else {}),
    }


def _described(text: str | None) -> Schema:
    return {"description": text} if text else {}


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """The text below each attribute of a class and of its bases."""
    texts: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
            texts |= _texts_below(body) if isinstance(body, ast.ClassDef) else {}
    return texts


def _texts_below(body: ast.ClassDef) -> dict[str, str]:
    texts: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            text = " ".join(str(following.value.value).split())
            texts[statement.target.id] = text[:1].upper() + text[1:]
    return texts


def _untitled(schema: Any) -> Any:
    """A schema without pydantic's titles, which only repeat the names, and without defaults that say nothing."""
    if isinstance(schema, list):
        return [_untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    empty = schema.get("default", 0) in (None, [], {}, ())
    left_out = {"title", "default"} if empty else {"title"}
    return {key: _untitled(value) for key, value in schema.items() if key not in left_out}


def _with_variables(schema: Schema) -> Schema:
    """A schema that takes a text with a variable, too."""
    annotations = {key: value for key, value in schema.items() if key in ("description", "default")}
    core = {key: value for key, value in schema.items() if key not in annotations}
    if isinstance(core.get("items"), dict):
        core["items"] = _with_variables(core["items"])
    options = [_with_items(option) for option in core["anyOf"]] if "anyOf" in core else [core]
    if any(option == {"type": "string"} for option in options) or "$ref" in core:
        return {**annotations, **core}
    return {**annotations, **or_variable(*options)}


def _with_items(schema: Schema) -> Schema:
    return {**schema, "items": _with_variables(schema["items"])} if isinstance(schema.get("items"), dict) else schema


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """A schema with other references."""
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema and _ref_name(schema) in names:
        return {**schema, **reference(names[_ref_name(schema)])}
    return {key: _renamed(value, names) for key, value in schema.items()}


def _ref_name(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rsplit("/", 1)[-1]
