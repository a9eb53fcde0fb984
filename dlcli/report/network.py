"""A network as SVG, without another program: one box below the other, and arcs where one reads another than the last.

So nothing overlaps, however many branches there are, and a telephone shows it; with Graphviz, `dlcli.model.picture`
draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.model.arithmetic import Shape
from dlcli.model.picture import boxes, colour_of
from dlcli.model.summary import LayerSummary, ModelSummary

WIDTH = 330
_TOP, _LINE, _GAP, _FIRST = 6, 17, 18, 22
_ROOM = 230  # pixels of a line up to the parameters
_BOLD, _NAME, _DIGIT = 8.2, 6.4, 7.4  # and of a character in each of its parts, at most
_FARTHEST = 64  # how far an arc goes to the right


@dataclass(frozen=True)
class Line:
    """A layer in a box: where its text stands, its class, name, output shape and parameters."""

    y: int
    title: str
    name: str
    shape: str
    parameters: str


@dataclass(frozen=True)
class Box:
    """A layer, and those that only follow it.

    Attributes:
        y, height: where it stands.
        colour: of its first line.
        lines: a layer each.
    """

    y: int
    height: int
    colour: str
    lines: tuple[Line, ...]

    @property
    def middle(self) -> int:
        """Its centre, downwards."""
        return self.y + self.height // 2


@dataclass(frozen=True)
class Drawing:
    """A whole network.

    Attributes:
        boxes: from top to bottom.
        steps: where an arrow leads from a box to the next: its beginning and end, downwards.
        arcs: paths of SVG from boxes to ones farther down.
        width, height: of all.
    """

    boxes: tuple[Box, ...]
    steps: tuple[tuple[int, int], ...]
    arcs: tuple[str, ...]
    width: int
    height: int


def drawing_of(summary: ModelSummary) -> Drawing:
    """Where everything of a network stands."""
    groups: list[Sequence[LayerSummary]] = list(boxes(summary.layers, {}))
    placed: list[Box] = []
    number_of: dict[str, int] = {}
    y = _TOP
    for name, shape in summary.input_shapes.items():
        number_of[name] = len(placed)
        placed.append(Box(y, _FIRST, "", (Line(y + 15, name, "", _shape(shape), ""),)))
        y += _FIRST + _GAP
    for group in groups:
        number_of |= {layer.name: len(placed) for layer in group}
        height = _FIRST + _LINE * (len(group) - 1)
        lines = tuple(_line(layer, y + 15 + _LINE * at) for at, layer in enumerate(group))
        placed.append(Box(y, height, colour_of(group[0].class_name), lines))
        y += height + _GAP
    steps, arcs = [], []
    for group in groups:
        here = number_of[group[0].name]
        for read in dict.fromkeys(number_of[name] for name in group[0].reads if name in number_of):
            if read == here - 1:
                steps.append((placed[read].y + placed[read].height, placed[here].y))
            elif read < here:
                arcs.append(_arc(placed[read], placed[here], here - read))
    width = WIDTH + (_FARTHEST + 8 if arcs else 4)
    return Drawing(tuple(placed), tuple(steps), tuple(arcs), width, y - _GAP + _TOP)


def _arc(above: Box, below: Box, distance: int) -> str:
    out = WIDTH + min(_FARTHEST, 14 + 7 * distance)
    return f"M{WIDTH} {above.middle} C{out} {above.middle}, {out} {below.middle}, {WIDTH + 5} {below.middle}"


def _line(layer: LayerSummary, y: int) -> Line:
    parameters = f"{layer.parameters:,}" if layer.parameters else ""
    shape = _shape(layer.output_shapes[-1])
    room = int((_ROOM - _BOLD * len(layer.class_name) - _DIGIT * len(shape)) / _NAME) - 2
    name = layer.name if len(layer.name) <= room else f"{layer.name[: room - 1]}…" if room > 3 else ""
    return Line(y, layer.class_name, name, shape, parameters)


def _shape(shape: Shape) -> str:
    return "×".join("?" if size is None else str(size) for size in shape[1:]) or "1"
