"""What all pictures have in common: inks, axes, and how they become files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dlcli.files import replacing

INK, FAINT = "#333333", "#cccccc"
DOTS_AN_INCH = 150


def plain(axis: Axes) -> Axes:
    """The axis, with what is not needed to read it left out."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(FAINT)
    axis.tick_params(which="both", labelsize=8, colors=INK, color=FAINT, length=3)
    return axis


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all. Raises RunError if it cannot be written."""
    FigureCanvasAgg(figure)
    with replacing(path) as beside:
        figure.savefig(beside, dpi=DOTS_AN_INCH, facecolor="white")
