"""The network of a spec in Python: a `Sequential` where it is a stack, calls of layers where it is a graph.

A block becomes a function with the block's parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlcli.code.calls import Body, Functions, identifier, is_application, is_stackable, stacked
from dlcli.code.objects import Writer
from dlcli.code.outline import Block, Outline
from dlcli.data.dataset import OneOrNamed, Shape, named
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.source import INPUT


def network_lines(outline: Outline, catalogue: Catalogue, shape: OneOrNamed[Shape], name: str) -> list[str]:
    """The statements that make `model`, for examples of `shape`, without the batch axis; of several inputs, by name."""
    writer = Writer(catalogue)
    is_graph = (
        outline.blocks
        or outline.outputs
        or isinstance(shape, Mapping)
        or any(is_application(entry, catalogue) or not is_stackable(entry, catalogue) for entry in outline.entries)
    )
    if not is_graph and not isinstance(shape, Mapping):
        layers = ", ".join([f"keras.Input(shape={shape!r})", *stacked(outline.entries, writer)])
        return [f"model = keras.Sequential([{layers},], name={name!r})"]
    lines: list[str] = []
    functions = Functions()
    for block, content in outline.blocks.items():
        lines += [*_function(block, content, outline, catalogue), "", ""]
    known = {one: identifier(one) for one in shape} if isinstance(shape, Mapping) else {INPUT: "inputs"}
    inputs = [
        f"{known[one]} = keras.Input(shape={each!r}{f', name={one!r}' if isinstance(shape, Mapping) else ''})"
        for one, each in named(shape, INPUT).items()
    ]
    body = Body(writer, outline.blocks, dict(known), functions, outputs=outline.outputs)
    last = body.call_all(outline.entries, next(iter(known.values())), "outputs")
    if outline.outputs:
        last = _by_name({one: body.known[one] for one in outline.outputs})
    given = _by_name(known)
    return [*lines, *functions.lines, *inputs, *body.lines, f"model = keras.Model({given}, {last}, name={name!r})"]


def _by_name(variables: Mapping[str, str]) -> str:
    """The only variable, or all of them in a dictionary."""
    if len(variables) == 1:
        return next(iter(variables.values()))
    return f"{{{', '.join(f'{name!r}: {variable}' for name, variable in variables.items())}}}"


def _function(name: str, block: Block, outline: Outline, catalogue: Catalogue) -> list[str]:
    known = {one: "inputs" if one == INPUT else identifier(one) for one in block.inputs}
    outer = Writer(catalogue, variables=outline.variables)
    needed = [parameter for parameter, default in block.parameters.items() if default is None]
    given = [
        f"{parameter}={outer.value(default)}" for parameter, default in block.parameters.items() if default is not None
    ]
    writer = Writer(catalogue, frozenset(block.parameters), outline.variables)
    # Layers in a block, of which there may be many, have Keras's own names.
    body = Body(writer, outline.blocks, dict(known), Functions(), is_named=False)
    last = body.call_all(block.entries, known[block.inputs[0]], "x")
    head = f"def {name}({', '.join([*known.values(), *needed, *given])}):"
    return [head, *(f"    {line}" for line in [*body.lines, f"return {last}"])]
