"""Makes the catalogue of Keras's names and arguments from the installed Keras; `dlcli.spec.catalogue` reads it."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from dlcli.model.added import added
from dlcli.model.applications import applications, described_arguments, layers_of_applications
from dlcli.model.arguments import Argument, Namesakes, describe, signature_only
from dlcli.model.docstrings import argument_docs, class_doc, first_sentence, quoted, types_in
from dlcli.model.probing import SAMPLES, Probe, make_probe, values_to_try
from dlcli.spec.catalogue import FORMAT, KINDS, kind_of_parameter

# `Model.compile` understands these besides what `keras.metrics.get` does (keras/src/trainers/compile_utils.py, 3.15.1),
# and for `accuracy` it takes another metric than `keras.metrics.get`: the one that fits the shapes.
_COMPILE_METRICS = ("accuracy", "acc", "crossentropy", "ce")


def make_catalogue() -> dict[str, Any]:
    """The names and arguments of every kind of object that the installed Keras has, as data for JSON."""
    made: dict[str, list[Any]] = defaultdict(list)
    # First what other kinds take as arguments, so that these can be made.
    order = sorted(KINDS, key=lambda kind: kind in ("optimizer", "layer", "loss", "metric", "callback"))
    kinds = {kind: _entries(kind, made) for kind in order}
    kinds["metric"] |= {name: {} for name in _COMPILE_METRICS}
    kinds["layer"] |= {name: described_arguments(thing) for name, thing in applications().items()}
    kinds["layer"] |= {name: written_arguments(thing) for name, thing in layers_of_applications().items()}
    kinds["layer"] = dict(sorted(kinds["layer"].items()))
    keras.backend.clear_session()  # so that the names of a model's layers count from the start
    return {"format": FORMAT, "keras": keras.__version__, "kinds": {kind: kinds[kind] for kind in KINDS}}


def make_docs() -> dict[str, Any]:
    """A line on each class and function of the catalogue and on each argument of theirs, as data for JSON."""
    kinds: dict[str, Any] = {}
    for kind in KINDS:
        things = {name: thing for name, thing in _things(kind).items() if _canonical(kind, name, thing) == name}
        kinds[kind] = {name: _docs(thing) for name, thing in sorted(things.items())}
    kinds["layer"] |= {name: _docs_of_function(thing) for name, thing in applications().items()}
    kinds["layer"] |= {name: _docs(thing) for name, thing in layers_of_applications().items()}
    return {"format": FORMAT, "keras": keras.__version__, "kinds": kinds}


def find(kind: str, name: str) -> Any:
    """The class or function of Keras, or of a file of code, with this name, or None."""
    found = find_of_keras(kind, name)
    return added(kind, name) if found is None else found


def base_of(kind: str) -> type | None:
    """The class that all of this kind are derived from; None for activations, which are functions."""
    base = getattr(_module(kind), KINDS[kind].base, None)
    return base if isinstance(base, type) and kind != "activation" else None


def written_arguments(cls: type) -> dict[str, Any]:
    """What a catalogue has of a class that nothing but its signature tells of."""
    return {argument.name: signature_only(argument) for argument, _ in _arguments(cls)}


def find_of_keras(kind: str, name: str) -> Any:
    """The class or function of Keras with this name, or None."""
    found = getattr(_module(kind), name, None)
    if found is None or _is_helper(found):
        found = _identifiers(kind).get(name)
    if found is None and kind == "layer":
        return applications().get(name) or layers_of_applications().get(name)
    return found


def _module(kind: str) -> Any:
    module = keras
    for part in KINDS[kind].module.split(".")[1:]:
        module = getattr(module, part)
    return module


def _identifiers(kind: str) -> dict[str, Any]:
    """The strings that `keras.<kind>s.get` understands; only Keras's own table has the short ones, such as `mse`."""
    try:
        source = importlib.import_module(KINDS[kind].module.replace("keras.", "keras.src.", 1))
    except ModuleNotFoundError:
        return {}
    return dict(getattr(source, "ALL_OBJECTS_DICT", {}))


def _is_helper(found: Any) -> bool:
    return inspect.ismodule(found) or getattr(found, "__name__", "") in ("get", "serialize", "deserialize")


def _things(kind: str) -> dict[str, Any]:
    """Every class and function of a kind by its names."""
    found = {name: getattr(_module(kind), name) for name in dir(_module(kind)) if not name.startswith("_")}
    found = {name: thing for name, thing in {**_identifiers(kind), **found}.items() if not _is_helper(thing)}
    base = getattr(_module(kind), KINDS[kind].base, None)
    functions_too = bool(_identifiers(kind))
    return {
        name: thing
        for name, thing in found.items()
        if (inspect.isclass(thing) and thing is not base and issubclass(thing, base or object))
        or (functions_too and inspect.isfunction(thing))
    }


def _canonical(kind: str, name: str, thing: Any) -> str:
    """The name that Keras itself gives to what is called `name`."""
    own = str(getattr(thing, "__name__", name))
    return own if find(kind, own) is thing else name


