"""How a model's summary looks: a table that fits the terminal, and the drawing of a stack of layers in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from dlcli.errors import UsageError
from dlcli.model.summary import LayerSummary, ModelSummary, explain
from dlcli.model.units import readable_bytes

_GAP = 2
_BAR_WIDTH = 8
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_FOLDED_WIDTH = 16  # what a column that may fold needs at least, where its text is longer
_EXPLANATION_WIDTH = 36  # the same for explanations, while other columns can still go
_PLAIN = str.maketrans({"×": "x", "–": "-", "█": "#", **dict.fromkeys(_EIGHTHS[1:-1], "")})

# What goes first where the terminal is too narrow. Explanations end in the count, so "parameters" may go beside them;
# they do not go themselves, but fold.
_FIRST_TO_GO = ("bar", "share", "multiply_adds", "reads")
_LAST_TO_GO = ("trained", "class_name", "output")

_CONNECTORS: Mapping[str, str] = {  # by what a class name contains, the first that fits; five characters each
    "Conv": r" \|/ ",
    "Dense": "XXXXX",
    "MaxPool": "Y max",
    "AveragePool": "Y avg",
    "Dropout": " | ||",
    "BatchNormalization": " μ|σ ",
    "Embedding": "emb |",
    "LSTM": "LLLLL",
    "GRU": "LLLLL",
    "RNN": "LLLLL",
}
_OTHER_CONNECTOR = "|||||"


def layer_table(summary: ModelSummary, explain: bool = False) -> RenderableType:
    """Show the layers with their shapes and counts, and the totals.

    The table takes the width it is given: in a narrow terminal the less important columns are left out and long names
    fold; numbers are never cut.

    Args:
        summary: the model.
        explain: show, too, how each layer's count comes about.
    """
    return _FittedTable(summary, explain)


def ascii_drawing(summary: ModelSummary) -> str:
    """Draw a stack of layers in plain text, in the manner of keras-sequential-ascii.

    Raises:
        UsageError: the layers are not a stack: some layer reads several others, or is read by several.
    """
    if not summary.is_stack:
        raise UsageError(
            f"The drawing is for a stack of layers, and {summary.name!r} is a graph with branches.",
            hint="The table shows every kind of model, with what each layer reads.",
        )
    (input_shape,) = summary.input_shapes.values()
    drawing = _Drawing.fitting(summary)
    lines = [drawing.header(), "", drawing.data_line("Input", input_shape)]
    for layer in summary.layers:
        lines.append(drawing.operation_line(layer, summary.parameters))
        lines.append(drawing.data_line(layer.activation or "", layer.output_shapes[0]))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Column:
    """One column; with `folds_to`, longer cells may take several lines of at least that width."""

    header: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "left"
    style: str = ""
    folds_to: int | None = None

    def needed_width(self) -> int:
        natural = max(cell_len(line) for cell in (self.header, *self.cells) for line in cell.split("\n"))
        return natural if self.folds_to is None else min(natural, self.folds_to)


@dataclass(frozen=True)
class _FittedTable:
    """A rich renderable that leaves out columns until the rest fits."""

    summary: ModelSummary
    explain: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = _fit(_columns(self.summary, self.explain), options.max_width)
        yield _heading(self.summary)
        yield Text("")
        yield _table_of(columns.values(), plain=options.ascii_only)
        yield Text("")
        yield _totals(self.summary)


def _fit(columns: dict[str, _Column], width: int) -> dict[str, _Column]:
    """Leave out one column after the other, or let it fold, until the rest needs no more than the width."""
    columns = dict(columns)
    beside_explanation = ("parameters", "explanation") if "explanation" in columns else ()
    for name in (*_FIRST_TO_GO, *beside_explanation, *_LAST_TO_GO):
        if _needed_width(columns.values()) <= width:
            break
        column = columns.pop(name, None)
        if column is not None and name == "explanation":
            columns[name] = replace(column, folds_to=_FOLDED_WIDTH)
    return columns


def _needed_width(columns: Iterable[_Column]) -> int:
    widths = [column.needed_width() for column in columns]
    return sum(widths) + _GAP * (len(widths) - 1)


def _columns(summary: ModelSummary, with_explanations: bool) -> dict[str, _Column]:
    layers = summary.layers
    shares = [layer.unshared_parameters / max(summary.parameters, 1) for layer in layers]
    known = ["unknown" if layer.multiply_adds is None else f"{layer.multiply_adds:,}" for layer in layers]
    columns = {
        "name": _Column("Layer", [layer.name for layer in layers], style="deep_sky_blue3", folds_to=_FOLDED_WIDTH),
        "class_name": _Column("Type", [layer.class_name for layer in layers]),
        "output": _Column("Output shape", [_output_shapes(layer) for layer in layers]),
        "parameters": _Column("Parameters", [f"{layer.parameters:,}" for layer in layers], "right"),
        "share": _Column("Share", [_percentage(share) for share in shares], "right"),
        "bar": _Column("", [_bar(share) for share in shares], style="green"),
        "multiply_adds": _Column("Multiply-adds", known, "right"),
    }
    if summary.non_trainable_parameters:
        columns["trained"] = _Column("Trained", [_trained(layer) for layer in layers], style="dark_orange3")
    if not summary.is_stack:
        columns["reads"] = _Column("Reads", ["\n".join(layer.reads) for layer in layers], folds_to=_FOLDED_WIDTH)
    if with_explanations:
        explanations = [explain(layer) for layer in layers]
        columns["explanation"] = _Column("How the count comes about", explanations, folds_to=_EXPLANATION_WIDTH)
    return columns


def _table_of(columns: Iterable[_Column], *, plain: bool) -> Table:
    columns = tuple(columns)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="bold"
    )
    for column in columns:
        table.add_column(
            column.header,
            justify=column.justify,
            style=column.style,
            no_wrap=column.folds_to is None,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(cell.translate(_PLAIN) if plain else cell) for cell in cells))
    return table


def _heading(summary: ModelSummary) -> Text:
    shapes = [_shape(shape) for shape in summary.input_shapes.values()]
    if len(shapes) > 1:
        shapes = [f"{name} {shape}" for name, shape in zip(summary.input_shapes, shapes, strict=True)]
    word = "input" if len(shapes) == 1 else "inputs"
    return Text.assemble((summary.name, "bold"), f": {word} ", ", ".join(shapes))


def _totals(summary: ModelSummary) -> Table:
    activations, unknown = summary.activation_values, summary.unknown_multiply_adds
    layers = "layer" if unknown == 1 else "layers"
    rows = [
        ("Parameters", f"{summary.parameters:,}", _sharing(summary)),
        ("  trainable", f"{summary.trainable_parameters:,}", ""),
        ("  non-trainable", f"{summary.non_trainable_parameters:,}", ""),
        ("Memory of the weights", f"{summary.weight_bytes:,}", f"bytes{_in_brackets(summary.weight_bytes)}"),
        ("Activations, one example", *(("?", "a length is free") if activations is None else (f"{activations:,}", ""))),
        (
            "Multiply-adds, one example",
            f"{summary.multiply_adds:,}",
            f"and those of {unknown:,} {layers}, unknown" if unknown else "",
        ),
    ]
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _sharing(summary: ModelSummary) -> str:
    shared = sum(weight.size for layer in summary.layers for weight in layer.weights if weight.shared)
    return f"{shared:,} shared, counted once" if shared else ""


def _in_brackets(size: int) -> str:
    """Give a size from 1 KiB on in binary units, as " (1.67 MiB)"."""
    return f" ({readable_bytes(size)})" if size >= 1024 else ""


def _shape(shape: Sequence[int | None]) -> str:
    """Write a shape without its batch axis, as Python writes a tuple."""
    return str(tuple(shape[1:]))


def _output_shapes(layer: LayerSummary) -> str:
    return "\n".join(_shape(shape) for shape in layer.output_shapes)


def _trained(layer: LayerSummary) -> str:
    if not layer.parameters:
        return "–"
    if not layer.non_trainable_parameters:
        return "yes"
    return "partly" if layer.trainable_parameters else "no"


def _percentage(share: float) -> str:
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def _bar(share: float) -> str:
    full, eighths = divmod(round(share * _BAR_WIDTH * 8), 8)
    return ("█" * full + _EIGHTHS[eighths]).rstrip()


@dataclass(frozen=True)
class _Drawing:
    """The widths of the drawing's columns, in characters: the usual ones, or more where a model needs more."""

    name: int
    size: int
    sizes: int
    data: int
    count: int

    @classmethod
    def fitting(cls, summary: ModelSummary) -> _Drawing:
        names = [name for layer in summary.layers for name in (layer.class_name, layer.activation or "")]
        (input_shape,) = summary.input_shapes.values()
        shapes = [input_shape[1:], *(layer.output_shapes[0][1:] for layer in summary.layers)]
        size = max([4, *(len(str(size)) for shape in shapes for size in shape)])
        sizes = (size + 1) * max([3, *map(len, shapes)]) - 1
        return cls(
            name=max([20, *map(len, names)]),
            size=size,
            sizes=sizes,
            data=max(19, sizes + 2),
            count=max([10, *(len(str(layer.parameters)) + 2 for layer in summary.layers)]),
        )

    def header(self) -> str:
        title = "DATA DIMENSIONS".center(self.data)
        return f"{'OPERATION':>{self.name}}{'':9}{title}{'WEIGHTS(N)':>{self.count + 1}}   WEIGHTS(%)"

    def data_line(self, label: str, shape: Sequence[int | None]) -> str:
        sizes = " ".join(f"{size!s:>{self.size}}" for size in shape[1:])
        return f"{label:>{self.name}}   #####   {sizes:^{self.sizes}}".rstrip()

    def operation_line(self, layer: LayerSummary, total: int) -> str:
        connector = next((mark for part, mark in _CONNECTORS.items() if part in layer.class_name), _OTHER_CONNECTOR)
        share = f"{layer.parameters / total if total else 0:.1%}"
        dashes = "-" * self.data
        return f"{layer.class_name:>{self.name}}   {connector} {dashes}{layer.parameters:>{self.count}}{share:>9}"
