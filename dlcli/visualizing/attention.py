"""Where in a picture a model looks: saliency and Grad-CAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from dlcli.data.dataset import Array, OneOrNamed, for_each, named
from dlcli.errors import CheckpointError, UsageError
from dlcli.spec.likeness import closest
from dlcli.visualizing.sheet import Row, Tile, by_size, limited, sentences, sheet
from dlcli.visualizing.subject import Answer, Subject, last_convolution, pictures_read
from dlcli.visualizing.watching import before_last_activation, watching

_SIDE, _MOST = 150, 24
_HEAT = colormaps["turbo"]


def saliency_maps(
    model: Any, inputs: OneOrNamed[Any], numbers: Sequence[int], output: str = ""
) -> dict[str, Array]:  # fmt: skip
    """How much each pixel changes the score of a class: the largest |gradient| of its channels.

    Args:
        model: with outputs of shape (n, units); of one unit, class 1 is scored by it, class 0 by its negative.
        inputs: prepared pictures, shape (n, height, width, channels); by name, with others, where there are several.
        numbers: of the class that is scored for each example.
        output: the one that gives the score, by name; empty where there is one alone.

    Returns:
        float of shape (n, height, width), for each input that is pictures and that the output depends on.
    """
    tensors = for_each(tf.convert_to_tensor, inputs)
    pictures = {name: tensor for name, tensor in named(tensors).items() if len(tensor.shape) == 4}
    with tf.GradientTape() as tape, before_last_activation(model, output):
        for tensor in pictures.values():
            tape.watch(tensor)
        scores = _scores(model(tensors, training=False), numbers, output)
    return {
        name: np.asarray(tf.reduce_max(tf.abs(gradient), axis=-1), np.float64)
        for name, gradient in tape.gradient(scores, pictures).items()
        if gradient is not None
    }


def gradcam_maps(
    model: Any, inputs: OneOrNamed[Any], numbers: Sequence[int], layer: Any, output: str = ""
) -> list[Array]:  # fmt: skip
    """Grad-CAM (Selvaraju et al. 2017): the maps of a layer, added up by their mean gradients, where that is above 0.

    Args:
        model, inputs, numbers, output: as of `saliency_maps`.
        layer: gives maps of shape (n, rows, columns, channels).

    Returns:
        float of shape (n, rows, columns), for each call of the layer.

    Raises:
        CheckpointError: the output does not depend on the maps.
    """
    tensors = for_each(tf.convert_to_tensor, inputs)
    with tf.GradientTape() as tape, before_last_activation(model, output), watching({"": layer}, tape) as seen:
        scores = _scores(model(tensors, training=False), numbers, output)
    calls = seen[""].outputs
    found = []
    for maps, gradients in zip(calls, tape.gradient(scores, calls), strict=True):
        if gradients is None:
            raise CheckpointError(f"What the model gives does not depend on the maps of {layer.name}.")
        weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        found.append(np.asarray(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)), np.float64))
    return found


def _scores(outputs: Any, numbers: Sequence[int], output: str) -> Any:
    given = outputs[output] if output else outputs
    if given.shape[-1] == 1:
        signs = tf.constant([1.0 if number else -1.0 for number in numbers], given.dtype)
        return signs * given[:, 0]
    return tf.gather(given, tf.constant(list(numbers)), axis=1, batch_dims=1)


def saliency(subject: Subject, asked_class: str | None, asked_head: str | None) -> Figure:
    """Pictures, and beside each how much every pixel changes the score of the class.

    Raises:
        CheckpointError: the model gives no classes, or takes no pictures.
        UsageError: there is no such class or output, or several and none is named.
    """
    count, subject = len(subject.names), subject.first(_MOST)
    answer = subject.answer(asked_head)
    pictures = subject.pictures()
    numbers, captions = _classes(subject, answer, asked_class)
    maps = saliency_maps(subject.model, subject.prepared(), numbers, answer.name)
    drawn = {
        name: [by_size(one, float(np.quantile(one, 0.995)) or None) for one in maps[name]]
        for name in pictures if name in maps
    }  # fmt: skip
    if not drawn:
        raise CheckpointError("What the model gives does not depend on the pixels: nothing leads there by gradients.")
    what = "Bright pixels change the score of the class most: the largest gradient of their channels."
    note = sentences([limited(count, _MOST, "pictures"), what])
    pairs = [(name, pictures[name], each) for name, each in drawn.items()]
    return _sheet(_title(subject, answer, "saliency"), subject, pairs, captions, note)


def gradcam(subject: Subject, asked: str | None, asked_class: str | None, asked_head: str | None) -> Figure:
    """Pictures, and over each where a layer sees what speaks for the class.

    Raises:
        CheckpointError: the model has no convolution, gives no classes, or takes no pictures; or the layer reads
            several inputs at once.
        UsageError: there is no such layer, class or output, or several outputs and none is named.
    """
    count, subject = len(subject.names), subject.first(_MOST)
    answer = subject.answer(asked_head)
    pictures = subject.pictures()
    numbers, captions = _classes(subject, answer, asked_class)
    path, layer = last_convolution(subject.model, asked)
    read = pictures_read(subject, path, layer)
    calls = gradcam_maps(subject.model, subject.prepared(), numbers, layer, answer.name)
    pairs = [
        (name, pictures[name], [overlaid(picture, heat) for picture, heat in zip(pictures[name], maps, strict=True)])
        for name, maps in sorted(zip(read, calls, strict=True), key=lambda call: list(pictures).index(call[0]))
    ]
    size = "×".join(map(str, calls[0].shape[1:]))
    empty = sum(not any(maps[at].any() for maps in calls) for at in range(len(subject.names)))
    lost = f"In {empty} nothing speaks for the class." if empty else ""
    what = f"From blue to red: the more the maps of {path} ({size}) speak for the class."
    note = sentences([limited(count, _MOST, "pictures"), what, lost])
    return _sheet(_title(subject, answer, "Grad-CAM"), subject, pairs, captions, note)


def _title(subject: Subject, answer: Answer, what: str) -> str:
    return f"{subject.name}: {what}{f' of {answer.name}' if answer.name else ''}"


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


_Pair = tuple[str, Sequence[Array], Sequence[Array]]
"""of an input its name, its pictures, and what is drawn of each"""
_EXAMPLES_ACROSS = {1: 3, 2: 2}
"""in a row, by how many inputs each has"""


def _sheet(
    title: str, subject: Subject, pairs: Sequence[_Pair], captions: Sequence[tuple[str, str]], what: str
) -> Figure:
    """Each example's pictures with what is drawn of them, several examples a row."""
    each = []
    for at, (caption, color) in enumerate(captions):
        tiles = []
        for number, (name, pictures, drawn) in enumerate(pairs):
            below = subject.names[at] if number == 0 else name
            tiles += [Tile(pictures[at], below), Tile(drawn[at], *((caption, color) if number == 0 else ()))]
        each.append(tiles)
    examples = _EXAMPLES_ACROSS.get(len(pairs), 1)
    rows = [
        Row([tile for tiles in each[at : at + examples] for tile in tiles]) for at in range(0, len(each), examples)
    ]  # fmt: skip
    order = f"Of each example {' and '.join(f'`{name}`' for name, _, _ in pairs)}." if len(pairs) > 1 else ""
    is_judged = any(color != "ink" for _, color in captions)
    colors = (
        "The class and its probability are green where they are right, red where they are not." if is_judged else ""
    )
    return sheet(title, rows, sentences([order, what, colors]), side=_SIDE)