def _entries(kind: str, made: dict[str, list[Any]]) -> dict[str, Any]:
    """By name: the arguments; or, for a second name of a thing, the first. `made` gets an object of each class."""
    things = _things(kind)
    classes = {name: thing for name, thing in things.items() if inspect.isclass(thing)}
    arguments = {name: list(_arguments(thing)) for name, thing in classes.items()}
    namesakes: dict[str, Namesakes] = defaultdict(Namesakes)
    for name in sorted(arguments):
        for argument, _ in arguments[name]:
            namesakes[argument.name].add(argument)
    known: dict[tuple[type, str], dict[str, Any]] = {}
    entries: dict[str, Any] = {name: {} for name in things}
    # Last those that need an object of their own kind, such as `Bidirectional`.
    for name in sorted(classes, key=lambda name: (_needs_objects(arguments[name]), name)):
        if _canonical(kind, name, things[name]) == name:
            probe = _probe(classes[name], [argument for argument, _ in arguments[name]], made)
            if probe is not None:
                made[kind].append(classes[name](**probe.arguments))
            entries[name] = _described(arguments[name], probe, namesakes, known)
    others = {name: _canonical(kind, name, thing) for name, thing in things.items()}
    return {name: entries[name] if others[name] == name else others[name] for name in sorted(entries)}


def _described(
    arguments: list[tuple[Argument, type]],
    probe: Probe | None,
    namesakes: Mapping[str, Namesakes],
    known: dict[tuple[type, str], dict[str, Any]],
) -> dict[str, Any]:
    described = {}
    inherited = [argument for argument, owner in arguments if probe is not None and owner is not probe.thing]
    not_taken = _not_taken(inherited, probe) if probe is not None else set()
    for argument, owner in arguments:
        if argument.name in not_taken:
            continue
        if kind_of_parameter(argument.name):
            described[argument.name] = signature_only(argument)
        else:
            # What a class only hands on to its base class is asked once.
            if (owner, argument.name) not in known:
                known[owner, argument.name] = describe(argument, probe, namesakes[argument.name])
            described[argument.name] = known[owner, argument.name]
    return described


def _not_taken(inherited: list[Argument], probe: Probe) -> set[str]:
    """The arguments of its base classes that a class gives them itself (`pool_mode`), or does not take at all."""
    together = probe.takes_together({argument.name: argument.default for argument in inherited})
    return {
        argument.name
        for argument in inherited
        if not (together or probe.takes(argument.name, argument.default))
        or (argument.default is None and not argument.text and not _takes_anything(argument.name, probe))
    }


def _takes_anything(name: str, probe: Probe) -> bool:
    if kind_of_parameter(name):
        return True
    return any(probe.takes(name, *samples) for kind, samples in SAMPLES.items() if kind != "null")


def _arguments(cls: type) -> Iterator[tuple[Argument, type]]:
    """The arguments of a class, each with the class that declares it; `**kwargs` are followed to the base classes."""
    signatures: dict[str, tuple[Any, type]] = {}
    owners = [owner for owner in cls.__mro__ if "__init__" in vars(owner)]
    for depth, owner in enumerate(owners):
        signature = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        for parameter in signature:
            # What a base class requires and the class itself does not declare, the class passes on (Conv2D: `rank`).
            hidden = depth > 0 and parameter.default is parameter.empty
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) and not hidden:
                signatures.setdefault(parameter.name, (parameter.default, owner))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature):
            break
    docs = argument_docs(cls, signatures)
    for name, (default, owner) in signatures.items():
        text = docs.get(name, "")
        yield (
            (Argument(name, text=text) if default is inspect.Parameter.empty else Argument(name, default, text)),
            owner,
        )


def _needs_objects(arguments: list[tuple[Argument, type]]) -> bool:
    return any(argument.required and kind_of_parameter(argument.name) for argument, _ in arguments)


def _probe(cls: type, arguments: list[Argument], made: Mapping[str, list[Any]]) -> Probe | None:
    texts = quoted(cls.__doc__ or "")
    required = {argument.name: _to_try(argument, texts, made) for argument in arguments if argument.required}
    optional = {argument.name: _to_try(argument, [], made) for argument in arguments if not argument.required}
    return make_probe(cls, required, optional)


def _to_try(argument: Argument, texts: list[str], made: Mapping[str, list[Any]]) -> list[Any]:
    kind = kind_of_parameter(argument.name)
    if kind is None:
        return values_to_try(types_in(argument.text), texts)
    objects = made.get(kind) or [name for name, thing in _things(kind).items() if inspect.isfunction(thing)]
    return [*objects, *([item] for item in objects)]


def _docs(thing: Any) -> dict[str, Any]:
    if not inspect.isclass(thing):
        return {"doc": class_doc(thing)}
    names = [argument.name for argument, _ in _arguments(thing)]
    lines = {name: first_sentence(text) for name, text in argument_docs(thing, names).items()}
    return {"doc": class_doc(thing), "arguments": lines}


def _docs_of_function(function: Any) -> dict[str, Any]:
    names = described_arguments(function)
    lines = {name: first_sentence(text) for name, text in argument_docs(function, names).items()}
    return {"doc": class_doc(function), "arguments": lines}


def _text(content: Mapping[str, Any]) -> str:
    """The content as JSON, a line for each name, so that a difference can be read; arguments in Keras's own order."""
    kinds = ",\n".join(f"{json.dumps(kind)}:{{\n{_lines(entries)}}}" for kind, entries in content["kinds"].items())
    head = ",\n".join(f"{json.dumps(key)}:{json.dumps(content[key])}" for key in ("format", "keras"))
    return f'{{{head},\n"kinds":{{\n{kinds}}}}}\n'


def _lines(entries: Mapping[str, Any]) -> str:
    write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    return ",\n".join(f"{write(name)}:{write(entry)}" for name, entry in entries.items())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "catalogue.json").write_text(_text(make_catalogue()), "utf-8")
    (folder / "catalogue_docs.json").write_text(_text(make_docs()), "utf-8")
