"""Making one data set stand in for another: the same kind, the same classes, images resized to the shape expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dlcli.data.dataset import Array, Dataset, Examples
from dlcli.data.fingerprint import fingerprint_of
from dlcli.errors import DataError
from dlcli.spec.source import Source

HINT = "Name another `fallback`, one of the same kind, shape and number of classes; or leave it out."


def adapt(dataset: Dataset, to: type[Source]) -> Dataset:
    """Give `dataset` the example shape of the source `to`, so that the same model can be trained on it.

    Images are resized (Pillow, bilinear), and grey is made colour by repeating it, colour grey by its luma (ITU-R
    BT.601). Tables and points are never changed. A set that fits already is returned as it is. Class names stay the
    fallback's own: it may have ten other classes than the source it stands in for.

    Raises:
        DataError: the two differ in kind or in their number of classes, or are no images and differ in shape.
    """
    inputs, names, shape = dataset.train.inputs, dataset.class_names, dataset.example_shape
    if isinstance(inputs, Mapping) or isinstance(names, Mapping) or isinstance(shape, Mapping):
        raise _unfit(dataset, to, "it has several inputs or targets")
    classes = None if names is None else len(names)
    if dataset.kind != to.kind:
        raise _unfit(dataset, to, f"its kind is {dataset.kind}, not {to.kind}")
    if classes != to.classes:
        raise _unfit(dataset, to, f"it has {_classes(classes)}, not {_classes(to.classes)}")
    if shape == to.shape:
        return dataset
    if dataset.kind != "images" or to.shape is None:
        raise _unfit(dataset, to, f"its examples have the shape {shape}, not {to.shape}")
    train = Examples(_resized(inputs, to.shape), dataset.train.targets)
    test = None
    if dataset.test is not None and not isinstance(dataset.test.inputs, Mapping):
        test = Examples(_resized(dataset.test.inputs, to.shape), dataset.test.targets)
    change = f"resized from {_size(shape)} to {_size(to.shape)}"
    return replace(
        dataset,
        train=train,
        test=test,
        origin=f"{dataset.origin}, {change}",
        fingerprint=fingerprint_of(train, test),
    )


def _resized(images: Array, shape: tuple[int, ...]) -> Array:
    """Bytes of shape (n, height, width) or (n, height, width, 3) made bytes of shape (n, *shape)."""
    from PIL import Image

    mode = "RGB" if len(shape) == 3 else "L"
    height, width = shape[:2]
    result = np.empty((len(images), *shape), dtype=np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(image).convert(mode)
        result[row] = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))
    return result


def _unfit(dataset: Dataset, to: type[Source], difference: str) -> DataError:
    return DataError(f"The fallback {dataset.source} cannot stand in for {to.name}: {difference}.", HINT)


def _classes(count: int | None) -> str:
    return "numbers to predict" if count is None else f"{count} classes"


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(str(length) for length in shape)
