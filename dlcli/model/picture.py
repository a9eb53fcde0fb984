"""A model's layers as a picture, by Graphviz. Neither Keras nor TensorFlow is imported.

Layers that only follow another one, such as a normalization and an activation, stand in one box with it, so that a
network of 150 layers is still a picture. A model within the model has a frame, unless it is as large as those of
`keras.applications` are: then it is one box.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import count
from pathlib import Path

from dlcli.errors import UsageError
from dlcli.files import replacing, write_text
from dlcli.model.arithmetic import Shape
from dlcli.model.summary import LayerSummary, ModelSummary

FORMATS = ("png", "svg", "pdf", "dot")
_SECONDS = 300
_DOTS_AN_INCH = 110
# What follows another layer in its box, by what the class name contains.
_FOLLOWERS = ("Normalization", "Activation", "ReLU", "Dropout", "Noise", "Softmax", "Flatten", "Reshape", "Padding")
# By what the class name contains, the first that fits: the colour of the box's first line.
_COLOURS = {
    "Conv": "#cfe3f7", "Pool": "#fde2c0", "Dense": "#d3efd0", "LSTM": "#e4d7f2", "GRU": "#e4d7f2", "RNN": "#e4d7f2",
    "Bidirectional": "#e4d7f2", "Embedding": "#cdeeea", "Attention": "#f8d5e3", "Functional": "#dcdff5",
    "Sequential": "#dcdff5", "Add": "#fbf0b8", "Multiply": "#fbf0b8", "Concatenate": "#fbf0b8", "Average": "#fbf0b8",
    "Subtract": "#fbf0b8", "Dot": "#fbf0b8",
}  # fmt: skip
_MOST_IN_A_FRAME = 30
Frame = tuple[str, ...]  # its label, behind those of the frames around it
_OTHER_COLOUR = "#eeeeee"
_FRAME = (
    'style="rounded"',
    'color="#aaaaaa"',
    'fontname="Helvetica"',
    "fontsize=10",
    'fontcolor="#777777"',
    "labeljust=l",
)
_HEAD = """digraph model {
  graph [rankdir=TB, nodesep=0.35, ranksep=0.3, bgcolor="white"]
  graph [label=%s, labelloc=t, fontname="Helvetica", fontsize=14]
  node [shape=plain, fontname="Helvetica", fontsize=11]
  edge [color="#555555", arrowsize=0.7]
"""


def draw(summary: ModelSummary, path: Path, groups: Mapping[str, str] | None = None) -> None:
    """Write a picture of a model to `path`, in the format that its name ends in.

    Args:
        summary: the model.
        path: of the picture.
        groups: for each layer in a block its use, which has a frame of its own.

    Raises:
        UsageError: the name ends in another way, or there is no Graphviz on this machine.
        RunError: the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        endings = ", ".join(f".{known}" for known in FORMATS)
        raise UsageError(f"A picture's name ends in one of {endings}; received {path.name}.", f"Write {path.stem}.png.")
    text = to_dot(summary, groups or {})
    if kind == "dot":
        write_text(path, text)
        return
    program = shutil.which("dot")
    if program is None:
        hint = f"Install it (`apt install graphviz`, `brew install graphviz`), or write {path.stem}.dot for elsewhere."
        raise UsageError("Pictures are drawn by Graphviz, whose program `dot` is not on this machine.", hint)
    with replacing(path) as beside:
        command = [program, f"-T{kind}", f"-Gdpi={_DOTS_AN_INCH if kind == 'png' else 72}", "-o", str(beside)]
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise OSError(f"Graphviz took longer than {_SECONDS} s; {path.stem}.dot is what it reads") from error
        if done.returncode != 0 or not beside.exists():
            raise OSError(f"Graphviz says: {done.stderr.strip()}")


def to_dot(summary: ModelSummary, groups: Mapping[str, str] | None = None) -> str:
    """The picture in Graphviz's language; see `draw`."""
    lines = [_HEAD % _quoted(f"{summary.name}: {summary.parameters:,} parameters")]
    for name, shape in summary.input_shapes.items():
        lines.append(f"  {_quoted(name)} [label={_table([(name, None, shape, 0)])}]")
    frames: dict[str, Frame] = {name: (label,) for name, label in (groups or {}).items()}
    layers = list(opened(summary, {name: (name,) for name in summary.input_shapes}, "", frames))
    box_of = {name: name for name in summary.input_shapes}
    edges = []
    drawn: dict[Frame, list[str]] = {}
    for box in boxes(layers, frames):
        first = box[0]
        box_of |= {layer.name: first.name for layer in box}
        rows = [(layer.name, layer.class_name, layer.output_shapes[-1], layer.parameters) for layer in box]
        drawn.setdefault(frames.get(first.name, ()), []).append(f"  {_quoted(first.name)} [label={_table(rows)}]")
        edges += [f"  {_quoted(box_of[read])} -> {_quoted(first.name)}" for read in first.reads if read in box_of]
    return "\n".join([*lines, *_framed(drawn, (), count()), *edges, "}", ""])


def opened(
    summary: ModelSummary,
    known: dict[str, tuple[str, ...]],
    prefix: str,
    frames: dict[str, Frame],
    *,
    most: int | None = _MOST_IN_A_FRAME,
) -> Iterator[LayerSummary]:
    """The layers, with those of the models among them in the places of these, under names of their own.

    Args:
        summary: of a model.
        known: for what a layer can read, the names under which that stands in the picture; it is added to.
        prefix: of the names in the picture.
        frames: the frames around each layer by its name in the picture; it is added to.
        most: how many layers a model may have to be opened; None if any may be.
    """
    for layer in summary.layers:
        name, inner = f"{prefix}{layer.name}", layer.inner
        reads = tuple(dict.fromkeys(one for read in layer.reads for one in known.get(read, ())))
        if inner is None or not inner.layers or (most is not None and len(inner.leaves) > most):
            known[layer.name] = (name,)
            yield replace(layer, name=name, reads=reads)
            continue
        around = (*frames.pop(name, ()), f"{layer.name}: {layer.class_name}")
        # If it is called several times, each of its inputs may be any of what these calls read.
        within = dict.fromkeys(inner.input_shapes, reads)
        if len(reads) == len(within):
            within = {one: (read,) for one, read in zip(within, reads, strict=True)}
        last: tuple[str, ...] = ()
        for one in opened(inner, within, f"{name}/", frames, most=most):
            frames[one.name] = (*around, *frames.get(one.name, ()))
            last = (one.name,)
            yield one
        known[layer.name] = last


def _framed(drawn: Mapping[Frame, Sequence[str]], around: Frame, number: Iterator[int]) -> Iterator[str]:
    """The boxes, those in a frame within it."""
    yield from drawn.get(around, ())
    inside_of = [frame for frame in drawn if len(frame) > len(around) and frame[: len(around)] == around]
    for label in dict.fromkeys(frame[len(around)] for frame in inside_of):
        inside = _framed(drawn, (*around, label), number)
        yield "\n".join([f"  subgraph cluster_{next(number)} {{", *_FRAME, f"label={_quoted(label)}", *inside, "  }"])


def boxes(layers: Sequence[LayerSummary], frames: Mapping[str, Frame]) -> list[list[LayerSummary]]:
    """The layers, those that only follow another one together with it; none of them across the edge of a frame."""
    readers = Counter(read for layer in layers for read in layer.reads)
    found: list[list[LayerSummary]] = []
    last: dict[str, list[LayerSummary]] = {}
    for layer in layers:
        above = last.get(layer.reads[0]) if len(layer.reads) == 1 else None
        follows = any(word in layer.class_name for word in _FOLLOWERS) and len(layer.output_shapes) == 1
        is_beside = above is not None and frames.get(above[0].name) == frames.get(layer.name)
        if above is not None and follows and is_beside and readers[above[-1].name] == 1:
            above.append(layer)
            last[layer.name] = above
        else:
            found.append([layer])
            last[layer.name] = found[-1]
    return found


def _table(rows: Sequence[tuple[str, str | None, Shape, int]]) -> str:
    """A box as Graphviz's table: a row a layer, with its class, name, output shape and parameters."""
    written = []
    for number, (name, class_name, shape, parameters) in enumerate(rows):
        title = f"<B>{escape(class_name)}</B>" if number == 0 and class_name else escape(class_name or "")
        own = f'<FONT COLOR="#777777" POINT-SIZE="9"> {escape(name)}</FONT>' if class_name else f"<I>{escape(name)}</I>"
        colour = colour_of(class_name) if number == 0 else "#ffffff"
        count = f"{parameters:,}" if parameters else " "
        cells = (("LEFT", title + own), ("RIGHT", _shape(shape)), ("RIGHT", count))
        row = "".join(f'<TD ALIGN="{side}" BGCOLOR="{colour}">{text}</TD>' for side, text in cells)
        written.append(f"<TR>{row}</TR>")
    style = 'BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="4" COLOR="#888888"'
    return f"<<TABLE {style}>{''.join(written)}</TABLE>>"


def colour_of(class_name: str | None) -> str:
    """The colour that layers of this class have; one for all that have none of their own."""
    fitting = (colour for word, colour in _COLOURS.items() if class_name is not None and word in class_name)
    return next(fitting, _OTHER_COLOUR)


def _shape(shape: Shape) -> str:
    return "×".join("?" if size is None else str(size) for size in shape[1:]) or "1"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
