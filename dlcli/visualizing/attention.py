"""Where in a picture a model looks: saliency and Grad-CAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from dlcli.data.dataset import Array
from dlcli.data.encoding import Encoding
from dlcli.errors import CheckpointError, UsageError
from dlcli.spec.likeness import closest
from dlcli.visualizing.sheet import Row, Tile, by_size, limited, sentences, sheet
from dlcli.visualizing.subject import Subject, last_convolution
from dlcli.visualizing.watching import before_last_activation, watching

_SIDE, _MOST = 150, 24
_HEAT = colormaps["turbo"]


def saliency_maps(model: Any, inputs: Any, numbers: Sequence[int]) -> Array:
    """How much each pixel changes the score of a class: the largest |gradient| of its channels.

    Args:
        model: with outputs of shape (n, units); of one unit, class 1 is scored by it, class 0 by its negative.
        inputs: prepared pictures, shape (n, height, width, channels).
        numbers: of the class that is scored for each picture.

    Returns:
        float of shape (n, height, width).
    """
    pictures = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape, before_last_activation(model):
        tape.watch(pictures)
        scores = _scores(model(pictures, training=False), numbers)
    return np.asarray(tf.reduce_max(tf.abs(tape.gradient(scores, pictures)), axis=-1), np.float64)


def gradcam_maps(model: Any, inputs: Any, numbers: Sequence[int], layer: Any) -> Array:
    """Grad-CAM (Selvaraju et al. 2017): the maps of a layer, added up by their mean gradients, where that is above 0.

    Args:
        model, inputs, numbers: as of `saliency_maps`.
        layer: gives maps of shape (n, rows, columns, channels).

    Returns:
        float of shape (n, rows, columns).
    """
    with tf.GradientTape() as tape, before_last_activation(model), watching({"": layer}, tape) as seen:
        scores = _scores(model(tf.convert_to_tensor(inputs), training=False), numbers)
    maps = seen[""].outputs[0]
    gradients = tape.gradient(scores, maps)
    if gradients is None:
        raise CheckpointError(f"What the model gives does not depend on the maps of {layer.name}.")
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return np.asarray(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)), np.float64)


def _scores(outputs: Any, numbers: Sequence[int]) -> Any:
    if outputs.shape[-1] == 1:
        signs = tf.constant([1.0 if number else -1.0 for number in numbers], outputs.dtype)
        return signs * outputs[:, 0]
    return tf.gather(outputs, tf.constant(list(numbers)), axis=1, batch_dims=1)


def saliency(subject: Subject, asked_class: str | None) -> Figure:
    """Pictures, and beside each how much every pixel changes the score of the class.

    Raises:
        CheckpointError: the model gives no classes, or takes no pictures.
        UsageError: there is no such class.
    """
    count, subject = len(subject.names), subject.first(_MOST)
    pictures = subject.pictures()
    numbers, captions = _classes(subject, asked_class)
    maps = saliency_maps(subject.model, subject.prepared(), numbers)
    drawn = [by_size(one, float(np.quantile(one, 0.995)) or None) for one in maps]
    what = "Bright pixels change the score of the class most: the largest gradient of their channels."
    note = sentences([limited(count, _MOST, "pictures"), what])
    return _sheet(f"{subject.name}: saliency", subject, pictures, drawn, captions, note)


def gradcam(subject: Subject, asked: str | None, asked_class: str | None) -> Figure:
    """Pictures, and over each where a layer sees what speaks for the class.

    Raises:
        CheckpointError: the model has no convolution, gives no classes, or takes no pictures.
        UsageError: there is no such layer or class.
    """
    count, subject = len(subject.names), subject.first(_MOST)
    pictures = subject.pictures()
    path, layer = last_convolution(subject.model, asked)
    numbers, captions = _classes(subject, asked_class)
    maps = gradcam_maps(subject.model, subject.prepared(), numbers, layer)
    drawn = [overlaid(picture, heat) for picture, heat in zip(pictures, maps, strict=True)]
    size = "×".join(map(str, maps.shape[1:]))
    empty = sum(not heat.any() for heat in maps)
    lost = f"In {empty} nothing speaks for the class." if empty else ""
    what = f"From blue to red: the more the maps of {path} ({size}) speak for the class."
    note = sentences([limited(count, _MOST, "pictures"), what, lost])
    return _sheet(f"{subject.name}: Grad-CAM", subject, pictures, drawn, captions, note)


def overlaid(picture: Array, heat: Array) -> Array:
    """A picture in grey under a map of heat, which is made as large as it smoothly; uint8 of (height, width, 3)."""
    height, width = picture.shape[:2]
    scale = max(1, _SIDE // max(height, width))
    most = float(heat.max()) or 1.0
    small = Image.fromarray((heat / most).astype(np.float32))
    large = np.asarray(small.resize((width * scale, height * scale), Image.Resampling.BILINEAR))[..., None]
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float64).repeat(scale, axis=0).repeat(scale, axis=1)
    colors = _HEAT(large[..., 0])[..., :3] * 255
    alpha = 0.15 + 0.5 * np.clip(large, 0, 1)
    return np.asarray((1 - alpha) * grey[..., None] + alpha * colors).astype(np.uint8)


def _sheet(
    title: str, subject: Subject, pictures: Sequence[Array], drawn: Sequence[Array],
    captions: Sequence[tuple[str, str]], what: str,
) -> Figure:  # fmt: skip
    """Each picture with what is drawn of it, two such pairs a row."""
    pairs = [
        [Tile(picture, name), Tile(map_, *caption)]
        for picture, name, map_, caption in zip(pictures, subject.names, drawn, captions, strict=True)
    ]
    rows = [Row([tile for pair in pairs[at : at + 3] for tile in pair]) for at in range(0, len(pairs), 3)]
    is_judged = any(color != "ink" for _, color in captions)
    colors = (
        "The class and its probability are green where they are right, red where they are not." if is_judged else ""
    )
    return sheet(title, rows, sentences([what, colors]), side=_SIDE)


def _classes(subject: Subject, asked: str | None) -> tuple[list[int], list[tuple[str, str]]]:
    """The class that is looked at of each picture, and its name and probability with the colour to write them in."""
    encoding = subject.encoding
    if subject.classes is None or not isinstance(encoding, Encoding) or encoding.kind == "input":
        raise CheckpointError("The model gives no classes: it cannot be shown what speaks for one.")
    outputs = np.concatenate([np.asarray(subject.model(batch, training=False)) for batch in subject.batches()])
    scores = subject.scores(outputs.astype(np.float64))
    names = [str(name) for name in subject.classes]
    if asked is not None and asked not in names:
        close = closest(asked, names)
        hint = f"Did you mean `{close}`?" if close else f"There is: {', '.join(names[:30])}."
        raise UsageError(f"--class {asked}: the model has no class of this name.", hint)
    found = scores.argmax(axis=1) if asked is None else np.full(len(scores), names.index(asked))
    captions = []
    for at, number in enumerate(found):
        is_right = None if subject.truth is None or asked is not None else int(subject.truth[at]) == int(number)
        color = "ink" if is_right is None else "good" if is_right else "bad"
        captions.append((f"{names[number][:12]} {scores[at, number]:.2f}", color))
    return [int(number) for number in found], captions
