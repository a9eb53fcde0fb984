"""Data that is drawn: pictures, films, ratings, pairs of images, noise. The same seed gives the same examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dlcli.data.dataset import Array, ClassNames, Dataset, Examples, OneOrNamed, named, one_or_named
from dlcli.data.fingerprint import fingerprint_of
from dlcli.errors import DataError, DlcliError
from dlcli.spec.source import Source
from dlcli.spec.sources import Pairs
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes

KINDS = ("circle", "square", "triangle")
DIRECTIONS = ("right", "down", "left", "up")
TEST_SHARE = 5  # one image of so many is for the pairs to test on, where the set has no test set


def load_drawn(source: Source, *, seed: int) -> Dataset:
    """Draw the examples of a source that has several inputs, several targets or more axes.

    Raises:
        DlcliError: `source` is not one of these.
    """
    own_seed: int | None = getattr(source, "seed", None)
    used = seed if own_seed is None else own_seed
    class_names: OneOrNamed[ClassNames] = None
    match source:
        case Shapes():
            images, kinds, sizes = shapes(source.samples, side=source.side, noise=source.noise, seed=used)
            train = Examples(images, {"kind": kinds, "size": sizes})
            class_names = {"kind": KINDS, "size": None}
        case Motion():
            size = {"frames": source.frames, "side": source.side}
            train = Examples(*motion(source.samples, **size, noise=source.noise, seed=used))
            class_names = DIRECTIONS
        case Ratings():
            users, items, stars = ratings(
                source.samples, users=source.users, items=source.items, factors=source.factors, noise=source.noise,
                seed=used,
            )  # fmt: skip
            train = Examples({"user": users, "item": items}, stars)
        case Random():
            train, class_names = _random(source, used)
        case _:
            raise DlcliError(f"{source.name} is not a data set that is drawn.")
    return _dataset(source, train, None, class_names, f"generated with seed {used}")


def draw_pairs(source: Pairs, images: Dataset, *, seed: int) -> Dataset:
    """Draw the pairs of a source out of a set of images.

    Raises:
        DataError: a class has not two images.
    """
    used = seed if source.seed is None else source.seed
    pixels, labels = images.train.inputs, images.train.targets
    if isinstance(pixels, Mapping) or isinstance(labels, Mapping):
        raise DlcliError(f"{images.source} has several inputs or targets.")
    of_test = np.arange(len(pixels)) % TEST_SHARE == TEST_SHARE - 1
    parts = {"train": (pixels, labels), "test": (pixels[of_test], labels[of_test])}
    if images.test is not None:
        parts["test"] = named(images.test.inputs)[""], named(images.test.targets)[""]
    else:
        parts["train"] = pixels[~of_test], labels[~of_test]
    drawn = {}
    for number, (name, count) in enumerate(zip(parts, source.examples, strict=True)):
        scarce = np.bincount(parts[name][1])
        if len(scarce) < 2 or scarce[scarce > 0].min() < 2:
            raise DataError(f"Pairs of {images.source} cannot be drawn: each class needs two images, and two classes.")
        left, right, same = pairs(*parts[name], count, seed=used + number)
        drawn[name] = Examples({"left": left, "right": right}, same)
    origin = f"drawn with seed {used} out of {images.source}, {images.origin}"
    return _dataset(source, drawn["train"], drawn["test"], ("different", "same"), origin)


def _dataset(
    source: Source, train: Examples, test: Examples | None, class_names: OneOrNamed[ClassNames], origin: str
) -> Dataset:
    return Dataset(
        source=source.name,
        kind=one_or_named((name, facts.kind) for name, facts in source.input_facts.items()),
        train=train,
        test=test,
        class_names=class_names,
        feature_names=None,
        origin=origin,
        fingerprint=fingerprint_of(train, test),
    )


def _random(source: Random, seed: int) -> tuple[Examples, OneOrNamed[ClassNames]]:
    random = np.random.default_rng(seed)
    inputs = {
        name: random.standard_normal((source.samples, *facts.shape), dtype=np.float32)
        for name, facts in source.input_facts.items()
    }
    targets: dict[str, Array] = {}
    for name, classes in source.target_classes.items():
        if classes is None:
            targets[name] = random.standard_normal(source.samples, dtype=np.float32)
        else:
            targets[name] = random.permutation(np.arange(source.samples) % classes).astype(np.int32)
    class_names = (
        (name, None if classes is None else tuple(map(str, range(classes))))
        for name, classes in source.target_classes.items()
    )
    return Examples(one_or_named(inputs.items()), one_or_named(targets.items())), one_or_named(class_names)


# `dlcli code` writes these into scripts as they stand here.


def shapes(samples: int, *, side: int, noise: float, seed: int) -> tuple[Array, Array, Array]:
    """Bytes (samples, side, side) with a circle, a square or a triangle; which; and its width in pixels."""
    random = np.random.default_rng(seed)
    kinds = random.permutation(np.arange(samples) % 3).astype(np.int32)
    sizes = random.uniform(side / 4, side * 3 / 4, size=samples).astype(np.float32)
    images = random.normal(40.0, noise, size=(samples, side, side))
    rows, columns = np.mgrid[:side, :side]
    for image, kind, size in zip(images, kinds, sizes, strict=True):
        top, left = random.uniform(0, side - size, size=2)
        y, x = (rows + 0.5 - top) / size, (columns + 0.5 - left) / size
        within = (y >= 0) & (y <= 1) & (x >= 0) & (x <= 1)
        if kind == 0:
            within = (y - 0.5) ** 2 + (x - 0.5) ** 2 <= 0.25
        elif kind == 2:
            within &= np.abs(x - 0.5) <= y / 2
        image[within] += 150.0
    return np.clip(images, 0, 255).astype(np.uint8), kinds, sizes


def motion(samples: int, *, frames: int, side: int, noise: float, seed: int) -> tuple[Array, Array]:
    """Bytes (samples, frames, side, side, 1): a square that moves right, down, left or up, and round the edges."""
    random = np.random.default_rng(seed)
    directions = random.permutation(np.arange(samples) % 4).astype(np.int32)
    films = random.normal(40.0, noise, size=(samples, frames, side, side, 1))
    starts = random.integers(side, size=(samples, 2))
    steps = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
    width = np.arange(max(2, side // 4))
    for film, direction, start in zip(films, directions, starts, strict=True):
        for number in range(frames):
            top, left = start + number * steps[direction]
            film[number, ((top + width) % side)[:, None], (left + width) % side] += 150.0
    return np.clip(films, 0, 255).astype(np.uint8), directions


def ratings(
    samples: int, *, users: int, items: int, factors: int, noise: float, seed: int
) -> tuple[Array, Array, Array]:
    """Numbers of users and of items, and what the users think of these: the closer taste and quality, the nearer 5."""
    random = np.random.default_rng(seed)
    tastes = random.normal(size=(users, factors))
    qualities = random.normal(size=(items, factors))
    user = random.integers(users, size=samples).astype(np.int32)
    item = random.integers(items, size=samples).astype(np.int32)
    agreement = (tastes[user] * qualities[item]).sum(axis=1) / np.sqrt(factors)
    stars = 3.0 + agreement + random.normal(scale=noise, size=samples)
    return user, item, np.clip(stars, 1.0, 5.0).astype(np.float32)


def pairs(images: Array, labels: Array, count: int, *, seed: int) -> tuple[Array, Array, Array]:
    """So many left images, right images, and 1 where both are of the same class, which half of them are, else 0."""
    random = np.random.default_rng(seed)
    same = random.permutation(np.arange(count) % 2).astype(np.int32)
    alike = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    others = {label: np.flatnonzero(labels != label) for label in alike}
    left = random.integers(len(images), size=count)
    choices = zip(labels[left], same, strict=True)
    right = np.array([random.choice((alike if is_same else others)[label]) for label, is_same in choices])
    return images[left], images[right], same
