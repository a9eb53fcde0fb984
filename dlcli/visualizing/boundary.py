"""What a model of two numbers says everywhere in the plane; and how that came about, as an animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from dlcli.data.columns import Number
from dlcli.data.dataset import Array, named
from dlcli.errors import CheckpointError, DataError
from dlcli.files import replacing
from dlcli.report.drawing import COLORS, plain
from dlcli.report.looks import taken
from dlcli.report.sections import outputs_at, scores_at
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.engine import steps_of
from dlcli.training.job import Job
from dlcli.visualizing.sheet import in_legend, spread

GRID = 160
"""places of the plane in each direction"""
_FIRST_COLORS = ("train", "held", "good", "other", "bad", "muted")
_MOST_POINTS, _MOST_CLASSES = 2_000, 20
_FRAME, _LAST_FRAME = 350, 2_500  # milliseconds
_GIF_DOTS = 100  # an inch
_GIF_COLORS = 160


@dataclass(frozen=True)
class Plane:
    """Examples in the plane, and the part of it that is drawn.

    Attributes:
        places: of the examples, shape (n, 2).
        truth: what is true of them, shape (n,).
        low, high: the corners of what is drawn, shape (2,); all as the model's preparation reads them.
    """

    places: Array
    truth: Array
    low: Array
    high: Array

    @property
    def grid(self) -> Array:
        """The places that the model is asked about: float32 of shape (GRID * GRID, 2), row by row from below."""
        each = [np.linspace(low, high, GRID) for low, high in zip(self.low, self.high, strict=True)]
        across, up = np.meshgrid(*each)
        return np.column_stack([across.ravel(), up.ravel()]).astype(np.float32)


def plane_of(job: Job, split: str) -> Plane:
    """The examples of a split, as places.

    Raises:
        CheckpointError: they are not two numbers each, or the model has several inputs or outputs, or too many classes.
        DataError: there is no such split.
    """
    if split not in job.rows:
        raise DataError(f"There is no split `{split}` in this data.", f"There is: {', '.join(job.rows)}.")
    rows = job.rows[split]
    [(_, array), *more] = named(rows.data.inputs).items()
    if more or len(job.model.outputs) > 1 or tuple(array.shape[1:]) != (2,):
        taken_in = "several inputs or outputs" if more or len(job.model.outputs) > 1 else (
            f"examples of {'×'.join(map(str, array.shape[1:])) or 'one'} numbers" )  # fmt: skip
        raise CheckpointError(f"A boundary is drawn where an example is two numbers; this model has {taken_in}.",
                              "`dlcli visualize embedding` shows examples of any size in the plane.")  # fmt: skip
    names: Any = job.facts.class_names
    if names is not None and len(names) > _MOST_CLASSES:
        raise CheckpointError(f"The model tells {len(names)} classes apart: more than {_MOST_CLASSES} colours.")
    order = np.asarray(rows.order)
    if len(order) > _MOST_POINTS:
        order = np.sort(np.random.default_rng(0).choice(order, _MOST_POINTS, replace=False))
    places = taken(array, order).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    space = 0.08 * (high - low + 1e-6)
    return Plane(places, np.asarray(rows.data.targets)[order], low - space, high + space)


class Drawing:
    """The picture of a plane: made once, and then shown with the weights that the model has."""

    def __init__(self, job: Job, plane: Plane) -> None:
        self._job, self._plane = job, plane
        self._names: Any = job.facts.class_names
        self.figure = Figure(figsize=(6.4, 4.8), dpi=_GIF_DOTS)
        self._title = self.figure.text(0.02, 0.965, "", va="top", fontsize=10.5, fontweight="bold")
        axis = self.figure.add_axes((0.115, 0.1, 0.645, 0.8))
        scale, shift = _units(job)
        (left, low), (right, high) = plane.low * scale + shift, plane.high * scale + shift
        extent = (left, right, low, high)
        places = plane.places * scale + shift
        blank = np.ones((GRID, GRID, 4))
        self._image = axis.imshow(blank, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
        axis.grid(visible=False)
        features = job.facts.feature_names or ("x", "y")
        axis.set_xlabel(plain(str(features[0])))
        axis.set_ylabel(plain(str(features[1])))
        size = 12 if len(plane.places) > 100 else 40
        style: dict[str, Any] = {"s": size, "linewidths": 0.5, "edgecolors": COLORS["paper"]}
        if self._names is None:
            self._range = float(plane.truth.min()), float(plane.truth.max())
            shown = axis.scatter(places[:, 0], places[:, 1], c=plane.truth, cmap="viridis", **style)
            bar = self.figure.colorbar(shown, cax=self.figure.add_axes((0.79, 0.1, 0.022, 0.8)))
            bar.outline.set_visible(False)
            return
        for number, name in enumerate(self._names):
            those = places[plane.truth.astype(int) == number]
            axis.scatter(those[:, 0], those[:, 1], color=_color(number), label=in_legend(name), **style)
        axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)

    def show(self, title: str) -> Figure:
        """The picture, with what the model says now."""
        self._title.set_text(plain(title, 70))
        pixels = self._of_numbers() if self._names is None else self._of_classes()
        self._image.set_data(pixels.reshape(GRID, GRID, 4))
        return self.figure

    def _of_classes(self) -> Array:
        scores = scores_at(self._job, self._plane.grid)
        colors = np.array([_color(number) for number in range(len(self._names))])
        pixels = colors[scores.argmax(axis=1)]
        floor = 1 / len(self._names)
        sure = np.clip((scores.max(axis=1) - floor) / (1 - floor), 0, 1)
        pixels[:, 3] = 0.1 + 0.35 * np.nan_to_num(sure)
        return np.asarray(pixels)

    def _of_numbers(self) -> Array:
        encoding: Any = self._job.encoding
        values = encoding.restore(outputs_at(self._job, self._plane.grid).astype(np.float64))[:, 0]
        low, high = self._range
        pixels = colormaps["viridis"](np.clip((values - low) / ((high - low) or 1.0), 0, 1))
        pixels[:, 3] = 0.55
        return np.asarray(pixels)


def _units(job: Job) -> tuple[Array, Array]:
    """What the numbers of an example are multiplied by, and what is added, for those that a table has."""
    inputs: Any = getattr(job.facts.reader, "inputs", None)
    columns = [column for group in inputs.values() for column in group] if isinstance(inputs, Mapping) else []
    numbers = [column for column in columns if isinstance(column, Number)]
    if len(numbers) != 2:
        return np.ones(2), np.zeros(2)
    shift = [column.mean if column.is_scaled else 0.0 for column in numbers]
    return np.array([column.deviation for column in numbers]), np.array(shift)


def _color(number: int) -> tuple[float, float, float, float]:
    if number < len(_FIRST_COLORS):
        return to_rgba(COLORS[_FIRST_COLORS[number]])
    return to_rgba(colormaps["tab20"](number))


def boundary(job: Job, split: str) -> Figure:
    """The examples of a split, over what the model says everywhere. Raises as `plane_of` does."""
    return Drawing(job, plane_of(job, split)).show(f"{job.loaded.spec.name}: what the model says, and {split} examples")


def write_animation(job: Job, split: str, checkpoints: Sequence[Checkpoint], path: Path) -> None:
    """Write the pictures of several checkpoints of the model's training, in this order, as an animated GIF.

    The model has the last one's weights afterwards.

    Raises:
        RunError: the file cannot be written.
        CheckpointError, DataError: as `plane_of` does; or a checkpoint is not of this model.
    """
    drawing = Drawing(job, plane_of(job, split))
    canvas = FigureCanvasAgg(drawing.figure)
    drawing.figure.patch.set_facecolor("white")
    frames = []
    for checkpoint in checkpoints:
        checkpoint.load_weights(job.model)
        drawing.show(f"{job.loaded.spec.name}, after {epochs_of(job, checkpoint):.3g} epochs")
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    quantized = _quantized(frames)
    durations = [_FRAME] * (len(frames) - 1) + [_LAST_FRAME]
    held = BytesIO()
    quantized[0].save(held, "GIF", save_all=True, append_images=quantized[1:], duration=durations, loop=0, disposal=1)
    with replacing(path) as beside:
        beside.write_bytes(held.getvalue())


def _quantized(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """The frames with the same few colours, of which one is white: Pillow's nearest to it is a little green."""
    several = np.concatenate([np.asarray(frames[at]) for at in spread(len(frames), 4)])
    palette = Image.fromarray(several).quantize(_GIF_COLORS, dither=Image.Dither.NONE)
    colors = [*(palette.getpalette() or [])[: 3 * _GIF_COLORS], 255, 255, 255]
    white = len(colors) // 3 - 1
    found = []
    for frame in frames:
        numbers = np.array(frame.quantize(palette=palette, dither=Image.Dither.NONE))
        numbers[(np.asarray(frame) == 255).all(axis=2)] = white
        image = Image.fromarray(numbers)
        image.putpalette(colors)
        found.append(image)
    return found


def epochs_of(job: Job, checkpoint: Checkpoint) -> float:
    """After how many epochs, and what of the next, a checkpoint was written."""
    steps = steps_of(job.examples_per_epoch, job.loaded.spec.dataset.batch_size)
    return (int(checkpoint.contents.position["step"]) if checkpoint.contents is not None else 0) / steps
