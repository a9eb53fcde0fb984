"""What TensorBoard shows of a run, epoch by epoch: figures, the network, weights, and some of the images."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.dataset import Array, named
from dlcli.data.pixels import pixels_of
from dlcli.model.picture import opened
from dlcli.model.summary import LayerSummary, ModelSummary
from dlcli.training.event_file import NAME, EventFile
from dlcli.training.feeding import Pace
from dlcli.training.job import Job

_BINS = 30  # as TensorBoard's own histograms have
_COLUMNS, _MOST_IMAGES = 8, 40


@dataclass(frozen=True)
class Board:
    """The event files of a run, one for training and one for validation, as Keras's `TensorBoard` has them.

    They are written at the ends of epochs alone, so that the steps run as fast as without them. Epochs count from 1.

    Attributes:
        folder: where the files go.
        job: what is trained.
        summary: of its model.
    """

    folder: Path
    job: Job
    summary: ModelSummary

    def go_on(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Let the files end with the last of these epochs, which are rows of history.csv.

        Files that are not there begin; epochs that are not in a file get their figures, but no weights.

        Raises:
            RunError: they cannot be written.
            DataError: examples to show can no longer be read.
        """
        for name, file in self._files.items():
            last = file.cut(len(history))
            if last is None:
                file.begin(list(self._first_events()) if name == "train" else [])
            file.append([_figures(name, row) for row in history[last or 0 :]])

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        """The figures and weights of an epoch that is done. Raises RunError."""
        for name, file in self._files.items():
            file.append([_figures(name, row), *(_weights(self.job.model, row["epoch"]) if name == "train" else ())])

    @property
    def _files(self) -> dict[str, EventFile]:
        names = ["train", *(["validation"] if "validation" in self.job.rows else [])]
        return {name: EventFile(self.folder / name / NAME) for name in names}

    def _first_events(self) -> Iterator[Any]:
        yield tf.compat.v1.Event(wall_time=time.time(), graph_def=_graph(self.summary).SerializeToString())
        for tag, picture in _pictures(self.job):
            height, width = picture.shape[:2]
            png = tf.io.encode_png(picture).numpy()
            yield _event(0, [_value(tag, "images", [str(width).encode(), str(height).encode(), png])])


def _event(step: int, values: Sequence[Any]) -> Any:
    return tf.compat.v1.Event(wall_time=time.time(), step=step, summary=tf.compat.v1.Summary(value=values))


def _value(tag: str, plugin: str, value: Any) -> Any:
    """A value of a summary, of which the plugin of TensorBoard's with this name knows what it means."""
    data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name=plugin)
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=data)
    return tf.compat.v1.Summary.Value(tag=tag, metadata=metadata, tensor=tf.make_tensor_proto(value))


def _figures(split: str, row: Mapping[str, Any]) -> Any:
    """The event with the figures of an epoch, named as by Keras's `TensorBoard`."""
    prefix = "val_"
    names = [name for name in row if name not in ("epoch", "seconds")]
    shown = {
        f"epoch_{name.removeprefix(prefix)}": np.float32(row[name])
        for name in names
        if name.startswith(prefix) == (split == "validation")
    }
    return _event(row["epoch"], [_value(tag, "scalars", figure) for tag, figure in shown.items()])


def _weights(model: keras.Model, epoch: int) -> Iterator[Any]:
    """An event with the histograms of all weights."""
    values = []
    tags: dict[str, int] = {}
    for weight in model.weights:
        number = tags[weight.path] = tags.get(weight.path, 0) + 1
        tag = f"{weight.path}/histogram" if number == 1 else f"{weight.path}_{number}/histogram"
        values.append(_value(tag, "histograms", _histogram(keras.ops.convert_to_numpy(weight))))
    if values:
        yield _event(epoch, values)


def _histogram(weights: Array) -> Array:
    """Where each bin begins and ends and how many numbers are in it, shape (bins, 3); what is no number is left out."""
    numbers = weights.astype(np.float64).ravel()
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return np.zeros((0, 3))
    counts, edges = np.histogram(numbers, bins=_BINS)
    return np.stack([edges[:-1], edges[1:], counts.astype(np.float64)], axis=1)


def _graph(summary: ModelSummary) -> Any:
    """The layers as nodes: TensorBoard shows what each reads, its shape, and how many parameters it has."""
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in summary.input_shapes}
    nodes = [_node(LayerSummary(name, "Input", (shape,))) for name, shape in summary.input_shapes.items()]
    nodes += [_node(layer) for layer in opened(summary, known, "", {}, most=None)]
    return tf.compat.v1.GraphDef(node=nodes)


def _node(layer: LayerSummary) -> Any:
    shapes = [tf.TensorShape(shape).as_proto() for shape in layer.output_shapes]
    attributes = {"_output_shapes": tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue(shape=shapes))}
    if layer.parameters:
        attributes["parameters"] = tf.compat.v1.AttrValue(i=layer.parameters)
    if layer.activation is not None:
        attributes["activation"] = tf.compat.v1.AttrValue(s=layer.activation.encode())
    return tf.compat.v1.NodeDef(name=layer.name, op=layer.class_name, input=layer.reads, attr=attributes)


def _pictures(job: Job) -> Iterator[tuple[str, Array]]:
    """For each input of images a grid of some examples to train on, as they are stored: bytes, (h, w, channels)."""
    kinds, shapes = named(job.facts.kind), named(job.facts.example_shape)
    shown = [name for name, shape in shapes.items() if kinds.get(name) == "images" and len(shape) in (2, 3)]
    if not shown:
        return
    rows = job.rows["train"]
    chosen = rows.order[np.linspace(0, len(rows) - 1, min(_MOST_IMAGES, len(rows))).astype(np.int64)]
    [block] = rows.data.blocks(chosen, len(chosen), Pace(1))
    positions = block.order[block.first : block.first + block.examples]
    inputs = named(block.tensors[0])
    for name in shown:
        images = np.asarray(tf.gather(inputs[name], positions))
        yield f"examples/{name}" if name else "examples", _grid([pixels_of(image) for image in images])


def _grid(images: Sequence[Array]) -> Array:
    """Images of the same shape side by side, a pixel apart."""
    apart = [np.pad(one if one.ndim == 3 else one[..., None], ((0, 1), (0, 1), (0, 0))) for one in images]
    columns = min(_COLUMNS, len(apart))
    apart += [np.zeros_like(apart[0])] * (-len(apart) % columns)
    lines = [np.concatenate(apart[at : at + columns], axis=1) for at in range(0, len(apart), columns)]
    return np.concatenate(lines)
