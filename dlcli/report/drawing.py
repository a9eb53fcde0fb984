"""How a chart of a report is drawn: once, and written as a PNG file and as SVG whose colours the page decides.

Colours are those of light paper; in the SVG each becomes a variable of the page's style, so that it is readable on a
dark one, too. Text stays text. Nothing here knows of runs or files, or of what is drawn.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dlcli.data.dataset import Array

COLORS = {
    "ink": "#24292e", "muted": "#6a737c", "faint": "#d8dce0", "paper": "#fffffe", "train": "#2f6eb4",
    "held": "#d6762a", "good": "#2e9056", "bad": "#c83f39", "other": "#7a5cab",
}  # fmt: skip
"""by what they are for; the page's style has a variable for each"""
DOTS_AN_INCH = 150
_STYLE = {
    "font.size": 9, "axes.edgecolor": COLORS["faint"], "axes.labelcolor": COLORS["muted"], "text.color": COLORS["ink"],
    "xtick.color": COLORS["muted"], "ytick.color": COLORS["muted"], "xtick.labelcolor": COLORS["muted"],
    "ytick.labelcolor": COLORS["muted"], "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "axes.grid": True, "grid.color": COLORS["faint"], "grid.linewidth": 0.6, "grid.alpha": 0.7,
    "axes.axisbelow": True, "lines.linewidth": 1.7, "lines.solid_capstyle": "round", "legend.frameon": False,
    "legend.fontsize": 8.5, "legend.handlelength": 1.4, "xtick.major.size": 0, "ytick.major.size": 0,
    "xtick.minor.size": 0, "ytick.minor.size": 0,
    "axes.labelsize": 9, "svg.fonttype": "none", "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"],
    "savefig.facecolor": "none", "figure.facecolor": "none", "axes.facecolor": "none", "axes.unicode_minus": True,
}  # fmt: skip
_SIZE = (4.7, 2.9)  # inches
_TITLE = 0.26  # inches above a chart


@dataclass(frozen=True)
class Chart:
    """A chart as the page has it.

    Attributes:
        name: of its PNG file, without the ending.
        title: over it.
        alt: what it shows, in a sentence, for who does not see it.
        svg: its drawing.
        png: the bytes of its file.
        note: under it; empty for none.
    """

    name: str
    title: str
    alt: str
    svg: str
    png: bytes
    note: str = ""


@contextmanager
def drawing() -> Iterator[None]:
    """While entered, charts have the report's style; letters that the font of the PNG files lacks are no warning."""
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def rgb(name: str) -> tuple[float, float, float]:
    """One of the colours, as shares of red, green and blue."""
    red, green, blue, _ = to_rgba(COLORS[name])
    return red, green, blue


def plain(text: str, longest: int = 28) -> str:
    """A text as it is, without what matplotlib would take for a formula; shortened if it is very long."""
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return " ".join(short.split()).replace("$", r"\$")


def thinned(x: Array, y: Array, most: int = 400) -> tuple[Array, Array]:
    """A curve with fewer points: a page has no more pixels."""
    if len(x) <= most:
        return x, y
    chosen = np.unique(np.linspace(0, len(x) - 1, most).astype(np.int64))
    return x[chosen], y[chosen]


def new_figure(height: float = _SIZE[1]) -> tuple[Figure, Axes]:
    """A figure so many inches high, and its only axis."""
    figure = Figure(figsize=(_SIZE[0], height), dpi=DOTS_AN_INCH)
    bottom = 0.46 / height
    axis = figure.add_axes((0.155, bottom, 0.83, 0.955 - bottom))
    return figure, axis


def finite_only(values: Sequence[float]) -> Array:
    """The values, float64, with NaN for those that are infinite, so that none is drawn."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def widen_range(axis: Axes, values: Sequence[float]) -> None:
    """Losses over many powers of ten are seen on a logarithmic axis only."""
    positive = [value for value in values if np.isfinite(value)]
    if positive and min(positive) > 0 and max(positive) > 30 * min(positive):
        axis.set_yscale("log")


def epoch_axis(axis: Axes, epochs: int) -> None:
    """Let the horizontal axis be of so many epochs, from 1 on."""
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    margin = min(0.5, 0.04 * epochs)  # there is no epoch 0
    axis.set_xlim(1 - margin, epochs + max(margin, 0.02 * epochs))
    if epochs == 1:
        axis.set_xlim(0.5, 1.5)
        axis.set_xticks([1])


def chart_of(figure: Figure, name: str, title: str, alt: str, note: str = "") -> Chart:
    """The chart that a figure becomes, to be made where `drawing()` is entered.

    Args:
        figure: what is drawn; it is used up.
        name: of its PNG file, without the ending; whatever a file's name may not have is replaced.
        title: over it.
        alt: what it shows, in a sentence.
        note: under it.
    """
    svg = _svg(figure, alt)
    _put_title(figure, title)  # which the page has beside the chart
    return Chart(re.sub(r"\W+", "_", name), title, alt, svg, png_of(figure), note)


def _put_title(figure: Figure, title: str) -> None:
    """Make the figure higher, for a title above what there is."""
    width, height = figure.get_size_inches()
    higher = height + _TITLE
    left = figure.axes[0].get_position().x0
    for axis in figure.axes:
        box = axis.get_position()
        axis.set_position((box.x0, box.y0 * height / higher, box.width, box.height * height / higher))
    figure.set_size_inches(width, higher)
    figure.text(left, 1 - 0.08 / higher, plain(title, 64), va="top", fontsize=10)


def png_of(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    held = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(held, format="png", dpi=DOTS_AN_INCH, facecolor="white")
    return held.getvalue()


_VARIABLES: tuple[tuple[str, str], ...] = tuple((value, f"var(--{name})") for name, value in COLORS.items())
_ORDINARY_IDS = re.compile(
    r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|\w+Collection)_\d+"'
)


_USES = re.compile(r"(?:<use [^>]*/>\n){2,}")
_USE = re.compile(r'<use xlink:href="([^"]*)" x="([^"]*)" y="([^"]*)" style="([^"]*)"/>')


def _gathered(points: re.Match[str]) -> str:
    """Points that follow each other, with the style that they share written once: a third of the bytes."""
    found = _USE.findall(points.group())
    if points.group().count("<use ") != len(found):
        return points.group()
    styles = [dict.fromkeys(style.split("; ")) for *_, style in found]
    shared = [part for part in styles[0] if all(part in style for style in styles) and not part.startswith("opacity")]
    lines = []
    for (address, x, y, _), style in zip(found, styles, strict=True):
        own = "; ".join(part for part in style if part not in shared)
        styled = f' style="{own}"' if own else ""
        lines.append(f'<use href="{address}" x="{float(x):.1f}" y="{float(y):.1f}"{styled}/>')
    return "\n".join([f'<g style="{"; ".join(shared)}">', *lines, "</g>", ""])


def _svg(figure: Figure, alt: str) -> str:
    held = BytesIO()
    FigureCanvasSVG(figure).print_svg(held, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = held.getvalue().decode()
    text = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.S)
    for color, variable in _VARIABLES:
        text = text.replace(color, variable)
    text = _ORDINARY_IDS.sub("", text)
    text = re.sub(r'(<svg [^>]*?)\bheight="[^"]*" ', r"\1", text, count=1)
    text = re.sub(r'\bwidth="[\d.]+pt" ', 'class="chart" role="img" ', text, count=1)
    text = _USES.sub(_gathered, re.sub(r"\n\s*", "\n", text))
    return text.replace(">", f"><title>{escape(alt)}</title>", 1)