def _classes(subject: Subject, answer: Answer, asked: str | None) -> tuple[list[int], list[tuple[str, str]]]:
    """The class that is looked at of each example, and its name and probability with the colour to write them in."""
    if answer.classes is None or answer.encoding.kind == "input":
        which = f" for `{answer.name}`" if answer.name else ""
        raise CheckpointError(f"The model gives no classes{which}: it cannot be shown what speaks for one.")
    given = [named(subject.model(batch, training=False), answer.name)[answer.name] for batch in subject.batches()]
    scores = answer.scores(np.concatenate([np.asarray(one) for one in given]).astype(np.float64))
    names = [str(name) for name in answer.classes]
    if asked is not None and asked not in names:
        close = closest(asked, names)
        hint = f"Did you mean `{close}`?" if close else f"There is: {', '.join(names[:30])}."
        raise UsageError(f"--class {asked}: the model has no class of this name.", hint)
    found = scores.argmax(axis=1) if asked is None else np.full(len(scores), names.index(asked))
    captions = []
    for at, number in enumerate(found):
        is_right = None if answer.truth is None or asked is not None else int(answer.truth[at]) == int(number)
        color = "ink" if is_right is None else "good" if is_right else "bad"
        captions.append((f"{names[number][:12]} {scores[at, number]:.2f}", color))
    return [int(number) for number in found], captions
